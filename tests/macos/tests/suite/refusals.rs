//! Files that are broken on purpose are refused by their own rule, and the files before the edit by none.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use small_macos::rule::{Rule, Stage};

use crate::broken::Base::{Arm64, Fat, Intel, Opcodes, SignedIntel, Static};
use crate::broken::{Base, Case, Part, cases};
use crate::edit::Edit;
use crate::toolchain::{Arch, Workshop, small_macos};

/// Exit status of a refusal.
const REFUSED: i32 = 126;

/// The unbroken files, built once.
struct Bases {
    workshop: Workshop,
    programs: HashMap<Base, PathBuf>,
}

impl Bases {
    fn build() -> Bases {
        let workshop = Workshop::new();
        let rpaths = ["-rpath", "@executable_path/a", "-rpath", "@executable_path/b"];
        let rich =
            |arch, name, options: &[&str]| workshop.rich(arch, name, &[options, &rpaths].concat());
        let (fixed, fat) = (workshop.path("static"), workshop.path("fat"));
        std::fs::write(&fixed, Edit::static_program(&workshop.static_code(), true))
            .expect("a temporary file");
        let slices = Arch::ALL.map(|arch| {
            std::fs::read(workshop.link(arch, &["raw.c"], arch.name(), &[])).expect("just linked")
        });
        std::fs::write(&fat, Edit::fat(&slices, 0x4000)).expect("a temporary file");
        let programs = HashMap::from([
            (Arm64, rich(Arch::Arm64, "arm64-chained", &["-fixup_chains", "-init_offsets"])),
            (Intel, rich(Arch::X86_64, "intel", &["-fixup_chains"])),
            (
                SignedIntel,
                rich(Arch::X86_64, "intel-signed", &["-no_fixup_chains", "-adhoc_codesign"]),
            ),
            (Opcodes, rich(Arch::Arm64, "arm64-opcodes", &["-no_fixup_chains"])),
            (Static, fixed),
            (Fat, fat),
        ]);
        Bases { workshop, programs }
    }

    /// A fresh copy of a base, broken by a case: the program to run.
    fn broken(&self, case: &Case, number: usize) -> PathBuf {
        let original = &self.programs[&case.base];
        let folder = self.workshop.path(&format!("broken-{number}"));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let program = folder.join("program");
        std::fs::copy(original, &program).expect("a temporary file");
        let library = folder.join("libgreet.dylib");
        let beside = original.with_file_name("libgreet.dylib");
        if beside.exists() {
            std::fs::copy(beside, &library).expect("a temporary file");
        }
        let path = if case.part == Part::Library { &library } else { &program };
        let mut edit = Edit::open(path);
        (case.edit)(&mut edit);
        if case.sign {
            edit.sign();
        }
        edit.save(path);
        program
    }
}

/// Wrong would be: a rule that refuses nothing, another rule than the one broken, or a policy that knows no SDK.
#[test]
fn broken_files_are_refused_by_their_own_rule() {
    let bases = Bases::build();
    let mut failures = Vec::new();
    for (number, case) in cases().enumerate() {
        let program = bases.broken(case, number);
        let name = case.rule.info().name;
        let shown = small_macos(case.options, &program, &["argument"]);
        let refused =
            shown.status == REFUSED && shown.stderr.starts_with(&format!("refused: {name}: "));
        if !refused {
            failures.push(format!("case {number}, {name} ({:?}): {shown:?}", case.base));
        }
        if let Some(options) = case.tolerated {
            let shown = small_macos(options, &program, &["argument"]);
            if shown.status != 42 {
                failures.push(format!(
                    "case {number}, {name} ({:?}) with {options:?}: {shown:?}",
                    case.base
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Wrong would be: a broken file that is refused for what was wrong with it before.
#[test]
fn unbroken_files_are_refused_by_none() {
    let bases = Bases::build();
    for (base, program) in &bases.programs {
        for options in [&["--validate"][..], &["--validate", "--sdk-os", "27"]] {
            let shown = small_macos(options, program, &["argument"]);
            assert_eq!(shown.status, 42, "{base:?} with {options:?}: {shown:?}");
            assert_eq!(shown.stderr, "", "{base:?} with {options:?}");
        }
    }
}

/// Wrong would be: a rule that nothing shows to work, or a stage that a rule does not have.
#[test]
fn every_rule_has_a_broken_file() {
    let shown: BTreeSet<_> = cases().map(|case| case.rule.info().name).collect();
    let all: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.info().name).collect();
    assert_eq!(shown, all);
    for case in cases().filter(|case| case.rule.info().stage == Stage::Validate) {
        assert!(
            case.options.contains(&"--validate") && case.tolerated.is_some(),
            "{}",
            case.rule.info().name
        );
    }
}
