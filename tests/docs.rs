//! What the pages say of the samples is so: the code in docs/ABI.md stands in the samples that it names, every sample
//! is linked there, and the table in README.md has their systems.

use std::fs;
use std::path::Path;

use toml::Table;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the samples' files.
fn samples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let entries = fs::read_dir(folder).expect("a folder of the package");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("a plain name")
    };
    entries.map(name).collect()
}

/// Code without what does not change it: comments, blank lines, how it is indented.
fn plain(code: &str) -> Vec<String> {
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).collect()
}

#[test]
fn every_piece_of_code_stands_in_a_sample() {
    let page = read("docs/ABI.md");
    let mut lines = page.lines();
    let mut pieces = 0;
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let [_, sample, target] = info.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}: the block has to say `asm`, a sample and a target")
        };
        let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        let wanted = plain(&code.join("\n"));
        let spec: Table = read(sample).parse().expect("samples are TOML");
        let text = spec["target"][target]["asm"].as_str().expect("assembler text");
        let found = plain(text).windows(wanted.len()).any(|lines| lines == wanted);
        assert!(
            found && !wanted.is_empty(),
            "{sample} has no such lines for {target}: {wanted:#?}"
        );
        pieces += 1;
    }
    assert!(pieces > 10, "{pieces} pieces of code");
}

#[test]
fn every_link_leads_somewhere() {
    let page = read("docs/ABI.md");
    let links = page.split("](").skip(1).filter_map(|text| text.split(')').next());
    let headings: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for link in links {
        if let Some(anchor) = link.strip_prefix('#') {
            assert!(headings.iter().any(|heading| heading == anchor), "no heading for {link}");
        } else {
            let file = link.split('#').next().unwrap_or(link);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
            assert!(path.exists(), "{link}");
        }
    }
    for sample in samples() {
        // Words and addresses are no part of how programs talk to a system.
        if !["wordsize.toml", "pointers.toml"].contains(&&*sample) {
            assert!(page.contains(&format!("(../samples/{sample})")), "nothing about {sample}");
        }
    }
}

#[test]
fn the_readme_says_which_systems_a_sample_is_for() {
    const SYSTEMS: [&str; 4] = ["linux", "macos", "windows", "uefi"];
    let readme = read("README.md");
    for sample in samples() {
        let row = format!("| [{}](samples/{sample}) |", sample.trim_end_matches(".toml"));
        let row = readme.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {sample}"));
        let cells: Vec<_> = row.trim_matches('|').split('|').skip(2).map(str::trim).collect();
        let spec: Table = read(&format!("samples/{sample}")).parse().expect("samples are TOML");
        let targets = spec["target"].as_table().expect("targets");
        for (system, cell) in SYSTEMS.iter().zip(cells) {
            let both = ["x86_64", "aarch64"]
                .map(|architecture| targets.contains_key(&format!("{architecture}-{system}")));
            assert_eq!(both, [cell == "✓"; 2], "{sample} on {system}");
        }
    }
}
