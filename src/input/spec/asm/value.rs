//! Sums in operands and directives: numbers, constants, sizes, and at most the address of one symbol.

use super::Context;
use super::lexer::{Token, TokenKind};
use crate::error::{Error, ErrorKind};
use crate::input::spec::document::Span;
use crate::input::spec::expression::{Expression, Term, TermValue, check_name};
use crate::input::spec::quantity::parse_integer;

/// What a sum amounts to.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) number: i128,
    /// Whose address is added.
    pub(super) symbol: Option<Symbol>,
    /// Whose address is subtracted.
    pub(super) minus: Option<Symbol>,
    /// Its bytes of the text.
    pub(super) range: Span,
}

/// A name that is no constant.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub(super) name: String,
    /// What of the symbol is meant, if not its address.
    pub(super) part: Option<Part>,
    pub(super) range: Span,
}

/// What an operand can mean by a symbol, other than its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The slot that holds its address: x86-64's `@GOTPCREL`.
    Slot,
    /// The function or its stub: `@PLT`.
    Stub,
    /// Its page.
    Page,
    /// Where it lies in its page: `:lo12:`, `@PAGEOFF`.
    PageOffset,
    /// The page of the slot: `:got:`, `@GOTPAGE`.
    SlotPage,
    /// Where the slot lies in its page: `:got_lo12:`, `@GOTPAGEOFF`.
    SlotPageOffset,
    /// How far a thread-local variable lies from the thread pointer: `@tpoff`.
    ThreadOffset,
    /// The high half of that: `:tprel_hi12:`.
    ThreadOffsetHigh,
    /// The low half: `:tprel_lo12_nc:`.
    ThreadOffsetLow,
    /// The slot that holds that: `@gottpoff`.
    ThreadSlot,
    /// The page of that slot: `:gottprel:`.
    ThreadSlotPage,
    /// Where that slot lies in its page: `:gottprel_lo12:`.
    ThreadSlotPageOffset,
    /// A variable's descriptor: `@tlsdesc`.
    Descriptor,
    /// The page of that: `:tlsdesc:`.
    DescriptorPage,
    /// Where it lies in its page: `:tlsdesc_lo12:`.
    DescriptorPageOffset,
    /// What `__tls_get_addr` takes: `@tlsgd`.
    Module,
    /// The slot that holds the address of what describes a variable: `@TLVP`.
    Variable,
    /// The page of that slot: `@TLVPPAGE`.
    VariablePage,
    /// Where it lies in its page: `@TLVPPAGEOFF`.
    VariablePageOffset,
    /// Where a variable lies in a thread's copy of the template: `@SECREL32`.
    TemplateOffset,
    /// The high half of that: `:secrel_hi12:`.
    TemplateOffsetHigh,
    /// The low half: `:secrel_lo12:`.
    TemplateOffsetLow,
}

impl Part {
    /// Whether it is what of a place fits one instruction, so that a number can be added to the place.
    pub(super) const fn takes_addend(self) -> bool {
        matches!(
            self,
            Self::Page
                | Self::PageOffset
                | Self::ThreadOffset
                | Self::ThreadOffsetHigh
                | Self::ThreadOffsetLow
                | Self::TemplateOffset
                | Self::TemplateOffsetHigh
                | Self::TemplateOffsetLow
        )
    }
}

/// How parts are written behind a name, as LLVM does for ELF and for Mach-O.
pub(super) const SUFFIXES: &[(&str, Part)] = &[
    ("@gotpcrel", Part::Slot),
    ("@plt", Part::Stub),
    ("@page", Part::Page),
    ("@pageoff", Part::PageOffset),
    ("@gotpage", Part::SlotPage),
    ("@gotpageoff", Part::SlotPageOffset),
    ("@tpoff", Part::ThreadOffset),
    ("@gottpoff", Part::ThreadSlot),
    ("@tlsdesc", Part::Descriptor),
    ("@tlsgd", Part::Module),
    ("@tlvp", Part::Variable),
    ("@tlvppage", Part::VariablePage),
    ("@tlvppageoff", Part::VariablePageOffset),
    ("@secrel32", Part::TemplateOffset),
];

