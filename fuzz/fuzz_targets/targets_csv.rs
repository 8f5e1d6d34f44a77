//! A file of targets, CSV.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::planfile::properties::targets("csv", data));
