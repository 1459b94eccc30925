//! A whole object file as a caller of the crate takes it: each section, symbol and relocation by what
//! `interop::object` says that it means, and nothing known of the file's format beyond that.

use std::collections::HashMap;

use minild::interop::object::object::{
    self, BinaryFormat, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SymbolIndex, SymbolSection,
};
use minild::interop::object::{NoEquivalent, read_relocation};
use minild::program::{
    Binding, Contents, Definition, Program, Section, SectionId, SectionKind, Symbol, SymbolId,
    SymbolType,
};
use minild::units::{Align, Size};
use minild::{Architecture, Target, arch};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// What an object file is in a program.
struct Input<'f, 'p> {
    file: &'f object::File<'f>,
    program: &'p mut Program<'f>,
    architecture: Architecture,
    sections: HashMap<SectionIndex, SectionId>,
    /// A local symbol at each section's start, for relocations that name the section.
    starts: HashMap<SectionIndex, SymbolId>,
    symbols: HashMap<SymbolIndex, SymbolId>,
}

/// The program that one object file is.
pub(crate) fn program<'f>(file: &'f object::File<'f>, target: Target) -> Result<Program<'f>> {
    if file.format() != BinaryFormat::from(target) {
        return Err(format!("{:?} is no format of {target}", file.format()).into());
    }
    let mut program = Program::new(target);
    let architecture = Architecture::try_from(file.architecture())?;
    let mut input = Input {
        file,
        program: &mut program,
        architecture,
        sections: HashMap::new(),
        starts: HashMap::new(),
        symbols: HashMap::new(),
    };
    for section in file.sections() {
        input.add_section(&section)?;
    }
    for symbol in file.symbols() {
        input.add_symbol(&symbol)?;
    }
    for section in file.sections() {
        input.relocate(&section)?;
    }
    Ok(program)
}

impl Input<'_, '_> {
    /// Sections that have no equivalent are no part of the program.
    fn add_section(&mut self, section: &object::Section<'_, '_>) -> Result<()> {
        let name = section.name()?;
        // What `object` takes for constants as others are.
        let kind = match name {
            ".pdata" => SectionKind::Unwind,
            ".xdata" => SectionKind::UnwindRecords,
            _ => match SectionKind::try_from(section.kind()) {
                Ok(kind) => kind,
                Err(NoEquivalent { .. }) => return Ok(()),
            },
        };
        if section.size() == 0 {
            return Ok(());
        }
        let contents = if kind.is_zeros() {
            Contents::Zeros(Size(section.size()))
        } else {
            section.data()?.to_vec().into()
        };
        let align = Align::new(section.align()).ok_or("an alignment that is no power of two")?;
        let added = Section::new(name.to_owned(), kind, contents).aligned(align);
        let id = self.program.add_section(added);
        let start = Definition::Section { section: id, offset: 0 };
        let start = self.program.add_symbol(Symbol::new(name.to_owned(), start).local());
        self.sections.insert(section.index(), id);
        self.starts.insert(section.index(), start);
        Ok(())
    }

    fn add_symbol(&mut self, symbol: &object::Symbol<'_, '_>) -> Result<()> {
        let Ok(symbol_type) = SymbolType::try_from(symbol.kind()) else {
            // A section's symbol stands for its start.
            let start = symbol.section_index().and_then(|section| self.starts.get(&section));
            self.symbols.extend(start.map(|start| (symbol.index(), *start)));
            return Ok(());
        };
        let definition = match symbol.section() {
            SymbolSection::Undefined => Definition::Undefined,
            SymbolSection::Absolute => Definition::Absolute(symbol.address()),
            SymbolSection::Common => Definition::Common {
                size: Size(symbol.size()),
                align: Align::new(16).expect("2^4"),
            },
            SymbolSection::Section(index) => {
                let Some(&section) = self.sections.get(&index) else { return Ok(()) };
                let start = self.file.section_by_index(index)?.address();
                Definition::Section { section, offset: symbol.address() - start }
            }
            _ => return Ok(()),
        };
        let name = symbol.name()?.to_owned();
        let added = if definition == Definition::Undefined {
            self.program.reference(name)
        } else {
            let mut added = Symbol::new(name, definition);
            added.binding =
                if symbol.is_weak() { Binding::Weak } else { Binding::try_from(symbol.scope())? };
            added.symbol_type = symbol_type;
            added.size = symbol.size();
            self.program.add_symbol(added)
        };
        self.symbols.insert(symbol.index(), added);
        Ok(())
    }

    fn relocate(&mut self, section: &object::Section<'_, '_>) -> Result<()> {
        let Some(&id) = self.sections.get(&section.index()) else { return Ok(()) };
        let data = section.data()?;
        for (offset, relocation) in section.relocations() {
            let field = data.get(usize::try_from(offset)?..).unwrap_or_default();
            let read = read_relocation(self.architecture, &relocation, field)?;
            let (symbol, addend) = match relocation.target() {
                RelocationTarget::Symbol(index) => (self.symbols.get(&index), read.addend),
                RelocationTarget::Section(index) => {
                    // Mach-O: the addend is an address of the object file, or how far that is from the field's end.
                    let start = self.file.section_by_index(index)?.address();
                    let end = section.address() + offset + read.kind.width();
                    let from = if is_relative(relocation.flags()) { end } else { 0 };
                    (
                        self.starts.get(&index),
                        read.addend + from.cast_signed() - start.cast_signed(),
                    )
                }
                other => return Err(format!("a relocation to {other:?}").into()),
            };
            let symbol = *symbol.ok_or_else(|| format!("{relocation:?} is to nothing"))?;
            self.program.relocate(id, offset, read.kind, symbol, addend);
            if let Some(subtractor) = relocation.subtractor() {
                let kind = format!("sub{}", 8 * read.kind.width());
                let kind = arch::of(self.architecture).kind(&kind).ok_or("no difference")?;
                let symbol = *self.symbols.get(&subtractor).ok_or("a difference to nothing")?;
                self.program.relocate(id, offset, kind, symbol, 0);
            }
        }
        Ok(())
    }
}

/// Whether a Mach-O file's relocation counts from its field.
fn is_relative(flags: RelocationFlags) -> bool {
    matches!(flags, RelocationFlags::MachO { r_pcrel: true, .. })
}
