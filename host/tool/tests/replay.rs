//! `gotong-policy replay` as an auditor types it: no host, no database, no policies folder.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gotong_engine::bundle::{Header, ModuleEntry, VERSION, Writer};
use gotong_engine::role_matrix::AuthorizeFacts;
use gotong_engine::{Circumstances, Decision, Digest, Engine, Filter, Module, check};
use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn pinned(file: &str) -> PathBuf {
    root().join("policies/pinned").join(file)
}

/// The golden decisions of both families, changed by `change`, in a bundle.
fn bundle(folder: &TempDir, name: &str, change: impl Fn(&mut Decision)) -> String {
    let mut decisions: Vec<Decision> = Vec::new();
    for family in ["gate", "role-matrix"] {
        let file = root().join(format!("fixtures/decisions/{family}.ndjson"));
        let text = std::fs::read_to_string(file).unwrap();
        decisions.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Decision>(line).unwrap()),
        );
    }
    decisions.sort_by(|a, b| a.decision_id.cmp(&b.decision_id));
    let header = Header {
        bundle_version: VERSION,
        created_at_ms: 1_800_000_000_000,
        engine: Engine::new().unwrap().fingerprint(),
        filter: Filter::default(),
        host: "gotong 0.1.0".into(),
    };
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for mut decision in decisions {
        let file = format!("{}@{}.wasm", decision.module_name, decision.module_version);
        let bytes = std::fs::read(pinned(&file)).unwrap();
        let checked = check(&bytes).unwrap();
        let entry = ModuleEntry {
            abi: checked.abi.clone(),
            digest: checked.digest,
            family: checked.metadata.family,
            mode: None,
            name: checked.metadata.name,
            version: checked.metadata.version,
        };
        writer.module(entry, Some(&bytes)).unwrap();
        change(&mut decision);
        writer.decision(&decision).unwrap();
    }
    let file = folder.path().join(name);
    std::fs::write(&file, writer.finish().unwrap().0).unwrap();
    file.display().to_string()
}

/// How many decisions a bundle says it holds.
fn count(file: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let trailer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    trailer["trailer"]["decisions"].as_u64().unwrap()
}

/// A bundle whose lines were changed by somebody who knows how to end it.
fn forge(file: &str, change: impl Fn(usize, &str) -> String) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let mut trailer: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    let mut forged = String::new();
    for (place, line) in lines.into_iter().enumerate() {
        forged += &change(place, line);
        forged.push('\n');
    }
    trailer["trailer"]["digest"] = Digest::of(&forged).to_string().into();
    std::fs::write(file, format!("{forged}{trailer}\n")).unwrap();
}

/// From where nothing of the project is.
fn replay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gotong-policy"))
        .current_dir(std::env::temp_dir())
        .arg("replay")
        .args(args)
        .output()
        .unwrap()
}

