//! The command `minild`.

mod cli;
mod run;

fn main() -> std::process::ExitCode {
    cli::main()
}
