//! What thread-local variables need: whether relocations can get at them at all, what describes them, and what
//! tells the loader of them.
//!
//! Takes how the system does it, as [`ThreadLocals`] says; gives sections that the link makes for it.

use super::start_up::add_code;
use super::{Synthesized, Wanted};
use crate::arch::{Operand, Via, start_up};
use crate::error::{Collector, Error, ErrorKind, Place, Result};
use crate::format::layout::{LoadRelocation, LoadValue};
use crate::format::plan::{Loader, Role, ThreadLocals, TlsDirectory};
use crate::program::{
    Definition, ImportId, Landmark, Program, Relocation, RelocationKind, Section, SectionId,
    SectionKind, SymbolId, SymbolType,
};
use crate::units::Align;

/// Bytes of what describes a variable: a function, and two words that are the loader's. The second holds where
/// in a thread's copy the variable lies.
const VARIABLE: u64 = 24;
const OFFSET_IN_VARIABLE: u64 = 16;

/// Bytes of the number that the loader writes.
const INDEX: usize = 4;

/// Whether `relocation` gets at thread-local variables as the system does, and at nothing else; `symbol` is what
/// defines its symbol's name, and `import` what it is, if it is imported.
pub(super) fn check(
    synthesized: &Synthesized<'_>,
    loader: Loader,
    place: &Place,
    relocation: &Relocation,
    symbol: SymbolId,
    import: Option<ImportId>,
) -> Result<(), Error> {
    let program = synthesized.program();
    let kind = relocation.kind;
    let name = &program.symbol(relocation.symbol).name;
    let refuse = |message: String| {
        Error::new(ErrorKind::UnsupportedRelocation, message).at(place.clone(), "")
    };
    let is_variable = synthesized.is_thread_local(symbol);
    if is_variable && matches!(loader.thread_locals, ThreadLocals::None) {
        return Ok(()); // told with its section
    }
    match synthesized.definition(symbol) {
        Definition::Landmark(Landmark::TlsIndex) if !has_index(loader) => {
            let message =
                format!("{} gives the thread-locals of a program no number", program.target);
            return Err(refuse(message).help(ways(program, loader)));
        }
        // A place of the template has an address, and one in each thread's copy.
        Definition::Landmark(landmark) if landmark.is_of_template() => {
            return if !kind.is_thread_local() || loader.thread_locals.takes(kind) {
                Ok(())
            } else {
                Err(refuse(wrong_way(program, kind)).help(ways(program, loader)))
            };
        }
        _ => {}
    }
    if !kind.is_thread_local() {
        if is_variable {
            let message = format!(
                "`{}` cannot reach `{name}`: it is thread-local, so it lies at another address in every thread",
                kind.name()
            );
            return Err(refuse(message).help(ways(program, loader)));
        }
        return Ok(());
    }
    if !is_variable && import.is_none() {
        let message =
            format!("`{}` is for thread-local variables, and `{name}` is none", kind.name());
        return Err(refuse(message).help("such variables stand in [tls]"));
    }
    if !loader.thread_locals.takes(kind) {
        let is_library =
            matches!(loader.thread_locals, ThreadLocals::ThreadPointer { is_known: false });
        let message = if is_library && kind.operand() == Operand::ThreadPointer {
            format!(
                "`{}` cannot reach `{name}`: how far a shared library's variables lie from the thread pointer \
                 is known when it is loaded",
                kind.name()
            )
        } else {
            wrong_way(program, kind)
        };
        return Err(refuse(message).help(ways(program, loader)));
    }
    if import.is_some() && kind.via() == Via::Direct {
        let message = format!(
            "`{}` cannot reach `{name}`: it is imported, and where it lies is known when the program is loaded",
            kind.name()
        );
        return Err(match loader.thread_locals {
            ThreadLocals::Index(_) => refuse(message)
                .help(format!("{} has no way to another module's variables", program.target)),
            _ => refuse(message).help("read it from a slot, or call its descriptor"),
        });
    }
    // Nobody fills them in for a program that the kernel loads alone.
    if matches!(kind.via(), Via::DescriptorSlots | Via::ModuleSlots) && !loader.relocates {
        let message = format!(
            "`{}` wants what a dynamic linker fills in, and this program has none",
            kind.name()
        );
        return Err(refuse(message).help(ways(program, loader)));
    }
    Ok(())
}

