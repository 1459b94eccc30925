//! What the example `layout` draws.

use expect_test::expect_file;
use libtest_mimic::Trial;
use minild::target::TARGETS;
use minild::{Options, Target};

use crate::layout::{draw, program};
use crate::trials::Checked;

pub(crate) fn trials() -> Vec<Trial> {
    let everywhere = || -> Checked {
        for row in TARGETS {
            let program = program(row.target);
            let drawing = draw(&program)?;
            let layout = minild::layout(&program, &Options::default())?;
            for section in layout.sections() {
                if !drawing.contains(&*section.name) {
                    return Err(format!("{}: no {} in\n{drawing}", row.name, section.name).into());
                }
            }
        }
        Ok(())
    };
    let linux = || -> Checked {
        let drawing = draw(&program(Target::X86_64_LINUX))?;
        expect_file!["../golden/example-layout.txt"].assert_eq(&drawing);
        Ok(())
    };
    vec![
        Trial::test("layout::every_section_is_drawn", everywhere),
        Trial::test("layout::x86_64-linux", linux),
    ]
}
