//! Refused: each spec of `tests/errors/` is wrong, and the text beside it is what the user is told.

use std::path::Path;

use expect_test::expect_file;
use libtest_mimic::Trial;

use crate::case::specs;
use crate::{Checked, minild};

pub(crate) fn trials() -> Vec<Trial> {
    let specs = specs("tests/errors");
    assert!(specs.len() >= 80, "fewer errors are tested than there were");
    specs
        .into_iter()
        .map(|path| {
            let name = path.file_stem().expect("a spec's file has a name").display();
            Trial::test(format!("errors::{name}"), move || is_refused(&path))
        })
        .collect()
}

fn is_refused(path: &Path) -> Checked {
    // From its own folder, so that no path of this machine is in the text.
    let output = minild()
        .current_dir(path.parent().expect("specs lie in a folder"))
        .arg("check")
        .arg(path.file_name().expect("a spec's file has a name"))
        .output()?;
    if output.status.code() != Some(1) || !output.stdout.is_empty() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        return Err(format!("{}, not refused: {stdout}", output.status).into());
    }
    let stderr = String::from_utf8(output.stderr).map_err(|_| "errors are UTF-8")?;
    expect_file![path.with_extension("stderr")].assert_eq(&stderr);
    Ok(())
}
