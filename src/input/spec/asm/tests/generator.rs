//! Makes lines that are instructions, or nearly so. The same seed gives the same lines.

/// A small generator of numbers (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % limit
    }

    fn small(&mut self, limit: u8) -> i64 {
        i64::try_from(self.below(limit.into())).unwrap_or_default()
    }

    pub(super) fn one_of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A number, often one at the edge of a field.
    fn number(&mut self) -> i128 {
        let width = [3, 7, 8, 9, 12, 15, 16, 31, 32, 33, 63, 64][self.below(12)];
        let edge = 1i128 << width;
        match self.below(8) {
            0 => edge - 1,
            1 => edge,
            2 => -edge,
            3 => 1 - edge,
            4 | 5 => i128::try_from(self.below(300)).unwrap_or_default() - 20,
            _ => i128::from(self.next()) % edge,
        }
    }
}

const R64: &[&str] = &[
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
const R32: &[&str] = &[
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
    "r13d", "r14d", "r15d",
];
const R16: &[&str] = &["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r13w", "r15w"];
const R8: &[&str] =
    &["al", "cl", "dl", "bl", "ah", "ch", "dh", "bh", "spl", "bpl", "sil", "dil", "r8b", "r15b"];
const XMM: &[&str] = &["xmm0", "xmm1", "xmm7", "xmm8", "xmm15"];
const SIZES: &[&str] = &["byte ptr ", "word ptr ", "dword ptr ", "qword ptr ", "xmmword ptr ", ""];

/// The operands that a mnemonic takes, by letter: r, a register of the line's width; b, w, d, q, x one of
/// that kind; m, memory of the line's width; M, of any; i, a number; s, a small one; c, `cl`; e, register
/// or memory.
const X86_64: &[(&str, &[&str])] = &[
    ("mov add sub cmp and or xor adc sbb test", &["r,r", "r,m", "m,r", "r,i", "m,i", "r,s", "m,s"]),
    ("inc dec neg not mul imul div idiv", &["r", "m"]),
    ("imul", &["r,r", "r,m", "r,r,s", "r,m,i", "r,i"]),
    ("shl shr sar rol ror rcl rcr sal", &["r,s", "r,c", "m,s", "m,c", "r"]),
    ("lea", &["r,M", "q,M", "d,M"]),
    ("movzx movsx", &["r,b", "r,w", "r,M"]),
    ("movsxd", &["q,d", "q,M"]),
    ("push pop", &["q", "w", "M", "s"]),
    ("push", &["i"]),
    ("xchg xadd cmpxchg", &["r,r", "m,r"]),
    ("bswap", &["d", "q"]),
    ("bt bts btr btc", &["r,r", "m,r", "r,s", "m,s"]),
    ("bsf bsr popcnt lzcnt tzcnt", &["r,r", "r,m"]),
    ("cmove cmovne cmovl cmovge cmova cmovbe cmovs cmovnz cmovc", &["r,r", "r,m"]),
    ("sete setne setl setg seta setb setz setnc", &["b", "M"]),
    ("shld shrd", &["r,r,s", "r,r,c", "m,r,s"]),
    ("call jmp", &["q", "M", "d"]),
    (
        "ret syscall nop leave hlt ud2 int3 cqo cdq cdqe cwde cpuid rdtsc mfence lfence sfence pause clc stc cld std",
        &[""],
    ),
    ("movsb movsw movsd movsq stosb stosw stosd stosq lodsb lodsq scasb cmpsb cmpsq", &[""]),
    ("movss movsd movaps movups movapd movdqa movdqu", &["x,x", "x,M", "M,x"]),
    (
        "addss addsd subsd mulsd divss sqrtsd ucomisd comiss minsd maxss addps addpd mulps xorps andpd pxor por pand paddd paddq psubb pcmpeqb",
        &["x,x", "x,M"],
    ),
    ("cvtsi2sd cvtsi2ss", &["x,r", "x,M"]),
    ("cvttsd2si cvtsd2si cvttss2si", &["r,x", "r,M"]),
    ("cvtss2sd cvtsd2ss", &["x,x", "x,M"]),
    ("movd movq", &["x,r", "r,x", "x,M", "M,x", "x,x"]),
    ("pshufd shufps", &["x,x,s", "x,M,s"]),
    ("ret int enter in out", &["s", "r,s", "s,s"]),
];

const PREFIXES: &[&str] = &["lock ", "rep ", "repne ", "repe "];

fn scaled_register(random: &mut Random) -> String {
    let register = random.one_of(R64);
    match random.below(3) {
        0 => register.to_owned(),
        _ => format!("{register}*{}", [1, 2, 4, 8][random.below(4)]),
    }
}

fn displacement(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("{:+}", random.number()),
        _ => format!("{:+}", random.small(255) - 130),
    }
}

