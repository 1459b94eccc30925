// What minild puts before the entry of a program that starts by the C library.

// Has the C library split the command line, calls the program as main(argc, argv, environment), and exits as
// the C library does.
        .section .text.libc, "ax"
        stp     x29, x30, [sp, #-48]!
        mov     x29, sp
        add     x0, sp, #16                         // argc
        add     x1, sp, #24                         // argv
        add     x2, sp, #32                         // the environment
        mov     w3, wzr                             // no wildcards
        add     x4, sp, #40                         // start-up information: nothing special
        str     wzr, [x4]
        adrp    x8, :got:__getmainargs
        ldr     x8, [x8, :got_lo12:__getmainargs]
        blr     x8
        ldr     w0, [sp, #16]
        ldr     x1, [sp, #24]
        ldr     x2, [sp, #32]
        bl      entry
        adrp    x8, :got:exit
        ldr     x8, [x8, :got_lo12:exit]
        blr     x8
        brk     #1
