//! Unwind records and tables of exceptions with pointers written in every way (LSB Core, "DWARF Exception Header Encoding"): exceptions that
//! are caught in such frames, and that pass through them.

use super::support::{CXX_COMPILERS, Folder, find};
use std::path::Path;

/// How the pointers of a frame are written.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The CIE's letters.
    letters: &'static str,
    /// The personality routine (letter `P`).
    personality: u8,
    /// The language-specific data (letter `L`).
    language: u8,
    /// The function (letter `R`).
    function: u8,
    /// The types of exceptions.
    types: u8,
    /// The places of calls.
    calls: u8,
}

/// What compilers write without `-fPIC` and with it.
const USUAL: Frame =
    Frame { letters: "zPLR", personality: 0x9b, language: 0x1b, function: 0x1b, types: 0x9b, calls: 0x01 };

/// Numbers of two bytes and of variable length are too short for addresses of either program; those without a sign reach no lower address.
fn frames() -> Vec<Frame> {
    let personalities = [
        0x00, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x14, 0x1b, 0x1c, 0x20, 0x23, 0x24, 0x2b, 0x2c, 0x30, 0x33, 0x34, 0x3b,
        0x3c, 0x80, 0x83, 0x84, 0x8b, 0x8c, 0x90, 0x94, 0x9b, 0x9c, 0xa0, 0xac, 0xb0, 0xbb,
    ];
    let pointers = [
        0x00, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x14, 0x1b, 0x1c, 0x20, 0x23, 0x24, 0x2b, 0x2c, 0x30, 0x33, 0x34, 0x3b,
        0x3c,
    ];
    let indirect = [0x80, 0x83, 0x84, 0x8b, 0x8c, 0x90, 0x94, 0x9b, 0x9c];
    let types = [0x00, 0x03, 0x04, 0x0b, 0x0c, 0x10, 0x1b, 0x1c, 0x80, 0x83, 0x84, 0x8b, 0x8c, 0x90, 0x94, 0x9b, 0x9c];
    let calls = [0x00, 0x01, 0x02, 0x03, 0x04, 0x09, 0x0a, 0x0b, 0x0c];
    let mut frames = vec![USUAL];
    for letters in ["zPLR", "zRPL", "zLPRS", "zRLP"] {
        // A signal frame would be looked up by an address that is one higher.
        frames.push(Frame { letters: letters.trim_end_matches('S'), ..USUAL });
    }
    // Without its letter the function's address is absolute.
    frames.push(Frame { letters: "zPL", function: 0x00, ..USUAL });
    frames.extend(personalities.map(|personality| Frame { personality, ..USUAL }));
    frames.extend(pointers.iter().chain(&indirect).map(|language| Frame { language: *language, ..USUAL }));
    frames.extend(
        pointers.iter().filter(|function| **function < 0x20).map(|function| Frame { function: *function, ..USUAL }),
    );
    frames.extend(types.map(|types| Frame { types, ..USUAL }));
    frames.extend(calls.map(|calls| Frame { calls, ..USUAL }));
    frames
}

/// Functions' addresses counted from what unwinders take to be zero here. No linker makes a table of such records, without which the program that
/// it links is not unwound; in linked memory they need none.
fn frames_without_a_table() -> Vec<Frame> {
    let functions = [0x20, 0x23, 0x24, 0x2b, 0x2c, 0x30, 0x33, 0x34, 0x3b, 0x3c];
    functions.map(|function| Frame { function, ..USUAL }).to_vec()
}

/// The directive for a pointer, and the pointer; `name` for what it points to indirectly goes to `words`.
fn pointer(encoding: u8, target: &str, name: &str, words: &mut String) -> String {
    let directive = match encoding & 0x0f {
        0x02 | 0x0a => ".short",
        0x03 | 0x0b => ".long",
        _ => ".quad",
    };
    let target = match encoding & 0x80 {
        0 => target.to_string(),
        _ => {
            words.push_str(&format!("{name}: .quad {target}\n"));
            name.to_string()
        }
    };
    match encoding & 0x70 {
        0x10 => format!("{directive} {target} - .\n"),
        // No other base is given to unwinders on this machine, so they count from zero.
        _ => format!("{directive} {target}\n"),
    }
}

/// A number in the table of calls.
fn number(encoding: u8, value: &str) -> String {
    let directive = match encoding & 0x0f {
        0x01 => ".uleb128",
        0x02 | 0x0a => ".short",
        0x03 | 0x0b => ".long",
        0x09 => ".sleb128",
        _ => ".quad",
    };
    format!("{directive} {value}\n")
}

