// What compilers and people write most on arm64, one form a line.
mov x0, #0
mov x0, #1
mov w0, #42
mov x8, #93
mov x0, #-1
mov x0, #-100
mov w0, #-1
mov x0, #65536
mov x0, #0xffff0000
mov x0, #0xff00ff00ff00ff00
mov w0, #0xfffffff0
mov w0, #0x0ff00ff0
mov x0, x1
mov w0, w1
mov x0, sp
mov sp, x0
mov x29, sp
mov x0, xzr
mov w0, wzr
movz x0, #1
movz x0, #0xffff, lsl #48
movz w0, #1, lsl #16
movk x0, #0x1234, lsl #16
movk x0, #0
movk w0, #7, lsl #16
movn x0, #0
movn w0, #5, lsl #16
mvn x0, x1
mvn w0, w1, lsl #3
add x0, x1, x2
add w0, w1, w2
add x0, x1, #1
add x0, x1, #4095
add x0, x1, #4096
add x0, x1, #1, lsl #12
add sp, sp, #16
add x0, sp, #8
add x0, x0, x1, lsl #3
add x0, x0, w1, uxtw
add x0, x0, w1, sxtw #2
add w0, w1, w2, uxtb
add x0, sp, x1
adds x0, x1, x2
adds w0, w1, #1
sub x0, x1, x2
sub sp, sp, #32
sub x0, x1, #5
sub x0, x1, x2, asr #4
sub x0, x1, #-5
subs x0, x0, #1
subs w0, w0, w1
neg x0, x1
neg w0, w1, lsl #2
negs x0, x1
adc x0, x1, x2
sbc x0, x1, x2
cmp x0, #0
cmp w0, #10
cmp x0, x1
cmp x0, #-1
cmp x0, x1, lsl #3
cmp x0, w1, uxtw
cmp sp, x0
cmn x0, #1
cmn x0, x1
tst x0, #1
tst w0, #0xff
tst x0, x1
and x0, x1, x2
and x0, x1, #0xff
and x0, x1, #0xfffffffffffffff0
and x0, x1, #-16
and w0, w1, #0xff0
and sp, x0, #-16
and x0, x1, x2, lsl #3
ands x0, x1, #7
ands w0, w1, w2
orr x0, x1, x2
orr x0, x1, #0x10
orr w0, w1, w2, lsl #8
orr x0, xzr, x1
eor x0, x1, x2
eor w0, w1, #1
eor x0, x1, x2, ror #13
bic x0, x1, x2
bics w0, w1, w2
orn x0, x1, x2
eon x0, x1, x2
lsl x0, x1, #3
lsl w0, w1, #31
lsl x0, x1, x2
lsr x0, x1, #3
lsr w0, w1, #1
lsr w0, w1, w2
asr x0, x1, #63
asr w0, w1, #1
asr x0, x1, x2
ror x0, x1, #3
ror w0, w1, w2
sxtb x0, w1
sxth w0, w1
sxtw x0, w1
uxtb w0, w1
uxth w0, w1
ubfx x0, x1, #4, #8
sbfx w0, w1, #4, #8
bfi x0, x1, #4, #8
bfxil x0, x1, #4, #8
ubfiz x0, x1, #4, #8
sbfiz w0, w1, #4, #8
extr x0, x1, x2, #8
mul x0, x1, x2
mul w0, w1, w2
madd x0, x1, x2, x3
msub x0, x1, x2, x3
msub w0, w1, w2, w3
mneg x0, x1, x2
smull x0, w1, w2
umull x0, w1, w2
smulh x0, x1, x2
umulh x0, x1, x2
smaddl x0, w1, w2, x3
udiv x0, x1, x2
udiv w0, w1, w2
sdiv x0, x1, x2
clz x0, x1
cls w0, w1
rbit x0, x1
rev x0, x1
rev w0, w1
rev16 w0, w1
rev32 x0, x1
csel x0, x1, x2, eq
csel w0, w1, w2, lt
csinc x0, x1, x2, ne
csinv x0, x1, x2, ge
csneg x0, x1, x2, hi
cset x0, eq
cset w0, ne
csetm x0, lo
cinc x0, x1, eq
cinv x0, x1, eq
cneg x0, x1, mi
ccmp x0, #3, #4, eq
ccmp x0, x1, #0, ne
ccmn w0, #1, #2, lt
ldr x0, [x1]
ldr w0, [x1]
ldr x0, [sp]
ldr x0, [x1, #8]
ldr x0, [x1, #32760]
ldr w0, [x1, #4]
ldr x0, [x1, #-8]
ldr x0, [x1, #1]
ldr x0, [x1, #8]!
ldr x0, [x1], #8
ldr w0, [sp], #16
ldr x0, [x1, x2]
ldr x0, [x1, x2, lsl #3]
ldr w0, [x1, x2, lsl #2]
ldr x0, [x1, w2, uxtw]
ldr x0, [x1, w2, uxtw #3]
ldr w0, [x1, w2, sxtw #2]
ldr x0, [x1, x2, sxtx]
ldr xzr, [x1]
str x0, [x1]
str w0, [x1, #4]
str xzr, [x1, #8]
str wzr, [x1]
str x0, [sp, #-16]!
str x30, [sp], #16
str x0, [x1, x2, lsl #3]
str w0, [x1, w2, sxtw #2]
ldrb w0, [x1]
ldrb w0, [x1, #1]
ldrb w0, [x1], #1
ldrb w0, [x1, #1]!
ldrb w0, [x1, x2]
ldrb w0, [x1, w2, uxtw]
strb w0, [x1]
strb wzr, [x1, x2]
strb w0, [x1, #-1]!
strb w0, [x1], #1
ldrh w0, [x1]
ldrh w0, [x1, x2, lsl #1]
strh w0, [x1, #2]
ldrsb x0, [x1]
ldrsb w0, [x1, #1]
ldrsh x0, [x1, #2]
ldrsh w0, [x1]
ldrsw x0, [x1]
ldrsw x0, [x1, x2, lsl #2]
ldur x0, [x1, #-8]
stur w0, [x1, #3]
ldurb w0, [x1, #-1]
ldp x0, x1, [sp]
ldp x29, x30, [sp], #16
ldp w0, w1, [x2, #8]
ldp x0, x1, [x2, #-512]
ldp x0, x1, [sp, #16]!
ldp xzr, x1, [sp]
stp x29, x30, [sp, #-16]!
stp x29, x30, [sp, #-32]!
stp x0, x1, [sp, #16]
stp w0, w1, [x2]
stp xzr, xzr, [sp, #16]
stp x0, x1, [x2], #16
ldpsw x0, x1, [x2]
ldnp x0, x1, [x2]
ldxr x0, [x1]
ldxr w0, [x1]
ldaxr x0, [x1]
ldxrb w0, [x1]
stxr w0, x1, [x2]
stxr w0, w1, [x2]
stlxr w0, x1, [x2]
stxrb w0, w1, [x2]
ldxp x0, x1, [x2]
stxp w0, x1, x2, [x3]
ldar x0, [x1]
ldar w0, [x1]
ldarb w0, [x1]
stlr x0, [x1]
stlr w0, [sp]
stlrb w0, [x1]
clrex
ldadd x0, x1, [x2]
ldadd w0, w1, [x2]
ldaddal w0, w1, [x2]
ldaddb w0, w1, [x2]
ldclr x0, x1, [x2]
ldset w0, w1, [x2]
stadd x0, [x2]
stadd w0, [x2]
swp x0, x1, [x2]
swpal w0, w1, [x2]
cas x0, x1, [x2]
casal w0, w1, [x2]
br x0
blr x16
ret
ret x1
svc #0
svc #0x80
brk #0
brk #0xf000
hlt #0
udf #0
nop
yield
wfe
wfi
sev
dmb ish
dmb sy
dmb ishst
dsb sy
dsb ish
isb
isb sy
mrs x0, tpidr_el0
msr tpidr_el0, x0
mrs x0, cntvct_el0
mrs x0, nzcv
msr fpcr, x0
mrs x0, dczid_el0
mrs x0, ctr_el0
mrs x0, midr_el1
prfm pldl1keep, [x0]
dc zva, x0
ic ivau, x0
crc32w w0, w1, w2
hint #34
bti c
paciasp
autiasp
retaa
eret
hvc #0
smc #0
fmov d0, x0
fmov s0, #1.0
fadd d0, d1, d2
scvtf d0, x0
fcvtzs x0, d0
ldr d0, [x0]
ldr q0, [x0, #16]
str s0, [x0]
stp d8, d9, [sp, #-16]!
movi v0.16b, #0
add v0.4s, v1.4s, v2.4s
ld1 {v0.16b}, [x0]
