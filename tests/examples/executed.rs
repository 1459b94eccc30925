//! Executed: by the target's own loader, or by what stands for it here.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use minild::{FileTarget, Target};

use crate::linted;
use crate::run::{Ending, Job, Outcome, Runner};
use crate::trials::{Checked, needing};

/// Long enough for firmware to start on a machine that has other things to do.
const LIMIT: Duration = Duration::from_mins(2);

/// A test that runs files of `target`.
pub(crate) fn trial(
    name: String,
    target: Target,
    check: impl FnOnce() -> Checked + Send + 'static,
) -> Trial {
    let missing = Runner::find(FileTarget::Single(target)).err().map(|reason| reason.to_string());
    needing(missing, name, check)
}

/// Runs a file and says what came of it.
pub(crate) fn run(target: Target, bytes: &[u8], stdin: &[u8]) -> std::io::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join(format!("program{}", target.row().executable_suffix));
    fs::write(&file, bytes)?;
    #[cfg(unix)]
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let job = Job {
        file: &file,
        arguments: Vec::new(),
        environment: Vec::new(),
        folder: None,
        limit: Some(LIMIT),
    };
    let runner = Runner::find(FileTarget::Single(target))
        .map_err(|reason| std::io::Error::other(reason.to_string()))?;
    runner.captured(&job, stdin, LIMIT)
}

/// Lints and runs a file, which ends with 42 and writes `expected`.
pub(crate) fn shows(target: Target, bytes: &[u8], stdin: &[u8], expected: &[u8]) -> Checked {
    linted::is_linted(target.name(), bytes);
    let Outcome { ending, stdout, stderr } = run(target, bytes, stdin)?;
    let written = String::from_utf8_lossy(&stdout);
    if !matches!(ending, Ending::Exit(42)) || stdout != expected {
        let stderr = String::from_utf8_lossy(&stderr);
        return Err(format!("{ending}, wrote {written:?}: {stderr}").into());
    }
    Ok(())
}
