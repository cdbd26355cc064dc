//! Is any problem drawn, wherever it says that it stands, with nothing in it that a terminal obeys?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::problem::holds(input));
