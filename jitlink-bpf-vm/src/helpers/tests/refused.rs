//! Helpers without a meaning outside of a kernel, and arguments of all kinds.

use super::*;
use jitlink_arch_bpf::catalog::helpers::HELPERS;

#[test]
fn helpers_of_a_kernel_are_refused_by_name_and_reason() {
    for (name, reason) in [
        ("send_signal", "processes"),
        ("override_return", "processes"),
        ("sk_redirect_map", "sockets"),
        ("skb_set_tunnel_key", "tunnels"),
        ("get_stackid", "execution"),
        ("d_path", "data"),
    ] {
        let Err(fault) = Script::new().call(name, &[]).try_run(&mut NoContext) else { panic!("{name} was called") };
        assert!(fault.to_string().contains(&format!("bpf_{name}")) && fault.to_string().contains(reason), "{fault}");
    }
    for name in ["bpf_cast_to_kern_ctx", "bpf_rdonly_cast"] {
        assert!(Script::new().call(name, &[N(0)]).try_run(&mut NoContext).is_err());
    }
    let marks = ["bpf_rcu_read_lock", "bpf_rcu_read_unlock", "bpf_preempt_disable", "bpf_preempt_enable"];
    let script = marks.iter().fold(Script::new(), |script, name| script.call(name, &[]));
    assert_eq!(script.run().results, [0; 4]);
    let task = Script::new().call("get_current_task", &[]).call("get_current_task_btf", &[]).run().results;
    assert!(task[0] != 0 && task[0] == task[1]);
}

#[test]
fn helpers_that_need_a_packet_say_so() {
    let mut raw = crate::context::RawMemory::new(&[0; 8]).unwrap();
    let Err(fault) = Script::new().call("skb_pull_data", &[Context, N(0)]).try_run(&mut raw) else { panic!() };
    assert!(fault.to_string().contains("not called with a packet"), "{fault}");
    let Err(fault) = Script::new().call("skb_pull_data", &[N(3), N(0)]).try_run(&mut tc(&udp4())) else { panic!() };
    assert!(fault.to_string().contains("0x3 is not the program's context"), "{fault}");
}

/// Numbers near what means something, and others.
fn numbers(seed: u64) -> u64 {
    let interesting =
        [0, 1, 2, 7, 8, 12, 16, 58, 59, 0xffff, 0x10000, 1 << 31, u64::MAX, u64::MAX - 7, 1 << 32, 0x10078];
    match seed % 5 {
        0 => data_address(seed >> 8 & 0xff),
        1 => crate::address::STACK + 512 - (seed >> 8 & 0x3f),
        2 => crate::address::map_handle((seed >> 8 & 3) as u32),
        _ => interesting[(seed >> 8) as usize % interesting.len()],
    }
}

#[test]
fn nothing_that_a_program_passes_makes_the_host_panic() {
    let named: Vec<&str> = KERNEL_FUNCTIONS.iter().flat_map(|table| *table).map(|(name, _)| *name).collect();
    let names: Vec<&str> = HELPERS.iter().map(|helper| helper.name).chain(named).collect();
    let mut seed = 1u64;
    for round in 0..1000usize {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 16
        };
        let mut script = Script { data: vec![0x25; 64], ..Script::new() };
        script = script.host(Host::new().on_print(|_| {}));
        script = script.map(map(MapKind::Hash, 4, 8, 4)).map(map(MapKind::Ringbuf, 0, 0, 4096));
        for _ in 0..3 {
            let name = names[next() as usize % names.len()];
            let arguments: Vec<A> = (0..5)
                .map(|_| match next() % 8 {
                    0 => Context,
                    1 => Map(next() as usize % 2),
                    2 => Stack(8 * (next() % 64) as i32),
                    _ => N(numbers(next())),
                })
                .collect();
            // Huge counts of an empty callback only cost time.
            let name = if name == "loop" { "strncmp" } else { name };
            script = script.call(name, &arguments);
        }
        // Whether it runs or faults: it ends.
        _ = match round % 3 {
            0 => script.try_run(&mut NoContext),
            1 => script.try_run(&mut tc(&udp4())),
            _ => script.try_run(&mut context(ProgramType::Xdp, Packet::ethernet(udp4()))),
        };
    }
}