/// How parts are written between colons before a name.
const OPERATORS: &[(&str, Part)] = &[
    ("lo12", Part::PageOffset),
    ("got", Part::SlotPage),
    ("got_lo12", Part::SlotPageOffset),
    ("tprel_hi12", Part::ThreadOffsetHigh),
    ("tprel_lo12_nc", Part::ThreadOffsetLow),
    ("gottprel", Part::ThreadSlotPage),
    ("gottprel_lo12", Part::ThreadSlotPageOffset),
    ("tlsdesc", Part::DescriptorPage),
    ("tlsdesc_lo12", Part::DescriptorPageOffset),
    ("secrel_hi12", Part::TemplateOffsetHigh),
    ("secrel_lo12", Part::TemplateOffsetLow),
];

impl Value {
    pub(super) fn of_number(number: i128, range: Span) -> Self {
        Self { number, symbol: None, minus: None, range }
    }

    pub(super) fn is_number(&self) -> bool {
        self.symbol.is_none() && self.minus.is_none()
    }

    /// As what the lowering takes: names and a number.
    pub(super) fn expression(&self, context: &Context<'_>) -> Expression {
        let name = |symbol: &Symbol, is_negative| Term {
            is_negative,
            value: TermValue::Name(symbol.name.clone()),
            times: Vec::new(),
            span: context.span(symbol.range.clone()),
        };
        let number = (self.number != 0 || self.is_number()).then(|| Term {
            is_negative: self.number < 0,
            value: TermValue::Number(self.number.abs()),
            times: Vec::new(),
            span: context.span(self.range.clone()),
        });
        let terms = self.symbol.iter().map(|symbol| name(symbol, false));
        let terms = terms.chain(self.minus.iter().map(|symbol| name(symbol, true))).chain(number);
        Expression { terms: terms.collect(), span: context.span(self.range.clone()) }
    }
}

