//! What an auditor takes away: a bundle, replayed without its host, and what another module would have decided.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::{Host, Setup, gotong, host, one_line, root, token};
use serde_json::{Value, json};

/// A matter that some were refused: decisions of both families.
async fn tell(host: &Host) -> String {
    let (entity, gate) = host.at_a_vote().await;
    host.vote("sari", &gate, "yes").await.ok();
    host.vote("wati", &gate, "no").await.ok();
    host.propose("dewi", &entity, "rancang")
        .await
        .is(403, "not_related");
    host.wait_hours(48).await;
    entity
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn export(from: &[&str], out: &str, more: &[&str]) -> Output {
    gotong(&["audit", "export", "--out", out])
        .args(from)
        .args(more)
        .output()
        .unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Where nothing of the project is: no policies, no settings.
fn elsewhere(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gotong"));
    command.current_dir(std::env::temp_dir()).args(args);
    command
}

fn pinned(file: &str) -> String {
    let file = root().join("policies/pinned").join(file);
    file.display().to_string()
}

/// Without what only the source knows.
fn verdicts(mut found: Value) -> Value {
    found.as_object_mut().unwrap().remove("bundle");
    found
}

#[tokio::test]
async fn a_bundle_replays_elsewhere_as_its_host_does_running_or_stopped() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("store");
    let host = Setup::default().data(&store).start();
    tell(&host).await;
    let admin = token("admin/admin");
    let by_url = ["--url", &host.base, "--token", &admin];
    let out = path(&data, "running.ndjson");
    let exported = export(&by_url, &out, &["--json"]);
    assert!(exported.status.success());
    let exported = json_of(&exported);
    assert!(exported["decisions"].as_u64().unwrap() > 10);
    assert_eq!(exported["modules"], 3);
    let of_host = host.auditor(&["replay", "--json"]);
    let base = host.base.clone();
    host.kill();
    // The folder of the stopped host gives the same decisions and modules.
    let stopped = path(&data, "stopped.ndjson");
    let store = store.display().to_string();
    let by_data = export(&["--data", &store], &stopped, &[]);
    assert!(by_data.status.success(), "{by_data:?}");
    let lines = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(str::to_owned);
        lines
            .filter(|line| !line.starts_with("{\"header\"") && !line.starts_with("{\"trailer\""))
            .collect()
    };
    assert_eq!(lines(&out), lines(&stopped));
    let lock = root().join("policies/policies.lock").display().to_string();
    let replayed = elsewhere(&["replay", "--bundle", &out, "--lock", &lock, "--json"]);
    let replayed = {
        let mut command = replayed;
        command.output().unwrap()
    };
    assert!(replayed.status.success(), "{replayed:?}");
    let replayed = json_of(&replayed);
    assert_eq!(replayed["bundle"]["digest"], exported["digest"]);
    assert_eq!(verdicts(replayed), of_host);
    let mut unreachable = gotong(&[
        "audit", "export", "--url", &base, "--token", &admin, "--out",
    ]);
    let never = path(&data, "never.ndjson");
    one_line(unreachable.arg(&never));
    assert!(!Path::new(&never).exists());
}

