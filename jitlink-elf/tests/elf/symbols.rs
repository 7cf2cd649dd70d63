//! The symbol table.

use crate::builder::*;
use crate::toy::{self, error, ok};
use jitlink_core::ObjectFormat;
use jitlink_core::graph::{BlockId, Linkage, Residence, Scope, SymbolId, SymbolKind, Value};
use jitlink_elf::ElfFormat;

#[test]
fn bindings_visibilities_and_types_are_kept() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        let text = object.add(Sec::new(".text", PROGBITS, A | X, [0xc3; 8]));
        object.symbol(Sym::new("input.c", 0, 4, ABS, 0));
        for visibility in 0..4 {
            object.symbol(Sym { other: visibility | 0x60, ..Sym::global("visible", text, 0) });
        }
        for bind in [2, 10] {
            object.symbol(Sym::new("bound", bind, 1, text, 8));
        }
        object.symbol(Sym::new("resolver", 1, 10, text, 0));
        object.symbol(Sym::new("thread", 1, 6, 0, 0));
        object.symbol(Sym::new("maybe", 2, 0, 0, 0));
        object.symbol(Sym::global("fixed", ABS, 0x1234_5678));
        object.symbol(Sym { size: 40, ..Sym::new("common", 1, 5, COMMON, 32) });
        let graph = ok(&object);
        let symbols: Vec<_> = graph.symbols().map(|(_, symbol)| symbol.clone()).collect();
        assert_eq!((symbols[1].kind, symbols[1].value), (SymbolKind::File, Value::Absolute(0)));
        let scopes: Vec<_> = symbols[2..6].iter().map(|symbol| symbol.scope).collect();
        assert_eq!(scopes, [Scope::Global, Scope::Hidden, Scope::Hidden, Scope::Protected]);
        assert_eq!((symbols[6].linkage, symbols[7].linkage), (Linkage::Weak, Linkage::Unique));
        assert_eq!(symbols[6].value, Value::Block { block: BlockId::new(0), offset: 8 });
        assert_eq!(symbols[8].kind, SymbolKind::Indirect);
        assert_eq!((symbols[9].kind, symbols[9].value), (SymbolKind::ThreadLocal, Value::Undefined));
        assert_eq!((symbols[10].linkage, symbols[10].value), (Linkage::Weak, Value::Undefined));
        assert_eq!(symbols[11].value, Value::Absolute(0x1234_5678));
        assert_eq!(symbols[12].value, Value::Common { align_log2: 5, residence: Residence::Near });
        assert_eq!((symbols[12].size, symbols[12].kind), (40, SymbolKind::Object));
    }
}

#[test]
fn large_commons_are_far_on_x86_64_only() {
    let mut object = Elf::new(LITTLE64);
    let large = object.symbol(Sym::new("large", 1, 1, 0xff02, 16));
    assert!(error(&object).contains("symbol large: its section number is the reserved 0xff02"), "{}", error(&object));
    object.machine = toy::X86_64;
    let value = ok(&object).symbol(SymbolId::new(large as usize)).value;
    assert_eq!(value, Value::Common { align_log2: 4, residence: Residence::Far });
}

#[test]
fn symbols_of_sections_that_are_left_out_may_exist_and_not_be_used() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        let text = object.add(Sec::new(".text", PROGBITS, A | X, [0; 8]));
        let debug = object.add(Sec::new(".debug_str", PROGBITS, 0, *b"text\0"));
        let symbol = object.symbol(Sym::local("inside", debug, 2));
        let kept = object.symbol(Sym::global("kept", text, 0));
        let graph = ok(&object);
        let placeholder = graph.symbol(SymbolId::new(symbol as usize));
        assert_eq!((placeholder.value, placeholder.scope), (Value::Absolute(0), Scope::Local));
        assert_eq!(graph.find_symbol("kept"), Some(SymbolId::new(kept as usize)));
        object.relocations(RELA, text, &[(4, toy::ABS32, symbol, 0)]);
        let message = "test.o: .text+0x4: R_TOY_ABS32 against inside: malformed: it refers to section .debug_str, which is not loaded";
        assert!(error(&object).ends_with(message), "{}", error(&object));
        let graph = toy::read_debug(&object.write()).unwrap();
        assert_eq!(
            graph.symbol(SymbolId::new(symbol as usize)).value,
            Value::Block { block: BlockId::new(1), offset: 2 }
        );
    }
}

