//! Messages as bytes: all of them come back as they were, and what is not whole is refused.

use jitlink_core::executor::{
    IndirectSlot, MemoryRequest, PointerArray, PointerPlace, SegmentRequest, ThreadLocalAccess,
};
use jitlink_core::graph::{InitStage, Initialisers, Protection, Residence};
use jitlink_core::{Addr, AddrRange, Endian};
use jitlink_executor::wire::{
    Answer, Bytes, CrashFacts, End, Event, ExportRecord, FRAME_LIMIT, Frame, GREETING_LIMIT, Hello, ImportsRecord,
    QueryRecord, ReadError, Reply, Request, ReservedRecord, Welcome, Wire, WireAction, WireError, read_frame,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::ffi::CString;
use std::fmt::Debug;

/// What is written is read as it was, and nothing shorter or longer is.
fn comes_back<M: Wire + PartialEq + Debug>(number: u32, message: &M) {
    let bytes = Frame::encode(number, message).unwrap();
    let mut from = bytes.as_slice();
    let frame = read_frame(&mut from, FRAME_LIMIT).unwrap().unwrap();
    assert_eq!((frame.number, from.len()), (number, 0));
    assert_eq!(frame.decode::<M>().as_ref(), Ok(message));
    for length in 1..bytes.len() {
        let cut = read_frame(&mut &bytes[..length], FRAME_LIMIT);
        assert!(matches!(cut, Err(ReadError::Wire(WireError::Truncated { .. }))), "{length}: {cut:?}");
    }
    for length in 0..frame.body.len() {
        let cut = Frame { number, body: frame.body[..length].to_vec() };
        assert!(cut.decode::<M>().is_err(), "{length} of {frame:?}");
    }
    let longer = Frame { number, body: [frame.body.as_slice(), &[0]].concat() };
    assert_eq!(longer.decode::<M>(), Err(WireError::Trailing { bytes: 1 }));
}

fn bytes() -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..20).prop_map(Bytes)
}

fn text() -> impl Strategy<Value = String> + Clone {
    "[a-zé ]{0,9}"
}

fn c_text() -> impl Strategy<Value = CString> + Clone {
    vec(1..=255u8, 0..9).prop_map(|bytes| CString::new(bytes).unwrap())
}

fn addr() -> impl Strategy<Value = Addr> + Clone {
    any::<u64>().prop_map(Addr)
}

fn arrays() -> impl Strategy<Value = Vec<PointerArray>> + Clone {
    let stage = prop::sample::select(vec![InitStage::Threads, InitStage::Preinit, InitStage::Init, InitStage::Fini]);
    let one = (addr(), any::<u64>(), stage, any::<u32>(), any::<bool>());
    let one = one.prop_map(|(address, count, stage, priority, backwards)| PointerArray {
        address,
        count,
        order: Initialisers { stage, priority, backwards },
    });
    vec(one, 0..4)
}

fn memory() -> impl Strategy<Value = MemoryRequest> {
    let protection = prop::sample::select(vec![Protection::ReadExecute, Protection::Read, Protection::ReadWrite]);
    let residence = prop::sample::select(vec![Residence::Near, Residence::Far]);
    let segment = (protection, residence, 1..1u64 << 46, 0..46u32);
    let segment = segment.prop_map(|(protection, residence, size, align)| SegmentRequest {
        protection,
        residence,
        size,
        align: 1 << align,
    });
    (vec(segment, 0..=6), any::<(u64, u64)>()).prop_map(|(segments, (one, other))| MemoryRequest {
        segments,
        range: AddrRange { start: Addr(one.min(other)), last: Addr(one.max(other)) },
    })
}

fn actions() -> impl Strategy<Value = Vec<WireAction>> {
    let slots = (addr(), addr(), text()).prop_map(|(slot, resolver, name)| IndirectSlot { slot, resolver, name });
    let one = prop_oneof![
        (addr(), any::<u64>()).prop_map(|(address, size)| WireAction::RegisterEhFrame(address, size)),
        (vec((addr(), any::<u64>()), 0..4), addr())
            .prop_map(|(segments, handle)| WireAction::Describe(segments, handle)),
        vec(slots, 0..4).prop_map(WireAction::ResolveOnCall),
    ];
    vec(one, 0..4)
}

