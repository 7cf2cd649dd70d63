//! Maps, loops, iterators, locks, timers, storage.

use super::*;
use crate::maps::MapError;

#[test]
fn elements_are_found_changed_and_removed() {
    let hash = map(MapKind::Hash, 4, 8, 2);
    let outcome = Script::new()
        .map(hash.clone())
        .data(&[1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0])
        .call("map_lookup_elem", &[Map(0), Data(0)])
        .call("map_update_elem", &[Map(0), Data(0), Data(8), N(2)])
        .call("map_update_elem", &[Map(0), Data(0), Data(8), N(1)])
        .call("map_update_elem", &[Map(0), Data(0), Data(8), N(1)])
        .call("map_update_elem", &[Map(0), Data(0), Data(8), N(9)])
        .call("map_lookup_elem", &[Map(0), Data(0)])
        .call("probe_read_kernel", &[Data(64), N(8), Got(5)])
        .call("map_delete_elem", &[Map(0), Data(4)])
        .call("map_delete_elem", &[Map(0), Data(0)])
        .call("map_lookup_elem", &[Map(0), Data(0)])
        .run();
    assert_eq!(outcome.results[..5], [0, -2, 0, -17, -22]);
    assert_ne!(outcome.results[5], 0);
    assert_eq!(outcome.results[6..], [0, -2, 0, 0]);
    assert_eq!(outcome.data[64], 7);
    let Err(fault) = Script::new().call("map_lookup_elem", &[N(5), Data(0)]).try_run(&mut NoContext) else {
        panic!("5 is no map")
    };
    assert!(fault.to_string().contains("0x5 is no map"), "{fault}");
}

#[test]
fn queues_and_filters_take_and_give_values() {
    let calls = |kind| {
        Script::new()
            .map(map(kind, 0, 4, 2))
            .data(&[1, 0, 0, 0, 2, 0, 0, 0])
            .call("map_peek_elem", &[Map(0), Data(16)])
            .call("map_push_elem", &[Map(0), Data(0), N(0)])
            .call("map_push_elem", &[Map(0), Data(4), N(0)])
            .call("map_push_elem", &[Map(0), Data(4), N(0)])
            .call("map_peek_elem", &[Map(0), Data(16)])
            .call("map_pop_elem", &[Map(0), Data(20)])
            .call("map_pop_elem", &[Map(0), Data(24)])
            .call("map_pop_elem", &[Map(0), Data(28)])
            .run()
    };
    let queue = calls(MapKind::Queue);
    assert_eq!(queue.results, [-2, 0, 0, -7, 0, 0, 0, -2]);
    assert_eq!((queue.data[16], queue.data[20], queue.data[24]), (1, 1, 2));
    let stack = calls(MapKind::Stack);
    assert_eq!((stack.data[16], stack.data[20], stack.data[24]), (2, 2, 1));
    let filter = Script::new()
        .map(map(MapKind::BloomFilter, 0, 4, 100))
        .data(&[1, 0, 0, 0, 2, 0, 0, 0])
        .call("map_push_elem", &[Map(0), Data(0), N(0)])
        .call("map_peek_elem", &[Map(0), Data(0)])
        .call("map_peek_elem", &[Map(0), Data(4)])
        .run();
    assert_eq!((filter.results, &filter.data[..8]), (vec![0, 0, -2], &[1, 0, 0, 0, 2, 0, 0, 0][..]));
}

#[test]
fn values_of_other_processors_are_found() {
    let array = map(MapKind::PercpuArray, 4, 8, 1);
    let outcome = Script::new()
        .map(array)
        .map(map(MapKind::Array, 4, 8, 1))
        .call("map_lookup_percpu_elem", &[Map(0), Data(0), N(0)])
        .call("map_lookup_percpu_elem", &[Map(0), Data(0), N(1)])
        .call("map_lookup_percpu_elem", &[Map(0), Data(0), N(2)])
        .call("map_lookup_percpu_elem", &[Map(1), Data(0), N(0)])
        .call("map_lookup_elem", &[Map(0), Data(0)])
        .run();
    let results = &outcome.results;
    assert_eq!((results[1] - results[0], results[2], results[3]), (8, 0, 0));
    assert_eq!(results[4], results[0]);
}

