//! The demo's client: sends a request, shows it as curl, and compares the answer with what was told.

use std::collections::BTreeMap;

use gotong_engine::types::TokenRole;
use gotong_policy_tool::say;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::config::{Auth, DEV_SECRET, Secret};
use crate::http::auth::sign;
use crate::request::Actor;

const TOKEN_TTL_S: u64 = 24 * 60 * 60;

/// (name in the story, username, role)
pub const CAST: [(&str, &str, TokenRole); 6] = [
    ("sari", "Sari", TokenRole::User),
    ("budi", "Budi", TokenRole::User),
    ("wati", "Wati", TokenRole::User),
    ("joko", "Joko", TokenRole::User),
    ("dewi", "Dewi", TokenRole::User),
    ("admin", "Admin", TokenRole::Admin),
];

pub struct Driver {
    client: Client,
    base: String,
    aloud: bool,
    tokens: BTreeMap<&'static str, String>,
    requests: usize,
    pub steps: usize,
    pub refused: usize,
    pub failures: Vec<String>,
}

/// A request of the story.
pub struct Step<'a> {
    pub who: &'a str,
    pub told: &'a str,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// Status, and the code of a refusal.
    pub expect: (u16, Option<&'a str>),
    /// A repeated request carries the key of the one it repeats.
    pub key: Option<String>,
}

impl Driver {
    pub fn new(base: &str, auth: &Auth, aloud: bool) -> Result<Self, CliError> {
        let secret = Secret::new(DEV_SECRET.trim());
        let mut tokens = BTreeMap::new();
        for (name, username, role) in CAST {
            let actor = Actor {
                user_id: name.to_owned(),
                username: username.to_owned(),
                role,
            };
            tokens.insert(name, sign(auth, &secret, &actor, TOKEN_TTL_S)?);
        }
        let client = Client::builder().build()?;
        Ok(Self {
            client,
            base: base.to_owned(),
            aloud,
            tokens,
            requests: 0,
            steps: 0,
            refused: 0,
            failures: Vec::new(),
        })
    }

    pub fn token(&self, who: &str) -> Result<String, CliError> {
        self.tokens
            .get(who)
            .cloned()
            .ok_or_else(|| format!("`{who}` is not in the cast").into())
    }

    pub fn say(&self, line: &str) {
        if self.aloud {
            say!("{line}");
        }
    }

    /// A key no request of this run has had.
    pub fn new_key(&mut self) -> String {
        self.requests += 1;
        format!("demo-request-{:03}", self.requests)
    }

    pub async fn post(
        &mut self,
        who: &str,
        told: &str,
        path: impl Into<String>,
        body: Value,
        expect: (u16, Option<&str>),
    ) -> Result<Value, CliError> {
        let key = Some(self.new_key());
        let step = Step {
            who,
            told,
            method: Method::POST,
            path: path.into(),
            body: Some(body),
            expect,
            key,
        };
        self.step(step).await.map(|(answer, _)| answer)
    }

    pub async fn put(
        &mut self,
        who: &str,
        told: &str,
        path: impl Into<String>,
        body: Value,
        expect: (u16, Option<&str>),
    ) -> Result<Value, CliError> {
        let key = Some(self.new_key());
        let step = Step {
            who,
            told,
            method: Method::PUT,
            path: path.into(),
            body: Some(body),
            expect,
            key,
        };
        self.step(step).await.map(|(answer, _)| answer)
    }

    pub async fn get(
        &mut self,
        who: &str,
        told: &str,
        path: impl Into<String>,
    ) -> Result<Value, CliError> {
        let step = Step {
            who,
            told,
            method: Method::GET,
            path: path.into(),
            body: None,
            expect: (200, None),
            key: None,
        };
        self.step(step).await.map(|(answer, _)| answer)
    }

