//! Loading: the folder is as its lock says, or the host does not start and says why.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use cap_std::fs::Dir;
use gotong_engine::pin::{self, PinError};
use gotong_engine::role_matrix::{ProjectFacts, ProjectManyFacts};
use gotong_engine::{Cache, Engine, Family, LoadError, Mode, Outcome, Pin, Policies};
use modules::{active, chain, copy, gate, gate_version, open, repository};

fn load(dir: &Dir) -> Result<Policies, LoadError> {
    Policies::load(&Engine::new().unwrap(), dir, None)
}

fn refusal(dir: &Dir) -> String {
    chain(&load(dir).unwrap_err())
}

/// The active gate and the active role matrix of a folder.
fn pins(dir: &Dir) -> (Pin, Pin) {
    (active(dir, Family::Gate), active(dir, Family::RoleMatrix))
}

fn edit(dir: &Dir, from: &str, to: &str) {
    let lock = dir.read_to_string("policies.lock").unwrap();
    assert!(lock.contains(from), "{from}");
    dir.write("policies.lock", lock.replacen(from, to, 1))
        .unwrap();
}

#[test]
fn the_repository_loads() {
    let policies = load(&repository()).unwrap();
    for family in Family::ALL {
        let module = policies.active(*family);
        assert_eq!((module.family(), module.mode()), (*family, Mode::Active));
        assert!(!module.rules().is_empty());
        assert_eq!(
            policies.by_digest(&module.digest()).unwrap().name(),
            module.name()
        );
        assert_eq!(policies.shadows(*family).count(), 0);
    }
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused() {
    let (_folder, dir) = copy();
    let (pinned, matrix) = pins(&dir);
    let gate = dir.read(&pinned.file).unwrap();
    let mut corrupt = gate.clone();
    corrupt[gate.len() / 2] ^= 1;
    dir.write(&pinned.file, &corrupt).unwrap();
    assert!(
        refusal(&dir).starts_with(&format!(
            "module `gate@{}`: digest is sha256:",
            pinned.version
        )),
        "{}",
        refusal(&dir)
    );

    dir.write(&pinned.file, dir.read(&matrix.file).unwrap())
        .unwrap();
    dir.write(&matrix.file, gate).unwrap();
    assert!(
        matches!(load(&dir), Err(LoadError::Digest { .. })),
        "swapped"
    );

    dir.remove_file(&pinned.file).unwrap();
    assert!(
        refusal(&dir).contains(&format!("`{}` cannot be read: restore it", pinned.file)),
        "{}",
        refusal(&dir)
    );
}

#[test]
fn a_lock_that_names_another_module_is_refused() {
    let (_folder, dir) = copy();
    // Bytes and digest fit each other, and are those of the other module.
    let (gate, matrix) = pins(&dir);
    edit(&dir, &gate.digest.to_string(), &matrix.digest.to_string());
    dir.write(&gate.file, dir.read(&matrix.file).unwrap())
        .unwrap();
    assert!(
        refusal(&dir).contains("its section says name `role-matrix`, the lock `gate`"),
        "{}",
        refusal(&dir)
    );
}

#[test]
fn a_family_has_exactly_one_active_module() {
    let (_folder, dir) = copy();
    edit(&dir, "mode = \"active\"", "mode = \"retired\"");
    assert!(
        refusal(&dir).starts_with("family `edge-pod`: no module is active"),
        "{}",
        refusal(&dir)
    );

    let (_folder, dir) = copy();
    let former = pins(&dir).0.version;
    pin::pin(&dir, &gate("trapping")).unwrap();
    edit(&dir, "mode = \"retired\"", "mode = \"active\"");
    assert!(
        refusal(&dir).starts_with(&format!(
            "family `gate`: `gate@{former}` and `gate@9.0.0` are both active"
        )),
        "{}",
        refusal(&dir)
    );
}

#[test]
fn a_lock_that_is_missing_or_wrong_is_refused() {
    let (_folder, dir) = copy();
    edit(&dir, "lock_version = 1", "lock_version = 1\nsigned = true");
    assert!(
        refusal(&dir).starts_with("policies.lock, line 3: unknown field `signed`"),
        "{}",
        refusal(&dir)
    );
    dir.remove_file("policies.lock").unwrap();
    assert!(
        refusal(&dir).starts_with("policies.lock cannot be read: "),
        "{}",
        refusal(&dir)
    );
}

#[test]
fn a_pinned_module_that_breaks_a_rule_is_refused() {
    let (_folder, dir) = copy();
    let (gate, _) = pins(&dir);
    let bytes = gate_version("growing", &gate.version);
    edit(
        &dir,
        &gate.digest.to_string(),
        &gotong_engine::Digest::of(&bytes).to_string(),
    );
    dir.write(&gate.file, bytes).unwrap();
    let text = refusal(&dir);
    assert!(
        text.contains(
            "` fails the load-time check: rule memory_maximum: its memory has no maximum"
        ),
        "{text}"
    );
}

#[test]
fn a_module_that_cannot_say_its_rules_is_refused() {
    let (_folder, dir) = copy();
    pin::pin(&dir, &gate("silent")).unwrap();
    assert!(
        refusal(&dir).contains("module `gate@9.0.0` cannot be used: `describe` ended as trapped"),
        "{}",
        refusal(&dir)
    );
}

#[test]
fn a_new_version_retires_the_former_one_which_stays_loaded() {
    let (_folder, dir) = copy();
    let former = pins(&dir).0;
    let pinned = pin::pin(&dir, &gate("trapping")).unwrap();
    assert_eq!(
        (pinned.retired, pinned.unchanged),
        (vec![format!("gate@{}", former.version)], false)
    );
    let policies = load(&dir).unwrap();
    assert_eq!(policies.active(Family::Gate).version(), "9.0.0");
    assert_eq!(
        policies.by_digest(&former.digest).unwrap().mode(),
        Mode::Retired
    );
}

#[test]
fn a_pinned_version_never_changes() {
    let (_folder, dir) = copy();
    let first = pin::pin(&dir, &gate("trapping")).unwrap();
    assert!(pin::pin(&dir, &gate("trapping")).unwrap().unchanged);
    let error = pin::pin(&dir, &gate("looping")).unwrap_err();
    assert!(matches!(error, PinError::Version { .. }));
    assert!(error.to_string().contains("raise the version"), "{error}");
    assert_eq!(dir.read(&first.pin.file).unwrap(), gate("trapping"));
    assert!(matches!(
        pin::pin(&dir, &gate("growing")),
        Err(PinError::Check(_))
    ));
}

#[test]
fn a_cache_gives_the_same_policies_faster_and_is_never_trusted_blindly() {
    let (_folder, dir) = copy();
    let kept = tempfile::TempDir::new().unwrap();
    let engine = Engine::new().unwrap();
    let load = || {
        let cache = Cache::open(open(kept.path())).unwrap();
        Policies::load(&engine, &dir, Some(&cache))
            .unwrap()
            .modules()
            .len()
    };
    let compiled = || {
        let mut files: Vec<_> = std::fs::read_dir(kept.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "compiled")
        });
        files.sort();
        files
    };
    assert_eq!(load(), Family::ALL.len());
    let files = compiled();
    assert_eq!(files.len(), Family::ALL.len());
    let whole = std::fs::read(&files[0]).unwrap();
    let modified = || std::fs::metadata(&files[0]).unwrap().modified().unwrap();
    let written = modified();
    load();
    assert_eq!(modified(), written, "a good file is used");

    // One byte of the header, of the MAC, of the code, and a file cut short.
    let mut spoilt: Vec<Vec<u8>> = [3, 30, 60, whole.len() / 2, whole.len() - 1]
        .iter()
        .map(|place| {
            let mut bytes = whole.clone();
            bytes[*place] ^= 1;
            bytes
        })
        .collect();
    spoilt.push(whole[..40].to_vec());
    spoilt.push(Vec::new());
    for bytes in spoilt {
        std::fs::write(&files[0], &bytes).unwrap();
        load();
        assert_eq!(std::fs::read(&files[0]).unwrap().len(), whole.len());
        assert_ne!(
            std::fs::read(&files[0]).unwrap(),
            bytes,
            "a spoilt file is replaced"
        );
    }

    // The file of one module under the name of the other is not that module.
    std::fs::copy(&files[1], &files[0]).unwrap();
    load();
    assert_ne!(
        std::fs::read(&files[0]).unwrap(),
        std::fs::read(&files[1]).unwrap()
    );

    // Another key: everything is compiled again.
    let old = std::fs::read(&files[0]).unwrap();
    std::fs::write(kept.path().join("cache.key"), "short").unwrap();
    load();
    assert_ne!(std::fs::read(&files[0]).unwrap(), old);
    assert_eq!(
        std::fs::read_dir(kept.path()).unwrap().count(),
        Family::ALL.len() + 1,
        "nothing half-written is left behind"
    );
}

