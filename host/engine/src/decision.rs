//! A decision: the engine's record, and where and when it was asked. It holds no person.

use std::io;

use serde::{Deserialize, Serialize};

use crate::contract::Family;
use crate::module::{Outcome, TrapCode};
use crate::record::{ModuleRef, Record, RecordMode};

/// One row of `policy_decision`, as the store keeps it, an auditor reads it and a bundle holds it.
///
/// Its fields stand in the order of canonical JSON, which [`Decision::is_canonical`] goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The contract that the module was built for.
    pub abi: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Ties it to log lines.
    pub correlation_id: String,
    /// UUIDv7: the order of ids is the order of making.
    pub decision_id: String,
    /// Fingerprint of the engine it ran in.
    pub engine: String,
    /// The stream the question was about.
    pub entity_id: String,
    /// The family that was asked.
    pub family: String,
    /// The fuel it took.
    pub fuel: u64,
    /// The function that was asked.
    pub function: String,
    /// The facts, canonical JSON.
    pub input: String,
    /// The digest of the input's bytes.
    pub input_digest: String,
    /// `active` or `shadow`.
    pub mode: String,
    /// The digest of the module that answered: its identity.
    pub module_digest: String,
    /// The name of that module.
    pub module_name: String,
    /// The version of that module.
    pub module_version: String,
    /// How it ended.
    pub outcome: String,
    /// The ruling, canonical JSON; none when there was none.
    pub output: Option<String>,
    /// The digest of the output's bytes.
    pub output_digest: Option<String>,
    /// Whether it must end so again.
    pub replayable: bool,
    /// The request it was asked for.
    pub request_id: String,
    /// Ties it to a trace.
    pub trace_id: Option<String>,
    /// How it failed, when it trapped.
    pub trap_code: Option<String>,
}

/// Where and when a question was asked: what a decision has beside the engine's record.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// UUIDv7.
    pub decision_id: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The stream the question was about.
    pub entity_id: String,
    /// The request it was asked for.
    pub request_id: String,
    /// Ties it to log lines.
    pub correlation_id: String,
    /// Ties it to a trace.
    pub trace_id: Option<String>,
}

/// A row that is no record of the engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no {field}")]
pub struct RecordError {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: String,
}

impl Decision {
    /// The row of a record.
    pub fn new(record: Record, asked: Circumstances) -> Self {
        let trap_code = record.outcome.trap_code();
        Self {
            decision_id: asked.decision_id,
            at_ms: asked.at_ms,
            family: record.family.to_string(),
            function: record.function,
            module_name: record.module.name,
            module_version: record.module.version,
            module_digest: record.module.digest.to_string(),
            abi: record.module.abi,
            engine: record.engine.to_string(),
            input: record.input,
            input_digest: record.input_digest.to_string(),
            output: record.output,
            output_digest: record.output_digest.map(|digest| digest.to_string()),
            outcome: record.outcome.as_str().to_owned(),
            trap_code: trap_code.map(|code| code.as_str().to_owned()),
            fuel: record.fuel,
            replayable: record.replayable,
            mode: record.mode.as_str().to_owned(),
            entity_id: asked.entity_id,
            request_id: asked.request_id,
            correlation_id: asked.correlation_id,
            trace_id: asked.trace_id,
        }
    }

    /// The engine's record, read back from the row.
    ///
    /// # Errors
    /// When a field is none of the words it may be, or no digest.
    pub fn into_record(self) -> Result<Record, RecordError> {
        let outcome = self.outcome()?;
        Ok(Record {
            family: parse("family", &self.family)?,
            module: ModuleRef {
                digest: parse("module_digest", &self.module_digest)?,
                name: self.module_name,
                version: self.module_version,
                abi: self.abi,
            },
            engine: parse("engine", &self.engine)?,
            input_digest: parse("input_digest", &self.input_digest)?,
            output_digest: self
                .output_digest
                .map(|digest| parse("output_digest", &digest))
                .transpose()?,
            mode: parse("mode", &self.mode)?,
            function: self.function,
            input: self.input,
            output: self.output,
            outcome,
            fuel: self.fuel,
            replayable: self.replayable,
        })
    }

