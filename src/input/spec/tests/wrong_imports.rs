//! What is said of wrong imports and wishes.

use expect_test::expect;

use super::{check_errors, check_link_words};

#[test]
fn imports_are_names_or_tables() {
    check_errors(
        r#"
        [target.x86_64-windows]
        hex = "start: e8 <call32 a>"
        imports."kernel32.dll" = [
            1,
            {},
            { name = "a", ordinal = 1 },
            { ordinal = 7 },
            { ordinal = 65536, as = "b" },
            { name = "?bad name", as = "two words" },
            { nam = "c" },
            { name = "d", weak = 1 },
        ]
        imports."user32.dll" = "e"
        "#,
        expect![[r#"
            4:5-4:6: invalid-value: each of `kernel32.dll` must be a name, or a table like { name = "…", as = "…" }, not an integer
            5:5-5:7: invalid-value: an import needs a `name` or an `ordinal`
              help: say how the library knows it
            6:5-6:32: invalid-value: an import has a `name` or an `ordinal`, not both
              help: say how the library knows it
            7:5-7:20: invalid-value: an import by `ordinal` needs a name for the program: `as`
              help: { ordinal = 1, as = "name" }
            8:17-8:22: out-of-range: `ordinal` cannot be 65536: it is from 1 to 65535
            9:32-9:43: invalid-value: `two words` has ' ': names have letters, digits and _ . $ @ ?
              help: `as` gives it another name in the program
            10:7-10:10: unknown-key: an import has no key `nam`
              help: did you mean `name`?
            11:26-11:27: invalid-value: `weak` must be true or false, not an integer
            13:24-13:27: invalid-value: `user32.dll` must be an array of names, not a string
        "#]],
    );
}

#[test]
fn imports_meet_other_names() {
    check_link_words(
        r#"
        [target.x86_64-windows]
        hex = '''
        start:
            e8 <call32 ExitProces>
            48 8d 05 <rel32 data>
            48 8d 05 <rel32 beep>
        '''
        imports."kernel32.dll" = ["ExitProcess", "data", { name = "Beep", as = "beep" }]
        imports."user32.dll" = [{ name = "MessageBeep", as = "beep" }]
        rodata.data = "x"
        "#,
        expect![[r#"
            8:42-8:48: duplicate-symbol: `data` is defined twice
              10:8-10:12: first defined here
            9:25-9:62: duplicate-symbol: `beep` is defined twice
              8:50-8:80: first defined here
            4:8-4:27: undefined-symbol: nothing defines `ExitProces`
              help: did you mean `ExitProcess`?
        "#]],
    );
}

#[test]
fn addresses_of_imports_are_known_to_slots_only() {
    check_link_words(
        r#"
        [rodata.table]
        pointers = ["beep"]
        [target.x86_64-windows]
        hex = "start: 48 8d 05 <rel32 beep>"
        imports."kernel32.dll" = [{ name = "Beep", as = "beep" }]
        "#,
        expect![[r#"
            2:13-2:19: unsupported-relocation: `abs64` cannot reach `beep`: it is imported, and its address is only known when the program is loaded
              help: call it (`call32`, `call26`), or read its address from its slot (`got32`, `gotpage21`)
            4:24-4:36: unsupported-relocation: `rel32` cannot reach `beep`: it is imported, and its address is only known when the program is loaded
              help: call it (`call32`, `call26`), or read its address from its slot (`got32`, `gotpage21`)
        "#]],
    );
}

#[test]
fn imports_need_a_system_that_has_libraries() {
    check_link_words(
        r#"
        [target.x86_64-uefi]
        hex = "start: e8 <call32 a>"
        imports."kernel32.dll" = ["a"]
        [target.x86_64-linux]
        hex = "start: e8 <call32 a>"
        imports."libc.so.6" = ["a"]
        [target.x86_64-macos]
        position = "fixed"
        hex = "start: e8 <call32 a>"
        imports."/usr/lib/libSystem.B.dylib" = ["a"]
        [target.aarch64-macos]
        hex = "start: 94000000 <call26 a>"
        imports."" = [{ ordinal = 1, as = "a" }]
        "#,
        expect![[r#"
            3:9-3:23: unsupported: imports (here from `kernel32.dll`) are not possible on x86_64-uefi: firmware has no libraries, its services are reached through the system table
            10:9-10:37: conflict: a program at a fixed position imports nothing (here from `/usr/lib/libSystem.B.dylib`): dyld does not load it
              8:12-8:19: fixed here
            13:9-13:11: invalid-value: "" is no path of a library: it is empty or holds a NUL
            13:15-13:40: invalid-value: macOS knows no imports by number (here 1)
        "#]],
    );
}

#[test]
fn wishes_are_honoured_or_refused() {
    check_link_words(
        r#"
        [target.x86_64-linux]
        subsystem = "console"
        start = "raw"
        stack.size = "8 MiB"
        init = ["start"]
        fini = ["start"]
        hex = "start: c3"
        [target.x86_64-windows]
        subsystem = "efi-application"
        base = 0x12345
        stack = { size = "1 MiB", commit = "2 MiB" }
        hex = "start: c3"
        [target.aarch64-windows]
        position = "fixed"
        base = 0x800000000000
        hex = "start: d65f03c0"
        [target.x86_64-uefi]
        position = "fixed"
        base = 0x400000
        heap.size = 4096
        hex = "start: c3"
        [target.aarch64-macos]
        macos = "10.4"
        position = "fixed"
        base = 0x10000
        hex = "start: d65f03c0"
        [target.x86_64-macos]
        macos = "27"
        base = 0x100001000
        hex = "start: c3"
        "#,
        expect![[r#"
            2:13-2:22: unsupported: `subsystem` means nothing on x86_64-linux: no file can say it
            4:14-4:21: unsupported: `stack.size` means nothing to a raw program on x86_64-linux: the kernel decides how large its stack is
              3:9-3:14: its start is asked for here
              help: start = "main" moves to a stack of that size before it calls the entry
            5:9-5:16: unsupported: nothing runs `init` of a raw program: the system jumps to its entry
              3:9-3:14: raw is asked for here
              help: start = "main" has start-up code that does
            6:9-6:16: unsupported: nothing runs `fini` of a raw program: the system jumps to its entry
              3:9-3:14: raw is asked for here
              help: start = "main" has start-up code that does
            10:8-10:15: misaligned: the base 0x12345 is no multiple of 0x10000
              help: Windows reserves memory in pieces of 64 KiB, and never the first
            9:13-9:30: unsupported: x86_64-windows has no subsystem `efi-application`
              help: it has `console` and `graphical`
            11:36-11:43: conflict: `stack.commit` is 0x200000 bytes, more than the 0x100000 that `stack.size` reserves
            14:12-14:19: unsupported: `position` cannot be fixed on aarch64-windows: Windows on arm64 loads no image that it cannot place
            15:8-15:22: out-of-range: the base 0x800000000000 does not lie in 0x10000..=0x7fff7fff0000: the first 64 KiB are nobody's, and an image needs room behind its base
            18:12-18:19: unsupported: `position` cannot be fixed on x86_64-uefi: firmware loads an image where it has room
            19:8-19:16: unsupported: `base` means nothing on x86_64-uefi: firmware loads an image where it has room
            20:13-20:17: unsupported: `heap.size` means nothing on x86_64-uefi: firmware decides it
            24:12-24:19: unsupported: `position` cannot be fixed on aarch64-macos: macOS kills an arm64 program that is static or that it cannot slide (`load_machfile` wants MH_PIE and dyld)
            25:8-25:15: out-of-range: the base 0x10000 does not lie in 0x100000000..=0x140000000: the first 4 GiB are page zero, and the system's own places come behind
            23:9-23:15: unsupported: macOS 10.4 is not supported on aarch64-macos: 11 to 26 are
            29:8-29:19: misaligned: the base 0x100001000 is no multiple of a page, 0x4000
            28:9-28:13: unsupported: macOS 27 is not supported on x86_64-macos: 10.9 to 26 are
        "#]],
    );
}

#[test]
fn wishes_are_words_and_numbers() {
    check_errors(
        r#"
        subsystem = "consol"
        macos = 13
        base = "here"
        stack = 4096
        heap.sise = 1
        [target.x86_64-macos]
        macos = "13.x"
        hex = "start: c3"
        "#,
        expect![[r#"
            1:13-1:21: invalid-value: `subsystem` is `console`, `graphical`, `efi-application`, `efi-boot-service-driver` or `efi-runtime-driver`, not `consol`
              help: did you mean `console`?
            2:9-2:11: invalid-value: `macos` must be a string, not an integer
            3:8-3:14: invalid-value: `base` must be an integer, not a string
            4:9-4:13: invalid-value: `stack` must be a table, not an integer
            5:6-5:10: unknown-key: `heap` has no key `sise`
              help: did you mean `size`?
            7:9-7:15: invalid-value: `macos` cannot be "13.x": a version is one to three numbers with dots between them, such as 13 or 10.15.7: the first below 65536, the others below 256
        "#]],
    );
}

#[test]
fn versions_stand_behind_one_at_sign_on_linux() {
    check_errors(
        r#"
        [target.linux]
        imports."libc.so.6" = ["puts@", "@GLIBC_2.34", "exit@@GLIBC_2.2.5", "write@A@B", "read@GLIBC_2.2.5"]
        [target.x86_64-linux]
        hex = "start: c3"
        [target.x86_64-windows]
        imports."old.dll" = [{ name = "add@8", as = "add" }]
        hex = "start: e8 <call32 add>"
        "#,
        expect![[r#"
            2:24-2:31: invalid-value: no version stands behind the `@` of `puts`
              help: name@VERSION, as in "exit@GLIBC_2.2.5"
            2:33-2:46: invalid-value: no name stands before the `@` of this import
              help: name@VERSION, as in "exit@GLIBC_2.2.5"
            2:48-2:67: invalid-value: the version of `exit` cannot be `@GLIBC_2.2.5`: it has an `@` too many
              help: name@VERSION, as in "exit@GLIBC_2.2.5"
            2:69-2:80: invalid-value: the version of `write` cannot be `A@B`: it has an `@` too many
              help: name@VERSION, as in "exit@GLIBC_2.2.5"
        "#]],
    );
}

#[test]
fn a_more_special_table_may_want_another_version() {
    check_link_words(
        r#"
        [target.linux]
        imports."libc.so.6" = ["exit@GLIBC_2.2.5"]
        [target.aarch64-linux]
        imports."libc.so.6" = ["exit@GLIBC_2.17"]
        hex = "start: 94000000 <call26 exit>"
        "#,
        expect![[""]],
    );
}

#[test]
fn a_name_is_imported_from_one_library() {
    check_link_words(
        r#"
        [target.x86_64-linux]
        hex = "start: e8 <call32 a_f> e8 <call32 b_f> e8 <call32 a_g> e8 <call32 b_g>"
        imports."liba.so" = [{ name = "f", as = "a_f" }, { name = "g@A", as = "a_g" }]
        imports."libb.so" = [{ name = "f", as = "b_f" }, { name = "g@B", as = "b_g" }]
        [target.x86_64-windows]
        hex = "start: e8 <call32 a_f> e8 <call32 b_f>"
        imports."a.dll" = [{ name = "f", as = "a_f" }]
        imports."b.dll" = [{ name = "f", as = "b_f" }]
        [target.x86_64-macos]
        hex = "start: e8 <call32 a_f> e8 <call32 b_f>"
        imports."/a.dylib" = [{ name = "_f", as = "a_f" }]
        imports."/b.dylib" = [{ name = "_f", as = "b_f" }]
        "#,
        expect![[r#"
            4:22-4:48: conflict: `f` cannot be imported from both `liba.so` and `libb.so` on x86_64-linux: the dynamic linker takes it from the first library that has it
              3:22-3:48: first imported here
              help: where the libraries have versions of it, `name@VERSION` tells them apart
        "#]],
    );
}

#[test]
fn windows_starts_no_program_whose_import_is_missing() {
    check_link_words(
        r#"
        [target.x86_64-windows]
        hex = "start: e8 <call32 Beep>"
        imports."kernel32.dll" = [{ name = "Beep", weak = true }]
        "#,
        expect![[r#"
            3:27-3:57: unsupported: `Beep` cannot be weak on x86_64-windows: a program whose import is missing does not start there
              help: LoadLibraryA and GetProcAddress look for it while the program runs
        "#]],
    );
}

#[test]
fn exports_are_names_or_tables() {
    check_errors(
        r#"
        exports = [1, {}, { symbol = "start" }, { name = "a", ordinal = 0 }, { nme = "a" }]
        kind = "library"
        current-version = "1.2.3.4"
        [target.x86_64-windows]
        hex = "start: c3"
        "#,
        expect![[r#"
            1:12-1:13: invalid-value: each of `exports` must be a name, or a table like { name = "…", symbol = "…" }, not an integer
            1:15-1:17: invalid-value: an export needs a `name`
            1:19-1:39: invalid-value: an export needs a `name`
            1:65-1:66: out-of-range: `ordinal` cannot be 0: it is from 1 to 65535
            1:72-1:75: unknown-key: an export has no key `nme`
              help: did you mean `name`?
            2:8-2:17: invalid-value: `kind` is `executable` or `shared-library`, not `library`
            3:19-3:28: invalid-value: `current-version` cannot be "1.2.3.4": a version is one to three numbers with dots between them, such as 13 or 10.15.7: the first below 65536, the others below 256
        "#]],
    );
}

#[test]
fn exports_are_there_and_once() {
    check_link_words(
        r#"
        kind = "shared-library"
        exports = ["f", "g", "f", { name = "h", symbol = "puts" }, { name = "v", symbol = "f", version = "" }, { name = "n", symbol = "f", ordinal = 7 }]
        [target.x86_64-linux]
        hex = "f: e8 <call32 puts>"
        imports."libc.so.6" = ["puts"]
        "#,
        expect![[r#"
            2:60-2:102: invalid-value: "" is no version of the export `v`: it is empty, or holds a NUL or an @
            2:104-2:145: invalid-value: x86_64-linux knows no exports by number (here 7)
            2:17-2:20: undefined-symbol: nothing defines `g`
            2:22-2:25: duplicate-symbol: `f` is exported twice
              2:12-2:15: first exported here
            2:27-2:58: conflict: `h` cannot be exported: it is imported, and a program for x86_64-linux cannot pass it on
              help: export a function of the program that jumps to it
        "#]],
    );
    check_link_words(
        r#"
        kind = "shared-library"
        exports = [{ name = "a", symbol = "f", ordinal = 7 }, { name = "b", symbol = "f", ordinal = 7 }, { name = "c", symbol = "f", version = "1" }]
        compatibility-version = "2"
        [target.x86_64-windows]
        hex = "f: c3"
        [target.x86_64-macos]
        hex = "f: c3"
        runpath = "/a::/a"
        "#,
        expect![[r#"
            3:25-3:28: unsupported: `compatibility-version` means nothing on x86_64-windows: its libraries have no versions that programs ask for
            2:55-2:96: invalid-value: `a` and `b` have the same ordinal
            2:98-2:141: invalid-value: x86_64-windows knows no versions of an export (here of `c`)
            8:11-8:19: invalid-value: `runpath` has a folder "", which is empty or holds a NUL
            8:11-8:19: invalid-value: `runpath` has the folder `/a` twice
            3:25-3:28: conflict: `compatibility-version` is 2, newer than the library itself, which is 1
            2:12-2:53: invalid-value: macOS knows no exports by number (here 7)
        "#]],
    );
}

#[test]
fn only_systems_with_libraries_export() {
    check_link_words(
        r#"
        exports = ["start"]
        [target.x86_64-uefi]
        hex = "start: c3"
        [target.aarch64-uefi]
        kind = "shared-library"
        hex = "start: d65f03c0"
        [target.x86_64-macos]
        position = "fixed"
        hex = "start: c3"
        "#,
        expect![[r#"
            1:12-1:19: unsupported: x86_64-uefi has no exports (here `start`): nothing looks them up
            5:8-5:24: unsupported: `kind` means nothing on aarch64-uefi: firmware has no libraries
            1:12-1:19: invalid-value: a program at a fixed position exports nothing (here `start`)
        "#]],
    );
}

#[test]
fn what_a_library_cannot_be() {
    check_link_words(
        r#"
        kind = "shared-library"
        start = "libc"
        interpreter = "/ld.so"
        [target.x86_64-linux]
        position = "fixed"
        current-version = "2"
        hex = "f: c3"
        [target.x86_64-macos]
        interpreter = "/usr/lib/dyld"
        hex = "f: c3"
        entry = "f"
        "#,
        expect![[r#"
            6:19-6:22: unsupported: `current-version` means nothing on x86_64-linux: no file can say it
            3:15-3:23: unsupported: `interpreter` means nothing to a file that names no dynamic linker
              help: a program names one when it imports or exports something, a library none
            5:12-5:19: unsupported: a shared library has no `position` of its own: it lies where there is room
            2:9-2:15: unsupported: a shared library has no `start` of its own: programs call what it exports
            9:15-9:30: unsupported: `interpreter` means nothing here on x86_64-macos: dyld is the only dynamic linker
            10:8-10:9: unsupported: a shared library has no entry on x86_64-macos: nothing calls it
        "#]],
    );
}
