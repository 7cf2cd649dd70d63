//! `jitlink bpf`, and `jitlink run` on BPF objects. Nothing here needs a compiler, root or a kernel.

use super::support::{Outcome, jitlink};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn packets(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("examples/packets").join(name).to_str().unwrap().to_owned()
}

fn gate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("jitlink/tests/fixtures/gate.bpf.o").to_str().unwrap().to_owned()
}

fn ran(arguments: &[&str]) -> Outcome {
    Outcome::of(&mut jitlink(arguments))
}

fn json(arguments: &[&str]) -> Value {
    let outcome = ran(&[arguments, &["--format", "json"]].concat());
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{}", outcome.stdout);
    serde_json::from_str(&outcome.stdout).unwrap()
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn with(name: &str, bytes: &[u8]) -> (Scratch, String) {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (Scratch(folder), path.to_str().unwrap().to_owned())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_capture_goes_through_a_program() {
    let (program, capture) = (packets("traffic.bpf.o"), packets("capture.pcap"));
    let shown = json(&["bpf", "run", &program, "--pcap", &capture]);
    let verdict = |value, name, count| json!({ "value": value, "name": name, "count": count });
    let expected = [verdict(0, "XDP_ABORTED", 2), verdict(1, "XDP_DROP", 2), verdict(2, "XDP_PASS", 21)];
    assert_eq!((shown["runs"].clone(), shown["verdicts"].clone()), (json!(25), json!(expected)));
    assert_eq!(shown["printed"][1], "packet 25 is cut off after 24 bytes");
    let services = shown["maps"].as_array().unwrap().iter().find(|map| map["name"] == "services").unwrap();
    let telnet = json!({
        "key": { "protocol": 6, "reserved": 0, "port": 23 },
        "value": { "packets": 2, "bytes": 117, "last": "DROPPED" },
    });
    assert!(services["entries"].as_array().unwrap().contains(&telnet), "{services:#}");
}

#[test]
fn the_readme_shows_what_the_example_prints() {
    let outcome = ran(&["bpf", "run", &packets("traffic.bpf.o"), "--pcap", &packets("capture.pcap")]);
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    assert!(readme.contains(outcome.stdout.trim_end()), "{}", outcome.stdout);
}

#[test]
fn what_a_program_sends_is_shown() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/send.bpf.o");
    let send = ["bpf", "run", fixture.to_str().unwrap(), "--pcap", &packets("capture.pcap"), "--entries", "1"];
    let outcome = ran(&[&send[..], &["--record", "events=event", "--record", "samples=struct event"]].concat());
    let sent = "\n  number  name\n       1  \"packet\"\n  … and 24 more";
    for (map, expected) in [("events (ringbuf", sent), ("samples (perf_event_array", sent)] {
        assert!(outcome.stdout.contains(&format!("{map}, 25 sent){expected}")), "{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("waiting (queue, 2 of 2)\n  number  name\n"), "{}", outcome.stdout);
    let shown = json(&send);
    let of = |name: &str| shown["maps"].as_array().unwrap().iter().find(|map| map["name"] == name).unwrap().clone();
    let expected = json!({
        "name": "events", "type": "ringbuf", "max_entries": 4096, "records": ["010000007061636b65740000"], "more": 24, "lost": 0,
    });
    assert_eq!(of("events"), expected);
    assert_eq!(of("waiting")["entries"], json!([{ "value": { "number": 1, "name": "packet" } }]));
    for (record, message) in
        [("events=none", "the objects have no type none"), ("waiting=event", "waiting, which --record")]
    {
        let outcome = ran(&[&send[..], &["--record", record]].concat());
        assert!(outcome.status == 1 && outcome.stderr.contains(message), "{}", outcome.stderr);
    }
}

#[test]
fn the_kernel_sends_what_the_machine_sends() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/send.bpf.o");
    let capture = packets("capture.pcap");
    let send = ["bpf", "run", fixture.to_str().unwrap(), "--pcap", &capture, "--record", "events=event"];
    let outcome = ran(&[&send[..], &["--kernel", "--format", "json"]].concat());
    if outcome.status != 0 {
        // Machines without root or without BPF say so.
        assert!(outcome.stderr.contains("error[kernel]") || outcome.stderr.contains("kernel"), "{}", outcome.stderr);
        return println!("skipped: {}", outcome.stderr);
    }
    let kernel: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let machine = json(&send);
    let of = |shown: &Value, name: &str| {
        shown["maps"].as_array().unwrap().iter().find(|map| map["name"] == name).unwrap().clone()
    };
    assert_eq!((of(&kernel, "events"), &kernel["verdicts"]), (of(&machine, "events"), &machine["verdicts"]));
    assert_eq!(of(&kernel, "events")["records"].as_array().unwrap().len(), 25);
    assert_eq!(
        (of(&kernel, "waiting"), of(&kernel, "waiting")["entries"].as_array().unwrap().len()),
        (of(&machine, "waiting"), 2)
    );
}

#[test]
fn captures_that_are_none_are_refused() {
    let (_scratch, short) = Scratch::with("short.pcap", &std::fs::read(packets("capture.pcap")).unwrap()[..1000]);
    let outcome = ran(&["bpf", "run", &gate(), "--pcap", &short]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stderr.contains("it ends within packet 10"), "{}", outcome.stderr);
    let outcome = ran(&["bpf", "run", &gate(), "--pcap", &gate()]);
    assert!(outcome.stderr.contains("this is no capture"), "{}", outcome.stderr);
}

#[test]
fn objects_for_other_machines_are_no_programs() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/program.o");
    for command in ["run", "inspect"] {
        let outcome = ran(&["bpf", command, fixture.to_str().unwrap()]);
        assert_eq!(outcome.status, 1);
        assert!(
            outcome.stderr.contains("program.o is for elf x86-64, little-endian, 64-bit, and only objects for BPF"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn filters_of_system_calls_say_what_becomes_of_a_call() {
    // ld [0]; jeq #39, next, 1 on; ret ERRNO | 13; ret ALLOW
    let (_scratch, filter) = Scratch::with("filter", b"4\n32 0 0 0\n21 0 1 39\n6 0 0 327693\n6 0 0 2147418112\n");
    let mut data = [0; 64];
    data[0] = 39;
    let (_call, call) = Scratch::with("call", &data);
    let (_short, short) = Scratch::with("short", &data[..60]);
    let run = |more: &[&str]| ran(&[&["bpf", "run", "--classic", &filter, "--seccomp"][..], more].concat());
    assert!(run(&["--input", &call]).stdout.contains("1  SECCOMP_RET_ERRNO, 13"));
    assert!(run(&[]).stdout.contains("1  SECCOMP_RET_ALLOW"));
    let outcome = run(&["--input", &short]);
    assert!(outcome.status == 1 && outcome.stderr.contains("64 bytes, and --input has 60"), "{}", outcome.stderr);
}

#[test]
fn bare_instructions_run_on_memory() {
    // r0 = *(u8 *)(r1 + 2); exit
    let (scratch, text) = Scratch::with("load.hex", b"71 10 02 00 00 00 00 00\n95 00 00 00 00 00 00 00\n");
    let run = |path: &str, more: &[&str]| ran(&[&["bpf", "run", "--raw", path][..], more].concat());
    let outcome = run("/dev/null", &[]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stderr.contains("there are no instructions"), "{}", outcome.stderr);
    let outcome = run(&text, &["--memory", "0a0b0c0d"]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "0xc\n"));
    // Bytes of a file, which are no words of a command line.
    std::fs::write(scratch.path("memory"), [0xff, 0xfe, 0x0d, 0]).unwrap();
    let file = format!("@{}", scratch.path("memory"));
    for words in [&["--memory", &file][..], &[&format!("--memory={file}")]] {
        let outcome = run(&text, words);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "0xd\n"), "{}", outcome.stderr);
    }
    let timed = json(&["bpf", "run", "--raw", &text, "--memory", "0a0b0c0d", "--repeat", "3"]);
    assert_eq!(timed["r0"], "0xc");
    assert!(timed["ns_per_run"].as_f64().unwrap() > 0.0 && timed["load_us"].as_f64().unwrap() > 0.0);
    let outcome = run(&text, &["--memory", "0a0b"]);
    assert_eq!(outcome.status, 1);
    assert!(outcome.stderr.contains("error[fault]"), "{}", outcome.stderr);
    std::fs::write(scratch.path("odd"), [0x95, 0, 0]).unwrap();
    assert!(run(&scratch.path("odd"), &[]).stderr.contains("no whole number of instructions"));
}

#[test]
fn filters_of_tcpdump_run_on_captures() {
    // tcp dst port 80 over IPv4
    let filter = "12\n40 0 0 12\n21 0 9 2048\n48 0 0 23\n21 0 7 6\n40 0 0 20\n69 5 0 8191\n177 0 0 14\n72 0 0 16\n\
                  21 0 2 80\n6 0 0 262144\n5 0 0 0\n6 0 0 0\n";
    let (_scratch, filter) = Scratch::with("filter", filter.as_bytes());
    let shown = json(&["bpf", "run", "--classic", &filter, "--pcap", &packets("capture.pcap")]);
    let counts: Vec<&Value> = shown["verdicts"].as_array().unwrap().iter().map(|verdict| &verdict["count"]).collect();
    assert_eq!(counts, [&json!(17), &json!(8)]);
}

#[test]
fn objects_are_shown_with_types_and_code() {
    let shown = json(&["bpf", "inspect", &packets("traffic.bpf.o"), "--code", "--types"]);
    let function = |name: &str| {
        shown["functions"].as_array().unwrap().iter().find(|function| function["name"] == name).unwrap().clone()
    };
    assert_eq!((&function("traffic")["type"], &function("service_of")["program"]), (&json!("xdp"), &json!(false)));
    let code = function("traffic")["code"].clone();
    let targets: Vec<&str> = code.as_array().unwrap().iter().filter_map(|line| line["target"].as_str()).collect();
    for target in ["map services", "bpf_map_lookup_elem", "service_of"] {
        assert!(targets.contains(&target), "{target} is not among {targets:?}");
    }
    let types = shown["types"].to_string();
    assert!(types.contains("struct traffic"), "{types}");
    let text = ran(&["bpf", "inspect", &packets("traffic.bpf.o"), "--code"]).stdout;
    assert!(text.contains("return traffic->last == DROPPED ? XDP_DROP : XDP_PASS;"), "{text}");
}

#[test]
fn one_object_of_two_holds_the_programs_of_both() {
    let (scratch, _) = Scratch::with("nothing", b"");
    let all = scratch.path("all.o");
    let outcome = ran(&["bpf", "link", &packets("traffic.bpf.o"), &gate(), "-o", &all]);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let shown = json(&["bpf", "run", &all, "--program", "gate", "--pcap", &packets("capture.pcap")]);
    assert_eq!(shown["verdicts"][1], json!({ "value": 1, "name": "XDP_DROP", "count": 2 }));
    let outcome = ran(&["bpf", "run", &all]);
    assert!(outcome.stderr.contains("there are several programs: traffic, gate"), "{}", outcome.stderr);
}

#[test]
fn run_sends_bpf_objects_to_the_machine() {
    // Too short a packet: XDP_ABORTED, which is 0; a name that no program has is no matter where there is one program.
    let outcome = ran(&["run", &gate()]);
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "", ""));
}
