//! Vector registers that hold arguments of a function that is found on its first call.
//!
//! The code that makes such a call keeps the registers that all machines of its kind have. On 32-bit PowerPC only some have vector registers,
//! which functions get their arguments in (`v2` to `v13`), and which the C library uses where they are; linked code cannot tell.
//! This process can: the system says so.

/// Does something, after which the vector registers that may hold arguments are what they were.
#[cfg(not(target_arch = "powerpc"))]
pub(super) fn kept<T>(act: impl FnOnce() -> T) -> T {
    act()
}

/// Does something, after which the vector registers that may hold arguments are what they were.
#[cfg(target_arch = "powerpc")]
pub(super) fn kept<T>(act: impl FnOnce() -> T) -> T {
    use std::arch::asm;

    #[repr(C, align(16))]
    struct Vectors([[u8; 16]; 12]);

    // PPC_FEATURE_HAS_ALTIVEC of linux/arch/powerpc/include/uapi/asm/cputable.h
    const HAS_ALTIVEC: libc::c_ulong = 0x1000_0000;
    // SAFETY: reads what the system told this process when it started.
    if unsafe { libc::getauxval(libc::AT_HWCAP) } & HAS_ALTIVEC == 0 {
        return act();
    }
    // Instructions as numbers, because this crate is compiled for machines without them: `stvx vN, 0, r9` and `lvx vN, 0, r9`, with the
    // address sixteen bytes further each time.
    let mut vectors = Vectors([[0; 16]; 12]);
    // SAFETY: the machine has the registers; twelve of them are written to memory of that size and alignment.
    unsafe {
        asm!(
            ".irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13",
            ".long 0x7c0049ce | \\n << 21",
            "addi 9, 9, 16",
            ".endr",
            inout("r9") vectors.0.as_mut_ptr() => _,
            options(nostack, preserves_flags),
        );
    }
    let done = act();
    // SAFETY: as above, and they are read back; a function may change all of them, so nothing here counts on them.
    unsafe {
        asm!(
            ".irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13",
            ".long 0x7c0048ce | \\n << 21",
            "addi 9, 9, 16",
            ".endr",
            inout("r9") vectors.0.as_ptr() => _,
            options(nostack, readonly, preserves_flags),
        );
    }
    done
}
