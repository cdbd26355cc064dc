//! Does a difference of two texts, applied to the one, give the other?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::text_diff::holds(input));
