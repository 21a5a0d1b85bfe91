//! The binary as a process: its subcommands, its exit codes, how it starts and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use harness::{Setup, ended_within, gotong, host, new_key, one_line, root, signal, token};
use reqwest::Method;
use serde_json::{Value, json};

fn ok(args: &[&str]) -> Output {
    let output = gotong(args).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .trim()
        .to_owned()
}

fn seed() -> String {
    json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"}).to_string()
}

const SARI: &[&str] = &[
    "token",
    "--sub",
    "sari",
    "--username",
    "Sari",
    "--role",
    "user",
];

#[tokio::test]
async fn a_printed_token_signs_in_until_it_ends() {
    let host = Setup::default().env("GOTONG_AUTH__LEEWAY_S", "0").start();
    let share = |token: &str| {
        host.request("", Method::POST, "/v1/entities")
            .header("Authorization", &format!("Bearer {token}"))
            .key(&new_key())
            .raw(seed())
            .send()
    };
    let brief = text(&ok(&[SARI, &["--ttl", "1s"]].concat()));
    let shared = share(&brief).await.ok();
    assert_eq!(
        shared.json["author"],
        json!({"user_id": "sari", "username": "Sari"})
    );
    let lasting = text(&ok(SARI));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    share(&brief).await.is(401, "token_expired");
    share(&lasting).await.ok();
    for bad in [
        &["--ttl", "soon"][..],
        &["--role", "emperor"],
        &["--colour", "red"],
    ] {
        let output = gotong(&[SARI, bad].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
    }
    let system = ["token", "--sub", "x", "--username", "x", "--role", "system"];
    assert!(one_line(&mut gotong(&system)).contains("system"));
}

#[test]
fn variables_of_the_command_line_are_not_settings() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, "[auth]\nissuer = \"elsewhere\"\n").unwrap();
    let output = gotong(SARI)
        .env("GOTONG_TOKEN", "some.token.here")
        .env("GOTONG_CONFIG", &file)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let claims = text(&output);
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&claims).unwrap();
    assert_eq!(claims.claims["iss"], "elsewhere");
}

#[test]
fn an_unknown_setting_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    for (settings, word) in [
        ("colour = \"red\"", "colour"),
        ("[limits]\nbody_bites = 7", "body_bites"),
        ("listen = 7", "listen"),
        ("listen = ", "gotong.toml"),
    ] {
        std::fs::write(dir.path().join("gotong.toml"), settings).unwrap();
        for args in [SARI, &["serve", "--dev"]] {
            let says = one_line(gotong(args).current_dir(dir.path()));
            assert!(says.contains(word), "`{word}` in {says}");
        }
    }
    let says = one_line(gotong(SARI).env("GOTONG_COLOUR", "red"));
    assert!(says.to_lowercase().contains("colour"), "{says}");
    let missing = dir.path().join("nothing.toml").display().to_string();
    let says = one_line(&mut gotong(&[SARI, &["--config", &missing]].concat()));
    assert!(says.contains("nothing.toml"), "{says}");
}

