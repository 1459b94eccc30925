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

// Called by the loader as (image, reason, 0): runs the initialisers when the image is loaded (reason 1), the
// first one first, and the finalisers when it is unloaded or the process ends (reason 0), the last one first.
// Other reasons are threads that begin and end. Initialisers are called as (0, null, null): no command line is
// split yet.
        .section .text.callback, "ax"
        stp     x29, x30, [sp, #-32]!
        stp     x19, x20, [sp, #16]
        mov     x29, sp
        cmp     w1, #1                              // DLL_PROCESS_ATTACH
        b.eq    .attach
        cbnz    w1, .done                           // DLL_PROCESS_DETACH
        adrp    x19, fini_end
        add     x19, x19, :lo12:fini_end
        adrp    x20, fini_start
        add     x20, x20, :lo12:fini_start
.next_fini:
        cmp     x19, x20
        b.ls    .done
        ldr     x8, [x19, #-8]!
        blr     x8
        b       .next_fini
.attach:
        adrp    x19, init_start
        add     x19, x19, :lo12:init_start
        adrp    x20, init_end
        add     x20, x20, :lo12:init_end
.next_init:
        cmp     x19, x20
        b.hs    .done
        mov     w0, wzr
        mov     x1, xzr
        mov     x2, xzr
        ldr     x8, [x19], #8
        blr     x8
        b       .next_init
.done:
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret

// The same for a program with initialisers and finalisers: the first run before it is called, with its
// arguments, the others when the C library exits, behind what the program has registered itself.
        .section .text.libc_lists, "ax"
        stp     x29, x30, [sp, #-48]!
        mov     x29, sp
        add     x0, sp, #16                         // argc
        add     x1, sp, #24                         // argv
        add     x2, sp, #32                         // the environment
        mov     w3, wzr
        add     x4, sp, #40
        str     wzr, [x4]
        adrp    x8, :got:__getmainargs
        ldr     x8, [x8, :got_lo12:__getmainargs]
        blr     x8
        adr     x0, .finalise
        adrp    x8, :got:_onexit
        ldr     x8, [x8, :got_lo12:_onexit]
        blr     x8
        adrp    x19, init_start
        add     x19, x19, :lo12:init_start
        adrp    x20, init_end
        add     x20, x20, :lo12:init_end
.next_initialiser:
        cmp     x19, x20
        b.hs    .initialised
        ldr     w0, [sp, #16]
        ldr     x1, [sp, #24]
        ldr     x2, [sp, #32]
        ldr     x8, [x19], #8
        blr     x8
        b       .next_initialiser
.initialised:
        ldr     w0, [sp, #16]
        ldr     x1, [sp, #24]
        ldr     x2, [sp, #32]
        bl      entry
        adrp    x8, :got:exit
        ldr     x8, [x8, :got_lo12:exit]
        blr     x8
        brk     #1
.finalise:
        stp     x29, x30, [sp, #-32]!
        stp     x19, x20, [sp, #16]
        mov     x29, sp
        adrp    x19, fini_end
        add     x19, x19, :lo12:fini_end
        adrp    x20, fini_start
        add     x20, x20, :lo12:fini_start
.next_finaliser:
        cmp     x19, x20
        b.ls    .finalised
        ldr     x8, [x19, #-8]!
        blr     x8
        b       .next_finaliser
.finalised:
        mov     w0, wzr
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #32
        ret
