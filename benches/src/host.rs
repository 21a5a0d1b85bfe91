//! A real host as a process of its own, and people who call it over HTTP.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{BenchError, root};

const DEV_SECRET: &str = include_str!("../../fixtures/keys/dev-hs256.key");

/// Dropping it kills the process.
#[derive(Debug)]
pub struct Host {
    child: Child,
    base: String,
    client: Client,
    signing: EncodingKey,
    tokens: Mutex<BTreeMap<String, String>>,
}

/// What came back, and how long that took.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub took: Duration,
}

impl Answer {
    /// A text of the body.
    ///
    /// # Errors
    /// When it was refused, or the field is not there.
    pub fn field(&self, name: &str) -> Result<String, BenchError> {
        self.body[name]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{} without `{name}`: {}", self.status, self.body).into())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    /// Starts `gotong serve --dev` on a free port: in memory, or with a folder of data.
    ///
    /// # Errors
    /// When the program cannot be started or does not say where it listens.
    pub fn start(gotong: &Path, data: Option<&Path>) -> Result<Self, BenchError> {
        let mut command = Command::new(gotong);
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .current_dir(root())
            .env("RUST_LOG", "error")
            // What is measured is the host at its fastest, not how often one caller may ask.
            .env("GOTONG_LIMITS__RATE__ENABLED", "false")
            .stdout(Stdio::piped());
        if let Some(data) = data {
            command.arg("--data").arg(data);
        }
        let mut child = command
            .spawn()
            .map_err(|error| format!("`{}` cannot be started: {error}", gotong.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the host has no stdout")?)
            .read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let address = ready["listening"]
            .as_str()
            .ok_or("the host did not say where it listens")?;
        Ok(Self {
            child,
            base: format!("http://{address}"),
            client: Client::builder().build()?,
            signing: EncodingKey::from_secret(DEV_SECRET.trim().as_bytes()),
            tokens: Mutex::default(),
        })
    }

    /// Ends it as an operator would, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be told, or does not end well.
    pub fn stop(mut self) -> Result<(), BenchError> {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status()?;
        let ended = self.child.wait()?;
        match told.success() && ended.success() {
            true => Ok(()),
            false => Err(format!("the host ended with {ended}").into()),
        }
    }

    /// A token of a person, made once: signing is the issuer's work, not the host's.
    fn token(&self, who: &str) -> Result<String, BenchError> {
        let mut tokens = self
            .tokens
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(token) = tokens.get(who) {
            return Ok(token.clone());
        }
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({"sub": who, "username": who, "role": "user", "iss": "gotong", "aud": "gotong", "exp": now_s + 3_600});
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)?;
        tokens.insert(who.to_owned(), token.clone());
        Ok(token)
    }

    /// A write, under a key of its own.
    ///
    /// # Errors
    /// When nothing comes back. A refusal is an answer.
    pub async fn post(
        &self,
        who: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Answer, BenchError> {
        let request = self
            .client
            .request(Method::POST, format!("{}{path}", self.base))
            .bearer_auth(self.token(who)?)
            .header("Idempotency-Key", key)
            .json(body);
        answer(request).await
    }

    /// # Errors
    /// When nothing comes back. A refusal is an answer.
    pub async fn get(&self, who: &str, path: &str) -> Result<Answer, BenchError> {
        let request = self
            .client
            .request(Method::GET, format!("{}{path}", self.base))
            .bearer_auth(self.token(who)?);
        answer(request).await
    }
}

/// From the first byte that is sent to the last one that comes back.
async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, BenchError> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status();
    let bytes = response.bytes().await?;
    let took = started.elapsed();
    Ok(Answer {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        took,
    })
}
