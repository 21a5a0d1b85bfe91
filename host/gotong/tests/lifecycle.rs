//! The life of a pinned module under a host: shadow, scoped, retired, signed. Nothing but the active module, or that of
//! the scope, ever decides.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::build::componentize_for;
use gotong_engine::signature::{self, PrivateKey};
use gotong_engine::{Family, Metadata, Mode, lifecycle, pin};
use harness::{HOUR_MS, Host, Setup, gotong, one_line, root, token};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of the pinned policies, to live in.
struct Policies(TempDir);

impl Policies {
    fn copy() -> Self {
        Self(harness::policies_copy())
    }

    fn dir(&self) -> Dir {
        Dir::open_ambient_dir(self.0.path(), ambient_authority()).unwrap()
    }

    /// Pins a fixture as a gate of this version.
    fn pin(&self, fixture: &str, version: &str, mode: Mode) {
        let core = wat::parse_file(root().join(format!("fixtures/modules/{fixture}.wat"))).unwrap();
        let metadata = Metadata {
            name: "gate".into(),
            version: version.into(),
            family: Family::Gate,
            source: "sha256:none".into(),
            toolchain: "wat".into(),
        };
        let bytes = componentize_for(Family::Gate, &core, &metadata).unwrap();
        pin::pin_as(&self.dir(), &bytes, mode).unwrap();
    }

    fn active_gate(&self) -> String {
        let lock = pin::read_lock(&self.dir()).unwrap();
        lock.active(Family::Gate).unwrap().version.clone()
    }

