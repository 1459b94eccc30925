//! PE32+ and COFF as an image: which part is read where.

mod base_relocations;
mod debug;
mod exports;
mod headers;
mod imports;
mod object_file;
mod sections;
mod signature;
mod symbols;
mod tls;
mod unwind;

use std::borrow::Cow;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_FILE_DLL, IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64,
    IMAGE_SUBSYSTEM_EFI_APPLICATION, IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER,
    IMAGE_SUBSYSTEM_EFI_ROM, IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER, IMAGE_SUBSYSTEM_NATIVE,
    IMAGE_SUBSYSTEM_WINDOWS_CUI, IMAGE_SUBSYSTEM_WINDOWS_GUI, Machine,
};

use super::super::reader::Damage;
use super::super::reader::pe::Pe;
use super::model::{Field, Found, Value};
use super::words::constant;

pub(super) use object_file::read_object;

/// Reads a PE32+ file.
///
/// # Errors
/// When it has no PE32+ headers.
pub(super) fn read(data: &[u8]) -> Result<Found<'_>, Damage> {
    let pe = Pe::open(data)?;
    let optional = &pe.headers.optional_header;
    let entry = optional.address_of_entry_point.get(LE);
    let mut found = Found {
        format: "PE32+",
        damage: pe.damage.clone(),
        kind: kind(&pe),
        architecture: architecture(pe.headers.file_header.machine.get(LE)),
        entry: (entry != 0).then(|| pe.base().wrapping_add(entry.into())),
        base: Some(pe.base()),
        ..Found::default()
    };
    let is_firmware = [
        IMAGE_SUBSYSTEM_EFI_APPLICATION,
        IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER,
        IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER,
        IMAGE_SUBSYSTEM_EFI_ROM,
    ];
    let is_firmware = is_firmware.contains(&optional.subsystem.get(LE));
    found.system = Some(if is_firmware { "uefi".into() } else { "windows".into() });
    let (major, minor) =
        (optional.major_subsystem_version.get(LE), optional.minor_subsystem_version.get(LE));
    // Firmware does not ask for it.
    if !is_firmware {
        found.versions.push(Field {
            name: "subsystem".into(),
            value: Value::Text(format!("{major}.{minor}").into()),
            meaning: "the oldest Windows that runs it".into(),
        });
    }
    let linker = (optional.major_linker_version, optional.minor_linker_version);
    if linker != (0, 0) {
        found.versions.push(Field {
            name: "linker".into(),
            value: Value::Text(format!("{}.{}", linker.0, linker.1).into()),
            meaning: "the version of what linked it".into(),
        });
    }

    headers::read(&pe, &mut found);
    sections::read(&pe, &mut found);
    symbols::read(&pe, &mut found);
    imports::read(&pe, &mut found);
    exports::read(&pe, &mut found);
    base_relocations::read(&pe, &mut found);
    signature::read(&pe, &mut found);
    debug::read(&pe, &mut found);
    tls::read(&pe, &mut found);
    unwind::read(&pe, &mut found);
    Ok(found)
}

fn architecture(machine: Machine) -> Cow<'static, str> {
    match machine {
        IMAGE_FILE_MACHINE_AMD64 => "x86_64".into(),
        IMAGE_FILE_MACHINE_ARM64 => "aarch64".into(),
        other => constant(other).into(),
    }
}

fn kind(pe: &Pe<'_>) -> Cow<'static, str> {
    let is_library = pe.headers.file_header.characteristics.get(LE).contains(IMAGE_FILE_DLL);
    match pe.headers.optional_header.subsystem.get(LE) {
        IMAGE_SUBSYSTEM_EFI_APPLICATION => "UEFI application".into(),
        IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER => "UEFI boot service driver".into(),
        IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER => "UEFI runtime driver".into(),
        IMAGE_SUBSYSTEM_EFI_ROM => "UEFI ROM image".into(),
        _ if is_library => "shared library (DLL)".into(),
        IMAGE_SUBSYSTEM_WINDOWS_CUI => "console executable".into(),
        IMAGE_SUBSYSTEM_WINDOWS_GUI => "graphical executable".into(),
        IMAGE_SUBSYSTEM_NATIVE => "native executable or driver".into(),
        other => constant(other).into(),
    }
}
