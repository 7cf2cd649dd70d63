//! `jitlink inspect` as a table, as JSON and as a graph.

use super::support::{Folder, find};
use serde_json::Value;

/// The names that reasons.o needs from outside, too far for direct references.
pub(crate) const FAR: &str = "--define outside=0x7f0000000000 --define outside_data=0x7f0000001000";

/// The document of `jitlink inspect WORDS --format json`.
fn document(folder: &Folder, words: &str) -> Value {
    let outcome = folder.jitlink(&format!("inspect {words} --format json"));
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", outcome.stdout, outcome.stderr))
}

/// The one block whose section has this name, of the first object that has one.
fn block<'d>(document: &'d Value, section: &str) -> &'d Value {
    let sections = document["sections"].as_array().unwrap();
    let index = sections.iter().position(|known| known["name"] == section).unwrap_or_else(|| panic!("no {section}"));
    let blocks = document["blocks"].as_array().unwrap();
    blocks.iter().find(|block| block["section"] == index).unwrap()
}

#[test]
fn the_document_has_the_documented_shape() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let document = document(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let all = "blocks edges errors groups members objects reached sections segments slots stubs symbols target totals version";
    assert_eq!(keys(&document), all);
    assert_eq!((&document["version"], &document["reached"]), (&1.into(), &"linked".into()));
    for (list, expected) in [
        ("segments", "address protection residence size"),
        ("objects", "made name path"),
        ("groups", "kept name object"),
        ("sections", "group name object protection residence"),
        ("blocks", "address align cause edges offset section size state"),
        ("symbols", "address canonical kind linkage name object own place scope size"),
        ("edges", "after before block change offset"),
        ("slots", "address for_stub symbol target"),
        ("stubs", "address kind symbol target"),
    ] {
        let items = document[list].as_array().unwrap();
        assert!(!items.is_empty(), "{list}");
        items.iter().for_each(|item| assert_eq!(keys(item), expected, "{list}"));
    }
    let addresses = ["segments", "slots", "stubs"].iter().flat_map(|list| document[*list].as_array().unwrap());
    assert!(addresses.into_iter().all(|item| item["address"].as_str().unwrap().starts_with("0x")));
}

#[test]
fn positions_lead_to_what_they_mean() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let document = document(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"));
    let list = |name: &str| document[name].as_array().unwrap();
    let name = |symbol: &Value| document["symbols"][symbol.as_u64().unwrap() as usize]["name"].as_str().unwrap();
    let states: Vec<&str> = [".text.main", ".text.unused", ".got"]
        .map(|section| block(&document, section)["state"].as_str().unwrap())
        .into();
    assert_eq!(states, ["live", "pruned", "made"]);
    assert_eq!(block(&document, ".text.unused")["address"], Value::Null);
    assert_eq!(block(&document, ".text.main")["cause"]["kind"], "entry");
    // The way from `helper` to the root, over edges.
    let cause = &block(&document, ".text.helper")["cause"];
    let edge = &list("edges")[cause["edge"].as_u64().unwrap() as usize];
    assert_eq!((&edge["block"], &edge["before"]["relocation"]), (&cause["block"], &"R_X86_64_PC32".into()));
    let stub = &list("stubs")[0];
    assert_eq!((name(&stub["target"]), list("stubs").len()), ("outside", 1));
    // The call as it was, and as it is.
    let call = list("edges").iter().find(|edge| edge["change"]["kind"] == "stub").unwrap();
    assert_eq!(name(&call["before"]["target"]), "outside");
    assert_eq!((&call["after"]["target"], &call["change"]["reason"]), (&stub["symbol"], &"out-of-reach".into()));
    // What is pruned has no form after the link, what the linker made none before.
    let of = |section: &str| {
        let range = &block(&document, section)["edges"];
        &list("edges")[range[0].as_u64().unwrap() as usize..range[1].as_u64().unwrap() as usize]
    };
    assert!(of(".text.unused").iter().all(|edge| edge["after"].is_null()) && of(".text.unused").len() == 2);
    assert!(of(".got").iter().all(|edge| edge["before"].is_null()) && of(".got").len() == 2);
    assert!(list("edges").iter().any(|edge| edge["change"]["kind"] == "relaxed"));
    // Totals are those of the lists.
    let totals = &document["totals"];
    assert_eq!((&totals["slots"], &totals["stubs"], &totals["relaxed"]), (&2.into(), &1.into(), &1.into()));
    let placed = list("blocks").iter().filter(|block| !block["address"].is_null()).count();
    assert_eq!(totals["after"]["blocks"], placed);
}

