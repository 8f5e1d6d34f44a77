//! A file of targets, JSON Lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::planfile::properties::targets("jsonl", data));
