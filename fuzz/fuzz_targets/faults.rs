//! The emulated cloud's fault file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::cloud::properties::faults(data));
