//! A file of targets, YAML.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift::planfile::properties::targets("yaml", data));
