//! A recorded decision is replayed whatever stands in it: the pinned modules answer, or the verdict says why not.
#![no_main]

use std::sync::LazyLock;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::{Decision, Digest, Engine, Policies, Verdict, replay};
use libfuzzer_sys::fuzz_target;

static POLICIES: LazyLock<Policies> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies");
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).expect("the policies are there");
    Policies::load(&Engine::new().expect("an engine"), &dir, None).expect("they load")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut decision) = serde_json::from_slice::<Decision>(bytes) else {
        return;
    };
    // A digest that fits its bytes is no feat of a forger, but the fuzzer would not find one.
    decision.input_digest = Digest::of(&decision.input).to_string();
    decision.output_digest = decision
        .output
        .as_ref()
        .map(|output| Digest::of(output).to_string());
    let Ok(record) = decision.into_record() else {
        return;
    };
    let first = replay(&*POLICIES, &record);
    if !matches!(first, Verdict::NotReplayable { .. }) {
        assert_eq!(first, replay(&*POLICIES, &record));
    }
});
