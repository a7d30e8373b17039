//! Tries to break the rule `path` of `callgate::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| callgate::fuzz::try_input("path", input));
