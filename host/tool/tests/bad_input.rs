//! What a user types wrong: one line that says what and where, exit code 2, nothing written.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod tool;

use std::fs;
use std::path::Path;

use gotong_engine::build::componentize_for;
use gotong_engine::{Family, Metadata};
use tempfile::TempDir;
use tool::{Author, refused, root};

/// Files that are no module, each with what is said of it.
fn no_modules(folder: &Path) -> Vec<(String, &'static str)> {
    let pinned = fs::read(root().join("policies/pinned/gate@1.0.1.wasm")).unwrap();
    let core =
        |name: &str| wat::parse_file(root().join(format!("fixtures/modules/{name}.wat"))).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: "9.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    let silent = componentize_for(Family::Gate, &core("silent"), &metadata).unwrap();
    let growing = componentize_for(Family::Gate, &core("growing"), &metadata).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let mut flipped = pinned.clone();
    flipped[4] ^= 0xff;
    vec![
        (
            folder.join("missing.wasm").display().to_string(),
            "No such file",
        ),
        (folder.display().to_string(), "directory"),
        (write("empty.wasm", &[]), "is_wasm"),
        (write("text.wasm", b"(module)"), "is_wasm"),
        (write("half.wasm", &pinned[..pinned.len() / 2]), "rule "),
        (
            write("one-byte-less.wasm", &pinned[..pinned.len() - 1]),
            "rule ",
        ),
        (write("other-version.wasm", &flipped), "rule "),
        (write("core.wasm", &core("core-module")), "is_component"),
        (write("importing.wasm", &core("importing")), "no_imports"),
        (write("growing.wasm", &growing), "memory_maximum"),
        (write("large.wasm", &vec![0; 3 << 20]), "rule "),
        // It passes the check, and traps when it is asked for its rules.
        (write("silent.wasm", &silent), "`describe` ended as trapped"),
    ]
}

#[test]
fn a_file_that_is_no_module_is_refused_by_every_command_that_reads_one() {
    let folder = TempDir::new().unwrap();
    let good = root()
        .join("policies/pinned/gate@1.0.1.wasm")
        .display()
        .to_string();
    for (file, says) in no_modules(folder.path()) {
        let file = file.as_str();
        let is_silent = file.ends_with("silent.wasm");
        let is_folder = Path::new(file).is_dir();
        for args in [
            &["check", file][..],
            &["inspect", file],
            &["inspect", "--json", file],
            &["bench", file],
            &["bench", "--against", file, &good],
            &["diff", file, &good],
            &["diff", &good, file],
        ] {
            // The check does not run a module; a folder may be a crate for `bench`.
            if args[0] == "check" && is_silent || args == ["bench", file] && is_folder {
                continue;
            }
            let line = refused(&root(), args);
            assert!(line.contains(says), "{args:?}: {line}");
            assert!(line.contains(file), "{args:?}: {line}");
        }
    }
}

#[test]
fn names_that_are_none_are_told_with_what_there_is() {
    let (root, empty) = (root(), TempDir::new().unwrap());
    let elsewhere = empty.path().display().to_string();
    let missing = empty.path().join("missing").display().to_string();
    for (args, says) in [
        (
            &["inspect", "gat"][..],
            "`gat` is neither a file nor a module",
        ),
        (&["inspect", "gate@0.9.9"], "gate@1.0.1"),
        (&["bench", "gate@0.9.9"], "gate@1.0.1"),
        (
            &["bench", "gate", "--max-fuel-increase", "NaN"],
            "--max-fuel-increase `NaN`",
        ),
        (&["bench", "gate@1.0.1", "--cases", &missing], &missing),
        (&["diff", "gate", "gat"], "`gat`"),
        (&["diff", "gate", "role-matrix"], "role-matrix"),
        (
            &["diff", "gate@1.0.0", "gate@1.0.1", "--cases", &missing],
            &missing,
        ),
        (
            &["diff", "gate@1.0.0", "gate@1.0.1", "--bundle", &missing],
            &missing,
        ),
        (&["docs", "gat"], "`gat`"),
        (&["docs", "--policies", &missing], &missing),
        (&["build", "gat"], "there is no policy `gat`"),
        (&["pin", "gat"], "there is no policy `gat`"),
        (&["test", "gat"], "there is no policy `gat`"),
        (&["test", "host/engine"], "is no policy crate"),
        (&["test", "policies/pinned"], "Cargo.toml"),
        (&["pin", "gate", "--policies", &missing], &missing),
        (
            &["build", "--policies", &elsewhere],
            "is not inside a cargo workspace",
        ),
    ] {
        let line = refused(&root, args);
        assert!(line.contains(says), "{args:?}: {line}");
    }
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn a_pinned_module_is_what_its_lock_says_or_is_not_shown() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("pinned")).unwrap();
    let policies = root().join("policies");
    fs::copy(
        policies.join("policies.lock"),
        folder.path().join("policies.lock"),
    )
    .unwrap();
    for entry in fs::read_dir(policies.join("pinned")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(
            entry.path(),
            folder.path().join("pinned").join(entry.file_name()),
        )
        .unwrap();
    }
    // A word of a rule's text: the file is a good module still, and another one.
    let file = folder.path().join("pinned/moderation@1.0.0.wasm");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, patched(&bytes, b"moderator", b"moderador")).unwrap();
    tool::ended(&root(), 0, &["check", &file.display().to_string()]);
    let here = folder.path().display().to_string();
    for args in [
        &["inspect", "moderation"][..],
        &["inspect", "moderation@1.0.0", "--json"],
        &["diff", "moderation", "moderation"],
        &["bench", "moderation@1.0.0", "--times", "1"],
    ] {
        let line = refused(&root(), &[args, &["--policies", &here]].concat());
        assert!(
            line.contains("module `moderation@1.0.0`: digest is sha256:")
                && line.contains(", the lock says sha256:"),
            "{args:?}: {line}"
        );
    }
}

