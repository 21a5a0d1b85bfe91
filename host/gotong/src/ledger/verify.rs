//! `gotong audit verify`: walks every stream's chain, recomputes it, and names the first event that does not
//! hold.

use std::collections::HashMap;

use gotong_store::EventRow;
use serde::Serialize;

use super::source::{Private, Source, SourceError};
use super::{Body, DecisionDigest, Sealed, Tip, canonical, commitment, sha256_hex};
use crate::command::refusal::Fault;

/// What a walk found.
#[derive(Debug, Serialize)]
pub struct Report {
    pub events: u64,
    pub streams: u64,
    /// Decisions that events rest on, compared with the digests in the chain.
    pub decisions: u64,
    /// Personal values still there, compared with their commitments.
    pub commitments: u64,
    pub ok: bool,
    pub first_bad: Option<Bad>,
}

/// An event that does not hold.
#[derive(Debug, Serialize)]
pub struct Bad {
    pub stream: String,
    pub seq: u64,
    pub why: String,
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Walks everything. Stops at the first event that does not hold.
pub async fn verify(source: &Source) -> Result<Report, VerifyError> {
    let mut walk = Walk {
        source,
        report: Report {
            events: 0,
            streams: 0,
            decisions: 0,
            commitments: 0,
            ok: false,
            first_bad: None,
        },
        at: None,
    };
    let bad = walk.run().await?;
    walk.report.ok = bad.is_none();
    walk.report.first_bad = bad;
    Ok(walk.report)
}

struct Walk<'a> {
    source: &'a Source,
    report: Report,
    /// The stream being walked and its tip so far.
    at: Option<(String, Tip)>,
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<Option<Bad>, VerifyError> {
        loop {
            let after = self
                .at
                .as_ref()
                .map(|(stream, tip)| (stream.as_str(), tip.seq));
            let page = self.source.events_after(after).await?;
            if page.is_empty() {
                break;
            }
            let mut private: HashMap<(String, u64), Private> = self
                .source
                .private(&page)
                .await?
                .into_iter()
                .map(|row| ((row.stream.clone(), row.seq), row))
                .collect();
            for event in page {
                if self
                    .at
                    .as_ref()
                    .is_none_or(|(stream, _)| *stream != event.stream)
                {
                    if let Some(bad) = self.end_stream().await? {
                        return Ok(Some(bad));
                    }
                    self.at = Some((event.stream.clone(), Tip::genesis()));
                }
                let private = private.remove(&(event.stream.clone(), event.seq));
                if let Some(why) = self.event(&event, private).await? {
                    return Ok(Some(Bad {
                        stream: event.stream,
                        seq: event.seq,
                        why,
                    }));
                }
                self.report.events += 1;
                self.at = Some((
                    event.stream,
                    Tip {
                        seq: event.seq,
                        hash: event.hash,
                    },
                ));
            }
        }
        if let Some(bad) = self.end_stream().await? {
            return Ok(Some(bad));
        }
        let heads = self.source.streams().await?;
        let why = format!(
            "{heads} streams have a head, but {} have events",
            self.report.streams
        );
        Ok((heads != self.report.streams).then(|| Bad {
            stream: String::new(),
            seq: 0,
            why,
        }))
    }

    /// The events of a stream end where its head says.
    async fn end_stream(&mut self) -> Result<Option<Bad>, VerifyError> {
        let Some((stream, tip)) = self.at.take() else {
            return Ok(None);
        };
        self.report.streams += 1;
        let head = self.source.head(&stream).await?;
        let holds = head.seq == tip.seq && head.hash == tip.hash;
        let why = format!(
            "the head stands at {} `{}`, the events end at {} `{}`",
            head.seq, head.hash, tip.seq, tip.hash
        );
        Ok((!holds).then_some(Bad {
            stream,
            seq: tip.seq,
            why,
        }))
    }

    async fn event(
        &mut self,
        event: &EventRow,
        private: Option<Private>,
    ) -> Result<Option<String>, VerifyError> {
        let tip = self
            .at
            .as_ref()
            .map_or_else(Tip::genesis, |(_, tip)| tip.clone());
        let body = match chained(event, &tip) {
            Ok(body) => body,
            Err(why) => return Ok(Some(why)),
        };
        for pinned in &body.decisions {
            if let Some(why) = self.decision(pinned).await? {
                return Ok(Some(why));
            }
            self.report.decisions += 1;
        }
        for (name, value) in private.map(|row| row.fields).unwrap_or_default() {
            let sealed: Result<Sealed, _> = serde_json::from_value(value);
            let holds = match sealed {
                Ok(sealed) => body.commitments.get(&name) == Some(&commitment(&sealed)?),
                Err(_) => false,
            };
            if !holds {
                return Ok(Some(format!(
                    "the personal field `{name}` is not the one that was committed to"
                )));
            }
            self.report.commitments += 1;
        }
        Ok(None)
    }

    async fn decision(&self, pinned: &DecisionDigest) -> Result<Option<String>, VerifyError> {
        let id = &pinned.decision_id;
        let Some(row) = self.source.decision(id).await? else {
            return Ok(Some(format!("decision {id} is missing")));
        };
        let holds = sha256_hex(canonical(&row)?.as_bytes()) == pinned.digest;
        Ok((!holds).then(|| format!("decision {id} is not the one in the chain")))
    }
}

/// The event against itself and the one before it.
fn chained(event: &EventRow, tip: &Tip) -> Result<Body, String> {
    if sha256_hex(event.body.as_bytes()) != event.hash {
        return Err("its hash is not the hash of its body".into());
    }
    let body: Body = serde_json::from_str(&event.body)
        .map_err(|error| format!("its body is no event: {error}"))?;
    if event.seq != tip.seq + 1 || body.seq != event.seq {
        return Err(format!(
            "it stands at {} where {} was due",
            event.seq,
            tip.seq + 1
        ));
    }
    if body.prev != tip.hash {
        return Err("it is not chained to the event before it".into());
    }
    if body.stream != event.stream || body.kind != event.kind || body.at_ms != event.at_ms {
        return Err("its row says something else than its body".into());
    }
    Ok(body)
}