    /// Whether a text is the canonical JSON (RFC 8785) of this row, byte for byte. Made for a million of them: nothing is
    /// allocated, and the first byte that differs ends it.
    pub fn is_canonical(&self, text: &[u8]) -> bool {
        // Beyond it canonical JSON rounds.
        let is_exact = |number: u64| number <= 1 << 53;
        let mut expected = Expected(text);
        is_exact(self.fuel)
            && is_exact(self.at_ms.unsigned_abs())
            && serde_json::to_writer(&mut expected, self).is_ok()
            && expected.0.is_empty()
    }

    /// When its id was minted (UUIDv7, RFC 9562), milliseconds since 1970. It is the machine's time, where `at_ms` is
    /// the host's, which a developer can move; what is no UUIDv7 goes by `at_ms`.
    fn minted_ms(&self) -> i64 {
        let id = self.decision_id.as_bytes();
        let time = match id {
            [
                ..,
                b'-',
                b'7',
                _,
                _,
                _,
                b'-',
                _,
                _,
                _,
                _,
                b'-',
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
            ] if id.len() == 36 => {
                let digits = [self.decision_id.get(..8), self.decision_id.get(9..13)];
                digits.map(Option::unwrap_or_default).concat()
            }
            _ => String::new(),
        };
        i64::from_str_radix(&time, 16).unwrap_or(self.at_ms)
    }

    fn outcome(&self) -> Result<Outcome, RecordError> {
        let wrong = |field, value: &str| RecordError {
            field,
            value: value.to_owned(),
        };
        let code = self
            .trap_code
            .as_deref()
            .map(|word| TrapCode::from_word(word).ok_or_else(|| wrong("trap_code", word)))
            .transpose()?;
        match (self.outcome.as_str(), code) {
            ("ruled", None) => Ok(Outcome::Ruled),
            ("fuel_exhausted", None) => Ok(Outcome::FuelExhausted),
            ("engine_error", None) => Ok(Outcome::EngineError),
            ("trapped", Some(trap_code)) => Ok(Outcome::Trapped { trap_code }),
            ("trapped", None) => Err(wrong("trap_code", "null")),
            ("ruled" | "fuel_exhausted" | "engine_error", Some(code)) => {
                Err(wrong("trap_code", code.as_str()))
            }
            (word, _) => Err(wrong("outcome", word)),
        }
    }
}

/// What is still to be written; anything else fails.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .strip_prefix(bytes)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn parse<T: std::str::FromStr>(field: &'static str, value: &str) -> Result<T, RecordError> {
    value.parse().map_err(|_| RecordError {
        field,
        value: value.to_owned(),
    })
}

/// Which decisions are asked for. Everything, unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Those of a family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Those by a module of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Those by this version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Those made at this time or later, milliseconds since 1970: by the time in their ids, which is their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Those about one stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// One decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Those that the host followed, or those beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RecordMode>,
}

impl Filter {
    /// The module that is asked for, `gate` or `gate@1.0.1`, unless only a time of its decisions is: that nothing was
    /// decided since yesterday is no mistake, and a module that is named and made no decision is one.
    pub fn named_module(&self) -> Option<String> {
        let name = self.module.as_ref().filter(|_| self.since_ms.is_none())?;
        Some(match &self.version {
            Some(version) => format!("{name}@{version}"),
            None => name.clone(),
        })
    }

    /// Whether a decision is among those that are asked for.
    pub fn matches(&self, decision: &Decision) -> bool {
        fn is(asked: Option<&str>, found: &str) -> bool {
            asked.is_none_or(|asked| asked == found)
        }
        is(self.family.map(Family::as_str), &decision.family)
            && is(self.module.as_deref(), &decision.module_name)
            && is(self.version.as_deref(), &decision.module_version)
            && is(self.entity.as_deref(), &decision.entity_id)
            && is(self.decision.as_deref(), &decision.decision_id)
            && is(self.mode.map(RecordMode::as_str), &decision.mode)
            && self
                .since_ms
                .is_none_or(|since| decision.minted_ms() >= since)
    }

