//! arm64: reads a statement, has it encoded, and has the encoding read back.

mod alias;
mod check;
mod operand;
mod patch;

use super::encoder::{Refusal, propose};
use super::fragment::{Code, Instruction, Reference};
use super::value::{Part, Symbol, Value};
use super::{Context, Dialect, Statement};
use crate::arch::aarch64::{
    ADR21, BRANCH14, BRANCH19, CALL26, GOTPAGE21, GOTPAGEOFF12, GOTTPREL_LO12, GOTTPREL_PAGE21,
    JUMP26, LITERAL19, PAGE21, PAGEOFF12, SECREL_HI12, SECREL_LO12, TLSDESC_LO12, TLSDESC_PAGE21,
    TLVP_PAGE21, TLVP_PAGEOFF12, TPREL_HI12, TPREL_LO12,
};
use crate::error::{Error, ErrorKind};
use crate::input::spec::document::all_of;
use crate::program::RelocationKind;
use crate::target::Architecture;

use alias::Basic;
use operand::{Offset, Operand, is_register};

pub(super) static DIALECT: Dialect = Dialect {
    architecture: Architecture::Aarch64,
    comment: "//",
    number_sign_is_comment: false,
    is_register,
    instruction,
    granule: 4,
    padding,
};

/// A statement as it was read.
pub(super) struct Line {
    /// In lower case, with a dot before a condition.
    mnemonic: String,
    operands: Vec<Operand>,
}

/// What helps where the assembler does not.
const BYTES: &str = "if it is an instruction, write it as a word: `.inst 0x…`, or use `hex`";

fn instruction(statement: &Statement<'_>, context: &Context<'_>) -> Result<Instruction, Error> {
    let mnemonic = statement.mnemonic.text.to_ascii_lowercase();
    if alias::BEYOND.contains(&&*mnemonic) {
        // Its operands have words of their own, which are not to be taken for symbols.
        let message = format!("`{mnemonic}` is beyond this assembler");
        let range = statement.mnemonic.range.clone();
        return Err(context.error(ErrorKind::Unsupported, message, range).help(BYTES));
    }
    let line = read_line(statement, context)?;
    let reference = line.reference(context)?;
    let basic =
        alias::basic(&line).map_err(|problem| wrong_operands(&problem, statement, context))?;
    match encode(&line, &basic) {
        Ok(word) => {
            let bytes = word.to_le_bytes().to_vec();
            Ok(Instruction { code: Code { bytes, reference }, short: None })
        }
        Err(failure) => Err(failed(failure, &line, statement, context)),
    }
}

/// Why there is no word for a line.
enum Failure {
    Refused(Refusal),
    /// The word that was proposed.
    Misread(u32),
}

/// The word that says what `basic` says. The assembler is asked with the line as it stands, then with
/// the basic instruction that it is short for, as it knows some forms only under one name; then the bits
/// that it is known to get wrong are patched. Each answer is read back, and the first right one is taken.
fn encode(line: &Line, basic: &Basic) -> Result<u32, Failure> {
    let mut failure = None;
    let spellings = [operand::spelling(&line.mnemonic, &line.operands), basic.spelling()];
    let patched = patch::attempts(basic);
    let attempts = spellings.into_iter().map(|spelling| (spelling, patch::NONE)).chain(patched);
    for (spelling, patch) in attempts {
        let word = propose(&spelling, Architecture::Aarch64).and_then(|proposal| {
            // What reaches farther than the instruction itself is several; that is not what is said.
            let word = proposal.short.unwrap_or(proposal.bytes).try_into();
            word.map_err(|_| Refusal::Other("that is more than one instruction".to_owned()))
        });
        match word {
            Ok(word) => {
                let word = patch.apply(u32::from_le_bytes(word));
                if check::says(word, basic) {
                    return Ok(word);
                }
                failure.get_or_insert(Failure::Misread(word));
            }
            Err(refusal) => _ = failure.get_or_insert(Failure::Refused(refusal)),
        }
    }
    Err(failure.unwrap_or(Failure::Refused(Refusal::UnknownMnemonic)))
}

fn failed(
    failure: Failure,
    line: &Line,
    statement: &Statement<'_>,
    context: &Context<'_>,
) -> Error {
    let text = statement.text;
    let range = statement.range.clone();
    let help = number_help(line).unwrap_or_else(|| BYTES.to_owned());
    let error = |message: String| {
        context.error(ErrorKind::Unsupported, message, range.clone()).help(help.clone())
    };
    match failure {
        Failure::Misread(word) => match check::meaning(word) {
            Some(meaning) => error(format!("`{text}` would become `{meaning}`")),
            None => error(format!("`{text}` cannot be encoded")),
        },
        Failure::Refused(Refusal::UnknownMnemonic) => {
            let message = format!("no instruction `{}` is known to this assembler", line.mnemonic);
            let range = statement.mnemonic.range.clone();
            let error = context
                .error(ErrorKind::Unsupported, message, range)
                .nearest(&line.mnemonic, alias::MNEMONICS.iter().copied());
            match error.help {
                Some(_) => error,
                None => error.help(BYTES),
            }
        }
        Failure::Refused(Refusal::Other(words)) => {
            let words = words.replace(super::encoder::LABEL, "the symbol");
            let words = words.strip_prefix(&format!("{}: ", line.mnemonic)).unwrap_or(&words);
            error(format!("`{text}` cannot be encoded: {}", words.escape_debug()))
        }
        Failure::Refused(Refusal::Panic) => error(format!("the assembler broke down on `{text}`")),
    }
}

