//! The tables against the kernel's header where it is installed, and against what it and libbpf say of single rows.

use super::contexts::{Access, Context, ContextError, Field, Meaning, SK_BUFF, XDP_MD};
use super::helpers::{Arg, HELPERS, Helper, Return};
use super::programs::{AttachType, ProgramType, RULES, classify};
use super::{contexts, helpers, maps};

/// The kernel's header, or none with a message.
fn header() -> Option<String> {
    let found = std::fs::read_to_string("/usr/include/linux/bpf.h").ok();
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "linux/bpf.h is not installed");
    if found.is_none() {
        eprintln!("linux/bpf.h is not installed: the tables are not compared with it");
    }
    found
}

/// The names of an enumeration, in order, as far as its numbers are consecutive.
fn names(header: &str, kind: &str) -> Vec<String> {
    let body = header.split_once(&format!("enum {kind} {{")).unwrap().1.split_once("};").unwrap().0;
    let (mut code, mut rest) = (String::new(), body);
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").unwrap().1;
    }
    code.push_str(rest);
    let entries = code.split(',').map(str::trim).filter(|name| !name.is_empty() && !name.starts_with("__"));
    entries.filter(|name| !name.contains('=')).map(str::to_owned).collect()
}

#[test]
fn helpers_have_the_numbers_and_names_of_the_header() {
    assert_eq!(HELPERS.len(), 211);
    assert!(HELPERS.iter().zip(1..).all(|(helper, number)| helper.number == number));
    let Some(header) = header() else { return };
    let mut found = 0;
    for line in header.lines() {
        // Old headers count the lines, new ones write the number beside the name.
        let Some((name, rest)) = line.trim().strip_prefix("FN(").and_then(|rest| rest.split_once([',', ')'])) else {
            continue;
        };
        if name == "unspec" {
            continue;
        }
        found += 1;
        let number = rest.split(',').next().and_then(|number| number.trim().parse().ok()).unwrap_or(found);
        assert_eq!(helpers::by_number(number).map(|helper| helper.name), Some(name));
        assert_eq!(helpers::by_name(&format!("bpf_{name}")).map(|helper| helper.number), Some(number));
    }
    assert!(found > 200, "{found}");
}

#[test]
fn kinds_have_the_numbers_and_names_of_the_header() {
    let Some(header) = header() else { return };
    let programs = names(&header, "bpf_prog_type");
    for (number, name) in programs.iter().enumerate().skip(1) {
        let kind = ProgramType::from_number(number as u32).unwrap();
        assert_eq!(
            (kind.number(), format!("BPF_PROG_TYPE_{}", kind.name().to_uppercase())),
            (number as u32, name.clone())
        );
    }
    for (number, name) in names(&header, "bpf_attach_type").iter().enumerate() {
        assert_eq!(AttachType::from_name(name), Some(AttachType(number as u32)), "{name}");
    }
    for (number, name) in names(&header, "bpf_map_type").iter().enumerate().skip(1) {
        // Later headers call two of them deprecated.
        let name = name.trim_end_matches("_DEPRECATED");
        assert_eq!(maps::by_name(name).map(|kind| kind.number), Some(number as u32), "{name}");
        assert_eq!(maps::by_number(number as u32).map(|kind| kind.number), Some(number as u32));
    }
    assert_eq!((maps::by_number(0), ProgramType::from_number(0), helpers::by_number(0)), (None, None, None));
    assert_eq!((maps::by_number(36), ProgramType::from_number(33), helpers::by_number(212)), (None, None, None));
}

#[test]
fn sizes_follow_memory_and_maps_come_before_keys() {
    for Helper { name, args, returns, .. } in HELPERS {
        let memory =
            |arg: &Arg| matches!(arg, Arg::Read | Arg::ReadOrNull | Arg::Write | Arg::WriteOrNull | Arg::Uninit);
        for (i, arg) in args.iter().enumerate() {
            let sized = args.get(i + 1).is_some_and(|next| matches!(next, Arg::Size | Arg::SizeOrZero));
            assert_eq!(memory(arg), sized, "{name}");
            let element = matches!(arg, Arg::MapKey | Arg::MapValue | Arg::UninitMapValue | Arg::MapValueOrNull);
            assert!(!element || args[..i].contains(&Arg::Map), "{name}");
        }
        assert!(args.len() <= 5, "{name}");
        let of_map = matches!(returns, Return::MapValue | Return::MapValueOrNull);
        assert!(!of_map || args.contains(&Arg::Map), "{name}");
        let sized = matches!(returns, Return::RecordOrNull | Return::SliceOrNull);
        assert_eq!(sized, args.contains(&Arg::AllocSize), "{name}");
    }
}

