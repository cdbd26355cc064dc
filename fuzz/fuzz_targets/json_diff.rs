//! Do the differences of two JSON values, applied to the one, give the other?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::json_diff::holds(input));
