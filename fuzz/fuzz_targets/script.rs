//! Does any simulator script load, or say what is wrong with it at lines that it has?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::script::holds(input));