/// `frame_N` calls the function that is its first argument with the second, and returns 1000 more than an `int` that is thrown meanwhile.
fn assembly(index: usize, frame: &Frame) -> String {
    let mut words = String::new();
    let personality = pointer(frame.personality, "__gxx_personality_v0", &format!(".Lpersonality{index}"), &mut words);
    let language = pointer(frame.language, &format!(".Llanguage{index}"), &format!(".Llanguage_at{index}"), &mut words);
    let types = pointer(frame.types, "_ZTIi", &format!(".Ltype_at{index}"), &mut words);
    let function = pointer(frame.function, &format!("frame_{index}"), "", &mut words);
    let size = number(frame.function & 0x0f, &format!(".Lend{index} - frame_{index}"));
    let calls: String = [".Lcall{} - frame_{}", ".Lafter{} - .Lcall{}", ".Lpad{} - frame_{}"]
        .map(|value| number(frame.calls, &value.replace("{}", &index.to_string())))
        .concat();
    let data: String = frame
        .letters
        .chars()
        .map(|letter| match letter {
            'P' => format!(".byte {}\n{personality}", frame.personality),
            'L' => format!(".byte {}\n", frame.language),
            'R' => format!(".byte {}\n", frame.function),
            _ => String::new(),
        })
        .collect();
    let Frame { letters, types: types_encoding, calls: calls_encoding, .. } = frame;
    format!(
        "
        .text
        .globl frame_{index}
        .type frame_{index}, @function
frame_{index}:
        pushq %rbx
        movq %rdi, %rax
        movl %esi, %edi
.Lcall{index}: call *%rax
.Lafter{index}: popq %rbx
        ret
.Lpad{index}: movq %rax, %rdi
        call __cxa_begin_catch@PLT
        movl (%rax), %ebx
        call __cxa_end_catch@PLT
        leal 1000(%rbx), %eax
        popq %rbx
        ret
.Lend{index}: .size frame_{index}, . - frame_{index}
        .data
        .balign 8
{words}
        .section .gcc_except_table,\"a\",@progbits
        .balign 8
.Llanguage{index}: .byte 0xff, {types_encoding}
        .uleb128 .Ltypes{index} - .Lstart{index}
.Lstart{index}: .byte {calls_encoding}
        .uleb128 .Lactions{index} - .Lcalls{index}
.Lcalls{index}:
{calls}        .uleb128 1
.Lactions{index}: .byte 1, 0
        .balign 8
{types}
.Ltypes{index}:
        .section .eh_frame,\"a\",@progbits
.Lcie{index}: .long .Lcie_end{index} - .Lcie_id{index}
.Lcie_id{index}: .long 0
        .byte 1
        .string \"{letters}\"
        .byte 1, 0x78, 16
        .uleb128 .Ldata_end{index} - .Ldata{index}
.Ldata{index}:
{data}
.Ldata_end{index}: .byte 0x0c, 7, 8, 0x90, 1
        .balign 8, 0
.Lcie_end{index}: .long .Lfde_end{index} - .Lfde{index}
.Lfde{index}: .long .Lfde{index} - .Lcie{index}
{function}{size}        .uleb128 .Lfde_data_end{index} - .Lfde_data{index}
.Lfde_data{index}:
{language}
.Lfde_data_end{index}: .byte 0x41, 0x0e, 16, 0x83, 2
        .balign 8, 0
.Lfde_end{index}:
"
    )
}

const DRIVER: &str = r#"
#include <cstdio>
extern "C" int (*const frames[])(int (*)(int), int);
extern "C" const int count;
static int returns(int value) { return value; }
static int throws_a_number(int value) { throw value; }
static int throws_a_text(int) { throw "text"; }
int main() {
    for (int i = 0; i < count; i++) {
        std::printf("%d: %d %d ", i, frames[i](returns, i), frames[i](throws_a_number, i));
        try {
            std::puts(frames[i](throws_a_text, i) ? "caught" : "nothing");
        } catch (const char *text) {
            std::puts(text);
        }
    }
}
"#;

/// Makes an object of these frames; what the driver prints of it.
fn object(folder: &Folder, compiler: &Path, frames: &[Frame]) -> String {
    let mut text: String = frames.iter().enumerate().map(|(index, frame)| assembly(index, frame)).collect();
    text.push_str(".section .data.rel.ro,\"aw\"\n.balign 8\n.globl frames, count\nframes:\n");
    (0..frames.len()).for_each(|index| text.push_str(&format!(".quad frame_{index}\n")));
    text.push_str(&format!("count: .long {}\n.section .note.GNU-stack,\"\",@progbits\n", frames.len()));
    folder.write("frames.s", text);
    folder.write("driver.cpp", DRIVER);
    folder.tool(compiler, "-c frames.s -o frames.o");
    (0..frames.len()).map(|index| format!("{index}: {index} {} text\n", index + 1000)).collect()
}

