//! A lock that parses is written and read again as the same lock; one that does not is refused in one line.
#![no_main]

use gotong_engine::Lock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Lock::parse(text) {
        Ok(lock) => {
            let written = lock.to_toml();
            assert_eq!(Lock::parse(&written).as_ref(), Ok(&lock), "{written}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
