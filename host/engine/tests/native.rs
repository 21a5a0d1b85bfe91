//! A pinned module is its source: over facts drawn at random it rules as the same rules do as a native call.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use std::cell::Cell;

use gotong_engine::{Engine, Policies};
use gotong_gate::GotongGate;
use gotong_policy::gate::Gate;
use gotong_policy::role_matrix::RoleMatrix;
use gotong_role_matrix::GotongRoleMatrix;
use modules::repository;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;

/// The host's types of the contract.
mod hosted {
    pub(crate) use gotong_engine::{gate, role_matrix, types};
}

/// The policies' types of the same contract.
mod native {
    pub(crate) use gotong_policy::{gate, role_matrix, types};
}

/// An enum of the host as the policies' own. The match is whole, so a new word cannot be forgotten.
macro_rules! twin {
    ($function:ident, $module:ident::$name:ident { $($word:ident)+ }) => {
        fn $function(word: hosted::$module::$name) -> native::$module::$name {
            match word { $(hosted::$module::$name::$word => native::$module::$name::$word,)+ }
        }
    };
}

twin!(effect, types::Effect { Allow Deny });
twin!(role, types::TokenRole { Anonymous User Moderator Admin System Service });
twin!(tier, types::TrustTier { Bayangan Pemula Kontributor Pilar Kunci });
twin!(trigger, types::Trigger { UserAction Timer Webhook });
twin!(privacy, types::PrivacyLevel { Open L1 L2 L3 Vault });
twin!(track, types::Track { Tuntaskan Wujudkan Telusuri Rayakan Musyawarah });
twin!(stage, types::Stage {
    Keresahan Gagasan Pertanyaan KabarBaik Usul Bahas Rancang Galang Garap Periksa Dampak Tuntas Rayakan Dugaan Uji
    Temuan Sahkan Apresiasi Putuskan Jalankan Tinjau
});
twin!(action, role_matrix::Action {
    EntityCreate EntityRead EntityEdit CoWitness Participate StandAsVerifikator Appoint RelationEnd Discuss
    EvidenceSubmit TransitionPropose TransitionObject TransitionVote TransitionEmergency ResultChallenge PicNominate
    PicAccept TaskAssign TaskClaim TaskHeartbeat FundsManage DisbursementApprove Broadcast CompletionVerify PrivacySet
    Dispute Moderate OutboxManage AuditRead
});
twin!(nomination, role_matrix::Nomination { None SomeoneElse Actor });
twin!(duty, role_matrix::Obligation { AwaitSecondApproval AcceptAtOnce AuditEmergency });
twin!(gate_type, gate::GateType { Consent Vote WeightedVote Emergency });
twin!(risk, gate::Risk { Low Medium High Critical });
twin!(gate_duty, gate::Obligation { AuditEmergency AnnounceResult });

fn relations(held: hosted::types::Relations) -> native::types::Relations {
    use native::types::Relations as R;
    let each = [
        R::AUTHOR,
        R::SAKSI,
        R::PARTICIPANT,
        R::PIC,
        R::BENDAHARA,
        R::HUMAS,
        R::VERIFIKATOR,
    ];
    let all = hosted::types::Relations::ALL;
    assert_eq!(all.len(), each.len());
    let pairs = all.iter().zip(each);
    pairs
        .filter(|(flag, _)| held.contains(**flag))
        .fold(R::empty(), |held, (_, flag)| held | flag)
}

fn any_relations() -> impl Strategy<Value = hosted::types::Relations> {
    let all = hosted::types::Relations::ALL;
    subsequence(all.to_vec(), 0..=all.len()).prop_map(|flags| flags.into_iter().collect())
}

/// Around the edges of the rules as often as anywhere.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0_u32..15, 1 => 0_u32..20_000, 1 => any::<u32>()]
}

fn age_ms() -> impl Strategy<Value = u64> {
    let window = gotong_role_matrix::matrix::EDIT_WINDOW_MS;
    prop_oneof![Just(window), Just(window + 1), 0..window, any::<u64>()]
}