#[test]
fn broken_entries_are_errors_with_their_place() {
    for shape in SHAPES {
        let entry = if shape.wide { 24 } else { 16 };
        let check = |symbol: Sym, message: &str| {
            let mut object = Elf::new(shape);
            object.add(Sec::new(".text", PROGBITS, A | X, [0; 8]));
            object.symbol(symbol);
            let error = error(&object);
            assert!(error.contains(&format!("test.o: .symtab+{entry:#x}: ")) && error.contains(message), "{error}");
        };
        check(Sym::global("f", 1, 9), "symbol f is at 0x9 of section .text, which has 0x8 bytes");
        check(Sym::global("f", 77, 0), "symbol 1 is in section 77, of 5");
        check(Sym::new("f", 1, 13, 1, 0), "symbol f: its type is 0xd");
        check(Sym::new("f", 13, 0, 1, 0), "symbol f: its binding is 0xd");
        check(Sym::global("f", 0xff7f, 0), "symbol f: its section number is the reserved 0xff7f");
        check(Sym::global("f", COMMON, 3), "the alignment of common symbol 1 is 0x3");
        check(Sym::local("f", COMMON, 4), "symbol 1 is common, but local");
        check(Sym::global("f", 0xffff, 0), "symbol 1 has an extended section number, and there is no table");
    }
    let mut unordered = Elf::new(LITTLE64);
    unordered.symbol(Sym::global("f", ABS, 0));
    unordered.first_global = Some(2);
    assert!(error(&unordered).contains("stands before the first global one, 2"), "{}", error(&unordered));
    unordered.first_global = Some(3);
    assert!(error(&unordered).contains("its first global symbol is 3, of only 2"), "{}", error(&unordered));
    let mut second = Elf::new(LITTLE64);
    second.add(Sec::new(".symtab2", SYMTAB, 0, [0; 24]).link(2).entry(24));
    second.add(Sec::new(".strtab2", STRTAB, 0, [0]));
    assert!(
        error(&second).contains(".symtab+0x0: malformed: an object has one symbol table only"),
        "{}",
        error(&second)
    );
    let mut extended = Elf::new(LITTLE64);
    extended.add(Sec::new(".symtab_shndx", SYMTAB_SHNDX, 0, [0; 8]).link(2));
    assert!(error(&extended).contains("2 extended section numbers for section 2"), "{}", error(&extended));
}

#[test]
fn an_undefined_local_symbol_may_exist_and_not_be_used() {
    let mut object = Elf::new(LITTLE64);
    let text = object.add(Sec::new(".text", PROGBITS, A | X, [0; 8]));
    let symbol = object.symbol(Sym::local("ghost", 0, 0));
    ok(&object);
    object.relocations(RELA, text, &[(0, toy::ABS64, symbol, 0)]);
    assert!(
        error(&object).contains("against ghost: malformed: it refers to symbol 1, which is local and defined nowhere")
    );
}

#[test]
fn definitions_are_what_others_may_use() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        let text = object.add(Sec::new(".text", PROGBITS, A | X, [0; 8]));
        object.symbol(Sym::local("local", text, 0));
        object.symbol(Sym::global("strong", text, 0));
        object.symbol(Sym::undefined("missing"));
        object.symbol(Sym::new("weak", 2, 0, text, 0));
        object.symbol(Sym::new("unique", 10, 1, text, 0));
        object.symbol(Sym::new("common", 1, 1, COMMON, 8));
        object.symbol(Sym { other: 2, ..Sym::global("hidden", text, 0) });
        let mut found = Vec::new();
        let bytes = object.write();
        ElfFormat.definitions("test.o", &bytes, &mut |name| found.push(String::from_utf8_lossy(name))).unwrap();
        assert_eq!(found, ["strong", "weak", "unique", "common", "hidden"], "{shape:?}");
    }
}

#[test]
fn intermediate_code_of_gcc_is_refused_only_where_there_is_nothing_else() {
    let mut object = Elf::new(LITTLE64);
    object.add(Sec::new(".gnu.lto_.decls", PROGBITS, EXCLUDE, [1]));
    ok(&object);
    object.symbol(Sym::new("__gnu_lto_slim", 1, 1, COMMON, 1));
    assert!(error(&object).contains("GCC's intermediate code only"), "{}", error(&object));
}

#[test]
fn names_that_share_bytes_cannot_cost_more_than_the_file() {
    let mut object = Elf::new(LITTLE64);
    object.with_symbols = false;
    let count = 4_000;
    let mut table = Writer::new(LITTLE64);
    for index in 0..count {
        table.u32(u32::from(index != 0));
        table.u32(0xfff1_0010 * u32::from(index != 0));
        table.u64(0);
        table.u64(0);
    }
    object.add(Sec::new(".symtab", SYMTAB, 0, table.bytes).link(2).info(1).entry(24));
    object.add(Sec::new(".strtab", STRTAB, 0, [vec![0], vec![b'x'; 100_000], vec![0]].concat()));
    assert!(error(&object).contains("is not there"), "{}", error(&object));
}
