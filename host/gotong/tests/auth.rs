//! Which keys a host takes tokens from, and which hosts do not start for want of one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Answer, Host, Setup, dev_secret, new_key, now_s, one_line, root, sign, token};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a secret of this test alone, long enough";

/// One of the test-only keys.
fn key(file: &str) -> String {
    std::fs::read_to_string(root().join("fixtures/keys").join(file)).unwrap()
}

fn claims() -> Value {
    json!({"sub": "sari", "username": "Sari", "role": "user", "iss": "gotong", "aud": "gotong", "exp": now_s() + 600})
}

fn eddsa(claims: &Value, private_pem: &str) -> String {
    jsonwebtoken::encode(
        &Header::new(Algorithm::EdDSA),
        claims,
        &EncodingKey::from_ed_pem(private_pem.as_bytes()).unwrap(),
    )
    .unwrap()
}

/// Another private key: any 32 bytes are one.
fn foreign_pem() -> String {
    let ours = key("test-ed25519.pem");
    let other = ours.replace("P5RZ", "P5Rz");
    assert_ne!(ours, other);
    other
}

/// A host that knows one Ed25519 key and nothing else.
fn eddsa_host() -> Host {
    Setup::default()
        .outside_dev()
        .env(
            "GOTONG_AUTH__EDDSA_PUBLIC_KEY_PEM",
            key("test-ed25519.pub.pem"),
        )
        .start()
}

/// Shares a seed with a token: what needs a token, and no more than one.
async fn share(host: &Host, token: &str) -> Answer {
    host.request("", Method::POST, "/v1/entities")
        .header("Authorization", &format!("Bearer {token}"))
        .key(&new_key())
        .raw(json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"}).to_string())
        .send()
        .await
}

#[tokio::test]
async fn a_token_by_the_private_key_is_taken() {
    let host = eddsa_host();
    let private = key("test-ed25519.pem");
    let shared = share(&host, &eddsa(&claims(), &private)).await.ok();
    assert_eq!(shared.json["author"]["user_id"], "sari");
    let mut expired = claims();
    expired["exp"] = json!(now_s() - 3_600);
    share(&host, &eddsa(&expired, &private))
        .await
        .is(401, "token_expired");
    let mut elsewhere = claims();
    elsewhere["aud"] = json!("elsewhere");
    share(&host, &eddsa(&elsewhere, &private))
        .await
        .is(401, "token_invalid");
}

#[tokio::test]
async fn a_public_key_is_never_a_shared_secret() {
    let host = eddsa_host();
    let public = key("test-ed25519.pub.pem");
    // The same bytes as an attacker may have them: the file, without its last newline, and the key alone.
    let base64 = public.lines().nth(1).unwrap();
    for secret in [public.as_str(), public.trim_end(), base64] {
        share(&host, &sign(&claims(), Algorithm::HS256, secret))
            .await
            .is(401, "token_algorithm");
    }
    // Nor beside a shared secret: the algorithm of the token decides which of the two keys checks it.
    let both = Setup::default()
        .outside_dev()
        .env("GOTONG_AUTH__EDDSA_PUBLIC_KEY_PEM", public.clone())
        .env("GOTONG_AUTH__HS256_SECRET", SECRET)
        .start();
    for secret in [public.as_str(), public.trim_end(), base64] {
        share(&both, &sign(&claims(), Algorithm::HS256, secret))
            .await
            .is(401, "token_invalid");
    }
    let private = key("test-ed25519.pem");
    share(&both, &eddsa(&claims(), &private)).await.ok();
    share(&both, &sign(&claims(), Algorithm::HS256, SECRET))
        .await
        .ok();
}

#[tokio::test]
async fn a_token_by_another_key_is_refused() {
    let host = eddsa_host();
    share(&host, &eddsa(&claims(), &foreign_pem()))
        .await
        .is(401, "token_invalid");
    // A signature that was right for other claims.
    let good = eddsa(&claims(), &key("test-ed25519.pem"));
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let mut admin = claims();
    admin["role"] = json!("admin");
    parts[1] = eddsa(&admin, &foreign_pem())
        .split('.')
        .nth(1)
        .unwrap()
        .to_owned();
    share(&host, &parts.join("."))
        .await
        .is(401, "token_invalid");
}

#[tokio::test]
async fn the_development_key_signs_for_dev_hosts_only() {
    let host = Setup::default()
        .outside_dev()
        .env("GOTONG_AUTH__HS256_SECRET", SECRET)
        .start();
    share(&host, &token("sari")).await.is(401, "token_invalid");
    share(&host, &sign(&claims(), Algorithm::HS256, SECRET))
        .await
        .ok();
    share(&eddsa_host(), &token("sari"))
        .await
        .is(401, "token_algorithm");
}

#[test]
fn a_host_without_a_key_of_its_own_does_not_start() {
    let outside = || Setup::default().outside_dev();
    for (setup, word) in [
        (outside(), "no key"),
        (
            outside().env("GOTONG_AUTH__HS256_SECRET", dev_secret()),
            "development key is public",
        ),
        (
            outside().env("GOTONG_AUTH__HS256_SECRET", "short"),
            "5 bytes",
        ),
        (
            outside().env("GOTONG_AUTH__HS256_SECRET", "x".repeat(31)),
            "31 bytes",
        ),
        // The file of the key, as somebody may paste it.
        (
            outside().env("GOTONG_AUTH__HS256_SECRET", format!("{}\n", dev_secret())),
            "development key is public",
        ),
        (
            outside().env("GOTONG_AUTH__EDDSA_PUBLIC_KEY_PEM", "no key at all"),
            "key",
        ),
    ] {
        let says = one_line(&mut setup.command());
        assert!(says.contains(word), "`{word}` in {says}");
        assert!(
            !says.contains(dev_secret()) && !says.contains("xxxx"),
            "{says}"
        );
    }
}

#[test]
fn a_short_secret_is_refused_in_development_too() {
    let says = one_line(
        &mut Setup::default()
            .env("GOTONG_AUTH__HS256_SECRET", "short")
            .command(),
    );
    assert!(says.contains("5 bytes"), "{says}");
}