/// Reads all of `tokens`, at least one, as a sum.
pub(super) fn parse(tokens: &[Token<'_>], context: &Context<'_>) -> Result<Value, Error> {
    let [first, .., last] = tokens else {
        return match tokens {
            [only] => Sum::new(tokens, context).parse(only.range.clone()),
            _ => unreachable!("callers have a token at least"),
        };
    };
    Sum::new(tokens, context).parse(first.range.start..last.range.end)
}

struct Sum<'a, 't> {
    tokens: std::iter::Peekable<std::slice::Iter<'a, Token<'t>>>,
    context: &'a Context<'a>,
}

impl<'a, 't> Sum<'a, 't> {
    fn new(tokens: &'a [Token<'t>], context: &'a Context<'a>) -> Self {
        Self { tokens: tokens.iter().peekable(), context }
    }

    fn parse(mut self, range: Span) -> Result<Value, Error> {
        let context = self.context;
        let mut sum = Value::of_number(0, range.clone());
        let mut is_first = true;
        while let Some(token) = self.tokens.peek() {
            let sign = match token.kind {
                TokenKind::Mark(sign @ ('+' | '-')) => Some(sign),
                _ => None,
            };
            if !is_first && sign.is_none() {
                return Err(unexpected(token, context));
            }
            if sign.is_some() {
                self.tokens.next();
            }
            let is_negative = sign == Some('-');
            is_first = false;
            match self.term(&range)? {
                Err(number) => {
                    let total = if is_negative {
                        sum.number.checked_sub(number)
                    } else {
                        sum.number.checked_add(number)
                    };
                    sum.number = total.filter(|total| is_legal(*total)).ok_or_else(|| {
                        context.error(
                            ErrorKind::OutOfRange,
                            "this is no number of 64 bits",
                            range.clone(),
                        )
                    })?;
                }
                Ok(symbol) => {
                    let side = if is_negative { &mut sum.minus } else { &mut sum.symbol };
                    let symbol_range = symbol.range.clone();
                    if side.replace(symbol).is_some() {
                        let message = "an operand has the address of one symbol, not a sum of two";
                        return Err(context.error(ErrorKind::InvalidValue, message, symbol_range));
                    }
                }
            }
        }
        Ok(sum)
    }

    /// A symbol, or else a product of numbers.
    fn term(&mut self, whole: &Span) -> Result<Result<Symbol, i128>, Error> {
        let context = self.context;
        let mut product = match self.factor(whole)? {
            Ok(symbol) => return Ok(Ok(symbol)),
            Err(number) => number,
        };
        while self.tokens.next_if(|token| token.is('*')).is_some() {
            product = match self.factor(whole)? {
                Err(number) => product.checked_mul(number).filter(|product| is_legal(*product)),
                Ok(symbol) => {
                    let message = format!("`{}` is an address, and is not multiplied", symbol.name);
                    return Err(context.error(ErrorKind::InvalidValue, message, symbol.range));
                }
            }
            .ok_or_else(|| {
                context.error(ErrorKind::OutOfRange, "this is no number of 64 bits", whole.clone())
            })?;
        }
        Ok(Err(product))
    }

    fn factor(&mut self, whole: &Span) -> Result<Result<Symbol, i128>, Error> {
        let context = self.context;
        let Some(token) = self.tokens.next() else {
            return Err(context
                .error(ErrorKind::Syntax, "this sum has no end", whole.clone())
                .help("write it like `8`, `name`, `name+8`"));
        };
        match token.kind {
            TokenKind::Number => number(token, context).map(Err),
            TokenKind::Character => character(token, context).map(Err),
            TokenKind::Word => match context.number(token)? {
                Some(number) => Ok(Err(number)),
                None => symbol(token.text, token.range.clone(), None, context).map(Ok),
            },
            TokenKind::Mark(':') => self.operator(token, context).map(Ok),
            _ => Err(unexpected(token, context)),
        }
    }

    /// `:lo12:name`
    fn operator(&mut self, colon: &Token<'_>, context: &Context<'_>) -> Result<Symbol, Error> {
        let word = self.tokens.next().filter(|token| token.is_word());
        let part = word.and_then(|word| {
            OPERATORS.iter().find(|(name, _)| word.text.eq_ignore_ascii_case(name))
        });
        let end = self.tokens.next().filter(|token| token.is(':'));
        let name = self.tokens.next().filter(|token| token.is_word());
        if let (Some((_, part)), Some(_), Some(name)) = (part, end, name) {
            let range = colon.range.start..name.range.end;
            return symbol(name.text, range, Some(*part), context);
        }
        let message = "between colons stands what is meant of a symbol";
        let error = context.error(ErrorKind::Syntax, message, colon.range.clone());
        let known: Vec<_> = OPERATORS.iter().map(|(name, _)| format!("`:{name}:`")).collect();
        Err(error.help(format!("it is written like `:lo12:name`; there are {}", known.join(", "))))
    }
}

fn symbol(
    text: &str,
    range: Span,
    part: Option<Part>,
    context: &Context<'_>,
) -> Result<Symbol, Error> {
    let suffix = SUFFIXES.iter().find_map(|&(suffix, part)| {
        let start = text.len().checked_sub(suffix.len())?;
        let tail = text.get(start..)?;
        tail.eq_ignore_ascii_case(suffix).then(|| (&text[..start], part))
    });
    let (name, part) = match (suffix, part) {
        (Some((name, suffix)), None) => (name, Some(suffix)),
        _ => (text, part),
    };
    check_name(name.strip_prefix('.').unwrap_or(name))
        .map_err(|problem| context.error(ErrorKind::Syntax, problem, range.clone()))?;
    if (context.dialect.is_register)(name) {
        let message = format!("`{name}` is a register, and here stands a number or a symbol");
        return Err(context.error(ErrorKind::Syntax, message, range));
    }
    if name.starts_with('.') && !context.labels.contains_key(name) {
        let message = format!("no local label is called `{name}` in this block");
        return Err(context
            .error(ErrorKind::UndefinedSymbol, message, range)
            .nearest(name, context.labels.keys().map(String::as_str)));
    }
    Ok(Symbol { name: name.to_owned(), part, range })
}

