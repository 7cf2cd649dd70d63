//! Formats, numbers in strings, comparisons, checksums of memory, reading of memory.

use std::sync::Mutex;

use super::*;

/// What `bpf_snprintf` gives and writes. Strings and addresses are at the start of the data.
fn snprintf(format: &str, arguments: &[u64], size: u64) -> (i64, Vec<u8>) {
    snprintf_bytes(format.as_bytes(), arguments, size)
}

fn snprintf_bytes(format: &[u8], arguments: &[u64], size: u64) -> (i64, Vec<u8>) {
    let mut data = b"str\0\x0a\0\0\x02".to_vec();
    data.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01]);
    data.resize(256, 0);
    arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
    data.resize(512, 0);
    data.extend(format);
    let arguments = [Data(1024), N(size), Data(512), Data(256), N(8 * arguments.len() as u64)];
    let outcome = Script::new().data(&data).call("snprintf", &arguments).run();
    let len = outcome.results[0].clamp(0, size as i64) as usize;
    (outcome.results[0], outcome.data[1024..1024 + len].to_vec())
}

fn printed(format: &str, arguments: &[i64]) -> Option<String> {
    let arguments: Vec<u64> = arguments.iter().map(|argument| argument.cast_unsigned()).collect();
    let (len, text) = snprintf(format, &arguments, 512);
    if len < 0 {
        assert_eq!(len, -22, "{format}");
        return None;
    }
    let (end, text) = text.split_last().unwrap();
    assert_eq!((*end, text.len() as i64), (0, len - 1), "{format}");
    Some(String::from_utf8_lossy(text).into_owned())
}

#[test]
fn formats_print_what_the_kernel_prints() {
    let at = |offset| data_address(offset).cast_signed();
    let table: &[(&str, &[i64], &str)] = &[
        ("%d %i %u", &[-1, -2, -3], "-1 -2 4294967293"),
        ("%ld %lu %lld", &[-1, -1, -5], "-1 18446744073709551615 -5"),
        ("%x %X %lx %llX", &[255, 0xabcdef, -1, 0xabc], "ff ABCDEF ffffffffffffffff ABC"),
        ("[%5d|%-5d|%05d|%+d|% d]", &[42; 5], "[   42|42   |00042|+42| 42]"),
        ("[%05d|%+05d|% 5d]", &[-42, 42, 42], "[-0042|+0042|   42]"),
        ("%-05d|%0-5d|%+ d", &[3, 3, 3], "3    |3    |+3"),
        ("%c%c%3c|%-3c|", &[65, 66, 67, 68], "AB  C|D  |"),
        ("%px|%10px|%-20px|", &[1, 2, 3], "0000000000000001|         2|3                   |"),
        ("%p %p", &[0, -1], "0000000000000000 ffffffffffffffff"),
        ("%s,%s", &[at(0), 0], "str,"),
        ("%6s|%-6s|%pks %pus", &[at(0); 4], "   str|str   |str str"),
        ("%pI4 %pi4", &[at(4), at(4)], "10.0.0.2 010.000.000.002"),
        ("%pI6", &[at(8)], "fe80:0000:0000:0000:0000:0000:0000:0001"),
        ("%pi6x", &[at(8)], "fe800000000000000000000000000001"),
        ("%pI4h|%pI4", &[at(4), 1], "10.0.0.2|0.0.0.0"),
        ("%ps|%pS|%pB", &[0x123456, 1, 0], "0x123456|0x1|0x0"),
        ("%%|%d%%", &[7], "%|7%"),
        ("%i%%%%", &[4], "4%%"),
        ("café %d", &[3], "café 3"),
        ("tab\tnl\n", &[], "tab\tnl\n"),
        ("%x", &[0x1_ffff_ffff], "ffffffff"),
    ];
    for (format, arguments, text) in table {
        assert_eq!(printed(format, arguments).as_deref(), Some(*text), "{format}");
    }
}