fn x86_64_memory(random: &mut Random, size: &str) -> String {
    let segment = if random.once_in(20) { random.one_of(&["fs:", "gs:"]) } else { "" };
    let address = match random.below(8) {
        0 | 1 => random.one_of(R64).to_owned(),
        2 => format!("{}{}", random.one_of(R64), displacement(random)),
        3 => format!("{}+{}", random.one_of(R64), scaled_register(random)),
        4 => format!("{}+{}{}", random.one_of(R64), scaled_register(random), displacement(random)),
        5 => format!("rip{}", displacement(random)),
        6 => format!("{}+{}", random.one_of(R32), random.one_of(R32)),
        _ => format!("{}{}", scaled_register(random), displacement(random)),
    };
    format!("{size}{segment}[{address}]")
}

/// A line for x86-64.
pub(super) fn x86_64(random: &mut Random) -> String {
    let (mnemonics, forms) = X86_64[random.below(X86_64.len())];
    let mnemonics: Vec<_> = mnemonics.split(' ').collect();
    let mnemonic = random.one_of(&mnemonics);
    let width = random.below(4);
    let of_width = [R8, R16, R32, R64];
    let form = random.one_of(forms);
    let operands: Vec<_> = form
        .split(',')
        .filter(|operand| !operand.is_empty())
        .map(|operand| {
            // Now and then something of another width, for what must be refused.
            let odd = random.once_in(25);
            let width = if odd { random.below(4) } else { width };
            match operand {
                "r" => random.one_of(of_width[width]).to_owned(),
                "b" => random.one_of(R8).to_owned(),
                "w" => random.one_of(R16).to_owned(),
                "d" => random.one_of(R32).to_owned(),
                "q" => random.one_of(R64).to_owned(),
                "x" => random.one_of(XMM).to_owned(),
                "c" => "cl".to_owned(),
                "i" => random.number().to_string(),
                "s" => (random.small(70) - 3).to_string(),
                "m" => {
                    let size = if random.once_in(4) { "" } else { SIZES[width] };
                    x86_64_memory(random, size)
                }
                _ => {
                    let size = random.one_of(SIZES);
                    x86_64_memory(random, size)
                }
            }
        })
        .collect();
    let prefix = if random.once_in(20) { random.one_of(PREFIXES) } else { "" };
    format!("{prefix}{mnemonic} {}", operands.join(", ")).trim_end().to_owned()
}

const CONDITIONS: &[&str] = &[
    "eq", "ne", "cs", "hs", "cc", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le",
    "al",
];

/// The operands that a mnemonic takes, by letter: r, a register of the line's width; w, x one of that
/// width; s, one that can be the stack pointer; i, a number; b, the number of a bit; m, memory; p, memory
/// for pairs; a, an address in a register; c, a condition; S, a shifted register; E, an extended one; B, a
/// number of ones and zeros in a row; h, 16 bits with a shift.
const AARCH64: &[(&str, &[&str])] = &[
    ("add sub adds subs", &["r,r,r", "s,s,i", "r,r,S", "s,s,E", "x,x,E"]),
    ("and orr eor ands", &["r,r,r", "r,r,B", "r,r,S", "r,r,i", "s,r,B"]),
    ("bic orn eon bics", &["r,r,r", "r,r,S"]),
    ("cmp cmn", &["r,r", "s,i", "r,S", "s,E"]),
    ("tst", &["r,r", "r,B", "r,S"]),
    ("mov", &["r,r", "s,s", "r,i", "r,B"]),
    ("movz movn movk", &["r,h", "r,i"]),
    ("mvn neg negs", &["r,r", "r,S"]),
    ("mul mneg udiv sdiv lsl lsr asr ror", &["r,r,r"]),
    ("lsl lsr asr ror", &["r,r,b"]),
    ("madd msub", &["r,r,r,r"]),
    ("smull umull", &["x,w,w"]),
    ("smulh umulh", &["x,x,x"]),
    ("smaddl umaddl", &["x,w,w,x"]),
    ("ubfx sbfx bfi bfxil ubfiz sbfiz", &["r,r,b,b"]),
    ("sxtb sxth sxtw uxtb uxth", &["r,w", "x,w"]),
    ("extr", &["r,r,r,b"]),
    ("clz cls rbit rev rev16", &["r,r"]),
    ("csel csinc csinv csneg", &["r,r,r,c"]),
    ("cset csetm", &["r,c"]),
    ("cinc cinv cneg", &["r,r,c"]),
    ("ccmp ccmn", &["r,r,n,c", "r,b,n,c"]),
    ("ldr str", &["r,m"]),
    ("ldrb strb ldrh strh", &["w,m", "r,m"]),
    ("ldrsb ldrsh", &["r,m"]),
    ("ldrsw", &["x,m"]),
    ("ldur stur", &["r,m"]),
    ("ldp stp", &["r,r,p"]),
    ("ldxr ldaxr ldar stlr", &["r,a"]),
    ("stxr stlxr", &["w,r,a"]),
    ("ldxrb ldarh stlrb", &["w,a"]),
    ("ldadd ldaddal ldclr ldset swp swpal ldaddb swph cas casal", &["r,r,a"]),
    ("stadd stclr", &["r,a"]),
    ("br blr ret", &["x", ""]),
    ("svc brk hlt", &["i", "b"]),
    ("nop yield wfe wfi isb", &[""]),
    ("dmb dsb", &["o"]),
    ("mrs", &["x,y"]),
    ("msr", &["y,x"]),
];

