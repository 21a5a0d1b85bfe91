use super::*;

fn entry(name: &str, version: &str, mode: &str) -> String {
    let digest = Digest::of(name);
    format!(
        "\n[[module]]\nname = \"{name}\"\nfamily = \"gate\"\nversion = \"{version}\"\nabi = \"gotong:policy@1.0.0\"\n\
         digest = \"{digest}\"\nfile = \"pinned/{name}@{version}.wasm\"\nmode = \"{mode}\"\n"
    )
}

fn lock(entries: &[String]) -> String {
    format!("lock_version = 1\n{}", entries.concat())
}

#[test]
fn a_lock_is_written_as_it_is_read_sorted_by_version_number() {
    let text = lock(&[
        entry("gate", "1.10.0", "active"),
        entry("gate", "1.9.0", "retired"),
    ]);
    let parsed = Lock::parse(&text).unwrap();
    let versions: Vec<_> = parsed
        .pins()
        .iter()
        .map(|pin| pin.version.as_str())
        .collect();
    assert_eq!(versions, ["1.9.0", "1.10.0"]);
    assert_eq!(Lock::parse(&parsed.to_toml()).unwrap(), parsed);
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    let message = |text: &str| Lock::parse(text).unwrap_err().to_string();
    let unknown = lock(&[entry("gate", "1.0.0", "active") + "sha1 = \"x\"\n"]);
    assert!(
        message(&unknown).contains("line 11: unknown field `sha1`"),
        "{}",
        message(&unknown)
    );
    assert!(message("lock_version = 2\n").contains("line 1: lock_version 2"));
    let twice = lock(&[
        entry("gate", "1.0.0", "active"),
        entry("gate", "1.0.0", "retired"),
    ]);
    assert!(
        message(&twice).contains("`gate` 1.0.0 is listed twice"),
        "{}",
        message(&twice)
    );
    assert!(message(&twice).contains("line 12"), "{}", message(&twice));
    let outside = lock(&[entry("gate", "1.0.0", "active").replace("pinned/gate@", "../gate@")]);
    assert!(
        message(&outside).contains("file `../gate@1.0.0.wasm`"),
        "{}",
        message(&outside)
    );
    let mode = lock(&[entry("gate", "1.0.0", "on")]);
    assert!(
        message(&mode).contains("unknown variant `on`"),
        "{}",
        message(&mode)
    );
    let digest = lock(&[entry("gate", "1.0.0", "active").replace("sha256:", "sha1:")]);
    assert!(
        message(&digest).contains("is no digest"),
        "{}",
        message(&digest)
    );
}

#[test]
fn a_new_active_module_retires_the_former_one() {
    let mut lock = Lock::parse(&lock(&[entry("gate", "1.0.0", "active")])).unwrap();
    let mut next = lock.pins()[0].clone();
    next.version = "1.1.0".into();
    next.file = file_of("gate", "1.1.0");
    lock.add(next);
    let modes: Vec<_> = lock.pins().iter().map(|pin| pin.mode).collect();
    assert_eq!(modes, [Mode::Retired, Mode::Active]);
}

fn scoped(scope: &str, module: &str) -> String {
    format!("\n[[override]]\nscope = \"{scope}\"\nfamily = \"gate\"\nmodule = \"{module}\"\n")
}

#[test]
fn overrides_are_written_as_they_are_read_sorted_by_scope() {
    let parsed = Lock::parse(&lock(&[
        entry("gate", "1.0.0", "active"),
        entry("gate-rw03", "2.1.0", "scoped"),
        scoped("id/jabar/depok", "gate-rw03@2.1.0"),
        scoped("id/jabar", "gate@1.0.0"),
    ]))
    .unwrap();
    let scopes: Vec<_> = parsed
        .overrides()
        .iter()
        .map(|one| one.scope.as_str())
        .collect();
    assert_eq!(scopes, ["id/jabar", "id/jabar/depok"]);
    assert_eq!(Lock::parse(&parsed.to_toml()).unwrap(), parsed);
}

#[test]
fn an_override_names_a_pinned_module_of_its_family_that_may_decide() {
    let refusal = |over: &str| {
        let text = lock(&[
            entry("gate", "1.0.0", "retired"),
            entry("gate", "1.1.0", "active"),
            entry("gate", "1.2.0", "shadow"),
            entry("role-matrix", "1.0.0", "active").replace("\"gate\"", "\"role-matrix\""),
            over.to_owned(),
        ]);
        Lock::parse(&text).unwrap_err().to_string()
    };
    let at = "policies.lock, line 39: override of `id/x`: ";
    for (module, why) in [
        ("gate", "module `gate` is no NAME@VERSION"),
        (
            "gate@9.0.0",
            "`gate@9.0.0` is not pinned: pin it with `gotong policy pin --mode scoped`",
        ),
        (
            "role-matrix@1.0.0",
            "`role-matrix@1.0.0` is of the family role-matrix: name a module of the family gate",
        ),
        (
            "gate@1.0.0",
            "`gate@1.0.0` is retired: an override names a module that is active or scoped",
        ),
        (
            "gate@1.2.0",
            "`gate@1.2.0` is shadow: an override names a module that is active or scoped",
        ),
    ] {
        assert_eq!(refusal(&scoped("id/x", module)), format!("{at}{why}"));
    }
    for scope in ["", "Id", "id//x", "id/../x", "a/b/c/d/e/f/g/h"] {
        let says = refusal(&scoped(scope, "gate@1.1.0"));
        assert!(says.contains("a scope has 1 to 7 levels"), "{says}");
    }
    let twice = scoped("id/x", "gate@1.1.0").repeat(2);
    assert_eq!(
        refusal(&twice),
        "policies.lock, line 44: override of `id/x`: the family gate is overridden there twice: remove one entry"
    );
    let unknown = scoped("id/x", "gate@1.1.0") + "since = 1\n";
    assert!(
        refusal(&unknown).contains("line 43: unknown field `since`"),
        "{}",
        refusal(&unknown)
    );
}

#[test]
fn a_module_that_an_override_names_stays_in_use_when_another_becomes_active() {
    let mut lock = Lock::parse(&lock(&[
        entry("gate", "1.0.0", "active"),
        scoped("id/jabar", "gate@1.0.0"),
    ]))
    .unwrap();
    let mut next = lock.pins()[0].clone();
    next.version = "1.1.0".into();
    next.file = file_of("gate", "1.1.0");
    let displaced = lock.add(next);
    assert_eq!(displaced[0].mode, Mode::Scoped);
    assert_eq!(Lock::parse(&lock.to_toml()).unwrap(), lock);

    let elsewhere = Override {
        version: "1.1.0".into(),
        ..lock.overrides()[0].clone()
    };
    let freed = lock.set_override(elsewhere).unwrap().unwrap();
    assert_eq!(
        (freed.version.as_str(), freed.mode),
        ("1.0.0", Mode::Retired)
    );
}