/// Nothing that a terminal obeys, but for the ends of lines.
fn assert_plain(told: &str) {
    let steers = |letter: &char| {
        letter.is_control() && *letter != '\n'
            || ('\u{202a}'..='\u{202e}').contains(letter)
            || ('\u{2066}'..='\u{2069}').contains(letter)
    };
    assert_eq!(told.chars().find(steers), None, "{told:?}");
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_bundle_matches_and_a_pipe_sees_no_progress_bar() {
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "golden.ndjson", |_| {});
    let output = replay(&["--bundle", &file]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
    let told = text(&output);
    let lines = count(&file);
    for expected in [
        "sha256:",
        "written by gotong 0.1.0 at 2027-01-15T08:00:00Z",
        &format!("{lines} decisions: {lines} match, 0 diverged"),
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let json = |threads: &str| -> Value {
        let output = replay(&["--bundle", &file, "--json", "--threads", threads]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(json("1"), json("7"));
    assert_eq!(json("1000")["match"], lines);
}

#[test]
fn a_forged_ruling_diverges_and_its_text_does_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "forged.ndjson", |row| {
        let forged = "{\"rule\":\"\u{1b}[2J\u{9b}31m\"}".to_owned();
        row.output_digest = Some(Digest::of(&forged).to_string());
        row.output = Some(forged);
        row.request_id = "\u{7}".into();
    });
    let output = replay(&["--bundle", &file]);
    assert_eq!(output.status.code(), Some(1));
    let (told, lines) = (text(&output), count(&file));
    assert!(
        told.contains(&format!("{lines} decisions: 0 match, {lines} diverged")),
        "{told}"
    );
    assert!(
        told.contains(&format!("… and {} more that do not match", lines - 20)),
        "{told}"
    );
    // The bundle, its program, its modules; the count, one of each module; twenty decisions, and the rest.
    let modules = told.lines().filter(|line| line.contains("@1.")).count() / 2;
    assert_eq!(
        told.lines().count(),
        2 + modules + 1 + modules + 21,
        "{told}"
    );
    assert_plain(&told);
    // What is forged is no change by a candidate, and yet not passed over.
    let rules = format!("gate={}", pinned("gate@1.0.1.wasm").display());
    let output = replay(&["--bundle", &file, "--candidate", &rules]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_a_bundle_says_does_not_pass_for_a_line_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    const LINE: &str = "x\n109 decisions: 109 match\u{1b}[2J\u{202e}\u{2066}\u{9b}";
    let plain = bundle(&folder, "plain.ndjson", |row| {
        row.function = "nothing".into();
    });
    let lines = text(&replay(&["--bundle", &plain])).lines().count();
    let forged = bundle(&folder, "forged.ndjson", |row| {
        row.function = LINE.into();
        row.trace_id = Some(LINE.into());
    });
    forge(&forged, |place, line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if place == 0 {
            line["header"]["host"] = LINE.into();
            line["header"]["filter"]["entity"] = LINE.into();
        }
        if let Some(id) = line["decision"]["decision_id"].as_str() {
            line["decision"]["decision_id"] = format!("{id}{LINE}").into();
        }
        line.to_string()
    });
    let output = replay(&["--bundle", &forged]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output);
    assert_eq!(told.lines().count(), lines, "{told}");
    assert!(told.contains(r"written by x\n109 decisions"), "{told}");
    assert_plain(&told);
    let candidate = format!("gate={}", pinned("gate@1.0.0.wasm").display());
    for args in [
        &["--bundle", &forged, "--candidate", &candidate][..],
        &["--bundle", &forged, "--json"],
    ] {
        assert_plain(&text(&replay(args)));
    }
}

#[test]
fn nothing_is_hidden_in_the_spelling_of_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("{\"abi\"", "{\"aaa\":\"a name\",\"abi\""),
        ("{\"abi\"", "{\"x y\" : 1.50 , \"abi\""),
        ("\"trap_code\":null", "\"trap_code\":null,\"zzz\":{}"),
        ("\"fuel\":", "\"fuel\": "),
        ("\"family\":\"gate\"", "\"family\":\"g\\u0061te\""),
    ] {
        let file = bundle(&folder, "spelt.ndjson", |_| {});
        forge(&file, |_, line| match line.starts_with("{\"decision\"") {
            true => line.replacen(from, to, 1),
            false => line.to_owned(),
        });
        // The first one also where a candidate is asked.
        let candidate = format!("gate={}", pinned("gate@1.0.1.wasm").display());
        let with: &[&str] = match to.contains("a name") {
            true => &["--candidate", &candidate],
            false => &[],
        };
        for args in [with, &[]].iter().take(1 + with.len() / 2) {
            let output = replay(&[&["--bundle", file.as_str()], *args].concat());
            let says = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{to}: {says}");
            assert!(
                output.stdout.is_empty()
                    && says.lines().count() == 1
                    && says.contains("spelt.ndjson`: line ")
                    && says.contains("canonical form"),
                "{to}: {says}"
            );
        }
    }
}

