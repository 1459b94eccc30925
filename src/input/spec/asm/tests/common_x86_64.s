// What compilers and people write most on x86-64, one form a line.
mov eax, 1
mov rax, 60
mov rdi, -1
mov edi, 42
mov rax, 0x1234567890abcdef
movabs rax, 0x1234567890abcdef
movabs rcx, 5
mov rcx, 0xffffffff
mov rcx, 0x80000000
mov rcx, -2147483648
mov al, 255
mov al, -1
mov ah, 3
mov r15b, 7
mov ax, 0xffff
mov rsi, rsp
mov r10d, r9d
mov bl, ah
mov sil, al
mov qword ptr [rsp], 0
mov dword ptr [rsp + 8], 0xffffffff
mov word ptr [rdi + 2], -1
mov byte ptr [rdi], 10
mov [rdi], rax
mov [rdi + 8], eax
mov [rdi + rcx*2], ax
mov [rdi + rcx], al
mov rax, [rsp + 8]
mov rax, qword ptr [rbp - 16]
mov eax, dword ptr [rbx + rcx*4 + 12]
mov rax, [rcx*8]
mov rax, [r12]
mov rax, [r13]
mov rax, [rsp]
mov rax, [rbp]
mov rax, fs:[0]
mov rax, fs:[0x28]
mov rax, qword ptr gs:[0x60]
mov rax, gs:[rcx + 8]
mov eax, [rax + 0x12345678]
mov eax, [ecx]
mov rax, [0x1000]
lea rax, [rdi + rsi*8 + 16]
lea rsi, [rip + 0x10]
lea eax, [rdi + rdi*2]
lea rdx, [rsp - 128]
lea r8, [r9 + r10*4]
add rax, 1
add rax, 127
add rax, 128
add rax, -128
add rax, 0x7fffffff
add rsp, 40
add eax, ebx
add [rdi], eax
add eax, [rdi]
add byte ptr [rdi], 1
add qword ptr [rdi + 8], 1000
add al, 5
sub rsp, 40
sub rcx, rdx
sub dword ptr [rsp + 4], 1
adc rdx, 0
sbb rax, rax
cmp rax, -4095
cmp rax, rbx
cmp byte ptr [rsi], 0
cmp byte ptr [rsi + rcx], 10
cmp eax, 0xffffffff
cmp dword ptr [rdi], 5
cmp al, 'a'
cmp [rdi], rcx
test eax, eax
test rax, rax
test al, 1
test edi, 0xff
test dword ptr [rdi], 4
test byte ptr [rdi + 5], 0x80
test [rdi], rcx
and eax, 0xff
and rsp, -16
and rax, rcx
and dword ptr [rdi], 0x7fffffff
or eax, 0x80000000
or rax, rcx
or byte ptr [rdi], 1
xor eax, eax
xor rax, rax
xor ecx, [rdi]
xor r8d, r8d
not rax
not dword ptr [rdi]
neg eax
neg qword ptr [rdi]
inc rax
inc dword ptr [rdi]
inc cl
dec rcx
dec byte ptr [rdi]
mul rcx
mul dword ptr [rdi]
imul rax, rcx
imul rax, rcx, 10
imul eax, [rdi], 1000
imul eax, 7
imul rdx
imul rax, [rdi + 8]
div rcx
div qword ptr [rdi]
idiv ecx
cqo
cdq
cdqe
cwde
shl rax, 3
shl eax, cl
shl rax, 1
shl qword ptr [rdi], 4
sal eax, 2
shr rax, 32
shr byte ptr [rdi], cl
sar rax, 63
sar eax, 1
rol eax, 8
ror rax, 13
rcl al, 1
shld rax, rcx, 4
shrd eax, ecx, cl
movzx eax, al
movzx eax, byte ptr [rdi]
movzx eax, word ptr [rdi + rcx*2]
movzx ecx, cx
movzx r8, r9b
movsx eax, al
movsx rax, byte ptr [rdi]
movsx rax, ax
movsxd rax, ecx
movsxd rax, dword ptr [rdi]
cmove rax, rcx
cmovne eax, [rdi]
cmovg r8, r9
cmovae ecx, edx
cmovs rax, rdx
cmovz eax, ecx
cmovnc rax, rcx
sete al
setne cl
setg byte ptr [rdi]
setb r8b
setnz dl
seta al
push rax
push r12
push 1
push 1000
push -1
push qword ptr [rdi]
pop rax
pop r15
pop qword ptr [rdi + 8]
call rax
call qword ptr [rdi + 8]
call [rax]
jmp rax
jmp qword ptr [rax + rcx*8]
ret
ret 8
leave
enter 16, 0
syscall
nop
hlt
int3
int 0x80
ud2
cpuid
rdtsc
rdtscp
pause
mfence
lfence
sfence
endbr64
cld
std
clc
stc
cmc
sahf
lahf
pushfq
popfq
rep stosb
rep stosq
rep movsb
rep movsq
rep movsd
repne scasb
repe cmpsb
stosb
lodsb
lodsd
movsb
movsq
scasb
cmpsb
xchg rax, rcx
xchg [rdi], eax
xchg al, bl
xadd [rdi], eax
lock xadd [rdi], rax
lock xadd dword ptr [rdi], ecx
lock inc dword ptr [rdi]
lock dec qword ptr [rdi]
lock add dword ptr [rdi], 5
lock cmpxchg [rdi], ecx
lock cmpxchg qword ptr [rdi + 8], rdx
lock cmpxchg16b [rdi]
cmpxchg16b xmmword ptr [rdi]
lock or dword ptr [rsp], 0
lock bts dword ptr [rdi], 3
bswap eax
bswap r10
bt eax, 5
bt rax, rcx
bts rax, 63
btr dword ptr [rdi], 7
bsf eax, ecx
bsr rax, rcx
popcnt rax, rcx
lzcnt eax, ecx
tzcnt rax, [rdi]
in al, dx
in al, 0x60
out dx, al
out 0x80, al
rdmsr
wrmsr
swapgs
iretq
sysretq
xgetbv
cli
sti
wbinvd
movss xmm0, xmm1
movss xmm0, [rdi]
movss dword ptr [rdi], xmm1
movsd xmm0, qword ptr [rdi]
movsd [rsp + 8], xmm8
movsd xmm2, xmm3
movaps xmm0, xmm1
movaps [rsp], xmm6
movups xmm0, [rsi]
movups xmmword ptr [rdi], xmm0
movdqa xmm0, [rsi]
movdqu [rdi], xmm15
movd xmm0, eax
movd eax, xmm0
movq xmm0, rax
movq rax, xmm0
movq xmm0, qword ptr [rdi]
movq [rdi], xmm0
addss xmm0, xmm1
addsd xmm0, [rdi]
subsd xmm1, xmm2
mulsd xmm0, xmm0
divsd xmm0, qword ptr [rsp]
sqrtsd xmm0, xmm1
minsd xmm0, xmm1
maxss xmm0, xmm1
ucomisd xmm0, xmm1
comiss xmm0, xmm1
cvtsi2sd xmm0, eax
cvtsi2sd xmm0, rax
cvtsi2sd xmm0, dword ptr [rdi]
cvttsd2si eax, xmm0
cvttsd2si rax, xmm0
cvtss2sd xmm0, xmm1
cvtsd2ss xmm0, xmm1
addps xmm0, xmm1
mulps xmm0, [rdi]
xorps xmm0, xmm0
andps xmm0, xmm1
pxor xmm0, xmm0
paddd xmm0, xmm1
psubq xmm0, xmm1
pand xmm0, [rdi]
por xmm0, xmm1
pcmpeqb xmm0, xmm1
pcmpeqd xmm0, xmm1
pmovmskb eax, xmm0
pshufd xmm0, xmm1, 0x1b
shufps xmm0, xmm1, 0
unpcklps xmm0, xmm1
punpcklbw xmm0, xmm1
psrldq xmm0, 8
pslld xmm0, 4
aesenc xmm0, xmm1
crc32 eax, cl
rdrand eax
rdseed rax
prefetcht0 [rdi]
clflush [rdi]
fxsave [rdi]
ldmxcsr dword ptr [rdi]
mov ax, ds
mov ds, ax
mov cr0, rax
mov rax, cr3
lgdt [rdi]
lidt [rdi]
invlpg [rdi]
ltr ax
fld qword ptr [rdi]
fstp dword ptr [rdi]
fldz
emms
vaddps ymm0, ymm1, ymm2
vmovaps ymm0, [rdi]
vzeroupper
andn eax, ecx, edx
bextr eax, ecx, edx
shlx rax, rcx, rdx
mulx rax, rcx, rdx
adcx eax, ecx
pdep rax, rcx, rdx
