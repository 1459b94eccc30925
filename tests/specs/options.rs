//! Asked for: what a program asks of Windows, firmware and macOS stands in the file where its loader looks.

use std::path::Path;

use goblin::mach::MachO;
use goblin::mach::load_command::CommandVariant;
use goblin::pe::PE;
use goblin::pe::optional_header::WindowsFields;
use libtest_mimic::{Failed, Trial};
use minild::input::spec;
use minild::{Options, Target};

use crate::{Checked, linted};

type Found = Vec<u64>;

/// A spec's wishes, the target, and what the file must say.
struct Asked {
    name: &'static str,
    target: Target,
    wishes: &'static str,
    look: fn(&[u8]) -> Result<Found, Failed>,
    expected: &'static [u64],
}

const ASKED: &[Asked] = &[
    Asked {
        name: "stack_and_heap",
        target: Target::X86_64_WINDOWS,
        wishes: "stack = { size = '8 MiB', commit = '64 KiB' }\nheap = { size = '2 MiB', commit = 8192 }",
        look: memory,
        expected: &[0x80_0000, 0x1_0000, 0x20_0000, 0x2000],
    },
    Asked {
        name: "no_stack_and_heap",
        target: Target::AARCH64_WINDOWS,
        wishes: "",
        look: memory,
        expected: &[0x10_0000, 0x1000, 0x10_0000, 0x1000],
    },
    Asked {
        name: "subsystem_console",
        target: Target::AARCH64_WINDOWS,
        wishes: "subsystem = 'console'",
        look: subsystem,
        expected: &[3, 6, 2],
    },
    Asked {
        name: "subsystem_graphical",
        target: Target::X86_64_WINDOWS,
        wishes: "subsystem = 'graphical'",
        look: subsystem,
        expected: &[2, 6, 0],
    },
    Asked {
        name: "subsystem_application",
        target: Target::X86_64_UEFI,
        wishes: "",
        look: subsystem,
        expected: &[10, 6, 0],
    },
    Asked {
        name: "subsystem_boot_service_driver",
        target: Target::AARCH64_UEFI,
        wishes: "subsystem = 'efi-boot-service-driver'",
        look: subsystem,
        expected: &[11, 6, 2],
    },
    // Systems with pages of 64 KiB map runtime drivers by section.
    Asked {
        name: "subsystem_runtime_driver",
        target: Target::AARCH64_UEFI,
        wishes: "subsystem = 'efi-runtime-driver'",
        look: alignment,
        expected: &[12, 0x1_0000, 0x200],
    },
    Asked {
        name: "no_base",
        target: Target::X86_64_WINDOWS,
        wishes: "",
        look: base,
        expected: &[0x1_4000_0000],
    },
    Asked {
        name: "base",
        target: Target::AARCH64_WINDOWS,
        wishes: "base = 0x7ff000000000",
        look: base,
        expected: &[0x7ff0_0000_0000],
    },
    Asked {
        name: "no_base_of_firmware",
        target: Target::X86_64_UEFI,
        wishes: "",
        look: base,
        expected: &[0],
    },
    Asked {
        name: "stack_in_pages",
        target: Target::X86_64_MACOS,
        wishes: "stack.size = 100_000",
        look: stack_of_main,
        expected: &[0x1_c000],
    },
    Asked {
        name: "no_stack",
        target: Target::AARCH64_MACOS,
        wishes: "",
        look: stack_of_main,
        expected: &[0],
    },
    // Whether there are chains, whether there are opcodes; the oldest system; whether by the older command.
    Asked {
        name: "macos_13",
        target: Target::X86_64_MACOS,
        wishes: "",
        look: system,
        expected: &[1, 0, 0xd_0000, 0],
    },
    Asked {
        name: "macos_12_before_chains",
        target: Target::X86_64_MACOS,
        wishes: "macos = '12'",
        look: system,
        expected: &[0, 1, 0xc_0000, 0],
    },
    Asked {
        name: "macos_12_with_chains",
        target: Target::AARCH64_MACOS,
        wishes: "macos = '12'",
        look: system,
        expected: &[1, 0, 0xc_0000, 0],
    },
    Asked {
        name: "macos_11",
        target: Target::AARCH64_MACOS,
        wishes: "macos = '11.3'",
        look: system,
        expected: &[0, 1, 0xb_0300, 0],
    },
    Asked {
        name: "macos_10_15",
        target: Target::X86_64_MACOS,
        wishes: "macos = '10.15.7'",
        look: system,
        expected: &[0, 1, 0xa_0f07, 0],
    },
    Asked {
        name: "macos_10_13",
        target: Target::X86_64_MACOS,
        wishes: "macos = '10.13'",
        look: system,
        expected: &[0, 1, 0xa_0d00, 1],
    },
    Asked {
        name: "macos_base",
        target: Target::AARCH64_MACOS,
        wishes: "base = 0x110000000",
        look: page_zero,
        expected: &[0x1_1000_0000, 0x1_1000_0000],
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |asked: &'static Asked| {
        Trial::test(format!("asked::{}::{}", asked.name, asked.target), || is_in_the_file(asked))
    };
    ASKED.iter().map(trial).collect()
}

