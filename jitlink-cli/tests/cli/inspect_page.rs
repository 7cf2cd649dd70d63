//! The page of `jitlink inspect --format html`, opened in a real browser.
//!
//! What is shown is in the fragment of the page's address, so a fragment does what a reader would do with clicks.

use super::inspect::FAR;
use super::support::{Folder, find};
use std::path::Path;
use std::process::Command;

/// The page that a browser makes of FOLDER/page.html once its scripts have run, as text.
fn open(browser: &Path, folder: &Folder, fragment: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--virtual-time-budget=10000", "--window-size=1400,900"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#{fragment}", folder.path("page.html").display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).unwrap();
    // Everything that the scripts do after an error of theirs would be missing.
    assert!(page.contains("data-ready=\"yes\""), "the scripts of #{fragment} failed:\n{}", without_data(&page));
    page
}

/// The page without the data and the scripts that it began as.
fn without_data(page: &str) -> String {
    let (head, tail) = page.split_once("<script type=").unwrap_or((page, ""));
    format!("{head}{}", tail.rsplit_once("</script>").map_or("", |(_, rest)| rest))
}

/// The part of a page from one mark to the next.
fn part<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from} in the page:\n{page}"));
    let rest = &page[start..];
    &rest[..rest[from.len()..].find(to).map_or(rest.len(), |end| end + from.len())]
}

fn write_page(folder: &Folder, words: &str, status: i32) {
    let outcome = folder.jitlink(&format!("inspect {words} --format html -o page.html"));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (status, ""), "{}", outcome.stderr);
}

#[test]
fn the_page_stands_alone() {
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    write_page(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"), 0);
    let page = String::from_utf8(folder.read("page.html")).unwrap();
    for outside in ["src=", "<link", "http-equiv=\"refresh\"", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    // The one address in it is the name of a vocabulary, which nothing loads.
    assert_eq!(page.matches("://").count(), page.matches("http://www.w3.org/2000/svg").count());
    assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none';"));
    assert_eq!(page.matches("</script").count(), 2, "names cannot end the element that holds them");
}

#[test]
fn a_symbol_is_looked_at_closely() {
    let Some(browser) = find(&["chromium"]) else { return };
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    write_page(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"), 0);

    let page = without_data(&open(&browser, &folder, "symbol=helper"));
    let details = part(&page, "<aside", "</aside>");
    assert!(details.contains("<h2>helper</h2>") && details.contains("<code>0x10000030</code>"), "{details}");
    let why = part(details, "<section id=\"why\"", "</section>");
    for step in ["is a root: --entry names main", "through R_X86_64_PLT32 at .text.main+0x1", "at .text.kept+0x1"] {
        assert!(why.contains(step), "{step}: {why}");
    }
    assert!(part(details, "<section id=\"bytes\"", "</section>").contains("c3"), "{details}");
    assert!(details.contains("Referred to by (1)"), "{details}");
    assert_eq!(page.matches("<canvas").count(), 3, "a lane a segment");

    let outside = without_data(&open(&browser, &folder, "symbol=outside"));
    let made = part(&outside, "<section id=\"made\"", "</section>");
    assert!(
        made.contains("stub at ") && made.contains("0x10000040") && made.contains("it is outside the batch"),
        "{made}"
    );

    let main = without_data(&open(&browser, &folder, "symbol=main"));
    let edges = part(&main, "Refers to (7)", "</table>");
    assert!(edges.contains("relaxed: it is in the batch") && edges.contains("stub: it is outside"), "{edges}");
}

#[test]
fn the_page_shows_what_was_there_before() {
    let Some(browser) = find(&["chromium"]) else { return };
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    write_page(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"), 0);

    let page = without_data(&open(&browser, &folder, "stage=before&symbol=unused"));
    assert!(page.contains("data-stage=\"before\""));
    assert_eq!(page.matches("<canvas").count(), 2, "a lane an object");
    assert!(page.contains("pruned: nothing live needs it"));

    let after = without_data(&open(&browser, &folder, "symbol=unused"));
    assert!(after.contains("Show it before the link"));
}

#[test]
fn the_graph_greys_what_is_not_in_the_link() {
    let Some(browser) = find(&["chromium"]) else { return };
    let folder = Folder::with(&["reasons.o", "reasons_more.o"]);
    write_page(&folder, &format!("reasons.o reasons_more.o --entry main {FAR}"), 0);

    let before = without_data(&open(&browser, &folder, "view=graph&stage=before&symbol=kept"));
    let boxes = |page: &str, class: &str| page.matches(&format!("<g class=\"node{class}")).count();
    assert_eq!((boxes(&before, " gone"), boxes(&before, " root")), (6, 1), "{before}");
    assert!(before.contains("class=\"node on near\"") && before.contains("not in the link"));
    let after = without_data(&open(&browser, &folder, "view=graph"));
    assert_eq!(boxes(&after, " gone"), 0);
    // kept, helper, copied, gives_way, two of its callees, shared, pool, stubs, slots and two names from outside.
    assert_eq!(boxes(&after, "\"") + boxes(&after, " "), 13, "{after}");
}

#[test]
fn names_do_no_harm() {
    let Some(browser) = find(&["chromium"]) else { return };
    let folder = Folder::with(&["reasons_more.o"]);
    write_page(&folder, "reasons_more.o", 0);
    let name = "%3C%2Fscript%3E%3Cscript%3Edocument.title%3D'owned'%3C%2Fscript%3E";
    for view in ["map", "graph"] {
        let page = without_data(&open(&browser, &folder, &format!("view={view}&symbol={name}")));
        assert!(page.contains("<title>reasons_more.o – jitlink inspect</title>"), "{page}");
        assert!(page.contains("<h2>&lt;/script&gt;&lt;script&gt;document.title='owned'&lt;/script&gt;</h2>"), "{page}");
        assert!(page.contains("<span class=\"name\">quote\"mark]; -&gt; &lt;b&gt;</span>"), "{page}");
    }
}

#[test]
fn a_link_that_failed_opens_with_its_errors() {
    let Some(browser) = find(&["chromium"]) else { return };
    let folder = Folder::with(&["undefined.o"]);
    write_page(&folder, "undefined.o", 1);
    let page = without_data(&open(&browser, &folder, ""));
    assert!(page.contains("missing_data is not defined") && page.contains("data-stage=\"before\""), "{page}");
    assert!(part(&page, "<button data-stage=\"after\"", "</button>").contains("disabled"));
}

#[test]
fn large_links_open() {
    let Some(browser) = find(&["chromium"]) else { return };
    let Some(compiler) = find(&["gcc"]) else { return };
    let folder = Folder::new();
    let function = |index: usize| {
        let next = (index + 1) % 12_000;
        format!(".section .text.f{index},\"ax\",@progbits\n.globl f{index}\nf{index}: call f{next}\nret\n")
    };
    folder.write("large.s", (0..12_000).map(function).collect::<String>());
    folder.tool(&compiler, "-c large.s -o large.o");
    write_page(&folder, "large.o --entry f0", 0);
    let map = without_data(&open(&browser, &folder, "symbol=f11999"));
    assert!(map.contains("<h2>f11999</h2>") && map.contains("The first 200 of 12,000"));
    let graph = without_data(&open(&browser, &folder, "view=graph"));
    assert!(graph.contains("Drawn a box for each object, because there are 12,"), "{graph}");
}