#[test]
fn formats_that_the_kernel_refuses_are_refused() {
    let wrong = [
        "%5.3d", "%#x", "%h", "%hd", "%z", "100%", "%pI5", "%pIx", "%pksx", "%sx", "%pX", "%l", "%lllx", "%d %d",
        "x%5%", "%", "%5", "a\x01b", "%f", "%n",
    ];
    for format in wrong {
        assert_eq!(printed(format, &[1]), None, "{format}");
    }
    assert_eq!(printed("%d", &[]), None);
}

#[test]
fn texts_that_do_not_fit_are_cut_and_their_length_told() {
    assert_eq!(snprintf("hello %d", &[123_456], 5), (13, b"hell\0".to_vec()));
    assert_eq!(snprintf("hello", &[], 1), (6, b"\0".to_vec()));
    assert_eq!(snprintf("hello", &[], 0), (6, vec![]));
    assert_eq!(snprintf("%d", &[1; 13], 9).0, -22);
    let (len, text) = snprintf("%30000d", &[1], 1024);
    assert_eq!((len, text.iter().filter(|byte| **byte == b' ').count()), (30_001, 1023));
    // A number of arguments that is no number of whole words.
    let odd = Script::new().call("snprintf", &[Data(8), N(8), Data(0), Data(16), N(9)]).run();
    assert_eq!(odd.results, [-22]);
}

#[test]
fn traces_go_to_the_host() {
    let seen = Arc::new(Mutex::new(String::new()));
    let sink = seen.clone();
    let host = Host::new().on_print(move |text| sink.lock().unwrap().push_str(text));
    let mut data = b"a=%d b=%lx c=%s\n\0".to_vec();
    data.resize(32, 0);
    data.extend(b"there\0");
    data.resize(64, 0);
    data.extend([9u64, 8].map(u64::to_ne_bytes).concat());
    let outcome = Script::new()
        .host(host)
        .data(&data)
        .call("trace_printk", &[Data(0), N(17), N(7), N(0xabc), Data(32)])
        .call("trace_printk", &[Data(0), N(16), N(7), N(0xabc), Data(32)])
        .call("trace_vprintk", &[Data(0), N(17), Data(64), N(16)])
        .call("trace_vprintk", &[Data(32), N(6), N(0), N(0)])
        .call("trace_vprintk", &[Data(32), N(6), N(0), N(8)])
        .run();
    assert_eq!(outcome.results, [18, -22, -22, 5, -22]);
    assert_eq!(*seen.lock().unwrap(), "a=7 b=abc c=there\nthere");
}

fn convert(name: &str, text: &[u8], flags: u64) -> (i64, i64) {
    let mut data = text.to_vec();
    data.resize(256, 0);
    data.extend([0x55; 8]);
    let len = text.len().max(1) as u64;
    let outcome = Script::new().data(&data).call(name, &[Data(0), N(len), N(flags), Data(256)]).run();
    (outcome.results[0], i64::from_ne_bytes(outcome.data[256..264].try_into().unwrap()))
}

