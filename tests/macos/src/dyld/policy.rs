//! What dyld demands from some SDK on: `mach_o/Policy.cpp`, as one table. The SDK is the file's own, unless the caller
//! wants to know what another would demand.

use std::collections::HashSet;

use super::image::Image;
use crate::engine::Protection;
use crate::macho::{SG_READ_ONLY, command, flag};
use crate::rule::{Refusal, Rule};

/// A macOS version as load commands have it: 16 bits major, 8 minor, 8 patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// `major.minor`
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Version {
        Version(major << 16 | minor << 8)
    }

    /// Reads `major[.minor]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Some(Version::new(major.parse::<u16>().ok()?.into(), minor.parse::<u8>().ok()?.into()))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0 >> 16, self.0 >> 8 & 0xff)
    }
}

/// A demand and the SDKs from which it holds.
struct Policy {
    rule: Rule,
    dylib_from: Version,
    main_from: Version,
    /// What breaks it.
    broken: fn(&Image) -> Option<String>,
}

const V10_11: Version = Version::new(10, 11);
const V10_15: Version = Version::new(10, 15);
const V11: Version = Version::new(11, 0);
const V12: Version = Version::new(12, 0);
const V15_4: Version = Version::new(15, 4);
const V26: Version = Version::new(26, 0);

const POLICIES: &[Policy] = &[
    Policy {
        rule: Rule::LinkeditPermissions,
        dylib_from: V10_11,
        main_from: V26,
        broken: |image| permissions(image, "__LINKEDIT", Protection::READ),
    },
    Policy { rule: Rule::SegmentOrder, dylib_from: V10_15, main_from: V26, broken: segment_order },
    Policy {
        rule: Rule::TextPermissions,
        dylib_from: V10_15,
        main_from: V10_15,
        broken: |image| permissions(image, "__TEXT", Protection::READ_EXECUTE),
    },
    Policy {
        rule: Rule::SectionsInSegment,
        dylib_from: V11,
        main_from: V11,
        broken: sections_in_segment,
    },
    Policy {
        rule: Rule::DylibInCacheFlag,
        dylib_from: V12,
        main_from: V12,
        broken: |image| {
            (image.is_main && image.header.has(flag::DYLIB_IN_CACHE))
                .then(|| format!("the flags are {:#x}", image.header.flags))
        },
    },
    Policy {
        rule: Rule::HasUuid,
        dylib_from: V12,
        main_from: V26,
        broken: |image| image.command(command::UUID).is_none().then(|| "there is none".into()),
    },
    Policy {
        rule: Rule::HasLinkedDylibs,
        dylib_from: V15_4,
        main_from: V15_4,
        broken: |image| image.links.is_empty().then(|| "there is none".into()),
    },
    Policy {
        rule: Rule::DuplicateDylibs,
        dylib_from: V26,
        main_from: V26,
        broken: |image| twice(image.links.iter().map(|link| link.name.clone())),
    },
    Policy {
        rule: Rule::DuplicateRpaths,
        dylib_from: V26,
        main_from: V26,
        broken: |image| {
            let rpaths = image.commands();
            twice(
                rpaths
                    .iter()
                    .filter(|load| load.command == command::RPATH)
                    .map(|load| load.string().unwrap_or("").to_owned()),
            )
        },
    },
    Policy {
        rule: Rule::UniqueSegmentNames,
        dylib_from: V26,
        main_from: V26,
        broken: |image| twice(image.segments.iter().map(|segment| segment.name.clone())),
    },
    Policy {
        rule: Rule::DataPermissions,
        dylib_from: V26,
        main_from: V26,
        broken: |image| {
            permissions(image, "__DATA", Protection::READ_WRITE)
                .or_else(|| permissions(image, "__DATA_CONST", Protection::READ_WRITE))
        },
    },
    Policy { rule: Rule::DataConstFlag, dylib_from: V26, main_from: V26, broken: data_const_flag },
];

/// The SDK that an image says; 0 is taken for the newest, and no version command for the oldest (or, on arm64, 11.0).
#[must_use]
pub fn sdk(image: &Image) -> Version {
    let said = image
        .command(command::BUILD_VERSION)
        .map(|load| load.field(16))
        .or_else(|| image.command(command::VERSION_MIN_MACOSX).map(|load| load.field(12)));
    match said {
        Some(0) => Version(u32::MAX),
        Some(sdk) => Version(sdk),
        None if image.arch.info().lenient => Version::new(10, 5),
        None => V11,
    }
}

/// Checks an image at an SDK.
///
/// # Errors
/// The first rule broken.
pub fn check(image: &Image, sdk: Version) -> Result<(), Refusal> {
    for policy in POLICIES {
        let from = if image.is_main { policy.main_from } else { policy.dylib_from };
        if sdk >= from
            && let Some(found) = (policy.broken)(image)
        {
            return Err(policy.rule.refuse(found));
        }
    }
    Ok(())
}

fn permissions(image: &Image, name: &str, wanted: Protection) -> Option<String> {
    let mut segments = image
        .segments
        .iter()
        .filter(|segment| segment.name == name)
        .map(|segment| Protection(segment.initial_protection));
    segments
        .find(|protection| *protection != wanted)
        .map(|protection| format!("{name} is {protection}"))
}

/// The last segment's place in memory is not compared, and that of fixed Intel programs not at all.
fn segment_order(image: &Image) -> Option<String> {
    let in_file: Vec<_> = image.segments.iter().filter(|segment| segment.file_size > 0).collect();
    let by_file = in_file.windows(2).find(|pair| pair[0].file_offset > pair[1].file_offset);
    let fixed = image.is_main && image.arch.info().lenient && !image.header.has(flag::PIE);
    let compared = &image.segments[..image.segments.len().saturating_sub(1)];
    let by_address =
        compared.windows(2).find(|pair| !fixed && pair[0].vm_address > pair[1].vm_address);
    by_file.map(|pair| format!("{} is behind {} in the file", pair[0].name, pair[1].name)).or_else(
        || by_address.map(|pair| format!("{} is behind {} in memory", pair[0].name, pair[1].name)),
    )
}

fn sections_in_segment(image: &Image) -> Option<String> {
    image.segments.iter().find_map(|segment| {
        let outside = segment.sections.iter().find(|section| {
            section.address.checked_add(section.size).is_none_or(|end| end > segment.vm_end())
        })?;
        Some(format!(
            "{},{} ends at {:#x}, the segment at {:#x}",
            segment.name,
            outside.name,
            outside.end(),
            segment.vm_end()
        ))
    })
}

fn data_const_flag(image: &Image) -> Option<String> {
    let segment = image.segment("__DATA_CONST")?;
    (image.header.has(flag::DYLDLINK) && segment.flags & SG_READ_ONLY == 0)
        .then(|| format!("its flags are {:#x}", segment.flags))
}

fn twice(mut names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(name.clone())).map(|name| format!("{name} is"))
}
