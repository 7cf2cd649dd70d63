//! The COFF reader: objects built byte by byte, objects of an assembler, and links of them beside those of LLD.

mod builder;
mod comdat;
mod imports;
mod kit;
mod machines;
mod malformed;
mod objects;
mod symbols;
