//! Does a snapshot come back from its file as it was, and does any other file say which line is wrong?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::snapshot::holds(input));
