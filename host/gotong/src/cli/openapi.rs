//! `gotong openapi`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gotong_policy_tool::refusals::{Refusal, refusals};
use gotong_policy_tool::{out, say};

use super::CliError;
use crate::command::answer::status_of;
use crate::command::refusal::NOT_VISIBLE;
use crate::config::Config;
use crate::problems::Code;

/// Prints the API's document (OpenAPI 3.1), as a host serves it at `/openapi.json`.
#[derive(Debug, Args)]
pub struct OpenApi {
    /// Print the problems instead that a host tells, as Markdown
    #[arg(long)]
    problems: bool,
    /// Print nothing; fail when this file is not what would be printed
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl OpenApi {
    pub fn run(self, config: &Config) -> Result<ExitCode, CliError> {
        let text = if self.problems {
            page(&refusals(&config.policies_dir()?)?)?
        } else {
            serde_json::to_string_pretty(&crate::http::document(false))? + "\n"
        };
        let Some(path) = self.check else {
            out::write(format_args!("{text}"));
            return Ok(ExitCode::SUCCESS);
        };
        let present = std::fs::read_to_string(&path).map_err(|source| PageError::Read {
            path: path.clone(),
            source,
        })?;
        if present == text {
            say!("{} is as the host is", path.display());
            return Ok(ExitCode::SUCCESS);
        }
        let option = if self.problems { " --problems" } else { "" };
        say!(
            "{}: stale: write it with `gotong openapi{option} > {}`",
            path.display(),
            path.display()
        );
        Ok(ExitCode::FAILURE)
    }
}

/// `docs/problems.md`
fn page(refusals: &[Refusal]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# Problems\n\n\
         <!-- Written by `gotong openapi --problems`. Do not edit: the codes are in the host, the reasons in the modules. -->\n\n\
         Every error is a document of the type `application/problem+json` (RFC 9457). Its `type` is `urn:gotong:problem:` \
         and its `code`; the code is stable, `detail` is for people. `request_id` and `correlation_id` find the log line.\n\n\
         ## Told by the host\n\n| status | code | what happened | what to do |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        writeln!(
            text,
            "| {} | `{code}` | {} | {} |",
            code.status(),
            code.meaning(),
            code.remedy()
        )?;
    }
    text += "\n## Told by policies\n\n\
             When a policy rules something out, `code` is its reason, `rule` and `rule_text` are the rule, and `decision_id` is the \
             decision to look up. These are the reasons that the cases of the active modules show; a scope may be decided by another \
             module, with other reasons.\n\n\
             | status | code | module | rule | the rule in words |\n| --- | --- | --- | --- | --- |\n";
    for refusal in refusals {
        let (status, code) = if refusal.reason == NOT_VISIBLE {
            (Code::NotFound.status(), Code::NotFound.as_str())
        } else {
            (status_of(refusal.family).as_u16(), refusal.reason.as_str())
        };
        writeln!(
            text,
            "| {status} | `{code}` | {} | `{}` | {} |",
            refusal.module,
            refusal.rule,
            refusal.rule_text.replace('|', "\\|")
        )?;
    }
    Ok(text)
}
