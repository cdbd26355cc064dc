//! Does any suite file load, or say what is wrong with it at places inside of it?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::suite::holds(input));
