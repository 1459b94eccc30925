//! Sections of one kind meet in output sections, these in segments, in the order of the format's plan.
//!
//! Takes every section with its role; gives their order. From here on the order in memory is final.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{
    Gathered, GatheredSegment, LoadRelocation, Member, NamedSymbol, OutputSection,
};
use crate::format::plan::{Role, SectionRow, SegmentRow};
use crate::link::synthesize::Synthesized;
use crate::program::{Contents, Definition, SectionId, SectionKind, Symbol, SymbolId, SymbolType};
use crate::units::Align;

/// Gathers sections into output sections, in the program's order.
///
/// # Errors
/// Bytes where only zeros can be.
///
/// # Panics
/// When `plan` is another format's than that of the program's target.
#[cfg_attr(feature = "tracing", tracing::instrument(skip_all))]
pub fn gather<'p>(
    synthesized: &'p Synthesized<'p>,
    plan: &'static [SegmentRow],
) -> Result<Gathered<'p>> {
    let mut errors = Collector::default();
    let program = synthesized.resolved.program;
    let mut outputs: Vec<OutputSection> =
        plan.iter().flat_map(|segment| segment.sections).map(empty).collect();
    let mut output_of = Vec::new();
    for (id, section) in synthesized.sections() {
        let role = synthesized.role(id);
        let index = outputs
            .iter()
            .position(|output| output.role == role)
            .expect("every plan has a row for every kind of section");
        if section.kind.is_zeros() && !matches!(section.contents, Contents::Zeros(_)) {
            errors.push(not_zeros(synthesized, id));
        }
        outputs[index].align = outputs[index].align.max(section.align);
        outputs[index].members.push(Member {
            section: id,
            size: section.contents.size(),
            align: section.align,
            at: section.at,
        });
        output_of.push(index);
    }

    // The template starts where all of it is aligned, so that a copy that does is aligned as it is.
    let thread_local = [SectionKind::TlsData, SectionKind::TlsBss].map(Role::Kind);
    let is_template = |output: &&mut OutputSection| {
        thread_local.contains(&output.role) && !output.members.is_empty()
    };
    let align = outputs.iter_mut().filter(is_template).map(|output| output.align).max();
    if let (Some(align), Some(first)) = (align, outputs.iter_mut().find(is_template)) {
        first.align = align;
    }

    // What the program does not have is left out; indices follow.
    let kept: Vec<bool> = outputs
        .iter()
        .map(|output| matches!(output.role, Role::Table(_)) || !output.members.is_empty())
        .collect();
    let new_index: Vec<usize> = kept
        .iter()
        .scan(0, |next, &kept| {
            let index = *next;
            *next += usize::from(kept);
            Some(index)
        })
        .collect();
    let mut outputs = outputs.into_iter().zip(kept);
    let segments = plan
        .iter()
        .map(|row| GatheredSegment {
            row,
            sections: outputs
                .by_ref()
                .take(row.sections.len())
                .filter_map(|(output, kept)| kept.then_some(output))
                .collect(),
        })
        .collect::<Vec<_>>();

    let imports = synthesized.kept_imports();
    errors.into_result(Gathered {
        program,
        entry: synthesized.entry,
        load_relocations: ascending(&synthesized.load_relocations, &segments),
        segments,
        symbols: named_symbols(synthesized),
        variables: synthesized.variables().collect(),
        kept_indices: imports.iter().zip(0..).map(|(kept, index)| (kept.import, index)).collect(),
        imports,
        winners: &synthesized.resolved.winners,
        outputs: output_of.into_iter().map(|index| new_index[index]).collect(),
    })
}

/// Load relocations in the order in which they lie in memory: loaders want theirs by page, and people
/// find them sooner.
fn ascending(
    load_relocations: &[LoadRelocation],
    segments: &[GatheredSegment],
) -> Vec<LoadRelocation> {
    let sections = segments.iter().flat_map(|segment| &segment.sections);
    let members = sections.flat_map(|section| &section.members);
    let rank: IndexMap<_, _, FxBuildHasher> =
        members.enumerate().map(|(rank, member)| (member.section, rank)).collect();
    let mut ascending = load_relocations.to_vec();
    ascending.sort_by_key(|relocation| (rank[&relocation.section], relocation.offset));
    ascending
}

fn empty(row: &SectionRow) -> OutputSection {
    OutputSection { name: row.name.into(), role: row.role, align: Align::ONE, members: Vec::new() }
}

fn not_zeros(synthesized: &Synthesized<'_>, section: SectionId) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "section `{}` holds bytes, and sections of its kind hold zeros only",
            synthesized.section(section).name
        ),
    )
    .at(Place::Section { section, offset: 0 }, "")
}

/// What the file's symbol table tells: every name that the program defines.
fn named_symbols<'p>(synthesized: &'p Synthesized<'p>) -> Vec<NamedSymbol<'p>> {
    let resolved = synthesized.resolved;
    let own = resolved.program.symbols_with_ids().filter(|(id, symbol)| {
        resolved.winners[id.index()] == *id
            && !matches!(
                symbol.definition,
                Definition::Undefined | Definition::Landmark(_) | Definition::Import(_)
            )
    });
    own.map(|(id, symbol)| {
        // What describes a thread-local variable bears its name.
        let stands_for = synthesized.variable(id).unwrap_or(id);
        let section = match synthesized.definition(stands_for) {
            Definition::Section { section, .. } => Some(section),
            _ => None,
        };
        NamedSymbol {
            id: stands_for,
            name: &symbol.name,
            binding: symbol.binding,
            symbol_type: symbol_type(synthesized, symbol, section),
            size: symbol_size(symbol, id, synthesized),
            section,
        }
    })
    .collect()
}

fn symbol_type(
    synthesized: &Synthesized<'_>,
    symbol: &Symbol<'_>,
    section: Option<SectionId>,
) -> SymbolType {
    match (symbol.symbol_type, section) {
        (SymbolType::Unspecified, Some(section)) => match synthesized.role(section) {
            Role::Kind(SectionKind::Code) => SymbolType::Function,
            Role::Kind(kind) if kind.is_thread_local() => SymbolType::ThreadLocal,
            _ => SymbolType::Object,
        },
        (symbol_type, _) => symbol_type,
    }
}

fn symbol_size(symbol: &Symbol<'_>, id: SymbolId, synthesized: &Synthesized<'_>) -> u64 {
    match synthesized.resolved.definition(id) {
        Definition::Common { size, .. } => size.0,
        _ => symbol.size,
    }
}
