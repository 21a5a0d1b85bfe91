//! What if another module had decided?

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use std::num::NonZeroUsize;

use gotong_engine::gate::{CloseFacts, GateType, Phase, PlanFacts};
use gotong_engine::role_matrix::{Action, AuthorizeFacts, Nomination, Standing};
use gotong_engine::types::{PrivacyLevel, Relations, Stage, TokenRole, Track, Trigger, TrustTier};
use gotong_engine::whatif::{Candidate, Class, Report, compare};
use gotong_engine::{
    Circumstances, Decision, Engine, Family, LoadError, Module, Policies, Question, Run,
};
use modules::{gate_version, repository, workspace};
use serde_json::json;

fn pinned(file: &str) -> Vec<u8> {
    std::fs::read(workspace().join("policies/pinned").join(file)).unwrap()
}

fn decide<Q: Question>(module: &Module, number: usize, facts: &Q) -> Decision {
    let (_, record) = module.rule(facts);
    let asked = Circumstances {
        decision_id: format!("01a20438-0000-7000-8000-{number:012}"),
        at_ms: 1_800_000_000_000,
        entity_id: "some".into(),
        request_id: String::new(),
        correlation_id: String::new(),
        trace_id: None,
    };
    Decision::new(record, asked)
}

/// A change of track, or one that may not be, with so many people.
fn plan(to_track: Track, to_stage: Stage, members: u32) -> PlanFacts {
    PlanFacts {
        track: Track::Telusuri,
        from_stage: Stage::Temuan,
        to_track,
        to_stage,
        members,
        eligible: members,
        eligible_weight_permille: members * 1_000,
        has_pic: true,
        evidence: 2,
        challenge_window_hours: Some(24),
        emergency: false,
        weighted: false,
    }
}

fn close(yes: u32, no: u32) -> CloseFacts {
    CloseFacts {
        gate_type: GateType::Vote,
        phase: Phase::Deciding,
        objections: 1,
        challenges: 0,
        yes,
        no,
        abstain: 0,
        quorum: 2,
        threshold_permille: 600,
        challenge_window_hours: 0,
    }
}

struct Setup {
    engine: Engine,
    policies: Policies,
}

impl Setup {
    fn new() -> Self {
        let engine = Engine::new().unwrap();
        let policies = Policies::load(&engine, &repository(), None).unwrap();
        Self { engine, policies }
    }

    /// The module that decides in these tests, whichever is active now.
    fn gate(&self) -> &Module {
        self.pinned("gate", "1.0.1")
    }

    fn pinned(&self, name: &str, version: &str) -> &Module {
        let pin = self.policies.lock().pin(name, version).unwrap();
        self.policies.by_digest(&pin.digest).unwrap()
    }

    /// A person of each single relation, asked for every action.
    fn authorized(&self) -> Vec<Decision> {
        let module = self.pinned("role-matrix", "1.0.1");
        let mut decisions = Vec::new();
        for (action, relation, nomination) in Action::ALL.iter().flat_map(|action| {
            Relations::ALL.iter().flat_map(move |relation| {
                let nominations = Nomination::ALL.iter();
                nominations.map(move |nomination| (*action, *relation, *nomination))
            })
        }) {
            let facts = AuthorizeFacts {
                action,
                standing: Standing {
                    role: TokenRole::User,
                    verified: true,
                    tier: TrustTier::Pilar,
                    trigger: Trigger::UserAction,
                    relations: relation,
                    privacy: PrivacyLevel::Open,
                    has_pic: false,
                    nomination,
                    seed_age_ms: 86_400_000,
                },
                snapshot: relation,
                approvals: Relations::empty(),
                sought: Relations::PARTICIPANT,
                subject: Relations::SAKSI,
                subject_is_actor: false,
            };
            decisions.push(decide(module, decisions.len(), &facts));
        }
        decisions
    }

