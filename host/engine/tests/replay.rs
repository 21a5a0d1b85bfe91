//! Replay: a recorded decision comes out again, or the verdict says what differs.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use gotong_engine::gate::{CloseFacts, GateType, Phase, StagesFacts};
use gotong_engine::types::Track;
use gotong_engine::{
    Digest, Engine, Family, Outcome, Policies, Record, RecordMode, Verdict, pin, replay,
};
use modules::{copy, gate, repository};

fn close_facts() -> CloseFacts {
    CloseFacts {
        gate_type: GateType::Vote,
        phase: Phase::Deciding,
        objections: 1,
        challenges: 0,
        yes: 3,
        no: 1,
        abstain: 0,
        quorum: 2,
        threshold_permille: 600,
        challenge_window_hours: 0,
    }
}

fn loaded() -> (Policies, Record) {
    let policies = Policies::load(&Engine::new().unwrap(), &repository(), None).unwrap();
    let (ruling, record) = policies.active(Family::Gate).rule(&close_facts());
    assert!(ruling.is_some());
    (policies, record)
}

fn field(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Diverged { field, .. } => field,
        Verdict::Match => "match",
        Verdict::NotReplayable { .. } => "not replayable",
    }
}

#[test]
fn a_record_replays_and_survives_being_stored() {
    let (policies, record) = loaded();
    assert_eq!(replay(&policies, &record), Verdict::Match);
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    let value = serde_json::to_value(&record).unwrap();
    assert_eq!(
        (&value["outcome"], &value["mode"]),
        (&"ruled".into(), &"active".into())
    );
    assert_eq!(record.input_digest, Digest::of(&record.input));
    assert!(
        record
            .input
            .starts_with(r#"{"abstain":0,"challenge_window_hours":0,"#),
        "{}",
        record.input
    );
}

#[test]
fn a_record_that_was_changed_has_diverged() {
    let (policies, record) = loaded();
    let changed = |change: &dyn Fn(&mut Record)| {
        let mut record = record.clone();
        change(&mut record);
        replay(&policies, &record)
    };
    let verdict = changed(&|record| record.input = record.input.replace("\"yes\":3", "\"yes\":0"));
    assert_eq!(field(&verdict), "input_digest");
    // With the digest changed too, it is the module that contradicts.
    let verdict = changed(&|record| {
        record.input = record.input.replace("\"yes\":3", "\"yes\":0");
        record.input_digest = Digest::of(&record.input);
    });
    assert_eq!(field(&verdict), "output");
    let verdict = changed(&|record| {
        record.output = record
            .output
            .as_ref()
            .map(|output| output.replace("applied", "rejected"))
    });
    assert_eq!(field(&verdict), "output_digest");
    assert_eq!(field(&changed(&|record| record.fuel += 1)), "fuel");
    assert_eq!(
        field(&changed(&|record| record.outcome = Outcome::FuelExhausted)),
        "output"
    );
    assert_eq!(
        field(&changed(&|record| record.module.version = "2.0.0".into())),
        "version"
    );
    assert_eq!(
        field(&changed(&|record| record.family = Family::RoleMatrix)),
        "family"
    );
    // The same facts in another spelling are not the recorded ones.
    let verdict = changed(&|record| {
        record.input = record.input.replace("{\"abstain\":0,", "{ \"abstain\":0,");
        record.input_digest = Digest::of(&record.input);
    });
    assert_eq!(field(&verdict), "input");
}

#[test]
fn what_cannot_be_repeated_is_said_to_be_so() {
    let (policies, record) = loaded();
    let mut unknown = record.clone();
    unknown.module.digest = Digest::of("another module");
    assert_eq!(field(&replay(&policies, &unknown)), "not replayable");
    let mut strange = record.clone();
    strange.function = "guess".into();
    assert_eq!(field(&replay(&policies, &strange)), "function");
    let mut killed = record.clone();
    killed.outcome = Outcome::EngineError;
    killed.replayable = false;
    (killed.output, killed.output_digest) = (None, None);
    assert_eq!(field(&replay(&policies, &killed)), "not replayable");
    let mut hidden = record;
    hidden.replayable = false;
    assert_eq!(
        field(&replay(&policies, &hidden)),
        "replayable",
        "a flag alone hides nothing"
    );
}

#[test]
fn fuel_is_compared_only_under_one_fingerprint() {
    let (policies, mut record) = loaded();
    record.fuel += 1;
    let digest = serde_json::to_value(Digest::of("another engine")).unwrap();
    record.engine = serde_json::from_value(digest).unwrap();
    assert_eq!(replay(&policies, &record), Verdict::Match);
}

#[test]
fn the_decisions_of_a_retired_module_still_replay() {
    let (_folder, dir) = copy();
    let engine = Engine::new().unwrap();
    let before = Policies::load(&engine, &dir, None).unwrap();
    let (_, record) = before.active(Family::Gate).rule(&close_facts());
    pin::pin(&dir, &gate("trapping")).unwrap();
    let after = Policies::load(&engine, &dir, None).unwrap();
    assert_eq!(replay(&after, &record), Verdict::Match);
}

#[test]
fn a_denial_by_trap_or_burnt_fuel_replays_too() {
    for (name, outcome) in [("trapping", "trapped"), ("looping", "fuel_exhausted")] {
        let (_folder, dir) = copy();
        pin::pin(&dir, &gate(name)).unwrap();
        let policies = Policies::load(&Engine::new().unwrap(), &dir, None).unwrap();
        let facts = StagesFacts {
            track: Track::Wujudkan,
        };
        let (evaluation, record) = policies
            .active(Family::Gate)
            .evaluate_and_record(&facts, RecordMode::Shadow);
        assert!(evaluation.ruling.is_none() && record.output.is_none());
        assert_eq!(record.outcome.as_str(), outcome);
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["outcome"], outcome);
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
        assert_eq!(replay(&policies, &record), Verdict::Match, "{name}");
    }
}
