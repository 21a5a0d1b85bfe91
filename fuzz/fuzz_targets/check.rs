//! The load-time check reads any bytes without a panic, and what it lets through keeps its promises.
#![no_main]

use gotong_engine::{MAX_MEMORY, MAX_SIZE, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match check(bytes) {
        Ok(checked) => {
            assert!(bytes.len() <= MAX_SIZE);
            assert!(checked.memory_initial <= checked.memory_maximum);
            assert!(checked.memory_maximum <= MAX_MEMORY as u64);
            assert_eq!(check(bytes).as_ref(), Ok(&checked));
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("rule ") && line.ends_with(error.rule.fix()));
        }
    }
});
