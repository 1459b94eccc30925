//! From instructions and data, one behind the other, to a block of bytes: how wide jumps are, where labels
//! lie, what alignment adds, and which references the text can settle by itself.

use rustc_hash::FxHashMap;

use super::Context;
use crate::arch::{Operand, Via};
use crate::error::{Collector, Error, ErrorKind, Place};
use crate::input::spec::block::{Block, Field, Fixup, Label};
use crate::input::spec::document::Span;
use crate::input::spec::expression::{Expression, TermValue};
use crate::program::RelocationKind;
use crate::units::Align;

/// An instruction as its bits are known, the field of its symbol zero.
pub(super) struct Instruction {
    pub(super) code: Code,
    /// The same with a narrower field, for a target near by.
    pub(super) short: Option<Code>,
}

/// Bytes with at most one reference in them.
pub(super) struct Code {
    pub(super) bytes: Vec<u8>,
    pub(super) reference: Option<Reference>,
}

/// What a symbol's address has to be written into.
#[derive(Clone)]
pub(super) struct Reference {
    /// Bytes from the start of its code.
    pub(super) offset: u64,
    pub(super) kind: RelocationKind,
    /// What is added to the addend, so that the value counts from where the processor does.
    pub(super) bias: i64,
    pub(super) expression: Expression,
    pub(super) span: Span,
}

enum Fragment {
    Instruction {
        instruction: Instruction,
        is_short: bool,
        /// The statement.
        span: Span,
    },
    Data(Block),
    Align {
        align: Align,
        /// `None`: what does nothing where it is executed.
        fill: Option<u8>,
    },
}

/// The statements so far.
#[derive(Default)]
pub(super) struct Fragments {
    fragments: Vec<Fragment>,
    /// Each with the number of the fragment that it names the start of.
    labels: Vec<(Label, usize)>,
}

impl Fragments {
    pub(super) fn add_labels(&mut self, labels: Vec<Label>) {
        let index = self.fragments.len();
        self.labels.extend(labels.into_iter().map(|label| (label, index)));
    }

    pub(super) fn add_instruction(&mut self, instruction: Instruction, span: Span) {
        self.fragments.push(Fragment::Instruction { instruction, is_short: false, span });
    }

    pub(super) fn add_data(&mut self, block: Block) {
        self.fragments.push(Fragment::Data(block));
    }

    pub(super) fn add_align(&mut self, align: Align, fill: Option<u8>) {
        self.fragments.push(Fragment::Align { align, fill });
    }

    /// Puts all together. Jumps to labels of this text get the shortest form that reaches: all start
    /// short, and those that do not reach become long until all do. None becomes short again, so that
    /// this ends, and ends the same each time.
    pub(super) fn place(mut self, context: &Context<'_>, errors: &mut Collector) -> Block {
        let targets: FxHashMap<String, usize> =
            self.labels.iter().map(|(label, index)| (label.name.clone(), *index)).collect();
        for fragment in &mut self.fragments {
            if let Fragment::Instruction { instruction, is_short, .. } = fragment {
                let target = instruction.short.as_ref().and_then(|short| short.reference.as_ref());
                *is_short = target.is_some_and(|reference| reference.is_to(&targets).is_some());
            }
        }
        let mut offsets = self.offsets();
        while self.widen(&offsets, &targets) {
            offsets = self.offsets();
        }
        self.join(&offsets, &targets, context, errors)
    }

    /// Where each fragment starts, and where the last one ends.
    fn offsets(&self) -> Vec<u64> {
        let mut offsets = Vec::with_capacity(self.fragments.len() + 1);
        let mut at = 0;
        for fragment in &self.fragments {
            offsets.push(at);
            at += fragment.len(at);
        }
        offsets.push(at);
        offsets
    }

    /// Makes those short jumps long that do not reach; whether there were any.
    fn widen(&mut self, offsets: &[u64], targets: &FxHashMap<String, usize>) -> bool {
        let mut any = false;
        for (fragment, &offset) in self.fragments.iter_mut().zip(offsets) {
            let Fragment::Instruction { instruction, is_short: is_short @ true, .. } = fragment
            else {
                continue;
            };
            let short = instruction.short.as_ref().and_then(|short| short.reference.as_ref());
            let reaches = short.is_some_and(|reference| {
                let distance = reference.distance(offset, offsets, targets);
                distance.is_some_and(|distance| reference.kind.interval().contains(&distance))
            });
            *is_short = reaches;
            any |= !reaches;
        }
        any
    }

