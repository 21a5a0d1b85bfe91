//! Evaluation: the pinned modules rule; a module that misbehaves ends in a known outcome and
//! harms no other call.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use gotong_engine::gate::{StagesFacts, WeighFacts};
use gotong_engine::role_matrix::{Action, AuthorizeFacts, Nomination, PermittedFacts, Standing};
use gotong_engine::types::{
    Effect, PrivacyLevel, Relations, Stage, TokenRole, Track, Trigger, TrustTier,
};
use gotong_engine::{Engine, Family, Outcome, Policies, TrapCode};
use modules::{gate_module, repository};

fn policies() -> Policies {
    Policies::load(&Engine::new().unwrap(), &repository(), None).unwrap()
}

fn standing(relations: Relations) -> Standing {
    Standing {
        role: TokenRole::User,
        verified: true,
        tier: TrustTier::Kontributor,
        trigger: Trigger::UserAction,
        relations,
        privacy: PrivacyLevel::Open,
        has_pic: false,
        nomination: Nomination::None,
        seed_age_ms: 60_000,
    }
}

fn authorize(action: Action, relations: Relations) -> AuthorizeFacts {
    AuthorizeFacts {
        action,
        standing: standing(relations),
        snapshot: Relations::empty(),
        approvals: Relations::empty(),
        sought: Relations::empty(),
        subject: Relations::empty(),
        subject_is_actor: false,
    }
}

#[test]
fn the_role_matrix_rules() {
    let policies = policies();
    let matrix = policies.active(Family::RoleMatrix);
    let author = matrix.evaluate(&authorize(Action::EntityEdit, Relations::AUTHOR));
    assert_eq!(author.outcome, Outcome::Ruled);
    assert_eq!(author.ruling.unwrap().effect, Effect::Allow);
    let stranger = matrix
        .evaluate(&authorize(Action::EntityEdit, Relations::empty()))
        .ruling
        .unwrap();
    assert_eq!(stranger.effect, Effect::Deny);
    assert!(
        matrix.rule_text(&stranger.rule).is_some(),
        "rule `{}` is described",
        stranger.rule
    );
}

#[test]
fn what_is_permitted_is_what_authorize_allows() {
    let policies = policies();
    let matrix = policies.active(Family::RoleMatrix);
    let facts = PermittedFacts {
        standing: standing(Relations::AUTHOR),
        snapshot: Relations::AUTHOR,
        approvals: Relations::empty(),
    };
    let permitted = matrix.evaluate(&facts).ruling.unwrap();
    assert!(permitted.contains(&Action::EntityEdit), "{permitted:?}");
    assert!(permitted.is_sorted());
}

#[test]
fn the_gates_know_the_stages_of_every_track() {
    let policies = policies();
    for track in Track::ALL {
        let stages = policies
            .active(Family::Gate)
            .evaluate(&StagesFacts { track: *track })
            .ruling
            .unwrap();
        assert!(stages.len() > 2, "{track}");
    }
    let first = policies
        .active(Family::Gate)
        .evaluate(&StagesFacts {
            track: Track::Rayakan,
        })
        .ruling
        .unwrap();
    assert_eq!(first[0].stage, Stage::KabarBaik);
}

#[test]
fn a_module_that_misbehaves_ends_in_a_known_outcome() {
    let engine = Engine::new().unwrap();
    let trapped = |trap_code| Outcome::Trapped { trap_code };
    let cases = [
        ("trapping", trapped(TrapCode::UnreachableCodeReached), true),
        ("looping", Outcome::FuelExhausted, true),
        ("recursing", trapped(TrapCode::StackOverflow), false),
        ("invalid-answer", trapped(TrapCode::InvalidAnswer), true),
        ("dangling-answer", trapped(TrapCode::InvalidAnswer), true),
    ];
    for (name, outcome, replayable) in cases {
        let module = gate_module(&engine, name);
        let first = module.evaluate(&StagesFacts {
            track: Track::Musyawarah,
        });
        let again = module.evaluate(&StagesFacts {
            track: Track::Musyawarah,
        });
        assert_eq!(
            (first.outcome, first.replayable),
            (outcome, replayable),
            "{name}: {:?}",
            first.detail
        );
        assert!(first.ruling.is_none() && first.detail.is_some(), "{name}");
        assert_eq!(
            (again.outcome, again.fuel),
            (first.outcome, first.fuel),
            "{name}"
        );
    }
}

