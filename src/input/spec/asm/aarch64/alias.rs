//! The basic instruction that a line is short for.
//!
//! Many mnemonics of arm64 are another spelling of a more general instruction: `cmp` is a `subs` whose
//! result is thrown away. The Arm Architecture Reference Manual says for each ("alias of") what it stands
//! for; this is that list, so that a line and a disassembly can be compared as the same kind of thing.

use super::Line;
use super::operand::{self, Offset, Operand, Register, Shift};
use crate::input::spec::asm::value::Value;

/// An instruction under its own name.
pub(super) struct Basic {
    pub(super) mnemonic: String,
    pub(super) operands: Vec<Operand>,
}

/// What moves any number that one instruction can make, however: no instruction of its own.
pub(super) const MOVE_NUMBER: &str = "mov";

/// The mnemonics that help can suggest.
pub(super) const MNEMONICS: &[&str] = &[
    "adc", "add", "adds", "adr", "adrp", "and", "ands", "asr", "b", "bfi", "bfxil", "bic", "bics",
    "bl", "blr", "br", "brk", "cbnz", "cbz", "ccmn", "ccmp", "cinc", "clz", "cmn", "cmp", "cneg",
    "csel", "cset", "csetm", "csinc", "csinv", "csneg", "dmb", "dsb", "eon", "eor", "extr", "hlt",
    "isb", "ldadd", "ldaddal", "ldar", "ldaxr", "ldp", "ldr", "ldrb", "ldrh", "ldrsb", "ldrsh",
    "ldrsw", "ldur", "ldxr", "lsl", "lsr", "madd", "mneg", "mov", "movk", "movn", "movz", "mrs",
    "msr", "msub", "mul", "mvn", "neg", "negs", "nop", "orn", "orr", "rbit", "ret", "rev", "ror",
    "sbfx", "sdiv", "smull", "stlr", "stlxr", "stp", "str", "strb", "strh", "stur", "stxr", "sub",
    "subs", "svc", "swp", "sxtb", "sxth", "sxtw", "tbnz", "tbz", "tst", "ubfx", "udiv", "umulh",
    "umull", "uxtb", "uxth", "wfe", "wfi", "yield",
];

/// Instructions of programs and systems that this assembler does not have, though they have no floating-point or
/// vector registers (Arm ARM, C3): errors call them so, and suggest no other that sounds alike.
pub(super) const BEYOND: &[&str] = &[
    "addg",
    "at",
    "autda",
    "autdb",
    "autdza",
    "autdzb",
    "autia",
    "autia1716",
    "autiasp",
    "autiaz",
    "autib",
    "autib1716",
    "autibsp",
    "autibz",
    "autiza",
    "autizb",
    "axflag",
    "blraa",
    "blraaz",
    "blrab",
    "blrabz",
    "braa",
    "braaz",
    "brab",
    "brabz",
    "bti",
    "casp",
    "caspa",
    "caspal",
    "caspl",
    "cfinv",
    "cfp",
    "clrex",
    "cosp",
    "cpp",
    "crc32b",
    "crc32cb",
    "crc32ch",
    "crc32cw",
    "crc32cx",
    "crc32h",
    "crc32w",
    "crc32x",
    "csdb",
    "dc",
    "dcps1",
    "dcps2",
    "dcps3",
    "dgh",
    "drps",
    "dvp",
    "eret",
    "eretaa",
    "eretab",
    "esb",
    "gmi",
    "hint",
    "hvc",
    "ic",
    "irg",
    "ld64b",
    "ldapr",
    "ldaprb",
    "ldaprh",
    "ldapur",
    "ldapurb",
    "ldapurh",
    "ldapursb",
    "ldapursh",
    "ldapursw",
    "ldaxp",
    "ldg",
    "ldgm",
    "ldlar",
    "ldlarb",
    "ldlarh",
    "ldnp",
    "ldpsw",
    "ldraa",
    "ldrab",
    "ldsmax",
    "ldsmin",
    "ldtr",
    "ldtrb",
    "ldtrh",
    "ldtrsb",
    "ldtrsh",
    "ldtrsw",
    "ldumax",
    "ldumin",
    "ldxp",
    "pacda",
    "pacdb",
    "pacdza",
    "pacdzb",
    "pacga",
    "pacia",
    "pacia1716",
    "paciasp",
    "paciaz",
    "pacib",
    "pacib1716",
    "pacibsp",
    "pacibz",
    "paciza",
    "pacizb",
    "prfm",
    "prfum",
    "psb",
    "pssbb",
    "retaa",
    "retab",
    "rev64",
    "rmif",
    "rprfm",
    "sb",
    "setf16",
    "setf8",
    "smc",
    "ssbb",
    "st2g",
    "st64b",
    "st64bv",
    "st64bv0",
    "stg",
    "stgm",
    "stgp",
    "stllr",
    "stllrb",
    "stllrh",
    "stlur",
    "stlurb",
    "stlurh",
    "stlxp",
    "stnp",
    "stsmax",
    "stsmin",
    "stumax",
    "stumin",
    "sttr",
    "sttrb",
    "sttrh",
    "stxp",
    "stz2g",
    "stzg",
    "stzgm",
    "subg",
    "subp",
    "subps",
    "sys",
    "sysl",
    "sysp",
    "tlbi",
    "tlbip",
    "tsb",
    "udf",
    "wfet",
    "wfit",
    "xaflag",
    "xpacd",
    "xpaci",
    "xpaclri",
];

