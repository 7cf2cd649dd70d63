//! The context of programs that get a packet: `xdp_md` or `__sk_buff`.
//!
//! One memory holds the structure and, behind it, the sockets that the program was given, each as `struct bpf_sock`.
//! The program reads and writes fields there; what helpers know beside them is here. The packet's bounds stand in both,
//! and [`PacketContext::publish`] makes them equal after a change.

use std::sync::Arc;

use jitlink_arch_bpf::catalog::contexts;
use jitlink_arch_bpf::catalog::programs::ProgramType;
use jitlink_core::Endian;

use super::packet::{Action, Packet, Vlan};
use super::socket::{self, Socket};
use super::{Buffer, fields};
use crate::address::{CONTEXT, PACKET};
use crate::context::{self, Context};
use crate::fault::Access;
use crate::memory::{Memory, OutOfMemory};

/// Bytes before an XDP packet (`XDP_PACKET_HEADROOM`), and before others here.
pub(crate) const HEADROOM: usize = 256;
/// The size of an XDP packet's memory, head- and tailroom included: a page.
const XDP_FRAME: usize = 4096;
/// What the kernel keeps at the end of an XDP packet's memory (`struct skb_shared_info`).
const XDP_TAIL: usize = 320;
/// The longest packet with its metadata: its addresses are below 4 GiB.
const MAX_PACKET: usize = 1 << 30;
/// How many sockets a program may hold at once.
const SOCKETS: usize = 16;
/// Where sockets start behind the structure; they are this far apart.
const SOCKETS_AT: usize = 256;
const SOCKET_STRIDE: usize = 96;

/// What is known of a packet's checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: it has to be computed.
    #[default]
    Unknown,
    /// The hardware has checked it, and as many more inside of it.
    Checked(u8),
}

/// What an XDP, traffic control, socket or cgroup program is called with.
#[derive(Debug)]
pub struct PacketContext {
    program: ProgramType,
    description: &'static contexts::Context,
    pub(crate) endian: Endian,
    memory: Arc<Memory>,
    pub(crate) buffer: Buffer,
    packet: Packet,
    sockets: [Option<Socket>; SOCKETS],
    /// How many bytes before the network header.
    pub(crate) link_len: usize,
    pub(crate) checksum: Checksum,
    /// A tunnel header was added before.
    pub(crate) encapsulated: bool,
    pub(crate) actions: Vec<Action>,
}

impl PacketContext {
    /// The context of a program of a kind, whose data have a byte order. `None` if programs of that kind get no packet.
    pub fn new(program: ProgramType, packet: Packet, endian: Endian) -> Result<Option<PacketContext>, OutOfMemory> {
        let Some(description) = contexts::of(program) else { return Ok(None) };
        let len = packet.bytes.len().saturating_add(packet.metadata.len());
        if len > MAX_PACKET {
            return Err(OutOfMemory(len));
        }
        let memory = Arc::new(Memory::zeroed(SOCKETS_AT + SOCKETS * SOCKET_STRIDE)?);
        let tail = match program {
            ProgramType::Xdp => {
                XDP_FRAME.saturating_sub(HEADROOM + XDP_TAIL + packet.metadata.len() + packet.bytes.len())
            }
            _ => XDP_FRAME,
        };
        let buffer = Buffer::new(&packet.metadata, &packet.bytes, (HEADROOM, tail))?;
        let link_len = match program {
            ProgramType::SchedCls | ProgramType::SchedAct | ProgramType::SocketFilter => 14.min(packet.bytes.len()),
            _ => 0,
        };
        let mut context = PacketContext {
            program,
            description,
            endian,
            memory,
            buffer,
            packet,
            sockets: Default::default(),
            link_len,
            checksum: Checksum::Unknown,
            encapsulated: false,
            actions: Vec::new(),
        };
        context.fill();
        context.publish();
        Ok(Some(context))
    }

    /// The kind of program.
    pub fn program(&self) -> ProgramType {
        self.program
    }

