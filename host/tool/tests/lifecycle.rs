//! The life of a pinned module, as its operator types it: what each command says, writes and refuses.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::build::componentize_for;
use gotong_engine::{Family, Metadata, Mode, pin};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn key(name: &str) -> String {
    root()
        .join("fixtures/keys")
        .join(name)
        .display()
        .to_string()
}

/// A gate of a version that no other has.
fn gate(version: &str) -> Vec<u8> {
    let core = wat::parse_file(root().join("fixtures/modules/remembering.wat")).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: version.into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    componentize_for(Family::Gate, &core, &metadata).unwrap()
}

/// A policies folder with gates: 1.0.0 retired, 1.1.0 active, 1.2.0 shadow.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.pin("1.0.0", Mode::Active);
        folder.pin("1.1.0", Mode::Active);
        folder.pin("1.2.0", Mode::Shadow);
        folder
    }

    fn pin(&self, version: &str, mode: Mode) {
        let dir = Dir::open_ambient_dir(self.0.path(), ambient_authority()).unwrap();
        pin::pin_as(&dir, &gate(version), mode).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gotong-policy"))
            .args(args)
            .arg("--policies")
            .arg(self.0.path())
            .output()
            .unwrap()
    }

    /// What a command that holds says, on stdout and on stderr.
    #[track_caller]
    fn says(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {err}");
        (out, err)
    }

    /// What a command that ends with `code` says, on one line; nothing is written.
    #[track_caller]
    fn refuses(&self, code: i32, args: &[&str]) -> String {
        let before = self.files();
        let output = self.run(args);
        let says = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {says}");
        assert_eq!(says.lines().count(), 1, "{args:?}: {says}");
        assert_eq!(self.files(), before, "{args:?} wrote something");
        says
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in [self.0.path().to_owned(), self.0.path().join("pinned")] {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    files.insert(path.clone(), std::fs::read(path).unwrap());
                }
            }
        }
        files
    }

    fn modes(&self) -> Vec<String> {
        let dir = Dir::open_ambient_dir(self.0.path(), ambient_authority()).unwrap();
        let lock = pin::read_lock(&dir).unwrap();
        lock.pins()
            .iter()
            .map(|pin| format!("{} {}", pin.version, pin.mode.as_str()))
            .collect()
    }

    fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.0.path().join("policies.lock");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, change(text)).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_shadow_becomes_active_and_is_rolled_back() {
    let folder = Folder::new();
    let (says, _) = folder.says(&["activate", "gate@1.2.0"]);
    assert!(
        says.starts_with("gate@1.2.0 sha256:")
            && says.ends_with(", active (was shadow); retired: gate@1.1.0\n"),
        "{says}"
    );
    assert_eq!(
        folder.modes(),
        ["1.0.0 retired", "1.1.0 retired", "1.2.0 active"]
    );
    let (says, _) = folder.says(&["rollback", "gate"]);
    assert!(
        says.ends_with(", active (was retired); retired: gate@1.2.0\n"),
        "{says}"
    );
    folder.says(&["rollback", "gate", "--to", "1.0.0"]);
    assert_eq!(
        folder.modes(),
        ["1.0.0 active", "1.1.0 retired", "1.2.0 retired"]
    );
    for (args, says) in [
        (
            &["rollback", "gate"][..],
            "no retired version of `gate` below the active 1.0.0",
        ),
        (
            &["rollback", "gat"],
            "no version of `gat` is active: active are gate@1.0.0",
        ),
        (
            &["rollback", "gate", "--to", "3.0.0"],
            "`gate@3.0.0` is not pinned: pinned are gate@1.0.0, ",
        ),
        (
            &["rollback", "gate", "--to", "1.0.0"],
            "`gate@1.0.0` is active already",
        ),
        (
            &["activate", "gate@1.0.0"],
            "`gate@1.0.0` is active already",
        ),
        (&["activate", "gate@9.0.0"], "`gate@9.0.0` is not pinned"),
    ] {
        let refused = folder.refuses(2, args);
        assert!(
            refused.starts_with("gotong-policy: ") && refused.contains(says),
            "{refused}"
        );
    }
    folder.pin("1.3.0", Mode::Shadow);
    let refused = folder.refuses(2, &["rollback", "gate", "--to", "1.3.0"]);
    assert!(refused.contains("is shadow, not retired"), "{refused}");
}

