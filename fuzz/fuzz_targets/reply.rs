//! Is any body of a server a reply that can be priced, judged, kept and shown, or refused in a few harmless words?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::reply::holds(input));