    fn setup(&self) -> Setup {
        Setup::default().env("GOTONG_POLICIES_DIR", self.path())
    }

    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    /// `gotong …` as an auditor of a host, with these policies.
    fn audit(&self, host: &Host, args: &[&str]) -> Value {
        let output = gotong(args)
            .args(["--json", "--url", &host.base])
            .args(["--token", &token("admin/admin")])
            .env("GOTONG_POLICIES_DIR", self.0.path())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Everything replays, the shadows' decisions too, and every chain holds.
    fn holds(&self, host: &Host) {
        let replay = self.audit(host, &["replay"]);
        assert_eq!(
            (&replay["diverged"], &replay["not_replayable"]),
            (&json!(0), &json!(0)),
            "{replay}"
        );
        let ledger = self.audit(host, &["audit", "verify"]);
        assert_eq!(ledger["ok"], true, "{ledger}");
    }
}

/// What a host says of its shadows.
async fn shadows(host: &Host, query: &str) -> Value {
    host.get("admin/admin", &format!("/v1/admin/policies/shadow{query}"))
        .await
        .ok()
        .json
}

async fn decisions(host: &Host) -> Vec<Value> {
    let rows = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    rows.as_array().unwrap().clone()
}

/// Hours until the gate of a proposed transition closes.
fn window(transition: &Value) -> u64 {
    let at = |field: &str| transition["gate"][field].as_u64().unwrap();
    (at("closes_at_ms") - at("opens_at_ms")) / HOUR_MS
}

async fn seed_in(host: &Host, scope: &str) -> String {
    host.seed_with(json!({"track": "tuntaskan", "title": "A seed", "scope_id": scope}))
        .await
}

#[tokio::test]
async fn one_community_runs_its_own_module() {
    let policies = Policies::copy();
    policies.pin("one-hour", "9.0.0", Mode::Scoped);
    lifecycle::set_override(&policies.dir(), "id/jabar/depok", "gate", "9.0.0").unwrap();
    let host = policies.setup().start();
    let active = policies.active_gate();
    for (scope, hours, version) in [
        ("id/jabar/depok", 1, "9.0.0"),
        ("id/jabar/depok/tugu/rw03", 1, "9.0.0"),
        ("id/jabar/depokbaru", 24, active.as_str()),
        ("id/jabar", 24, &active),
    ] {
        let entity = seed_in(&host, scope).await;
        let proposed = host.propose("sari", &entity, "bahas").await.ok().json;
        assert_eq!(window(&proposed), hours, "{scope}");
        let plan = decisions(&host)
            .await
            .into_iter()
            .find(|row| row["decision_id"] == proposed["decision_id"])
            .unwrap();
        assert_eq!(plan["module_version"], version, "{scope}");
        // The tracks are the scope's own too: that module knows three stages.
        let stages = host
            .get("sari", &format!("/v1/entities/{entity}/stage"))
            .await
            .ok();
        let known = stages.json["stages"].as_array().unwrap().len();
        assert_eq!(known == 3, version == "9.0.0", "{scope}: {known}");
    }
    host.wait_hours(1).await;
    host.wait_hours(23).await;
    policies.holds(&host);
}

#[tokio::test]
async fn a_gate_closes_under_its_module_whatever_is_active_or_overridden_since() {
    let data = TempDir::new().unwrap();
    let policies = Policies::copy();
    let setup = || policies.setup().data(&data.path().join("store"));
    let host = setup().start();
    let entity = host.seed("tuntaskan").await;
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.kill();
    // Both would trap at the close.
    policies.pin("trapping-plan", "9.0.0", Mode::Active);
    policies.pin("trapping-plan", "9.1.0", Mode::Scoped);
    lifecycle::set_override(&policies.dir(), "id/jabar", "gate", "9.1.0").unwrap();
    let host = setup().start();
    host.wait_hours(24).await;
    assert_eq!(host.transition(&gate).await["status"], "applied");
    let closed = decisions(&host)
        .await
        .into_iter()
        .find(|row| row["function"] == "close")
        .unwrap();
    assert_ne!(closed["module_version"], "9.0.0");
    host.propose("sari", &entity, "tuntas")
        .await
        .is(403, "policy_trapped");
    let newest = decisions(&host).await;
    let plan = newest
        .iter()
        .rfind(|row| row["function"] == "plan")
        .unwrap();
    assert_eq!(
        plan["module_version"], "9.1.0",
        "the override decides what begins now"
    );
    host.kill();
    // Back again: what was retired decides, and the override is taken away.
    lifecycle::rollback(&policies.dir(), "gate", None).unwrap();
    lifecycle::remove_override(&policies.dir(), "id/jabar", Family::Gate).unwrap();
    let host = setup().start();
    host.propose("sari", &entity, "rancang")
        .await
        .is(422, "pic_required");
    policies.holds(&host);
}

#[tokio::test]
async fn a_shadow_is_never_acted_on_and_its_differences_are_kept() {
    let data = TempDir::new().unwrap();
    let policies = Policies::copy();
    policies.pin("one-hour", "9.0.0", Mode::Shadow);
    let setup = || policies.setup().data(&data.path().join("store"));
    let host = setup().start();
    let entity = host.seed("tuntaskan").await;
    let proposed = host.propose("sari", &entity, "bahas").await.ok().json;
    assert_eq!(window(&proposed), 24, "the active module decided");
    // A refusal is compared too.
    host.propose("sari", &seed_in(&host, "id/jabar").await, "tuntas")
        .await
        .is(422, "stage_skipped");
    host.wait_hours(24).await;
    assert_eq!(host.stage(&entity).await, "bahas");

    let page = shadows(&host, "").await;
    assert_eq!(page["sample_permille"], 1_000);
    let shadow = &page["shadows"][0];
    assert_eq!(
        (&shadow["name"], &shadow["version"], &shadow["suspended"]),
        (&json!("gate"), &json!("9.0.0"), &json!(false))
    );
    let count = |field: &str| shadow[field].as_u64().unwrap();
    assert_eq!(count("evaluated"), 3, "two plans and a close: {shadow}");
    assert_eq!((count("differing"), count("failed")), (3, 0), "{shadow}");
    let refused = shadow["differences"]
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["active"]["effect"] == "deny")
        .unwrap();
    assert_eq!(
        (
            &refused["shadow"]["effect"],
            &refused["shadow"]["rule"],
            &refused["count"]
        ),
        (&json!("allow"), &json!("gate.fixture"), &json!(1))
    );