/// Hints and their numbers (Arm ARM, `HINT`).
const HINTS: &[(&str, i128)] =
    &[("nop", 0), ("yield", 1), ("wfe", 2), ("wfi", 3), ("sev", 4), ("sevl", 5)];

/// Atomic operations that can throw the old value away: `stadd` is `ldadd` to the zero register.
pub(super) const ATOMICS: &[&str] = &["add", "clr", "eor", "set", "smax", "smin", "umax", "umin"];

/// What `line` is short for.
///
/// # Errors
/// What is wrong with its operands, where the manual's text for the alias says it.
pub(super) fn basic(line: &Line) -> Result<Basic, String> {
    let mnemonic = &*line.mnemonic;
    let operands = &line.operands[..];
    let (mnemonic, operands) = match rewritten(mnemonic, operands)? {
        Some((mnemonic, operands)) => (mnemonic, operands),
        None => (mnemonic.to_owned(), operands.to_vec()),
    };
    let basic = normal(mnemonic, operands);
    match unpredictable(&basic) {
        Some(problem) => Err(problem.to_owned()),
        None => Ok(basic),
    }
}

/// What the manual calls "constrained unpredictable" of an instruction that can be encoded: processors
/// differ in what they do.
fn unpredictable(basic: &Basic) -> Option<&'static str> {
    let registers: Vec<_> = basic
        .operands
        .iter()
        .filter_map(|operand| match operand {
            Operand::Register(register) => Some(*register),
            _ => None,
        })
        .collect();
    let Some(Operand::Memory { base, offset }) = basic.operands.last() else { return None };
    let same = |first: usize, second: usize| {
        let (first, second) = (registers.get(first), registers.get(second));
        first.is_some_and(|first| second.is_some_and(|second| first.number == second.number))
    };
    let has_base = |registers: &[Register]| {
        registers.iter().any(|register| register.number == base.number && base.number != 31)
    };
    let mnemonic = &*basic.mnemonic;
    let writes_back = matches!(offset, Offset::Before(_) | Offset::After(_));
    let is_exclusive_store = mnemonic.starts_with("stxr") || mnemonic.starts_with("stlxr");
    if ["ldp", "ldpsw", "ldnp", "ldxp", "ldaxp"].contains(&mnemonic) && same(0, 1) {
        Some("two values are loaded into one register")
    } else if writes_back && has_base(&registers) {
        Some("the register of the address is changed twice, or stored while it changes")
    } else if is_exclusive_store && (same(0, 1) || has_base(registers.get(..1).unwrap_or_default()))
    {
        Some("the register that says whether it was stored is used for something else")
    } else {
        None
    }
}

type Rewritten = Option<(String, Vec<Operand>)>;

