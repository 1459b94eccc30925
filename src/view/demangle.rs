//! Names as they stood in the source: Rust, C++ (Itanium and Microsoft).

use std::fmt::{self, Write};

/// A longer name is not shown to people; a short mangled one can stand for gigabytes.
const LONGEST: usize = 4096;

/// What a symbol's name was in the source; `None` where it is no mangled name, or an overlong one.
///
/// An underscore that Mach-O puts before every name is taken off.
///
/// ```
/// use minild::view::demangle::demangle;
/// assert_eq!(demangle(b"_ZN4core3fmt5Write9write_str17h0123456789abcdefE").unwrap(), "core::fmt::Write::write_str");
/// assert_eq!(demangle(b"_ZNSt6vectorIiE4sizeEv").unwrap(), "std::vector<int>::size()");
/// assert_eq!(demangle(b"main"), None);
/// ```
#[must_use]
pub fn demangle(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok().filter(|text| text.len() <= LONGEST)?;
    if text.starts_with('?') {
        if multiplies(text) || overflows(text) {
            return None;
        }
        let flags = msvc_demangler::DemangleFlags::llvm();
        return msvc_demangler::demangle(text, flags).ok().filter(|name| name.len() <= LONGEST);
    }
    if let Ok(rust) = rustc_demangle::try_demangle(text) {
        let mut bounded = Bounded::default();
        // Without the hash: `{:#}`.
        write!(bounded, "{rust:#}").ok()?;
        return Some(bounded.0);
    }
    let text = text.strip_prefix('_').filter(|rest| rest.starts_with("_Z")).unwrap_or(text);
    if !text.starts_with("_Z") {
        return None;
    }
    let symbol = cpp_demangle::Symbol::new(text).ok()?;
    let mut bounded = Bounded::default();
    symbol.structured_demangle(&mut bounded, &cpp_demangle::DemangleOptions::default()).ok()?;
    Some(usual(bounded.0))
}

/// Whether a name of Microsoft's could stand for so much that it is not to be read: its parser copies what a digit
/// refers to, before anybody can count.
///
/// A digit stands for something before it, a type or a name; what is referred to can itself refer only where it has a list
/// of its own, of a function's parameters (`P6A…`) or a template's arguments (`?$…`). So each part between those
/// marks is repeated at most as often as all digits behind it say, and the product of the parts' digits is a bound.
fn multiplies(text: &str) -> bool {
    /// Copies that are no burden: some megabytes.
    const MOST: usize = 1 << 12;
    /// However few digits are spread, they multiply to less than e to the power of a third of them.
    const FEW: usize = 20;
    let bytes = text.as_bytes();
    let is_mark =
        |pair: &[u8]| matches!(pair, [b'?', b'$'] | [b'A'..=b'Z' | b'$' | b'?', b'6' | b'8']);
    let (mut product, mut all, mut here) = (1_usize, 0, 1);
    for (index, byte) in bytes.iter().enumerate() {
        if bytes.get(index..index + 2).is_some_and(is_mark) {
            product = product.saturating_mul(here);
            here = 1;
        }
        if byte.is_ascii_digit() {
            all += 1;
            here += 1;
        }
    }
    all > FEW && product.saturating_mul(here) > MOST
}

/// Whether the parser would count beyond its numbers, which panics where overflows are looked for: it takes the two letters
/// behind `?$` in the text of a constant (`??_C@…`) for hexadecimal digits from `A` on, and numbers of guards (`?$TSS0@…`) of any size.
fn overflows(text: &str) -> bool {
    let is_digit = |byte: &u8| (b'A'..=b'P').contains(byte);
    let escapes = text.split("?$").skip(1);
    let has_text = text.contains("_C@");
    let is_hexadecimal = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(is_digit);
    let long_number = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 8);
    (has_text && !escapes.into_iter().all(is_hexadecimal)) || text.contains("$TSS") && long_number
}

/// `{vtable(X)}` as every other tool has it.
fn usual(name: String) -> String {
    for (start, usual) in [
        ("{vtable(", "vtable for "),
        ("{vtt(", "VTT for "),
        ("{virtual override thunk(", "virtual thunk to "),
    ] {
        if let Some(inner) = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(")}")) {
            return format!("{usual}{inner}");
        }
    }
    name
}

/// A string that does not grow without end.
#[derive(Default)]
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn each_compiler_is_understood() {
        for (mangled, name) in [
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("__ZN3foo3barEv", "foo::bar()"),
            ("_ZTV3foo", "vtable for foo"),
            ("?f@@YAHH@Z", "int __cdecl f(int)"),
        ] {
            assert_eq!(demangle(mangled.as_bytes()).as_deref(), Some(name));
        }
        for plain in ["", "printf", "_printf", "_Z", "?", "__ZZZ"] {
            assert_eq!(demangle(plain.as_bytes()), None, "{plain}");
        }
    }

    #[test]
    fn a_constant_with_bytes_that_are_none_is_no_name() {
        for mangled in
            ["??_C@_02OBBHKAPC@?$1A?$AA@", "??_C@_02OBBHKAPC@?$A", "?$TSS99999999999@f@@4HA"]
        {
            assert_eq!(demangle(mangled.as_bytes()), None, "{mangled}");
        }
        let constant = demangle(b"??_C@_01CNACBAHC@?$PP?$AA@");
        assert!(constant.is_some(), "{constant:?}");
    }

    #[test]
    fn a_name_that_doubles_with_every_letter_ends() {
        let mut mangled = "_Z1fI1aE".to_owned();
        for _ in 0..40 {
            mangled = mangled.replace("1aE", "St4pairI1aS_EE");
        }
        let _ = demangle(mangled.as_bytes());
        let doubling = format!("_Z1f{}", "PFS_S_E".repeat(60));
        let _ = demangle(doubling.as_bytes());
        // Each function takes nine of the one before it.
        let functions: Vec<_> =
            ('0'..='8').map(|digit| format!("P6AX{}@Z", String::from(digit).repeat(9))).collect();
        let ninefold = format!("?f@@YAXPAX{}@Z", functions.concat());
        assert_eq!(demangle(ninefold.as_bytes()), None);
    }
}
