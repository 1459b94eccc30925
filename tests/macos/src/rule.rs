//! Every rule for which a file can be refused: one table with the rule's name, when it is checked, what it demands and
//! the function of xnu or dyld that has it. The tests hold a broken file against every row.

/// Who checks a rule, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The kernel, when the file is executed (or, for the signature, mapped).
    Kernel,
    /// dyld, when it loads an image.
    Launch,
    /// `dyld_info -validate` only: macOS would start the file. Checked when the caller wants a conforming file.
    Validate,
}

/// A rule that a file broke, with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// Place and value that broke it.
    pub found: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let info = self.rule.info();
        write!(formatter, "{}: {}; {} ({})", info.name, info.demand, self.found, info.source)
    }
}

impl std::error::Error for Refusal {}

/// A row of the table of rules.
#[derive(Debug)]
pub struct RuleInfo {
    /// The name, `<who>/<what>`.
    pub name: &'static str,
    /// When it is checked.
    pub stage: Stage,
    /// What it demands of the file.
    pub demand: &'static str,
    /// Where xnu or dyld have it.
    pub source: &'static str,
}

impl Rule {
    /// A refusal by this rule.
    pub fn refuse(self, found: impl Into<String>) -> Refusal {
        Refusal { rule: self, found: found.into() }
    }

    /// `Ok` if `holds`; else a refusal with what was found.
    ///
    /// # Errors
    /// The refusal.
    pub fn require(self, holds: bool, found: impl FnOnce() -> String) -> Result<(), Refusal> {
        if holds { Ok(()) } else { Err(self.refuse(found())) }
    }
}

macro_rules! rules {
    ($($rule:ident $stage:ident $name:literal $demand:literal $source:literal;)*) => {
        /// A rule of xnu's or dyld's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each rule's demand is in the table")]
        pub enum Rule { $($rule),* }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: &[Rule] = &[$(Rule::$rule),*];

            /// The rule's row.
            #[must_use]
            pub fn info(self) -> &'static RuleInfo {
                match self {
                    $(Rule::$rule => &RuleInfo { name: $name, stage: Stage::$stage, demand: $demand, source: $source }),*
                }
            }
        }
    };
}

