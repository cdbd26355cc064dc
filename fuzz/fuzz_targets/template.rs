//! Does any template render within its bounds, or say at which of its lines it does not?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::template::holds(input));
