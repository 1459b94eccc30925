//! The console of a machine that runs images: its bytes taken apart into what each image printed and how it
//! ended, by the lines that the boot application (`boot.toml`) prints around it. Works on pieces of any
//! length, so that output can be passed on as it comes.

use super::super::process::Ending;

/// What the boot application prints, without the digits of a status.
const BEGINS: &[u8] = b"@@minild: image begins\r\n";
const ENDED: &[u8] = b"@@minild: image ended ";
const REFUSED: &[u8] = b"@@minild: image refused ";
/// Digits of a status, and the end of its line.
const STATUS: usize = 16 + 2;

/// What an image does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It starts.
    Begins,
    /// It prints this.
    Prints(Vec<u8>),
    /// It ended by itself, or never started.
    Ends(Ending),
}

/// A console so far.
#[derive(Default)]
pub(super) struct Console {
    escape: Escape,
    /// Text that is not told yet, since it may be the start of one of the lines.
    pending: Vec<u8>,
    is_inside: bool,
}

/// How much of an escape sequence has come: `ESC [`, numbers, a letter. It is an attribute, a position or a
/// mode of the terminal.
#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    Started,
    Numbers,
}

impl Console {
    /// Takes the next bytes; gives what they say.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.add_text(bytes);
        let mut events = Vec::new();
        while let Some(event) = self.next_event() {
            events.push(event);
        }
        events
    }

    /// Whether an image runs.
    pub(super) fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// What is left when nothing more comes.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    fn add_text(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.escape = match (self.escape, byte) {
                (Escape::None | Escape::Started, 0x1b) => Escape::Started,
                (Escape::Started, b'[') | (Escape::Numbers, b'0'..=b'9' | b';' | b'=' | b'?') => {
                    Escape::Numbers
                }
                (Escape::Numbers, _) => Escape::None,
                (Escape::None | Escape::Started, _) => {
                    self.pending.push(byte);
                    Escape::None
                }
            };
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        if self.is_inside {
            // The program need not have ended its last line.
            let at = find(&self.pending, ENDED).unwrap_or(self.pending.len() - self.held_back());
            if at > 0 {
                return Some(Event::Prints(self.pending.drain(..at).collect()));
            }
            let status = self.status(ENDED)?;
            self.is_inside = false;
            return Some(Event::Ends(match u32::try_from(status) {
                Ok(status) => Ending::Exit(status),
                Err(_) => Ending::FirmwareError(status),
            }));
        }
        // What the firmware and the boot application print between images is nobody's.
        let lines = [BEGINS, REFUSED];
        let at = lines.iter().filter_map(|line| find(&self.pending, line)).min()?;
        self.pending.drain(..at);
        if self.pending.starts_with(BEGINS) {
            self.pending.drain(..BEGINS.len());
            self.is_inside = true;
            return Some(Event::Begins);
        }
        self.status(REFUSED).map(|status| Event::Ends(Ending::Refused(status)))
    }

    /// Bytes at the end that may be the start of the line that ends an image.
    fn held_back(&self) -> usize {
        let most = self.pending.len().min(ENDED.len() - 1);
        (0..=most).rev().find(|&count| self.pending.ends_with(&ENDED[..count])).unwrap_or(0)
    }

    /// Takes a line with a status from the front, once it is whole.
    fn status(&mut self, line: &[u8]) -> Option<u64> {
        let rest = self.pending.strip_prefix(line)?;
        let digits = std::str::from_utf8(rest.get(..STATUS)?).ok()?;
        let status = u64::from_str_radix(digits.trim_end(), 16).ok()?;
        self.pending.drain(..line.len() + STATUS);
        Some(status)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a machine with two images shows: the first prints and ends, the second is refused.
    const SHOWN: &str = "\x1b[2J\x1b[01;01HBdsDxe: starting\r\n\r\n@@minild: image begins\r\n\
        \x1b[=3hone@@min\r\ntwo@@minild: image ended 000000000000002a\r\n\
        \r\n@@minild: image refused 800000000000000e\r\n";

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut console = Console::default();
        let mut events: Vec<Event> = Vec::new();
        for event in pieces.iter().flat_map(|piece| console.read(piece)) {
            match (events.last_mut(), event) {
                (Some(Event::Prints(text)), Event::Prints(more)) => text.extend(more),
                (_, event) => events.push(event),
            }
        }
        assert_eq!(console.rest(), b"");
        events
    }

    #[test]
    fn each_image_has_its_text_and_its_end_however_the_bytes_come() {
        let expected = [
            Event::Begins,
            Event::Prints(b"one@@min\r\ntwo".to_vec()),
            Event::Ends(Ending::Exit(42)),
            Event::Ends(Ending::Refused(0x8000_0000_0000_000e)),
        ];

        let shown = SHOWN.as_bytes();
        assert_eq!(events(&[shown]), expected);
        let bytes: Vec<_> = shown.chunks(1).collect();
        assert_eq!(events(&bytes), expected);
        for at in 0..shown.len() {
            assert_eq!(events(&[&shown[..at], &shown[at..]]), expected);
        }
    }

    #[test]
    fn what_was_printed_before_a_sudden_end_is_told() {
        let mut console = Console::default();
        let events = console.read(b"@@minild: image begins\r\nearly @@minild: im");
        assert_eq!(events, [Event::Begins, Event::Prints(b"early ".to_vec())]);
        assert!(console.is_inside());
        assert_eq!(console.rest(), b"@@minild: im");
    }

    #[test]
    fn the_boot_application_prints_what_is_looked_for() {
        let says = |line: &[u8]| {
            let line = std::str::from_utf8(line).expect("ASCII").replace("\r\n", "\\r\\n");
            assert!(super::super::BOOT.contains(&line), "{line}");
        };
        [BEGINS, ENDED, REFUSED].into_iter().for_each(says);
        let digits = ".".repeat(16);
        assert_eq!(super::super::BOOT.matches(&format!(" {digits}\\r\\n")).count(), 2);
    }
}