fn aarch64_register(random: &mut Random, is_wide: bool, at_31: &str) -> String {
    let letter = if is_wide { 'x' } else { 'w' };
    match random.below(10) {
        0 if at_31 == "sp" => if is_wide { "sp" } else { "wsp" }.to_owned(),
        0 => format!("{letter}zr"),
        _ => format!("{letter}{}", random.below(31)),
    }
}

fn aarch64_memory(random: &mut Random, for_pairs: bool) -> String {
    let base = aarch64_register(random, true, "sp");
    let scale = [1, 2, 4, 8][random.below(4)];
    let small = (random.small(140) - 70) * scale;
    let index = |random: &mut Random, is_wide| aarch64_register(random, is_wide, "zr");
    match random.below(if for_pairs { 5 } else { 10 }) {
        0 => format!("[{base}]"),
        1 => format!("[{base}, #{small}]"),
        2 => format!("[{base}, #{small}]!"),
        3 => format!("[{base}], #{small}"),
        4 => format!("[{base}, #{}]", random.number()),
        5 => format!("[{base}, {}]", index(random, true)),
        6 => format!("[{base}, {}, lsl #{}]", index(random, true), random.below(4)),
        7 => format!("[{base}, {}, uxtw #{}]", index(random, false), random.below(4)),
        8 => format!("[{base}, {}, sxtw]", index(random, false)),
        _ => format!("[{base}, {}, sxtx #{}]", index(random, true), random.below(4)),
    }
}

/// A line for arm64.
pub(super) fn aarch64(random: &mut Random) -> String {
    let (mnemonics, forms) = AARCH64[random.below(AARCH64.len())];
    let mnemonics: Vec<_> = mnemonics.split(' ').collect();
    let mnemonic = random.one_of(&mnemonics);
    let line_is_wide = random.once_in(2);
    let form = random.one_of(forms);
    let operands: Vec<_> = form
        .split(',')
        .filter(|operand| !operand.is_empty())
        .map(|operand| {
            let is_wide = line_is_wide != random.once_in(25);
            let bits = if is_wide { 64 } else { 32 };
            match operand {
                "r" => aarch64_register(random, is_wide, "zr"),
                "w" => aarch64_register(random, false, "zr"),
                "x" => aarch64_register(random, true, "zr"),
                "s" => aarch64_register(random, is_wide, "sp"),
                "i" => format!("#{}", random.number()),
                "b" => format!("#{}", random.below(bits + 1)),
                "n" => format!("#{}", random.below(17)),
                "m" => aarch64_memory(random, false),
                "p" => aarch64_memory(random, true),
                "a" => format!("[{}]", aarch64_register(random, true, "sp")),
                "c" => random.one_of(CONDITIONS).to_owned(),
                "S" => {
                    let shift = random.one_of(&["lsl", "lsr", "asr", "ror"]);
                    let register = aarch64_register(random, is_wide, "zr");
                    format!("{register}, {shift} #{}", random.below(bits + 1))
                }
                "E" => {
                    let extend = random
                        .one_of(&["uxtb", "uxth", "uxtw", "sxtb", "sxth", "sxtw", "uxtx", "sxtx"]);
                    let register = aarch64_register(random, extend.ends_with('x'), "zr");
                    format!("{register}, {extend} #{}", random.below(6))
                }
                "B" => {
                    let size = [2, 4, 8, 16, 32, 64][random.below(6)].min(bits);
                    let ones = 1 + random.below(size - 1);
                    let run = (1u128 << ones) - 1;
                    let by = random.below(size);
                    let element = (run << by | run >> (size - by)) & ((1 << size) - 1);
                    let value = (0..bits / size).fold(0, |v, copy| v | element << (copy * size));
                    format!("#{value:#x}")
                }
                "h" => {
                    format!("#{}, lsl #{}", random.below(1 << 16), [0, 16, 32, 48][random.below(4)])
                }
                "o" => random
                    .one_of(&["ish", "sy", "ishst", "ishld", "osh", "nsh", "ld", "st"])
                    .to_owned(),
                "y" => {
                    random.one_of(&["tpidr_el0", "nzcv", "fpcr", "fpsr", "cntvct_el0"]).to_owned()
                }
                _ => unreachable!("{operand} is no letter of the table"),
            }
        })
        .collect();
    format!("{mnemonic} {}", operands.join(", ")).trim_end().to_owned()
}
