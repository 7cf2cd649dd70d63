//! Functions of every calling convention and number of parameters, in both directions.

use crate::compilers::{C_COMPILERS, find, text};
use crate::{link, session};
use std::ffi::{c_char, c_int};

/// Functions of zero to twelve parameters, whose results tell the parameters apart, and callers of the same that the host defines.
const SOURCE: &str = "
    #define CALLS(abi, name) \\
        abi long name##0(void) { return 7; } \\
        abi long name##1(long a) { return a * 3; } \\
        abi long name##6(char a, short b, int c, long d, unsigned e, unsigned char f) \\
            { return a + 2 * b + 3 * c + 5 * d + 7L * e + 11 * f; } \\
        abi long name##12(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l) \\
            { return a + 2*b + 3*c + 4*d + 5*e + 6*f + 7*g + 8*h + 9*i + 10*j + 11*k + 12*l; } \\
        abi double name##_mixed(int a, double b, float c, const double *d) { return a + 10 * b + 100 * c + 1000 * *d; } \\
        abi extern long host_##name(long, double, long, long, long, long, long); \\
        abi long call_##name(void) { return host_##name(1, 2.5, 3, 4, 5, 6, 7); }
    CALLS(, c)
    CALLS(__attribute__((ms_abi)), win)
    struct pair { long left, right; };
    struct pair swap(struct pair pair) { struct pair other = { pair.right, pair.left }; return other; }
    int sum(int count, ...) {
        __builtin_va_list list;
        int all = 0;
        __builtin_va_start(list, count);
        while (count-- > 0) all += __builtin_va_arg(list, int);
        __builtin_va_end(list);
        return all;
    }";

macro_rules! check {
    ($module:expr, $abi:literal, $name:literal) => {
        // SAFETY: the source above defines these functions so.
        unsafe {
            let none = $module.function::<extern $abi fn() -> i64>(concat!($name, "0")).expect("a function");
            let one = $module.function::<extern $abi fn(i64) -> i64>(concat!($name, "1")).expect("a function");
            let six = $module.function::<extern $abi fn(i8, i16, c_int, i64, u32, u8) -> i64>(concat!($name, "6"));
            let twelve = $module
                .function::<extern $abi fn(i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64>(
                    concat!($name, "12"),
                )
                .expect("a function");
            let mixed = $module
                .function::<unsafe extern $abi fn(i32, f64, f32, *const f64) -> f64>(concat!($name, "_mixed"))
                .expect("a function");
            let host = $module.function::<extern $abi fn() -> i64>(concat!("call_", $name)).expect("a function");
            assert_eq!((none.call(), one.call(-5)), (7, -15));
            let six = six.expect("a function").call(-1, -300, 70_000, 1 << 40, u32::MAX, 200);
            assert_eq!(six, -1 - 600 + 210_000 + (5 << 40) + 7 * i64::from(u32::MAX) + 2200);
            assert_eq!(twelve.call(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), 650);
            assert_eq!(mixed.call(1, 0.5, 0.25, &3.0), 3031.0);
            assert_eq!(host.call(), 1234567);
        }
    };
}

macro_rules! digits {
    ($name:ident, $abi:literal) => {
        extern $abi fn $name(a: i64, b: f64, c: i64, d: i64, e: i64, f: i64, g: i64) -> i64 {
            let b = (b * 2.0) as i64 - 3;
            [a, b, c, d, e, f, g].into_iter().fold(0, |all, digit| all * 10 + digit)
        }
    };
}

digits!(host_c, "C");
digits!(host_win, "win64");

#[test]
fn calling_conventions_are_those_that_c_compilers_mean() {
    type Host<F> = F;
    #[repr(C)]
    #[derive(Debug, PartialEq)]
    struct Pair(i64, i64);
    for names in C_COMPILERS {
        let Some(compiler) = find(names) else { continue };
        for flags in ["-O0", "-O2", "-O2 -fPIC"] {
            let session = session();
            let c = host_c as Host<extern "C" fn(i64, f64, i64, i64, i64, i64, i64) -> i64>;
            session.define("host_c", c).expect("a name that is free");
            let win = host_win as Host<extern "win64" fn(i64, f64, i64, i64, i64, i64, i64) -> i64>;
            session.define("host_win", win).expect("a name that is free");
            let module = link(&session, &text(&compiler, "c", SOURCE, flags));
            check!(module, "C", "c");
            check!(module, "C-unwind", "c");
            check!(module, "sysv64", "c");
            check!(module, "sysv64-unwind", "c");
            check!(module, "win64", "win");
            check!(module, "win64-unwind", "win");
            // SAFETY: the source above defines it so.
            let swap = unsafe { module.function::<extern "C" fn(Pair) -> Pair>("swap") }.expect("a function");
            assert_eq!(swap.call(Pair(1, 2)), Pair(2, 1));
            // SAFETY: as above; it is given as many numbers as it is told, while the handle is held.
            unsafe {
                let sum = module.function::<unsafe extern "C" fn(c_int, ...) -> c_int>("sum").expect("a function");
                assert_eq!(sum.pointer()(4, 1 as c_int, 2 as c_int, 3 as c_int, 4 as c_int), 10);
            }
        }
    }
}

#[test]
fn functions_of_the_program_may_have_further_arguments() {
    unsafe extern "C" {
        fn snprintf(text: *mut c_char, size: usize, format: *const c_char, ...) -> c_int;
    }
    let Some(compiler) = find(C_COMPILERS[0]) else { return };
    let source = "int print(char *, unsigned long, const char *, ...);
                  int show(char *text, unsigned long size) { return print(text, size, \"%d and %s\", 7, \"eight\"); }";
    let session = session();
    let print = snprintf as unsafe extern "C" fn(*mut c_char, usize, *const c_char, ...) -> c_int;
    session.define("print", print).expect("a name that is free");
    let module = link(&session, &text(&compiler, "c", source, "-O2"));
    // SAFETY: the source above defines it so.
    let show = unsafe { module.function::<unsafe extern "C" fn(*mut c_char, usize) -> c_int>("show") };
    let mut bytes = [0u8; 32];
    // SAFETY: the bytes are as many as it is told.
    let length = unsafe { show.expect("a function").call(bytes.as_mut_ptr().cast(), bytes.len()) };
    assert_eq!(&bytes[..length as usize], b"7 and eight");
}