/// What to write for a number that the instruction cannot hold.
fn number_help(line: &Line) -> Option<String> {
    match (&*line.mnemonic, &line.operands[..]) {
        ("mov", [Operand::Register(to), Operand::Number(value)]) => {
            let is_in_range = (-(1 << (to.bits() - 1))..1 << to.bits()).contains(&value.number);
            let bits = u64::try_from(value.number & ((1 << to.bits()) - 1)).ok();
            let bits = bits.filter(|_| is_in_range)?;
            let name = to.name();
            let parts = (0..to.bits()).step_by(16).map(|shift| (shift, bits >> shift & 0xffff));
            let parts = parts.filter(|&(_, part)| part != 0).enumerate();
            let moves = parts.map(|(index, (shift, part))| {
                let mnemonic = if index == 0 { "movz" } else { "movk" };
                match shift {
                    0 => format!("{mnemonic} {name}, #{part:#x}"),
                    _ => format!("{mnemonic} {name}, #{part:#x}, lsl #{shift}"),
                }
            });
            let moves: Vec<_> = moves.collect();
            Some(format!("one `mov` cannot make this number: write {}", moves.join(" and ")))
        }
        ("and" | "ands" | "orr" | "eor", [_, _, Operand::Number(_)])
        | ("tst", [_, Operand::Number(_)]) => Some(
            "a logical immediate is a run of ones, rotated and repeated: move other numbers into a register first"
                .to_owned(),
        ),
        _ => None,
    }
}

fn wrong_operands(problem: &str, statement: &Statement<'_>, context: &Context<'_>) -> Error {
    let message = format!("`{}`: {problem}", statement.text);
    context.error(ErrorKind::Syntax, message, statement.range.clone())
}

fn read_line(statement: &Statement<'_>, context: &Context<'_>) -> Result<Line, Error> {
    let mut mnemonic = statement.mnemonic.text.to_ascii_lowercase();
    // `beq` is `b.eq`.
    if let Some(condition) = mnemonic.strip_prefix('b')
        && operand::condition(condition).is_some()
    {
        mnemonic = format!("b.{condition}");
    }
    let mut operands: Vec<Operand> = Vec::new();
    for tokens in super::operands(statement.rest, context)? {
        let operand = operand::parse(tokens, &mnemonic, context)?;
        // `[x0], #8` is one operand: what is added to the register afterwards.
        let joined = operands.last_mut().is_some_and(|last| last.take_post_index(&operand));
        // `x1, lsl #3` and `#1, lsl #12` are one operand, too.
        let joined = joined || operands.last_mut().is_some_and(|last| last.take_shift(&operand));
        if !joined {
            operands.push(operand);
        }
    }
    if let Some(Operand::Shift(_, _, range)) =
        operands.iter().find(|operand| matches!(operand, Operand::Shift(..)))
    {
        let message = "a shift stands behind a register or a number";
        return Err(context.error(ErrorKind::Syntax, message, range.clone()));
    }
    Ok(Line { mnemonic, operands })
}

impl Line {
    /// What the link or the text has to fill in.
    fn reference(&self, context: &Context<'_>) -> Result<Option<Reference>, Error> {
        let is_branch = matches!(&*self.mnemonic, "b" | "bl" | "cbz" | "cbnz" | "tbz" | "tbnz")
            || self.mnemonic.starts_with("b.");
        if let (true, Some(Operand::Number(value))) = (is_branch, self.operands.last()) {
            let message = format!("`{}` goes to a name, not to a number", self.mnemonic);
            return Err(context.error(ErrorKind::InvalidValue, message, value.range.clone()));
        }
        let mut values = self.operands.iter().filter_map(|operand| match operand {
            Operand::Symbol(value) => Some((value, false)),
            Operand::Memory { offset: Offset::Symbol(value), .. } => Some((value, true)),
            _ => None,
        });
        let Some((value, is_memory)) = values.next() else { return Ok(None) };
        let refuse =
            |message: String| context.error(ErrorKind::Unsupported, message, value.range.clone());
        if let Some((second, _)) = values.next() {
            let range = second.range.clone();
            return Err(context.error(
                ErrorKind::Unsupported,
                "an instruction has one symbol",
                range,
            ));
        }
        let Some(symbol) = &value.symbol else {
            return Err(refuse(
                "the address of a symbol cannot be subtracted in an instruction".to_owned(),
            )
            .help("`.long name - other` in data holds a distance"));
        };
        if value.minus.is_some() {
            return Err(refuse("a distance of two symbols does not fit an instruction".to_owned())
                .help("`.long name - other` in data holds it"));
        }
        let Some(kind) = self.kind(symbol.part, is_memory) else {
            return Err(self.wrong_part(symbol, value, context));
        };
        if symbol.part.is_some_and(|part| !part.takes_addend()) && value.number != 0 {
            return Err(refuse(format!("nothing can be added to the slot of `{}`", symbol.name)));
        }
        let span = context.span(value.range.clone());
        Ok(Some(Reference {
            offset: 0,
            kind,
            bias: 0,
            expression: value.expression(context),
            span,
        }))
    }

