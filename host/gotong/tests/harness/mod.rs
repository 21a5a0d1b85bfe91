//! Drives the real server as a process, over real HTTP, on the embedded engine.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file uses its own part of the harness, and may fail"
)]

pub mod redis;

pub mod surrealdb;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const HOUR_MS: u64 = 60 * 60 * 1_000;
const DEV_SECRET: &str = include_str!("../../../../fixtures/keys/dev-hs256.key");

/// A running host. Dropping it kills it (-9).
pub struct Host {
    child: Child,
    pub base: String,
    pub client: Client,
}

/// How to start one.
#[derive(Default)]
pub struct Setup {
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// As strangers are served: without `--dev`.
    pub outside_dev: bool,
}

impl Setup {
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn data(self, dir: &Path) -> Self {
        self.arg("--data").arg(dir.display().to_string())
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    pub fn outside_dev(mut self) -> Self {
        self.outside_dev = true;
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gotong"));
        command
            .current_dir(root())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args((!self.outside_dev).then_some("--dev"))
            .args(&self.args)
            // Tests are hastier than people; tests/rates.rs switches the limits on.
            .env("GOTONG_LIMITS__RATE__ENABLED", "false")
            .envs(&self.env);
        command.env(
            "RUST_LOG",
            std::env::var("RUST_LOG").unwrap_or_else(|_| "error".into()),
        );
        command
    }

    pub fn start(&self) -> Host {
        self.start_with(|_| {})
    }

    /// Starts it after a last word about the process: where its logs go, say.
    pub fn start_with(&self, change: impl FnOnce(&mut Command)) -> Host {
        let mut command = self.command();
        change(&mut command);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the host did not start: `{line}`"));
        let base = format!("http://{}", ready["listening"].as_str().unwrap());
        Host {
            child,
            base,
            client: Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
        }
    }

    /// Starts a host that must refuse to: what it says on stderr.
    pub fn refused(&self) -> String {
        let output = self.command().output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(2),
            "it started: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stderr).unwrap()
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// A copy of the policies and their lock, to change or to spoil.
pub fn policies_copy() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("pinned")).unwrap();
    let from = root().join("policies");
    let copy = |name: &Path| std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    copy(Path::new("policies.lock"));
    for entry in std::fs::read_dir(from.join("pinned")).unwrap() {
        copy(&Path::new("pinned").join(entry.unwrap().file_name()));
    }
    folder
}

/// A host in memory.
pub fn host() -> Host {
    Setup::default().start()
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (
                self.status.as_u16(),
                self.json["code"].as_str().unwrap_or("")
            ),
            (status, code),
            "{}",
            self.text
        );
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self
    }

    pub fn field(&self, name: &str) -> String {
        self.json[name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}` in {}", self.text))
            .to_owned()
    }

    pub fn replayed(&self) -> bool {
        self.headers
            .get("idempotent-replayed")
            .is_some_and(|value| value == "true")
    }
}

/// A request under way.
pub struct Request<'a> {
    host: &'a Host,
    builder: reqwest::RequestBuilder,
}

impl Request<'_> {
    pub fn key(mut self, key: &str) -> Self {
        self.builder = self.builder.header("Idempotency-Key", key);
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn raw(mut self, body: impl Into<String>) -> Self {
        self.builder = self
            .builder
            .header("Content-Type", "application/json")
            .body(body.into());
        self
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let _ = self.host;
        let response = self.builder.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer {
            status,
            headers,
            text,
            json,
        })
    }
}

impl Host {
    pub fn request(&self, who: &str, method: Method, path: &str) -> Request<'_> {
        let mut builder = self.client.request(method, format!("{}{path}", self.base));
        if !who.is_empty() {
            builder = builder.bearer_auth(token(who));
        }
        Request {
            host: self,
            builder,
        }
    }

    pub async fn get(&self, who: &str, path: &str) -> Answer {
        self.request(who, Method::GET, path).send().await
    }

    pub async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.request(who, Method::POST, path)
            .key(&new_key())
            .raw(body.to_string())
            .send()
            .await
    }

    pub async fn put(&self, who: &str, path: &str, body: Value) -> Answer {
        self.request(who, Method::PUT, path)
            .key(&new_key())
            .raw(body.to_string())
            .send()
            .await
    }

    pub async fn delete(&self, who: &str, path: &str) -> Answer {
        self.request(who, Method::DELETE, path)
            .key(&new_key())
            .send()
            .await
    }

    /// Moves the clock; due timers have run when it returns.
    pub async fn wait_hours(&self, hours: u64) -> Value {
        let body = json!({"advance_ms": hours * HOUR_MS}).to_string();
        self.request("", Method::POST, "/dev/clock")
            .raw(body)
            .send()
            .await
            .ok()
            .json
    }

    /// A seed of `sari`'s.
    pub async fn seed(&self, track: &str) -> String {
        self.seed_with(json!({"track": track, "title": "A seed", "scope_id": "id/jabar/depok"}))
            .await
    }

    pub async fn seed_with(&self, body: Value) -> String {
        self.post("sari", "/v1/entities", body)
            .await
            .ok()
            .field("entity_id")
    }

    pub async fn join(&self, who: &str, entity: &str, relation: &str) -> Answer {
        self.post(
            who,
            &format!("/v1/entities/{entity}/relations"),
            json!({"relation": relation}),
        )
        .await
    }

    pub async fn propose(&self, who: &str, entity: &str, stage: &str) -> Answer {
        self.post(
            who,
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": stage}),
        )
        .await
    }

    pub async fn vote(&self, who: &str, transition: &str, choice: &str) -> Answer {
        self.post(
            who,
            &format!("/v1/transitions/{transition}/votes"),
            json!({"choice": choice}),
        )
        .await
    }

    pub async fn object(&self, who: &str, transition: &str) -> Answer {
        self.post(
            who,
            &format!("/v1/transitions/{transition}/objections"),
            json!({"reason": "Let us talk first."}),
        )
        .await
    }

    pub async fn transition(&self, transition: &str) -> Value {
        self.get("sari", &format!("/v1/transitions/{transition}"))
            .await
            .ok()
            .json
    }

    pub async fn stage(&self, entity: &str) -> String {
        self.get("sari", &format!("/v1/entities/{entity}/stage"))
            .await
            .ok()
            .field("stage")
    }

    /// `sari`'s seed at the vote on its second stage, with a participant who objected.
    pub async fn at_a_vote(&self) -> (String, String) {
        let entity = self.seed("tuntaskan").await;
        self.join("wati", &entity, "participant").await.ok();
        let gate = self
            .propose("sari", &entity, "bahas")
            .await
            .ok()
            .field("transition_id");
        self.object("wati", &gate).await.ok();
        (entity, gate)
    }

    /// Everything recorded so far replays, every chain holds.
    pub fn holds(&self) -> (Value, Value) {
        let replay = self.auditor(&["replay", "--json"]);
        let ledger = self.auditor(&["audit", "verify", "--json"]);
        assert_eq!(
            (&replay["diverged"], &replay["not_replayable"]),
            (&json!(0), &json!(0)),
            "{replay}"
        );
        assert_eq!(ledger["ok"], true, "{ledger}");
        (replay, ledger)
    }

    pub fn auditor(&self, args: &[&str]) -> Value {
        let output = gotong(args)
            .args(["--url", &self.base, "--token", &token("admin/admin")])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits; `None` when it was still there past the time.
    pub fn stopped_within(mut self, seconds: u64) -> Option<std::process::ExitStatus> {
        signal(self.id(), "-TERM");
        ended_within(&mut self.child, seconds)
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

/// Sends a signal to a process of ours: `-TERM`, `-9`.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "{name} to {pid}");
}

/// How a process ended, within some time; past it, it is killed.
pub fn ended_within(child: &mut Child, seconds: u64) -> Option<std::process::ExitStatus> {
    let until = std::time::Instant::now() + Duration::from_secs(seconds);
    while std::time::Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// What a command that has to end with 2 says: one line. A host that starts instead is ended.
#[track_caller]
pub fn one_line(command: &mut Command) -> String {
    // As without RUST_LOG: the database's engine is loud about its own threads when a process ends.
    let mut child = command
        .env("RUST_LOG", "error,surrealkv=off")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = ended_within(&mut child, 60);
    let mut says = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut says)
        .unwrap();
    let code = status.and_then(|status| status.code());
    assert_eq!(code, Some(2), "{command:?}: {says}");
    assert_eq!(says.trim().lines().count(), 1, "one line: {says}");
    says
}

/// The binary with some arguments, in the project's folder.
pub fn gotong(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gotong"));
    command
        .current_dir(root())
        .args(args)
        .env("RUST_LOG", "error");
    command
}

/// `user`, or `user/role`.
pub fn token(who: &str) -> String {
    let (sub, role) = who.split_once('/').unwrap_or((who, "user"));
    sign(
        &json!({"sub": sub, "username": sub, "role": role, "iss": "gotong", "aud": "gotong", "exp": now_s() + 3_600}),
        Algorithm::HS256,
        DEV_SECRET.trim(),
    )
}

pub fn sign(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    jsonwebtoken::encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}

pub fn dev_secret() -> &'static str {
    DEV_SECRET.trim()
}

pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

pub fn new_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "test-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
