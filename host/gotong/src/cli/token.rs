//! `gotong token`

use std::process::ExitCode;

use clap::Args;
use gotong_engine::types::TokenRole;
use gotong_policy_tool::say;

use super::CliError;
use crate::config::{Config, DEV_SECRET, Secret};
use crate::http::auth::sign;
use crate::request::Actor;

/// Prints a token on stdout. With no key configured it is signed with the public dev key, which only
/// `--dev` servers accept.
#[derive(Debug, Args)]
pub struct Token {
    /// The user's id
    #[arg(long)]
    sub: String,
    #[arg(long)]
    username: String,
    /// user, moderator, admin or service
    #[arg(long)]
    role: TokenRole,
    /// How long it holds: 90s, 15m, 24h, 7d; at most 3650d
    #[arg(long, default_value = "24h", value_parser = seconds)]
    ttl: u64,
}

impl Token {
    pub fn run(self, config: Config) -> Result<ExitCode, CliError> {
        if config.auth.hs256_secret.is_none() && config.auth.eddsa_public_key_pem.is_some() {
            return Err("this host checks tokens with a public key: the holder of its private key signs them".into());
        }
        let secret = config
            .auth
            .hs256_secret
            .clone()
            .unwrap_or_else(|| Secret::new(DEV_SECRET.trim()));
        let actor = Actor {
            user_id: self.sub,
            username: self.username,
            role: self.role,
        };
        say!("{}", sign(&config.auth, &secret, &actor, self.ttl)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Ten years. Beyond it, an expiry is a slip of the finger.
const LONGEST_S: u64 = 3_650 * 24 * 60 * 60;

fn seconds(text: &str) -> Result<u64, String> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or("give a unit: 90s, 15m, 24h or 7d")?;
    let (number, unit) = text.split_at(unit_at);
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("the unit is s, m, h or d".into()),
    };
    let number: u64 = number.parse().map_err(|_| "that is no duration")?;
    match number.checked_mul(unit_s) {
        Some(0) => Err("a token that has expired already is of no use".into()),
        Some(seconds) if seconds <= LONGEST_S => Ok(seconds),
        _ => Err("a token holds for 3650d at most".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("3650d"), Ok(LONGEST_S));
        for bad in [
            "",
            "24",
            "h",
            "1y",
            "0s",
            "0d",
            "3651d",
            "99999999999d",
            "99999999999999999999d",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
