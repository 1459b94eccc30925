//! What the formats ask of a program in the same way, each with numbers of its own.

use crate::error::{Collector, Error, ErrorKind, Place};
use crate::program::{OutputKind, Program};
use crate::units::Size;

/// The least stack or heap that can be asked for: a page of the systems whose pages are smallest.
const LEAST_ROOM: u64 = 0x1000;

/// That a stack or heap of `size` bytes, which `key` asks for, has a page at least and `most` bytes at most.
pub(crate) fn check_room(key: &'static str, size: Size, most: Size, errors: &mut Collector) {
    if (LEAST_ROOM..=most.0).contains(&size.0) {
        return;
    }
    let message = format!("`{key}` cannot be {size} bytes: it is from {LEAST_ROOM:#x} to {most}");
    errors.push(
        Error::new(ErrorKind::OutOfRange, message)
            .at(Place::Wish(key), "")
            .value(size.0.into(), LEAST_ROOM.into()..=most.0.into()),
    );
}

/// That only a library has a name of its own, and one that `separators` do not make a path.
pub(crate) fn check_library_name(
    program: &Program<'_>,
    separators: &[char],
    errors: &mut Collector,
) {
    let Some(name) = &program.library_name else { return };
    let (kind, message) = if program.kind != OutputKind::SharedLibrary {
        let message =
            format!("`library-name` means nothing here on {}: it is no library", program.target);
        (ErrorKind::Unsupported, message)
    } else if name.is_empty() || name.contains('\0') {
        (ErrorKind::InvalidValue, "`library-name` is empty or holds a NUL".to_owned())
    } else if let Some(separator) = name.chars().find(|c| separators.contains(c)) {
        let message = format!(
            "`library-name` is a name on {}, not a path, and {name:?} has a `{separator}`: who uses the library \
             finds it by its folders",
            program.target
        );
        (ErrorKind::InvalidValue, message)
    } else {
        return;
    };
    errors.push(Error::new(kind, message).at(Place::Wish("library-name"), ""));
}