    fn join(
        self,
        offsets: &[u64],
        targets: &FxHashMap<String, usize>,
        context: &Context<'_>,
        errors: &mut Collector,
    ) -> Block {
        let mut block = Block::default();
        let granule = context.dialect.granule;
        for (fragment, &offset) in self.fragments.into_iter().zip(offsets) {
            let length = fragment.len(offset);
            match fragment {
                Fragment::Data(data) => block.append(data),
                Fragment::Align { align, fill } => {
                    block.align = block.align.max(Some(align));
                    let length = usize::try_from(length).unwrap_or_default();
                    match fill {
                        Some(fill) => block.bytes.extend(std::iter::repeat_n(fill, length)),
                        None => block.bytes.extend((context.dialect.padding)(length)),
                    }
                }
                Fragment::Instruction { instruction, is_short, span } => {
                    if offset % granule != 0 {
                        let message = format!(
                            "this instruction would stand {offset} bytes into the text, which is no multiple of {granule}"
                        );
                        let error = Error::new(ErrorKind::Misaligned, message)
                            .at(Place::Text(span), "")
                            .help(format!("write `.balign {granule}` behind the data before it"));
                        errors.push(error);
                        return block;
                    }
                    let code = match instruction.short {
                        Some(short) if is_short => short,
                        _ => instruction.code,
                    };
                    let start = block.bytes.len();
                    block.bytes.extend(&code.bytes);
                    let Some(reference) = code.reference else { continue };
                    match reference.distance(offset, offsets, targets) {
                        Some(distance) => {
                            let field = &mut block.bytes[start..][reference.range()];
                            if let Err(error) = reference.settle(distance, field) {
                                errors.push(error);
                            }
                        }
                        None => block.fixups.push(reference.fixup(offset)),
                    }
                }
            }
        }
        let labels = self.labels.into_iter();
        block.labels =
            labels.map(|(label, index)| Label { offset: offsets[index], ..label }).collect();
        block
    }
}

impl Fragment {
    /// Its bytes where it starts at `offset`.
    fn len(&self, offset: u64) -> u64 {
        match self {
            Self::Data(block) => block.len(),
            Self::Instruction { instruction, is_short, .. } => match &instruction.short {
                Some(short) if *is_short => short.bytes.len() as u64,
                _ => instruction.code.bytes.len() as u64,
            },
            Self::Align { align, .. } => offset.wrapping_neg() & (align.get() - 1),
        }
    }
}

impl Reference {
    /// The fragment that it refers to, if the text itself can settle it: a distance to a label. An
    /// address, a page or a slot is the link's.
    fn is_to(&self, targets: &FxHashMap<String, usize>) -> Option<(usize, i128)> {
        let is_distance = self.kind.operand() == Operand::Relative
            && matches!(self.kind.via(), Via::Direct | Via::ThroughStub);
        let mut target = None;
        let mut addend = i128::from(self.bias);
        for term in &self.expression.terms {
            match &term.value {
                TermValue::Number(number) => {
                    addend += if term.is_negative { -number } else { *number };
                }
                TermValue::Name(_) if term.is_negative => return None,
                TermValue::Name(name) => target = Some(*targets.get(name)?),
            }
        }
        target.filter(|_| is_distance).map(|target| (target, addend))
    }

    /// The value of the field, where the text itself can settle it.
    fn distance(
        &self,
        offset: u64,
        offsets: &[u64],
        targets: &FxHashMap<String, usize>,
    ) -> Option<i128> {
        let (target, addend) = self.is_to(targets)?;
        Some(i128::from(offsets[target]) + addend - i128::from(offset + self.offset))
    }

    /// The bytes of its field, in its code.
    fn range(&self) -> std::ops::Range<usize> {
        let start = usize::try_from(self.offset).expect("an instruction has few bytes");
        let width = usize::try_from(self.kind.width()).expect("a field has few bytes");
        start..start + width
    }

    /// Writes the distance into its field.
    fn settle(&self, distance: i128, field: &mut [u8]) -> Result<(), Error> {
        let place = Place::Text(self.expression.span.clone());
        let interval = self.kind.interval();
        let counted = distance - i128::from(self.bias);
        if !interval.contains(&distance) {
            let message = format!(
                "this label is {counted} bytes away, and `{}` reaches from {} to {}",
                self.kind.name(),
                interval.start(),
                interval.end()
            );
            return Err(Error::new(ErrorKind::OutOfRange, message)
                .at(place, "")
                .value(distance, interval));
        }
        match self.kind.granule(field) {
            Ok(granule) if distance % i128::from(granule) != 0 => {
                let message = format!(
                    "this label is {counted} bytes away, which is no multiple of {granule}"
                );
                Err(Error::new(ErrorKind::Misaligned, message).at(place, ""))
            }
            Ok(_) => {
                self.kind.insert(field, distance);
                Ok(())
            }
            Err(wrong) => {
                let message = format!("`{}` is for {}", self.kind.name(), wrong.expected);
                Err(Error::new(ErrorKind::UnsupportedRelocation, message).at(place, ""))
            }
        }
    }

    fn fixup(self, base: u64) -> Fixup {
        Fixup {
            offset: base + self.offset,
            field: Field::Relocation { kind: self.kind, bias: self.bias },
            expression: self.expression,
            span: self.span,
        }
    }
}