#[test]
fn a_module_without_its_bytes_is_taken_from_beside_the_lock_or_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let lock = root().join("policies/policies.lock").display().to_string();
    let strip = |file: &str| {
        forge(file, |_, line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if line["module"].is_object() {
                line["module"]["wasm"] = Value::Null;
            }
            line.to_string()
        });
    };
    let file = bundle(&folder, "stripped.ndjson", |_| {});
    let lines = count(&file);
    strip(&file);
    // Without a lock there is nothing to take them from.
    let told = text(&replay(&["--bundle", &file]));
    assert!(told.contains(&format!("{lines} not replayable")), "{told}");
    let output = replay(&["--bundle", &file, "--lock", &lock]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output);
    assert!(
        told.contains(&format!("{lines} decisions: {lines} match"))
            && told.contains(", its bytes from beside the lock"),
        "{told}"
    );
    let output = replay(&["--bundle", &file, "--lock", &lock, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let module = &found["bundle"]["modules"][0];
    assert_eq!(
        (&module["has_bytes"], &module["bytes_from_lock"]),
        (&false.into(), &true.into())
    );
    // What was forged diverges again.
    let forged = bundle(&folder, "forged.ndjson", |row| {
        let output = row.output.as_mut().unwrap();
        *output = output.replacen("\"rule\":\"", "\"rule\":\"x", 1);
        row.output_digest = Some(Digest::of(output.as_str()).to_string());
    });
    strip(&forged);
    let output = replay(&["--bundle", &forged, "--lock", &lock]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // A lock alone, without its files.
    let alone = folder.path().join("policies.lock");
    std::fs::copy(&lock, &alone).unwrap();
    let output = replay(&["--bundle", &file, "--lock", &alone.display().to_string()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let says = String::from_utf8(output.stderr).unwrap();
    assert!(
        says.lines().all(
            |line| line.contains("stands in the bundle without its bytes")
                && line.contains("cannot be read")
        ),
        "{says}"
    );
}

#[test]
fn who_stops_reading_is_not_told_and_a_full_disk_is() {
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "golden.ndjson", |_| {});
    let module = pinned("gate@1.0.1.wasm").display().to_string();
    let older = pinned("role-matrix@1.0.0.wasm").display().to_string();
    let newer = pinned("role-matrix@1.0.1.wasm").display().to_string();
    let run = |args: &[&str], out: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_gotong-policy"))
            .args(args)
            .stdout(out)
            .output()
            .unwrap()
    };
    for (args, code) in [
        (&["inspect", &module][..], 0),
        (&["replay", "--bundle", &file], 0),
        (&["prove", &older, &newer], 1),
        (&["diff", &older, &newer, "--generated", "10"], 1),
    ] {
        // A pipe that nobody reads from.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(args, writer.into());
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &*says), (Some(code), ""), "{args:?}");
        #[cfg(target_os = "linux")]
        {
            let full = std::fs::File::options().write(true).open("/dev/full");
            let output = run(args, full.unwrap().into());
            let says = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{args:?}: {says}");
            assert!(
                says.lines().count() == 1 && says.contains("No space left"),
                "{args:?}: {says}"
            );
        }
    }
}

#[test]
fn what_is_named_and_not_there_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "golden.ndjson", |_| {});
    for (args, says) in [
        (
            ["--entity", "nope"],
            "no decision is about the entity `nope`",
        ),
        (["--decision", "nope"], "there is no decision `nope`"),
        (["--module", "rolematrix"], "no module `rolematrix` made"),
    ] {
        let output = replay(&[&["--bundle", &file], &args[..]].concat());
        let found = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{found}");
        assert!(output.stdout.is_empty() && found.contains(says), "{found}");
    }
}

