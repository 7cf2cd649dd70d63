//! The examples of the repository's front page, compiled as tests. Nothing else is here; tasks are in `main.rs`.
#![cfg_attr(all(doctest, target_arch = "x86_64", target_os = "linux"), doc = include_str!("../../README.md"))]
