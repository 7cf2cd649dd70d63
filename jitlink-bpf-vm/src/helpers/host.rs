//! What a kernel knows and a program asks for: clocks, chance, tasks, routes, sockets, and where its messages go.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::clock::Clock;
use super::queries::{FibLookup, SocketQuery};
use super::timers::Timers;
use crate::contexts::Socket;

/// The surroundings of programs. It is shared by all runs, and may be changed while they run.
pub struct Host {
    /// The clocks.
    pub clock: Clock,
    /// The task in whose name programs run.
    pub task: Task,
    /// The numbers of the task's cgroups, from the root to its own; also those of packets' sockets.
    pub cgroups: Vec<u64>,
    /// The class of traffic control of the task's and the packet's cgroup (`net_cls`).
    pub classid: u32,
    /// The NUMA node of all processors.
    pub numa_node: u32,
    /// How many processors there are.
    pub cpus: usize,
    /// The largest packet of each interface, without its link header.
    pub mtu: u32,
    pub(super) timers: Timers,
    random: AtomicU64,
    print: Mutex<Box<PrintFunction>>,
    fib: Box<FibFunction>,
    sockets: Box<SocketFunction>,
}

type PrintFunction = dyn FnMut(&str) + Send;
type FibFunction = dyn Fn(&mut FibLookup) -> u64 + Send + Sync;
type SocketFunction = dyn Fn(&SocketQuery) -> Option<Socket> + Send + Sync;

/// The task in whose name programs run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The thread's number, which the kernel calls a process's.
    pub pid: u32,
    /// The process's number.
    pub tgid: u32,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The command's name, of which programs see 15 bytes.
    pub comm: String,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            clock: Clock::system(),
            task: Task { comm: "jitlink".into(), ..Task::default() },
            cgroups: vec![1],
            classid: 0,
            numa_node: 0,
            cpus: 1,
            mtu: 1500,
            timers: Timers::default(),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            print: Mutex::new(Box::new(|text| eprint!("{text}"))),
            fib: Box::new(|_| NOT_FORWARDED),
            sockets: Box::new(|_| None),
        }
    }
}

/// No route leads there (`BPF_FIB_LKUP_RET_NOT_FWDED`).
const NOT_FORWARDED: u64 = 4;

impl Host {
    /// A host with the system's clocks, whose programs print to standard error and which knows no routes and sockets.
    pub fn new() -> Host {
        Host::default()
    }

    /// Where the text goes that programs print (`bpf_trace_printk`).
    pub fn on_print(mut self, print: impl FnMut(&str) + Send + 'static) -> Host {
        self.print = Mutex::new(Box::new(print));
        self
    }

    /// Where chance begins: the same programs see the same numbers then.
    pub fn seed(self, seed: u64) -> Host {
        self.random.store(seed, Ordering::Relaxed);
        self
    }

    /// Who answers `bpf_fib_lookup`: with one of `BPF_FIB_LKUP_RET_*`.
    pub fn on_fib_lookup(mut self, answer: impl Fn(&mut FibLookup) -> u64 + Send + Sync + 'static) -> Host {
        self.fib = Box::new(answer);
        self
    }

    /// Who finds sockets for `bpf_sk_lookup_tcp` and its like.
    pub fn on_socket_lookup(mut self, find: impl Fn(&SocketQuery) -> Option<Socket> + Send + Sync + 'static) -> Host {
        self.sockets = Box::new(find);
        self
    }

    pub(super) fn print(&self, text: &str) {
        // What a panic of the host's function left behind is the host's.
        (self.print.lock().unwrap_or_else(PoisonError::into_inner))(text);
    }

    pub(super) fn fib_lookup(&self, lookup: &mut FibLookup) -> u64 {
        (self.fib)(lookup)
    }

    pub(super) fn find_socket(&self, query: &SocketQuery) -> Option<Socket> {
        (self.sockets)(query)
    }

    /// The next number of chance, by the SplitMix64 generator.
    pub(super) fn random(&self) -> u32 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut word = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) >> 32) as u32
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("clock", &self.clock)
            .field("task", &self.task)
            .field("cgroups", &self.cgroups)
            .finish_non_exhaustive()
    }
}
