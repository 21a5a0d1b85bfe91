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

    /// The same beside a module of every other family: what a host starts with.
    fn whole() -> Self {
        let folder = Self::new();
        let from = Dir::open_ambient_dir(root().join("policies"), ambient_authority()).unwrap();
        for pin in pin::read_lock(&from).unwrap().pins() {
            if pin.mode == Mode::Active && pin.family != Family::Gate {
                pin::pin(&folder.dir(), &from.read(&pin.file).unwrap()).unwrap();
            }
        }
        folder
    }

    fn dir(&self) -> Dir {
        Dir::open_ambient_dir(self.0.path(), ambient_authority()).unwrap()
    }

    fn pin(&self, version: &str, mode: Mode) {
        pin::pin_as(&self.dir(), &gate(version), mode).unwrap();
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
        let lock = pin::read_lock(&self.dir()).unwrap();
        lock.pins()
            .iter()
            .filter(|pin| pin.name == "gate")
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
    let folder = Folder::whole();
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
    let folder = Folder::whole();
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
fn a_folder_that_no_host_would_load_is_neither_changed_nor_signed() {
    let private = key("test-lock.pem");
    let every: [&[&str]; 5] = [
        &["activate", "gate@1.0.0"],
        &["rollback", "gate"],
        &["override", "id/jabar", "gate@1.0.0"],
        &["override", "id/jabar/depok", "--remove", "gate"],
        &["sign", "--key", &private],
    ];
    let folder = Folder::whole();
    folder.says(&["override", "id/jabar/depok", "gate@1.1.0"]);
    let file = folder.0.path().join("pinned/gate@1.0.0.wasm");
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[2_000] ^= 1;
    for (bytes, says) in [
        (
            Some(&whole[..2_000]),
            "module `gate@1.0.0`: digest is sha256:",
        ),
        (Some(&changed), "module `gate@1.0.0`: digest is sha256:"),
        (Some(&vec![0; 2 << 20]), "it has more than 1048576 bytes"),
        (
            None,
            "module `gate@1.0.0`: `pinned/gate@1.0.0.wasm` cannot be read",
        ),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        for args in every {
            let refused = folder.refuses(2, args);
            assert!(refused.contains(says), "{args:?}: {refused}");
        }
    }
    std::fs::write(&file, &whole).unwrap();
    // Two that decide: whoever changes the lock next would not know which of them was meant.
    folder.edit(|lock| lock.replacen("mode = \"retired\"", "mode = \"active\"", 1));
    for args in every {
        let refused = folder.refuses(2, args);
        let says = "`gate@1.0.0` and `gate@1.1.0` are both active";
        assert!(refused.contains(says), "{args:?}: {refused}");
    }
    let refused = folder.refuses(2, &["activate", "gate@1.2.0"]);
    assert!(refused.contains("are both active"), "{refused}");
    // A family that nobody decides for: a lock on its way, which is not signed.
    let partial = Folder::new();
    partial.says(&["rollback", "gate"]);
    let refused = partial.refuses(2, &["sign", "--key", &private]);
    assert!(refused.contains("no module is active"), "{refused}");
}

#[test]
fn a_module_that_cannot_be_asked_does_not_become_the_one_that_decides() {
    let folder = Folder::whole();
    let core = wat::parse_file(root().join("fixtures/modules/silent.wat")).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: "2.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    let silent = componentize_for(Family::Gate, &core, &metadata).unwrap();
    pin::pin_as(&folder.dir(), &silent, Mode::Scoped).unwrap();
    for args in [
        &["activate", "gate@2.0.0"][..],
        &["override", "id/jabar", "gate@2.0.0"],
        &["sign", "--key", &key("test-lock.pem")],
    ] {
        let refused = folder.refuses(2, args);
        assert!(
            refused.contains("module `gate@2.0.0` cannot be used: `describe` ended as trapped"),
            "{args:?}: {refused}"
        );
    }
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
        #[cfg(unix)]
        (
            &["verify", "--key", "/dev/zero"],
            "`/dev/zero` cannot be read: it is no regular file",
        ),
    ] {
        let refused = folder.refuses(2, args);
        assert!(refused.contains(says), "{refused}");
        // Once: a reason that is told twice reads like two.
        assert!(refused.matches("it holds no").count() <= 1, "{refused}");
    }
    let refused = folder.refuses(2, &["override", "id//x", "gate@1.0.0"]);
    assert_eq!(refused.matches("a scope has").count(), 1, "{refused}");
    let signature = folder.0.path().join("policies.lock.sig");
    std::fs::write(&signature, "key = 1").unwrap();
    let refused = folder.refuses(2, &["verify", "--key", &public]);
    assert!(refused.contains("policies.lock.sig, line 1"), "{refused}");
    std::fs::remove_file(&signature).unwrap();
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
