//! The commands of README.md, run: each prints there what it prints.

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    trycmd::TestCases::new().case("README.md");
}