#[test]
fn single_helpers_are_as_the_kernel_has_them() {
    let store = helpers::by_name("skb_store_bytes").unwrap();
    assert_eq!(store.args, [Arg::Context, Arg::Any, Arg::Read, Arg::Size, Arg::Any]);
    assert!(store.has(Helper::PACKET) && !store.has(Helper::GPL));
    assert!(store.programs.has(ProgramType::SchedCls) && !store.programs.has(ProgramType::SocketFilter));
    let sleeping = helpers::by_name("bpf_copy_from_user").unwrap();
    assert!(sleeping.has(Helper::SLEEPS) && sleeping.since == (5, 10));
    assert!(helpers::by_name("bpf_trace_printk").unwrap().has(Helper::GPL));
    assert!(helpers::by_name("sk_lookup_udp").unwrap().has(Helper::ACQUIRES));
    assert!(helpers::by_name("sk_release").unwrap().has(Helper::RELEASES));
    assert_eq!(helpers::by_name("bpf_nothing"), None);
}

#[test]
fn sections_say_what_their_programs_are() {
    let kind = |name| {
        let section = classify(name)?;
        Some((section.rule.program.name(), section.rule.attach?.name()?, section.target))
    };
    assert_eq!(kind("xdp"), Some(("xdp", "xdp", None)));
    assert_eq!(kind("xdp/devmap"), Some(("xdp", "xdp_devmap", None)));
    assert_eq!(kind("tcx/ingress"), Some(("sched_cls", "tcx_ingress", None)));
    assert_eq!(kind("tc/egress"), Some(("sched_cls", "tcx_egress", None)));
    assert_eq!(kind("cgroup_skb/egress"), Some(("cgroup_skb", "cgroup_inet_egress", None)));
    assert_eq!(kind("fentry/tcp_sendmsg"), Some(("tracing", "trace_fentry", Some("tcp_sendmsg"))));
    assert_eq!(kind("sockops"), Some(("sock_ops", "cgroup_sock_ops", None)));
    assert_eq!(kind("netfilter"), Some(("netfilter", "netfilter", None)));
    assert_eq!(kind("sk_skb/stream_parser"), Some(("sk_skb", "sk_skb_stream_parser", None)));
    assert_eq!(kind("uprobe.multi/a:b"), Some(("kprobe", "trace_uprobe_multi", Some("a:b"))));

    let plain = |name| classify(name).map(|section| (section.rule.program.name(), section.target));
    assert_eq!(plain("tracepoint/syscalls/sys_enter_open"), Some(("tracepoint", Some("syscalls/sys_enter_open"))));
    assert_eq!(plain("tp/a/b"), Some(("tracepoint", Some("a/b"))));
    assert_eq!(plain("kprobe/"), Some(("kprobe", Some(""))));
    assert_eq!(plain("kprobe"), Some(("kprobe", None)));
    assert_eq!(plain("raw_tp.w/x"), Some(("raw_tracepoint_writable", Some("x"))));
    assert_eq!(plain("struct_ops.s/init"), Some(("struct_ops", Some("init"))));
    assert_eq!(plain("freplace/f"), Some(("ext", Some("f"))));
    for wrong in
        ["xdp_drop", "xdp/", "xdp/x", "socket1", "tc/x", "kprobes", "kprobe.s/f", ".text", "", "?", "??xdp", "xdp.s"]
    {
        assert_eq!(classify(wrong), None, "{wrong}");
    }
}

#[test]
fn sections_say_what_is_special_to_a_program() {
    let sleepable = |name| classify(name).map(|section| section.sleepable);
    assert_eq!(sleepable("fentry.s/f"), Some(true));
    assert_eq!(sleepable("fentry/f"), Some(false));
    assert_eq!(sleepable("uprobe.multi.s/f"), Some(true));
    assert_eq!(sleepable("syscall"), Some(true));
    let asked = classify("?xdp.frags").unwrap();
    assert!(!asked.autoload && asked.rule.frags() && !asked.rule.attach_is_optional());
    assert!(classify("xdp").unwrap().autoload && classify("xdp").unwrap().rule.attach_is_optional());
    let prefix = |name| classify(name).unwrap().rule.btf_prefix();
    assert_eq!(prefix("lsm/file_open"), Some("bpf_lsm_"));
    assert_eq!(prefix("lsm_cgroup/x"), Some("bpf_lsm_"));
    assert_eq!(prefix("tp_btf/sched_switch"), Some("btf_trace_"));
    assert_eq!(prefix("iter.s/task"), Some("bpf_iter_"));
    assert_eq!(prefix("fexit/f"), Some(""));
    assert_eq!(prefix("freplace/f"), Some(""));
    assert_eq!(prefix("kprobe/f"), None);
}

#[test]
fn each_rule_fits_its_own_name_and_no_other() {
    for rule in RULES {
        assert_eq!(classify(rule.name).map(|section| section.rule), Some(rule));
        let same = RULES.iter().filter(|other| other.name == rule.name).count();
        assert_eq!(same, 1, "{}", rule.name);
        assert!(rule.attach.is_none_or(|attach| attach.name().is_some()), "{}", rule.name);
    }
}

