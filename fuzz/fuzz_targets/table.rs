//! Does a table of any content load, whichever of its formats it is taken for, or say what is wrong at places inside of it?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::table::holds(input));
