//! Programs that must run, in the same way at every slide and with every engine.

use crate::edit::Edit;
use crate::toolchain::{Arch, LIBGREET, Shown, Workshop, small_macos};

/// Slides: none, a page, the largest that xnu chooses on Intel, and one far beyond.
const SLIDES: [&str; 4] = ["0", "0x4000", "0xffff000", "0x1234568000"];
/// SDKs at which policies change.
const SDKS: [&str; 6] = ["10.13", "10.15", "12.0", "13.0", "15.4", "26.0"];

const RICH: &str = "\
library begins
program begins
2 arguments, last argument, begun 12
good morning, 12 greetings, 12
3 4 2 0 7
thread-local 6 3 101
weak: missing, missing
environment here 1
aligned 0
program ends
";

/// Wrong would be: a fixup, an initialiser, a thread-local variable or a mapping that depends on slide or engine.
#[test]
fn a_program_and_its_library_run_at_every_slide() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        for fixups in ["-fixup_chains", "-no_fixup_chains"] {
            for initializers in ["-init_offsets", "-no_data_const"] {
                let name = format!("{}{fixups}{initializers}", arch.name());
                let program = workshop.rich(arch, &name, &[fixups, initializers]);
                for engine in arch.engines() {
                    for slide in SLIDES.into_iter().filter(|slide| {
                        arch == Arch::X86_64 || slide.ends_with("000") && *slide != "0xffff000"
                    }) {
                        let shown = small_macos(
                            &["--engine", engine, "--slide", slide],
                            &program,
                            &["argument"],
                        );
                        let expected =
                            Shown { status: 42, stdout: RICH.into(), stderr: String::new() };
                        assert_eq!(shown, expected, "{name} with {engine} at {slide}");
                    }
                }
            }
        }
    }
}

/// Wrong would be: a policy that refuses what a good linker writes for that SDK.
#[test]
fn programs_of_every_sdk_are_accepted() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        for sdk in SDKS {
            let minimum = if arch == Arch::Arm64 && sdk.starts_with("10") { "11.0" } else { sdk };
            let sdk = minimum;
            let options = ["-platform_version", "macos", minimum, sdk, "-adhoc_codesign"];
            let program = workshop.rich(arch, &format!("{}-{sdk}", arch.name()), &options);
            for more in [&["--validate"][..], &["--validate", "--sdk-os", sdk]] {
                let shown = small_macos(more, &program, &["argument"]);
                assert_eq!(
                    (shown.status, shown.stdout.as_str(), shown.stderr.as_str()),
                    (42, RICH, ""),
                    "{} {sdk} {more:?}",
                    arch.name()
                );
            }
        }
    }
}

const SYSTEM: &str = "\
steps 2864133
00042|ab   | 3.14|ff|-5000000000|q|0.1|1.234568e+04|%|44|abc|   7|+9|0xff
1 two 3.000000 4 5 6 7 8.500000 nine
2.500000 12
threads 567 300 1 5
condition 7
children 0xa 0xa 0xb 0x900 0xb 0x6
caught 10 x 0
mprotect -1 Invalid argument
bad pointer -1 14
bad file -1 2
9531 -16 z longer than six 12
heap 1 1
stack 1 1
bye
";

/// Wrong would be: a function of libSystem, a signal or a child that behaves differently by engine, or at all.
#[test]
fn libsystem_serves_memory_threads_signals_and_children() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        let program = workshop.link(arch, &["system.c"], arch.name(), &[]);
        for engine in arch.engines() {
            let shown = small_macos(&["--engine", engine], &program, &[]);
            let expected = Shown { status: 42, stdout: SYSTEM.into(), stderr: String::new() };
            assert_eq!(shown, expected, "{} with {engine}", arch.name());
        }
    }
}

/// Wrong would be: raw system calls whose numbers, errors or flags are not those of the architecture.
#[test]
fn raw_system_calls_work() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        let program = workshop.link(arch, &["raw.c"], arch.name(), &[]);
        for engine in arch.engines() {
            let shown = small_macos(&["--engine", engine], &program, &[]);
            assert_eq!(
                shown,
                Shown { status: 42, stdout: "raw\n".into(), stderr: String::new() },
                "{} with {engine}",
                arch.name()
            );
        }
    }
}

/// Wrong would be: a static program's entry state, vectors or system calls; or a slide of one that cannot slide.
#[test]
fn static_programs_run() {
    let workshop = Workshop::new();
    for position_independent in [false, true] {
        let program = workshop.path("static");
        std::fs::write(
            &program,
            Edit::static_program(&workshop.static_code(), position_independent),
        )
        .expect("a temporary file");
        for engine in Arch::X86_64.engines() {
            for slide in SLIDES {
                let shown = small_macos(&["--engine", engine, "--slide", slide], &program, &["it"]);
                assert_eq!(
                    shown,
                    Shown { status: 42, stdout: "it works\n".into(), stderr: String::new() },
                    "{engine} at {slide}"
                );
            }
        }
    }
}

