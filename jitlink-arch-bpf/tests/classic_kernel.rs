//! Classic programs that the kernel attaches to a socket are those that the rules here allow. Needs no privileges.
#![cfg(target_os = "linux")]

use jitlink_arch_bpf::classic::{Filter, FilterKind, check};
use proptest::prelude::*;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// Whether the kernel attaches the program to a socket.
fn kernel_takes(socket: &UnixDatagram, program: &[Filter]) -> bool {
    let mut filters: Vec<libc::sock_filter> = program
        .iter()
        .map(|filter| libc::sock_filter { code: filter.code, jt: filter.jt, jf: filter.jf, k: filter.k })
        .collect();
    let description = libc::sock_fprog { len: filters.len() as u16, filter: filters.as_mut_ptr() };
    // SAFETY: the description and the filters that it points to live until the call returns, and the length is that of the former.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const description).cast(),
            size_of_val(&description) as libc::socklen_t,
        )
    };
    result == 0
}

/// Instructions that are often right: known codes, short jumps, small constants, and some of each that are not.
fn instruction() -> impl Strategy<Value = Filter> {
    let code = prop_oneof![
        20 => prop::sample::select(vec![
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28, 0x2c, 0x2d,
            0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c,
            0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1,
        ]),
        1 => 0..0x100u16,
        1 => any::<u16>(),
    ];
    let constant =
        prop_oneof![10 => 0..4u32, 4 => 0..40u32, 2 => (0..20u32).prop_map(|k| 0xffff_f000 + 4 * k), 1 => any::<u32>()];
    (code, 0..3u8, 0..3u8, constant).prop_map(|(code, jt, jf, k)| Filter { code, jt, jf, k })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_kernel_and_the_rules_agree(mut program in prop::collection::vec(instruction(), 0..8)) {
        program.push(Filter { code: 0x06, jt: 0, jf: 0, k: 1 });
        let (socket, _other) = UnixDatagram::pair().unwrap();
        prop_assert_eq!(kernel_takes(&socket, &program), check(&program, FilterKind::Socket).is_ok());
    }
}
