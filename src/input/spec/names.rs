//! What names stand for in one target's program: constants, sizes, places, and what minild provides.

use std::cell::RefCell;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::block::Number;
use super::document::{Located, Span};
use super::expression::{Expression, Factor, SIZE_SUFFIX, Term, TermValue};
use crate::error::{Collector, Error, ErrorKind, Errors, Place};
use crate::program::{Landmark, SectionKind};

/// Names that a program may use without defining them, the same on every target; the last one only where there
/// is such a place, under the name that compilers for that system have for it.
pub(super) const BUILT_IN: &[(&str, Landmark)] = &[
    ("__image_base", Landmark::ImageBase),
    ("__code_start", Landmark::Start(SectionKind::Code)),
    ("__code_end", Landmark::End(SectionKind::Code)),
    ("__rodata_start", Landmark::Start(SectionKind::ReadOnly)),
    ("__rodata_end", Landmark::End(SectionKind::ReadOnly)),
    ("__relro_start", Landmark::Start(SectionKind::RelRo)),
    ("__relro_end", Landmark::End(SectionKind::RelRo)),
    ("__data_start", Landmark::Start(SectionKind::Data)),
    ("__data_end", Landmark::End(SectionKind::Data)),
    ("__bss_start", Landmark::Start(SectionKind::Bss)),
    ("__bss_end", Landmark::End(SectionKind::Bss)),
    ("__tls_start", Landmark::TlsStart),
    ("__tls_data_end", Landmark::TlsDataEnd),
    ("__tls_end", Landmark::TlsEnd),
    ("_tls_index", Landmark::TlsIndex),
];

/// What a name stands for.
#[derive(Clone, Debug)]
enum Meaning {
    Constant(i128),
    /// A place in the program, with its size in bytes.
    Place(u64),
}

/// All names that a program defines.
#[derive(Default)]
pub(super) struct Names {
    known: IndexMap<String, Located<Meaning>, FxBuildHasher>,
    /// Whether a size that is not known is 0, and no mistake.
    has_unknown_sizes: bool,
    /// The names whose sizes were asked for, each with the answer.
    asked: RefCell<FxHashMap<String, u64>>,
}

/// A symbol and what is added to its address.
pub(super) struct Reference<'e> {
    pub(super) symbol: &'e str,
    /// A symbol whose address is subtracted.
    pub(super) minus: Option<&'e str>,
    pub(super) addend: i64,
}

/// The error of two definitions.
pub(super) fn defined_twice(name: &str, second: Span, first: Span) -> Error {
    Error::new(ErrorKind::DuplicateSymbol, format!("`{name}` is defined twice"))
        .at(Place::Text(second), "")
        .at(Place::Text(first), "first defined here")
}

/// That `value` is one that the field called `name` can hold.
pub(super) fn check_interval(
    value: i128,
    name: &str,
    (low, high): (i128, i128),
    span: &Span,
) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let message = format!("{value} does not fit `{name}`: it is from {low} to {high}");
    let error = Error::new(ErrorKind::OutOfRange, message).at(Place::Text(span.clone()), "");
    Err(error.value(value, low..=high))
}

impl Names {
    /// The same names, where the size of others is 0 for the time being.
    pub(super) fn with_unknown_sizes(self) -> Self {
        Self { has_unknown_sizes: true, ..self }
    }

    /// Whether a size that was asked for is not the one that `next` knows.
    pub(super) fn differs_in_what_was_asked(&self, next: &Self) -> bool {
        let asked = self.asked.borrow();
        asked.iter().any(|(name, &size)| next.size(name) != Some(size))
    }

    /// The size of a place.
    fn size(&self, name: &str) -> Option<u64> {
        match self.known.get(name) {
            Some(Located { value: Meaning::Place(size), .. }) => Some(*size),
            _ => None,
        }
    }

    /// Adds a constant.
    pub(super) fn add_constant(
        &mut self,
        name: &str,
        number: &Located<i128>,
        errors: &mut Collector,
    ) {
        self.add(name, Meaning::Constant(number.value), &number.span, errors);
    }