fn is_in_the_file(asked: &Asked) -> Checked {
    let text = format!("{}\n[target.{}]\nasm = 'start: ret'\n", asked.wishes, asked.target);
    let spec = spec::read(&text, Path::new("."))?;
    let (program, _) = spec.program(asked.target)?;
    let image = linted::link(&program, &Options::default())?;
    let found = (asked.look)(&image.bytes)?;
    if found == asked.expected {
        return Ok(());
    }
    Err(format!("the file says {found:#x?}, asked was {:#x?}", asked.expected).into())
}

fn windows_fields(file: &[u8]) -> Result<WindowsFields, Failed> {
    let image = PE::parse(file)?;
    let header = image.header.optional_header.ok_or("no optional header")?;
    Ok(header.windows_fields)
}

fn memory(file: &[u8]) -> Result<Found, Failed> {
    let fields = windows_fields(file)?;
    Ok(vec![
        fields.size_of_stack_reserve,
        fields.size_of_stack_commit,
        fields.size_of_heap_reserve,
        fields.size_of_heap_commit,
    ])
}

fn subsystem(file: &[u8]) -> Result<Found, Failed> {
    let fields = windows_fields(file)?;
    let version = [fields.major_subsystem_version, fields.minor_subsystem_version];
    Ok([fields.subsystem].into_iter().chain(version).map(u64::from).collect())
}

fn alignment(file: &[u8]) -> Result<Found, Failed> {
    let fields = windows_fields(file)?;
    let (sections, bytes) = (fields.section_alignment, fields.file_alignment);
    Ok(vec![fields.subsystem.into(), sections.into(), bytes.into()])
}

fn base(file: &[u8]) -> Result<Found, Failed> {
    Ok(vec![windows_fields(file)?.image_base])
}

fn stack_of_main(file: &[u8]) -> Result<Found, Failed> {
    let image = MachO::parse(file, 0)?;
    let mut commands = image.load_commands.iter();
    let stack = commands.find_map(|command| match &command.command {
        CommandVariant::Main(main) => Some(main.stacksize),
        _ => None,
    });
    Ok(vec![stack.ok_or("no LC_MAIN")?])
}

fn system(file: &[u8]) -> Result<Found, Failed> {
    let image = MachO::parse(file, 0)?;
    let (mut chains, mut opcodes, mut oldest, mut is_old) = (0, 0, 0, 0);
    for command in &image.load_commands {
        match &command.command {
            CommandVariant::DyldChainedFixups(_) => chains += 1,
            CommandVariant::DyldInfoOnly(_) => opcodes += 1,
            CommandVariant::BuildVersion(version) => oldest = version.minos.into(),
            CommandVariant::VersionMinMacosx(version) => {
                (oldest, is_old) = (version.version.into(), 1);
            }
            _ => {}
        }
    }
    Ok(vec![chains, opcodes, oldest, is_old])
}

fn page_zero(file: &[u8]) -> Result<Found, Failed> {
    let image = MachO::parse(file, 0)?;
    let [zero, text, ..] = &image.segments[..] else { return Err("no segments".into()) };
    Ok(vec![zero.vmsize, text.vmaddr])
}
