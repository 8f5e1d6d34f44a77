//! Any bytes as the file of a submission.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::store::properties::submission(data));