#[test]
fn burnt_fuel_is_all_the_fuel() {
    let module = gate_module(&Engine::new().unwrap(), "looping");
    let burnt = module.evaluate(&WeighFacts {
        influence_permille: 1,
    });
    assert_eq!(
        (burnt.outcome, burnt.fuel),
        (Outcome::FuelExhausted, gotong_engine::FUEL)
    );
}

#[test]
fn nothing_survives_a_call() {
    let module = gate_module(&Engine::new().unwrap(), "remembering");
    for _ in 0..200 {
        let answer = module.evaluate(&WeighFacts {
            influence_permille: 0,
        });
        assert_eq!(
            answer.ruling.unwrap().permille,
            2,
            "one from memory and one from the global"
        );
    }
}

#[test]
fn nothing_survives_in_memory_that_a_call_grew_by() {
    let module = gate_module(&Engine::new().unwrap(), "growing-memory");
    for _ in 0..200 {
        let answer = module.evaluate(&WeighFacts {
            influence_permille: 0,
        });
        assert_eq!(
            answer.ruling.unwrap().permille,
            1000,
            "it grew, and found zeros"
        );
    }
}

#[test]
fn threads_share_the_policies_and_a_failing_call_harms_none_of_them() {
    let policies = policies();
    let failing = gate_module(policies.engine(), "trapping");
    let facts = authorize(Action::EntityEdit, Relations::AUTHOR);
    let expected = policies.active(Family::RoleMatrix).evaluate(&facts);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (policies, failing, facts, expected) = (&policies, &failing, &facts, &expected);
            scope.spawn(move || {
                for _ in 0..200 {
                    if thread % 4 == 0 {
                        let trapped = failing.evaluate(&WeighFacts {
                            influence_permille: 0,
                        });
                        assert_eq!(trapped.outcome.as_str(), "trapped");
                    }
                    let answer = policies.for_question::<AuthorizeFacts>().evaluate(facts);
                    assert_eq!(
                        (answer.fuel, &answer.ruling),
                        (expected.fuel, &expected.ruling)
                    );
                }
            });
        }
    });
}

#[test]
fn a_module_is_not_asked_what_is_not_its_family() {
    let policies = policies();
    let wrong = policies
        .active(Family::Gate)
        .evaluate(&authorize(Action::EntityRead, Relations::empty()));
    assert_eq!(
        (wrong.outcome, wrong.replayable),
        (Outcome::EngineError, false)
    );
}

#[test]
fn the_words_are_those_of_the_contract_in_snake_case() {
    let facts = authorize(
        Action::TransitionPropose,
        Relations::PIC | Relations::AUTHOR,
    );
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["action"], "transition_propose");
    assert_eq!(
        json["standing"]["relations"],
        serde_json::json!(["author", "pic"])
    );
    assert_eq!(
        serde_json::from_value::<AuthorizeFacts>(json.clone()).unwrap(),
        facts
    );
    let mut claimed = json;
    claimed["name"] = "budi".into();
    let error = serde_json::from_value::<AuthorizeFacts>(claimed)
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `name`"), "{error}");
    assert_eq!("kabar_baik".parse::<Stage>().unwrap(), Stage::KabarBaik);
    let unknown = "kabar-baik".parse::<Stage>().unwrap_err().to_string();
    assert!(
        unknown.starts_with("`kabar-baik` is no Stage: expected one of keresahan, "),
        "{unknown}"
    );
}

#[test]
fn facts_without_an_exact_text_are_not_evaluated() {
    let policies = policies();
    let mut facts = authorize(Action::EntityRead, Relations::empty());
    facts.standing.seed_age_ms = 1 << 53;
    let (ruling, record) = policies.active(Family::RoleMatrix).rule(&facts);
    assert!(ruling.is_none());
    assert_eq!(
        (record.outcome, record.replayable),
        (Outcome::EngineError, false)
    );
}
