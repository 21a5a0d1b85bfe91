//! A signed lock: whoever may write the folder cannot change what decides.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use cap_std::fs::Dir;
use gotong_engine::signature::{self, PrivateKey, PublicKey};
use gotong_engine::{Engine, Family, Policies, lifecycle, pin};
use modules::{chain, copy, gate, workspace};

fn pem(name: &str) -> String {
    std::fs::read_to_string(workspace().join("fixtures/keys").join(name)).unwrap()
}

fn trusted() -> Vec<PublicKey> {
    PublicKey::all_from_pem(&pem("test-lock.pub.pem")).unwrap()
}

fn load(dir: &Dir, trusted: &[PublicKey]) -> Result<Policies, String> {
    Policies::load_signed(&Engine::new().unwrap(), dir, None, trusted)
        .map_err(|error| chain(&error))
}

#[test]
fn a_lock_loads_as_it_was_signed_and_not_otherwise() {
    let (_folder, dir) = copy();
    assert!(
        load(&dir, &trusted())
            .unwrap_err()
            .starts_with("policies.lock is not signed: there is no policies.lock.sig")
    );
    let key = PrivateKey::from_pem(&pem("test-lock.pem")).unwrap();
    let id = signature::sign(&dir, &key).unwrap();
    assert_eq!(load(&dir, &trusted()).unwrap().signed_by(), Some(id));
    assert_eq!(signature::verify(&dir, &trusted()).unwrap(), id);

    let lock = dir.read_to_string("policies.lock").unwrap();
    let text = dir.read_to_string(signature::FILE).unwrap();
    dir.write("policies.lock", format!("{lock}\n")).unwrap();
    assert!(
        load(&dir, &trusted())
            .unwrap_err()
            .starts_with(&format!("policies.lock is not what the key {id} signed")),
        "one byte more"
    );
    dir.write("policies.lock", &lock).unwrap();
    load(&dir, &trusted()).unwrap();

    pin::pin(&dir, &gate("remembering")).unwrap();
    assert!(
        load(&dir, &trusted())
            .unwrap_err()
            .contains("not what the key")
    );
    lifecycle::rollback(&dir, "gate", None).unwrap();
    assert!(
        load(&dir, &trusted())
            .unwrap_err()
            .contains("not what the key"),
        "the pin of the new version is still there"
    );
    signature::sign(&dir, &key).unwrap();
    assert_ne!(dir.read_to_string(signature::FILE).unwrap(), text);
    let policies = load(&dir, &trusted()).unwrap();
    assert_ne!(policies.active(Family::Gate).version(), "9.0.0");
}

#[test]
fn only_trusted_keys_sign() {
    let (_folder, dir) = copy();
    let stranger = PrivateKey::generate().unwrap();
    let id = signature::sign(&dir, &stranger).unwrap();
    let says = load(&dir, &trusted()).unwrap_err();
    assert_eq!(
        says,
        format!(
            "policies.lock is signed by the key {id}, trusted are {}",
            trusted()[0].id()
        )
    );
    // Who claims to be another has the wrong signature.
    let claimed = dir
        .read_to_string(signature::FILE)
        .unwrap()
        .replace(&id.to_string(), &trusted()[0].id().to_string());
    dir.write(signature::FILE, claimed).unwrap();
    assert!(
        load(&dir, &trusted())
            .unwrap_err()
            .contains("not what the key")
    );

    // Several keys are trusted while one follows the other.
    signature::sign(&dir, &stranger).unwrap();
    let both = pem("test-lock.pub.pem") + &stranger.public_pem().unwrap();
    let both = PublicKey::all_from_pem(&both).unwrap();
    assert_eq!(both.len(), 2);
    load(&dir, &both).unwrap();
}

#[test]
fn a_signature_that_is_none_is_refused_with_its_line() {
    let (_folder, dir) = copy();
    let key = PrivateKey::from_pem(&pem("test-lock.pem")).unwrap();
    signature::sign(&dir, &key).unwrap();
    let text = dir.read_to_string(signature::FILE).unwrap();
    let refusal = |text: &str| {
        dir.write(signature::FILE, text).unwrap();
        load(&dir, &trusted()).unwrap_err()
    };
    let short = text.replace("signature = \"", "signature = \"z");
    assert!(
        refusal(&short)
            .starts_with("policies.lock.sig, line 3: signature is not 128 hexadecimal digits"),
        "{}",
        refusal(&short)
    );
    let twice = text.clone() + "key = \"x\"\n";
    assert!(
        refusal(&twice).contains("line 4: duplicate key"),
        "{}",
        refusal(&twice)
    );
    let unknown = text.clone() + "by = \"x\"\n";
    assert!(
        refusal(&unknown).contains("unknown field `by`"),
        "{}",
        refusal(&unknown)
    );
    let no_id = text.replace("key = \"sha256:", "key = \"");
    assert!(
        refusal(&no_id).contains("line 2: key `"),
        "{}",
        refusal(&no_id)
    );
    assert!(
        refusal("").contains("policies.lock.sig, line 1: missing field `key`"),
        "{}",
        refusal("")
    );
}

#[test]
fn keys_are_those_of_openssl() {
    let key = PrivateKey::generate().unwrap();
    let again = PrivateKey::from_pem(key.to_pem().unwrap().as_ref()).unwrap();
    assert_eq!(key.public(), again.public());
    assert_eq!(
        PublicKey::all_from_pem(&key.public_pem().unwrap()).unwrap(),
        [key.public()]
    );
    assert_eq!(format!("{key:?}"), "[redacted]");
    for wrong in ["", "x", "-----BEGIN PUBLIC KEY-----", &pem("test-lock.pem")] {
        assert!(PublicKey::all_from_pem(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "x", &pem("test-lock.pub.pem")] {
        assert!(PrivateKey::from_pem(wrong).is_err(), "{wrong}");
    }
}
