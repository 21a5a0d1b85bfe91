//! Proof of reality: what was seen where, when and by whom. A gate counts it; nothing is taken on a
//! caller's word that can be checked here.

mod fields;
pub mod routes;
mod store;

use gotong_engine::role_matrix::Action;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::Millis;
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities;
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::Actor;
use crate::words::{Id, Text, WitnessName};
use fields::Fields;
use store::EvidenceRow;

const OLDEST_MS: Millis = 30 * 24 * 60 * 60 * 1_000;
const MOST_WITNESSES: usize = 10;
/// A reading less exact than this is kept with a warning.
const GOOD_ACCURACY_M: f64 = 100.0;

/// `POST /v1/evidence`. The fields of the evidence type stand in `evidence_data` or in `proof`, each once.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    pub entity_id: Id,
    pub evidence_type: EvidenceType,
    #[serde(default)]
    pub evidence_data: Fields,
    #[serde(default)]
    pub proof: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceType {
    GpsVerification,
    WitnessAttestation,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct GpsVerification {
    /// RFC 3339; at most 30 days ago.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    #[schema(minimum = -90.0, maximum = 90.0)]
    lat: f64,
    #[schema(minimum = -180.0, maximum = 180.0)]
    lon: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0, maximum = 1_000_000.0)]
    accuracy_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text>,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct WitnessAttestation {
    /// RFC 3339; at most 30 days ago.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    #[schema(min_items = 1, max_items = 10)]
    witnesses: Vec<Witness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Text>,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Witness {
    witness_name: WitnessName,
    relationship: Relationship,
    statement: Text,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Relationship {
    Supervisor,
    Peer,
    Beneficiary,
    Other,
}

/// What was stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EvidenceView {
    pub evidence_id: String,
    pub entity_id: String,
    pub evidence_type: EvidenceType,
    pub observed_at_ms: Millis,
    pub warnings: Vec<String>,
    pub at_ms: Millis,
}

/// Evidence that holds together: its time, its fields, and what about it deserves a warning.
struct Checked {
    observed_at_ms: Millis,
    data: Value,
    warnings: Vec<String>,
}

/// How much evidence there is of an entity.
pub async fn count(work: &Work, entity_id: &str) -> Result<u32, Refusal> {
    Ok(store::count(&work.app.store, entity_id).await?)
}

impl Command for Submit {
    type Output = EvidenceView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.as_str().to_owned()
    }

    async fn run(&self, work: &mut Work) -> Result<EvidenceView, Refusal> {
        let entity = entities::load(work, self.entity_id.as_str()).await?;
        entity.authorize(work, Action::EvidenceSubmit)?;
        let Checked {
            observed_at_ms,
            data,
            warnings,
        } = check(self, work.now_ms())?;
        let row = EvidenceRow {
            evidence_id: work.mint(),
            entity_id: entity.id().to_owned(),
            evidence_type: self.evidence_type,
            observed_at_ms,
            data,
            warnings,
            submitted_by: work.actor().user_id.clone(),
            at_ms: work.now_ms(),
        };
        work.create(store::key(&row.entity_id, &row.evidence_id), &row)?;
        let public = json!({
            "entity_id": row.entity_id,
            "evidence_id": row.evidence_id,
            "evidence_type": row.evidence_type,
            "observed_at_ms": row.observed_at_ms,
            "warnings": row.warnings,
        });
        work.append(
            entity.id(),
            Event::new(EventKind::EvidenceSubmitted, public).private("data", &row.data),
        )?;
        let EvidenceRow {
            evidence_id,
            entity_id,
            evidence_type,
            observed_at_ms,
            warnings,
            at_ms,
            ..
        } = row;
        Ok(EvidenceView {
            evidence_id,
            entity_id,
            evidence_type,
            observed_at_ms,
            warnings,
            at_ms,
        })
    }
}

fn check(input: &Submit, now_ms: Millis) -> Result<Checked, Refusal> {
    let fields = Value::Object(merged(input)?);
    match input.evidence_type {
        EvidenceType::GpsVerification => gps(parse(fields)?, now_ms),
        EvidenceType::WitnessAttestation => witnesses(parse(fields)?, now_ms),
    }
}

fn gps(proof: GpsVerification, now_ms: Millis) -> Result<Checked, Refusal> {
    let within = |value: f64, most: f64| (-most..=most).contains(&value);
    if !within(proof.lat, 90.0) {
        return Err(invalid("lat", "is not within -90 to 90"));
    }
    if !within(proof.lon, 180.0) {
        return Err(invalid("lon", "is not within -180 to 180"));
    }
    if proof
        .accuracy_m
        .is_some_and(|metres| !(0.0..=1_000_000.0).contains(&metres))
    {
        return Err(invalid("accuracy_m", "is not a distance in metres"));
    }
    let inexact = proof
        .accuracy_m
        .is_some_and(|metres| metres > GOOD_ACCURACY_M);
    let warnings = if inexact {
        vec!["gps_accuracy_over_100_m".to_owned()]
    } else {
        Vec::new()
    };
    Ok(Checked {
        observed_at_ms: observed_at(proof.timestamp, now_ms)?,
        data: json!(proof),
        warnings,
    })
}

