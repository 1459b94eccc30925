//! The code in docs/ABI.md stands in the samples that it names, and every sample is linked there.

use std::fs;
use std::path::Path;

use toml::Table;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
        assert!(found && !wanted.is_empty(), "{sample} has no such lines for {target}: {wanted:#?}");
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
    for sample in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")).expect("samples") {
        let name = sample.expect("an entry").file_name().into_string().expect("a plain name");
        // Words and addresses are no part of how programs talk to a system.
        if !["wordsize.toml", "pointers.toml"].contains(&&*name) {
            assert!(page.contains(&format!("(../samples/{name})")), "nothing about {name}");
        }
    }
}
