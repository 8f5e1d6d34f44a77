//! The daemon's configuration.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::config::properties::config(data));
