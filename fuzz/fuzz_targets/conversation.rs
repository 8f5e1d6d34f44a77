//! What a MySQL server says to a probe: greeting, then answers to a login.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::probe::properties::conversation(data));