#[tokio::test]
async fn filters_ask_the_same_of_a_host_a_store_and_a_bundle() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("store");
    let host = Setup::default().data(&store).start();
    let entity = tell(&host).await;
    host.seed("wujudkan").await;
    let admin = token("admin/admin");
    let rows = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    let rows = rows.as_array().unwrap();
    let one = rows[3]["decision_id"].as_str().unwrap();
    let count = |field: &str, value: &str| rows.iter().filter(|row| row[field] == value).count();
    let all = rows.len();
    let asked: Vec<(Vec<&str>, usize)> = vec![
        (vec![], all),
        (vec!["--family", "gate"], count("family", "gate")),
        (
            vec!["--module", "role-matrix"],
            count("module_name", "role-matrix"),
        ),
        (vec!["--entity", &entity], count("entity_id", &entity)),
        (vec!["--decision", one], 1),
        (vec!["--since", "1h"], all),
        (vec!["--since", "2100-01-01T00:00:00Z"], 0),
        (vec!["--mode", "active"], count("mode", "active")),
        (vec!["--mode", "shadow", "--family", "gate"], 0),
        (
            vec!["--family", "gate", "--entity", &entity, "--threads", "1"],
            count("family", "gate"),
        ),
    ];
    assert!(count("entity_id", &entity) < all && count("family", "gate") > 2);
    let out = path(&data, "all.ndjson");
    let by_url = ["--url", &host.base, "--token", &admin];
    assert!(export(&by_url, &out, &[]).status.success());
    let total = |found: &Value| {
        let number = |field: &str| found[field].as_u64().unwrap();
        usize::try_from(number("match") + number("diverged") + number("not_replayable")).unwrap()
    };
    let replay = |from: &[&str], filter: &[&str]| {
        let output = gotong(&["replay", "--json"])
            .args(from)
            .args(filter)
            .output()
            .unwrap();
        total(&json_of(&output))
    };
    for (filter, expected) in &asked {
        assert_eq!(replay(&by_url, filter), *expected, "host, {filter:?}");
        assert_eq!(
            replay(&["--bundle", &out], filter),
            *expected,
            "bundle, {filter:?}"
        );
        let some = path(&data, "some.ndjson");
        let exported = export(
            &by_url,
            &some,
            &[&filter[..], &["--force", "--json"]].concat(),
        );
        if !filter.contains(&"--threads") {
            assert_eq!(
                json_of(&exported)["decisions"],
                *expected,
                "export, {filter:?}"
            );
        }
    }
    host.kill();
    let store = store.display().to_string();
    for (filter, expected) in &asked {
        assert_eq!(
            replay(&["--data", &store], filter),
            *expected,
            "store, {filter:?}"
        );
    }
    for from in [["--data", &store], ["--bundle", &out]] {
        let says = one_line(gotong(&["replay", "--decision", "no-such-decision"]).args(from));
        assert!(
            says.contains("there is no decision `no-such-decision`"),
            "{says}"
        );
        for module in ["rolematrix", "gate@0.0.1"] {
            let says = one_line(gotong(&["replay", "--module", module]).args(from));
            let expected = format!("no module `{module}` made");
            assert!(says.contains(&expected), "{says}");
        }
    }
    let nothing = path(&data, "nothing.ndjson");
    let says = one_line(&mut gotong(&[
        "audit",
        "export",
        "--data",
        &store,
        "--module",
        "rolematrix",
        "--out",
        &nothing,
    ]));
    assert!(says.contains("no module `rolematrix` made"), "{says}");
    assert!(!Path::new(&nothing).exists());
}

#[tokio::test]
async fn a_candidate_is_held_against_a_host_a_store_or_a_bundle() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("store");
    let host = Setup::default().data(&store).start();
    tell(&host).await;
    let admin = token("admin/admin");
    let by_url = ["--url", &host.base, "--token", &admin];
    let out = path(&data, "all.ndjson");
    assert!(export(&by_url, &out, &[]).status.success());
    // One that traps on every plan: a real module, and another one.
    let file = path(&data, "trapping.wasm");
    std::fs::write(&file, trapping()).unwrap();
    let candidate = format!("gate={file}");
    let store = store.display().to_string();
    let ask = |from: &[&str]| {
        let output = gotong(&["replay", "--json", "--candidate", &candidate])
            .args(from)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        verdicts(json_of(&output))
    };
    let of_host = ask(&by_url);
    assert!(of_host["changed"].as_u64().unwrap() > 0);
    assert_eq!(
        of_host["failures"][0]["to"],
        "trapped (unreachable_code_reached)"
    );
    assert_eq!(of_host["candidate"]["version"], "9.0.0");
    let named = of_host["failures"][0]["smallest"]["decision_id"]
        .as_str()
        .unwrap();
    assert!(out_holds(&out, named));
    assert_eq!(ask(&["--bundle", &out]), of_host);
    host.kill();
    assert_eq!(ask(&["--data", &store]), of_host);
    let text = elsewhere(&["replay", "--bundle", &out, "--candidate", &candidate])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    for expected in [
        "What if gate 9.0.0",
        "The candidate fails",
        "rule `",
        "generated",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // The module itself changes nothing.
    let active = root().join("policies/policies.lock");
    let active = active_of(&std::fs::read_to_string(active).unwrap(), "gate");
    let same = format!("gate={}", pinned(&active));
    let same = elsewhere(&["replay", "--bundle", &out, "--candidate", &same])
        .output()
        .unwrap();
    assert_eq!(same.status.code(), Some(0), "{same:?}");
}