    fn decisions(&self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for members in 0..40 {
            for (track, stage) in [
                (Track::Tuntaskan, Stage::Keresahan),
                (Track::Wujudkan, Stage::Gagasan),
                (Track::Tuntaskan, Stage::Tuntas),
            ] {
                let facts = plan(track, stage, members);
                decisions.push(decide(self.gate(), decisions.len(), &facts));
            }
        }
        for yes in 0..20 {
            decisions.push(decide(self.gate(), decisions.len(), &close(yes, 20 - yes)));
        }
        decisions
    }

    fn compare(&self, bytes: &[u8], decisions: &[Decision], threads: usize) -> Report {
        self.compare_as("gate", bytes, decisions, threads)
    }

    fn compare_as(
        &self,
        name: &str,
        bytes: &[u8],
        decisions: &[Decision],
        threads: usize,
    ) -> Report {
        let candidate = Candidate::new(&self.engine, name, bytes).unwrap();
        let run = Run {
            threads: NonZeroUsize::new(threads).unwrap(),
            done: &|_| {},
        };
        let source = decisions.iter().cloned().map(Ok::<_, ()>);
        compare(
            &candidate,
            &self.policies,
            &run,
            source,
            |_| 1,
            |row| Ok(Some(row)),
        )
        .unwrap()
    }
}

#[test]
fn the_module_itself_changes_nothing() {
    let setup = Setup::new();
    let decisions = setup.decisions();
    let report = setup.compare(&pinned("gate@1.0.1.wasm"), &decisions, 2);
    assert!(report.holds());
    assert_eq!(report.same, decisions.len() as u64);
    let fuel = report.fuel.unwrap();
    assert_eq!((fuel.min, fuel.median, fuel.p99, fuel.max), (0, 0, 0, 0));
    assert_eq!(fuel.total_percent, 0.0);
}

#[test]
fn an_older_version_is_told_by_what_it_decides_otherwise() {
    let setup = Setup::new();
    let decisions = setup.decisions();
    let report = setup.compare(&pinned("gate@1.0.0.wasm"), &decisions, 1);
    assert!(!report.holds() && report.changed > 0);
    assert_eq!(report.same + report.changed, decisions.len() as u64);
    // 1.0.1 gave a change of track its window for challenges back: the verdict was not touched.
    assert!(report.flips.is_empty() && report.failures.is_empty());
    let of_terms = report
        .others
        .iter()
        .find(|group| {
            group
                .kind
                .fields
                .iter()
                .any(|field| field.starts_with("terms."))
        })
        .unwrap();
    assert_eq!(of_terms.kind.class, Class::Other);
    assert_eq!(of_terms.kind.from.as_deref(), Some("allow"));
    let smallest = of_terms.smallest.as_ref().unwrap();
    assert_ne!(smallest.recorded["terms"], smallest.candidate["terms"]);
    assert!(of_terms.listed.contains(&smallest.decision_id) || of_terms.decisions > 20);
    let plain = of_terms.minimised.as_ref().unwrap();
    assert!(plain.generated);
    assert_ne!(plain.recorded["terms"], plain.candidate["terms"]);
    assert!(plain.input.to_string().len() <= smallest.input.to_string().len());
    assert!(report.rules.values().all(|texts| texts.recorded.is_some()));
    // The same on any number of threads.
    let again = setup.compare(&pinned("gate@1.0.0.wasm"), &decisions, 5);
    assert_eq!(json!(again), json!(report));
}

#[test]
fn an_allowance_that_flips_is_told_with_both_rules_and_its_input_made_plain() {
    let setup = Setup::new();
    let decisions = setup.authorized();
    let report = setup.compare_as(
        "role-matrix",
        &pinned("role-matrix@1.0.0.wasm"),
        &decisions,
        2,
    );
    let flip = &report.flips[0];
    assert_eq!(flip.kind.verdict.as_deref(), Some("effect"));
    assert_ne!(flip.kind.from, flip.kind.to);
    let plain = flip.minimised.as_ref().unwrap();
    let effect = |ruling: &serde_json::Value| ruling["effect"].as_str().map(str::to_owned);
    assert_eq!(effect(&plain.recorded), flip.kind.from);
    assert_eq!(effect(&plain.candidate), flip.kind.to);
    // What the difference does not hang on is plain.
    assert_eq!(plain.input["standing"]["seed_age_ms"], 0);
    assert_eq!(plain.input["subject"], json!([]));
    let flipped: u64 = report.flips.iter().map(|group| group.decisions).sum();
    assert_eq!(
        report.changed,
        flipped
            + report
                .others
                .iter()
                .map(|group| group.decisions)
                .sum::<u64>()
    );
}