rules! {
    // xnu: mach_loader.c, kern_exec.c, mach_fat.c
    NotAnImage Kernel "xnu/not-an-image" "the file begins with a Mach-O header or a fat header" "exec_mach_imgact";
    ByteOrder Kernel "xnu/byte-order" "the header is little-endian" "exec_mach_imgact";
    FatSlice Kernel "xnu/fat-slice" "every slice lies inside the fat file" "fatfile_validate_fatarches";
    FatAlignment Kernel "xnu/fat-alignment" "a slice begins at a page" "load_segment";
    CpuType Kernel "xnu/cpu-type" "the processor runs this cputype and cpusubtype" "grade_binary";
    FileType Kernel "xnu/file-type" "the file is an MH_EXECUTE" "exec_mach_imgact";
    CommandsSize Kernel "xnu/commands-size" "the load commands end inside the file" "parse_machfile";
    CommandSize Kernel "xnu/command-size" "each cmdsize is 8 or more and ends inside sizeofcmds" "parse_machfile";
    Segment32 Kernel "xnu/segment-32" "a 64-bit image has no LC_SEGMENT" "parse_machfile";
    SegmentCommandSize Kernel "xnu/segment-command-size" "cmdsize of an LC_SEGMENT_64 holds its sections" "load_segment";
    SegmentFileOffset Kernel "xnu/segment-file-offset" "fileoff is a multiple of the page size" "load_segment";
    SegmentFileRange Kernel "xnu/segment-file-range" "fileoff+filesize lies inside the file" "load_segment";
    SegmentOverlap Kernel "xnu/segment-overlap" "segments do not share pages" "map_segment, vm_map_enter";
    PageZero Kernel "xnu/page-zero" "a segment without rights at 0 keeps the first page (x86-64) or 4 GiB (arm64) empty" "load_segment, load_machfile";
    HeaderSegment Kernel "xnu/header-segment" "exactly one segment maps the header, and may be read and executed" "load_segment, parse_machfile";
    WritableExecutable Kernel "xnu/writable-executable" "no segment is both writable and executable" "vm_map_enter";
    MaximumProtection Kernel "xnu/maximum-protection" "initprot is within maxprot" "map_segment";
    OneReadOnlySegment Kernel "xnu/one-read-only-segment" "at most one segment has SG_READ_ONLY" "load_segment";
    PositionIndependent Kernel "xnu/position-independent" "a program with dyld has MH_PIE" "parse_machfile";
    NoStatic Kernel "xnu/no-static" "a program has MH_DYLDLINK" "parse_machfile";
    OneEntry Kernel "xnu/one-entry" "there is one LC_MAIN or LC_UNIXTHREAD, not both" "load_main, load_unixthread";
    NoEntry Kernel "xnu/no-entry" "there is an LC_MAIN or LC_UNIXTHREAD" "parse_machfile";
    MainSize Kernel "xnu/main-size" "LC_MAIN has 24 bytes" "load_main";
    ThreadState Kernel "xnu/thread-state" "LC_UNIXTHREAD has the architecture's one thread state" "load_threadstate, machine_thread_setentrypoint";
    EntryPoint Kernel "xnu/entry-point" "LC_UNIXTHREAD's program counter is in a readable and executable segment" "parse_machfile";
    DylinkerMissing Kernel "xnu/dylinker-missing" "a program with MH_DYLDLINK or LC_MAIN has an LC_LOAD_DYLINKER" "load_machfile";
    DylinkerPath Kernel "xnu/dylinker-path" "LC_LOAD_DYLINKER says /usr/lib/dyld, with its NUL inside the command" "load_dylinker";
    OneDylinker Kernel "xnu/one-dylinker" "there is at most one LC_LOAD_DYLINKER" "parse_machfile";
    UuidSize Kernel "xnu/uuid-size" "LC_UUID has 24 bytes" "load_uuid";
    OneVersion Kernel "xnu/one-version" "at most one command says platform and version, in its full size" "load_version";
    SignatureCommand Kernel "xnu/signature-command" "LC_CODE_SIGNATURE has 16 bytes and a range inside the file" "load_code_signature";

    // The signature: ubc_subr.c and cs_blobs.h
    SignatureMissing Kernel "signature/missing" "arm64 code is signed" "AMFI (closed)";
    SuperBlob Kernel "signature/super-blob" "an embedded signature with its blobs inside it" "cs_validate_csblob";
    CodeDirectory Kernel "signature/code-directory" "a CodeDirectory of a known version, with its parts inside it" "cs_validate_codedirectory";
    SignatureHashType Kernel "signature/hash-type" "a hash type known, with its size, and used once" "cs_validate_codedirectory, cs_validate_csblob";
    SignaturePageSize Kernel "signature/page-size" "pages of 4 KiB or of the host's size" "cs_validate_codedirectory";
    SignatureIdentifier Kernel "signature/identifier" "an identifier with its NUL inside the CodeDirectory" "cs_validate_codedirectory";
    SignatureSlots Kernel "signature/slots" "a hash for each page up to codeLimit" "cs_validate_codedirectory, cs_validate_hash";
    SignatureCoverage Kernel "signature/coverage" "every page of an executable segment is below codeLimit, the last one whole" "cs_validate_range, CS_VALIDATE_NX";
    SignaturePageHash Kernel "signature/page-hash" "each page has the hash that the CodeDirectory says" "cs_validate_hash";

    // dyld: structure, at every SDK. mach_o/UnsafeHeader.cpp
    DyldCommandSize Launch "dyld/command-size" "each known command has exactly its size" "validStructureLoadCommands";
    DyldString Launch "dyld/string" "strings of commands end inside them" "validStructureLoadCommands";
    UnknownCommand Launch "dyld/unknown-command" "no unknown command has LC_REQ_DYLD" "validStructureLoadCommands";
    OneUuid Launch "dyld/one-uuid" "there is at most one LC_UUID" "validStructureLoadCommands";
    IdDylib Launch "dyld/id-dylib" "a dylib has one LC_ID_DYLIB, a program none" "validSemanticsUUID, validSemanticsInstallName";
    Platform Launch "dyld/platform" "the platform is macOS" "validSemanticsPlatform";
    DyldSegmentFileRange Launch "dyld/segment-file-range" "segments lie inside the file" "validSegment";
    SegmentSize Launch "dyld/segment-size" "filesize is not above vmsize" "validSegment";
    SegmentProtection Launch "dyld/segment-protection" "initprot has no bits but r, w and x" "validSegment";
    SegmentWrap Launch "dyld/segment-wrap" "a segment does not wrap around the address space" "validSegment";
    SectionStart Launch "dyld/section-start" "sections do not begin before their segment" "validSegment";
    DyldSegmentOverlap Launch "dyld/segment-overlap" "segments share neither addresses nor file bytes" "validSemanticsSegments";
    TextSegment Launch "dyld/text-segment" "__TEXT begins at file offset 0 and holds header and commands" "validSemanticsSegments";
    MainOffset Launch "dyld/main-offset" "LC_MAIN points into executable code" "validSemanticsMain, getEntry";

    // dyld: policies by SDK. mach_o/Policy.cpp
    LinkeditPermissions Launch "dyld/linkedit-permissions" "__LINKEDIT is r-- (dylib from SDK 10.11, program from 26)" "enforceReadOnlyLinkedit";
    SegmentOrder Launch "dyld/segment-order" "segments are in one order in commands, file and memory (dylib from SDK 10.15, program from 26)" "enforceSegmentOrderMatchesLoadCmds";
    TextPermissions Launch "dyld/text-permissions" "__TEXT is r-x (from SDK 10.15)" "enforceTextSegmentPermissions";
    SectionsInSegment Launch "dyld/sections-in-segment" "sections end inside their segment (from SDK 11)" "enforceSectionsInSegment";
    DylibInCacheFlag Launch "dyld/dylib-in-cache-flag" "a program has no MH_DYLIB_IN_CACHE (from SDK 12)" "enforceMainFlagsCorrect";
    HasUuid Launch "dyld/has-uuid" "there is an LC_UUID (dylib from SDK 12, program from 26)" "enforceHasUUID";
    HasLinkedDylibs Launch "dyld/has-linked-dylibs" "at least one library is linked (from SDK 15.4)" "enforceHasLinkedDylibs";
    DuplicateDylibs Launch "dyld/duplicate-dylibs" "no library is linked twice (from SDK 26)" "enforceNoDuplicateDylibs";
    DuplicateRpaths Launch "dyld/duplicate-rpaths" "no LC_RPATH is there twice (from SDK 26)" "enforceNoDuplicateRPaths";
    UniqueSegmentNames Launch "dyld/unique-segment-names" "no two segments have one name (from SDK 26)" "enforceUniqueSegmentNames";
    DataPermissions Launch "dyld/data-permissions" "__DATA and __DATA_CONST are rw- (from SDK 26)" "enforceDataSegmentPermissions";
    DataConstFlag Launch "dyld/data-const-flag" "__DATA_CONST has SG_READ_ONLY (from SDK 26)" "enforceDataConstSegmentPermissions";

    // dyld: policies that only a validation looks at. mach_o/Image.cpp
    LinkeditAlignment Validate "dyld/linkedit-alignment" "tables in __LINKEDIT are aligned: 8, indirect symbols 4 (from SDK 10.14)" "enforceLinkeditContentAlignment";
    LinkeditLayout Validate "dyld/linkedit-layout" "tables lie inside __LINKEDIT and do not overlap" "validLinkedit";
    SignatureAlignment Validate "dyld/signature-alignment" "the signature is 8-aligned (from SDK 10.15)" "enforceCodeSignatureAligned";
    FixupsInWritableSegments Validate "dyld/fixups-in-writable-segments" "fixups are in writable segments that are not executable (from SDK 10.15)" "enforceFixupsInWritableSegments";
    SymbolTable Validate "dyld/symbol-table" "local, external and undefined symbols are in this order and add up" "validStructureLinkedit";
    SymbolStrings Validate "dyld/symbol-strings" "symbols have their names in the string pool" "validStructureLinkedit";
    IndirectSymbols Validate "dyld/indirect-symbols" "indirect symbols are there for sections of stubs and pointers" "validStructureLinkedit";
    FunctionStarts Validate "dyld/function-starts" "function starts are ascending addresses in __TEXT, ended by 0" "FunctionStarts::valid";

    // dyld: linking
    OneFixupEncoding Launch "dyld/one-fixup-encoding" "chained fixups are not beside LC_DYLD_INFO" "enforceOneFixupEncoding, ChainedFixups::valid";
    LinkeditRange Launch "dyld/linkedit-range" "tables lie inside the mapped file" "UnsafeHeader::getLinkeditContent";
    LibraryMissing Launch "dyld/library-missing" "linked libraries exist, unless linked weakly" "Loader::getLoader";
    LinksWithLibSystem Launch "dyld/links-with-libsystem" "libSystem.B.dylib is among the loaded libraries" "dyldMain.cpp prepare";
    SymbolMissing Launch "dyld/symbol-missing" "imported symbols exist, unless imported weakly" "Loader::resolveSymbol";
    LibraryOrdinal Launch "dyld/library-ordinal" "a library ordinal names a linked library or is a known special one" "ChainedFixups::valid, Loader::resolveSymbol";
    ChainedHeader Launch "dyld/chained-header" "version 0, uncompressed names, and starts, imports and names in this order inside the blob" "ChainedFixups::validLinkedit";
    ChainedSegments Launch "dyld/chained-segments" "seg_count is the number of segments" "ChainedFixups::validLinkedit";
    ChainedStarts Launch "dyld/chained-starts" "starts of a segment lie inside the blob, with the right page size, one pointer format and the segment's offset" "ChainedFixups::validLinkedit";
    ChainedPageStart Launch "dyld/chained-page-start" "a page's chain starts inside the page" "ChainedFixups::validLinkedit";
    ChainedImports Launch "dyld/chained-imports" "imports have a known format and their names inside the blob" "ChainedFixups::validLinkedit";
    ChainLink Launch "dyld/chain-link" "a chain stays inside its page" "ChainedFixups::forEachFixupChainStartLocation";
    ChainTarget Launch "dyld/chain-target" "a link names an import that exists, or an address in the image" "ChainedFixups::forEachFixup";
    FixupOpcode Launch "dyld/fixup-opcode" "rebase and bind opcodes are known and complete" "RebaseOpcodes::valid, BindOpcodes::valid";
    FixupLocation Launch "dyld/fixup-location" "a fixup lies inside a segment, and can be written" "RebaseOpcodes::invalidRebase, BindOpcodes::invalidBind";
    ExportsTrie Launch "dyld/exports-trie" "the exports trie's nodes are complete, its flags known and its offsets in the image" "ExportsTrie::valid";
    Initializers Launch "dyld/initializers" "initialisers are whole pointers or offsets to executable code" "forEachInitializer, validInitializers";
    ThreadLocals Launch "dyld/thread-locals" "thread-local descriptors are whole, writable, and point inside the template" "initializeThunksFromDisk";
    ThreadLocalFlag Launch "dyld/thread-local-flag" "an image with thread-local descriptors has MH_HAS_TLV_DESCRIPTORS" "_tlv_bootstrap_error";
}
