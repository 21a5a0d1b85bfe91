//! What becomes of a pinned module: shadow, active, retired, scoped, and back.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use cap_std::fs::Dir;
use gotong_engine::gate::StagesFacts;
use gotong_engine::types::Track;
use gotong_engine::{
    Engine, Family, FindError, LoadError, Mode, Module, Policies, RecordMode, Verdict, lifecycle,
    pin, replay,
};
use modules::{active, chain, copy, gate, gate_version};

fn load(dir: &Dir) -> Result<Policies, LoadError> {
    Policies::load(&Engine::new().unwrap(), dir, None)
}

fn modes(dir: &Dir) -> Vec<String> {
    let lock = pin::read_lock(dir).unwrap();
    lock.pins()
        .iter()
        .filter(|pin| pin.family == Family::Gate)
        .map(|pin| format!("{} {}", pin.version, pin.mode.as_str()))
        .collect()
}

/// A folder with the gate in three versions, the last of them active.
fn three_gates() -> (tempfile::TempDir, Dir) {
    let (folder, dir) = copy();
    let first = active(&dir, Family::Gate);
    assert!(first.version.as_str() < "8.0.0", "{}", first.version);
    pin::pin(&dir, &gate_version("trapping", "8.0.0")).unwrap();
    pin::pin(&dir, &gate("remembering")).unwrap();
    (folder, dir)
}

#[test]
fn a_shadow_is_watched_then_activated_then_rolled_back() {
    let (_folder, dir) = copy();
    let first = active(&dir, Family::Gate).version;
    let pinned = pin::pin_as(&dir, &gate("trapping"), Mode::Shadow).unwrap();
    assert_eq!((pinned.pin.mode, pinned.retired.len()), (Mode::Shadow, 0));
    let policies = load(&dir).unwrap();
    assert_eq!(policies.active(Family::Gate).version(), first);
    let shadows: Vec<_> = policies
        .shadows(Family::Gate)
        .map(Module::version)
        .collect();
    assert_eq!(shadows, ["9.0.0"]);

    let activated = lifecycle::activate(&dir, "gate", "9.0.0").unwrap();
    assert_eq!(
        (activated.was, activated.retired),
        (Mode::Shadow, vec![format!("gate@{first}")])
    );
    assert_eq!(
        modes(&dir),
        [format!("{first} retired"), "9.0.0 active".into()]
    );
    let again = lifecycle::activate(&dir, "gate", "9.0.0").unwrap_err();
    assert_eq!(
        again.to_string(),
        "`gate@9.0.0` is active already: nothing was changed"
    );

    let back = lifecycle::rollback(&dir, "gate", None).unwrap();
    assert_eq!(
        (back.pin.version, back.retired),
        (first.clone(), vec!["gate@9.0.0".into()])
    );
    assert_eq!(
        modes(&dir),
        [format!("{first} active"), "9.0.0 retired".into()]
    );
}

#[test]
fn a_rollback_goes_back_version_by_version_and_no_further() {
    let (_folder, dir) = three_gates();
    let first = modes(&dir)[0].replace(" retired", "");
    assert_eq!(
        lifecycle::rollback(&dir, "gate", None).unwrap().pin.version,
        "8.0.0"
    );
    assert_eq!(
        lifecycle::rollback(&dir, "gate", None).unwrap().pin.version,
        first
    );
    let lock = dir.read("policies.lock").unwrap();
    let refusal = |name: &str, version: Option<&str>| {
        lifecycle::rollback(&dir, name, version)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal("gate", None),
        format!("there is no retired version of `gate` below the active {first} to go back to")
    );
    assert!(refusal("gat", None).starts_with("no version of `gat` is active: active are "));
    assert!(refusal("gate", Some("7.0.0")).starts_with("`gate@7.0.0` is not pinned: pinned are "));
    assert!(refusal("gate", Some(&first)).ends_with("is active already: nothing was changed"));
    assert_eq!(dir.read("policies.lock").unwrap(), lock, "nothing written");
    let forward = lifecycle::rollback(&dir, "gate", Some("9.0.0")).unwrap();
    assert_eq!(forward.pin.version, "9.0.0");
    pin::pin_as(&dir, &gate_version("trapping", "9.1.0"), Mode::Shadow).unwrap();
    assert_eq!(
        refusal("gate", Some("9.1.0")),
        "`gate@9.1.0` is shadow, not retired: make it decide with `gotong policy activate gate@9.1.0`"
    );
}

