//! An ordinary object in every shape.

use crate::builder::*;
use crate::toy::{self, ok};
use jitlink_core::graph::*;
use jitlink_core::reloc::Subject;

#[test]
fn an_ordinary_object_is_read_alike_in_all_shapes() {
    for shape in SHAPES {
        let mut object = Elf::new(shape);
        let text = object.add(Sec::new(".text", PROGBITS, A | X, [0x90; 16]).align(16));
        let data = object.add(Sec::new(".data", PROGBITS, A | W, [1, 2, 3, 4, 0, 0, 0, 0]).align(8));
        let bss = object.add(Sec::new(".bss", NOBITS, A | W, []).size(0x1_0000).align(0x2_0000));
        let here = object.symbol(Sym::local("here", text, 4));
        let data_symbol = object.symbol(Sym::section(data));
        let main = object.symbol(Sym { size: 16, ..Sym::new("main", 1, 2, text, 0) });
        let zeros = object.symbol(Sym::new("zeros", 1, 1, bss, 8));
        let puts = object.symbol(Sym::undefined("puts"));
        object.relocations(
            RELA,
            text,
            &[(1, toy::CALL, puts, -4), (6, toy::PC32, data_symbol, 4), (10, toy::ABS32, here, 0)],
        );
        object.relocations(RELA, data, &[(4, toy::ABS32, zeros, 12)]);
        let graph = ok(&object);

        let sections: Vec<_> =
            graph.sections().map(|(_, section)| (section.name_lossy(), section.protection)).collect();
        let expected = [
            (".text".to_string(), Protection::ReadExecute),
            (".data".to_string(), Protection::ReadWrite),
            (".bss".to_string(), Protection::ReadWrite),
        ];
        assert_eq!(sections, expected, "{shape:?}");
        let blocks: Vec<_> = graph.blocks().map(|(_, block)| (block.size(), block.align())).collect();
        assert_eq!(blocks, [(16, 16), (8, 8), (0x1_0000, 0x2_0000)]);
        assert!(matches!(graph.block(BlockId::new(2)).content, Content::Zero(0x1_0000)));

        let symbol = |number: u32| graph.symbol(SymbolId::new(number as usize));
        assert_eq!(graph.symbols().len(), 6);
        assert_eq!(symbol(0).value, Value::Absolute(0));
        assert_eq!(symbol(here).scope, Scope::Local);
        assert_eq!(symbol(here).value, Value::Block { block: BlockId::new(0), offset: 4 });
        assert_eq!(symbol(data_symbol).kind, SymbolKind::Section);
        assert_eq!((symbol(main).kind, symbol(main).size), (SymbolKind::Function, 16));
        assert_eq!(symbol(zeros).value, Value::Block { block: BlockId::new(2), offset: 8 });
        assert_eq!((symbol(puts).value, symbol(puts).scope), (Value::Undefined, Scope::Global));
        assert_eq!(graph.find_symbol("puts"), Some(SymbolId::new(puts as usize)));

        let edges = graph.edges(BlockId::new(0));
        let simple: Vec<_> = edges.iter().map(|edge| (edge.offset, edge.target.index() as u32, edge.addend)).collect();
        assert_eq!(simple, [(1, puts, -4), (6, data_symbol, 4), (10, here, 0)], "{shape:?}");
        assert_eq!(edges[0].subject, Subject::Callee);
        assert_eq!(graph.rows().row(edges[0].row).name(), "R_TOY_CALL");
        assert_eq!(graph.edges(BlockId::new(1)).len(), 1);
        assert!(graph.edges(BlockId::new(2)).is_empty());
    }
}