    /// The relocation that fills in a symbol.
    fn kind(&self, part: Option<Part>, is_memory: bool) -> Option<RelocationKind> {
        let mnemonic = &*self.mnemonic;
        let is_load = mnemonic.starts_with("ld") || mnemonic.starts_with("st");
        Some(match (mnemonic, part) {
            ("b", None) => JUMP26,
            ("bl", None) => CALL26,
            ("cbz" | "cbnz", None) => BRANCH19,
            (_, None) if mnemonic.starts_with("b.") => BRANCH19,
            ("tbz" | "tbnz", None) => BRANCH14,
            ("ldr" | "ldrsw", None) if !is_memory => LITERAL19,
            ("adr", None) => ADR21,
            ("adrp", None | Some(Part::Page)) => PAGE21,
            ("adrp", Some(Part::SlotPage)) => GOTPAGE21,
            ("add", Some(Part::PageOffset)) => PAGEOFF12,
            (_, Some(Part::PageOffset)) if is_memory && is_load => PAGEOFF12,
            ("ldr", Some(Part::SlotPageOffset)) if is_memory => GOTPAGEOFF12,
            ("add", Some(Part::ThreadOffsetHigh)) => TPREL_HI12,
            ("add", Some(Part::ThreadOffsetLow)) => TPREL_LO12,
            (_, Some(Part::ThreadOffsetLow)) if is_memory && is_load => TPREL_LO12,
            ("adrp", Some(Part::ThreadSlotPage)) => GOTTPREL_PAGE21,
            ("ldr", Some(Part::ThreadSlotPageOffset)) if is_memory => GOTTPREL_LO12,
            ("adrp", Some(Part::DescriptorPage)) => TLSDESC_PAGE21,
            ("add", Some(Part::DescriptorPageOffset)) => TLSDESC_LO12,
            ("ldr", Some(Part::DescriptorPageOffset)) if is_memory => TLSDESC_LO12,
            ("adrp", Some(Part::VariablePage)) => TLVP_PAGE21,
            ("ldr", Some(Part::VariablePageOffset)) if is_memory => TLVP_PAGEOFF12,
            ("add", Some(Part::TemplateOffsetHigh)) => SECREL_HI12,
            ("add", Some(Part::TemplateOffsetLow)) => SECREL_LO12,
            (_, Some(Part::TemplateOffsetLow)) if is_memory && is_load => SECREL_LO12,
            _ => return None,
        })
    }

    fn wrong_part(&self, symbol: &Symbol, value: &Value, context: &Context<'_>) -> Error {
        let name = &symbol.name;
        if symbol.part.is_some() {
            let message = format!("`{}` has no use for this part of `{name}`", self.mnemonic);
            return context
                .error(ErrorKind::Unsupported, message, value.range.clone())
                .help("`:lo12:` stands in `add` and in [x0, …], `:got:` behind `adrp`, `:got_lo12:` in `ldr`");
        }
        let refuse = |message: String, help: String| {
            context.error(ErrorKind::InvalidValue, message, symbol.range.clone()).help(help)
        };
        if operand::is_numbered_like_a_register(name) {
            let help = "there are x0 to x30 and w0 to w30; the last one is `xzr`, `wzr` or `sp`";
            return refuse(format!("no register is called `{name}`"), help.to_owned());
        }
        if let Some((what, names)) = operand::words_of(&self.mnemonic) {
            let help = format!("there are {}", all_of(names));
            return refuse(format!("`{}` knows no {what} `{name}`", self.mnemonic), help);
        }
        let help = format!(
            "its address is `adr x0, {name}`, or `adrp x0, {name}` and `add x0, x0, :lo12:{name}`"
        );
        context.no_number(symbol, help)
    }
}

/// `nop`s; where less than a word is to be filled, data is behind it, and zeros do.
fn padding(length: usize) -> Vec<u8> {
    const NOP: [u8; 4] = 0xd503_201f_u32.to_le_bytes();
    let mut bytes = vec![0; length % 4];
    bytes.extend(NOP.repeat(length / 4));
    bytes
}
