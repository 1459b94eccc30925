//! The load configuration: what the loader and the compiler's run-time library agree on.
//!
//! `winnt.h`, `IMAGE_LOAD_CONFIG_DIRECTORY64`. It grew with every Windows, and its first field says how large it is;
//! the size in the directory is an older custom.

use std::mem::offset_of;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, ImageLoadConfigCodeIntegrity, ImageLoadConfigDirectory64,
};

use super::super::{Damage, bytes_until};
use super::Pe;

/// The load configuration of an image, as much as there is of it.
#[derive(Clone, Debug)]
pub struct LoadConfig<'data> {
    /// Where it lies in the file.
    pub offset: u64,
    /// How large it says that it is.
    pub size: u32,
    bytes: &'data [u8],
}

/// A field of the load configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadConfigField {
    /// What `winnt.h` calls it.
    pub name: &'static str,
    /// Bytes from the start of the load configuration.
    pub offset: usize,
    /// Its width in bytes.
    pub width: usize,
    /// Its value.
    pub value: u64,
    /// Whether that is an address.
    pub is_address: bool,
}

/// A row for each field: name, offset, width, whether it is an address.
macro_rules! rows {
    ($($name:literal $field:ident $width:literal $is_address:literal;)*) => {
        &[$(($name, offset_of!(ImageLoadConfigDirectory64, $field), $width, $is_address),)*]
    };
}

/// Where the code integrity block starts.
const INTEGRITY: usize = offset_of!(ImageLoadConfigDirectory64, code_integrity);

const FIELDS: &[(&str, usize, usize, bool)] = rows! {
    "Size" size 4 false;
    "TimeDateStamp" time_date_stamp 4 false;
    "MajorVersion" major_version 2 false;
    "MinorVersion" minor_version 2 false;
    "GlobalFlagsClear" global_flags_clear 4 false;
    "GlobalFlagsSet" global_flags_set 4 false;
    "CriticalSectionDefaultTimeout" critical_section_default_timeout 4 false;
    "DeCommitFreeBlockThreshold" de_commit_free_block_threshold 8 false;
    "DeCommitTotalFreeThreshold" de_commit_total_free_threshold 8 false;
    "LockPrefixTable" lock_prefix_table 8 true;
    "MaximumAllocationSize" maximum_allocation_size 8 false;
    "VirtualMemoryThreshold" virtual_memory_threshold 8 false;
    "ProcessAffinityMask" process_affinity_mask 8 false;
    "ProcessHeapFlags" process_heap_flags 4 false;
    "CSDVersion" csd_version 2 false;
    "DependentLoadFlags" dependent_load_flags 2 false;
    "EditList" edit_list 8 true;
    "SecurityCookie" security_cookie 8 true;
    "SEHandlerTable" sehandler_table 8 true;
    "SEHandlerCount" sehandler_count 8 false;
    "GuardCFCheckFunctionPointer" guard_cf_check_function_pointer 8 true;
    "GuardCFDispatchFunctionPointer" guard_cf_dispatch_function_pointer 8 true;
    "GuardCFFunctionTable" guard_cf_function_table 8 true;
    "GuardCFFunctionCount" guard_cf_function_count 8 false;
    "GuardFlags" guard_flags 4 false;
    "GuardAddressTakenIatEntryTable" guard_address_taken_iat_entry_table 8 true;
    "GuardAddressTakenIatEntryCount" guard_address_taken_iat_entry_count 8 false;
    "GuardLongJumpTargetTable" guard_long_jump_target_table 8 true;
    "GuardLongJumpTargetCount" guard_long_jump_target_count 8 false;
    "DynamicValueRelocTable" dynamic_value_reloc_table 8 true;
    "CHPEMetadataPointer" chpe_metadata_pointer 8 true;
    "GuardRFFailureRoutine" guard_rf_failure_routine 8 true;
    "GuardRFFailureRoutineFunctionPointer" guard_rf_failure_routine_function_pointer 8 true;
    "DynamicValueRelocTableOffset" dynamic_value_reloc_table_offset 4 false;
    "DynamicValueRelocTableSection" dynamic_value_reloc_table_section 2 false;
    "GuardRFVerifyStackPointerFunctionPointer" guard_rf_verify_stack_pointer_function_pointer 8 true;
    "HotPatchTableOffset" hot_patch_table_offset 4 false;
    "EnclaveConfigurationPointer" enclave_configuration_pointer 8 true;
    "VolatileMetadataPointer" volatile_metadata_pointer 8 true;
};

