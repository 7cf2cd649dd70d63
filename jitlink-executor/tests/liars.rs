//! What the linking side does with an executor that is wrong, lies, or goes away.

use jitlink_core::executor::{Executor, MemoryRequest, SegmentRequest};
use jitlink_core::graph::{Protection, Residence};
use jitlink_core::{Addr, AddrRange};
use jitlink_executor::wire::{
    Answer, Bytes, End, Event, FRAME_LIMIT, Frame, Hello, Reply, Request, ReservedRecord, VERSION, Welcome, read_frame,
};
use jitlink_executor::{Address, RemoteExecutor};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        convention: String::new(),
        arch: "x86_64".into(),
        little_endian: true,
        pointer_bytes: 8,
        page_size: 4096,
        lazy_linker: 0,
        process: u32::MAX,
        probe: (0, 0),
        forwards_streams: false,
    }
}

fn frame(number: u32, reply: &Reply) -> Vec<u8> {
    Frame::encode(number, reply).unwrap()
}

/// An executor that answers the greeting with these bytes, and each request with what `answer` makes of it.
fn executor(
    greeting: Vec<u8>,
    answer: impl Fn(u32, Request) -> Vec<u8> + Send + 'static,
) -> (Result<RemoteExecutor, String>, JoinHandle<()>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _): (UnixStream, _) = listener.accept().unwrap();
        let hello = read_frame(&mut stream, FRAME_LIMIT).unwrap().unwrap();
        assert_eq!(hello.decode::<Hello>(), Ok(Hello::new(b"token")));
        let _ = stream.write_all(&greeting);
        while let Ok(Some(frame)) = read_frame(&mut stream, FRAME_LIMIT) {
            let Ok(request) = frame.decode::<Request>() else { return };
            let said = answer(frame.number, request);
            if said.is_empty() || stream.write_all(&said).is_err() {
                return;
            }
        }
    });
    let connected = RemoteExecutor::connect(&Address::Unix(path), b"token").map_err(|error| error.to_string());
    (connected, thread)
}

fn welcomed(answer: impl Fn(u32, Request) -> Vec<u8> + Send + 'static) -> (RemoteExecutor, JoinHandle<()>) {
    let greeting = Frame::encode(1, &Answer::Welcome(welcome())).unwrap();
    let (executor, thread) = executor(greeting, answer);
    (executor.unwrap(), thread)
}

#[test]
fn a_wrong_greeting_is_an_error() {
    let refused = |greeting: Vec<u8>, reason: &str| {
        let (executor, thread) = executor(greeting, |_, _| Vec::new());
        let error = executor.unwrap_err();
        assert!(error.contains(reason), "{error}");
        thread.join().unwrap();
    };
    refused(Frame::encode(1, &Answer::Refused("not today".into())).unwrap(), "not today");
    let other = Welcome { version: VERSION + 1, ..welcome() };
    let versions = format!("version {} of the protocol, and not {VERSION}", VERSION + 1);
    refused(Frame::encode(1, &Answer::Welcome(other)).unwrap(), &versions);
    refused(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "exceeds the limit of 1024");
    refused(frame(1, &Reply::Done), "is cut off");
}

#[test]
fn wrong_answers_end_the_connection_or_the_request() {
    let looked_up = |answer: fn(u32) -> Vec<u8>, reason: &str| {
        let (executor, thread) = welcomed(move |number, _| answer(number));
        let error = executor.lookup(&[b"puts"]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        drop(executor);
        thread.join().unwrap();
    };
    looked_up(|number| frame(number + 1, &Reply::Done), "which nobody made");
    looked_up(|number| frame(number, &Reply::Done), "does not fit what it was asked: Done");
    looked_up(|number| frame(number, &Reply::Addresses(vec![])), "gave 0 addresses for 1 names");
    looked_up(|number| frame(number, &Reply::Failed("no".into(), String::new())), "no");
    looked_up(|_| u32::MAX.to_le_bytes().to_vec(), "exceeds the limit of 16777216");
    looked_up(|number| [&5u32.to_le_bytes()[..], &number.to_le_bytes(), &[99]].concat(), "99 is no reply");
    looked_up(|_| Frame::encode(0, &Event::Broken("a reason".into())).unwrap(), "ended the connection: a reason");
    looked_up(|_| [&5u32.to_le_bytes()[..], &[0; 4], &[99]].concat(), "99 is no event");
    looked_up(|_| Vec::new(), "the connection to the executor has ended");
    looked_up(|_| Frame::encode(0, &Event::Ended(End::Killed(9))).unwrap(), "signal 9 ended it");
}

#[test]
fn nothing_is_written_to_a_process_that_anybody_may_name() {
    // This very process, in which the bytes are where the executor says: but who says it at a port may be anybody.
    let value = 0x1234_5678_9abc_def0_u64;
    let probe = (&raw const value as u64, u64::from_le_bytes(value.to_ne_bytes()));
    let greeting = Answer::Welcome(Welcome { process: std::process::id(), probe, ..welcome() });
    let greeting = Frame::encode(1, &greeting).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_frame(&mut stream, FRAME_LIMIT).unwrap().unwrap();
        stream.write_all(&greeting).unwrap();
        while let Ok(Some(frame)) = read_frame(&mut stream, FRAME_LIMIT) {
            if frame.decode() == Ok(Request::Exit(0)) {
                return;
            }
        }
    });
    let executor = RemoteExecutor::connect(&address, b"").unwrap();
    assert!(!executor.shares_memory());
    drop(executor);
    thread.join().unwrap();
}

#[test]
fn memory_that_was_not_asked_for_is_refused() {
    let segment = SegmentRequest { protection: Protection::Read, residence: Residence::Near, size: 64, align: 16 };
    let request = MemoryRequest { segments: vec![segment], range: AddrRange::ALL };
    let (executor, thread) = welcomed(|number, request| match request {
        Request::Reserve(_) => {
            let starts = vec![Addr(4096), Addr(8192)];
            frame(number, &Reply::Reserved(ReservedRecord { number: 1, starts, region: AddrRange::ALL }))
        }
        _ => Vec::new(),
    });
    let error = executor.reserve(&request).err().unwrap();
    assert!(error.to_string().contains("does not fit what it was asked"), "{error}");
    drop(executor);
    thread.join().unwrap();
    let (executor, thread) = welcomed(|number, request| match request {
        Request::Reserve(_) => {
            let starts = vec![Addr(4096)];
            frame(number, &Reply::Reserved(ReservedRecord { number: 1, starts, region: AddrRange::ALL }))
        }
        Request::Finalize { .. } => frame(number, &Reply::Made(7)),
        Request::Read(..) => frame(number, &Reply::Memory(Bytes(vec![1; 3]))),
        _ => Vec::new(),
    });
    assert!(!executor.shares_memory(), "there is no process of that number");
    let reservation = executor.reserve(&request).unwrap();
    let allocation = reservation.finalize(Vec::new()).unwrap();
    let error = allocation.read(Addr(4096), &mut [0; 4]).unwrap_err();
    assert!(error.to_string().contains("does not fit what it was asked"), "{error}");
    drop((allocation, executor));
    thread.join().unwrap();
}
