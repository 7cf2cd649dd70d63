//! What the program for the target does with a linking side that is wrong, lies, or goes away.

use jitlink_core::executor::{MemoryRequest, SegmentRequest};
use jitlink_core::graph::{Protection, Residence};
use jitlink_core::{Addr, AddrRange};
use jitlink_executor::DESCRIPTOR_VARIABLE;
use jitlink_executor::wire::{
    Answer, Bytes, Event, ExportRecord, FRAME_LIMIT, Frame, Hello, ImportsRecord, Reply, Request, VERSION, Wire,
    WireAction, read_frame,
};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program, and a connection to it that says whatever the test wants.
struct Target {
    child: Child,
    stream: UnixStream,
}

impl Target {
    fn start() -> Target {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let descriptor = theirs.as_raw_fd();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jitlink-executor"));
        command.env(DESCRIPTOR_VARIABLE, descriptor.to_string()).stderr(Stdio::piped());
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::fcntl(descriptor, libc::F_SETFD, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Target { child, stream: ours }
    }

    fn greeted() -> Target {
        let mut target = Target::start();
        target.send(1, &Hello::new(b""));
        let answer = target.hear::<Answer>().unwrap();
        assert!(matches!(answer, Answer::Welcome(_)), "{answer:?}");
        target
    }

    fn send(&mut self, number: u32, message: &impl Wire) {
        self.raw(&Frame::encode(number, message).unwrap());
    }

    fn raw(&mut self, bytes: &[u8]) {
        // The program may be gone already, as it should be.
        let _ = self.stream.write_all(bytes);
    }

    fn hear<M: Wire>(&mut self) -> Option<M> {
        let frame = read_frame(&mut self.stream, FRAME_LIMIT).ok()??;
        Some(frame.decode().unwrap())
    }

    fn ask(&mut self, request: &Request) -> Reply {
        self.send(7, request);
        self.hear().unwrap()
    }

    /// The reason that it gives, after which it ends by itself.
    fn breaks(mut self) -> String {
        let Some(Event::Broken(reason)) = self.hear() else { panic!("no reason was given") };
        self.ends();
        reason
    }

    /// It ends, not by a signal, and says nothing more.
    fn ends(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        let status = self.child.wait().unwrap();
        assert_eq!((status.signal(), status.code()), (None, Some(1)));
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(!errors.contains("panicked"), "{errors}");
        errors
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn segment(protection: Protection, size: u64) -> SegmentRequest {
    SegmentRequest { protection, residence: Residence::Near, size, align: 16 }
}

fn reserve(target: &mut Target, segments: Vec<SegmentRequest>) -> (u32, Vec<Addr>) {
    let reply = target.ask(&Request::Reserve(MemoryRequest { segments, range: AddrRange::ALL }));
    let Reply::Reserved(reserved) = reply else { panic!("{reply:?}") };
    (reserved.number, reserved.starts)
}

fn failure(reply: Reply) -> String {
    let Reply::Failed(reason, _) = reply else { panic!("{reply:?}") };
    reason
}

#[test]
fn what_is_no_greeting_is_refused_with_a_reason() {
    let refused = |bytes: &[u8], reason: &str| {
        let mut target = Target::start();
        target.raw(bytes);
        target.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let Some(Answer::Refused(said)) = target.hear() else { panic!("{reason}: it was taken") };
        assert!(said.contains(reason), "{said}");
        assert!(target.ends().contains(reason));
    };
    refused(b"GET / HTTP/1.1\r\n\r\n", "exceeds the limit of 1024");
    refused(&[0, 1, 0, 0], "cut off");
    refused(&[8, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4], "a greeting is cut off");
    refused(&Frame::encode(1, &Request::Detach).unwrap(), "a greeting is cut off");
    refused(&Frame::encode(1, &Hello::new(b"guess")).unwrap(), "token");
    let other = Hello { version: 99, token: Bytes::default() };
    refused(&Frame::encode(1, &other).unwrap(), &format!("version {VERSION} of the protocol, and not 99"));
}

/// What the library of a number has under a number; there is one library.
fn imports(library: u32) -> ImportsRecord {
    let libraries = vec![Bytes(b"a.dll".to_vec())];
    ImportsRecord { libraries, imports: vec![(library, ExportRecord::Ordinal(1))], search: Some(vec![]) }
}

#[test]
fn a_target_that_looks_in_all_libraries_says_so() {
    let mut target = Target::greeted();
    assert_eq!(target.ask(&Request::Import(imports(0))), Reply::Done);
}

#[test]
fn broken_messages_end_the_connection_with_a_reason() {
    let broken = |bytes: &[u8]| {
        let mut target = Target::greeted();
        target.raw(bytes);
        target.stream.shutdown(std::net::Shutdown::Write).unwrap();
        target.breaks()
    };
    assert!(broken(&u32::MAX.to_le_bytes()).contains("exceeds the limit of 16777216"));
    assert!(broken(&[3, 0, 0, 0, 9, 9, 9]).contains("a frame's number is cut off"));
    assert!(broken(&[200, 0, 0, 0, 1, 0, 0, 0, 5]).contains("a frame is cut off: 195 bytes are missing"));
    assert!(broken(&[5, 0, 0, 0, 1, 0, 0, 0, 99]).contains("99 is no request"));
    assert!(broken(&[5, 0, 0, 0, 0, 0, 0, 0, 23]).contains("no number"));
    assert!(broken(&Frame::encode(5, &Request::Free(3)).unwrap()).contains("no allocation of number 3"));
    assert!(broken(&Frame::encode(5, &Request::Abandon(3)).unwrap()).contains("no reservation of number 3"));
    assert!(broken(&Frame::encode(5, &Request::Write(0, 0, Bytes::default())).unwrap()).contains("bytes came"));
    let imports = imports(3);
    assert!(broken(&Frame::encode(5, &Request::Import(imports)).unwrap()).contains("no shared library of number 3"));
    let finalize = Request::Finalize { reservation: 3, sizes: vec![], writes: 0, actions: vec![] };
    assert!(broken(&Frame::encode(5, &finalize).unwrap()).contains("no reservation of number 3"));
}

#[test]
fn bytes_go_nowhere_but_into_their_segments() {
    let write = |segment: u32, offset: u64, length: usize| {
        let mut target = Target::greeted();
        let (reservation, _) = reserve(&mut target, vec![self::segment(Protection::ReadWrite, 64)]);
        target.send(2, &Request::Finalize { reservation, sizes: vec![64], writes: 1, actions: vec![] });
        target.send(2, &Request::Write(segment, offset, Bytes(vec![1; length])));
        target.hear::<Reply>().map_or_else(|| "nothing".to_string(), |reply| format!("{reply:?}"))
    };
    assert!(write(0, 0, 64).starts_with("Made"));
    let broken = |segment: u32, offset: u64, length: usize| {
        let mut target = Target::greeted();
        let (reservation, _) = reserve(&mut target, vec![self::segment(Protection::ReadWrite, 64)]);
        target.send(2, &Request::Finalize { reservation, sizes: vec![64], writes: 1, actions: vec![] });
        target.send(2, &Request::Write(segment, offset, Bytes(vec![1; length])));
        assert!(target.breaks().contains("are not in segment"), "{segment} {offset} {length}");
    };
    broken(0, 0, 65);
    broken(0, 64, 1);
    broken(0, u64::MAX, 2);
    broken(1, 0, 1);
    broken(u32::MAX, 0, 0);
}

#[test]
fn nothing_is_called_or_read_that_was_not_linked() {
    let mut target = Target::greeted();
    let (reservation, starts) = reserve(&mut target, vec![segment(Protection::ReadWrite, 64)]);
    let array = |address: Addr, count: u64| {
        let order = jitlink_core::graph::Initialisers {
            stage: jitlink_core::graph::InitStage::Init,
            priority: 0,
            backwards: false,
        };
        vec![jitlink_core::executor::PointerArray { address, count, order }]
    };
    // Not before it is the target's.
    assert!(failure(target.ask(&Request::RunArrays(array(starts[0], 1)))).contains("not in memory"));
    let made = target.ask(&Request::Finalize { reservation, sizes: vec![64], writes: 0, actions: vec![] });
    let Reply::Made(allocation) = made else { panic!("{made:?}") };
    assert_eq!(target.ask(&Request::RunArrays(array(starts[0], 8))), Reply::Done, "zeroes are no functions");
    let at = starts[0];
    for request in [
        Request::RunMain(Addr(0), vec![]),
        Request::RunMain(Addr(u64::MAX), vec![]),
        Request::RunMain(at + 64, vec![]),
        Request::RunArrays(array(at, 9)),
        Request::RunArrays(array(at, u64::MAX)),
        Request::RunArrays(array(at + 1, 8)),
        Request::RunAtExit(at, array(Addr(8), 1)),
        Request::RunAtExit(Addr(0), vec![]),
        Request::RunExitHandlers(Addr(0)),
        Request::RunResolvers(vec![Addr(0)]),
        Request::RunResolvers(vec![at]),
        Request::Read(allocation, at, 65),
        Request::Read(allocation, at + 60, 5),
        Request::Read(allocation, Addr(u64::MAX), 1),
        Request::Read(allocation, at, u32::MAX),
        Request::Read(allocation + 1, at, 1),
        Request::Release(allocation, at, 0),
        Request::Release(allocation, at, 65),
        Request::Release(allocation, Addr(u64::MAX), u64::MAX),
        Request::StorePointer(allocation, place(at + 64), 1),
        Request::StorePointer(allocation, place(at + 1), 1),
        Request::ThreadLocals(Bytes(vec![1; 9]), (8, 8), vec![]),
        Request::ThreadLocals(Bytes::default(), (u64::MAX, 8), vec![]),
        Request::ThreadLocals(Bytes::default(), (8, 3), vec![]),
        Request::ThreadLocals(Bytes::default(), (8, 1 << 63), vec![]),
        Request::Load("/nowhere/at/all.so".into(), vec![]),
    ] {
        let reply = target.ask(&request);
        assert!(matches!(reply, Reply::Failed(..)), "{request:?}: {reply:?}");
    }
    // And it still answers.
    assert_eq!(target.ask(&Request::Read(allocation, at, 64)), Reply::Memory(Bytes(vec![0; 64])));
}

fn place(address: Addr) -> jitlink_core::executor::PointerPlace {
    jitlink_core::executor::PointerPlace { address, bytes: 8, endian: jitlink_core::Endian::NATIVE }
}

#[test]
fn actions_are_about_their_own_batch() {
    let mut target = Target::greeted();
    for action in [
        |_: Addr| WireAction::RegisterEhFrame(Addr(0), 8),
        |at: Addr| WireAction::RegisterEhFrame(at, 65),
        |at: Addr| WireAction::Describe(vec![(at, 65)], at),
        |at: Addr| {
            let slot = jitlink_core::executor::IndirectSlot { slot: at, resolver: Addr(0), name: "f".into() };
            WireAction::ResolveOnCall(vec![slot])
        },
    ] {
        let (reservation, starts) = reserve(&mut target, vec![segment(Protection::ReadWrite, 64)]);
        let actions = vec![action(starts[0])];
        let reply = target.ask(&Request::Finalize { reservation, sizes: vec![64], writes: 0, actions });
        assert!(failure(reply).contains("are not in memory that was linked here"));
    }
}

#[test]
fn memory_that_cannot_be_had_is_refused() {
    let mut target = Target::greeted();
    let mut ask = |segments: Vec<SegmentRequest>, range: AddrRange| {
        failure(target.ask(&Request::Reserve(MemoryRequest { segments, range })))
    };
    ask(vec![segment(Protection::ReadExecute, 1 << 46); 6], AddrRange::ALL);
    ask(vec![segment(Protection::ReadExecute, 64)], AddrRange { start: Addr(0), last: Addr(16) });
    let wide = SegmentRequest { align: 1 << 46, ..segment(Protection::Read, 1) };
    ask(vec![wide], AddrRange { start: Addr(1), last: Addr(1 << 32) });
    // Sizes that are not those of the reservation.
    for sizes in [vec![], vec![64, 64], vec![65]] {
        let (reservation, _) = reserve(&mut target, vec![segment(Protection::ReadWrite, 64)]);
        let reply = target.ask(&Request::Finalize { reservation, sizes, writes: 0, actions: vec![] });
        assert!(failure(reply).contains("not within what was reserved"));
    }
}

#[test]
fn it_ends_when_the_linking_side_is_gone() {
    let target = Target::greeted();
    target.stream.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(target.ends(), "");
}

/// Messages of every kind with numbers that may mean anything, from a fixed sequence of random numbers. No call is among them that could
/// end the process rightly.
#[test]
fn noise_never_brings_it_down() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..40 {
        let mut target = Target::greeted();
        let mut said = Vec::new();
        for number in 1..200 {
            let small = |value: u64| (value % 4) as u32;
            // Those that name a reservation end the connection if there is none of that number.
            let request = match random() % 64 {
                0 => Request::Lookup(vec![Bytes(vec![random() as u8; small(random()) as usize]); 3]),
                1 | 2 | 20..30 => Request::Reserve(MemoryRequest {
                    segments: vec![segment(Protection::ReadWrite, 1 + random() % 5000); small(random()) as usize],
                    range: AddrRange::ALL,
                }),
                3 => Request::Prepare(1 + small(random()), vec![random() % 5000; small(random()) as usize]),
                4 | 5 => Request::Finalize {
                    reservation: 1 + small(random()),
                    sizes: vec![random() % 5000; small(random()) as usize],
                    writes: 0,
                    actions: vec![WireAction::Describe(vec![(Addr(random()), random())], Addr(random()))],
                },
                6 => Request::Release(1 + small(random()), Addr(random()), random()),
                7 => Request::StorePointer(small(random()), place(Addr(random())), random()),
                8 => Request::ReplacePointer(small(random()), place(Addr(random())), (random(), random())),
                9 => Request::Read(small(random()), Addr(random()), random() as u32),
                10 => Request::RunArrays(vec![]),
                11 => Request::RunResolvers(vec![Addr(random())]),
                _ => Request::ThreadLocals(Bytes::default(), (random() % 64, random() % 64), vec![]),
            };
            said.extend(Frame::encode(number, &request).unwrap());
        }
        // Some of it is not what it was.
        for _ in 0..random() % 4 {
            let at = random() as usize % said.len();
            said[at] = random() as u8;
        }
        target.raw(&said);
        let _ = target.stream.shutdown(std::net::Shutdown::Write);
        target.ends();
    }
}