fn standing() -> impl Strategy<Value = hosted::role_matrix::Standing> {
    use hosted::{role_matrix as matrix, types};
    (
        // Of people more often: they are who the rows are about.
        prop_oneof![Just(types::TokenRole::User), select(types::TokenRole::ALL)],
        any::<bool>(),
        select(types::TrustTier::ALL),
        select(types::Trigger::ALL),
        any_relations(),
        select(types::PrivacyLevel::ALL),
        any::<bool>(),
        select(matrix::Nomination::ALL),
        age_ms(),
    )
        .prop_map(
            |(
                role,
                verified,
                tier,
                trigger,
                relations,
                privacy,
                has_pic,
                nomination,
                seed_age_ms,
            )| {
                matrix::Standing {
                    role,
                    verified,
                    tier,
                    trigger,
                    relations,
                    privacy,
                    has_pic,
                    nomination,
                    seed_age_ms,
                }
            },
        )
}

fn authorize_facts() -> impl Strategy<Value = hosted::role_matrix::AuthorizeFacts> {
    (
        select(hosted::role_matrix::Action::ALL),
        standing(),
        any_relations(),
        any_relations(),
        // A question is about one relation; the module must also stand several and none.
        prop_oneof![select(hosted::types::Relations::ALL), any_relations()],
        any_relations(),
        any::<bool>(),
    )
        .prop_map(
            |(action, standing, snapshot, approvals, sought, subject, subject_is_actor)| {
                hosted::role_matrix::AuthorizeFacts {
                    action,
                    standing,
                    snapshot,
                    approvals,
                    sought,
                    subject,
                    subject_is_actor,
                }
            },
        )
}

fn native_authorize(facts: &hosted::role_matrix::AuthorizeFacts) -> native::role_matrix::Ruling {
    let here = &facts.standing;
    GotongRoleMatrix::authorize(native::role_matrix::AuthorizeFacts {
        action: action(facts.action),
        standing: native::role_matrix::Standing {
            role: role(here.role),
            verified: here.verified,
            tier: tier(here.tier),
            trigger: trigger(here.trigger),
            relations: relations(here.relations),
            privacy: privacy(here.privacy),
            has_pic: here.has_pic,
            nomination: nomination(here.nomination),
            seed_age_ms: here.seed_age_ms,
        },
        snapshot: relations(facts.snapshot),
        approvals: relations(facts.approvals),
        sought: relations(facts.sought),
        subject: relations(facts.subject),
        subject_is_actor: facts.subject_is_actor,
    })
}

/// Where a step leads from, and where to.
type Step = (
    hosted::types::Track,
    hosted::types::Stage,
    hosted::types::Track,
    hosted::types::Stage,
);

fn stages(on: hosted::types::Track) -> Vec<hosted::types::Stage> {
    let all = hosted::types::Stage::ALL.iter().copied();
    gotong_gate::tracks::stages(track(on))
        .iter()
        .map(|doc| all.clone().find(|each| stage(*each) == doc.stage).unwrap())
        .collect()
}

/// Any step at all, and more often one that stays on its track and goes ahead a little.
fn step() -> impl Strategy<Value = Step> {
    use hosted::types::{Stage, Track};
    let any_step = (
        select(Track::ALL),
        select(Stage::ALL),
        select(Track::ALL),
        select(Stage::ALL),
    );
    let ahead = (select(Track::ALL), any::<usize>(), 1_usize..3).prop_map(|(on, from, by)| {
        let stages = stages(on);
        let from = from % stages.len();
        let to = (from + by).min(stages.len() - 1);
        (on, stages[from], on, stages[to])
    });
    // The one place from which a matter changes its track: mostly to a first stage.
    let finding = (select(Track::ALL), 0_usize..9).prop_map(|(to_track, place)| {
        let stages = stages(to_track);
        let to_stage = stages.get(place.saturating_sub(6)).unwrap_or(&stages[0]);
        (Track::Telusuri, Stage::Temuan, to_track, *to_stage)
    });
    prop_oneof![1 => any_step, 4 => ahead, 1 => finding]
}

