//! After any sequence of updates a program does what it would do if it were linked anew.

use super::program::Program;
use crate::kit::{Event, exported, link_ok};
use jitlink_core::link::LinkOptions;
use proptest::prelude::*;

const OBJECTS: usize = 4;
const FUNCTIONS: usize = 4;

/// What a function does: a number, calls down the order of functions, a local function's number, a constant.
#[derive(Clone, Debug, PartialEq)]
struct Body {
    tag: u16,
    calls: Vec<(usize, usize)>,
    local: Option<u16>,
    constant: Option<u8>,
    there: bool,
}

type Sources = Vec<Vec<Body>>;

fn body() -> impl Strategy<Value = Body> {
    (
        1u16..1000,
        prop::collection::vec((0..OBJECTS, 0..FUNCTIONS), 0..4),
        prop::option::of(1u16..50),
        prop::option::of(any::<u8>()),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(tag, calls, local, constant, there)| Body { tag, calls, local, constant, there })
}

fn sources() -> impl Strategy<Value = Sources> {
    prop::collection::vec(prop::collection::vec(body(), FUNCTIONS), OBJECTS)
}

/// Calls go from a function to ones that come after it and are there, so that programs end and link.
fn text(all: &Sources, object: usize) -> String {
    let mut text = String::from("toy le64\n");
    let mut locals = String::new();
    let mut undefined: Vec<String> = Vec::new();
    for (index, body) in all[object].iter().enumerate().filter(|(_, body)| body.there) {
        text.push_str(&format!("section .text.f rx\nlabel f{object}_{index} global func\ntag {}\n", body.tag));
        for &(to, callee) in &body.calls {
            let after = to * FUNCTIONS + callee > object * FUNCTIONS + index;
            if after && all[to][callee].there {
                text.push_str(&format!("call32 f{to}_{callee}\n"));
                undefined.extend((to != object).then(|| format!("undef f{to}_{callee}\n")));
            }
        }
        if let Some(tag) = body.local {
            text.push_str(&format!("call32 l{index}\n"));
            locals.push_str(&format!("section .text.l rx\nlabel l{index} func\ntag {tag}\nret\n"));
        }
        if let Some(byte) = body.constant {
            text.push_str(&format!("lea c{index}\n"));
            locals.push_str(&format!("section .rodata r\nlabel c{index}\nhex {byte:02x}\n"));
        }
        text.push_str("ret\n");
    }
    text.push_str(&locals);
    undefined.sort();
    undefined.dedup();
    text + &undefined.concat()
}

/// Events without addresses, which may differ; constants by what they hold.
fn plain(events: Vec<Event>, read: impl Fn(u64) -> u8) -> Vec<(u8, u64)> {
    let one = |event| match event {
        Event::Tag(tag) => (0, tag),
        Event::Loaded(at) => (1, u64::from(read(at))),
        Event::Left(at) => (2, at),
        Event::Trapped(_) => (3, 0),
    };
    events.into_iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_updated_program_is_the_program_linked_anew(
        first in sources(),
        edits in prop::collection::vec(sources(), 1..5),
        mask in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.3), FUNCTIONS * OBJECTS), 5),
        reclaims in prop::collection::vec(any::<bool>(), 5),
    ) {
        let objects = |all: &Sources| -> Vec<(String, String)> {
            (0..OBJECTS).map(|object| (format!("o{object}.o"), text(all, object))).collect()
        };
        let mut now = first;
        let texts = objects(&now);
        let as_pairs = |texts: &[(String, String)]| -> Vec<(String, String)> { texts.to_vec() };
        let borrowed: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut program = Program::new(&borrowed);
        let mut before = as_pairs(&texts);
        for ((edit, mask), reclaim) in edits.into_iter().zip(mask).zip(reclaims) {
            for (index, change) in mask.into_iter().enumerate() {
                if change {
                    now[index / FUNCTIONS][index % FUNCTIONS] = edit[index / FUNCTIONS][index % FUNCTIONS].clone();
                }
            }
            let after = objects(&now);
            let changed: Vec<(&str, &str)> = after.iter().zip(&before).filter(|(new, old)| new != old)
                .map(|(new, _)| (new.0.as_str(), new.1.as_str())).collect();
            if !changed.is_empty() {
                let updated = program.try_update(&changed);
                prop_assert!(updated.is_ok(), "{}\n{after:#?}", updated.unwrap_err());
            }
            if reclaim {
                program.reclaim();
            }
            let borrowed: Vec<(&str, &str)> = after.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let fresh = link_ok(&borrowed, &LinkOptions { updatable: true, ..exported() });
            let mut names: Vec<String> = fresh.linked.exports.iter().map(|(name, _)| name.to_string()).collect();
            names.sort();
            prop_assert_eq!(&program.exports(), &names);
            for name in &names {
                let expected = crate::kit::machine::run(&fresh, fresh.export(name).expect("an export"));
                let expected = plain(expected, |at| fresh.bytes(at, 1)[0]);
                let found = plain(program.run(name), |at| program.read(at, 1)[0]);
                prop_assert_eq!(found, expected, "{}", name);
            }
            before = after;
        }
    }
}
