//! Directives: data between instructions, with ranges checked.

use super::fragment::{Code, Fragments, Instruction};
use super::lexer::{Token, TokenKind};
use super::{Context, Statement, operands, range_of, value};
use crate::error::{Collector, Error, ErrorKind, Errors};
use crate::input::spec::block::{Block, Field};
use crate::input::spec::document::all_of;
use crate::units::Align;
use crate::{arch, target::Architecture};

/// How many bytes one directive may add.
const MOST_BYTES: i128 = 1 << 24;

/// The greatest alignment: more than any page.
const GREATEST_ALIGN: i128 = 1 << 16;

struct Directive {
    names: &'static [&'static str],
    read: fn(&Statement<'_>, &Context<'_>, &mut Fragments) -> Result<(), Errors>,
}

const DIRECTIVES: &[Directive] = &[
    Directive { names: &[".byte"], read: |s, c, f| integers::<1>(s, c, f) },
    Directive { names: &[".short", ".2byte", ".hword"], read: |s, c, f| integers::<2>(s, c, f) },
    Directive { names: &[".long", ".4byte", ".int"], read: |s, c, f| integers::<4>(s, c, f) },
    Directive { names: &[".quad", ".8byte"], read: |s, c, f| integers::<8>(s, c, f) },
    Directive { names: &[".inst"], read: instruction_words },
    Directive { names: &[".ascii"], read: |s, c, f| text(s, c, f, &[]) },
    Directive { names: &[".asciz", ".string"], read: |s, c, f| text(s, c, f, &[0]) },
    Directive { names: &[".zero", ".space", ".skip"], read: space },
    Directive { names: &[".balign"], read: |s, c, f| align(s, c, f, Some) },
    Directive {
        names: &[".p2align"],
        read: |s, c, f| align(s, c, f, |power| (0..=16).contains(&power).then(|| 1 << power)),
    },
];

/// What people write that means something else here, or nothing, and what to write instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &[".align"],
        "`.align 4` is 4 bytes to some assemblers and 16 to others: write `.balign` (bytes) or `.p2align` (a power of two)",
    ),
    (&[".word"], "`.word` is 2 bytes on x86 and 4 on arm64: write `.short` or `.long`"),
    (
        &[".globl", ".global", ".extern", ".type", ".size", ".hidden", ".weak"],
        "every label without a dot before it is global, and other names are found by the link: leave it out",
    ),
    (
        &[".section", ".text", ".data", ".bss", ".rodata"],
        "one `asm` is one section of code: data stands in [rodata], [data] and [bss]",
    ),
    (&[".equ", ".set", ".equiv"], "constants stand in [constants]"),
    (&[".comm", ".lcomm"], "zeros stand in [bss]"),
    (&[".intel_syntax"], "this is Intel syntax already: leave it out"),
    (
        &[".float", ".double", ".single"],
        "floating-point data stands in [rodata] with `f32` and `f64`",
    ),
    (&[".incbin"], "a file is an item: [rodata.NAME] with `file = \"…\"`"),
    (
        &[".macro", ".rept", ".irp", ".if", ".ifdef", ".include", ".endm", ".endr", ".endif"],
        "there is no preprocessor: write it out, or assemble it elsewhere and use `file`",
    ),
];

/// Reads a directive.
pub(super) fn read(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
) -> Result<(), Errors> {
    let name = statement.mnemonic.text.to_ascii_lowercase();
    if let Some(directive) = DIRECTIVES.iter().find(|directive| directive.names.contains(&&*name)) {
        return (directive.read)(statement, context, fragments);
    }
    let range = statement.mnemonic.range.clone();
    let refused = REFUSED.iter().find(|(names, _)| names.contains(&&*name));
    if let Some((_, help)) = refused {
        let message = format!("`{name}` is not a directive here");
        return Err(context.error(ErrorKind::Unsupported, message, range).help(*help).into());
    }
    let names = || DIRECTIVES.iter().flat_map(|directive| directive.names.iter().copied());
    let error = context
        .error(ErrorKind::Syntax, format!("no directive is called `{name}`"), range)
        .nearest(&name, names());
    let error = match error.help {
        Some(_) => error,
        None => error.help(format!("there are {}", all_of(names()))),
    };
    Err(error.into())
}

/// The operands of a directive that has at least one.
fn arguments<'a, 't>(
    statement: &'a Statement<'t>,
    context: &Context<'_>,
) -> Result<Vec<&'a [Token<'t>]>, Error> {
    if statement.rest.is_empty() {
        let message = format!("`{}` of what?", statement.mnemonic.text);
        return Err(context.error(ErrorKind::Syntax, message, statement.range.clone()));
    }
    operands(statement.rest, context)
}