#[test]
fn a_candidate_is_told_with_the_words_of_its_rules() {
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "golden.ndjson", |_| {});
    let same = format!("gate={}", pinned("gate@1.0.1.wasm").display());
    let output = replay(&["--bundle", &file, "--candidate", &same]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("Nothing would have changed."));
    // A filter that leaves nothing of that name is a mistake, not a candidate that changes nothing.
    let output = replay(&[
        "--bundle",
        &file,
        "--candidate",
        &same,
        "--module",
        "role-matrix",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
}

#[test]
fn a_flip_is_told_to_people_and_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let now = Module::from_bytes(
        &Engine::new().unwrap(),
        &std::fs::read(pinned("role-matrix@1.0.1.wasm")).unwrap(),
    )
    .unwrap();
    // One who was nominated, takes no part any more, and accepts: refused since 1.0.1.
    let facts: AuthorizeFacts = serde_json::from_str(
        r#"{"action": "pic_accept", "approvals": [], "snapshot": ["author"], "sought": ["pic"], "subject": [],
            "standing": {"has_pic": true, "nomination": "actor", "privacy": "l1", "relations": [], "role": "user",
                "seed_age_ms": 77, "tier": "kunci", "trigger": "user_action", "verified": true},
            "subject_is_actor": false}"#,
    )
    .unwrap();
    let (_, record) = now.rule(&facts);
    let file = bundle(&folder, "flips.ndjson", |row| {
        if row.family == "role-matrix" {
            let asked = Circumstances {
                decision_id: row.decision_id.clone(),
                at_ms: row.at_ms,
                entity_id: row.entity_id.clone(),
                request_id: String::new(),
                correlation_id: String::new(),
                trace_id: None,
            };
            *row = Decision::new(record.clone(), asked);
        }
    });
    assert_eq!(replay(&["--bundle", &file]).status.code(), Some(0));
    let before = format!("role-matrix={}", pinned("role-matrix@1.0.0.wasm").display());
    let output = replay(&["--bundle", &file, "--candidate", &before]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output);
    for expected in [
        "What if role-matrix 1.0.0 had decided in the place of role-matrix?",
        "The verdict would have been another: ",
        "authorize: effect deny -> allow",
        "was:   rule `pic_accept`: The nominee accepts, while still taking part;",
        "would: rule `pic_accept`: The nominee accepts; the bendahara cannot be the pic.",
        "generated: the plainest facts with this difference, never asked of anybody:",
        "Fuel of ",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let output = replay(&["--bundle", &file, "--candidate", &before, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let flip = &found["flips"][0];
    assert_eq!(
        (&flip["from"], &flip["to"]),
        (&"deny".into(), &"allow".into())
    );
    assert_eq!(flip["decisions"], found["changed"]);
    let plain = &flip["minimised"]["input"];
    assert_eq!(plain["standing"]["seed_age_ms"], 0);
    assert_eq!(
        plain["standing"]["nomination"], "actor",
        "the difference hangs on it"
    );
    assert_eq!(plain["snapshot"], Value::Array(Vec::new()));
}

#[test]
fn what_is_no_bundle_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = bundle(&folder, "golden.ndjson", |_| {});
    let whole = std::fs::read(&file).unwrap();
    let other = folder.path().join("other.ndjson");
    let other_name = other.display().to_string();
    let mut seventh = whole.clone();
    let at = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(6)
        .unwrap()
        .0;
    seventh[at - 1] = b'!';
    let cases: [(&[u8], &str); 6] = [
        (b"", "line 1"),
        (b"\0\0\0\0", "line 1"),
        (&whole[..whole.len() - 1], "it was cut"),
        (&whole[..4_000], "it was cut"),
        (&seventh, "line 7"),
        (&[&whole[..], b"{}\n"].concat(), "behind the trailer"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(&other, bytes).unwrap();
        let output = replay(&["--bundle", &other_name]);
        let says = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{says}");
        assert!(
            output.stdout.is_empty() && says.lines().count() == 1,
            "{says}"
        );
        assert!(
            says.contains(expected) && says.contains("other.ndjson"),
            "{expected}: {says}"
        );
    }
}
