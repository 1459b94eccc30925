// Relocates the image that it lies in, then enters the program as the kernel would have.
//
// On entry: sp points to argc, argv, a null, the environment, a null, the auxiliary vector; the kernel
// has zeroed all other registers. They are zero again when the program is entered, and the stack is
// untouched.
start_up:
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
        b.hs    .enter                              // nothing to protect
        ldr     x2, [sp]                            // pages have 4, 16 or 64 KiB: the kernel says which
        add     x3, sp, #16                         // behind argc, argv and its null
        add     x3, x3, x2, lsl #3
.environment:
        ldr     x4, [x3], #8
        cbnz    x4, .environment
.auxiliary:
        ldp     x4, x5, [x3], #16
        cbz     x4, .failed                         // AT_NULL: the end, and no AT_PAGESZ
        cmp     x4, #6                              // AT_PAGESZ
        b.ne    .auxiliary
        neg     x5, x5
        and     x0, x0, x5                          // mprotect wants whole pages
        sub     x1, x1, x0
        mov     x2, #1                              // PROT_READ
        mov     x8, #226                            // mprotect
        svc     #0
        cbnz    x0, .failed
.enter:
        mov     x0, xzr
        mov     x1, xzr
        mov     x2, xzr
        mov     x3, xzr
        mov     x4, xzr
        mov     x5, xzr
        mov     x8, xzr
        b       entry
.failed:
        brk     #1                                  // better no program than an unprotected one