#[test]
fn maps_in_maps_are_found() -> Result<(), MapError> {
    let inner = map(MapKind::Array, 4, 8, 1);
    let mut outer = MapSpec::new(MapKind::ArrayOfMaps, 4, 4, 2);
    outer.inner = Some(Box::new(inner.spec().clone()));
    let outer = spec(outer);
    outer.update_map(&0u32.to_ne_bytes(), &inner, 0)?;
    let outcome = Script::new()
        .map(outer)
        .data(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        .call("map_lookup_elem", &[Map(0), Data(0)])
        .call("map_lookup_elem", &[Map(0), Data(4)])
        .call("map_lookup_elem", &[Got(0), Data(8)])
        .run();
    assert!(outcome.results[0] != 0 && outcome.results[1] == 0 && outcome.results[2] != 0);
    Ok(())
}

/// `*(u64 *)r2 += r1; r0 = r1 > 4`, for a loop with the address of a sum.
fn summing() -> Vec<Insn> {
    vec![
        insn(0x79, 3, 2, 0, 0),
        insn(0x0f, 3, 1, 0, 0),
        insn(0x7b, 2, 3, 0, 0),
        insn(0xb7, 0, 0, 0, 0),
        insn(0xb5, 1, 0, 1, 4),
        insn(0xb7, 0, 0, 0, 1),
        insn(0x95, 0, 0, 0, 0),
    ]
}

#[test]
fn loops_call_until_told_to_stop() {
    let outcome = Script::new()
        .function(&summing())
        .call("loop", &[N(4), Function(0), Data(0), N(0)])
        .call("loop", &[N(100), Function(0), Data(8), N(0)])
        .call("loop", &[N(0), Function(0), Data(8), N(0)])
        .call("loop", &[N(4), Function(0), Data(8), N(1)])
        .call("loop", &[N((8 << 20) + 1), Function(0), Data(8), N(0)])
        .run();
    assert_eq!(outcome.results, [4, 6, 0, -22, -7]);
    assert_eq!(outcome.data[..16], [6u64, 15].map(u64::to_ne_bytes).concat());
    let Err(fault) = Script::new().call("loop", &[N(1), N(0x77), N(0), N(0)]).try_run(&mut NoContext) else {
        panic!("there is no function")
    };
    assert!(fault.to_string().contains("0x77"), "{fault}");
}

#[test]
fn elements_are_visited_with_their_keys() {
    let hash = map(MapKind::Hash, 4, 8, 8);
    for key in 1..=3u32 {
        hash.update(&key.to_ne_bytes(), &(u64::from(key) * 10).to_ne_bytes(), 0).unwrap();
    }
    // r4[0] += *(u32 *)r2; r4[8] += *(u64 *)r3; r0 = r4[16]
    let function = [
        insn(0x61, 5, 2, 0, 0),
        insn(0x79, 0, 4, 0, 0),
        insn(0x0f, 0, 5, 0, 0),
        insn(0x7b, 4, 0, 0, 0),
        insn(0x79, 5, 3, 0, 0),
        insn(0x79, 0, 4, 8, 0),
        insn(0x0f, 0, 5, 0, 0),
        insn(0x7b, 4, 0, 8, 0),
        insn(0x79, 0, 4, 16, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let mut data = vec![0; 64];
    data[56] = 1;
    let outcome = Script::new()
        .map(hash)
        .data(&data)
        .function(&function)
        .call("for_each_map_elem", &[Map(0), Function(0), Data(0), N(0)])
        .call("for_each_map_elem", &[Map(0), Function(0), Data(40), N(0)])
        .call("for_each_map_elem", &[Map(0), Function(0), Data(0), N(1)])
        .run();
    assert_eq!(outcome.results, [3, 1, -22]);
    assert_eq!(outcome.data[..16], [6u64, 60].map(u64::to_ne_bytes).concat());
}

#[test]
fn numbers_are_iterated() {
    let start = |from: i32, to: i32| [Stack(64), N(u64::from(from.cast_unsigned())), N(u64::from(to.cast_unsigned()))];
    let outcome = Script::new()
        .call("bpf_iter_num_new", &start(5, 7))
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("probe_read_kernel", &[Data(0), N(4), Got(1)])
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("probe_read_kernel", &[Data(4), N(4), Got(3)])
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("bpf_iter_num_destroy", &[Stack(64)])
        .call("bpf_iter_num_new", &start(3, 2))
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("bpf_iter_num_new", &start(i32::MIN, i32::MAX))
        .call("bpf_iter_num_new", &start(i32::MIN, i32::MIN))
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("bpf_iter_num_new", &start(i32::MAX - 1, i32::MAX))
        .call("bpf_iter_num_next", &[Stack(64)])
        .call("bpf_iter_num_next", &[Stack(64)])
        .run();
    assert_eq!(outcome.data[..8], [5u32, 6].map(u32::to_ne_bytes).concat());
    let found: Vec<bool> = outcome.results.iter().map(|result| *result > 0).collect();
    assert!(found[1] && found[3] && !found[5] && !found[6] && !found[9] && !found[12] && found[14] && !found[15]);
    assert_eq!((outcome.results[8], outcome.results[10], outcome.results[11]), (-22, -7, 0));
}

#[test]
fn locks_are_held_one_at_a_time_and_given_back_at_the_end() {
    let mut with_lock = MapSpec::new(MapKind::Array, 4, 16, 1);
    with_lock.lock_offset = Some(0);
    let locks = spec(with_lock);
    let script = || Script::new().map(locks.clone()).call("map_lookup_elem", &[Map(0), Data(0)]);
    let both = script().call("spin_lock", &[Got(0)]).call("spin_unlock", &[Got(0)]).call("spin_lock", &[Got(0)]);
    assert_eq!(both.run().results[1..], [0, 0, 0]);
    // The program before ended with the lock held, and this one gets it.
    assert_eq!(script().call("spin_lock", &[Got(0)]).run().results[1..], [0]);
    for wrong in [
        script().call("spin_lock", &[Got(0)]).call("spin_lock", &[Got(0)]),
        script().call("spin_unlock", &[Got(0)]),
        script().call("spin_lock", &[Stack(64)]),
        script().call("spin_lock", &[N(2)]),
    ] {
        assert!(wrong.try_run(&mut NoContext).is_err());
    }
}

#[test]
fn pointers_are_exchanged() {
    let outcome = Script::new()
        .data(&7u64.to_ne_bytes())
        .call("kptr_xchg", &[Data(0), N(9)])
        .call("kptr_xchg", &[Data(0), N(0)])
        .run();
    assert_eq!((outcome.results, outcome.data[0]), (vec![7, 9], 0));
    assert!(Script::new().call("kptr_xchg", &[Data(4), N(9)]).try_run(&mut NoContext).is_err());
}

/// A hash table with a timer in each value and one element, and a host whose clock stands at 1000.
fn timers() -> (Arc<Map>, Arc<Host>) {
    let mut with_timer = MapSpec::new(MapKind::Hash, 4, 32, 4);
    with_timer.timer_offset = Some(0);
    let timers = spec(with_timer);
    timers.update(&5u32.to_ne_bytes(), &[0; 32], 0).unwrap();
    let mut host = Host::new();
    host.clock = super::super::Clock::frozen(1000);
    (timers, Arc::new(host))
}

/// A script that has found the element, and whose function 0 counts in the value and keeps the key there.
fn with_timer(map: &Arc<Map>, host: &Arc<Host>) -> Script {
    // *(u64 *)(r3 + 16) += 1; *(u32 *)(r3 + 24) = *(u32 *)r2
    let function = [
        insn(0x79, 4, 3, 16, 0),
        insn(0x07, 4, 0, 0, 1),
        insn(0x7b, 3, 4, 16, 0),
        insn(0x61, 4, 2, 0, 0),
        insn(0x63, 3, 4, 24, 0),
        insn(0xb7, 0, 0, 0, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let script = Script { host: host.clone(), ..Script::new() }.map(map.clone()).data(&[5, 0, 0, 0]);
    script.function(&function).call("map_lookup_elem", &[Map(0), Data(0)])
}

#[test]
fn timers_fire_when_the_host_says_so() {
    let (timers, host) = timers();
    let outcome = with_timer(&timers, &host)
        .call("timer_start", &[Got(0), N(500), N(0)])
        .call("timer_init", &[Got(0), Map(0), N(2)])
        .call("timer_init", &[Got(0), Map(0), N(1)])
        .call("timer_init", &[Got(0), Map(0), N(1)])
        .call("timer_start", &[Got(0), N(500), N(0)])
        .call("timer_set_callback", &[Got(0), Function(0)])
        .call("timer_start", &[Got(0), N(500), N(4)])
        .call("timer_start", &[Got(0), N(500), N(0)])
        .run();
    assert_eq!(outcome.results[1..], [-22, -22, 0, -16, -22, 0, -22, 0]);
    let fired = |now| host.run_timers(&outcome.vm, now).unwrap();
    assert_eq!([fired(1499), fired(1500), fired(9999)], [0, 1, 0]);
    let value = timers.lookup(&5u32.to_ne_bytes()).unwrap();
    assert_eq!((value[16], value[24]), (1, 5));
}

#[test]
fn timers_are_cancelled_and_end_with_their_element() {
    let (timers, host) = timers();
    let outcome = with_timer(&timers, &host)
        .call("timer_cancel", &[Got(0)])
        .call("timer_init", &[Got(0), Map(0), N(1)])
        .call("timer_set_callback", &[Got(0), Function(0)])
        .call("timer_start", &[Got(0), N(1500), N(1)])
        .call("timer_cancel", &[Got(0)])
        .call("timer_cancel", &[Got(0)])
        .call("timer_start", &[Got(0), N(1500), N(1)])
        .call("timer_set_callback", &[Got(0), Function(0)])
        .call("timer_start", &[Got(0), N(1500), N(1)])
        .run();
    assert_eq!(outcome.results[1..], [-22, 0, 0, 0, 1, 0, -22, 0, 0]);
    timers.delete(&5u32.to_ne_bytes()).unwrap();
    assert_eq!(host.run_timers(&outcome.vm, u64::MAX).unwrap(), 0);
    // A value that was replaced has no timer, and can be given one.
    timers.update(&5u32.to_ne_bytes(), &[0; 32], 0).unwrap();
    let again = |script: Script| {
        let script = script.call("timer_init", &[Got(0), Map(0), N(1)]);
        script.call("timer_set_callback", &[Got(0), Function(0)]).call("timer_start", &[Got(0), N(10), N(0)]).run()
    };
    assert_eq!(again(with_timer(&timers, &host)).results[1..], [0, 0, 0]);
    timers.update(&5u32.to_ne_bytes(), &[0; 32], 0).unwrap();
    let last = again(with_timer(&timers, &host));
    assert_eq!(last.results[1..], [0, 0, 0]);
    assert_eq!(host.run_timers(&last.vm, u64::MAX).unwrap(), 1);
    for wrong in [Stack(16), N(0), Data(4)] {
        assert!(Script::new().call("timer_cancel", &[wrong]).try_run(&mut NoContext).is_err());
    }
}

#[test]
fn storage_belongs_to_tasks() {
    let mut storage = MapSpec::new(MapKind::TaskStorage, 4, 8, 0);
    storage.flags = 1;
    let outcome = Script::new()
        .map(spec(storage))
        .data(&[7; 8])
        .call("get_current_task_btf", &[])
        .call("task_storage_get", &[Map(0), Got(0), N(0), N(0)])
        .call("task_storage_get", &[Map(0), Got(0), Data(0), N(1)])
        .call("probe_read_kernel", &[Data(64), N(8), Got(2)])
        .call("task_storage_get", &[Map(0), N(0), Data(0), N(1)])
        .call("task_storage_delete", &[Map(0), Got(0)])
        .call("task_storage_delete", &[Map(0), Got(0)])
        .call("task_storage_delete", &[Map(0), N(0)])
        .run();
    assert!(outcome.results[1] == 0 && outcome.results[2] != 0);
    assert_eq!(outcome.results[3..], [0, 0, 0, -2, -22]);
    assert_eq!(outcome.data[64..72], [7; 8]);
}

#[test]
fn storage_belongs_to_sockets_and_cgroups() {
    let storage = |kind| {
        let mut storage = MapSpec::new(kind, 4, 8, 0);
        storage.flags = 1;
        spec(storage)
    };
    let socket = crate::contexts::Socket { cookie: 3, ..Default::default() };
    let packet = Packet { socket: Some(socket), ..Packet::ethernet(udp4()) };
    let mut with_socket = context(ProgramType::SchedCls, packet);
    let address = N(with_socket.field("sk"));
    let sockets = storage(MapKind::SkStorage);
    let outcome = Script::new()
        .map(sockets.clone())
        .data(&[7; 8])
        .call("sk_storage_get", &[Map(0), address, N(0), N(0)])
        .call("sk_storage_get", &[Map(0), address, Data(0), N(1)])
        .call("sk_storage_get", &[Map(0), N(0), Data(0), N(1)])
        .call("sk_storage_delete", &[Map(0), N(0)])
        .run_on(&mut with_socket);
    assert!(outcome.results[0] == 0 && outcome.results[1] != 0);
    assert_eq!(outcome.results[2..], [0, -22]);
    assert_eq!(sockets.lookup(&3u64.to_ne_bytes()).unwrap(), [7; 8]);
    let gone = Script::new()
        .map(sockets)
        .call("sk_storage_delete", &[Map(0), address])
        .call("sk_storage_delete", &[Map(0), address])
        .run_on(&mut with_socket);
    assert_eq!(gone.results, [0, -2]);
    let wrong = Script::new().map(storage(MapKind::SkStorage)).call("sk_storage_get", &[Map(0), N(8), N(0), N(1)]);
    assert!(wrong.try_run(&mut with_socket).is_err());

    let outcome = Script::new()
        .map(storage(MapKind::CgrpStorage))
        .call("cgrp_storage_get", &[Map(0), N(1), N(0), N(1)])
        .call("cgrp_storage_delete", &[Map(0), N(1)])
        .call("cgrp_storage_get", &[Map(0), N(1), N(0), N(0)])
        .run();
    assert!(outcome.results[0] != 0);
    assert_eq!(outcome.results[1..], [0, 0]);
}

#[test]
fn pages_of_arenas_are_allocated_and_freed() {
    let mut arena = MapSpec::new(MapKind::Arena, 0, 0, 2);
    (arena.flags, arena.extra) = (1 << 10, 0x7_0000_0000 + 0x4000);
    let arena = spec(arena);
    let outcome = Script::new()
        .map(arena.clone())
        .map(map(MapKind::Array, 4, 4, 1))
        .call("bpf_arena_alloc_pages", &[Map(0), N(0), N(1), N(u64::MAX), N(0)])
        .call("bpf_arena_alloc_pages", &[Map(0), N(0), N(2), N(u64::MAX), N(0)])
        .call("bpf_arena_alloc_pages", &[Map(0), N(0), N(1), N(u64::MAX), N(1)])
        .call("bpf_arena_alloc_pages", &[Map(0), Got(0), N(1), N(u64::MAX), N(0)])
        .call("bpf_arena_free_pages", &[Map(0), Got(0), N(1)])
        .call("bpf_arena_alloc_pages", &[Map(0), N(0), N(2), N(u64::MAX), N(0)])
        .call("bpf_arena_alloc_pages", &[Map(1), N(0), N(1), N(u64::MAX), N(0)])
        .run();
    assert_eq!(outcome.results, [0x7_0000_4000, 0, 0, 0, 0, 0x7_0000_4000, 0]);
    assert_eq!(arena.arena().unwrap().allocated(), 2);
}
