//! `gotong demo`: a community matter from its seed to `tuntas`, over real HTTP, against a real host in this
//! process. Nothing is shown that was not answered; what does not go as told makes the demo fail.

mod driver;
mod story;

use std::process::ExitCode;

use clap::Args;
use gotong_policy_tool::{complain, say};
use serde_json::json;

use super::CliError;
use super::serve::{Server, signalled};
use crate::config::{Config, Secret};
use crate::ledger::source::{Host, Source};
use crate::ledger::verify::verify;
use crate::rulings::replay::replay_all;
use driver::Driver;

#[derive(Debug, Args)]
pub struct Demo {
    /// Only one JSON object at the end
    #[arg(long)]
    json: bool,
    /// Leave the server up afterwards, and say how to go on by hand
    #[arg(long)]
    keep: bool,
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
}

impl Demo {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let mut config = Config {
            dev: true,
            listen: self.listen.clone(),
            store_url: Secret::new("memory"),
            crash_at: None,
            ..config
        };
        // The demo's people sign in with the public dev key, whatever key is configured.
        config.auth.hs256_secret = None;
        let server = Server::start(config).await?;
        let base = format!("http://{}", server.address);
        let mut driver = Driver::new(&base, &server.app.config.auth, !self.json)?;
        story::tell(&mut driver).await?;

        driver.say("\nEvery decision again, and every chain:");
        let source = Source::Host(Host::new(&base, driver.token("admin")?)?);
        let replay = replay_all(&server.app.policies, &source)?.tally;
        let ledger = verify(&source).await?;
        driver.say(&format!(
            "  {} decisions replayed: {} match, {} diverged, {} not replayable",
            replay.total(),
            replay.matching,
            replay.diverged,
            replay.not_replayable
        ));
        driver.say(&format!(
            "  {} events in {} streams: {}",
            ledger.events,
            ledger.streams,
            if ledger.ok {
                "every chain holds"
            } else {
                "NOT WHOLE"
            }
        ));

        let held = driver.failures.is_empty()
            && replay.diverged == 0
            && replay.not_replayable == 0
            && replay.matching > 0
            && ledger.ok
            && ledger.events > 0;
        let summary = json!({
            "steps": driver.steps,
            "refused": driver.refused,
            "decisions": replay.total(),
            "replay": {"match": replay.matching, "diverged": replay.diverged, "not_replayable": replay.not_replayable},
            "ledger": {"events": ledger.events, "ok": ledger.ok},
        });
        for failure in &driver.failures {
            complain!("did not go as told: {failure}");
        }
        if self.json {
            say!("{summary}");
        } else {
            say!(
                "\n{} steps, {} of them refused as they should be. {}",
                driver.steps,
                driver.refused,
                if held {
                    "All of it held."
                } else {
                    "NOT all of it held."
                }
            );
            say!("{summary}");
        }
        if self.keep {
            driver.how_to_go_on();
            signalled().await;
        }
        server.stop().await?;
        Ok(if held {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
