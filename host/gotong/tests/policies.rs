//! A bad module never gets to decide: at start the host refuses it and says why; at run time it denies.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::build::componentize_for;
use gotong_engine::{Family, Metadata, pin};
use harness::{Setup, gotong, policies_copy, root};
use serde_json::json;
use tempfile::TempDir;

/// A fixture as a gate module of version 9.0.0.
fn gate_module(name: &str) -> Vec<u8> {
    let core = wat::parse_file(root().join(format!("fixtures/modules/{name}.wat"))).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: "9.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    componentize_for(Family::Gate, &core, &metadata).unwrap()
}

fn with(policies: &Path) -> Setup {
    Setup::default().env("GOTONG_POLICIES_DIR", policies.display().to_string())
}

fn refused(policies: &Path) -> String {
    let says = with(policies).refused();
    assert_eq!(says.trim().lines().count(), 1, "one line: {says}");
    says
}

/// Puts a module under the lock without asking `pin`, as somebody with write access could.
fn smuggle(policies: &Path, bytes: &[u8]) {
    let lock = std::fs::read_to_string(policies.join("policies.lock")).unwrap();
    let digest = gotong_engine::Digest::of(bytes);
    std::fs::write(policies.join("pinned/gate@9.0.0.wasm"), bytes).unwrap();
    let entry = format!(
        "\n[[module]]\nname = \"gate\"\nfamily = \"gate\"\nversion = \"9.0.0\"\nabi = \"gotong:policy@1.0.0\"\ndigest = \"{digest}\"\nfile = \"pinned/gate@9.0.0.wasm\"\nmode = \"active\"\n"
    );
    let retired = |entry: &str| match entry.starts_with("\nname = \"gate\"") {
        true => entry.replace("mode = \"active\"", "mode = \"retired\""),
        false => entry.to_owned(),
    };
    let entries: Vec<String> = lock.split("[[module]]").map(retired).collect();
    let lock = entries.join("[[module]]");
    std::fs::write(policies.join("policies.lock"), lock + &entry).unwrap();
}

#[test]
fn a_module_that_is_not_the_pinned_one_is_refused_at_start() {
    let corrupt = policies_copy();
    let file = corrupt.path().join("pinned/gate@1.0.0.wasm");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let says = refused(corrupt.path());
    assert!(says.contains("gate") && says.contains("digest"), "{says}");

    let missing = policies_copy();
    std::fs::remove_file(missing.path().join("pinned/role-matrix@1.0.0.wasm")).unwrap();
    let says = refused(missing.path());
    assert!(says.contains("role-matrix"), "{says}");

    let swapped = policies_copy();
    let pinned = swapped.path().join("pinned");
    std::fs::copy(
        pinned.join("gate@1.0.0.wasm"),
        pinned.join("role-matrix@1.0.0.wasm"),
    )
    .unwrap();
    let says = refused(swapped.path());
    assert!(
        says.contains("role-matrix") && says.contains("digest"),
        "{says}"
    );

    let nothing = TempDir::new().unwrap();
    refused(nothing.path());
}

#[test]
fn a_module_that_breaks_a_rule_is_refused_at_start() {
    for (fixture, names) in [
        ("importing", "import"),
        ("growing", "memory"),
        ("large-memory", "memory"),
        ("starting", "start"),
    ] {
        let policies = policies_copy();
        let wat = root().join(format!("fixtures/modules/{fixture}.wat"));
        let core = wat::parse_file(&wat).unwrap();
        let metadata = Metadata {
            name: "gate".into(),
            version: "9.0.0".into(),
            family: Family::Gate,
            source: "sha256:none".into(),
            toolchain: "wat".into(),
        };
        let component = componentize_for(Family::Gate, &core, &metadata).unwrap_or(core);
        smuggle(policies.path(), &component);
        let says = refused(policies.path());
        assert!(
            says.contains("gate") && says.to_lowercase().contains(names),
            "{fixture}: {says}"
        );
    }
    let oversized = policies_copy();
    smuggle(oversized.path(), &vec![0; 1024 * 1024 + 1]);
    let says = refused(oversized.path());
    assert!(says.contains("1048576") || says.contains("1 MiB"), "{says}");
    let looping = policies_copy();
    smuggle(looping.path(), &gate_module("looping"));
    let says = refused(looping.path());
    assert!(says.contains("gate") && says.contains("fuel"), "{says}");
    let checked = gotong(&["policy", "check", "fixtures/modules/README.md"])
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(2));
}

#[tokio::test]
async fn a_policy_that_fails_at_run_time_denies_and_the_next_call_is_fine() {
    for (fixture, code, outcome) in [
        ("trapping-plan", "policy_trapped", "trapped"),
        ("looping-plan", "policy_fuel_exhausted", "fuel_exhausted"),
    ] {
        let policies = policies_copy();
        let dir = Dir::open_ambient_dir(policies.path(), ambient_authority()).unwrap();
        pin::pin(&dir, &gate_module(fixture)).unwrap();
        let host = with(policies.path()).start();
        let entity = host.seed("tuntaskan").await;
        let denied = host.propose("sari", &entity, "bahas").await.is(403, code);
        let id = denied
            .field("detail")
            .split("(decision ")
            .nth(1)
            .unwrap()
            .trim_end_matches(')')
            .to_owned();
        let decision = host
            .get("sari", &format!("/v1/decisions/{id}"))
            .await
            .ok()
            .json;
        assert_eq!(
            (
                &decision["outcome"],
                &decision["module_version"],
                &decision["ruling"]
            ),
            (&json!(outcome), &json!("9.0.0"), &json!(null))
        );
        assert_eq!(host.stage(&entity).await, "keresahan");
        host.join("budi", &entity, "saksi").await.ok();
        host.propose("sari", &entity, "bahas").await.is(403, code);
        let replay = gotong(&[
            "replay",
            "--json",
            "--url",
            &host.base,
            "--token",
            &harness::token("admin/admin"),
        ])
        .env("GOTONG_POLICIES_DIR", policies.path())
        .output()
        .unwrap();
        let replay: serde_json::Value = serde_json::from_slice(&replay.stdout).unwrap();
        assert_eq!(
            (&replay["diverged"], &replay["not_replayable"]),
            (&json!(0), &json!(0)),
            "a failure replays too: {replay}"
        );
    }
}

#[tokio::test]
async fn a_gate_closes_under_the_policy_it_was_opened_under() {
    let data = TempDir::new().unwrap();
    let policies = policies_copy();
    let setup = || with(policies.path()).data(&data.path().join("store"));
    let host = setup().start();
    let entity = host.seed("tuntaskan").await;
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.kill();
    let dir = Dir::open_ambient_dir(policies.path(), ambient_authority()).unwrap();
    pin::pin(&dir, &gate_module("trapping-plan")).unwrap();
    let host = setup().start();
    host.wait_hours(24).await;
    assert_eq!(
        host.transition(&gate).await["status"],
        "applied",
        "the retired module closed it"
    );
    host.propose("sari", &entity, "tuntas")
        .await
        .is(403, "policy_trapped");
}
