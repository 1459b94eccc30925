//! The commands of README.md, run: each prints there what it prints, and writes no file that breaks a rule of lint.

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    trycmd::TestCases::new().case("README.md").env("MINILD_LINT", "1");
}