#[test]
fn a_candidate_that_fails_is_counted_by_how() {
    let setup = Setup::new();
    let decisions = setup.decisions();
    for (fixture, word) in [
        ("trapping-plan", "trapped (unreachable_code_reached)"),
        ("looping-plan", "fuel_exhausted"),
    ] {
        let planned: Vec<Decision> = decisions
            .iter()
            .filter(|row| row.function == "plan")
            .take(9)
            .cloned()
            .collect();
        let report = setup.compare(&gate_version(fixture, "9.0.0"), &planned, 2);
        assert_eq!(report.changed, 9, "{fixture}");
        assert!(report.flips.is_empty() && report.fuel.is_none());
        assert!(
            report
                .failures
                .iter()
                .all(|group| group.kind.to.as_deref() == Some(word))
        );
        let failed: u64 = report.failures.iter().map(|group| group.decisions).sum();
        assert_eq!(failed, 9);
    }
}

#[test]
fn a_forged_verdict_is_no_difference_that_can_be_made_plain() {
    let setup = Setup::new();
    let decisions = setup.decisions();
    let flipped: Vec<Decision> = decisions
        .iter()
        .filter(|row| row.function == "close")
        .map(|row| {
            let mut row = row.clone();
            let forged = row.output.take().unwrap().replace("applied", "rejected");
            row.output_digest = Some(gotong_engine::Digest::of(&forged).to_string());
            row.output = Some(forged);
            row
        })
        .collect();
    let report = setup.compare(&pinned("gate@1.0.1.wasm"), &flipped, 2);
    let flip = &report.flips[0];
    assert_eq!(flip.kind.verdict.as_deref(), Some("outcome"));
    assert_eq!(
        (flip.kind.from.as_deref(), flip.kind.to.as_deref()),
        (Some("rejected"), Some("applied"))
    );
    assert!(
        flip.minimised.is_none(),
        "the module of the record does not differ: the record was forged"
    );
}

#[test]
fn what_cannot_be_compared_is_counted_and_is_no_change() {
    let setup = Setup::new();
    let mut decisions = setup.decisions();
    decisions.truncate(10);
    decisions[1].output = Some("{}".into());
    decisions[2].mode = "spectator".into();
    decisions[3].module_name = "another".into();
    (decisions[4].output, decisions[4].output_digest) = (None, None);
    (decisions[4].outcome, decisions[4].replayable) = ("engine_error".into(), false);
    let report = setup.compare(&pinned("gate@1.0.1.wasm"), &decisions, 2);
    assert_eq!((report.decisions, report.same, report.unsound), (6, 6, 2));
    assert_eq!(report.not_compared.values().sum::<u64>(), 3);
    assert!(
        !report.holds(),
        "a record that does not hold together is not passed over"
    );
}

#[test]
fn another_family_is_no_candidate() {
    let setup = Setup::new();
    let report = setup.compare(&pinned("role-matrix@1.0.1.wasm"), &setup.decisions(), 2);
    assert_eq!(
        (report.decisions, report.other_family),
        (0, Some(Family::Gate))
    );
    let bytes = pinned("gate@1.0.1.wasm");
    for wrong in [&bytes[..bytes.len() / 2], b"", b"\0asm"] {
        let refused = Candidate::new(&setup.engine, "gate", wrong).unwrap_err();
        assert!(matches!(refused, LoadError::Check { .. }), "{refused}");
    }
}
