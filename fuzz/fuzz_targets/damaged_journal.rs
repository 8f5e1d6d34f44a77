//! Blows at a journal that was written.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::store::properties::damaged_journal(data));