    let differences = page["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &page["next"]), (3, &json!(null)));
    let all = decisions(&host).await;
    for pair in differences {
        let row = |id: &Value| all.iter().find(|row| row["decision_id"] == *id).unwrap();
        let (theirs, ours) = (row(&pair["decision_id"]), row(&pair["differs_from"]));
        assert_eq!(
            (&theirs["mode"], &ours["mode"]),
            (&json!("shadow"), &json!("active"))
        );
        assert_eq!(theirs["input"], ours["input"]);
        assert_eq!(theirs["module_version"], "9.0.0");
        assert_ne!(theirs["output"], ours["output"]);
        assert_eq!(pair["function"], ours["function"]);
        assert_eq!(pair["shadow"]["module"], "gate@9.0.0");
    }
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut query = "?limit=1".to_owned();
    loop {
        let page = shadows(&host, &query).await;
        paged.extend(page["differences"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("?limit=1&after={next}");
    }
    assert_eq!(&paged, differences);

    let report = policies.audit(&host, &["policy", "shadow", "--limit", "2"]);
    assert_eq!(report["shadows"][0]["differing"], 3);
    assert_eq!(report["kept"][0]["total"], 3);
    assert_eq!(report["differences"].as_array().unwrap().len(), 2);
    assert_eq!(report["next"], differences[1]["decision_id"]);
    policies.holds(&host);

    // Counts are the process's, what was kept is not.
    host.kill();
    let output = gotong(&["policy", "shadow", "--data"])
        .arg(data.path().join("store"))
        .output()
        .unwrap();
    let says = String::from_utf8(output.stdout).unwrap();
    assert!(
        says.contains("gate@9.0.0, kept in the store: 3 differing")
            && says.contains("allow by gate.fixture"),
        "{says}"
    );
    let host = setup().start();
    let page = shadows(&host, "").await;
    assert_eq!(page["shadows"][0]["evaluated"], 0);
    assert_eq!(page["differences"].as_array().unwrap().len(), 3);
    // Its decisions replay when it has become the active one.
    host.kill();
    lifecycle::activate(&policies.dir(), "gate", "9.0.0").unwrap();
    let host = setup().start();
    policies.holds(&host);
}

#[tokio::test]
async fn a_shadow_that_fails_fails_nothing_but_itself() {
    for (fixture, outcome) in [
        ("trapping-plan", "trapped"),
        ("looping-plan", "fuel_exhausted"),
    ] {
        let policies = Policies::copy();
        policies.pin(fixture, "9.0.0", Mode::Shadow);
        let host = policies.setup().start();
        for _ in 0..18 {
            let entity = host.seed("tuntaskan").await;
            host.propose("sari", &entity, "bahas").await.ok();
        }
        let page = shadows(&host, "").await;
        let shadow = &page["shadows"][0];
        assert_eq!(
            (
                &shadow["evaluated"],
                &shadow["differing"],
                &shadow["suspended"]
            ),
            (&json!(16), &json!(16), &json!(true)),
            "after 16 failures in a row it is asked no more: {shadow}"
        );
        let kind = &shadow["differences"][0];
        assert_eq!(
            (
                &kind["shadow"]["outcome"],
                &kind["shadow"]["rule"],
                &kind["active"]["effect"]
            ),
            (&json!(outcome), &json!(null), &json!("allow"))
        );
        policies.holds(&host);
    }
}

#[tokio::test]
async fn a_shadow_is_asked_as_often_as_is_set_and_told_of_to_auditors_alone() {
    let policies = Policies::copy();
    policies.pin("one-hour", "9.0.0", Mode::Shadow);
    let host = policies
        .setup()
        .env("GOTONG_SHADOW_SAMPLE_PERMILLE", "0")
        .start();
    let entity = host.seed("tuntaskan").await;
    host.propose("sari", &entity, "bahas").await.ok();
    let page = shadows(&host, "").await;
    assert_eq!(page["shadows"][0]["evaluated"], 0);
    assert_eq!(page["differences"], json!([]));
    let path = "/v1/admin/policies/shadow";
    host.get("", path).await.is(401, "token_required");
    let refused = host.get("sari", path).await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.text);
    host.get("admin/admin", &format!("{path}?limit=0"))
        .await
        .is(400, "invalid_query");
    host.get("admin/admin", &format!("{path}?since=1"))
        .await
        .is(400, "invalid_query");

    let says = policies
        .setup()
        .env("GOTONG_SHADOW_SAMPLE_PERMILLE", "1001")
        .refused();
    assert!(says.contains("shadow_sample_permille is 1001"), "{says}");
    let says = policies
        .setup()
        .env("GOTONG_RULINGS_CACHE", "1000001")
        .refused();
    assert!(says.contains("rulings_cache is 1000001"), "{says}");
    for args in [
        &["policy", "shadow", "--data", "/nowhere"][..],
        &["policy", "shadow"],
        &[
            "policy",
            "shadow",
            "--url",
            "http://127.0.0.1:1",
            "--token",
            "x",
        ],
        &[
            "policy",
            "shadow",
            "--url",
            &host.base,
            "--token",
            &token("sari"),
        ],
    ] {
        one_line(&mut gotong(args));
    }
}

#[tokio::test]
async fn a_read_is_counted_and_leaves_no_row() {
    let policies = Policies::copy();
    // The role matrix of before, beside the one of now.
    let lock = policies.0.path().join("policies.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let (head, entry) = text.split_once("name = \"role-matrix\"").unwrap();
    let entry = entry.replacen("mode = \"retired\"", "mode = \"shadow\"", 1);
    std::fs::write(&lock, format!("{head}name = \"role-matrix\"{entry}")).unwrap();
    let host = policies.setup().start();
    let entity = host.seed("tuntaskan").await;
    let evaluated = |page: &Value| page["shadows"][0]["evaluated"].as_u64().unwrap();
    let before = shadows(&host, "").await;
    let rows = decisions(&host).await.len();
    host.get("wati", &format!("/v1/entities/{entity}"))
        .await
        .ok();
    let after = shadows(&host, "").await;
    // The read itself, and two audits of the audit route.
    assert!(evaluated(&after) > evaluated(&before), "{after}");
    assert_eq!(decisions(&host).await.len(), rows);
    assert_eq!(after["differences"], before["differences"]);
}

#[tokio::test]
async fn what_the_host_cannot_carry_out_is_refused() {
    for (fixture, code) in [
        ("obliging-plan", "policy_obligation_unknown"),
        ("windowless-plan", "policy_terms_unusable"),
    ] {
        let policies = Policies::copy();
        policies.pin(fixture, "9.0.0", Mode::Active);
        let host = policies.setup().start();
        let entity = host.seed("tuntaskan").await;
        host.propose("sari", &entity, "bahas").await.is(403, code);
        assert_eq!(host.stage(&entity).await, "keresahan");
        let stage = host
            .get("sari", &format!("/v1/entities/{entity}"))
            .await
            .ok();
        assert_eq!(stage.json["open_transition"], json!(null));
        policies.holds(&host);
    }
}

#[test]
fn an_override_that_cannot_be_meant_refuses_the_start() {
    let policies = Policies::copy();
    let lock = policies.0.path().join("policies.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    for (scope, module, says) in [
        ("id/jabar", "gate@7.0.0", "`gate@7.0.0` is not pinned"),
        ("id/jabar", "gate@1.0.0", "`gate@1.0.0` is retired"),
        ("id//jabar", "gate@1.0.0", "a scope has 1 to 7 levels"),
    ] {
        let entry = format!(
            "\n[[override]]\nscope = \"{scope}\"\nfamily = \"gate\"\nmodule = \"{module}\"\n"
        );
        std::fs::write(&lock, text.clone() + &entry).unwrap();
        let refused = policies.setup().refused();
        assert!(
            refused.contains("policies.lock, line ") && refused.contains(says),
            "{refused}"
        );
        assert_eq!(refused.trim().lines().count(), 1, "{refused}");
    }
}

#[test]
fn a_host_that_requires_it_starts_under_a_signed_lock_alone() {
    let policies = Policies::copy();
    let key = |name: &str| root().join("fixtures/keys").join(name);
    let sign = |dir: &Dir, name: &str| {
        let pem = std::fs::read_to_string(key(name)).unwrap();
        signature::sign(dir, &PrivateKey::from_pem(&pem).unwrap()).unwrap();
    };
    let with = |keys: &Path| {
        policies
            .setup()
            .arg("--require-signed-lock")
            .env("GOTONG_LOCK_KEYS", keys.display().to_string())
    };
    let trusted = key("test-lock.pub.pem");
    let refused = |setup: Setup, says: &str| {
        let refused = setup.refused();
        assert!(refused.contains(says), "{refused}");
        assert_eq!(refused.trim().lines().count(), 1, "{refused}");
    };
    refused(with(&trusted), "policies.lock is not signed");
    sign(&policies.dir(), "test-lock.pem");
    drop(with(&trusted).start());
    refused(
        with(&key("test-ed25519.pub.pem")),
        "policies.lock is signed by the key sha256:",
    );
    refused(
        with(&key("dev-hs256.key")),
        "it holds no Ed25519 public key",
    );
    refused(
        with(Path::new("/nowhere")),
        "lock_keys `/nowhere` cannot be used",
    );
    refused(
        policies.setup().arg("--require-signed-lock"),
        "lock_keys (GOTONG_LOCK_KEYS) names no file",
    );
    refused(
        policies
            .setup()
            .env("GOTONG_LOCK_KEYS", trusted.display().to_string()),
        "nothing would be checked",
    );
    policies.pin("one-hour", "9.0.0", Mode::Active);
    refused(with(&trusted), "policies.lock is not what the key sha256:");
    sign(&policies.dir(), "test-ed25519.pem");
    refused(with(&trusted), "trusted are sha256:");
    sign(&policies.dir(), "test-lock.pem");
    drop(with(&trusted).start());
    // Without being asked to, a host does not look at signatures.
    drop(policies.setup().start());
}

#[test]
fn a_host_says_at_its_start_who_decides() {
    let policies = Policies::copy();
    policies.pin("one-hour", "9.0.0", Mode::Scoped);
    policies.pin("trapping-plan", "9.1.0", Mode::Shadow);
    lifecycle::set_override(&policies.dir(), "id/jabar", "gate", "9.0.0").unwrap();
    let log = TempDir::new().unwrap();
    let file = log.path().join("log");
    let host = policies.setup().start_with(|command| {
        command
            .env("RUST_LOG", "gotong=info")
            .stderr(std::fs::File::create(&file).unwrap());
    });
    host.kill();
    let log = std::fs::read_to_string(file).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains("policies are as they were"))
        .unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let says = |field: &str| {
        let value = line["fields"].get(field).or_else(|| line.get(field));
        value
            .unwrap_or_else(|| panic!("no {field}: {line}"))
            .clone()
    };
    assert!(says("active").as_str().unwrap().contains("gate@"));
    assert_eq!(
        (says("shadow"), says("scoped"), says("overrides")),
        (
            json!("gate@9.1.0"),
            json!("gate@9.0.0"),
            json!("id/jabar: gate by gate@9.0.0")
        )
    );
    assert!(says("loaded_ms").is_u64() && says("replayed_ms").is_u64());
}
