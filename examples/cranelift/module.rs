//! Cranelift's functions, data and relocations as a [`Program`]: a `Module` that any frontend of Cranelift can fill, in
//! place of `cranelift-object` and a linker behind it.

use std::collections::HashMap;
use std::io;

use cranelift_codegen::Context;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Signature;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_module::{self as cranelift, DataDescription, DataId, FuncId, Init, Linkage};
use cranelift_module::{ModuleDeclarations, ModuleError, ModuleReloc, ModuleResult};
use minild::arch::{self, aarch64, x86_64};
use minild::program::{Contents, Definition, Program, RelocationKind, Section, SectionKind};
use minild::program::{Symbol, SymbolId};
use minild::{Align, Architecture, Size, Target};

/// A module whose functions and data become sections and symbols of a program.
pub(crate) struct ProgramModule {
    isa: OwnedTargetIsa,
    declarations: ModuleDeclarations,
    symbols: HashMap<(u32, u32), SymbolId>,
    pub(crate) program: Program<'static>,
}

impl ProgramModule {
    pub(crate) fn new(isa: OwnedTargetIsa, target: Target) -> Self {
        let (declarations, symbols) = (ModuleDeclarations::default(), HashMap::new());
        Self { isa, declarations, symbols, program: Program::new(target) }
    }

    /// The symbol of a function (0) or of data (1), by its index.
    fn symbol(&mut self, namespace: u32, index: u32) -> SymbolId {
        let program = &mut self.program;
        *self.symbols.entry((namespace, index)).or_insert_with(|| {
            let (name, linkage) = if namespace == 0 {
                let declared = self.declarations.get_function_decl(FuncId::from_u32(index));
                (declared.linkage_name(FuncId::from_u32(index)), declared.linkage)
            } else {
                let declared = self.declarations.get_data_decl(DataId::from_u32(index));
                (declared.linkage_name(DataId::from_u32(index)), declared.linkage)
            };
            let symbol = Symbol::new(name.into_owned(), Definition::Undefined);
            match linkage {
                Linkage::Local => program.add_symbol(symbol.local()),
                _ => program.reference(symbol.name),
            }
        })
    }

    /// Adds what a symbol stands for, and its relocations.
    fn define(
        &mut self,
        id: SymbolId,
        (kind, contents, align): (SectionKind, Contents<'static>, u64),
        relocations: &[ModuleReloc],
    ) -> ModuleResult<()> {
        let name = self.program.symbol(id).name.clone();
        let align = Align::new(align).ok_or_else(|| unsupported(align))?.max(Align::WORD);
        let size = contents.size().0;
        let section = self.program.add_section(Section::new(name, kind, contents).aligned(align));
        let symbol = self.program.symbol_mut(id);
        symbol.definition = Definition::Section { section, offset: 0 };
        symbol.size = size;

        for relocation in relocations {
            use cranelift::ModuleRelocTarget as To;
            let (symbol, within) = match relocation.name {
                To::User { namespace, index } => (self.symbol(namespace, index), 0),
                To::FunctionOffset(function, offset) => {
                    (self.symbol(0, function.as_u32()), i64::from(offset))
                }
                To::LibCall(call) => {
                    (self.program.reference(cranelift::default_libcall_names()(call)), 0)
                }
                To::KnownSymbol(known) => return Err(unsupported(known)),
            };
            let kind = relocation_kind(self.program.target.architecture, relocation.kind)?;
            let addend = relocation.addend + within;
            self.program.relocate(section, relocation.offset.into(), kind, symbol, addend);
        }
        Ok(())
    }
}

/// Both sides count addends from the field's first byte, as ELF does.
fn relocation_kind(architecture: Architecture, reloc: Reloc) -> ModuleResult<RelocationKind> {
    Ok(match reloc {
        Reloc::Abs8 => arch::of(architecture).pointer(),
        Reloc::X86PCRel4 => x86_64::REL32,
        Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4 => x86_64::CALL32,
        Reloc::X86GOTPCRel4 => x86_64::GOT32,
        Reloc::Arm64Call => aarch64::CALL26,
        Reloc::Aarch64AdrPrelPgHi21 => aarch64::PAGE21,
        Reloc::Aarch64AddAbsLo12Nc => aarch64::PAGEOFF12,
        Reloc::Aarch64AdrGotPage21 => aarch64::GOTPAGE21,
        Reloc::Aarch64Ld64GotLo12Nc => aarch64::GOTPAGEOFF12,
        other => return Err(unsupported(other)),
    })
}

fn unsupported(what: impl std::fmt::Debug) -> ModuleError {
    ModuleError::Backend(io::Error::other(format!("{what:?} is not for this program")).into())
}

#[rustfmt::skip] // signatures as Cranelift has them, one a line
impl cranelift::Module for ProgramModule {
    fn isa(&self) -> &dyn TargetIsa {
        &*self.isa
    }
    fn declarations(&self) -> &ModuleDeclarations {
        &self.declarations
    }
    fn declare_function(&mut self, name: &str, linkage: Linkage, signature: &Signature) -> ModuleResult<FuncId> {
        Ok(self.declarations.declare_function(name, linkage, signature)?.0)
    }
    fn declare_anonymous_function(&mut self, signature: &Signature) -> ModuleResult<FuncId> {
        self.declarations.declare_anonymous_function(signature)
    }
    fn declare_data(&mut self, name: &str, linkage: Linkage, writable: bool, tls: bool) -> ModuleResult<DataId> {
        Ok(self.declarations.declare_data(name, linkage, writable, tls)?.0)
    }
    fn declare_anonymous_data(&mut self, writable: bool, tls: bool) -> ModuleResult<DataId> {
        self.declarations.declare_anonymous_data(writable, tls)
    }
    fn define_function_with_control_plane(&mut self, id: FuncId, context: &mut Context, control: &mut ControlPlane) -> ModuleResult<()> {
        let compiled = context.compile(self.isa(), control)?;
        let (align, bytes) = (compiled.buffer.alignment, compiled.code_buffer().to_vec());
        let relocations = compiled.buffer.relocs().to_vec();
        let relocations = relocations.iter().map(|reloc| ModuleReloc::from_mach_reloc(reloc, &context.func, id));
        self.define_function_bytes(id, align.into(), &bytes, &relocations.collect::<Vec<_>>())
    }
    fn define_function_bytes(&mut self, id: FuncId, align: u64, bytes: &[u8], relocations: &[ModuleReloc]) -> ModuleResult<()> {
        let symbol = self.symbol(0, id.as_u32());
        self.define(symbol, (SectionKind::Code, bytes.to_vec().into(), align), relocations)
    }
    fn define_data(&mut self, id: DataId, data: &DataDescription) -> ModuleResult<()> {
        let declared = self.declarations.get_data_decl(id);
        let (kind, contents) = match (&data.init, declared.writable) {
            (Init::Uninitialized, _) => return Err(unsupported("data without contents")),
            _ if declared.tls => return Err(unsupported("thread-local data")),
            (Init::Zeros { size }, true) => (SectionKind::Bss, Contents::Zeros(Size(*size as u64))),
            (Init::Zeros { size }, false) => (SectionKind::ReadOnly, vec![0; *size].into()),
            (Init::Bytes { contents }, true) => (SectionKind::Data, contents.to_vec().into()),
            (Init::Bytes { contents }, false) => (SectionKind::ReadOnly, contents.to_vec().into()),
        };
        let symbol = self.symbol(1, id.as_u32());
        let relocations: Vec<_> = data.all_relocs(Reloc::Abs8).collect();
        self.define(symbol, (kind, contents, data.align.unwrap_or(1)), &relocations)
    }
}
