//! A Redis of a test's own: the real `redis-server`, on a free port, with a folder and a password of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const PASSWORD: &str = "a-password-of-the-tests";

/// A file of `fixtures/keys`.
pub fn key(name: &str) -> PathBuf {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/keys");
    keys.join(name)
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// A running server. Dropping it kills it (-9).
pub struct RedisServer {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Keeps nothing on disk.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// With settings of its own, as on the command line.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            settings: settings.iter().map(|text| (*text).to_owned()).collect(),
            child: None,
        };
        server.restart();
        server
    }

    /// With a second port that speaks TLS, by the certificate in `fixtures/keys`: the server, and its address there.
    pub fn start_with_tls() -> (Self, String) {
        let port = free_port().to_string();
        let key = |name: &str| key(name).to_str().unwrap().to_owned();
        let settings = [
            ["--save", ""],
            ["--tls-port", &port],
            ["--tls-cert-file", &key("test-redis.pem")],
            ["--tls-key-file", &key("test-redis.key")],
            ["--tls-auth-clients", "no"],
        ];
        let server = Self::start_with(&settings.concat());
        (server, format!("rediss://:{PASSWORD}@127.0.0.1:{port}"))
    }

    /// Starts it again on its port, with what its folder holds.
    pub fn restart(&mut self) {
        self.kill();
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--requirepass", PASSWORD, "--daemonize", "no"])
            .arg("--dir")
            .arg(self.dir.path())
            .args(&self.settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server: {error}; see `make setup-redis`"));
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(10);
        while self.cli(&["PING"]) != "PONG" {
            assert!(Instant::now() < until, "redis-server did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// It is there and answers nothing: SIGSTOP. `resume` wakes it.
    pub fn freeze(&self) {
        super::signal(self.child.as_ref().unwrap().id(), "-STOP");
    }

    pub fn resume(&self) {
        super::signal(self.child.as_ref().unwrap().id(), "-CONT");
    }

    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@{}", self.address())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn is_listening(&self) -> bool {
        TcpStream::connect(self.address()).is_ok()
    }

    /// What `redis-cli` says, `FLUSHALL` say.
    pub fn cli(&self, args: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(args)
            .env("REDISCLI_AUTH", PASSWORD)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
