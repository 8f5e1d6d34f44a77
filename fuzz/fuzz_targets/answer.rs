//! The cloud's answer to any of the calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::cloud::properties::answer(data));