    /// Sends one step. Returns the answer and its text as it came.
    pub async fn step(&mut self, step: Step<'_>) -> Result<(Value, String), CliError> {
        self.steps += 1;
        let (expected, code) = step.expect;
        self.say(&format!("\n{:>2}. {}", self.steps, step.told));
        self.say(&format!("    {}", self.curl(&step)));
        let mut request = self
            .client
            .request(step.method.clone(), format!("{}{}", self.base, step.path))
            .bearer_auth(self.token(step.who)?);
        if let Some(key) = &step.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &step.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let as_told = status == expected && code.is_none_or(|code| answer["code"] == code);
        if !as_told {
            self.failures.push(format!(
                "step {} ({}): {expected} {} was expected, {status} came: {text}",
                self.steps,
                step.told,
                code.unwrap_or("")
            ));
        }
        if status >= 400 {
            self.refused += usize::from(as_told);
            let rule = answer["rule"]
                .as_str()
                .map_or_else(String::new, |rule| format!(" [rule {rule}]"));
            let code = answer["code"].as_str().unwrap_or("?");
            self.say(&format!(
                "    {status} {code}{rule}: {}",
                answer["detail"].as_str().unwrap_or("")
            ));
        } else {
            self.say(&format!("    {status} {}", gist(&answer)));
        }
        Ok((answer, text))
    }

    /// Something that must hold, beyond one answer.
    pub fn must(&mut self, what: &str, holds: bool) {
        self.say(&format!(
            "    {} {what}",
            if holds { "so:" } else { "NOT so:" }
        ));
        if !holds {
            self.failures.push(format!("step {}: {what}", self.steps));
        }
    }

    /// Moves the host's clock, and lets the timers that fall due run.
    pub async fn wait(&mut self, hours: u64) -> Result<(), CliError> {
        self.steps += 1;
        let body = json!({"advance_ms": hours * 60 * 60 * 1_000});
        self.say(&format!("\n{:>2}. {hours} hours go by", self.steps));
        self.say(&format!(
            "    curl -X POST {}/dev/clock -H 'Content-Type: application/json' -d '{body}'",
            self.base
        ));
        let answer: Value = self
            .client
            .post(format!("{}/dev/clock", self.base))
            .json(&body)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        self.say(&format!("    {} timer(s) ran", answer["timers_run"]));
        Ok(())
    }

    fn curl(&self, step: &Step<'_>) -> String {
        let method = if step.method == Method::GET {
            String::new()
        } else {
            format!("-X {} ", step.method)
        };
        let key = step
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!(" -H 'Idempotency-Key: {key}'"));
        let body = step.body.as_ref().map_or_else(String::new, |body| {
            format!(" -H 'Content-Type: application/json' -d '{body}'")
        });
        let token = step.who.to_uppercase();
        format!(
            "curl {method}{}{} -H \"Authorization: Bearer ${token}\"{key}{body}",
            self.base, step.path
        )
    }

    pub fn how_to_go_on(&self) {
        say!(
            "\nThe host is still up at {}. To go on by hand:\n",
            self.base
        );
        for (name, token) in &self.tokens {
            say!("  export {}={token}", name.to_uppercase());
        }
        say!("\n  gotong replay --url {} --token \"$ADMIN\"", self.base);
        say!(
            "  gotong audit verify --url {} --token \"$ADMIN\"",
            self.base
        );
        say!("\nCtrl-C ends it; nothing of it is kept.");
    }
}

/// The few fields of an answer that tell a person what happened.
fn gist(answer: &Value) -> String {
    let word = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .or_else(|| value.as_u64().map(|number| number.to_string()))
    };
    let gate = &answer["gate"];
    let window_h = (gate["closes_at_ms"]
        .as_i64()
        .zip(gate["opens_at_ms"].as_i64()))
    .map(|(end, start)| (end - start) / 3_600_000);
    let told = [
        ("stage", word(&answer["stage"])),
        ("relation", word(&answer["relation"])),
        ("choice", word(&answer["choice"])),
        ("evidence", word(&answer["evidence_type"])),
        ("status", word(&answer["status"])),
        ("gate", word(&gate["gate_type"])),
        ("risk", word(&gate["risk"])),
        ("eligible", word(&gate["eligible"])),
        (
            "quorum",
            word(&gate["quorum"]).filter(|quorum| quorum != "0"),
        ),
        (
            "hours from opening to close",
            window_h.map(|hours| hours.to_string()),
        ),
    ];
    let told: Vec<String> = told
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value?)))
        .collect();
    told.join(", ")
}