fn has_index(loader: Loader) -> bool {
    matches!(loader.thread_locals, ThreadLocals::Index(_))
}

fn wrong_way(program: &Program<'_>, kind: RelocationKind) -> String {
    format!("`{}` is not how {} gets at thread-local variables", kind.name(), program.target)
}

/// How thread-local variables are reached, for the help of an error.
fn ways(program: &Program<'_>, loader: Loader) -> String {
    let kinds = crate::arch::of(program.target.architecture).kinds();
    let wants_linker = |kind: RelocationKind| {
        matches!(kind.via(), Via::DescriptorSlots | Via::ModuleSlots) && !loader.relocates
    };
    // Where a variable lies in the copy is half of a way; the other half is the number.
    let is_half = |kind: RelocationKind| {
        kind.operand() == Operand::Template && (!has_index(loader) || kind.width() > 4)
    };
    let names: Vec<_> = kinds
        .filter(|&kind| loader.thread_locals.takes(kind) && !wants_linker(kind) && !is_half(kind))
        .map(|kind| format!("`{}`", kind.name()))
        .collect();
    match &names[..] {
        [] => format!("{} knows no thread-local variables", program.target),
        [only] => format!("it is reached by {only}"),
        [first @ .., last] => format!("it is reached by {} or {last}", first.join(", ")),
    }
}

/// Whether there can be thread-local variables.
pub(super) fn check_sections(
    synthesized: &Synthesized<'_>,
    loader: Loader,
    errors: &mut Collector,
) {
    if !matches!(loader.thread_locals, ThreadLocals::None) {
        return;
    }
    let program = synthesized.program();
    for (id, section) in program.sections_with_ids() {
        if section.kind.is_thread_local() {
            let message = format!(
                "`{}` is thread-local, and nothing on {} makes copies of it for this program's threads",
                section.name, program.target
            );
            let place = Place::Section { section: id, offset: 0 };
            errors.push(Error::new(ErrorKind::Unsupported, message).at(place, ""));
        }
    }
}

/// Variables that are exported are described, though nothing here may get at them.
pub(super) fn want_exported(
    synthesized: &Synthesized<'_>,
    loader: Loader,
    wanted: &mut Wanted,
    errors: &mut Collector,
) {
    for (index, export) in synthesized.program().exports.iter().enumerate() {
        let symbol = synthesized.winner(export.symbol);
        let is_own = synthesized.import(symbol).is_none();
        if !is_own || !synthesized.is_thread_local(symbol) {
            continue;
        }
        match loader.thread_locals {
            ThreadLocals::Variables { .. } => _ = wanted.variables.insert(symbol),
            ThreadLocals::Index(_) => {
                let message = format!(
                    "`{}` cannot be exported: {} has no way to another module's thread-local variables",
                    export.name,
                    synthesized.program().target
                );
                let error = Error::new(ErrorKind::Unsupported, message);
                let help = "export a function that gives its address";
                errors.push(error.at(Place::Export(index), "").help(help));
            }
            ThreadLocals::ThreadPointer { .. } | ThreadLocals::None => {}
        }
    }
}

/// What describes each variable that is wanted.
pub(super) fn make_variables(
    synthesized: &mut Synthesized<'_>,
    loader: Loader,
    wanted: &Wanted,
    errors: &mut Collector,
) {
    let ThreadLocals::Variables { bootstrap } = loader.thread_locals else { return };
    let Some(&first) = wanted.variables.first() else { return };
    let Some((function, import)) = synthesized.import_called(bootstrap) else {
        let message = format!(
            "what describes a thread-local variable names `{bootstrap}`, and this program does not import it"
        );
        let error = Error::new(ErrorKind::Missing, message).at(Place::Symbol(first), "");
        return errors.push(error.help("`arch::start_up::import_thread_locals` adds it"));
    };
    synthesized.imports.insert(function, import);
    let arch = crate::arch::of(synthesized.program().target.architecture);
    let bytes = usize::try_from(VARIABLE).expect("few") * wanted.variables.len();
    let mut section = Section::new("variables", SectionKind::Data, vec![0; bytes]);
    let offsets: Vec<u64> = (0..).step_by(24).take(wanted.variables.len()).collect();
    for (&offset, &symbol) in offsets.iter().zip(&wanted.variables) {
        section.relocations.extend([
            Relocation { offset, addend: 0, symbol: function, kind: arch.pointer() },
            Relocation {
                offset: offset + OFFSET_IN_VARIABLE,
                addend: 0,
                symbol,
                kind: arch.template_offset(),
            },
        ]);
    }
    let id = synthesized.add_section(Role::Variables, section);
    for (offset, &symbol) in offsets.into_iter().zip(&wanted.variables) {
        synthesized.load_relocations.push(LoadRelocation {
            section: id,
            offset,
            symbol: function,
            addend: 0,
            import: Some(import),
            value: LoadValue::Address,
        });
        let place = Definition::Section { section: id, offset };
        let variable = synthesized.add_symbol("variable", place);
        synthesized.variables.insert(symbol, variable);
    }
}