#[test]
fn a_scope_gets_its_own_module_and_gives_it_back() {
    let folder = Folder::new();
    let (says, _) = folder.says(&["override", "id/jabar", "gate@1.0.0"]);
    assert_eq!(says, "gate@1.0.0 decides gate in id/jabar and below\n");
    assert_eq!(folder.modes()[0], "1.0.0 scoped");
    let (says, _) = folder.says(&["override", "id/jabar", "--remove", "gate"]);
    assert_eq!(
        says,
        "gate@1.0.0 decides no more gate in id/jabar and below; retired: gate@1.0.0\n"
    );
    for (args, says) in [
        (
            &["override", "id//x", "gate@1.0.0"][..],
            "override of `id//x`: a scope has 1 to 7 levels",
        ),
        (
            &["override", "id/x", "gate@1.2.0"],
            "override of `id/x`: `gate@1.2.0` is shadow",
        ),
        (
            &["override", "id/x", "gate@7.0.0"],
            "`gate@7.0.0` is not pinned",
        ),
        (
            &["override", "id/x", "--remove", "gate"],
            "the family gate is not overridden in `id/x`",
        ),
    ] {
        let refused = folder.refuses(2, args);
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn a_changed_lock_is_signed_again_or_does_not_verify() {
    let folder = Folder::new();
    let (private, public) = (key("test-lock.pem"), key("test-lock.pub.pem"));
    let verify = ["verify", "--key", public.as_str()];
    let says = folder.refuses(1, &verify);
    assert!(says.starts_with("policies.lock is not signed"), "{says}");
    folder.says(&["sign", "--key", &private]);
    let (says, _) = folder.says(&verify);
    assert!(
        says.starts_with("policies.lock is signed by the key sha256:"),
        "{says}"
    );

    let stranger = key("test-ed25519.pub.pem");
    let says = folder.refuses(1, &["verify", "--key", &stranger]);
    assert!(says.contains("trusted are sha256:"), "{says}");

    for change in [
        &["activate", "gate@1.2.0"][..],
        &["rollback", "gate"],
        &["override", "id/jabar", "gate@1.0.0"],
    ] {
        let (_, warned) = folder.says(change);
        assert_eq!(
            warned,
            "policies.lock.sig fits no more: sign the lock again with `gotong policy sign --key FILE`\n"
        );
        let says = folder.refuses(1, &verify);
        assert!(says.contains("not what the key"), "{says}");
        folder.says(&["sign", "--key", &private]);
        folder.says(&verify);
    }
}

#[test]
fn a_new_key_signs_and_is_never_overwritten() {
    let folder = Folder::new();
    let keys = TempDir::new().unwrap();
    let file = keys.path().join("lock.pem");
    let (private, public) = (
        file.display().to_string(),
        format!("{}.pub", file.display()),
    );
    let keygen = || {
        Command::new(env!("CARGO_BIN_EXE_gotong-policy"))
            .args(["keygen", &private])
            .output()
            .unwrap()
    };
    let output = keygen();
    assert!(output.status.success(), "{}", text(&output.stderr));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    folder.says(&["sign", "--key", &private]);
    folder.says(&["verify", "--key", &public]);

    let before = std::fs::read(&file).unwrap();
    let again = keygen();
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("never overwritten"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    std::fs::remove_file(&public).unwrap();
    assert_eq!(keygen().status.code(), Some(2));
    assert!(!Path::new(&public).exists(), "nothing half-made is left");
}

#[test]
fn what_cannot_be_used_is_told_on_one_line_and_nothing_is_written() {
    let folder = Folder::new();
    let here = folder.0.path().display().to_string();
    let public = key("test-lock.pub.pem");
    let private = key("test-lock.pem");
    for (args, says) in [
        (
            &["sign", "--key", "/nowhere/key.pem"][..],
            "`/nowhere/key.pem` cannot be read",
        ),
        (&["sign", "--key", &here], "cannot be read"),
        (
            &["sign", "--key", &public],
            "it holds no Ed25519 private key",
        ),
        (
            &["verify", "--key", &private],
            "it holds no Ed25519 public key",
        ),
        (
            &["verify", "--key", "/nowhere/key.pem"],
            "`/nowhere/key.pem` cannot be read",
        ),
    ] {
        let refused = folder.refuses(2, args);
        assert!(refused.contains(says), "{refused}");
    }
    let every: [&[&str]; 5] = [
        &["activate", "gate@1.0.0"],
        &["rollback", "gate"],
        &["override", "id/jabar", "gate@1.0.0"],
        &["override", "id/jabar", "--remove", "gate"],
        &["sign", "--key", &private],
    ];
    for (change, says) in [
        ("mode = \"active\"\nmode = \"active\"", "duplicate key"),
        ("mode = \"active\"\nsince = 1", "unknown field `since`"),
        ("mode = \"on\"", "unknown variant `on`"),
    ] {
        let folder = Folder::new();
        folder.edit(|lock| lock.replacen("mode = \"active\"", change, 1));
        for args in every {
            let refused = folder.refuses(2, args);
            assert!(
                refused.contains("policies.lock, line ") && refused.contains(says),
                "{args:?}: {refused}"
            );
        }
    }
    let empty = Folder(TempDir::new().unwrap());
    for args in every {
        empty.refuses(2, args);
    }
    let nowhere = |folder: &Path| {
        Command::new(env!("CARGO_BIN_EXE_gotong-policy"))
            .args(["rollback", "gate", "--policies"])
            .arg(folder)
            .output()
            .unwrap()
    };
    let file = folder.0.path().join("policies.lock");
    for wrong in [Path::new("/nowhere"), &file] {
        let output = nowhere(wrong);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output.stderr).lines().count(), 1);
    }
}