    /// The packet as it is now.
    pub fn packet(&self) -> Packet {
        let cb = self.description.field("cb").map_or(0, |field| field.offset as usize);
        let mut packet = Packet { bytes: self.buffer.to_vec(), ..self.packet.clone() };
        packet.metadata = self.buffer.memory.to_vec(self.buffer.meta, self.buffer.data - self.buffer.meta);
        if self.program == ProgramType::Xdp {
            return packet;
        }
        let get = |name| self.field(name);
        packet.mark = get("mark") as u32;
        packet.priority = get("priority") as u32;
        packet.queue_mapping = get("queue_mapping") as u16;
        packet.tc_index = get("tc_index") as u16;
        packet.tc_classid = get("tc_classid") as u32;
        packet.tstamp = get("tstamp");
        packet.tstamp_type = get("tstamp_type") as u8;
        packet.hash = get("hash") as u32;
        packet.pkt_type = get("pkt_type") as u32;
        for (i, word) in packet.cb.iter_mut().enumerate() {
            *word = self.endian.read(&self.memory.to_vec(cb + 4 * i, 4)) as u32;
        }
        packet
    }

    /// What the program asked for, in the order of its calls.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// What is known of the checksum.
    pub fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The type of what the packet holds (`ETH_P_*`).
    pub(crate) fn protocol(&self) -> u16 {
        self.packet.protocol
    }

    pub(crate) fn set_protocol(&mut self, protocol: u16) {
        self.packet.protocol = protocol;
        self.put("protocol", self.network_order(protocol).into());
    }

    pub(crate) fn vlan(&self) -> Option<Vlan> {
        self.packet.vlan
    }

    pub(crate) fn set_vlan(&mut self, vlan: Option<Vlan>) {
        self.packet.vlan = vlan;
        self.put("vlan_present", vlan.is_some().into());
        self.put("vlan_tci", vlan.map_or(0, |vlan| vlan.tci.into()));
        self.put("vlan_proto", vlan.map_or(0, |vlan| self.network_order(vlan.protocol).into()));
    }

    /// The value of a field; zero if this kind of context has none of the name.
    pub(crate) fn field(&self, name: &str) -> u64 {
        let Some(field) = self.description.field(name).filter(|field| field.size <= 8) else { return 0 };
        self.endian.read(&self.memory.to_vec(field.offset as usize, field.size as usize))
    }

    /// Changes a field, if this kind of context has it.
    pub(crate) fn put(&self, name: &str, value: u64) {
        let Some(field) = self.description.field(name).filter(|field| field.size <= 8) else { return };
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..field.size as usize];
        self.endian.write(bytes, value);
        self.memory.write(field.offset as usize, bytes);
    }

    /// Writes the packet's bounds where the program sees them.
    pub(crate) fn publish(&self) {
        let address = |offset: usize| PACKET + offset as u64;
        self.put("data", address(self.buffer.data));
        self.put("data_end", address(self.buffer.end));
        self.put("data_meta", address(self.buffer.meta));
        self.put("len", self.buffer.len() as u64);
        if self.packet.wire_len == 0 {
            self.put("wire_len", self.buffer.len() as u64);
        }
    }

    /// Gives a socket to the program: its address, or none if the program holds too many.
    pub(crate) fn add_socket(&mut self, socket: Socket) -> Option<u64> {
        let free = self.sockets.iter().position(Option::is_none)?;
        let place = SOCKETS_AT + free * SOCKET_STRIDE;
        self.memory.write(place, &socket.to_bytes(self.endian));
        self.sockets[free] = Some(socket);
        Some(CONTEXT + place as u64)
    }

    /// The socket at an address.
    pub(crate) fn socket(&self, address: u64) -> Option<&Socket> {
        self.sockets[socket_index(address)?].as_ref()
    }

    /// Takes back the socket at an address; whether there was one that the program had to give back.
    pub(crate) fn remove_socket(&mut self, address: u64) -> bool {
        let own = self.field("sk");
        let Some(index) = socket_index(address) else { return false };
        address != own && self.sockets[index].take().is_some()
    }

    /// The socket that the packet belongs to.
    pub(crate) fn own_socket(&self) -> Option<&Socket> {
        self.packet.socket.as_ref()
    }

    /// A 16-bit number as the program sees it where the kernel keeps network byte order.
    fn network_order(&self, number: u16) -> u16 {
        match self.endian {
            Endian::Little => number.swap_bytes(),
            Endian::Big => number,
        }
    }

    /// Writes all fields but the packet's bounds.
    fn fill(&mut self) {
        let packet = self.packet.clone();
        let numbers: [(&str, u64); 18] = [
            ("rx_queue_index", packet.rx_queue.into()),
            ("egress_ifindex", packet.egress_ifindex.into()),
            ("ingress_ifindex", packet.ingress_ifindex.into()),
            ("ifindex", packet.ifindex.into()),
            ("pkt_type", packet.pkt_type.into()),
            ("mark", packet.mark.into()),
            ("queue_mapping", packet.queue_mapping.into()),
            ("priority", packet.priority.into()),
            ("tc_index", packet.tc_index.into()),
            ("hash", packet.hash.into()),
            ("tc_classid", packet.tc_classid.into()),
            ("napi_id", packet.napi_id.into()),
            ("tstamp", packet.tstamp),
            ("tstamp_type", packet.tstamp_type.into()),
            ("hwtstamp", packet.hwtstamp),
            ("wire_len", packet.wire_len.into()),
            ("gso_segs", packet.gso_segs.into()),
            ("gso_size", packet.gso_size.into()),
        ];
        for (name, value) in numbers {
            self.put(name, value);
        }
        self.set_protocol(packet.protocol);
        self.set_vlan(packet.vlan);
        if let Some(field) = self.description.field("cb") {
            for (i, word) in packet.cb.into_iter().enumerate() {
                let mut bytes = [0; 4];
                self.endian.write(&mut bytes, word.into());
                self.memory.write(field.offset as usize + 4 * i, &bytes);
            }
        }
        if let Some(socket) = packet.socket {
            self.fill_socket(&socket);
            let address = self.add_socket(socket);
            self.put("sk", address.unwrap_or(0));
        }
    }

    /// The fields that tell of the socket.
    fn fill_socket(&self, socket: &Socket) {
        self.put("family", socket.family.into());
        self.put("local_port", socket.source_port.into());
        // Network byte order in a word of 32 bits.
        let port = u32::from(socket.destination_port);
        self.put("remote_port", if self.endian == Endian::Little { port.swap_bytes() } else { port }.into());
        let wide = socket.family == 10;
        let suffix = if wide { "ip6" } else { "ip4" };
        for (side, bytes) in [("local", socket.source), ("remote", socket.destination)] {
            if let Some(field) = self.description.field(&format!("{side}_{suffix}")) {
                self.memory.write(field.offset as usize, &bytes[..field.size as usize]);
            }
        }
    }
}

