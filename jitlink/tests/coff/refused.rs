//! What would call functions in the wrong way is refused.

use super::compilers::{find, text};
use super::session;
use jitlink::{Addr, LinkOptions, Session};

const MSVC: &str = "--target=x86_64-pc-windows-msvc -ffreestanding -O2";

#[test]
fn functions_of_this_process_have_another_convention_and_are_not_found() {
    let Some(compiler) = find(&["clang-22", "clang"]) else { return };
    let object =
        text(&compiler, "c", "int abs(int); int call(int x) { return abs(x) + 1; }", &format!("{MSVC} -fno-builtin"));
    let errors = session().link(&[object], &LinkOptions::default()).expect_err("no abs for win64");
    assert_eq!(errors.len(), 1, "{errors}");
    assert!(errors.first().to_string().starts_with("abs is not defined"), "{errors}");
}

#[test]
fn modules_of_another_convention_are_not_found() {
    let Some(compiler) = find(&["clang-22", "clang"]) else { return };
    let session = Session::in_process().expect("a session");
    let usual = text(&compiler, "c", "int shared(int x) { return x; }", "-O2");
    session.link(&[usual], &LinkOptions::default()).expect("a link");
    let object = text(&compiler, "c", "int shared(int); int call(int x) { return shared(x) + 1; }", MSVC);
    let errors = session.link(&[object], &LinkOptions::default()).expect_err("no shared for win64");
    assert!(errors.first().to_string().starts_with("shared is not defined"), "{errors}");
}

#[test]
fn a_main_function_of_another_convention_is_not_run() {
    let Some(compiler) = find(&["clang-22", "clang"]) else { return };
    let object = text(&compiler, "c", "int main(int n, char **a) { return n; }", MSVC);
    let module = session().link(&[object], &LinkOptions::default()).expect("a link");
    let main: Addr = module.exports().get("main").expect("main").address;
    // SAFETY: it is refused before anything is called.
    let error = unsafe { module.run_main(main, &[]) }.expect_err("another convention");
    assert!(error.to_string().contains("win64") && error.advice().contains("win64"), "{error}");
}
