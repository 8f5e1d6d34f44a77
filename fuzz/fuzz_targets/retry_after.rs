//! The headers `Retry-After` and `Date`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::cloud::properties::retry_after(data));
