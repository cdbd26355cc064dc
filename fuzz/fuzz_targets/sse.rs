//! Is a stream the same however it is cut into pieces, and a stream that was cut off never another message?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::sse::holds(input));