fn out_holds(file: &str, word: &str) -> bool {
    std::fs::read_to_string(file).unwrap().contains(word)
}

fn active_of(lock: &str, name: &str) -> String {
    let lock = gotong_engine::Lock::parse(lock).unwrap();
    let mut pins = lock.pins().iter();
    let is_active =
        |pin: &&gotong_engine::Pin| pin.name == name && pin.mode == gotong_engine::Mode::Active;
    let pin = pins.find(is_active).unwrap();
    pin.file.trim_start_matches("pinned/").to_owned()
}

fn trapping() -> Vec<u8> {
    use gotong_engine::build::componentize_for;
    use gotong_engine::{Family, Metadata};
    let core = wat::parse_file(root().join("fixtures/modules/trapping.wat")).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: "9.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    componentize_for(Family::Gate, &core, &metadata).unwrap()
}

#[tokio::test]
async fn what_cannot_be_asked_is_one_line_and_leaves_nothing_behind() {
    let host = host();
    tell(&host).await;
    let folder = tempfile::tempdir().unwrap();
    let admin = token("admin/admin");
    let by_url = ["--url", &host.base, "--token", &admin];
    let out = path(&folder, "all.ndjson");
    assert!(export(&by_url, &out, &[]).status.success());
    let whole = std::fs::read(&out).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let file = path(&folder, name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let cut = file("cut.ndjson", &whole[..whole.len() / 2]);
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let changed = file("changed.ndjson", &changed);
    let empty = file("empty.ndjson", b"");
    let module = std::fs::read(pinned("gate@1.0.0.wasm")).unwrap();
    let half = file("half.wasm", &module[..module.len() / 2]);
    let here = folder.path().display().to_string();
    let missing = path(&folder, "missing");
    let candidate = |name: &str, file: &str| format!("{name}={file}");
    let other_family = candidate("gate", &pinned("role-matrix@1.0.0.wasm"));
    let misnamed = candidate("gat", &pinned("gate@1.0.0.wasm"));
    let (of_missing, of_folder, of_half) = (
        candidate("gate", &missing),
        candidate("gate", &here),
        candidate("gate", &half),
    );
    let bundles: [(&[&str], &str); 18] = [
        (&["--bundle", &missing], "cannot be read"),
        (&["--bundle", &here], "is a directory"),
        (&["--bundle", &empty], "line 1"),
        (&["--bundle", &cut], "it was cut"),
        (&["--bundle", &changed], "line "),
        (&["--bundle", &half], "line 1"),
        (&["--bundle", &out, "--lock", &missing], "cannot be read"),
        (&["--bundle", &out, "--lock", &out], "is no lock"),
        (&["--bundle", &out, "--family", "weather"], "no family"),
        (&["--bundle", &out, "--module", "@1"], "NAME@VERSION"),
        (
            &["--bundle", &out, "--since", "yesterday"],
            "`--since yesterday`",
        ),
        (&["--bundle", &out, "--mode", "idle"], "no mode"),
        (&["--bundle", &out, "--entity", ""], "`--entity` is empty"),
        (&["--bundle", &out, "--candidate", "gate"], "NAME=FILE"),
        (
            &["--bundle", &out, "--candidate", &of_missing],
            "cannot be read",
        ),
        (
            &["--bundle", &out, "--candidate", &of_folder],
            "cannot be read",
        ),
        (
            &["--bundle", &out, "--candidate", &other_family],
            "of the family gate, the candidate is of role-matrix",
        ),
        (
            &["--bundle", &out, "--candidate", &misnamed],
            "no module `gat` made any",
        ),
    ];
    for (args, expected) in bundles {
        let says = one_line(gotong(&["replay"]).args(args));
        assert!(says.contains(expected), "{args:?}: {says}");
    }
    let says = one_line(gotong(&["replay", "--candidate", &of_half]).args(by_url));
    assert!(says.contains("fails the load-time check"), "{says}");
    let stranger = token("dewi");
    let nowhere = path(&folder, "no/such/folder.ndjson");
    let exports: [(&[&str], &str); 5] = [
        (&["--out", &out], "is there already"),
        (&["--out", &here], "is a folder"),
        (&["--out", &nowhere], "cannot be written"),
        (
            &["--out", &missing, "--decision", "none"],
            "there is no decision `none`",
        ),
        (&["--out", &missing, "--since", "soon"], "`--since soon`"),
    ];
    for (args, expected) in exports {
        let says = one_line(gotong(&["audit", "export"]).args(by_url).args(args));
        assert!(says.contains(expected), "{args:?}: {says}");
    }
    let mut forbidden = gotong(&["audit", "export", "--url", &host.base, "--token", &stranger]);
    let says = one_line(forbidden.args(["--out", &missing]));
    assert!(says.contains("403"), "{says}");
    assert_eq!(
        std::fs::read(&out).unwrap(),
        whole,
        "what was there is as it was"
    );
    let mut left: Vec<PathBuf> = std::fs::read_dir(&here)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    left.sort();
    let names: Vec<_> = left
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "all.ndjson",
            "changed.ndjson",
            "cut.ndjson",
            "empty.ndjson",
            "half.wasm"
        ]
    );
    // Only auditors see modules and filtered decisions; what is no filter is refused.
    for path in [
        "/v1/audit/modules",
        "/v1/audit/modules/sha256:00",
        "/v1/audit/decisions?family=gate",
    ] {
        let status = host.get("dewi", path).await.status.as_u16();
        assert!([403, 404].contains(&status), "{path}: {status}");
    }
    for query in ["family=weather", "mode=idle", "since_ms=soon", "colour=red"] {
        let path = format!("/v1/audit/decisions?{query}");
        host.get("admin/admin", &path)
            .await
            .is(400, "invalid_query");
    }
    let unknown = format!("/v1/audit/modules/sha256:{}", "0".repeat(64));
    assert_eq!(host.get("admin/admin", &unknown).await.status, 404);
}

