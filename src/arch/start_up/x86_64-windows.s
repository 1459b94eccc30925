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