#[test]
fn numbers_in_strings_are_read_as_the_kernel_reads_them() {
    let blank = [vec![b' '; 70], b"12".to_vec()].concat();
    let table: &[(&[u8], u64, (i64, i64))] = &[
        (b"123", 0, (3, 123)),
        (b"  -42xyz", 10, (5, -42)),
        (b"0x1f", 0, (4, 31)),
        (b"0x1f", 16, (4, 31)),
        (b"0x", 16, (-22, 0)),
        (b"0x", 0, (1, 0)),
        (b"0xg", 0, (1, 0)),
        (b"017", 0, (3, 15)),
        (b"08", 0, (1, 0)),
        (b"-", 10, (-22, 0)),
        (b"", 10, (-22, 0)),
        (b"9223372036854775807", 10, (19, i64::MAX)),
        (b"9223372036854775808", 10, (-34, 0)),
        (b"-9223372036854775808", 10, (20, i64::MIN)),
        (b"-9223372036854775809", 10, (-34, 0)),
        (b"99999999999999999999999", 10, (-34, 0)),
        (b"+5", 10, (-22, 0)),
        (b"7", 7, (-22, 0)),
        (b"7", 32, (-22, 0)),
        (b"7", 1 << 32, (-22, 0)),
        (b"ffg", 16, (2, 255)),
        (b"\xa05", 10, (2, 5)),
        (&blank, 10, (72, 12)),
        (&[b'1'; 70], 10, (-34, 0)),
        (&[b'0'; 70], 10, (63, 0)),
        (b"- 5", 10, (-22, 0)),
        (b"-0x10", 0, (5, -16)),
        (b"12\x0034", 10, (2, 12)),
    ];
    for (text, flags, expected) in table {
        assert_eq!(convert("strtol", text, *flags), *expected, "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(convert("strtoul", b"-1", 10), (-22, 0));
    assert_eq!(convert("strtoul", b"18446744073709551615", 10), (20, -1));
    assert_eq!(convert("strtoul", b"18446744073709551616", 10), (-34, 0));
}

#[test]
fn strings_are_compared_by_bytes() {
    let compare = |first: &[u8], second: &[u8], len| {
        let mut data = first.to_vec();
        data.resize(64, 0);
        data.extend(second);
        Script::new().data(&data).call("strncmp", &[Data(0), N(len), Data(64)]).run().results[0]
    };
    assert_eq!(compare(b"abc", b"abc", 3), 0);
    assert_eq!(compare(b"abd", b"abc", 3), 1);
    assert_eq!(compare(b"abb", b"abc", 3), -1);
    assert_eq!(compare(b"ab\0zz", b"ab", 5), 0);
    assert_eq!(compare(b"\xff", b"a", 1), 1);
    assert_eq!(compare(b"ab", b"abc", 2), 0);
    assert_eq!(compare(b"", b"x", 4), -1);
}

#[test]
fn differences_of_checksums_are_the_kernels() {
    // The kernel's answers are those of a little-endian one.
    if cfg!(target_endian = "big") {
        return;
    }
    let difference = |from: &[u8], to: &[u8], seed| {
        let mut data = from.to_vec();
        data.resize(64, 0);
        data.extend(to);
        let arguments = [Data(0), N(from.len() as u64), Data(64), N(to.len() as u64), N(seed)];
        Script::new().data(&data).call("csum_diff", &arguments).run().results[0]
    };
    assert_eq!(difference(&[1, 2, 3, 4], &[5, 6, 7, 8], 0), 0x808);
    assert_eq!(difference(&[], &[0xff; 4], 0), 0xffff);
    assert_eq!(difference(&[0xff; 4], &[], 0), 0);
    assert_eq!(difference(&[], &[], 0x1234_5678), 0x68ac);
    assert_eq!(difference(&[1, 2, 3, 4], &[], 0x1234), 0xc30);
    assert_eq!(difference(&[], &[1, 2, 3, 4], 0xffff_ffff), 0x604);
    assert_eq!(difference(&[1, 2, 3, 4, 5, 6, 7, 8], &[5, 6, 7, 8], 7), 0xfa02);
    assert_eq!(difference(&[1, 2, 3, 4], &[1, 2, 3, 4], 0), 0xffff);
    assert_eq!(difference(&[], &[0; 4], 0), 0);
    assert_eq!(difference(&[1, 2, 3], &[], 0), -22);
}

#[test]
fn memory_that_is_not_there_reads_as_zeros_and_an_error() {
    let mut data = vec![0xee; 64];
    data.extend(b"hello\0\0\0");
    let outcome = Script::new()
        .data(&data)
        .call("probe_read_kernel", &[Data(0), N(8), N(0)])
        .call("probe_read_user", &[Data(8), N(4), Data(64)])
        .call("probe_read_kernel_str", &[Data(16), N(8), N(u64::MAX)])
        .call("probe_read_kernel_str", &[Data(24), N(4), Data(64)])
        .call("probe_read_user_str", &[Data(32), N(8), Data(64)])
        .call("probe_read_str", &[Data(48), N(0), Data(64)])
        .call("copy_from_user", &[Data(40), N(3), N(8)])
        .call("copy_from_user_task", &[Data(56), N(3), Data(64), N(0), N(1)])
        .call("probe_read", &[Data(50), N(0), N(0)])
        .run();
    assert_eq!(outcome.results, [-14, 0, -14, 4, 6, 0, -14, -22, 0]);
    assert_eq!(outcome.data[..12], *b"\0\0\0\0\0\0\0\0hell");
    assert_eq!(outcome.data[16..28], *b"\0\0\0\0\0\0\0\0hel\0");
    assert_eq!(outcome.data[32..44], *b"hello\0\xee\xee\0\0\0\xee");
    // Where the result would go has to be the program's own.
    assert!(Script::new().call("probe_read", &[N(8), N(8), Data(0)]).try_run(&mut NoContext).is_err());
}

#[test]
fn tasks_and_clocks_are_the_hosts() {
    let host = || {
        let mut host = Host::new().seed(1);
        host.clock = super::super::Clock::frozen(12_345_678_901);
        host.task = super::super::Task { pid: 7, tgid: 5, uid: 1000, gid: 100, comm: "a long command name".into() };
        host.cgroups = vec![1, 20, 300];
        host
    };
    let script = Script::new()
        .host(host())
        .data(&[0xee; 64])
        .call("ktime_get_ns", &[])
        .call("ktime_get_boot_ns", &[])
        .call("ktime_get_coarse_ns", &[])
        .call("ktime_get_tai_ns", &[])
        .call("jiffies64", &[])
        .call("get_current_pid_tgid", &[])
        .call("get_current_uid_gid", &[])
        .call("get_current_cgroup_id", &[])
        .call("get_current_ancestor_cgroup_id", &[N(1)])
        .call("get_current_ancestor_cgroup_id", &[N(3)])
        .call("get_current_ancestor_cgroup_id", &[N(u64::MAX)])
        .call("get_current_comm", &[Data(0), N(16)])
        .call("get_current_comm", &[Data(16), N(4)])
        .call("get_current_comm", &[Data(20), N(40)])
        .call("get_smp_processor_id", &[])
        .call("get_numa_node_id", &[])
        .call("per_cpu_ptr", &[Data(0), N(0)])
        .call("per_cpu_ptr", &[Data(0), N(1)])
        .call("get_ns_current_pid_tgid", &[N(1), N(2), Data(60), N(2)])
        .call("this_cpu_ptr", &[Data(8)])
        .call("skb_cgroup_classid", &[N(0)])
        .call("snprintf_btf", &[Data(100), N(4), Data(0), N(16), N(0)]);
    let outcome = script.run();
    let base = 12_345_678_901;
    assert_eq!(outcome.results[..5], [base, base, 12_344_000_000, base, 3086]);
    assert_eq!(outcome.results[5..8], [5 << 32 | 7, 100 << 32 | 1000, 300]);
    assert_eq!(outcome.results[8..16], [20, 0, 0, 0, 0, 0, 0, 0]);
    let data = |offset| data_address(offset).cast_signed();
    assert_eq!(outcome.results[16..], [data(0), 0, -22, data(8), 0, -95]);
    assert_eq!(outcome.data[..20], *b"a long command \0a l\0");
    assert_eq!(outcome.data[20..64], *b"a long command \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xee\xee");
    let random = || Script::new().host(host()).call("get_prandom_u32", &[]).call("get_prandom_u32", &[]).run().results;
    assert_eq!(random(), random());
    assert!(random()[0] != random()[1] && random().iter().all(|word| (0..1 << 32).contains(word)));
}