#[cfg(unix)]
#[test]
fn the_key_of_the_cache_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let kept = tempfile::TempDir::new().unwrap();
    Cache::open(open(kept.path())).unwrap();
    let mode = std::fs::metadata(kept.path().join("cache.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_module_of_an_older_contract_answers_what_its_contract_asks() {
    let policies = load(&repository()).unwrap();
    let older = policies
        .lock()
        .pins()
        .iter()
        .find(|pin| pin.name == "role-matrix" && pin.version == "1.0.1")
        .and_then(|pin| policies.by_digest(&pin.digest))
        .unwrap();
    assert_eq!(older.abi(), "gotong:policy@1.0.0");
    assert!(gotong_engine::ABIS.contains(&older.abi()) && older.abi() != gotong_engine::ABI);
    assert!(older.answers::<ProjectFacts>());
    let facts = ProjectManyFacts { items: Vec::new() };
    assert!(!older.answers::<ProjectManyFacts>());
    let asked = older.evaluate(&facts);
    assert_eq!(
        asked.outcome,
        Outcome::EngineError,
        "no decision is made up"
    );
    assert!(asked.detail.unwrap().contains("has no `project-many`"));
}

#[test]
fn a_lock_that_names_another_contract_than_the_module_speaks_is_refused() {
    let (_folder, dir) = copy();
    let spoken = active(&dir, Family::Gate).abi;
    let other = gotong_engine::ABIS
        .iter()
        .find(|abi| **abi != spoken)
        .unwrap();
    edit(
        &dir,
        &format!("abi = \"{spoken}\""),
        &format!("abi = \"{other}\""),
    );
    assert!(
        refusal(&dir).contains("its section says abi"),
        "{}",
        refusal(&dir)
    );
    edit(
        &dir,
        &format!("abi = \"{other}\""),
        "abi = \"gotong:policy@9.0.0\"",
    );
    assert!(
        refusal(&dir).contains("none that this host speaks"),
        "{}",
        refusal(&dir)
    );
}
