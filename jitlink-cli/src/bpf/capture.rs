//! Packets out of captures.

use super::bytes;
use super::error::Failure;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
use std::path::Path;

/// The link type of Ethernet frames (`DLT_EN10MB`).
const ETHERNET: i32 = 1;
/// How much of a capture is looked at to find its next packet; larger ones grow it.
const WINDOW: usize = 1 << 16;
/// No packet is larger.
const LARGEST: usize = 1 << 24;

/// The packets of a capture, in its order. Only Ethernet frames are packets to a program.
pub(super) fn packets(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = bytes::read(path)?;
    let advice = "give what tcpdump -w or Wireshark writes";
    let refuse = |what: String| Failure::new("capture", format!("{}: {what}", path.display()), advice);
    let mut reader =
        create_reader(WINDOW, &*bytes).map_err(|error| refuse(format!("this is no capture: {error:?}")))?;
    let (mut packets, mut window) = (Vec::new(), WINDOW);
    // The link types of the interfaces of the section at hand.
    let mut links: Vec<i32> = Vec::new();
    loop {
        let exhausted = reader.reader_exhausted();
        match reader.next() {
            Ok((offset, block)) => {
                let packet = match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        links = vec![header.network.0];
                        None
                    }
                    PcapBlockOwned::Legacy(packet) => Some((0, packet.data.to_vec(), packet.caplen)),
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                        links.clear();
                        None
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        links.push(interface.linktype.0);
                        None
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        Some((packet.if_id as usize, packet.packet_data().to_vec(), packet.caplen))
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                        Some((0, packet.packet_data().to_vec(), packet.origlen.min(packet.data.len() as u32)))
                    }
                    PcapBlockOwned::NG(_) => None,
                };
                if let Some((interface, mut data, len)) = packet {
                    match links.get(interface) {
                        Some(&ETHERNET) => {}
                        Some(link) => {
                            return Err(refuse(format!(
                                "packet {} is of link type {link}, not Ethernet (1)",
                                packets.len()
                            )));
                        }
                        None => {
                            return Err(refuse(format!(
                                "packet {} is of an interface that was not described",
                                packets.len()
                            )));
                        }
                    }
                    data.truncate(len as usize);
                    packets.push(data);
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => return Ok(packets),
            Err(error)
                if matches!(error, PcapError::UnexpectedEof)
                    || exhausted && matches!(error, PcapError::Incomplete(_)) =>
            {
                return Err(refuse(format!("it ends within packet {}", packets.len())));
            }
            Err(PcapError::Incomplete(_)) => {
                if window < LARGEST && !reader.grow(window * 2) {
                    return Err(refuse(format!("packet {} is larger than {LARGEST:#x} bytes", packets.len())));
                }
                window *= 2;
                reader.refill().map_err(|error| refuse(format!("{error:?}")))?;
            }
            Err(error) => return Err(refuse(format!("packet {}: {error:?}", packets.len()))),
        }
    }
}
