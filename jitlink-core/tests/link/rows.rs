//! Rows and fields by themselves, and edges whose subject is not that of their row.

use crate::kit::arch::ROWS;
use crate::kit::{exported, link_ok};
use jitlink_core::Endian::{Big, Little};
use jitlink_core::link::Stage;
use jitlink_core::reloc::{Field, Subject, bits};
use jitlink_core::testing::check_row;

#[test]
fn rows_with_every_kind_of_field_are_sound() {
    ROWS.iter().for_each(check_row);
}

#[test]
fn a_sum_that_drops_a_carry_leaves_its_neighbours_alone() {
    static SIX: Field = Field::word(1, &[bits(0, 6, 0, 0)]).adding();
    for endian in [Little, Big] {
        let mut byte = [0b1011_1111];
        SIX.insert(&mut byte, 2, endian);
        assert_eq!(byte, [0b1000_0001]);
        SIX.insert(&mut byte, -2i64 as u64, endian);
        assert_eq!(byte, [0b1011_1111]);
    }
}

#[test]
fn a_difference_is_the_sum_of_two_relocations() {
    for target in ["le64", "be64"] {
        let text = format!(
            "toy {target}\nsection .text rx\nlabel first global\nret\nret\nlabel second global\nret\n\
             section .data rw\nlabel difference global\nrel ADD32 second +7\nrel SUB32 first +1\n"
        );
        let mut options = exported();
        options.pipeline.add(Stage::AfterPrune, "to one place", |graph, _| {
            let blocks: Vec<_> = graph.blocks().map(|(id, _)| id).collect();
            blocks.into_iter().for_each(|block| {
                graph.edges_mut(block).iter_mut().for_each(|edge| edge.offset = 0);
            });
            Ok(())
        });
        let image = link_ok(&[("a.o", &text)], &options);
        let between = image.address("second") - image.address("first");
        assert_eq!(image.number(image.address("difference"), 4), between + 6);
    }
}

/// The second of a pair of instructions often takes its meaning from the first: a pass says so.
#[test]
fn a_pass_can_turn_a_plain_reference_into_one_to_a_slot() {
    let text = "toy le64\nsection .text rx\nlabel first global\nret\n\
                section .data rw\nlabel distance global\nrel REL32 first\n";
    for stage in [Stage::BeforePrune, Stage::AfterPrune] {
        let mut options = exported();
        options.pipeline.add(stage, "to the slot", |graph, _| {
            let blocks: Vec<_> = graph.blocks().map(|(id, _)| id).collect();
            blocks.into_iter().for_each(|block| {
                graph.edges_mut(block).iter_mut().for_each(|edge| edge.subject = Subject::GotSlot);
            });
            Ok(())
        });
        let image = link_ok(&[("a.o", text)], &options);
        let place = image.address("distance");
        let slot = place.wrapping_add_signed(image.signed(place, 4));
        assert_eq!(image.pointer(slot), image.address("first"), "{stage:?}");
        assert_eq!(image.object("a.o").got.len(), 1, "{stage:?}");
    }
}
