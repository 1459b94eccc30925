//! Universal: the programs of one spec for all architectures of macOS in one file. Three readers find them, whole and
//! on pages, and each runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use goblin::mach::{Mach, SingleArch};
use libtest_mimic::Trial;
use minild::program::OutputKind;
use minild::target::UNIVERSAL;
use minild::{Architecture, Options, Target};
use object::macho;
use object::read::macho::{FatArch, MachOFatFile32};

use crate::case::{Case, Variant, all};
use crate::execution::{runs_as_its_tests_say, small_macos};
use crate::{Checked, linted, missing, needing};

/// How the small macOS is told which slice to run, and where.
const WAYS: &[(&str, Target, &str)] = &[
    ("x86_64_in_place", Target::X86_64_MACOS, "--arch x86_64 --validate --slide 0"),
    ("x86_64_slid", Target::X86_64_MACOS, "--arch x86_64 --validate --slide 0x1234568000"),
    ("arm64_in_place", Target::AARCH64_MACOS, "--arch arm64 --validate --slide 0"),
    ("arm64_slid", Target::AARCH64_MACOS, "--arch arm64 --validate --slide 0x1234568000"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let universal = &UNIVERSAL[0];
    let mut trials = Vec::new();
    let cases = all().into_iter().filter(|case| case.variant == Variant::Default);
    // One case of each spec that is for all slices.
    for case in cases.filter(|case| case.target == universal.slices[0]) {
        let spec = crate::case::read(&case.path);
        if !universal.slices.iter().all(|slice| spec.targets().contains(slice)) {
            continue;
        }
        let name = case.name();
        let whole = case.clone();
        trials.push(needing(
            missing("llvm-lipo-19", "llvm-19"),
            format!("universal::{name}::readers_find_the_slices"),
            move || slices_are_the_programs(&whole),
        ));
        if spec.kind(case.target) == OutputKind::SharedLibrary {
            continue;
        }
        for &(way, target, options) in WAYS {
            let slice = Case { target, ..case.clone() };
            let (runner, missing) = small_macos(options);
            let run = move || runs_as_its_tests_say(&slice, universal.name, Some(&runner));
            trials.push(needing(missing, format!("universal::{name}::runs::{way}"), run));
        }
    }
    let count = trials.len();
    trials.push(Trial::test("universal::there_are_enough", move || match count {
        21.. => Ok(()),
        _ => Err(format!("{count}: fewer universal files are tested than there were").into()),
    }));
    trials
}

fn slices_are_the_programs(case: &Case) -> Checked {
    let spec = crate::case::read(&case.path);
    let options = Options::default();
    let mut programs = Vec::new();
    for target in UNIVERSAL[0].slices {
        programs.push(spec.program(*target)?.0);
    }
    let file = linted::link_universal(&programs, &options)?;
    let alone: Vec<_> = programs
        .iter()
        .map(|program| linted::link(program, &options).map(|image| image.bytes))
        .collect::<minild::Result<_>>()?;

    let fat = MachOFatFile32::parse(&*file)?;
    if fat.arches().len() != programs.len() {
        return Err(format!("{} slices", fat.arches().len()).into());
    }
    for ((slice, program), alone) in fat.arches().iter().zip(&programs).zip(&alone) {
        let (cpu, page) = match program.target.architecture {
            Architecture::X86_64 => (macho::CPU_TYPE_X86_64, 0x4000),
            _ => (macho::CPU_TYPE_ARM64, 0x4000),
        };
        let (offset, _) = slice.file_range();
        if slice.cputype() != cpu || offset % page != 0 || 1 << slice.align() != page {
            return Err(format!("the slice at {offset:#x} is {:?}", slice.cputype()).into());
        }
        if slice.data(&*file)? != alone {
            return Err(format!("the slice at {offset:#x} is another program").into());
        }
    }

    let Mach::Fat(fat) = Mach::parse(&file)? else { return Err("goblin sees one program".into()) };
    for (index, alone) in alone.iter().enumerate() {
        let SingleArch::MachO(slice) = fat.get(index)? else { return Err("an archive".into()) };
        let whole = goblin::mach::MachO::parse(alone, 0)?;
        if slice.entry != whole.entry || slice.header.cputype != whole.header.cputype {
            return Err(format!("to goblin slice {index} is another program").into());
        }
    }
    lipo_agrees(&file, &alone)
}

fn lipo_agrees(file: &[u8], alone: &[Vec<u8>]) -> Checked {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("universal");
    fs::write(&path, file)?;
    let lipo = |arguments: &[&str], path: &Path| {
        Command::new("llvm-lipo-19").arg(path).args(arguments).output()
    };
    let archs = lipo(&["-archs"], &path)?;
    let archs = String::from_utf8_lossy(&archs.stdout).trim().to_owned();
    if archs != "x86_64 arm64" {
        return Err(format!("llvm-lipo sees {archs:?}").into());
    }
    for (arch, alone) in archs.split(' ').zip(alone) {
        let thin = folder.path().join(arch);
        let thin_path = thin.to_str().ok_or("a path that is not UTF-8")?;
        let output = lipo(&["-thin", arch, "-output", thin_path], &path)?;
        if !output.status.success() || fs::read(&thin)? != *alone {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("llvm-lipo takes out another {arch}: {complaint}").into());
        }
    }
    Ok(())
}
