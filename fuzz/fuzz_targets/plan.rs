//! A plan file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::planfile::properties::plan(data));
