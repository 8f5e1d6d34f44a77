//! Any bytes as a segment of the journal.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::store::properties::journal(data));
