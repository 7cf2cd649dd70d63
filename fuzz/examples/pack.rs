//! Writes the seeds of the `link` and `update` targets: each committed object alone and all together, some drawn ones, under several options.
//! `cargo run --no-default-features --example pack` after a change of what the target makes of its bytes.

use jitlink_fuzz::case::OBJECTS;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/link");
    std::fs::create_dir_all(&folder)?;
    for (number, _) in OBJECTS.iter().enumerate() {
        // Base and pages; threads and process; names outside the batch; roots: then one input, an object as it is.
        for (world, flags) in [(1, 0x00), (2, 0x18), (6, 0xa0)] {
            let bytes = [number as u8, flags, world, 0, 0, 1, number as u8, 0];
            std::fs::write(folder.join(format!("object-{number}-{world}")), bytes)?;
        }
    }
    // The first objects as an archive, and one that needs them.
    let mut archive = vec![0, 0x03, 1, 0, 5];
    for number in [2, 0, 4] {
        archive.extend([1, number, 0]);
    }
    archive.extend([7, 1, 8, 0, 1, 6, 0]);
    std::fs::write(folder.join("archive"), &archive)?;
    archive[1] = 0x5b;
    archive[5] = 15;
    std::fs::write(folder.join("archive-updatable"), &archive)?;
    drawn(&folder, [4, 0, 0], 120)?;
    drawn(&Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/update"), [60, 1, 2], 240)
}

/// Drawn objects: bytes without a pattern after a head.
fn drawn(folder: &Path, head: [u8; 3], size: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for number in 0..24u8 {
        let mut bytes = vec![number, number.wrapping_mul(37), number, 0, number % 4, head[0], head[1], head[2]];
        for _ in 0..size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state as u8);
        }
        std::fs::write(folder.join(format!("drawn-{number}")), &bytes)?;
        if number == 1 && head[0] == 4 {
            // Several numbers of threads, and many objects.
            (bytes[1], bytes[3]) = (0x07, 0x30);
            std::fs::write(folder.join("many"), bytes)?;
        }
    }
    Ok(())
}