#[test]
fn exceptions_are_caught_in_frames_of_every_encoding_and_pass_them() {
    for compiler in CXX_COMPILERS.iter().filter_map(|names| find(names)) {
        let folder = Folder::new();
        for (frames, has_reference) in [(frames(), true), (frames_without_a_table(), false)] {
            let expected = object(&folder, &compiler, &frames);
            for flags in
                ["-O0 -fPIC", "-O2 -fno-pic", "-O2 -fPIC -mcmodel=large", "-O2 -fno-asynchronous-unwind-tables"]
            {
                folder.tool(&compiler, &format!("{flags} -c driver.cpp -o driver.o"));
                if has_reference {
                    let reference = folder.reference(&compiler, "-no-pie driver.o frames.o", "");
                    assert_eq!(reference.visible(), (0, &*expected), "{compiler:?} {flags}: {}", reference.stderr);
                }
                let outcome = folder.jitlink("run driver.o frames.o -l stdc++");
                assert_eq!(outcome.visible(), (0, &*expected), "{compiler:?} {flags}: {}", outcome.stderr);
            }
        }
    }
}

#[test]
fn a_narrow_pointer_alone_brings_a_program_to_where_it_reaches() {
    // What else is in the program would lie anywhere.
    let Some(compiler) = CXX_COMPILERS.iter().find_map(|names| find(names)) else { return };
    let narrow = [
        Frame { personality: 0x03, ..USUAL },
        Frame { personality: 0x2b, ..USUAL },
        Frame { personality: 0x8b, ..USUAL },
        Frame { language: 0x0b, ..USUAL },
        Frame { function: 0x0b, ..USUAL },
        Frame { types: 0x03, ..USUAL },
        Frame { types: 0x8b, ..USUAL },
    ];
    for frame in narrow {
        let folder = Folder::new();
        let expected = object(&folder, &compiler, &[frame]);
        folder.tool(&compiler, "-O2 -fPIC -c driver.cpp -o driver.o");
        let outcome = folder.jitlink("run driver.o frames.o -l stdc++");
        assert_eq!(outcome.visible(), (0, &*expected), "{frame:x?}: {}", outcome.stderr);
    }
}

#[test]
fn encodings_that_no_unwinder_reads_are_refused_by_name() {
    let Some(compiler) = CXX_COMPILERS.iter().find_map(|names| find(names)) else { return };
    for (frame, named) in [
        (Frame { personality: 0x50, ..USUAL }, "0x50 for the personality routine (P)"),
        (Frame { personality: 0x9d, ..USUAL }, "0x9d for the personality routine (P)"),
        (Frame { personality: 0x70, ..USUAL }, "0x70 for the personality routine (P)"),
        (Frame { language: 0x50, ..USUAL }, "0x50 for addresses of language-specific data (L)"),
        (Frame { language: 0x08, ..USUAL }, "0x08 for addresses of language-specific data (L)"),
        (Frame { function: 0x40, ..USUAL }, "0x40 for addresses of functions (R)"),
        (Frame { function: 0x01, ..USUAL }, "0x01 for addresses of functions (R)"),
        (Frame { function: 0xff, ..USUAL }, "0xff for addresses of functions (R)"),
    ] {
        let folder = Folder::new();
        let text = match frame.function == USUAL.function {
            true => assembly(0, &frame),
            // The records of functions stay as they are: nobody gets to read them.
            false => {
                let byte = |encoding: u8| format!(".byte {encoding}\n\n.Ldata_end");
                assembly(0, &USUAL).replace(&byte(USUAL.function), &byte(frame.function))
            }
        };
        folder.write("frames.s", text);
        folder.tool(&compiler, "-c frames.s -o frames.o");
        let outcome = folder.jitlink("link frames.o --entry frame_0 --unresolved null");
        assert_eq!(outcome.status, 1, "{frame:?}: {}", outcome.stdout);
        assert!(
            outcome.stderr.contains(&format!("a CIE with the pointer encoding {named}")),
            "{frame:?}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains("frames.o") && outcome.stderr.contains(".eh_frame"), "{}", outcome.stderr);
    }
}
