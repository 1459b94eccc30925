# What minild puts before a program's entry. Each section is a piece; those that a program needs follow one
# another, each running into the next.
#
# On entry (System V ABI, AMD64 supplement, 3.4.1): rsp points to argc, argv, a null, the environment, a
# null, the auxiliary vector; the kernel has zeroed all other registers.
        .intel_syntax noprefix

# Relocates the image that it lies in. The stack is left as it was.
        .section .text.relocate, "ax"
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
        jbe     .protected                         # nothing to protect
        mov     edx, 1                             # PROT_READ
        mov     eax, 10                            # mprotect
        syscall
        test    eax, eax
        jz      .protected
        ud2                                        # better no program than an unprotected one
.protected:

# Enters a program that wants what the kernel gives: all registers zero again, the stack untouched.
        .section .text.enter, "ax"
        xor     eax, eax
        xor     ecx, ecx
        xor     edx, edx
        xor     esi, esi
        xor     edi, edi
        xor     r11d, r11d                         # syscall keeps rflags there
        jmp     entry

# Takes argc, argv and the environment from the kernel's stack, and aligns it as every call wants it.
        .section .text.arguments, "ax"
        mov     r12, [rsp]                         # argc
        lea     r13, [rsp + 8]                     # argv
        lea     r14, [r13 + 8*r12 + 8]             # the environment, behind argv's null
        xor     ebp, ebp                           # the outermost frame
        and     rsp, -16

# Moves to a stack of the size that was asked for, a guard of 64 KiB below it.
        .section .text.stack, "ax"
        xor     edi, edi                           # wherever there is room
        movabs  rsi, offset stack_size             # the guard included
        mov     edx, 3                             # PROT_READ | PROT_WRITE
        mov     r10d, 0x20022                      # MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK
        mov     r8, -1
        xor     r9d, r9d
        mov     eax, 9                             # mmap
        syscall
        cmp     rax, -4096                         # errors are -4095 to -1
        ja      .no_stack
        lea     rsp, [rax + rsi]                   # it grows down from its end
        mov     rdi, rax
        mov     esi, 0x10000
        xor     edx, edx                           # PROT_NONE
        mov     eax, 10                            # mprotect
        syscall
        test    eax, eax
        jz      .guarded
.no_stack:
        ud2
.guarded:

# Gives the first thread its thread-locals: a copy of the template that ends where fs points, zeros behind
# what has bytes; fs:0 holds that address itself (variant II of ELF Handling For Thread-Local Storage).
        .section .text.tls, "ax"
        movabs  rbx, offset tls_align
        xor     eax, eax
        lea     r15, [rax + tls_start@tpoff]       # minus the bytes before the thread pointer
        xor     edi, edi                           # wherever there is room
        lea     rsi, [rbx + 0x100]                 # for alignment, and words that compilers know behind fs:0
        sub     rsi, r15
        mov     edx, 3                             # PROT_READ | PROT_WRITE
        mov     r10d, 0x22                         # MAP_PRIVATE | MAP_ANONYMOUS
        mov     r8, -1
        xor     r9d, r9d
        mov     eax, 9                             # mmap
        syscall
        cmp     rax, -4096                         # errors are -4095 to -1
        ja      .no_tls
        sub     rax, r15
        lea     rax, [rax + rbx - 1]
        neg     rbx
        and     rax, rbx                           # the thread pointer
        mov     [rax], rax
        lea     rdi, [rax + r15]
        lea     rsi, [rip + tls_start]
        lea     rcx, [rip + tls_data_end]
        sub     rcx, rsi
        rep     movsb                              # the rest is zeros already
        mov     rsi, rax
        mov     edi, 0x1002                        # ARCH_SET_FS
        mov     eax, 158                           # arch_prctl
        syscall
        test    eax, eax
        jz      .tls_set
.no_tls:
        ud2                                        # better no program than one that shares its variables
.tls_set:

# Calls every initialiser as a function of (argc, argv, environment), the first one first.
        .section .text.init, "ax"
        lea     rbx, [rip + init_start]
.next_init:
        lea     rax, [rip + init_end]
        cmp     rbx, rax
        jae     .initialised
        mov     rdi, r12
        mov     rsi, r13
        mov     rdx, r14
        call    [rbx]
        add     rbx, 8
        jmp     .next_init
.initialised:

# Calls the program as main(argc, argv, environment).
        .section .text.call, "ax"
        mov     rdi, r12
        mov     rsi, r13
        mov     rdx, r14
        call    entry
        mov     r12d, eax                          # what it returned

# Calls every finaliser, the last one first.
        .section .text.fini, "ax"
        lea     rbx, [rip + fini_end]
.next_fini:
        lea     rax, [rip + fini_start]
        cmp     rbx, rax
        jbe     .finalised
        sub     rbx, 8
        call    [rbx]
        jmp     .next_fini
.finalised:

# Exits with what the program returned.
        .section .text.exit, "ax"
        mov     edi, r12d
        mov     eax, 231                           # exit_group
        syscall
        ud2

# Hands the program over to the C library, which runs initialisers, calls it as main and exits. The dynamic
# linker leaves in rdx what is to run at the end (System V ABI, AMD64 supplement, 3.4.1).
        .section .text.libc, "ax"
        xor     ebp, ebp                           # the outermost frame
        mov     r9, rdx
        mov     rsi, [rsp]                         # argc
        lea     rdx, [rsp + 8]                     # argv
        and     rsp, -16
        push    rax                                # keeps the stack aligned
        push    rsp                                # where the stack ends
        xor     r8d, r8d                           # no finaliser and
        xor     ecx, ecx                           # no initialiser but those of the lists
        lea     rdi, [rip + entry]
        call    [rip + __libc_start_main@GOTPCREL]
        ud2
