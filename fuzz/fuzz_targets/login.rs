//! IAM's answer to a login.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::cloud::properties::login(data));
