//! `gotong doctor`: whether a host could serve with these settings, here and now. It changes no schema and no
//! row of anybody's: on a server it writes, and takes away again, the one row of a race (`gotong_store::Store::race`).
//!
//! It asks with the pieces that a start is made of, so that the two cannot come apart. Each line is ok, a warning or a failure, and what is not ok says how to put it right.

mod reach;
mod settings;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gotong_policy_tool::say;
use serde::Serialize;

use super::CliError;
use crate::config::{Config, Secret};

#[derive(Debug, Args)]
pub struct Doctor {
    /// Folder of the store (default: the configured store_url)
    #[arg(long)]
    data: Option<PathBuf>,
    /// As for a host in development
    #[arg(long)]
    dev: bool,
    /// JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// One line.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    says: String,
    /// How to put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            says: says.into(),
            fix: None,
        }
    }

    fn warning(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Warning,
            says: says.into(),
            fix: Some(fix.into()),
        }
    }

    fn failed(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Failed,
            says: says.into(),
            fix: Some(fix.into()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub async fn run(self, mut config: Config) -> Result<ExitCode, CliError> {
        config.dev |= self.dev;
        if let Some(data) = self.data {
            config.store_url = Secret::new(format!("surrealkv://{}", data.display()));
        }
        let mut findings = vec![
            settings::config(&config),
            settings::lease(&config),
            settings::cache(&config),
        ];
        findings.extend(settings::unused(&config));
        findings.extend(settings::risky(&config));
        let (of_policies, policies) = settings::policies(&config);
        findings.extend(of_policies);
        let listening = reach::listen(&config).await;
        findings.extend(listening.findings);
        let is_serving = listening.is_serving;
        findings.extend(store::store(&config, policies.as_ref(), is_serving).await);
        findings.extend(reach::redis(&config).await);
        let report = Report {
            ok: findings
                .iter()
                .all(|finding| finding.state != State::Failed),
            findings,
        };
        if self.json {
            say!("{}", serde_json::to_string(&report)?);
        } else {
            report.findings.iter().for_each(print);
        }
        Ok(if report.ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn print(finding: &Finding) {
    let state = match finding.state {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Failed => "failed",
    };
    say!("{state:8} {:9} {}", finding.check, finding.says);
    if let Some(fix) = &finding.fix {
        say!("{:18} {fix}", "");
    }
}