fn plan_facts() -> impl Strategy<Value = hosted::gate::PlanFacts> {
    (
        step(),
        number(),
        number(),
        number(),
        any::<bool>(),
        0_u32..3,
        proptest::option::of(prop_oneof![0_u32..100, 700_u32..740, any::<u32>()]),
        prop::bool::weighted(0.1),
        any::<bool>(),
    )
        .prop_map(
            |(
                (track, from_stage, to_track, to_stage),
                members,
                eligible,
                eligible_weight_permille,
                has_pic,
                evidence,
                challenge_window_hours,
                emergency,
                weighted,
            )| hosted::gate::PlanFacts {
                track,
                from_stage,
                to_track,
                to_stage,
                members,
                eligible,
                eligible_weight_permille,
                has_pic,
                evidence,
                challenge_window_hours,
                emergency,
                weighted,
            },
        )
}

fn native_plan(facts: &hosted::gate::PlanFacts) -> native::gate::TermsRuling {
    GotongGate::plan(native::gate::PlanFacts {
        track: track(facts.track),
        from_stage: stage(facts.from_stage),
        to_track: track(facts.to_track),
        to_stage: stage(facts.to_stage),
        members: facts.members,
        eligible: facts.eligible,
        eligible_weight_permille: facts.eligible_weight_permille,
        has_pic: facts.has_pic,
        evidence: facts.evidence,
        challenge_window_hours: facts.challenge_window_hours,
        emergency: facts.emergency,
        weighted: facts.weighted,
    })
}

fn policies() -> Policies {
    Policies::load(&Engine::new().unwrap(), &repository(), None).unwrap()
}

/// Draws facts and compares; says how many were allowed, so that a test cannot pass on denials alone.
fn compare<F: std::fmt::Debug>(
    facts: impl Strategy<Value = F>,
    rules_alike: impl Fn(&F) -> Result<native::types::Effect, TestCaseError>,
) -> (u32, u32) {
    let (allowed, denied) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&facts, |facts| {
        let counted = match rules_alike(&facts)? {
            native::types::Effect::Allow => &allowed,
            native::types::Effect::Deny => &denied,
        };
        counted.set(counted.get() + 1);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\nIf the sources are newer than the pins: `make policies`.");
    }
    (allowed.get(), denied.get())
}

#[test]
fn the_role_matrix_rules_as_its_source() {
    let policies = policies();
    let (allowed, denied) = compare(authorize_facts(), |facts| {
        let ruling = policies
            .for_question::<hosted::role_matrix::AuthorizeFacts>()
            .evaluate(facts)
            .ruling
            .unwrap();
        let ruling = native::role_matrix::Ruling {
            effect: effect(ruling.effect),
            reason: ruling.reason,
            rule: ruling.rule,
            obligations: ruling.obligations.into_iter().map(duty).collect(),
        };
        prop_assert_eq!(&ruling, &native_authorize(facts));
        Ok(ruling.effect)
    });
    assert!(allowed > 500 && denied > 500, "{allowed} and {denied}");
}

#[test]
fn the_gates_plan_as_their_source() {
    let policies = policies();
    let (allowed, denied) = compare(plan_facts(), |facts| {
        let ruling = policies
            .for_question::<hosted::gate::PlanFacts>()
            .evaluate(facts)
            .ruling
            .unwrap();
        let ruling = native::gate::TermsRuling {
            effect: effect(ruling.effect),
            reason: ruling.reason,
            rule: ruling.rule,
            obligations: ruling.obligations.into_iter().map(gate_duty).collect(),
            terms: ruling.terms.map(|terms| native::gate::Terms {
                gate_type: gate_type(terms.gate_type),
                risk: risk(terms.risk),
                window_hours: terms.window_hours,
                quorum: terms.quorum,
                threshold_permille: terms.threshold_permille,
                challenge_window_hours: terms.challenge_window_hours,
                audit_due_hours: terms.audit_due_hours,
            }),
        };
        prop_assert_eq!(&ruling, &native_plan(facts));
        Ok(ruling.effect)
    });
    assert!(allowed > 500 && denied > 500, "{allowed} and {denied}");
}