fn is_legal(number: i128) -> bool {
    (-(1 << 63)..1 << 64).contains(&number)
}

fn number(token: &Token<'_>, context: &Context<'_>) -> Result<i128, Error> {
    let text = token.text;
    let wrong = |message: String| context.error(ErrorKind::Syntax, message, token.range.clone());
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(format!("`{text}` is octal to some assemblers and decimal to others"))
            .help(format!("write {} or 0o{0}", text.trim_start_matches('0'))));
    }
    let lower = text.to_ascii_lowercase();
    if let Some(number) = parse_integer(&lower).and_then(|number| i128::try_from(number).ok()) {
        return if is_legal(number) {
            Ok(number)
        } else {
            Err(wrong(format!("`{text}` is no number of 64 bits")))
        };
    }
    let digits =
        lower.strip_suffix('h').filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let error = wrong(format!("`{text}` is no number"));
    Err(match digits {
        Some(digits) => error.help(format!("write 0x{}", digits.trim_start_matches('0'))),
        None if text.ends_with(['b', 'f']) && text.len() == 2 => {
            error.help("labels are names: `.again:` is one that only this text sees")
        }
        None => error.help("numbers are decimal, or have `0x`, `0o` or `0b` before them"),
    })
}

/// `'a'`: the code of one ASCII character.
fn character(token: &Token<'_>, context: &Context<'_>) -> Result<i128, Error> {
    let bytes = unescape(token, context)?;
    if let [byte] = bytes[..] {
        Ok(byte.into())
    } else {
        let message = format!("`'{}'` is not one character of ASCII", token.text.escape_debug());
        Err(context.error(ErrorKind::Syntax, message, token.range.clone()))
    }
}

/// The bytes that the inside of a quoted token stands for.
pub(super) fn unescape(token: &Token<'_>, context: &Context<'_>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut characters = token.text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escape = characters.next();
        bytes.push(match escape {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('0') => 0,
            Some(quote @ ('\\' | '"' | '\'')) => quote as u8,
            Some('x') => {
                let digits: String = characters.by_ref().take(2).collect();
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) if digits.len() == 2 => byte,
                    _ => return Err(no_escape(token, context)),
                }
            }
            _ => return Err(no_escape(token, context)),
        });
    }
    Ok(bytes)
}

fn no_escape(token: &Token<'_>, context: &Context<'_>) -> Error {
    context
        .error(ErrorKind::Syntax, "this text has an escape that is none", token.range.clone())
        .help(r#"there are \n \t \r \0 \\ \" \' and \xNN"#)
}

/// The error of what stands behind a register without a comma.
pub(super) fn no_comma(token: &Token<'_>, context: &Context<'_>) -> Error {
    let error = unexpected(token, context);
    match error.help {
        Some(_) => error,
        None => error.help("operands have commas between them"),
    }
}

/// The error of a token that nothing can be made of where it stands.
pub(super) fn unexpected(token: &Token<'_>, context: &Context<'_>) -> Error {
    let error = |message: String| context.error(ErrorKind::Syntax, message, token.range.clone());
    match token.kind {
        TokenKind::Open => error("this quote is not closed on its line".to_owned()),
        TokenKind::Mark(';') => error("`;` separates statements for some assemblers and starts a comment for others".to_owned())
            .help(format!("a statement has a line of its own, and a comment starts with `{}`", context.dialect.comment)),
        TokenKind::Mark('#') => error("`#` has no number behind it".to_owned())
            .help("`#` stands before a number; a comment starts with `//`, or with `#` on a line of its own"),
        TokenKind::Mark('%' | '$') => error(format!("`{}` is AT&T syntax", token.text))
            .help("write Intel syntax: `mov eax, 1`"),
        TokenKind::Mark('(' | ')' | '~' | '/' | '<' | '>' | '&' | '|' | '^' | '!') => {
            error(format!("`{}` is not calculated here", token.text))
                .help("sums and products of numbers are; give anything else a name in [constants]")
        }
        _ => error(format!("`{}` is not expected here", token.text.escape_debug())),
    }
}