/// The number of an operand, in an interval.
fn number(
    tokens: &[Token<'_>],
    context: &Context<'_>,
    (low, high): (i128, i128),
) -> Result<i128, Error> {
    let value = value::parse(tokens, context)?;
    if let Some(symbol) = value.symbol.or(value.minus) {
        let message = format!("`{}` is an address, and here stands a number", symbol.name);
        return Err(context.error(ErrorKind::InvalidValue, message, symbol.range));
    }
    if (low..=high).contains(&value.number) {
        return Ok(value.number);
    }
    let message = format!("{} is not from {low} to {high}", value.number);
    let error = context.error(ErrorKind::OutOfRange, message, range_of(tokens));
    Err(error.value(value.number, low..=high))
}

fn integers<const WIDTH: usize>(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
) -> Result<(), Errors> {
    let mut block = Block::default();
    each(statement, context, |tokens| integer::<WIDTH>(tokens, statement, context, &mut block))?;
    fragments.add_data(block);
    Ok(())
}

/// Reads each operand; gives all that is wrong with any.
fn each(
    statement: &Statement<'_>,
    context: &Context<'_>,
    mut read: impl FnMut(&[Token<'_>]) -> Result<(), Error>,
) -> Result<(), Errors> {
    let mut errors = Collector::default();
    for tokens in arguments(statement, context)? {
        if let Err(error) = read(tokens) {
            errors.push(error);
        }
    }
    errors.into_result(())
}

/// Adds the number or the address that an operand of `WIDTH` bytes says.
fn integer<const WIDTH: usize>(
    tokens: &[Token<'_>],
    statement: &Statement<'_>,
    context: &Context<'_>,
    block: &mut Block,
) -> Result<(), Error> {
    let value = value::parse(tokens, context)?;
    if value.is_number() {
        let bits = 8 * WIDTH;
        let interval = (-(1 << (bits - 1)), (1 << bits) - 1);
        let number = number(tokens, context, interval)?;
        block.bytes.extend(&number.to_le_bytes()[..WIDTH]);
        return Ok(());
    }
    let name = match WIDTH {
        4 => "abs32",
        8 => "abs64",
        _ => {
            let message = format!("an address does not fit `{}`", statement.mnemonic.text);
            return Err(context
                .error(ErrorKind::InvalidValue, message, range_of(tokens))
                .help("`.quad name` holds an address, `.long name - other` a distance"));
        }
    };
    let kind = arch::of(context.dialect.architecture).kind(name);
    let kind = kind.expect("every architecture has plain addresses of 32 and 64 bits");
    let part = [&value.symbol, &value.minus].into_iter().flatten().find(|s| s.part.is_some());
    if let Some(symbol) = part {
        let message = "data has addresses of symbols, not of their slots or pages";
        return Err(context.error(ErrorKind::Unsupported, message, symbol.range.clone()));
    }
    let span = context.span(range_of(tokens));
    let field = Field::Relocation { kind, bias: 0 };
    block.push_field(field, kind.width(), value.expression(context), span);
    Ok(())
}

/// `.inst`: arm64's instructions as words, for those that the assembler does not know.
fn instruction_words(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
) -> Result<(), Errors> {
    if context.dialect.architecture != Architecture::Aarch64 {
        let message = "`.inst` is for architectures whose instructions are words";
        let error = context.error(ErrorKind::Unsupported, message, statement.range.clone());
        return Err(error.help("write `.byte 0x0f, 0x05`").into());
    }
    each(statement, context, |tokens| {
        let word = number(tokens, context, (0, u32::MAX.into()))?;
        let code = Code { bytes: word.to_le_bytes()[..4].to_vec(), reference: None };
        fragments
            .add_instruction(Instruction { code, short: None }, context.span(range_of(tokens)));
        Ok(())
    })
}

fn text(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
    end: &[u8],
) -> Result<(), Errors> {
    let mut block = Block::default();
    each(statement, context, |tokens| match tokens {
        [token] if token.kind == TokenKind::Text => {
            block.bytes.extend(value::unescape(token, context)?);
            block.bytes.extend(end);
            Ok(())
        }
        [token, ..] => {
            let name = statement.mnemonic.text;
            let error = if token.kind == TokenKind::Open {
                value::unexpected(token, context)
            } else {
                let message = format!("`{name}` holds text in quotes");
                context.error(ErrorKind::Syntax, message, range_of(tokens))
            };
            Err(error.help(format!("write it like {name} \"text\\n\"")))
        }
        [] => unreachable!("operands have a token at least"),
    })?;
    fragments.add_data(block);
    Ok(())
}

fn fill(tokens: &[Token<'_>], context: &Context<'_>) -> Result<u8, Error> {
    let number = number(tokens, context, (-128, 255))?;
    Ok(number.to_le_bytes()[0])
}

fn too_many(tokens: &[Token<'_>], context: &Context<'_>) -> Error {
    context.error(ErrorKind::Syntax, "this operand is one too many", range_of(tokens))
}

fn space(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
) -> Result<(), Errors> {
    let arguments = arguments(statement, context)?;
    if let Some(third) = arguments.get(2) {
        return Err(too_many(third, context).into());
    }
    let size = number(arguments[0], context, (0, MOST_BYTES))?;
    let size = usize::try_from(size).expect("the number is in the interval");
    let fill = arguments.get(1).map_or(Ok(0), |tokens| fill(tokens, context))?;
    fragments.add_data(Block { bytes: vec![fill; size], ..Block::default() });
    Ok(())
}

fn align(
    statement: &Statement<'_>,
    context: &Context<'_>,
    fragments: &mut Fragments,
    bytes: fn(i128) -> Option<i128>,
) -> Result<(), Errors> {
    let arguments = arguments(statement, context)?;
    if let Some(third) = arguments.get(2) {
        let error = too_many(third, context);
        return Err(error.help("padding is not limited: leave it out").into());
    }
    let number = number(arguments[0], context, (0, GREATEST_ALIGN))?;
    let align = bytes(number).and_then(|bytes| Align::new(u64::try_from(bytes).ok()?));
    let Some(align) = align else {
        let message = if statement.mnemonic.text.eq_ignore_ascii_case(".p2align") {
            format!("the power of two is from 0 to 16, not {number}")
        } else {
            format!("{number} is no power of two")
        };
        let range = range_of(arguments[0]);
        return Err(context.error(ErrorKind::InvalidValue, message, range).into());
    };
    let fill = arguments.get(1).map(|tokens| fill(tokens, context)).transpose()?;
    fragments.add_align(align, fill);
    Ok(())
}