fn place() -> impl Strategy<Value = PointerPlace> {
    let endian = prop::sample::select(vec![Endian::Little, Endian::Big]);
    (addr(), any::<u8>(), endian).prop_map(|(address, bytes, endian)| PointerPlace { address, bytes, endian })
}

fn queries() -> impl Strategy<Value = Vec<QueryRecord>> {
    let access = vec![ThreadLocalAccess::Dynamic, ThreadLocalAccess::Static, ThreadLocalAccess::Descriptor];
    let variable = prop_oneof![any::<u64>().prop_map(Ok), bytes().prop_map(Err)];
    let one = (variable, prop::sample::select(access)).prop_map(|(variable, access)| QueryRecord { variable, access });
    vec(one, 0..4)
}

fn imports() -> impl Strategy<Value = ImportsRecord> {
    let export = prop_oneof![bytes().prop_map(ExportRecord::Name), any::<u16>().prop_map(ExportRecord::Ordinal)];
    let search = option::of(vec(bytes(), 0..3));
    (vec(bytes(), 0..4), vec((any::<u32>(), export), 0..4), search)
        .prop_map(|(libraries, imports, search)| ImportsRecord { libraries, imports, search })
}

fn request() -> impl Strategy<Value = Request> {
    let id = any::<u32>();
    let memory = prop_oneof![
        vec(bytes(), 0..4).prop_map(Request::Lookup),
        vec(bytes(), 0..4).prop_map(Request::Unwinder),
        memory().prop_map(Request::Reserve),
        id.prop_map(Request::Abandon),
        (id, vec(any::<u64>(), 0..7)).prop_map(|(id, sizes)| Request::Prepare(id, sizes)),
        (id, vec(any::<u64>(), 0..7), any::<u32>(), actions()).prop_map(|(reservation, sizes, writes, actions)| {
            Request::Finalize { reservation, sizes, writes, actions }
        }),
        (id, any::<u64>(), bytes()).prop_map(|(segment, offset, bytes)| Request::Write(segment, offset, bytes)),
        id.prop_map(Request::Free),
        (id, addr(), any::<u64>()).prop_map(|(id, address, size)| Request::Release(id, address, size)),
        (id, place(), any::<u64>()).prop_map(|(id, place, value)| Request::StorePointer(id, place, value)),
        (id, place(), any::<(u64, u64)>()).prop_map(|(id, place, values)| Request::ReplacePointer(id, place, values)),
        (id, addr(), id).prop_map(|(id, address, size)| Request::Read(id, address, size)),
        (bytes(), any::<(u64, u64)>(), queries())
            .prop_map(|(image, extent, all)| Request::ThreadLocals(image, extent, all)),
        id.prop_map(Request::FreeThreadLocals),
    ];
    let calls = prop_oneof![
        (text(), vec(bytes(), 0..4)).prop_map(|(name, search)| Request::Load(name, search)),
        vec(c_text(), 0..4).prop_map(Request::Arguments),
        vec((c_text(), c_text()), 0..4).prop_map(Request::Environment),
        vec(addr(), 0..4).prop_map(Request::RunResolvers),
        arrays().prop_map(Request::RunArrays),
        (addr(), vec(c_text(), 0..4)).prop_map(|(entry, arguments)| Request::RunMain(entry, arguments)),
        (addr(), arrays()).prop_map(|(handle, arrays)| Request::RunAtExit(handle, arrays)),
        addr().prop_map(Request::RunExitHandlers),
        any::<i32>().prop_map(Request::Exit),
        Just(Request::Detach),
        bytes().prop_map(Request::Input),
        imports().prop_map(Request::Import),
    ];
    prop_oneof![memory, calls]
}

