//! A SurrealDB server of a test's own: built by `fixtures/surrealdb-server`, on a free port, with a folder of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use super::{Setup, ended_within, gotong};

pub const OWNER_PASSWORD: &str = "an-owner-of-the-tests";

pub const HOST_PASSWORD: &str = "an-editor-of-the-tests";

/// The same for all hosts of the server.
pub const PEOPLE_KEY: &str = "a-key-for-the-sessions-of-people-in-tests";

/// A running server. Dropping it kills it (-9).
pub struct SurrealServer {
    dir: TempDir,
    program: PathBuf,
    engine: &'static str,
    port: u16,
    child: Option<Child>,
}

impl SurrealServer {
    /// A server with an empty database, its owner and its editor, on an engine that arbitrates between hosts.
    pub async fn start() -> Self {
        Self::start_on("rocksdb").await
    }

    /// The same on another engine: `rocksdb` or `surrealkv`.
    pub async fn start_on(engine: &'static str) -> Self {
        let program = std::env::var_os("TEST_SURREALDB")
            .unwrap_or_else(|| panic!("TEST_SURREALDB names no server: use `make test-cluster`"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = Self {
            dir: tempfile::tempdir().unwrap(),
            program: program.into(),
            engine,
            port,
            child: None,
        };
        server.restart().await;
        // Who a host is there: an editor of its database. The owner sets the database up.
        let users = format!(
            "DEFINE NAMESPACE gotong; USE NS gotong; DEFINE DATABASE main; USE DB main;
            DEFINE USER owner ON DATABASE PASSWORD '{OWNER_PASSWORD}' ROLES OWNER;
            DEFINE USER host ON DATABASE PASSWORD '{HOST_PASSWORD}' ROLES EDITOR;"
        );
        server.sql(&users).await;
        server
    }

    /// The same, with the schema, and letting people in.
    pub async fn migrated() -> Self {
        let server = Self::start().await;
        server.migrate(PEOPLE_KEY);
        server
    }

    /// As its owner does, once for a release or a key.
    pub fn migrate(&self, people_key: &str) {
        let migrated = gotong(&["migrate"])
            .env("GOTONG_STORE_URL", self.owner_url())
            .env("GOTONG_STORE_PEOPLE_KEY", people_key)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&migrated.stderr).into_owned();
        assert!(migrated.status.success(), "{said}{}", self.log());
    }

    /// A host of the server, an editor.
    pub fn setup(&self) -> Setup {
        Setup::default()
            .env("GOTONG_STORE_URL", self.url())
            .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE_KEY)
    }

    /// Gives the login of the hosts another role. A session has the role that it signed in with.
    pub async fn let_host_be(&self, role: &str) {
        let define = format!(
            "USE NS gotong DB main; DEFINE USER OVERWRITE host ON DATABASE PASSWORD '{HOST_PASSWORD}' ROLES {role};"
        );
        self.sql(&define).await;
    }

    /// Starts it again on its port, with what its folder holds.
    pub async fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new(&self.program)
            .args(["start", "--no-banner", "--log", "warn"])
            .args(["--bind", &format!("127.0.0.1:{}", self.port)])
            .args(["--user", "root", "--pass", "root-of-the-tests"])
            .arg(format!(
                "{}://{}",
                self.engine,
                self.dir.path().join("data").display()
            ))
            .env("SURREAL_SYNC_DATA", "true")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(60);
        let health = format!("http://127.0.0.1:{}/health", self.port);
        while !Client::new()
            .get(&health)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(
                Instant::now() < until,
                "the server did not start: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            ended_within(&mut child, 10);
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The address for the database's editor, which a host is.
    pub fn url(&self) -> String {
        format!(
            "ws://host:{HOST_PASSWORD}@127.0.0.1:{}/gotong/main",
            self.port
        )
    }

    /// The address for the database's owner.
    pub fn owner_url(&self) -> String {
        format!(
            "ws://owner:{OWNER_PASSWORD}@127.0.0.1:{}/gotong/main",
            self.port
        )
    }

    /// Runs SurrealQL as root. Every statement has to succeed.
    pub async fn sql(&self, query: &str) -> Value {
        let answer = Client::new()
            .post(format!("http://127.0.0.1:{}/sql", self.port))
            .basic_auth("root", Some("root-of-the-tests"))
            .header("Accept", "application/json")
            .body(query.to_owned())
            .send()
            .await
            .unwrap();
        let results: Value = answer.json().await.unwrap();
        for result in results.as_array().unwrap_or_else(|| panic!("{results}")) {
            assert_eq!(result["status"], "OK", "{result}");
        }
        results
    }
}

impl Drop for SurrealServer {
    fn drop(&mut self) {
        self.kill();
    }
}
