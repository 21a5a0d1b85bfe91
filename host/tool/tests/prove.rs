//! `gotong-policy prove`: exit codes, and what it tells.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pinned(name: &str) -> String {
    workspace()
        .join(format!("policies/pinned/{name}.wasm"))
        .display()
        .to_string()
}

/// Exit code, stdout, stderr.
fn prove(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gotong-policy"));
    let output = command.arg("prove").args(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_stricter_module_is_told_with_its_cubes_and_confirmed_by_the_engine() {
    let (old, new) = (pinned("role-matrix@1.0.0"), pinned("role-matrix@1.0.1"));
    let (code, told, _) = prove(&[&old, &new, "--sample", "40"]);
    assert_eq!(code, 1, "{told}");
    for line in [
        "authorize: stricter (9.69e31 inputs in 1460 cubes",
        "  allow pic_accept.nominee -> deny pic_accept.no_longer_takes_part: 2176066475306332514471116800 inputs",
        "project: equivalent",
        "role-matrix 1.0.1 is stricter than role-matrix 1.0.0 (",
        " inputs evaluated in the engine: the same",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    let (code, told, _) = prove(&[&new, &old, "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["relation"]), (1, &Value::from("looser")));
    let functions = told["functions"].as_array().unwrap();
    assert_eq!(
        functions[0]["differences"][0]["example"]["action"],
        "pic_accept"
    );
    assert_eq!(told["not_proved"].as_array().unwrap().len(), 0);
}

#[test]
fn a_module_is_equivalent_to_itself_even_where_it_computes() {
    let gate = pinned("gate@1.0.1");
    let (code, told, errors) = prove(&[&gate, &gate]);
    assert_eq!(code, 0, "{told}{errors}");
    assert!(
        told.contains("gate 1.0.1 is equivalent to gate 1.0.1"),
        "{told}"
    );
    // Each function has its line: proved, or the same bytes.
    for function in ["plan", "object", "challenge", "close", "stages", "weigh"] {
        let begins = format!("{function}: ");
        assert!(told.lines().any(|line| line.starts_with(&begins)), "{told}");
    }
}

#[test]
fn the_stated_properties_hold() {
    let file = workspace().join("policies/role-matrix/properties.toml");
    let (code, told, _) = prove(&[
        &pinned("role-matrix@1.0.1"),
        "--holds",
        &file.display().to_string(),
    ]);
    assert_eq!(code, 0, "{told}");
    assert!(
        told.contains("holds: bendahara never approves alone"),
        "{told}"
    );
    assert!(!told.contains("VIOLATED"), "{told}");
}

#[test]
fn what_does_not_hold_is_shown_and_what_cannot_be_used_is_one_line() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let module = pinned("role-matrix@1.0.1");
    let wrong = write(
        "wrong.toml",
        "[[property]]\nname = \"humas manages funds\"\nwhen = { action = \"funds_manage\", relations = { has = [\"humas\"] } }\nthen = { effect = \"allow\" }\n",
    );
    let (code, told, _) = prove(&[&module, "--holds", &wrong]);
    assert_eq!(code, 1);
    assert!(
        told.starts_with("VIOLATED: humas manages funds ("),
        "{told}"
    );
    assert!(told.contains("is ruled deny "), "{told}");

    let typo = write(
        "typo.toml",
        "[[property]]\nname = \"a\"\nwhen = { rolle = \"user\" }\nthen = { effect = \"deny\" }\n",
    );
    let truncated = folder.path().join("truncated.wasm");
    std::fs::write(&truncated, &std::fs::read(&module).unwrap()[..9_000]).unwrap();
    let truncated = truncated.display().to_string();
    let gate = pinned("gate@1.0.1");
    let folder_itself = folder.path().display().to_string();
    for (arguments, says) in [
        (
            vec![module.as_str(), "--holds", &typo],
            "typo.toml`: line 3: there is no fact `rolle`",
        ),
        (
            vec![&module, "--holds", &folder_itself],
            "cannot be read as text",
        ),
        (
            vec![&module, "--holds", "missing.toml"],
            "cannot be read as text",
        ),
        (
            vec![&truncated, &module],
            "truncated.wasm` fails the load-time check",
        ),
        (
            vec!["missing.wasm", &module],
            "missing.wasm` cannot be read",
        ),
        (vec![&folder_itself, &module], "cannot be read"),
        (vec![&module, &gate], "compare modules of one family"),
        (vec![&typo, &module], "fails the load-time check"),
    ] {
        let (code, told, errors) = prove(&arguments);
        assert_eq!((code, told.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert!(
            errors.contains(says) && errors.trim_end().lines().count() == 1,
            "{errors}"
        );
    }
    let (code, _, errors) = prove(&[&module]);
    assert_eq!(code, 2);
    assert!(errors.contains("--holds"), "{errors}");
}
