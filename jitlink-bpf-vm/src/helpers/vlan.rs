//! VLAN tags (IEEE 802.1Q): one beside the packet's bytes, others in them.

use super::errno::ENOMEM;
use super::room::MAX_LEN;
use super::{Host, Table, packet};
use crate::call::Call;
use crate::contexts::{PacketContext, Vlan};
use crate::fault::Fault;
use crate::memory::OutOfMemory;

pub(super) static HELPERS: Table = &[("skb_vlan_push", skb_vlan_push), ("skb_vlan_pop", skb_vlan_pop)];

const CUSTOMER: u16 = 0x8100;
const SERVICE: u16 = 0x88a8;
/// Where a tag is in a packet: behind the addresses of the link header.
const PLACE: usize = 12;

/// The tag that the packet had beside its bytes goes into them, and the new one takes its place.
fn skb_vlan_push(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let [_, protocol, tci, ..] = call.arguments();
    // The argument is in network byte order.
    let mut bytes = [0; 2];
    call.endian().write(&mut bytes, protocol & 0xffff);
    let wanted = u16::from_be_bytes(bytes);
    let protocol = if wanted == SERVICE { SERVICE } else { CUSTOMER };
    let context = packet(call, "bpf_skb_vlan_push")?;
    if let Some(old) = context.vlan()
        && (context.buffer.len() + 4 > MAX_LEN || insert(context, old).is_err())
    {
        return Ok(ENOMEM);
    }
    context.set_vlan(Some(Vlan { protocol, tci: tci as u16 }));
    context.publish();
    call.packet_changed();
    Ok(0)
}

fn insert(context: &mut PacketContext, tag: Vlan) -> Result<(), OutOfMemory> {
    let place = PLACE.min(context.buffer.len());
    context.buffer.insert(place, 4)?;
    let [a, b] = tag.protocol.to_be_bytes();
    let [c, d] = tag.tci.to_be_bytes();
    context.buffer.set(place as u64, &[a, b, c, d]);
    context.set_protocol(tag.protocol);
    Ok(())
}

/// Removes the tag beside the packet, or else the first in its bytes; then the next in the bytes goes beside them.
fn skb_vlan_pop(call: &mut Call<'_, '_>, _: &Host) -> Result<u64, Fault> {
    let context = packet(call, "bpf_skb_vlan_pop")?;
    let is_tagged = |context: &PacketContext| matches!(context.protocol(), CUSTOMER | SERVICE);
    if context.vlan().is_some() {
        context.set_vlan(None);
    } else if !is_tagged(context) {
        return Ok(0);
    } else if remove(context).is_none() {
        return Ok(ENOMEM);
    }
    let protocol = context.protocol();
    let mut result = 0;
    if is_tagged(context) {
        match remove(context) {
            Some(tci) => context.set_vlan(Some(Vlan { protocol, tci })),
            None => result = ENOMEM,
        }
    }
    // Also where the second tag is cut off, the first is gone.
    context.publish();
    call.packet_changed();
    Ok(result)
}

/// Takes the tag out of the packet's bytes; none if the packet is too short for one.
fn remove(context: &mut PacketContext) -> Option<u16> {
    let tci = context.buffer.get16(PLACE + 2)?;
    let inner = context.buffer.get16(PLACE + 4)?;
    context.buffer.remove(PLACE, 4);
    context.set_protocol(inner);
    Some(tci)
}