fn reply() -> impl Strategy<Value = Reply> {
    let reserved = (any::<u32>(), vec(addr(), 0..7), any::<u64>());
    let reserved = reserved.prop_map(|(number, starts, start)| {
        let region = AddrRange { start: Addr(start), last: Addr(u64::MAX) };
        Reply::Reserved(ReservedRecord { number, starts, region })
    });
    prop_oneof![
        Just(Reply::Done),
        (text(), text()).prop_map(|(reason, advice)| Reply::Failed(reason, advice)),
        vec(option::of(any::<u64>()), 0..4).prop_map(Reply::Addresses),
        reserved,
        vec(any::<u64>(), 0..7).prop_map(Reply::Prepared),
        any::<u32>().prop_map(Reply::Made),
        any::<bool>().prop_map(Reply::Flag),
        bytes().prop_map(Reply::Memory),
        (any::<u32>(), vec(option::of(any::<(u64, u64)>()), 0..4))
            .prop_map(|(block, answers)| Reply::Bound(block, answers)),
        any::<i32>().prop_map(Reply::Status),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let facts = ((any::<i32>(), text()), any::<u64>(), option::of(any::<u64>()), option::of(any::<u64>()));
    let facts = (facts, vec((text(), any::<u64>()), 0..4));
    prop_oneof![
        (1..=2u8, bytes()).prop_map(|(stream, bytes)| Event::Output(stream, bytes)),
        Just(Event::InputTaken),
        facts.prop_map(|((signal, address, instruction, return_to), registers)| {
            Event::Crashed(CrashFacts { signal, address, instruction, return_to, registers })
        }),
        any::<i32>().prop_map(|status| Event::Ended(End::Exited(status))),
        any::<i32>().prop_map(|signal| Event::Ended(End::Killed(signal))),
        text().prop_map(Event::Broken),
    ]
}

proptest! {
    #[test]
    fn requests_come_back(number in any::<u32>(), message in request()) {
        comes_back(number, &message);
    }

    #[test]
    fn replies_come_back(number in any::<u32>(), message in reply()) {
        comes_back(number, &message);
    }

    #[test]
    fn events_come_back(message in event()) {
        comes_back(0, &message);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(body in vec(any::<u8>(), 0..64)) {
        let frame = Frame { number: 1, body };
        // What can be read is written as it was read.
        if let Ok(request) = frame.decode::<Request>() {
            prop_assert_eq!(&Frame::encode(1, &request).unwrap()[8..], frame.body.as_slice());
        }
        if let Ok(reply) = frame.decode::<Reply>() {
            prop_assert_eq!(&Frame::encode(1, &reply).unwrap()[8..], frame.body.as_slice());
        }
        let _ = (frame.decode::<Event>(), frame.decode::<Hello>(), frame.decode::<Answer>());
    }
}

#[test]
fn greetings_come_back() {
    comes_back(1, &Hello::new(b""));
    comes_back(1, &Hello::new(&[7; 256]));
    comes_back(1, &Answer::Refused("no".into()));
    comes_back(
        1,
        &Answer::Welcome(Welcome {
            version: 1,
            arch: "x86_64".into(),
            convention: String::new(),
            little_endian: true,
            pointer_bytes: 8,
            page_size: 4096,
            lazy_linker: 1 << 40,
            process: 77,
            probe: (3, 4),
            forwards_streams: false,
        }),
    );
}

#[test]
fn numbers_are_little_endian_wherever_they_are_written() {
    let bytes = Frame::encode(0x0102_0304, &Request::Exit(-2)).unwrap();
    assert_eq!(bytes, [9, 0, 0, 0, 4, 3, 2, 1, 22, 0xfe, 0xff, 0xff, 0xff]);
}

#[test]
fn limits_hold_on_both_sides() {
    // A token.
    let long = Frame { number: 1, body: Frame::encode(1, &Hello::new(&[7; 257])).unwrap()[8..].to_vec() };
    assert_eq!(long.decode::<Hello>(), Err(WireError::TooLarge { what: "a token", value: 257, limit: 256 }));
    // A frame that is written: its number, its kind, a length, and the bytes.
    let most = FRAME_LIMIT as usize - 4 - 1 - 4;
    assert!(Frame::encode(1, &Request::Input(Bytes(vec![0; most]))).is_ok());
    let error = Frame::encode(1, &Request::Input(Bytes(vec![0; most + 1]))).unwrap_err();
    let limit = u64::from(FRAME_LIMIT);
    assert_eq!(error, WireError::TooLarge { what: "a frame", value: limit + 1, limit });
    // A frame that is read.
    for limit in [GREETING_LIMIT, FRAME_LIMIT] {
        let announced = |length: u32| read_frame(&mut length.to_le_bytes().as_slice(), limit);
        assert!(matches!(announced(limit), Err(ReadError::Wire(WireError::Truncated { .. }))));
        let (value, most) = (u64::from(limit) + 1, u64::from(limit));
        match announced(limit + 1) {
            Err(ReadError::Wire(error)) => {
                assert_eq!(error, WireError::TooLarge { what: "a frame", value, limit: most });
            }
            other => panic!("{other:?}"),
        }
    }
    // A list: of four addresses no more can be there than their bytes.
    let body = [&[17][..], &4u32.to_le_bytes(), &[0; 32]].concat();
    assert_eq!(Frame { number: 1, body: body.clone() }.decode(), Ok(Request::RunResolvers(vec![Addr(0); 4])));
    let short = Frame { number: 1, body: body[..body.len() - 1].to_vec() };
    assert_eq!(short.decode::<Request>(), Err(WireError::TooLarge { what: "a list", value: 4, limit: 3 }));
    // Segments: as many as protections and residences make.
    let segment = SegmentRequest { protection: Protection::Read, residence: Residence::Near, size: 1, align: 1 };
    let seven = Request::Reserve(MemoryRequest { segments: vec![segment; 7], range: AddrRange::ALL });
    let frame = Frame { number: 1, body: Frame::encode(1, &seven).unwrap()[8..].to_vec() };
    assert_eq!(frame.decode::<Request>(), Err(WireError::TooLarge { what: "a list of segments", value: 7, limit: 6 }));
}

#[test]
fn what_stands_for_nothing_is_refused() {
    let unknown = |body: &[u8]| Frame { number: 1, body: body.to_vec() }.decode::<Request>().unwrap_err();
    assert_eq!(unknown(&[26]), WireError::Unknown { what: "request", value: 26 });
    assert_eq!(unknown(&[255]), WireError::Unknown { what: "request", value: 255 });
    let segment = |size: u64, align: u64| {
        let segment = SegmentRequest { protection: Protection::Read, residence: Residence::Near, size, align };
        let request = Request::Reserve(MemoryRequest { segments: vec![segment], range: AddrRange::ALL });
        unknown(&Frame::encode(1, &request).unwrap()[8..])
    };
    assert_eq!(segment(0, 1), WireError::Unknown { what: "size of a segment", value: 0 });
    assert_eq!(segment(1, 3), WireError::Unknown { what: "alignment", value: 3 });
    assert_eq!(
        segment((1 << 46) + 1, 1),
        WireError::TooLarge { what: "a segment", value: (1 << 46) + 1, limit: 1 << 46 }
    );
    let text = Frame { number: 0, body: vec![5, 1, 0, 0, 0, 0xff] };
    assert_eq!(text.decode::<Event>(), Err(WireError::Text { what: "a text" }));
}

/// The messages in a stream, all of which must be of this kind.
fn all<M: Wire>(mut stream: &[u8]) -> usize {
    let mut count = 0;
    while let Some(frame) = read_frame(&mut stream, FRAME_LIMIT).unwrap() {
        frame.decode::<M>().unwrap();
        count += 1;
    }
    count
}

#[test]
fn what_fuzzing_starts_from_are_messages_of_every_kind() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/remote");
    let mut counts = [0; 5];
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let (kind, stream) = bytes.split_first().unwrap();
        counts[usize::from(*kind)] += match kind {
            0 => all::<Request>(stream),
            1 => all::<Reply>(stream),
            2 => all::<Event>(stream),
            3 => all::<Hello>(stream),
            _ => all::<Answer>(stream),
        };
    }
    assert_eq!(counts, [25, 10, 6, 1, 2]);
}