    /// Whether it asks for everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Vec<Decision> {
        let text = include_str!("../../../fixtures/decisions/gate.ndjson");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_row_is_a_record_and_back() {
        for decision in golden() {
            let asked = Circumstances {
                decision_id: decision.decision_id.clone(),
                at_ms: decision.at_ms,
                entity_id: decision.entity_id.clone(),
                request_id: decision.request_id.clone(),
                correlation_id: decision.correlation_id.clone(),
                trace_id: decision.trace_id.clone(),
            };
            let record = decision.clone().into_record().unwrap();
            assert_eq!(Decision::new(record, asked), decision);
        }
    }

    #[test]
    fn a_row_has_one_canonical_text() {
        for mut row in golden() {
            row.request_id = "\u{8}\t\n\u{c}\r\"\\\u{1}\u{1f}\u{7f}\u{20ac}\u{1f600}/<".into();
            row.at_ms = -7;
            let text = serde_json_canonicalizer::to_string(&row).unwrap();
            assert!(row.is_canonical(text.as_bytes()), "{text}");
            for (from, to) in [
                ("\"fuel\":", "\"fuel\": "),
                ("\"at_ms\":-7", "\"at_ms\":-7.0"),
                ("\\u0001", "\\u0001\\u0001"),
                ("\u{20ac}", "\\u20ac"),
                ("{\"abi\"", "{\"aaa\":1,\"abi\""),
                ("\"replayable\":true,", ""),
            ] {
                let other = text.replacen(from, to, 1);
                assert_ne!(other, text, "{from}");
                assert!(!row.is_canonical(other.as_bytes()), "{other}");
            }
            assert!(!row.is_canonical(format!("{text} ").as_bytes()));
            row.fuel = u64::MAX;
            let text = serde_json::to_string(&row).unwrap();
            assert!(
                !row.is_canonical(text.as_bytes()),
                "canonical JSON rounds it"
            );
        }
    }

    #[test]
    fn a_row_with_a_strange_word_is_no_record() {
        type Change = fn(&mut Decision);
        let change: [(&str, Change); 7] = [
            ("family", |row| row.family = "weather".into()),
            ("outcome", |row| row.outcome = "guessed".into()),
            ("trap_code", |row| row.outcome = "trapped".into()),
            ("trap_code", |row| row.trap_code = Some("other".into())),
            ("trap_code", |row| row.trap_code = Some("hiccup".into())),
            ("mode", |row| row.mode = "spectator".into()),
            ("input_digest", |row| {
                row.input_digest.make_ascii_uppercase()
            }),
        ];
        for (field, change) in change {
            let mut row = golden().remove(0);
            change(&mut row);
            assert_eq!(row.into_record().unwrap_err().field, field);
        }
    }

    #[test]
    fn a_filter_asks_for_what_it_says() {
        let rows = golden();
        let count = |filter: Filter| rows.iter().filter(|row| filter.matches(row)).count();
        assert_eq!(count(Filter::default()), rows.len());
        let all_of = |family| Filter {
            family: Some(family),
            ..Filter::default()
        };
        assert_eq!(count(all_of(Family::Gate)), rows.len());
        assert_eq!(count(all_of(Family::RoleMatrix)), 0);
        assert_eq!(rows[3].minted_ms() >> 16, 0x01a2_0438);
        let since = Filter {
            since_ms: Some(rows[3].minted_ms()),
            ..Filter::default()
        };
        let later = count(since);
        assert!(later >= rows.len() - 3 && later < rows.len(), "{later}");
        let one = Filter {
            decision: Some(rows[2].decision_id.clone()),
            ..Filter::default()
        };
        assert_eq!(count(one), 1);
        let shadow = Filter {
            mode: Some(RecordMode::Shadow),
            ..Filter::default()
        };
        assert_eq!(count(shadow), 0);
        let module = |version: &str| Filter {
            module: Some("gate".into()),
            version: Some(version.into()),
            ..Filter::default()
        };
        assert_eq!(count(module("1.0.0")) + count(module("1.0.1")), rows.len());
    }
}
