//! The command `minild`.

#![forbid(unsafe_code)]

mod cli;
mod run;

fn main() -> std::process::ExitCode {
    cli::main()
}