fn rewritten(mnemonic: &str, operands: &[Operand]) -> Result<Rewritten, String> {
    use Operand::{Condition, Memory, Number as N, Register as R};
    let number = |number: i128| N(Value::of_number(number, 0..0));
    let some = |mnemonic: &str, operands: Vec<Operand>| Ok(Some((mnemonic.to_owned(), operands)));
    let zero = |like: &Register| R(Register::zero(like.is_wide));
    if let Some(&(_, hint)) = HINTS.iter().find(|(name, _)| *name == mnemonic)
        && operands.is_empty()
    {
        return some("hint", vec![number(hint)]);
    }
    match (mnemonic, operands) {
        ("mov", [R(to), R(from)]) if to.is_stack_pointer || from.is_stack_pointer => {
            some("add", vec![R(*to), R(*from), number(0)])
        }
        ("mov", [R(to), R(from)]) => some("orr", vec![R(*to), zero(to), R(*from)]),
        ("mvn", [R(to), from]) => some("orn", vec![R(*to), zero(to), from.clone()]),
        ("neg" | "negs" | "ngc" | "ngcs", [R(to), from]) => {
            let basic = [("neg", "sub"), ("negs", "subs"), ("ngc", "sbc"), ("ngcs", "sbcs")];
            let basic = basic.iter().find(|(alias, _)| *alias == mnemonic);
            some(basic.map_or("", |(_, basic)| basic), vec![R(*to), zero(to), from.clone()])
        }
        ("cmp" | "cmn" | "tst", [R(first), second]) => {
            let basic = match mnemonic {
                "cmp" => "subs",
                "cmn" => "adds",
                _ => "ands",
            };
            some(basic, vec![zero(first), R(*first), second.clone()])
        }
        ("mul" | "mneg" | "smull" | "umull" | "smnegl" | "umnegl", [R(to), first, second]) => {
            let basic = match mnemonic {
                "mul" => "madd",
                "mneg" => "msub",
                "smull" => "smaddl",
                "umull" => "umaddl",
                "smnegl" => "smsubl",
                _ => "umsubl",
            };
            some(basic, vec![R(*to), first.clone(), second.clone(), zero(to)])
        }
        ("lsl" | "lsr" | "asr" | "ror", [to, from, R(by)]) => {
            some(&format!("{mnemonic}v"), vec![to.clone(), from.clone(), R(*by)])
        }
        ("lsl" | "lsr" | "asr" | "ror", [R(to), R(from), N(by)]) => {
            shift(mnemonic, *to, *from, by.number).map(Some)
        }
        (
            "ubfx" | "sbfx" | "bfxil" | "ubfiz" | "sbfiz" | "bfi",
            [R(to), R(from), N(lsb), N(width)],
        ) => bit_field(mnemonic, *to, *from, lsb.number, width.number).map(Some),
        ("bfc", [R(to), N(lsb), N(width)]) => {
            bit_field("bfi", *to, Register::zero(to.is_wide), lsb.number, width.number).map(Some)
        }
        ("uxtb" | "uxth" | "sxtb" | "sxth" | "sxtw", [R(to), R(from)]) => {
            let last = match mnemonic {
                "uxtb" | "sxtb" => 7,
                "uxth" | "sxth" => 15,
                _ => 31,
            };
            let is_signed = mnemonic.starts_with('s');
            if from.is_wide || to.is_wide && !is_signed || !to.is_wide && last == 31 {
                return Err(
                    "it extends a `w` register, and only `sxt…` into an `x` register".to_owned()
                );
            }
            let from = Register { is_wide: to.is_wide, ..*from };
            let basic = if is_signed { "sbfm" } else { "ubfm" };
            some(basic, vec![R(*to), R(from), number(0), number(last)])
        }
        ("cset" | "csetm", [R(to), Condition(condition)]) => {
            let basic = if mnemonic == "cset" { "csinc" } else { "csinv" };
            let inverted = inverted(*condition)?;
            some(basic, vec![R(*to), zero(to), zero(to), inverted])
        }
        ("cinc" | "cinv" | "cneg", [to, from, Condition(condition)]) => {
            let basic = match mnemonic {
                "cinc" => "csinc",
                "cinv" => "csinv",
                _ => "csneg",
            };
            let inverted = inverted(*condition)?;
            some(basic, vec![to.clone(), from.clone(), from.clone(), inverted])
        }
        ("ret", []) => some("ret", vec![R(Register { number: 30, ..Register::zero(true) })]),
        ("isb", []) => some("isb", vec![Operand::Barrier(15)]),
        ("movz" | "movn" | "movk", [to, N(value)]) => {
            some(mnemonic, vec![to.clone(), Operand::ShiftedNumber(value.clone(), 0)])
        }
        ("tbz" | "tbnz", [R(register), N(bit), target]) if register.is_wide && bit.number < 32 => {
            let narrow = Register { is_wide: false, ..*register };
            some(mnemonic, vec![R(narrow), N(bit.clone()), target.clone()])
        }
        (_, [R(from), Memory { .. }])
            if mnemonic.strip_prefix("st").is_some_and(|operation| {
                ATOMICS.iter().any(|atomic| operation.starts_with(atomic))
            }) =>
        {
            some(&format!("ld{}", &mnemonic[2..]), vec![R(*from), zero(from), operands[1].clone()])
        }
        _ => Ok(None),
    }
}

fn inverted(condition: u8) -> Result<Operand, String> {
    match condition {
        0..=13 => Ok(Operand::Condition(condition ^ 1)),
        _ => Err(format!("the condition `{}` has no opposite", operand::condition_name(condition))),
    }
}

