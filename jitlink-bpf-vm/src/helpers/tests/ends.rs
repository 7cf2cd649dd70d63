//! What a program leaves open when it ends, and that nobody suffers from it.

use super::*;
use crate::contexts::Socket;
use crate::fault::FaultKind;
use crate::maps::flag;

/// How a program ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Exit,
    Fault,
    Budget,
    Panic,
}

const ENDS: [End; 4] = [End::Exit, End::Fault, End::Budget, End::Panic];

/// Runs the calls, and ends so.
fn end(script: Script, end: End) {
    let mut script = script.host(Host::new().on_print(|_| panic!("the host has enough")));
    script.data.resize(8, 0);
    script.data.extend(b"x\0");
    match end {
        End::Exit => drop(script.run()),
        End::Fault => {
            let Err(fault) = script.call("send_signal", &[]).try_run(&mut NoContext) else { panic!("it ran") };
            assert!(matches!(fault.kind(), FaultKind::Helper { .. }), "{fault}");
        }
        End::Budget => {
            let endless = script.function(&[insn(0x05, 0, 0, -1, 0)]).budget(1000);
            let endless = endless.call("loop", &[N(1), Function(0), N(0), N(0)]);
            let Err(fault) = endless.try_run(&mut NoContext) else { panic!("it ran") };
            assert_eq!(*fault.kind(), FaultKind::Budget(1000));
        }
        End::Panic => {
            let script = script.call("trace_printk", &[Data(8), N(2)]);
            let run = std::panic::AssertUnwindSafe(|| script.try_run(&mut NoContext).map(|_| ()));
            std::panic::catch_unwind(run).unwrap_err();
        }
    }
}

#[test]
fn records_that_were_not_handed_over_are_given_up() {
    let events = map(MapKind::Ringbuf, 0, 0, 4096);
    let ring = events.ring().unwrap();
    for how in ENDS {
        let script = Script::new().map(events.clone()).data(b"x");
        let script = script.call("ringbuf_reserve", &[Map(0), N(8), N(0)]);
        let script = script.call("ringbuf_reserve_dynptr", &[Map(0), N(16), N(0), Stack(64)]);
        let script = script.call("ringbuf_reserve", &[Map(0), N(24), N(0)]).call("ringbuf_submit", &[Got(2), N(0)]);
        let begun = ring.query().producer;
        end(script, how);
        // The host gets what was handed over behind them, and what others send.
        ring.output(b"next", 0).unwrap();
        assert_eq!(ring.query().producer - begun, 16 + 24 + 32 + 16, "{how:?}");
        assert_eq!(ring.next().map(|record| record.len()), Some(24), "{how:?}");
        assert_eq!((ring.next().as_deref(), ring.next()), (Some(&b"next"[..]), None), "{how:?}");
        assert_eq!(ring.query().available, 0, "{how:?}");
    }
}

#[test]
fn locks_that_were_not_given_back_are_free() {
    let lock = spec(MapSpec { lock_offset: Some(8), ..MapSpec::new(MapKind::Array, 4, 16, 2) });
    for how in ENDS {
        let script = Script::new().map(lock.clone()).data(&1u32.to_ne_bytes());
        let script = script.call("map_lookup_elem", &[Map(0), Data(0)]);
        // The lock is eight bytes behind the value's start, at which the second value's region begins.
        let script = script.call("spin_lock", &[N(at(VALUE_REGION + 1, 16 + 8))]);
        end(script, how);
        let values = lock.values().unwrap();
        assert_eq!(values.to_vec(0, 32), [0; 32], "{how:?}");
        lock.update(&1u32.to_ne_bytes(), &[0; 16], flag::LOCK).unwrap();
    }
}

#[test]
fn locks_are_where_the_types_say() {
    let lock = spec(MapSpec { lock_offset: Some(8), ..MapSpec::new(MapKind::Array, 4, 16, 2) });
    let none = map(MapKind::PercpuArray, 4, 16, 1);
    let script = || {
        let script = Script::new().map(lock.clone()).map(none.clone());
        // Looking up makes the maps known.
        script.call("map_lookup_elem", &[Map(0), Data(0)]).call("map_lookup_elem", &[Map(1), Data(0)])
    };
    for (address, reason) in [
        (at(VALUE_REGION + 1, 0), "that of a value of map \"\" is at byte 8"),
        (at(VALUE_REGION + 1, 12), "that of a value of map \"\" is at byte 8"),
        (at(VALUE_REGION + 2, 0), "the values of map \"\" (percpu_array) have none"),
        (at(VALUE_REGION + 1, 10), "not aligned"),
        (crate::address::STACK, "locks are in values of maps and in variables"),
    ] {
        let Err(fault) = script().call("spin_lock", &[N(address)]).try_run(&mut NoContext) else { panic!("locked") };
        assert!(fault.to_string().contains(reason), "{fault}");
    }
    let timer = script().call("timer_init", &[Got(0), Map(0), N(1)]).try_run(&mut NoContext);
    assert!(timer.is_err_and(|fault| fault.to_string().contains("is no timer: the values of map")));
}

#[test]
fn records_of_others_are_left_alone() {
    let events = map(MapKind::Ringbuf, 0, 0, 4096);
    let ring = events.ring().unwrap();
    // As if by another run.
    let place = ring.reserve(8).unwrap();
    let address = at(VALUE_REGION + 1, place as u32);
    for name in ["ringbuf_submit", "ringbuf_discard"] {
        let script = Script::new().map(events.clone()).call("ringbuf_query", &[Map(0), N(0)]);
        let Err(fault) = script.call(name, &[N(address), N(0)]).try_run(&mut NoContext) else { panic!("{name}") };
        assert!(fault.to_string().contains("nothing was reserved"), "{fault}");
    }
    ring.submit(place, 0).unwrap();
    assert_eq!(ring.next(), Some(vec![0; 8]));
}

#[test]
fn a_ring_buffer_of_the_host_is_drained_by_one_at_a_time_and_goes_on_after_a_fault() {
    let commands = map(MapKind::UserRingbuf, 0, 0, 4096);
    let ring = commands.ring().unwrap();
    for text in [b"first", b"secnd"] {
        ring.output(text, 0).unwrap();
    }
    let drain = |function: &[Insn]| {
        let script = Script::new().map(commands.clone()).function(function);
        script.call("user_ringbuf_drain", &[Map(0), Function(0), Data(0), N(0)]).try_run(&mut NoContext)
    };
    // r0 = *(u64 *)0
    assert!(drain(&[insn(0xb7, 1, 0, 0, 0), insn(0x79, 0, 1, 0, 0), insn(0x95, 0, 0, 0, 0)]).is_err());
    // The record was seen, so it is gone; the next one comes.
    let outcome = drain(&[insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(outcome.results, [1]);
    let held = ring.drain().unwrap();
    let outcome = drain(&[insn(0x95, 0, 0, 0, 0)]).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(outcome.results, [-16]);
    drop(held);
    assert!(ring.drain().is_some());
}

#[test]
fn sockets_that_were_not_released_are_taken_back() {
    let host = Arc::new(Host::new().on_socket_lookup(|_| Some(Socket { family: 2, ..Socket::default() })));
    let mut packet = tc(&udp4());
    for _ in 0..20 {
        let script = Script { host: host.clone(), data: vec![0; 12], ..Script::new() };
        let script = script.call("sk_lookup_tcp", &[Context, Data(0), N(12), N(u64::MAX), N(0)]);
        assert!(script.run_on(&mut packet).results[0] > 0);
    }
}