fn socket_index(address: u64) -> Option<usize> {
    let offset = usize::try_from(address.checked_sub(CONTEXT + SOCKETS_AT as u64)?).ok()?;
    (offset % SOCKET_STRIDE == 0 && offset / SOCKET_STRIDE < SOCKETS).then_some(offset / SOCKET_STRIDE)
}

impl Context for PacketContext {
    fn memory(&self) -> Option<&Arc<Memory>> {
        Some(&self.memory)
    }

    fn is_plain(&self) -> bool {
        false
    }

    fn check(&self, offset: u32, size: u32, access: Access) -> Result<(), String> {
        let place = offset as usize;
        let Some(behind) = place.checked_sub(SOCKETS_AT) else {
            return fields::check(self.description, self.program, (offset, size), access);
        };
        let inside = behind % SOCKET_STRIDE + size as usize <= socket::SIZE;
        let there = self.sockets.get(behind / SOCKET_STRIDE).is_some_and(Option::is_some);
        match (inside && there, access) {
            (true, Access::Read) => Ok(()),
            (true, Access::Write) => Err("programs only read sockets".into()),
            (false, _) => Err("there is no socket".into()),
        }
    }

    fn run_ended(&mut self) {
        let own = socket_index(self.field("sk"));
        for (index, socket) in self.sockets.iter_mut().enumerate() {
            if Some(index) != own {
                *socket = None;
            }
        }
    }

    fn packet(&self) -> Option<context::Packet> {
        let Buffer { memory, meta, data, end } = self.buffer.clone();
        // The others may only read packets in place.
        let writable = matches!(
            self.program,
            ProgramType::Xdp
                | ProgramType::SchedCls
                | ProgramType::SchedAct
                | ProgramType::LwtXmit
                | ProgramType::SkSkb
        );
        Some(context::Packet { memory, start: meta, data, end, writable })
    }

    fn load_packet(&self, offset: i32, bytes: &mut [u8]) -> bool {
        /// Offsets below zero count from the network header (`SKF_NET_OFF`) or the link header (`SKF_LL_OFF`).
        const NETWORK: i64 = -0x10_0000;
        const LINK: i64 = -0x20_0000;
        let offset = i64::from(offset);
        let place = match offset {
            0.. => offset,
            NETWORK.. => offset - NETWORK + self.link_len as i64,
            LINK.. => offset - LINK,
            _ => return false,
        };
        let found = u64::try_from(place).ok().and_then(|place| self.buffer.place(place, bytes.len() as u64));
        if let Some(found) = found {
            self.buffer.memory.read(found, bytes);
        }
        found.is_some()
    }
}