#[tokio::test]
async fn a_module_that_the_lock_does_not_pin_is_told() {
    let host = host();
    tell(&host).await;
    let folder = tempfile::tempdir().unwrap();
    let admin = token("admin/admin");
    let out = path(&folder, "all.ndjson");
    assert!(
        export(&["--url", &host.base, "--token", &admin], &out, &[])
            .status
            .success()
    );
    // The lock of somebody who trusts no gate.
    let lock = std::fs::read_to_string(root().join("policies/policies.lock")).unwrap();
    let (head, pins) = lock.split_once("[[module]]").unwrap();
    let others: Vec<&str> = pins
        .split("[[module]]")
        .filter(|pin| !pin.contains("\"gate\""))
        .collect();
    let trusted = path(&folder, "trusted.lock");
    std::fs::write(
        &trusted,
        format!("{head}[[module]]{}", others.join("[[module]]")),
    )
    .unwrap();
    let output = elsewhere(&["replay", "--bundle", &out, "--lock", &trusted, "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not pinned in the lock"));
    let found = json_of(&output);
    assert_eq!(found["diverged"], 0);
    let modules = found["bundle"]["modules"].as_array().unwrap();
    let pinned: Vec<(&str, bool)> = modules
        .iter()
        .map(|module| {
            (
                module["name"].as_str().unwrap(),
                module["pinned"].as_bool().unwrap(),
            )
        })
        .collect();
    assert!(
        pinned.contains(&("gate", false)) && pinned.contains(&("role-matrix", true)),
        "{pinned:?}"
    );
    assert_eq!(
        json!(pinned.len()),
        found["bundle"]["modules"].as_array().unwrap().len()
    );
}
