#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portico_tests_fuzz::journal(bytes));
