// What minild puts before a program's entry. Each section is a piece; those that a program needs follow one
// another, each running into the next.
//
// On entry: sp points to argc, argv, a null, the environment, a null, the auxiliary vector; the kernel has
// zeroed all other registers.

// Relocates the image that it lies in. The stack is left as it was.
        .section .text.relocate, "ax"
        adrp    x0, image_base                      // the link put the image at 0: this is the slide
        add     x0, x0, :lo12:image_base
        adrp    x1, load_relocations_start
        add     x1, x1, :lo12:load_relocations_start
        adrp    x2, load_relocations_end
        add     x2, x2, :lo12:load_relocations_end
.next:
        cmp     x1, x2                              // each entry: offset, kind, addend, 8 bytes each
        b.hs    .relocated
        ldr     x3, [x1]
        ldr     x4, [x1, #16]
        add     x4, x4, x0
        str     x4, [x0, x3]
        add     x1, x1, #24
        b       .next
.relocated:
        adrp    x0, relro_start
        add     x0, x0, :lo12:relro_start
        adrp    x1, relro_end
        add     x1, x1, :lo12:relro_end
        cmp     x0, x1
        b.hs    .protected                          // nothing to protect
        ldr     x2, [sp]                            // pages have 4, 16 or 64 KiB: the kernel says which
        add     x3, sp, #16                         // behind argc, argv and its null
        add     x3, x3, x2, lsl #3
.environment:
        ldr     x4, [x3], #8
        cbnz    x4, .environment
.auxiliary:
        ldp     x4, x5, [x3], #16
        cbz     x4, .unprotected                    // AT_NULL: the end, and no AT_PAGESZ
        cmp     x4, #6                              // AT_PAGESZ
        b.ne    .auxiliary
        neg     x5, x5
        and     x0, x0, x5                          // mprotect wants whole pages
        sub     x1, x1, x0
        mov     x2, #1                              // PROT_READ
        mov     x8, #226                            // mprotect
        svc     #0
        cbz     x0, .protected
.unprotected:
        brk     #1                                  // better no program than an unprotected one
.protected:

// Enters a program that wants what the kernel gives: all registers zero again, the stack untouched.
        .section .text.enter, "ax"
        mov     x0, xzr
        mov     x1, xzr
        mov     x2, xzr
        mov     x3, xzr
        mov     x4, xzr
        mov     x5, xzr
        mov     x8, xzr
        b       entry

// Takes argc, argv and the environment from the kernel's stack.
        .section .text.arguments, "ax"
        ldr     x19, [sp]                           // argc
        add     x20, sp, #8                         // argv
        add     x21, x20, x19, lsl #3
        add     x21, x21, #8                        // the environment, behind argv's null
        mov     x29, xzr                            // the outermost frame
        mov     x30, xzr

// Moves to a stack of the size that was asked for, a guard of 64 KiB below it.
        .section .text.stack, "ax"
        mov     x0, xzr                             // wherever there is room
        ldr     x1, .size                           // the guard included
        mov     x2, #3                              // PROT_READ | PROT_WRITE
        mov     w3, #0x22                           // MAP_PRIVATE | MAP_ANONYMOUS
        movk    w3, #2, lsl #16                     // | MAP_STACK
        mov     x4, #-1
        mov     x5, xzr
        mov     x8, #222                            // mmap
        svc     #0
        cmn     x0, #4095                           // errors are -4095 to -1
        b.hs    .no_stack
        ldr     x1, .size
        add     x2, x0, x1
        mov     sp, x2                              // it grows down from its end
        mov     x1, #0x10000
        mov     x2, xzr                             // PROT_NONE
        mov     x8, #226                            // mprotect
        svc     #0
        cbz     x0, .guarded
.no_stack:
        brk     #1
.size:
        .quad   stack_size
.guarded:

// Gives the first thread its thread-locals: two words that tpidr_el0 points at, then a copy of the template,
// zeros behind what has bytes (variant I of ELF Handling For Thread-Local Storage).
        .section .text.tls, "ax"
        ldr     x24, .tls_align
        adrp    x25, tls_start
        add     x25, x25, :lo12:tls_start
        adrp    x26, tls_end
        add     x26, x26, :lo12:tls_end
        sub     x1, x26, x25
        add     x1, x1, x24, lsl #1                 // for alignment, and for the two words
        mov     x0, xzr                             // wherever there is room
        mov     x2, #3                              // PROT_READ | PROT_WRITE
        mov     w3, #0x22                           // MAP_PRIVATE | MAP_ANONYMOUS
        mov     x4, #-1
        mov     x5, xzr
        mov     x8, #222                            // mmap
        svc     #0
        cmn     x0, #4095                           // errors are -4095 to -1
        b.hs    .no_tls
        sub     x2, x24, #1
        add     x0, x0, x2
        bic     x0, x0, x2                          // the thread pointer
        msr     tpidr_el0, x0
        add     x0, x0, :tprel_hi12:tls_start
        add     x0, x0, :tprel_lo12_nc:tls_start
        adrp    x26, tls_data_end
        add     x26, x26, :lo12:tls_data_end
.copy:
        cmp     x25, x26
        b.hs    .tls_set                            // the rest is zeros already
        ldrb    w2, [x25], #1
        strb    w2, [x0], #1
        b       .copy
.no_tls:
        brk     #1                                  // better no program than one that shares its variables
.tls_align:
        .quad   tls_align
.tls_set:

// Calls every initialiser as a function of (argc, argv, environment), the first one first.
        .section .text.init, "ax"
        adrp    x22, init_start
        add     x22, x22, :lo12:init_start
        adrp    x23, init_end
        add     x23, x23, :lo12:init_end
.next_init:
        cmp     x22, x23
        b.hs    .initialised
        mov     x0, x19
        mov     x1, x20
        mov     x2, x21
        ldr     x8, [x22], #8
        blr     x8
        b       .next_init
.initialised:

// Calls the program as main(argc, argv, environment).
        .section .text.call, "ax"
        mov     x0, x19
        mov     x1, x20
        mov     x2, x21
        bl      entry
        mov     w19, w0                             // what it returned

// Calls every finaliser, the last one first.
        .section .text.fini, "ax"
        adrp    x22, fini_start
        add     x22, x22, :lo12:fini_start
        adrp    x23, fini_end
        add     x23, x23, :lo12:fini_end
.next_fini:
        cmp     x23, x22
        b.ls    .finalised
        ldr     x8, [x23, #-8]!
        blr     x8
        b       .next_fini
.finalised:

// Exits with what the program returned.
        .section .text.exit, "ax"
        mov     w0, w19
        mov     x8, #94                             // exit_group
        svc     #0
        brk     #1

// Hands the program over to the C library, which runs initialisers, calls it as main and exits. The dynamic
// linker leaves in x0 what is to run at the end (glibc sysdeps/aarch64/start.S).
        .section .text.libc, "ax"
        mov     x29, xzr                            // the outermost frame
        mov     x30, xzr
        mov     x5, x0
        ldr     x1, [sp]                            // argc
        add     x2, sp, #8                          // argv
        mov     x6, sp                              // where the stack ends
        adrp    x0, entry
        add     x0, x0, :lo12:entry
        mov     x3, xzr                             // no initialiser and
        mov     x4, xzr                             // no finaliser but those of the lists
        adrp    x8, :got:__libc_start_main
        ldr     x8, [x8, :got_lo12:__libc_start_main]
        blr     x8
        brk     #1
