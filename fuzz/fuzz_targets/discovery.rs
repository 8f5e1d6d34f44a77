//! The file of a discovery.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::planfile::properties::discovery(data));