/// A file with the first text replaced, wherever it stands, by one that is as long.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut windows = bytes.windows(from.len());
    let place = windows.position(|window| window == from).unwrap();
    let mut patched = bytes.to_vec();
    patched[place..place + to.len()].copy_from_slice(to);
    patched
}

#[test]
fn a_module_does_not_speak_to_the_terminal() {
    let folder = TempDir::new().unwrap();
    let bytes = fs::read(root().join("policies/pinned/moderation@1.0.0.wasm")).unwrap();
    let file = folder.path().join("speaking.wasm");
    let name = file.display().to_string();
    // In the text of a rule: it passes the check, which runs nothing, and is not used.
    fs::write(&file, patched(&bytes, b"moderator", b"\x1b[2J\nrats")).unwrap();
    let line = refused(&root(), &["inspect", &name]);
    assert!(line.contains("holds a control character"), "{line}");
    // In what it says of itself, spelt as JSON spells it.
    let toolchain = b"\"toolchain\":\"rustc 1.95.0";
    for hostile in [
        b"\"toolchain\":\"\\u001b[2J ok",
        b"\"toolchain\":\"\\u202e ok   ",
    ] {
        fs::write(&file, patched(&bytes, toolchain, hostile)).unwrap();
        for command in ["check", "inspect"] {
            let line = refused(&root(), &[command, &name]);
            assert!(
                line.contains("rule section: toolchain `\\u{") && !line.contains('\u{1b}'),
                "{line}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for_and_a_device_not_read_to_its_end() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe.wasm").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let good = root()
        .join("policies/pinned/role-matrix@1.0.1.wasm")
        .display()
        .to_string();
    for args in [
        &["check", &pipe][..],
        &["inspect", &pipe],
        &["check", "/dev/zero"],
        &["prove", &good, &pipe],
        &["prove", &good, "--holds", &pipe],
        &["prove", &good, "--holds", "/dev/zero"],
        &["verify", "--key", "/dev/zero"],
        &["sign", "--key", &pipe],
        &["diff", &good, &good, "--bundle", &pipe],
        &["replay", "--bundle", &pipe],
        &["replay", "--bundle", &good, "--lock", &pipe],
        &["replay", "--bundle", &good, "--lock", "/dev/zero"],
    ] {
        let line = refused(&root(), args);
        assert!(line.contains("no regular file"), "{args:?}: {line}");
    }
}

#[test]
fn a_wrong_command_line_is_told_on_one_line() {
    for (args, says) in [
        (
            &["replay", "--bundle", "x", "--threads", "0"][..],
            "--threads <N>': give a whole number, at least 1",
        ),
        (
            &["diff", "a", "b", "--generated", "99999999999999999999999"],
            "--generated <N>",
        ),
        (&["check"], "<FILE>"),
        (&["chekc", "x"], "chekc"),
        (&["check", "x", "--jsom"], "--jsom"),
        (&["sign"], "--key <FILE>"),
        (&["check", "a\nb", "c\u{1b}"], "unexpected argument"),
    ] {
        let line = refused(&root(), args);
        assert!(line.contains(says), "{args:?}: {line}");
    }
    let help = tool::run(&root(), &["check", "--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    assert!(String::from_utf8_lossy(&help.stdout).contains("Usage:"));
}

#[test]
fn a_crate_that_cannot_be_made_is_not_half_there() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("taken")).unwrap();
    let clone = root().display().to_string();
    for (args, says) in [
        (&["new", "gat", "mine"][..], "`gat` is no family"),
        (&["new", "gate", "Mine"], "name `Mine`"),
        (&["new", "gate", "../mine"], "name `../mine`"),
        (&["new", "gate", ""], "name ``"),
        (&["new", "gate", "taken"], "exists already"),
        (&["new", "gate", "mine", "--dir", "nowhere"], "nowhere"),
        (&["new", "gate", "mine", "--sdk", "taken"], "is no clone"),
        (&["new", "gate", "mine", "--sdk", "nowhere"], "nowhere"),
        (
            &["new", "gate", "gate", "--dir", "policies", "--sdk", &clone],
            "policies",
        ),
    ] {
        let line = refused(here, args);
        assert!(line.contains(says), "{args:?}: {line}");
    }
    let left: Vec<_> = fs::read_dir(here).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Names that are taken in the repository itself.
    refused(&root(), &["new", "gate", "gate"]);
}

#[test]
fn a_case_that_is_none_is_told_by_file_and_line_before_anything_is_built() {
    let author = Author::new("gate", "wrong-cases");
    for (text, says) in [
        ("[\n{", "line 2: EOF"),
        ("[\n{}\n]", "line 2: missing field `function`"),
        (
            "\n{\"function\": \"weight\", \"input\": {}, \"expect\": {}}",
            "line 2: input: the family gate has no function `weight`: known are plan, object",
        ),
        (
            "{\"function\": \"weigh\", \"input\": {\"influence_permille\": \"much\"}, \"expect\": {}}",
            "line 1: input: influence_permille: ",
        ),
        (
            "{\"function\": \"stages\", \"input\": {\"track\": \"kaisar\"}, \"expect\": []}",
            "line 1: input: track: unknown variant `kaisar`",
        ),
        (
            "{\"function\": \"stages\", \"input\": {\"track\": \"usul\", \"by\": 1}, \"expect\": []}",
            "line 1: input: ",
        ),
        (
            "{\"function\": \"weigh\", \"input\": {\"influence_permille\": 1}, \"expect\": {\"weight\": 1}}",
            "line 1: expect: .: unknown field `weight`",
        ),
        (
            "{\"function\": \"weigh\", \"input\": {\"influence_permille\": 1}, \"expect\": {}, \"expected\": {}}",
            "line 1: unknown field `expected`",
        ),
    ] {
        author.write("cases/zz.json", text);
        let line = refused(author.here(), &["test", "wrong-cases"]);
        assert!(
            line.contains("wrong-cases/cases/zz.json") && line.contains(says),
            "{text}: {line}"
        );
    }
    for name in ["zz.json", "first.json"] {
        fs::remove_file(author.here().join("wrong-cases/cases").join(name)).unwrap();
    }
    let line = refused(author.here(), &["test", "wrong-cases"]);
    assert!(line.contains("holds no case"), "{line}");
    fs::remove_dir(author.here().join("wrong-cases/cases")).unwrap();
    let line = refused(author.here(), &["test", "wrong-cases"]);
    assert!(line.contains("wrong-cases/cases"), "{line}");
}

#[test]
fn a_lock_that_is_none_is_told_by_its_line() {
    let lock = fs::read_to_string(root().join("policies/policies.lock")).unwrap();
    let entry = &lock[lock.find("[[module]]").unwrap()..];
    let entry = &entry[..entry[2..].find("[[module]]").unwrap() + 2];
    let unknown = lock.replacen("mode = ", "sha1 = \"x\"\nmode = ", 1);
    for (text, says) in [
        (unknown, "unknown field `sha1`"),
        (format!("{lock}\n{entry}"), "is listed twice"),
        (
            lock.replacen("lock_version = 1", "lock_version = 9", 1),
            "lock_version 9",
        ),
        (lock[..lock.len() / 2].to_owned(), "policies.lock, line "),
        ("no lock at all".to_owned(), "policies.lock, line 1"),
    ] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("policies.lock"), &text).unwrap();
        let policies = folder.path().display().to_string();
        for args in [
            &["inspect", "gate"][..],
            &["diff", "gate", "gate"],
            &["docs"],
            &["bench", "gate@1.0.1"],
            &["build", "policies/gate"],
        ] {
            let line = refused(&root(), &[args, &["--policies", &policies]].concat());
            assert!(
                line.contains(says) && line.contains("policies.lock"),
                "{args:?}: {line}"
            );
        }
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "nothing is written");
    }
}
