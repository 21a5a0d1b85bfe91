//! Which decisions are asked for, as a command line says it.

use clap::Args;
use gotong_engine::{Filter, RecordMode};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// The filters of `replay` and `audit export`. Together they ask for what fits all of them.
#[derive(Debug, Args)]
pub struct Filters {
    /// Only decisions of a family: role-matrix, gate, moderation, retention, edge-pod
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
    /// Only decisions that a module of this name made, or this very version
    #[arg(long, value_name = "NAME[@VERSION]")]
    module: Option<String>,
    /// Only decisions made since: a time as in 2026-11-22T08:00:00Z, or how long ago, as in 7d or 12h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only decisions about one entity
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    /// Only this decision
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    /// Only decisions that the host followed (active), or that were made beside them (shadow)
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
}

/// A filter that asks for nothing that could be there.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// An unknown word.
    #[error("`--{option}`")]
    Word {
        /// The option.
        option: &'static str,
        /// Which words are known.
        #[source]
        source: gotong_engine::UnknownWordError,
    },
    /// No module's name.
    #[error("`--module {0}` is not NAME or NAME@VERSION, as in `gate@1.0.1`")]
    Module(String),
    /// No time.
    #[error(
        "`--since {0}` is neither a time, as in `2026-11-22T08:00:00Z`, nor how long ago, as in `7d` or `12h`"
    )]
    Since(String),
    /// An empty value.
    #[error("`--{0}` is empty")]
    Empty(&'static str),
}

impl Filters {
    /// What is asked for.
    ///
    /// # Errors
    /// When a value is none of the words it may be, or no time.
    pub fn filter(&self) -> Result<Filter, FilterError> {
        let (module, version) = match self.module.as_deref().map(name_and_version) {
            None => (None, None),
            Some(Some((name, version))) => (Some(name), version),
            Some(None) => {
                let given = self.module.clone().unwrap_or_default();
                return Err(FilterError::Module(given));
            }
        };
        Ok(Filter {
            family: word("family", self.family.as_deref())?,
            module,
            version,
            since_ms: self.since.as_deref().map(since).transpose()?,
            entity: not_empty("entity", self.entity.as_deref())?,
            decision: not_empty("decision", self.decision.as_deref())?,
            mode: word::<RecordMode>("mode", self.mode.as_deref())?,
        })
    }
}

fn word<T>(option: &'static str, given: Option<&str>) -> Result<Option<T>, FilterError>
where
    T: std::str::FromStr<Err = gotong_engine::UnknownWordError>,
{
    let parsed = given.map(str::parse).transpose();
    parsed.map_err(|source| FilterError::Word { option, source })
}

fn not_empty(option: &'static str, given: Option<&str>) -> Result<Option<String>, FilterError> {
    match given {
        Some("") => Err(FilterError::Empty(option)),
        other => Ok(other.map(str::to_owned)),
    }
}

fn name_and_version(given: &str) -> Option<(String, Option<String>)> {
    let (name, version) = match given.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (given, None),
    };
    let is_there = !name.is_empty() && version.is_none_or(|version| !version.is_empty());
    is_there.then(|| (name.to_owned(), version.map(str::to_owned)))
}

/// Milliseconds since 1970.
fn since(given: &str) -> Result<i64, FilterError> {
    let wrong = || FilterError::Since(given.to_owned());
    if let Ok(time) = given.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let ago: Span = given.parse().map_err(|_| wrong())?;
    if !ago.is_positive() {
        return Err(wrong());
    }
    // A day is 24 hours here, as it is in UTC.
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let time = now.checked_sub(ago).map_err(|_| wrong())?;
    Ok(time.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_how_long_ago() {
        assert_eq!(since("2026-11-22T08:00:00Z").unwrap(), 1_795_334_400_000);
        assert_eq!(
            since("2026-11-22T15:00:00+07:00").unwrap(),
            1_795_334_400_000
        );
        let now = Timestamp::now().as_millisecond();
        for (given, hours) in [("7d", 168), ("12h", 12), ("1w 2d", 216), ("P1D", 24)] {
            let ago = now - since(given).unwrap();
            assert!((ago - hours * 3_600_000).abs() < 5_000, "{given}: {ago}");
        }
        for wrong in [
            "",
            "yesterday",
            "-7d",
            "0d",
            "7",
            "2026-11-22",
            "99999999999y",
        ] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_module_is_a_name_or_a_version_of_it() {
        assert_eq!(name_and_version("gate"), Some(("gate".into(), None)));
        assert_eq!(
            name_and_version("gate@1.0.1"),
            Some(("gate".into(), Some("1.0.1".into())))
        );
        for wrong in ["", "@1.0.0", "gate@"] {
            assert_eq!(name_and_version(wrong), None, "{wrong}");
        }
    }
}
