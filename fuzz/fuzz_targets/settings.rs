//! Is any TOML read into a tree whose places are inside of it, or refused at such a place?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::settings::holds(input));