/// Fields of the block inside, and of what came after `object`'s structure.
const OTHER_FIELDS: &[(&str, usize, usize, bool)] = &[
    ("CodeIntegrity.Flags", INTEGRITY + offset_of!(ImageLoadConfigCodeIntegrity, flags), 2, false),
    (
        "CodeIntegrity.Catalog",
        INTEGRITY + offset_of!(ImageLoadConfigCodeIntegrity, catalog),
        2,
        false,
    ),
    (
        "CodeIntegrity.CatalogOffset",
        INTEGRITY + offset_of!(ImageLoadConfigCodeIntegrity, catalog_offset),
        4,
        false,
    ),
    ("GuardEHContinuationTable", 0x108, 8, true),
    ("GuardEHContinuationCount", 0x110, 8, false),
    ("GuardXFGCheckFunctionPointer", 0x118, 8, true),
    ("GuardXFGDispatchFunctionPointer", 0x120, 8, true),
    ("GuardXFGTableDispatchFunctionPointer", 0x128, 8, true),
    ("CastGuardOsDeterminedFailureMode", 0x130, 8, true),
    ("GuardMemcpyFunctionPointer", 0x138, 8, true),
];

impl<'data> LoadConfig<'data> {
    /// Reads the load configuration; `None` where the image has none.
    ///
    /// # Errors
    /// When the file does not have it.
    pub fn of(pe: &Pe<'data>) -> Result<Option<Self>, Damage> {
        let structure = "load configuration";
        let index = IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG;
        let Some(entry) = pe.directory(index) else { return Ok(None) };
        let rva = entry.virtual_address.get(LE);
        let first = pe.bytes_from(rva).unwrap_or_default();
        let Some((size, _)) = first.split_first_chunk::<4>() else {
            let message = format!("no section has its size at RVA {rva:#x}");
            return Err(Damage::new(structure, pe.directory_offset(index), message));
        };
        let size = u32::from_le_bytes(*size);
        let offset = pe.offset_of(rva).map_or(0, |(offset, _)| offset);
        let bytes = bytes_until(first, 0, size.into());
        if bytes.len() < size as usize {
            let message = format!("{size:#x} bytes, of which not all are in its section");
            return Err(Damage::new(structure, offset, message));
        }
        Ok(Some(Self { offset, size, bytes }))
    }

    /// Every field that is there, in order.
    pub fn fields(&self) -> impl Iterator<Item = LoadConfigField> + use<'data> {
        let bytes = self.bytes;
        let mut rows: Vec<_> = FIELDS.iter().chain(OTHER_FIELDS).collect();
        rows.sort_by_key(|(_, offset, ..)| *offset);
        rows.into_iter().filter_map(move |&(name, offset, width, is_address)| {
            let field = bytes.get(offset..offset + width)?;
            let mut word = [0; 8];
            word[..width].copy_from_slice(field);
            let value = u64::from_le_bytes(word);
            Some(LoadConfigField { name, offset, width, value, is_address })
        })
    }

    /// The field with this name; `None` where the load configuration is too small to have it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<u64> {
        self.fields().find(|field| field.name == name).map(|field| field.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_one_behind_the_other() {
        let bytes = [0; 0x140];
        let whole = LoadConfig { offset: 0, size: 0x140, bytes: &bytes };
        let fields: Vec<_> = whole.fields().collect();
        for pair in fields.windows(2) {
            let end = pair[0].offset + pair[0].width;
            assert!(end <= pair[1].offset && pair[1].offset - end <= 4, "{pair:?}");
        }
        let old = LoadConfig { offset: 0, size: 0x70, bytes: &bytes[..0x70] };
        assert_eq!(old.fields().last().map(|field| field.name), Some("SEHandlerCount"));
    }
}
