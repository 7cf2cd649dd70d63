//! Our maps and the running kernel's, side by side: the same definitions and the same random operations give the same results,
//! down to the error numbers. Skipped where the kernel does not let the process make maps.

#![cfg(target_os = "linux")]

#[path = "kernel_maps/create.rs"]
mod create;
#[path = "kernel_maps/objects.rs"]
mod objects;
#[path = "kernel_maps/programs.rs"]
mod programs;
#[path = "kernel_maps/sequences.rs"]
mod sequences;
#[path = "kernel_maps/sys.rs"]
mod sys;
