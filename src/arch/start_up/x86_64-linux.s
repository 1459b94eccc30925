# Relocates the image that it lies in, then enters the program as the kernel would have.
#
# On entry (System V ABI, AMD64 supplement, 3.4.1): rsp points to argc; the kernel has zeroed all other
# registers. They are zero again when the program is entered, and the stack is untouched.
        .intel_syntax noprefix
start_up:
        lea     rdi, [rip + image_base]            # the link put the image at 0: this is the slide
        lea     rsi, [rip + load_relocations_start]
        lea     rcx, [rip + load_relocations_end]
.next:
        cmp     rsi, rcx                           # each entry: offset, kind, addend, 8 bytes each
        jae     .relocated
        mov     rax, [rsi]
        mov     rdx, [rsi + 16]
        add     rdx, rdi
        mov     [rdi + rax], rdx
        add     rsi, 24
        jmp     .next
.relocated:
        lea     rdi, [rip + relro_start]
        lea     rsi, [rip + relro_end]
        and     rdi, -4096                         # mprotect wants whole pages; they are 4 KiB here
        sub     rsi, rdi
        jbe     .enter                             # nothing to protect
        mov     edx, 1                             # PROT_READ
        mov     eax, 10                            # mprotect
        syscall
        test    eax, eax
        jnz     .failed
.enter:
        xor     eax, eax
        xor     ecx, ecx
        xor     edx, edx
        xor     esi, esi
        xor     edi, edi
        xor     r11d, r11d                         # syscall keeps rflags there
        jmp     entry
.failed:
        ud2                                        # better no program than an unprotected one
