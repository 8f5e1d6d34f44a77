//! The emulated cloud's accounts file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::simcloud::properties::accounts(data));