/// How `crash.c` ends by its argument: status (Linux's number of the signal) and what the report must say, where the architectures agree.
const CRASHES: [(&str, i32, &[&str]); 10] = [
    ("code", 128 + 7, &["killed: Bus: write to 0x", "(__TEXT+0x", "r-x)"]),
    ("constant", 128 + 7, &["killed: Bus: write to 0x", "(__DATA_CONST+0x", "r--)"]),
    ("null", 128 + 11, &["killed: Segv: write to 0x10 (page zero)"]),
    ("execute", 128 + 7, &["killed: Bus: execution of 0x", "(__DATA+0x", "rw-)"]),
    ("jump", 128 + 11, &["killed: Segv: execution of 0x700000000000 (not mapped)"]),
    ("abort", 128 + 6, &["killed: Abrt: the program called abort"]),
    ("free", 128 + 6, &["killed: Abrt: abort: pointer being freed was not allocated"]),
    ("endless", 124, &["stopped: it ran for 1 seconds"]),
    ("deep", 128 + 11, &["killed: Segv: write to 0x", "(stack guard+0x"]),
    (
        "misaligned",
        128 + 11,
        &["killed: Segv: _getpid was called with the stack pointer 0x", "which is misaligned"],
    ),
];

/// Wrong would be: a fault that goes unseen, or whose report names another place; a program that is never stopped.
#[test]
fn faults_are_reported_and_endless_programs_stopped() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        let program = workshop.link(arch, &["crash.c"], arch.name(), &[]);
        for engine in arch.engines() {
            for (how, status, report) in CRASHES {
                let shown = small_macos(
                    &["--engine", engine, "--limit", "1", "--slide", "0x8000"],
                    &program,
                    &[how],
                );
                assert_eq!(
                    (shown.status, shown.stdout.as_str()),
                    (status, ""),
                    "{} {how} with {engine}: {shown:?}",
                    arch.name()
                );
                for part in report {
                    assert!(
                        shown.stderr.contains(part),
                        "{} {how} with {engine}: {part:?} is not in {shown:?}",
                        arch.name()
                    );
                }
            }
            // A trap instruction is SIGILL on Intel (ud2) and SIGTRAP on arm64 (brk).
            let trap = small_macos(&["--engine", engine], &program, &["trap"]);
            assert_eq!(trap.status, 128 + if arch == Arch::X86_64 { 4 } else { 5 }, "{trap:?}");
            assert_eq!(small_macos(&["--engine", engine], &program, &[]).status, 42);
        }
    }
}

/// Wrong would be: the wrong slice, or one at the wrong offset.
#[test]
fn fat_files_run_by_architecture() {
    let workshop = Workshop::new();
    let slices = Arch::ALL.map(|arch| {
        std::fs::read(workshop.link(arch, &["raw.c"], arch.name(), &[])).expect("just linked")
    });
    let fat = workshop.path("fat");
    std::fs::write(&fat, Edit::fat(&slices, 0x4000)).expect("a temporary file");
    for arch in Arch::ALL {
        let shown = small_macos(&["--arch", arch.name()], &fat, &[]);
        assert_eq!((shown.status, shown.stdout.as_str()), (42, "raw\n"), "{shown:?}");
    }
}

/// Wrong would be: a kernel that is kinder than xnu, which leaves the file's bytes behind `filesize` visible in the last page.
#[test]
fn the_tail_of_the_last_page_is_not_cleared() {
    let workshop = Workshop::new();
    let program = workshop.rich(Arch::X86_64, "tail", &[]);
    let mut edit = Edit::open(&program);
    // The zero-filled section moves back by one page, over a page of the file that now has junk.
    edit.spill_junk_into_zero_fill("__DATA");
    edit.save(&program);
    let shown = small_macos(&[], &program, &["argument"]);
    assert_eq!(shown.status, 42, "{shown:?}");
    assert!(!shown.stdout.contains("3 4 2 0 7\n"), "the junk is not seen: {shown:?}");
}