#[test]
fn migrations_are_applied_once_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store").display().to_string();
    let report = |args: &[&str]| -> Value { serde_json::from_str(&text(&ok(args))).unwrap() };
    let checked = report(&["migrate", "--check"]);
    assert!(!checked.is_null(), "{checked}");
    let first = report(&["migrate", "--data", &data]);
    let applied = first["applied"].as_array().unwrap();
    assert_eq!(
        (applied.first(), &first["already"]),
        (Some(&json!("0001_ledger")), &json!(0))
    );
    assert_eq!(
        report(&["migrate", "--data", &data]),
        json!({"applied": [], "already": applied.len()})
    );

    let folder = dir.path().join("migrations");
    copy(&root().join("migrations"), &folder);
    let there = folder.display().to_string();
    assert_eq!(
        report(&["migrate", "--data", &data, "--dir", &there])["already"],
        json!(applied.len())
    );
    let file = folder.join("0001_ledger.surql");
    let statements = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, statements.clone() + "\n-- later").unwrap();
    let says = one_line(&mut gotong(&["migrate", "--data", &data, "--dir", &there]));
    assert!(
        says.contains("0001_ledger") && says.contains("changed"),
        "{says}"
    );
    // One that the store has and the folder lacks: a newer binary was here.
    std::fs::write(&file, statements).unwrap();
    let last = applied.last().unwrap().as_str().unwrap();
    std::fs::remove_file(folder.join(format!("{last}.surql"))).unwrap();
    let _ = std::fs::remove_file(folder.join(format!("checks/{last}.surql")));
    let says = one_line(&mut gotong(&["migrate", "--data", &data, "--dir", &there]));
    assert!(says.contains(last), "{says}");
    // A folder that is none.
    one_line(&mut gotong(&[
        "migrate",
        "--data",
        &data,
        "--dir",
        "/nowhere/at/all",
    ]));
    // A host serves what was migrated.
    drop(Setup::default().arg("--data").arg(&data).start());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let host = host();
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = host.get("", path).await.ok();
        assert_eq!(answer.json, json!({"status": status}));
        assert!(answer.headers.contains_key("x-correlation-id"));
        host.request("", Method::POST, path)
            .send()
            .await
            .is(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_clock_is_moved_in_development_only() {
    let host = Setup::default()
        .outside_dev()
        .env(
            "GOTONG_AUTH__HS256_SECRET",
            "a secret of this test alone, long enough",
        )
        // Of no effect outside development either.
        .env("GOTONG_CRASH_AT", "before_facts")
        .start();
    let secret = "a secret of this test alone, long enough";
    let claims = json!({"sub": "sari", "username": "Sari", "role": "admin", "iss": "gotong", "aud": "gotong", "exp": harness::now_s() + 600});
    let admin = harness::sign(&claims, jsonwebtoken::Algorithm::HS256, secret);
    for path in ["/dev/clock", "/v1/dev/clock", "/api/v1/dev/clock"] {
        host.request("", Method::POST, path)
            .header("Authorization", &format!("Bearer {admin}"))
            .raw(r#"{"advance_ms": 1}"#)
            .send()
            .await
            .is(404, "not_found");
    }
    host.request("", Method::POST, "/v1/entities")
        .header("Authorization", &format!("Bearer {admin}"))
        .key(&new_key())
        .raw(seed())
        .send()
        .await
        .ok();
}

/// Twenty requests are inside their handlers when the signal comes: they wait for the rest of their bodies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_told_to_stop_finishes_what_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup::default().data(&dir.path().join("store"));
    let host = setup().start();
    let body = seed();
    let (first, rest) = body.split_at(10);
    let mut begun: Vec<TcpStream> = (0..20)
        .map(|n| {
            let mut stream = TcpStream::connect(host.address()).unwrap();
            let head = format!(
                "POST /v1/entities HTTP/1.1\r\nHost: gotong\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {}\r\n\
                 Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                token(&format!("person-{n}")),
                new_key(),
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut go_on = [0; 25];
            stream.read_exact(&mut go_on).unwrap();
            assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(first.as_bytes()).unwrap();
            stream
        })
        .collect();
    let address = host.address().to_owned();
    let finishing = std::thread::spawn({
        let rest = rest.to_owned();
        move || {
            // The signal is out long before.
            std::thread::sleep(Duration::from_millis(500));
            // Who comes now is turned away, or answered in full.
            let turned_away = match TcpStream::connect(&address) {
                Err(_) => true,
                Ok(mut stream) => {
                    let _ = stream.write_all(
                        b"GET /health/live HTTP/1.1\r\nHost: gotong\r\nConnection: close\r\n\r\n",
                    );
                    let mut answer = String::new();
                    let _ = stream.read_to_string(&mut answer);
                    answer.is_empty() || answer.starts_with("HTTP/1.1 200")
                }
            };
            let answers: Vec<String> = begun
                .iter_mut()
                .map(|stream| {
                    stream.write_all(rest.as_bytes()).unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).unwrap();
                    answer
                })
                .collect();
            (turned_away, answers)
        }
    });
    let ended = host.stopped_within(15);
    assert!(
        ended.is_some_and(|status| status.code() == Some(0)),
        "{ended:?}"
    );
    let (turned_away, answers) = finishing.join().unwrap();
    assert!(turned_away);
    for answer in &answers {
        assert!(
            answer.starts_with("HTTP/1.1 201") && answer.ends_with('}'),
            "{answer}"
        );
    }
    let host = setup().start();
    let (_, ledger) = host.holds();
    assert_eq!(ledger["events"], 20, "each answer is in the store");
}

#[tokio::test]
async fn the_demo_s_host_stays_until_it_is_told_to_go() {
    let mut child = gotong(&["demo", "--keep", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut after = |what: &str| -> String {
        let line = lines.find(|line| line.as_ref().unwrap().contains(what));
        let line = line.unwrap_or_else(|| panic!("the demo never said `{what}`"));
        line.unwrap().split_once(what).unwrap().1.to_owned()
    };
    let base = after("still up at ")
        .trim_end_matches(". To go on by hand:")
        .to_owned();
    let admin = after("export ADMIN=");
    after("Ctrl-C ends it");
    let client = reqwest::Client::new();
    let live = client
        .get(format!("{base}/health/live"))
        .send()
        .await
        .unwrap();
    assert_eq!(live.status(), 200);
    ok(&["replay", "--url", &base, "--token", &admin]);
    ok(&["audit", "verify", "--url", &base, "--token", &admin]);
    signal(child.id(), "-TERM");
    let ended = ended_within(&mut child, 15);
    assert!(
        ended.is_some_and(|status| status.code() == Some(0)),
        "{ended:?}"
    );
    assert!(
        client
            .get(format!("{base}/health/live"))
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_folder_has_one_host() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup::default().data(&dir.path().join("store"));
    let host = setup().start();
    host.seed("tuntaskan").await;
    let says = one_line(&mut setup().command());
    assert!(
        says.contains(&dir.path().join("store").display().to_string()),
        "{says}"
    );
    let data = dir.path().join("store").display().to_string();
    one_line(&mut gotong(&["migrate", "--data", &data]));
    // The first is none the worse for it.
    host.seed("tuntaskan").await;
    let (_, ledger) = host.holds();
    assert_eq!(ledger["events"], 2);
    // An address that is taken.
    let taken = ["serve", "--dev", "--listen", host.address()];
    let says = one_line(&mut gotong(&taken));
    assert!(says.contains(host.address()), "{says}");
}

#[test]
fn a_policy_file_is_checked_and_shown() {
    let pinned = std::fs::read_dir(root().join("policies/pinned"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .unwrap();
    let file = pinned.display().to_string();
    let checked = text(&ok(&["policy", "check", &file]));
    let shown = text(&ok(&["policy", "inspect", &file]));
    let object: Value =
        serde_json::from_str(&text(&ok(&["policy", "inspect", "--json", &file]))).unwrap();
    let digest = gotong_engine::Digest::of(std::fs::read(&pinned).unwrap()).to_string();
    for told in [&checked, &shown, &object.to_string()] {
        assert!(told.contains(&digest), "{told}");
    }
    assert!(shown.contains("imports    none") && shown.contains("rules"));

    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(&pinned).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let mut flipped = bytes.clone();
    flipped[4] ^= 0xff;
    let files = [
        dir.path().join("missing.wasm").display().to_string(),
        dir.path().display().to_string(),
        write("half.wasm", &bytes[..bytes.len() / 2]),
        write("one-byte-less.wasm", &bytes[..bytes.len() - 1]),
        write("empty.wasm", &[]),
        write("text.wasm", b"(module)"),
        write("other-version.wasm", &flipped),
    ];
    for file in &files {
        for command in ["check", "inspect"] {
            let says = one_line(&mut gotong(&["policy", command, file]));
            assert!(says.contains(file.as_str()), "{says}");
        }
    }
    for args in [&["policy", "check"][..], &["policy"], &["policies"], &[]] {
        let output = gotong(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://u:hunter2@{}/n/d", silent.local_addr().unwrap());
    for command in [
        &["serve", "--dev", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
    ] {
        let mut asked = gotong(command);
        let says = one_line(asked.env("GOTONG_STORE_URL", &url).env(
            "GOTONG_STORE_PEOPLE_KEY",
            "a-key-of-more-than-32-bytes-for-the-tests",
        ));
        assert!(says.contains("did not answer"), "{says}");
        assert!(!says.contains("hunter2"), "{says}");
    }
}

#[test]
fn no_token_is_made_that_every_host_refuses() {
    let mut system = gotong(&[
        "token",
        "--sub",
        "system",
        "--username",
        "S",
        "--role",
        "user",
    ]);
    assert!(one_line(&mut system).contains("`system` is the host itself"));
}
