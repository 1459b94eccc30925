# What minild puts before the entry of a program that starts by the C library.
        .intel_syntax noprefix

# Has the C library split the command line, calls the program as main(argc, argv, environment), and exits as
# the C library does. The system calls this like a function, rsp 8 below a multiple of 16.
        .section .text.libc, "ax"
        sub     rsp, 0x58                          # room for arguments in registers, one more, and four words
        mov     dword ptr [rsp + 0x30], 0          # start-up information: nothing special
        lea     rax, [rsp + 0x30]
        mov     [rsp + 0x20], rax
        lea     rcx, [rsp + 0x38]                  # argc
        lea     rdx, [rsp + 0x40]                  # argv
        lea     r8, [rsp + 0x48]                   # the environment
        xor     r9d, r9d                           # no wildcards
        call    [rip + __getmainargs@GOTPCREL]
        mov     ecx, [rsp + 0x38]
        mov     rdx, [rsp + 0x40]
        mov     r8, [rsp + 0x48]
        call    entry
        mov     ecx, eax
        call    [rip + exit@GOTPCREL]
        ud2

# Called by the loader as (image, reason, 0): runs the initialisers when the image is loaded (reason 1), the
# first one first, and the finalisers when it is unloaded or the process ends (reason 0), the last one first.
# Other reasons are threads that begin and end. Initialisers are called as (0, null, null): no command line is
# split yet.
        .section .text.callback, "ax"
        push    rbx
        push    rsi
        sub     rsp, 0x28                          # room for arguments in registers, rsp a multiple of 16
        cmp     edx, 1                             # DLL_PROCESS_ATTACH
        je      .attach
        test    edx, edx                           # DLL_PROCESS_DETACH
        jnz     .done
        lea     rbx, [rip + fini_end]
        lea     rsi, [rip + fini_start]
.next_fini:
        cmp     rbx, rsi
        jbe     .done
        sub     rbx, 8
        call    [rbx]
        jmp     .next_fini
.attach:
        lea     rbx, [rip + init_start]
        lea     rsi, [rip + init_end]
.next_init:
        cmp     rbx, rsi
        jae     .done
        xor     ecx, ecx
        xor     edx, edx
        xor     r8d, r8d
        call    [rbx]
        add     rbx, 8
        jmp     .next_init
.done:
        add     rsp, 0x28
        pop     rsi
        pop     rbx
        ret

# The same for a program with initialisers and finalisers: the first run before it is called, with its
# arguments, the others when the C library exits, behind what the program has registered itself.
        .section .text.libc_lists, "ax"
        sub     rsp, 0x58
        mov     dword ptr [rsp + 0x30], 0
        lea     rax, [rsp + 0x30]
        mov     [rsp + 0x20], rax
        lea     rcx, [rsp + 0x38]                  # argc
        lea     rdx, [rsp + 0x40]                  # argv
        lea     r8, [rsp + 0x48]                   # the environment
        xor     r9d, r9d
        call    [rip + __getmainargs@GOTPCREL]
        lea     rcx, [rip + .finalise]
        call    [rip + _onexit@GOTPCREL]
        lea     rbx, [rip + init_start]
.next_initialiser:
        lea     rax, [rip + init_end]
        cmp     rbx, rax
        jae     .initialised
        mov     ecx, [rsp + 0x38]
        mov     rdx, [rsp + 0x40]
        mov     r8, [rsp + 0x48]
        call    [rbx]
        add     rbx, 8
        jmp     .next_initialiser
.initialised:
        mov     ecx, [rsp + 0x38]
        mov     rdx, [rsp + 0x40]
        mov     r8, [rsp + 0x48]
        call    entry
        mov     ecx, eax
        call    [rip + exit@GOTPCREL]
        ud2
.finalise:
        push    rbx
        sub     rsp, 0x20
        lea     rbx, [rip + fini_end]
.next_finaliser:
        lea     rax, [rip + fini_start]
        cmp     rbx, rax
        jbe     .finalised
        sub     rbx, 8
        call    [rbx]
        jmp     .next_finaliser
.finalised:
        xor     eax, eax
        add     rsp, 0x20
        pop     rbx
        ret