#[test]
fn contexts_have_the_layout_of_the_header() {
    for context in [&XDP_MD, &SK_BUFF] {
        let copy = Context::custom(context.name(), context.size(), context.fields().to_vec()).unwrap();
        assert_eq!(&copy, context);
    }
    assert_eq!(SK_BUFF.fields().last().map(|field| (field.offset, field.size)), Some((184, 8)));
    assert_eq!(contexts::of(ProgramType::Xdp).map(Context::name), Some("xdp_md"));
    assert_eq!(contexts::of(ProgramType::SocketFilter).map(Context::name), Some("__sk_buff"));
    assert_eq!(contexts::of(ProgramType::Syscall), None);
}

#[test]
fn access_to_contexts_is_what_the_kernel_allows() {
    use Access::{Read, Write};
    use ProgramType::{CgroupSkb, FlowDissector, SchedCls, SkSkb, SocketFilter, Xdp};
    let ok = |program, access, offset, size| {
        contexts::of(program).unwrap().access(program, access, offset, size).map(|field| field.name.to_string()).ok()
    };
    assert_eq!(ok(Xdp, Read, 0, 4).as_deref(), Some("data"));
    assert_eq!(ok(Xdp, Read, 0, 8), None);
    assert_eq!(ok(Xdp, Read, 12, 2), None);
    assert_eq!(ok(Xdp, Write, 16, 4), None);
    assert_eq!(ok(Xdp, Read, 24, 4), None);
    assert_eq!(ok(SocketFilter, Read, 76, 4), None);
    assert_eq!(ok(SocketFilter, Read, 8, 4).as_deref(), Some("mark"));
    assert_eq!(ok(SocketFilter, Write, 8, 4), None);
    assert_eq!(ok(SocketFilter, Write, 56, 8).as_deref(), Some("cb"));
    assert_eq!(ok(SocketFilter, Write, 52, 8), None);
    assert_eq!(ok(SchedCls, Write, 8, 4).as_deref(), Some("mark"));
    assert_eq!(ok(SchedCls, Write, 8, 2), None);
    assert_eq!(ok(SchedCls, Read, 10, 2).as_deref(), Some("mark"));
    assert_eq!(ok(SchedCls, Read, 9, 2), None);
    assert_eq!(ok(SchedCls, Read, 152, 8).as_deref(), Some("tstamp"));
    assert_eq!(ok(SchedCls, Read, 152, 4), None);
    assert_eq!(ok(SchedCls, Read, 181, 1), None);
    assert_eq!(ok(CgroupSkb, Read, 104, 4).as_deref(), Some("remote_ip6"));
    assert_eq!(ok(CgroupSkb, Read, 104, 8), None);
    assert_eq!(ok(SkSkb, Read, 8, 4), None);
    assert_eq!(ok(FlowDissector, Read, 0, 4), None);
    assert_eq!(ok(FlowDissector, Read, 144, 8).as_deref(), Some("flow_keys"));
    for offset in [-1, -4, 1 << 40, i64::MAX, i64::MIN] {
        assert!(SK_BUFF.access(SchedCls, Read, offset, 4).is_err());
    }
    let error = SK_BUFF.access(SocketFilter, Write, 8, 4).unwrap_err();
    assert_eq!(error.to_string(), "socket_filter programs cannot write 4 bytes at 8 of __sk_buff: field mark");
}

#[test]
fn contexts_of_ones_own_are_checked() {
    let program = ProgramType::Syscall;
    let fields = vec![Field::new("b", 8, 8, Meaning::Number).writable(), Field::new("a", 0, 4, Meaning::Number)];
    let own = Context::custom("own", 16, fields).unwrap();
    assert_eq!(own.access(program, Access::Write, 8, 8).unwrap().name, "b");
    assert!(own.access(program, Access::Write, 0, 4).is_err());
    assert!(own.access(program, Access::Read, 4, 4).is_err());
    let outside = Context::custom("own", 4, vec![Field::new("a", 2, u32::MAX, Meaning::Bytes)]).unwrap_err();
    assert!(matches!(outside, ContextError::Outside { offset: 2, limit: 4, .. }));
    let shared = vec![Field::new("a", 0, 4, Meaning::Bytes), Field::new("b", 3, 4, Meaning::Bytes)];
    assert!(matches!(Context::custom("own", 8, shared), Err(ContextError::Overlap { .. })));
    let raw = Context::raw(5);
    assert!(raw.access(program, Access::Write, 4, 1).is_ok() && raw.access(program, Access::Write, 4, 2).is_err());
    assert!(Context::raw(0).access(program, Access::Read, 0, 1).is_err());
}