    /// Adds a place of `size` bytes.
    pub(super) fn add_place(&mut self, name: &str, size: u64, span: &Span, errors: &mut Collector) {
        self.add(name, Meaning::Place(size), span, errors);
    }

    fn add(&mut self, name: &str, value: Meaning, span: &Span, errors: &mut Collector) {
        if let Some(first) = self.known.get_mut(name) {
            // The text's order decides which one is the first, not the order of what is looked at.
            let mut late = span.clone();
            if first.span.start > late.start {
                std::mem::swap(&mut first.span, &mut late);
            }
            return errors.push(defined_twice(name, late, first.span.clone()));
        }
        self.known.insert(name.to_owned(), Located { value, span: span.clone() });
    }

    /// Whether the program defines `name` as a place.
    pub(super) fn has_place(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| matches!(known.value, Meaning::Place(_)))
    }

    /// The names of places.
    pub(super) fn places(&self) -> impl Iterator<Item = &str> {
        let places =
            self.known.iter().filter(|(_, known)| matches!(known.value, Meaning::Place(_)));
        places.map(|(name, _)| name.as_str())
    }

    /// The names of constants.
    pub(super) fn constants(&self) -> impl Iterator<Item = &str> {
        let constants =
            self.known.iter().filter(|(_, known)| matches!(known.value, Meaning::Constant(_)));
        constants.map(|(name, _)| name.as_str())
    }

    /// The number a term stands for; `None` where it is an address.
    pub(super) fn term_number(&self, term: &Term) -> Result<Option<i128>, Error> {
        let first = self.word_number(&term.value, &term.span)?;
        if term.times.is_empty() {
            return Ok(first);
        }
        let mut product = first.ok_or_else(|| self.no_factor(&term.value, &term.span))?;
        for Factor { value, span } in &term.times {
            let factor = self.word_number(value, span)?;
            let factor = factor.ok_or_else(|| self.no_factor(value, span))?;
            let is_legal = |product: &i128| (i64::MIN.into()..=u64::MAX.into()).contains(product);
            product = product.checked_mul(factor).filter(is_legal).ok_or_else(|| {
                let message = "this product is no number of 64 bits";
                Error::new(ErrorKind::OutOfRange, message)
                    .at(Place::Text(term.span.start..span.end), "")
            })?;
        }
        Ok(Some(product))
    }

    /// The error of what is no number where something is multiplied.
    fn no_factor(&self, value: &TermValue, span: &Span) -> Error {
        let TermValue::Name(name) = value else { unreachable!("numbers are numbers") };
        let place = Place::Text(span.clone());
        if self.has_place(name) || name.starts_with('.') {
            let message = format!("`{name}` is an address, and is not multiplied");
            return Error::new(ErrorKind::InvalidValue, message).at(place, "");
        }
        self.no_constant(name, place)
    }

    fn no_constant(&self, name: &str, place: Place) -> Error {
        Error::new(ErrorKind::UndefinedSymbol, format!("no constant is called `{name}`"))
            .at(place, "")
            .nearest(name, self.constants())
    }

    /// The number that a word at `span` stands for; `None` where it is an address.
    pub(super) fn word_number(
        &self,
        value: &TermValue,
        span: &Span,
    ) -> Result<Option<i128>, Error> {
        let place = Place::Text(span.clone());
        let name = match value {
            TermValue::Number(number) => return Ok(Some(*number)),
            TermValue::Name(name) => name,
        };
        let Some(item) = name.strip_suffix(SIZE_SUFFIX) else {
            return Ok(match self.known.get(name) {
                Some(Located { value: Meaning::Constant(number), .. }) => Some(*number),
                _ => None,
            });
        };
        match self.known.get(item) {
            Some(Located { value: Meaning::Place(size), .. }) => {
                self.asked.borrow_mut().insert(item.to_owned(), *size);
                Ok(Some((*size).into()))
            }
            Some(Located { value: Meaning::Constant(_), span }) => {
                let message = format!("`{item}` is a constant and has no size");
                Err(Error::new(ErrorKind::InvalidValue, message)
                    .at(place.clone(), "")
                    .at(Place::Text(span.clone()), "defined here"))
            }
            None if self.has_unknown_sizes => {
                self.asked.borrow_mut().insert(item.to_owned(), 0);
                Ok(Some(0))
            }
            None => {
                let message = format!("nothing is called `{item}`, so it has no size");
                Err(Error::new(ErrorKind::UndefinedSymbol, message)
                    .at(place.clone(), "")
                    .nearest(item, self.places()))
            }
        }
    }

    /// The value of an expression without addresses; `None` where it has one.
    pub(super) fn plain_number(&self, expression: &Expression) -> Result<Option<i128>, Errors> {
        let mut errors = Collector::default();
        let mut sum = Some(0);
        for term in &expression.terms {
            match self.term_number(term) {
                Ok(Some(value)) => {
                    let value = if term.is_negative { -value } else { value };
                    sum = sum.map(|sum| sum + value);
                }
                Ok(None) => sum = None,
                Err(error) => errors.push(error),
            }
        }
        errors.into_result(sum)
    }

    /// The value of an expression without addresses, for a field that holds `number`.
    pub(super) fn number(&self, expression: &Expression, number: Number) -> Result<i128, Errors> {
        let mut errors = Collector::default();
        for term in &expression.terms {
            match self.term_number(term) {
                Ok(Some(_)) => {}
                Ok(None) => errors.push(self.no_number(term, number)),
                Err(error) => errors.push(error),
            }
        }
        errors.into_result(())?;
        let sum = self.plain_number(expression)?.expect("no term is an address");
        check_interval(sum, number.name, number.interval(), &expression.span)?;
        Ok(sum)
    }

    fn no_number(&self, term: &Term, number: Number) -> Error {
        let TermValue::Name(name) = &term.value else { unreachable!("numbers are numbers") };
        let place = Place::Text(term.span.clone());
        if self.has_place(name) || name.starts_with('.') {
            let message = format!("`{name}` is an address, and `{}` holds a number", number.name);
            let help = format!(
                "`{name}{SIZE_SUFFIX}` is its size; addresses stand in `pointers` and in fixups like `<abs64 {name}>`"
            );
            return Error::new(ErrorKind::InvalidValue, message).at(place, "").help(help);
        }
        self.no_constant(name, place)
    }

    /// What an expression refers to, for a field that depends on an address and counts from `bias` bytes
    /// behind its start.
    pub(super) fn reference<'e>(
        &self,
        expression: &'e Expression,
        bias: i64,
    ) -> Result<Reference<'e>, Error> {
        let invalid = |message: &str, span: &Span| {
            Error::new(ErrorKind::InvalidValue, message).at(Place::Text(span.clone()), "")
        };
        let (mut symbol, mut minus, mut addend) = (None, None, i128::from(bias));
        for term in &expression.terms {
            if let Some(value) = self.term_number(term)? {
                addend += if term.is_negative { -value } else { value };
                continue;
            }
            let TermValue::Name(name) = &term.value else { unreachable!("numbers are numbers") };
            let side = if term.is_negative { &mut minus } else { &mut symbol };
            if side.replace(name.as_str()).is_some() {
                let message =
                    "an address is one name plus a number, or the difference of two names";
                return Err(invalid(message, &term.span));
            }
        }
        let Some(symbol) = symbol else {
            return Err(invalid(
                "here the name of a place is missing: this is a number",
                &expression.span,
            )
            .help("numbers stand in `u8` … `i64` and in fixups like `<u32 1>`"));
        };
        let too_much = |_| {
            let message = format!("{addend} is too much to add to an address");
            let place = Place::Text(expression.span.clone());
            let error = Error::new(ErrorKind::OutOfRange, message).at(place, "");
            error.value(addend, i64::MIN.into()..=i64::MAX.into())
        };
        Ok(Reference { symbol, minus, addend: i64::try_from(addend).map_err(too_much)? })
    }
}
