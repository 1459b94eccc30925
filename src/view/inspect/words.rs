//! How numbers and flags become words, the same for every format.

use std::fmt::Debug;

use crate::format::plan::Permissions;

/// The name that a format's own header gives a constant, or its number in hex.
pub(super) fn constant(value: impl Debug) -> String {
    let text = format!("{value:?}");
    // A number that has no name is printed as one.
    text.parse().map_or(text, |number: u64| format!("{number:#x}"))
}

/// The names of flags that are set, with spaces between them, without their common prefix.
pub(super) fn flags(value: impl Debug, prefix: &str) -> String {
    let text = format!("{value:?}");
    let each = text.split(" | ").map(|name| name.strip_prefix(prefix).unwrap_or(name));
    let text = each.collect::<Vec<_>>().join(" ");
    if text == "0" { String::new() } else { text }
}

/// That symbols have no name.
pub(super) fn without_name_in_table(count: usize) -> String {
    let (symbols, have) = if count == 1 { ("symbol", "has") } else { ("symbols", "have") };
    format!("{count} {symbols} {have} no name in the string table")
}

/// What is allowed in memory.
pub(super) const fn permissions(read: bool, write: bool, execute: bool) -> Permissions {
    Permissions { read, write, execute }
}

/// A version in the nibbles of Mach-O: 16.8.8.
pub(super) fn version(packed: u32) -> String {
    let (major, minor, patch) = (packed >> 16, packed >> 8 & 0xff, packed & 0xff);
    if patch == 0 { format!("{major}.{minor}") } else { format!("{major}.{minor}.{patch}") }
}

/// Bytes in hex, as identities are printed.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