#[test]
fn one_community_runs_its_own_module() {
    let (_folder, dir) = copy();
    let first = active(&dir, Family::Gate).version;
    pin::pin_as(&dir, &gate("remembering"), Mode::Scoped).unwrap();
    pin::pin_as(&dir, &gate_version("trapping", "8.0.0"), Mode::Scoped).unwrap();
    lifecycle::set_override(&dir, "id/jabar", "gate", "9.0.0").unwrap();
    lifecycle::set_override(&dir, "id/jabar/depok", "gate", "8.0.0").unwrap();
    lifecycle::set_override(&dir, "id/jabar/depok/tugu", "gate", &first).unwrap();
    let policies = load(&dir).unwrap();
    for (scope, version) in [
        ("id", first.as_str()),
        ("id/jabarx", &first),
        ("id/jabar", "9.0.0"),
        ("id/jabar/bogor/rw01", "9.0.0"),
        ("id/jabar/depok", "8.0.0"),
        ("id/jabar/depok/cimanggis", "8.0.0"),
        ("id/jabar/depok/tugu/rw03", &first),
        ("", &first),
    ] {
        assert_eq!(
            policies.deciding(Family::Gate, scope).version(),
            version,
            "{scope}"
        );
        assert_eq!(
            policies.deciding(Family::RoleMatrix, scope).name(),
            "role-matrix"
        );
    }

    // Another active version leaves the one that the village named in use.
    let pinned = pin::pin(&dir, &gate_version("remembering", "9.9.0")).unwrap();
    assert_eq!(
        (pinned.retired, pinned.scoped),
        (vec![], vec![format!("gate@{first}")])
    );
    let policies = load(&dir).unwrap();
    let village = policies.deciding(Family::Gate, "id/jabar/depok/tugu");
    assert_eq!(
        (village.version(), village.mode()),
        (first.as_str(), Mode::Scoped)
    );

    let (_, freed) = lifecycle::remove_override(&dir, "id/jabar/depok/tugu", Family::Gate).unwrap();
    assert_eq!(freed, Some(format!("gate@{first}")), "retired again");
    let twice = lifecycle::remove_override(&dir, "id/jabar/depok/tugu", Family::Gate).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "the family gate is not overridden in `id/jabar/depok/tugu`"
    );
    let (_, freed) = lifecycle::set_override(&dir, "id/jabar/depok/tugu", "gate", &first).unwrap();
    assert_eq!(
        freed, None,
        "a retired module is scoped when an override names it"
    );
    let wrong = lifecycle::set_override(&dir, "id//x", "gate", "9.0.0").unwrap_err();
    assert!(chain(&wrong).starts_with("override of `id//x`: a scope has 1 to 7 levels"));
}

#[test]
fn a_retired_module_is_loaded_when_it_is_asked_for() {
    let (_folder, dir) = copy();
    let former = active(&dir, Family::Gate);
    let facts = StagesFacts {
        track: Track::Tuntaskan,
    };
    let before = load(&dir).unwrap();
    let (_, record) = before
        .active(Family::Gate)
        .evaluate_and_record(&facts, RecordMode::Active);
    pin::pin(&dir, &gate("remembering")).unwrap();

    let policies = load(&dir).unwrap();
    assert_eq!(policies.modules().len(), Family::ALL.len());
    // What is on the disk by now does not matter: it was what was pinned when the host started.
    dir.remove_file(&former.file).unwrap();
    let found: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| std::ptr::from_ref(policies.find(&former.digest).unwrap()).addr())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(found.iter().all(|place| *place == found[0]), "loaded once");
    assert_eq!(
        policies.by_digest(&former.digest).unwrap().mode(),
        Mode::Retired
    );
    assert_eq!(replay(&policies, &record), Verdict::Match);
    assert!(
        load(&dir)
            .unwrap_err()
            .to_string()
            .contains("cannot be read"),
        "a missing file still refuses the next start"
    );
}

#[test]
fn a_retired_module_that_cannot_be_loaded_is_an_error_and_no_panic() {
    let (_folder, dir) = copy();
    let facts = StagesFacts {
        track: Track::Tuntaskan,
    };
    let silent = pin::pin_as(&dir, &gate("silent"), Mode::Retired)
        .unwrap()
        .pin;
    let policies = load(&dir).unwrap();
    for _ in 0..2 {
        let Err(FindError::Unusable(error)) = policies.find(&silent.digest) else {
            panic!("it cannot say its rules");
        };
        assert!(
            error
                .to_string()
                .contains("module `gate@9.0.0` cannot be used"),
            "{error}"
        );
    }
    let (_, mut record) = policies
        .active(Family::Gate)
        .evaluate_and_record(&facts, RecordMode::Active);
    record.module.digest = silent.digest;
    record.module.version = "9.0.0".into();
    let verdict = replay(&policies, &record);
    assert!(
        matches!(&verdict, Verdict::NotReplayable { reason } if reason.contains("`describe`")),
        "{verdict:?}"
    );
}