/// A shift by a constant, as a bit field move or an extraction.
fn shift(
    mnemonic: &str,
    to: Register,
    from: Register,
    by: i128,
) -> Result<(String, Vec<Operand>), String> {
    let bits = i128::from(to.bits());
    if !(0..bits).contains(&by) {
        return Err(format!("a shift of {bits} bits is by 0 to {}, not {by}", bits - 1));
    }
    let number = |number: i128| Operand::Number(Value::of_number(number, 0..0));
    let (to, from) = (Operand::Register(to), Operand::Register(from));
    let (basic, operands) = match mnemonic {
        "lsl" => ("ubfm", vec![to, from, number((bits - by) % bits), number(bits - 1 - by)]),
        "lsr" => ("ubfm", vec![to, from, number(by), number(bits - 1)]),
        "asr" => ("sbfm", vec![to, from, number(by), number(bits - 1)]),
        _ => ("extr", vec![to, from.clone(), from, number(by)]),
    };
    Ok((basic.to_owned(), operands))
}

/// A bit field that is taken out or put in.
fn bit_field(
    mnemonic: &str,
    to: Register,
    from: Register,
    lsb: i128,
    width: i128,
) -> Result<(String, Vec<Operand>), String> {
    let bits = i128::from(to.bits());
    if !(0..bits).contains(&lsb) || !(1..=bits - lsb).contains(&width) {
        return Err(format!("{width} bits from bit {lsb} on are not within {bits} bits"));
    }
    let (immr, imms) = match mnemonic {
        "ubfx" | "sbfx" | "bfxil" => (lsb, lsb + width - 1),
        _ => ((bits - lsb) % bits, width - 1),
    };
    let basic = match &mnemonic[..1] {
        "u" => "ubfm",
        "s" => "sbfm",
        _ => "bfm",
    };
    let number = |number: i128| Operand::Number(Value::of_number(number, 0..0));
    let (to, from) = (Operand::Register(to), Operand::Register(from));
    Ok((basic.to_owned(), vec![to, from, number(immr), number(imms)]))
}

/// The same with what has several spellings in one of them.
fn normal(mut mnemonic: String, mut operands: Vec<Operand>) -> Basic {
    // Two conditions have two names: `b.lo` is `b.cc`.
    if let Some(number) = mnemonic.strip_prefix("b.").and_then(operand::condition) {
        mnemonic = format!("b.{}", operand::condition_name(number));
    }
    let is_sum = matches!(&*mnemonic, "add" | "adds" | "sub" | "subs");
    if is_sum
        && let [_, _, last] = &mut operands[..]
        && let Operand::Number(value) | Operand::ShiftedNumber(value, 0 | 12) = &*last
    {
        let shift = if let Operand::ShiftedNumber(_, shift) = &*last { *shift } else { 0 };
        let mut number = value.number << shift;
        // What is added as a negative number is subtracted.
        if number < 0 {
            number = -number;
            let (add, sub) = (mnemonic.replace("sub", "add"), mnemonic.replace("add", "sub"));
            mnemonic = if mnemonic == add { sub } else { add };
        }
        *last = Operand::Number(Value::of_number(number, 0..0));
    }
    let is_logical = matches!(&*mnemonic, "and" | "ands" | "orr" | "eor");
    if is_logical
        && let [Operand::Register(to), _, Operand::Number(value)] = &mut operands[..]
        && (-(1 << (to.bits() - 1))..1 << to.bits()).contains(&value.number)
    {
        // A negative number is the same bits as a positive one.
        value.number &= (1 << to.bits()) - 1;
    }
    if let [Operand::Register(to), Operand::Register(from), last] = &mut operands[..]
        && let Operand::Shifted(register, shift, amount) = *last
    {
        let extends = if register.is_wide { Shift::Uxtx } else { Shift::Uxtw };
        // To extend a whole register is not to extend it. (The form that extends has no zero registers but
        // what `cmp` writes to.)
        let can_extend = is_sum
            && register.is_wide == to.is_wide
            && amount <= 4
            && !from.is_zero()
            && (!to.is_zero() || mnemonic.ends_with('s'));
        if shift == Shift::Lsl || shift == extends && can_extend {
            *last = match amount {
                0 => Operand::Register(register),
                _ => Operand::Shifted(register, Shift::Lsl, amount),
            };
        }
    }
    if let Some(Operand::Memory { offset: Offset::Register(index, shift, _), .. }) =
        operands.last_mut()
        && *shift == Shift::Uxtx
        && index.is_wide
    {
        *shift = Shift::Lsl;
    }
    Basic { mnemonic, operands }
}

impl Basic {
    pub(super) fn spelling(&self) -> String {
        operand::spelling(&self.mnemonic, &self.operands)
    }
}