fn witnesses(proof: WitnessAttestation, now_ms: Millis) -> Result<Checked, Refusal> {
    if !(1..=MOST_WITNESSES).contains(&proof.witnesses.len()) {
        return Err(invalid("witnesses", "names no witness, or more than 10"));
    }
    Ok(Checked {
        observed_at_ms: observed_at(proof.timestamp, now_ms)?,
        data: json!(proof),
        warnings: Vec::new(),
    })
}

fn observed_at(timestamp: Timestamp, now_ms: Millis) -> Result<Millis, Refusal> {
    let at_ms = timestamp.as_millisecond();
    if at_ms > now_ms {
        return Err(Refusal::Invalid {
            code: Code::EvidenceInTheFuture,
            field: "timestamp",
            detail: "lies in the future".into(),
        });
    }
    if now_ms - at_ms > OLDEST_MS {
        return Err(Refusal::Invalid {
            code: Code::EvidenceTooOld,
            field: "timestamp",
            detail: "is more than 30 days ago".into(),
        });
    }
    Ok(at_ms)
}

/// The fields of both objects; one that stands in both must say the same.
fn merged(input: &Submit) -> Result<Map<String, Value>, Refusal> {
    let mut fields = input.evidence_data.0.clone();
    for (name, value) in &input.proof.0 {
        if fields.get(name).is_some_and(|other| other != value) {
            return Err(Refusal::Invalid {
                code: Code::InvalidField,
                field: "proof",
                detail: format!("`{name}` says something else in evidence_data"),
            });
        }
        fields.insert(name.clone(), value.clone());
    }
    Ok(fields)
}

fn parse<T: serde::de::DeserializeOwned>(fields: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        let code = if inner.starts_with("unknown field") {
            Code::UnknownField
        } else {
            Code::InvalidField
        };
        Refusal::Invalid {
            code,
            field: "proof",
            detail: if path == "." {
                inner
            } else {
                format!("`{path}`: {inner}")
            },
        }
    })
}

fn invalid(field: &'static str, detail: &str) -> Refusal {
    Refusal::Invalid {
        code: Code::InvalidField,
        field,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: Millis = 1_700_000_000_000;

    fn gps_at(timestamp: &str, lat: f64, lon: f64) -> Result<Checked, Refusal> {
        check_json(
            json!({"entity_id": "e", "evidence_type": "gps_verification", "evidence_data": {"lat": lat, "lon": lon}, "proof": {"timestamp": timestamp}}),
        )
    }

    fn check_json(body: Value) -> Result<Checked, Refusal> {
        check(&serde_json::from_value(body).unwrap(), NOW_MS)
    }

    #[test]
    fn evidence_is_at_most_thirty_days_old_and_never_from_the_future() {
        assert!(gps_at("2023-11-14T22:13:20Z", 0.0, 0.0).is_ok());
        assert!(gps_at("2023-10-15T22:13:20Z", 0.0, 0.0).is_ok());
        assert!(matches!(
            gps_at("2023-10-15T22:13:19Z", 0.0, 0.0),
            Err(Refusal::Invalid {
                code: Code::EvidenceTooOld,
                ..
            })
        ));
        assert!(matches!(
            gps_at("2023-11-14T22:13:21Z", 0.0, 0.0),
            Err(Refusal::Invalid {
                code: Code::EvidenceInTheFuture,
                ..
            })
        ));
        assert!(gps_at("yesterday", 0.0, 0.0).is_err());
    }

    #[test]
    fn a_place_lies_on_the_globe() {
        let now = "2023-11-14T22:13:20Z";
        assert!(gps_at(now, -90.0, 180.0).is_ok());
        for (lat, lon) in [(90.1, 0.0), (-90.1, 0.0), (0.0, 180.1), (0.0, -180.1)] {
            assert!(gps_at(now, lat, lon).is_err());
        }
    }

    #[test]
    fn one_to_ten_witnesses_attest() {
        let witness =
            json!({"witness_name": "Ibu Sari", "relationship": "peer", "statement": "I saw it"});
        let attest = |witnesses: Vec<Value>| {
            check_json(
                json!({"entity_id": "e", "evidence_type": "witness_attestation", "proof": {"timestamp": "2023-11-14T22:13:20Z", "witnesses": witnesses}}),
            )
        };
        assert!(attest(vec![]).is_err());
        assert!(attest(vec![witness.clone()]).is_ok());
        assert!(attest(vec![witness.clone(); 10]).is_ok());
        assert!(attest(vec![witness; 11]).is_err());
        assert!(
            attest(vec![
                json!({"witness_name": "", "relationship": "peer", "statement": ""})
            ])
            .is_err()
        );
        assert!(
            attest(vec![
                json!({"witness_name": "A", "relationship": "cousin", "statement": ""})
            ])
            .is_err()
        );
    }

    #[test]
    fn a_field_that_says_two_things_is_refused() {
        let body = json!({"entity_id": "e", "evidence_type": "gps_verification",
            "evidence_data": {"lat": 1.0, "lon": 2.0, "timestamp": "2023-11-14T22:13:20Z"}, "proof": {"lat": 3.0}});
        assert!(check_json(body).is_err());
    }
}
