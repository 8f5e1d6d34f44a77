//! A cron expression.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::domain::cron::properties::cron(data));
