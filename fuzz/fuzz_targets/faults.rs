//! The emulated cloud's fault file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::simcloud::properties::faults(data));
