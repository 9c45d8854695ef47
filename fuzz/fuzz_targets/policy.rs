#![no_main]

#[path = "../../tests/suite/inputs/mod.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod inputs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| inputs::policy::check(data));