#[test]
fn one_copy_of_a_group_is_kept() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let document = document(&folder, &format!("reasons.o reasons_more.o {FAR} --define nowhere_needed=0x1"));
    let groups = document["groups"].as_array().unwrap();
    let objects = document["objects"].as_array().unwrap();
    assert_eq!(groups.iter().map(|group| &group["name"]).collect::<Vec<_>>(), ["copied", "copied"]);
    assert_eq!(groups[0]["kept"], Value::Null);
    assert_eq!(objects[groups[1]["kept"].as_u64().unwrap() as usize]["name"], "reasons.o");
    let discarded = document["blocks"].as_array().unwrap().iter().filter(|block| block["state"] == "discarded");
    assert_eq!(discarded.count(), 1);
}

#[test]
fn a_link_that_fails_is_shown_as_far_as_it_came() {
    let folder = Folder::with(&["reasons.o", "undefined.o", "range.o", "thread_local.o"]);
    folder.write("damaged.o", &folder.read("reasons.o")[..400]);
    for (words, reached, code) in [
        ("undefined.o", "pruned", "undefined"),
        ("undefined.o undefined.o", "read", "duplicate"),
        ("range.o", "placed", "out-of-range"),
        ("thread_local.o --entry main", "placed", "unsupported"),
        ("reasons.o damaged.o", "read", "malformed"),
        ("missing.o", "nothing", "io"),
    ] {
        let document = document(&folder, words);
        assert_eq!((&document["reached"], &document["errors"][0]["code"]), (&reached.into(), &code.into()), "{words}");
        let outcome = folder.jitlink(&format!("inspect {words}"));
        assert_eq!(outcome.status, 1, "{words}");
        assert!(outcome.stderr.starts_with(&format!("error[{code}]: ")), "{words}: {}", outcome.stderr);
        assert_eq!(outcome.stdout.contains("before  "), reached != "nothing", "{words}: {}", outcome.stdout);
        for view in ["dot", "html"] {
            assert_eq!(folder.jitlink(&format!("inspect {words} --format {view}")).status, 1, "{words}, {view}");
        }
    }
}

#[test]
fn the_table_says_what_became_of_everything() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let outcome = folder.jitlink(&format!("inspect reasons.o reasons_more.o --entry main {FAR}"));
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let has = |words: &[&str]| {
        let found = outcome.stdout.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == words);
        assert!(found, "{words:?} is not in\n{}", outcome.stdout);
    };
    has(&["elf", "x86-64,", "little-endian,", "64-bit", "pointers"]);
    has(&["0x10000000", "72", "r-x", "code"]);
    has(&["reasons.o", "11", "5", "72", "58"]);
    has(&["0x10000000", "42", "1", "r-x", "live", "reasons.o", ".text.main"]);
    has(&["reasons.o", ".text.main+0x6,", "in", "main", "R_X86_64_PLT32", "stub", "outside-0x4"]);
    has(&["reasons.o", ".text.main+0xd,", "in", "main", "R_X86_64_REX_GOTPCRELX", "relaxed", "shared-0x4"]);
    has(&["0x10001000", "outside", "its", "stub", "0x7f0000000000"]);
    has(&["0x10000040", "plt", "outside", "0x7f0000000000"]);
    has(&["11", "pruned", "reasons.o", ".text.unused", "unused"]);
    has(&["1", "discarded", "reasons_more.o", ".text.copied", "copied"]);
}

#[test]
fn long_lists_are_cut_unless_all_is_asked_for() {
    let folder = Folder::with(&["program.o", "library.o"]);
    let words = "inspect program.o library.o --unresolved null";
    let (cut, all) = (folder.jitlink(words), folder.jitlink(&format!("{words} --all")));
    assert!(cut.stdout.contains(" more (--all shows them)") && !all.stdout.contains(" more (--all"));
    assert!(all.stdout.lines().count() > cut.stdout.lines().count());
}

#[test]
fn the_graph_is_one_that_graphviz_reads() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    let outcome =
        folder.jitlink(&format!("inspect reasons.o reasons_more.o {FAR} --unresolved null --format dot -o a.dot"));
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
    let text = String::from_utf8(folder.read("a.dot")).unwrap();
    assert!(text.starts_with("digraph link {\n") && text.ends_with("}\n"));
    assert!(text.contains("quote\\\"mark]; -> <b>"), "{text}");
    let Some(dot) = find(&["dot"]) else { return };
    let plain = folder.command(&dot, "-Tplain a.dot");
    assert_eq!((plain.status, plain.stderr.as_str()), (0, ""));
    let count = |what: &str| plain.stdout.lines().filter(|line| line.starts_with(what)).count();
    let nodes = text.lines().filter(|line| line.contains("fillcolor=")).count();
    assert_eq!(
        (count("node "), count("edge ")),
        (nodes, text.matches(" -> ").count() - text.matches("; -> <b>").count())
    );
}

#[test]
fn every_step_is_the_same_with_any_number_of_threads() {
    let folder = Folder::with(&["program.o", "library.o", "reasons.o"]);
    let words = "program.o library.o --unresolved null";
    let first = document(&folder, &format!("{words} --threads 1"));
    assert!(["2", "7"].iter().all(|threads| document(&folder, &format!("{words} --threads {threads}")) == first));
}