/// What tells the loader where the template is, and which functions it calls: those that run the program's
/// initialisers and finalisers.
pub(super) fn make_directory(synthesized: &mut Synthesized<'_>, loader: Loader) {
    let ThreadLocals::Index(directory) = loader.thread_locals else { return };
    let program = synthesized.program();
    // Where the loader does not run them, start-up code does.
    let has_lists =
        loader.runs_lists && (program.has(SectionKind::Init) || program.has(SectionKind::Fini));
    let wants_index = |symbol: &crate::program::Symbol<'_>| {
        symbol.definition == Definition::Landmark(Landmark::TlsIndex)
    };
    if !has_lists && !program.has_thread_locals() && !program.symbols().iter().any(wants_index) {
        return;
    }
    let index = Section::new("tls_index", SectionKind::Data, vec![0; INDEX]);
    synthesized.add_section(Role::TlsIndex, index);

    let callback = start_up::callback(program.target).filter(|_| has_lists);
    let callback = callback.map(|piece| add_code(synthesized, "callback", &[piece], &|_| None));
    let pointer = crate::arch::of(program.target.architecture).pointer();
    // The list of functions stands behind the directory.
    let list = callback.map_or(0, |_| 2 * pointer.width());
    let mut bytes = vec![0; usize::try_from(directory.size + list).expect("few")];
    let align = (directory.encode_align)(template_align(program)).to_le_bytes();
    let at = usize::try_from(directory.align).expect("few");
    bytes[at..at + align.len()].copy_from_slice(&align);
    let section = Section::new("tls_directory", SectionKind::ReadOnly, bytes);
    let id = synthesized.add_section(Role::TlsDirectory, section);

    let &TlsDirectory { size, template_start, template_end, index, callbacks, .. } = directory;
    let landmark = |synthesized: &mut Synthesized<'_>, landmark| {
        synthesized.add_symbol("landmark", Definition::Landmark(landmark))
    };
    let mut words = vec![
        (template_start, landmark(synthesized, Landmark::TlsStart)),
        (template_end, landmark(synthesized, Landmark::TlsEnd)),
        (index, landmark(synthesized, Landmark::TlsIndex)),
    ];
    if let Some(callback) = callback {
        let list = Definition::Section { section: id, offset: size };
        words.push((callbacks, synthesized.add_symbol("callbacks", list)));
        words.push((size, callback));
    }
    for (offset, symbol) in words {
        synthesized.add_pointer(id, Relocation { offset, addend: 0, symbol, kind: pointer });
    }
}

/// What every copy of the template is aligned to.
pub(super) fn template_align(program: &Program<'_>) -> Align {
    let sections = program.sections().iter().filter(|section| section.kind.is_thread_local());
    sections.map(|section| section.align).max().unwrap_or(Align::ONE)
}

impl Synthesized<'_> {
    /// Whether every thread has a copy of its own of what `symbol` names.
    pub(super) fn is_thread_local(&self, symbol: SymbolId) -> bool {
        match self.definition(symbol) {
            Definition::Section { section, .. } => self.section(section).kind.is_thread_local(),
            Definition::Import(_) => {
                self.program().symbol(symbol).symbol_type == SymbolType::ThreadLocal
            }
            _ => false,
        }
    }

    /// A pointer in a section of the link's own, which the loader writes if it has to.
    fn add_pointer(&mut self, section: SectionId, relocation: Relocation) {
        let Relocation { offset, addend, symbol, .. } = relocation;
        let index = self.made_index(section).expect("the link made the section");
        self.made[index].1.relocations.push(relocation);
        if super::scan::moves(self, &relocation) {
            self.load_relocations.push(LoadRelocation {
                section,
                offset,
                symbol,
                addend,
                import: None,
                value: LoadValue::Address,
            });
        }
    }
}
