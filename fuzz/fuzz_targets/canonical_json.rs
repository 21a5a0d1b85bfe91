//! Canonical JSON is one text for one value: reading it back and writing it again changes no byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    // A number that has no exact text is refused, not rounded.
    let Ok(text) = serde_json_canonicalizer::to_string(&value) else {
        return;
    };
    let again: Value = serde_json::from_str(&text).expect("canonical JSON is JSON");
    let rewritten = serde_json_canonicalizer::to_string(&again).expect("it was written once");
    assert_eq!(text, rewritten);
    if let (Value::Object(first), Value::Object(second)) = (&value, &again) {
        assert_eq!(first.len(), second.len());
    }
});
