//! What each type of map does, against what the kernel's documents say and against naive models.

mod absurd;
mod array;
mod hash;
mod keyless;
mod lpm;
mod objects;
mod ring;
mod threads;
