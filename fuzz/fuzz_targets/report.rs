//! Is any run report read back as it was written, and drawn in every format without harm; is anything else refused?

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| promptkeel_fuzz::promises::report::holds(input));