/// Wrong would be: a re-exported symbol that is not found, a missing weak library that matters, or a strong one that does not.
#[test]
fn libraries_may_reexport_or_be_missing() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        for fixups in ["-fixup_chains", "-no_fixup_chains"] {
            let name = format!("{}{fixups}", arch.name());
            workshop.library(arch, &name, &[fixups]);
            let outer = [
                "-dylib",
                "-install_name",
                "@rpath/libouter.dylib",
                "-reexport_library",
                "stand-in.tbd",
                fixups,
            ];
            workshop.stand_in("stand-in.tbd", LIBGREET, &["_greet"], &[]);
            workshop.link(arch, &["stack.c"], &format!("{name}/libouter.dylib"), &outer);
            workshop.stand_in("outer.tbd", "@rpath/libouter.dylib", &["_greet"], &[]);
            workshop.stand_in(
                "optional.tbd",
                "@rpath/liboptional.dylib",
                &["_optional", "_optional_data"],
                &[],
            );
            let options = ["outer.tbd", "-rpath", "@loader_path", fixups];
            let weak = [&options[..], &["-weak_library", "optional.tbd"]].concat();
            let program = workshop.link(arch, &["libraries.c"], &format!("{name}/weak"), &weak);
            for engine in arch.engines() {
                let shown = small_macos(&["--engine", engine, "--validate"], &program, &[]);
                assert_eq!(
                    (shown.status, shown.stdout.as_str()),
                    (42, "library begins\ngood, optional missing\n"),
                    "{name}: {shown:?}"
                );
            }
            // The linker makes a library weak of which only weak symbols are imported: the edit makes it strong again.
            let mut edit = Edit::open(&program);
            edit.require_weak_libraries();
            edit.sign();
            edit.save(&program);
            let shown = small_macos(&[], &program, &[]);
            assert!(
                shown.stderr.starts_with("refused: dyld/library-missing: "),
                "{name}: {shown:?}"
            );
        }
    }
}

/// Wrong would be: a stack of another size than the program asks for, or than the limit.
#[test]
fn the_main_stack_has_the_size_that_the_program_asks_for() {
    let workshop = Workshop::new();
    for arch in Arch::ALL {
        for (wish, size) in [(0, 8 << 20), (0x200_0000, 32 << 20)] {
            let program = workshop.link(arch, &["stack.c"], arch.name(), &[]);
            let mut edit = Edit::open(&program);
            // ld64.lld has no -stack_size.
            edit.put_stack_size(wish);
            edit.sign();
            edit.save(&program);
            for engine in arch.engines() {
                let shown = small_macos(&["--engine", engine], &program, &[]);
                assert_eq!(
                    (shown.status, shown.stdout),
                    (42, format!("stack {size}\n")),
                    "{}: {}",
                    arch.name(),
                    shown.stderr
                );
            }
        }
    }
}

/// Wrong would be: the entry of programs before `LC_MAIN`, which dyld still enters by a jump on Intel.
#[test]
fn intel_programs_may_begin_with_a_thread_state() {
    let workshop = Workshop::new();
    let program = workshop.link(Arch::X86_64, &["raw.c"], "threaded", &["-headerpad", "0x400"]);
    let mut edit = Edit::open(&program);
    edit.main_becomes_thread_state();
    edit.save(&program);
    for engine in Arch::X86_64.engines() {
        for slide in SLIDES {
            let shown = small_macos(&["--engine", engine, "--slide", slide], &program, &[]);
            assert_eq!(
                shown,
                Shown { status: 42, stdout: "raw\n".into(), stderr: String::new() },
                "{engine} at {slide}"
            );
        }
    }
}

/// Wrong would be: a panic, or a run without end, on a file that somebody has mangled.
#[test]
fn mangled_files_do_not_confuse_it() {
    let workshop = Workshop::new();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).expect("below a size")
    };
    for (arch, fixups) in [
        (Arch::Arm64, "-fixup_chains"),
        (Arch::X86_64, "-no_fixup_chains"),
        (Arch::X86_64, "-fixup_chains"),
    ] {
        let name = format!("{}{fixups}", arch.name());
        let original = Edit::open(&workshop.rich(arch, &name, &[fixups]));
        let mangled = workshop.path(&name).join("mangled");
        let commands = 32 + original.u32(20) as usize;
        for number in 0..120 {
            let mut edit = original.clone();
            let tables = original.tables();
            for _ in 0..=random(3) {
                // Half of the edits hit the header and the commands, the others the tables behind the segments' contents.
                let at = if random(2) == 0 {
                    random(commands)
                } else {
                    tables.start + random(tables.len())
                };
                edit.bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)];
            }
            edit.sign();
            edit.save(&mangled);
            let shown = small_macos(&["--limit", "2", "--validate"], &mangled, &[]);
            assert!(
                shown.status != 101 && !shown.stderr.contains("panicked"),
                "{name} {number}: {shown:?}"
            );
        }
    }
}
