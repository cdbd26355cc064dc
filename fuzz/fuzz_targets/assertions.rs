//! Is any pattern, path or schema compiled or refused, and any reply judged by it in bounded time, with a result of bounded length?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::assertions::holds(input));
