//! `gotong audit verify`: walks every stream's chain, recomputes it, and names the first event that does not
//! hold.

use std::collections::{BTreeMap, HashMap};

use gotong_store::{EventRow, Head};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinError, JoinHandle};

use super::event::EventKind;
use super::source::{Private, Source, SourceError};
use super::{Body, DecisionDigest, Sealed, Tip, canonical, commitment, sha256_hex};
use crate::command::refusal::Fault;
use crate::tally::{Choice, Tally};

/// Pages that are read ahead of the one being checked: both cores have work, and memory holds so many pages.
const AHEAD: usize = 4;

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
    #[error("the reading of a page broke off")]
    Reading(#[from] JoinError),
}

/// Walks everything. Stops at the first event that does not hold. A host that goes on writing meanwhile does not
/// disturb it.
pub async fn verify(source: &Source) -> Result<Report, VerifyError> {
    let report = Report {
        events: 0,
        streams: 0,
        decisions: 0,
        commitments: 0,
        ok: false,
        first_bad: None,
    };
    let mut walk = Walk {
        source,
        report,
        at: None,
        head: None,
        urns: HashMap::new(),
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
    /// Its head, as it was read with the newest page that the stream stands in.
    head: Option<Head>,
    /// The ballots of the stream's votes, as the events committed to them, by (transition_id, round).
    urns: HashMap<(String, u64), Urn>,
}

/// Ballots of one round. `None`: a choice was erased or is out of reach, so nothing can be counted.
type Urn = Option<Tally>;

/// A page of events, with what belongs to them.
struct Page {
    events: Vec<(EventRow, Result<Body, String>)>,
    private: HashMap<(String, u64), Private>,
    /// Digests by decision id.
    decisions: HashMap<String, String>,
    /// Heads of the streams, where many can be asked for at once.
    heads: BTreeMap<String, Head>,
}

/// A page whose reading goes on by itself.
type Reading = JoinHandle<Result<Page, VerifyError>>;

/// Reads all events in order, some pages ahead. It ends when nobody takes its pages any more.
fn read_ahead(source: Source) -> Receiver<Reading> {
    let (pages, taken) = channel(AHEAD);
    tokio::spawn(async move {
        let mut after: Option<(String, u64)> = None;
        loop {
            let rows = source
                .events_after(after.as_ref().map(|(stream, seq)| (stream.as_str(), *seq)))
                .await;
            let last = match &rows {
                Ok(rows) => rows.last().map(|row| (row.stream.clone(), row.seq)),
                Err(_) => None,
            };
            let source = source.clone();
            let page = tokio::spawn(async move { load(&source, rows?).await });
            if pages.send(page).await.is_err() || last.is_none() {
                return;
            }
            after = last;
        }
    });
    taken
}

/// What belongs to a page of events.
async fn load(source: &Source, rows: Vec<EventRow>) -> Result<Page, VerifyError> {
    let private = source.private(&rows).await?;
    let private = private
        .into_iter()
        .map(|row| ((row.stream.clone(), row.seq), row))
        .collect();
    let mut streams: Vec<&str> = rows.iter().map(|row| row.stream.as_str()).collect();
    streams.dedup();
    let heads = source.heads(&streams).await?;
    let events: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let body = read(&row);
            (row, body)
        })
        .collect();
    let bodies = events.iter().filter_map(|(_, body)| body.as_ref().ok());
    let pinned: Vec<&str> = bodies
        .flat_map(|body| &body.decisions)
        .map(|pinned| pinned.decision_id.as_str())
        .collect();
    let mut decisions = HashMap::new();
    for row in source.decisions(&pinned).await? {
        let digest = sha256_hex(canonical(&row)?.as_bytes());
        decisions.insert(row.decision_id, digest);
    }
    Ok(Page {
        events,
        private,
        decisions,
        heads,
    })
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<Option<Bad>, VerifyError> {
        // Counted first: streams are only ever added.
        let heads = self.source.streams().await?;
        let mut pages = read_ahead(self.source.clone());
        while let Some(page) = pages.recv().await {
            let Page {
                events,
                mut private,
                decisions,
                mut heads,
            } = page.await??;
            for (event, body) in events {
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
                if let Some(head) = heads.remove(&event.stream) {
                    self.head = Some(head);
                }
                let private = private.remove(&(event.stream.clone(), event.seq));
                if let Some(bad) = self.event(event, body, private, &decisions)? {
                    return Ok(Some(bad));
                }
            }
        }
        if let Some(bad) = self.end_stream().await? {
            return Ok(Some(bad));
        }
        let why = format!(
            "{heads} streams have a head, but only {} have events",
            self.report.streams
        );
        Ok((heads > self.report.streams).then_some(Bad {
            stream: String::new(),
            seq: 0,
            why,
        }))
    }

    /// The events of a stream end where its head says, or further on if more were written since.
    async fn end_stream(&mut self) -> Result<Option<Bad>, VerifyError> {
        let Some((stream, tip)) = self.at.clone() else {
            return Ok(None);
        };
        // A head that was read before the events behind it is read again.
        let head = match self.head.take() {
            Some(head) if head.seq == tip.seq => head,
            _ => self.source.head(&stream).await?,
        };
        let end = |tip: &Tip| {
            let why = format!(
                "the head stands at {} `{}`, the events end at {} `{}`",
                head.seq, head.hash, tip.seq, tip.hash
            );
            Some(Bad {
                stream: stream.clone(),
                seq: tip.seq,
                why,
            })
        };
        let mut tip = tip;
        while tip.seq < head.seq {
            let rows = self.source.events_after(Some((&stream, tip.seq))).await?;
            let Page {
                events,
                mut private,
                decisions,
                ..
            } = load(self.source, rows).await?;
            let before = tip.seq;
            for (event, body) in events
                .into_iter()
                .filter(|(event, _)| event.stream == stream && event.seq <= head.seq)
            {
                let private = private.remove(&(event.stream.clone(), event.seq));
                tip = Tip {
                    seq: event.seq,
                    hash: event.hash.clone(),
                };
                if let Some(bad) = self.event(event, body, private, &decisions)? {
                    return Ok(Some(bad));
                }
            }
            if tip.seq == before {
                return Ok(end(&tip));
            }
        }
        self.at = None;
        self.urns.clear();
        self.report.streams += 1;
        Ok(if tip.seq == head.seq && tip.hash == head.hash {
            None
        } else {
            end(&tip)
        })
    }

    fn event(
        &mut self,
        event: EventRow,
        body: Result<Body, String>,
        private: Option<Private>,
        decisions: &HashMap<String, String>,
    ) -> Result<Option<Bad>, VerifyError> {
        let tip = self
            .at
            .as_ref()
            .map_or_else(Tip::genesis, |(_, tip)| tip.clone());
        let whole = match body.and_then(|body| chained(&event, body, &tip)) {
            Ok(body) => self.rests_on(&body, private, decisions)?,
            Err(why) => Some(why),
        };
        if let Some(why) = whole {
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
        Ok(None)
    }

    /// What a body commits to: decisions, personal values, and the count of a vote.
    fn rests_on(
        &mut self,
        body: &Body,
        private: Option<Private>,
        decisions: &HashMap<String, String>,
    ) -> Result<Option<String>, VerifyError> {
        for DecisionDigest {
            decision_id,
            digest,
        } in &body.decisions
        {
            match decisions.get(decision_id) {
                Some(found) if found == digest => self.report.decisions += 1,
                Some(_) => {
                    return Ok(Some(format!(
                        "decision {decision_id} is not the one in the chain"
                    )));
                }
                None => return Ok(Some(format!("decision {decision_id} is missing"))),
            }
        }
        let mut choice = None;
        for (name, value) in private.map(|row| row.fields).unwrap_or_default() {
            let holds = match serde_json::from_value::<Sealed>(value) {
                Ok(sealed) => {
                    let holds = body.commitments.get(&name) == Some(&commitment(&sealed)?);
                    if name == "choice" {
                        choice = serde_json::from_value::<Choice>(sealed.value).ok();
                    }
                    holds
                }
                Err(_) => false,
            };
            if !holds {
                return Ok(Some(format!(
                    "the personal field `{name}` is not the one that was committed to"
                )));
            }
            self.report.commitments += 1;
        }
        Ok(self.count(body, choice))
    }

    /// Puts a ballot into its urn, and counts the urn again when its vote closes: ballots that were exchanged in the
    /// database before the close are not the ones the ledger committed to.
    fn count(&mut self, body: &Body, choice: Option<Choice>) -> Option<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if body.kind == EventKind::BallotCast.as_str() {
            let place = (
                text(&body.payload["transition_id"]),
                body.payload["round"].as_u64().unwrap_or_default(),
            );
            let urn = self.urns.entry(place).or_insert(Some(Tally::default()));
            *urn = urn.zip(choice).map(|(tally, choice)| tally.with(choice, 1));
            return None;
        }
        let closed =
            [EventKind::TransitionApplied, EventKind::TransitionRejected].map(EventKind::as_str);
        let gate = &body.payload["gate"];
        let Ok(told) = serde_json::from_value::<Tally>(gate["vote_tally"].clone()) else {
            return None;
        };
        if !closed.contains(&body.kind.as_str()) || gate["gate_type"] != "vote" {
            return None;
        }
        let place = (
            text(&body.payload["transition_id"]),
            gate["round"].as_u64().unwrap_or_default(),
        );
        // No urn: nobody voted.
        let counted = self.urns.remove(&place).unwrap_or(Some(Tally::default()))?;
        (counted != told).then(|| {
            format!("the ballots that were cast give {counted:?}, the gate closed with {told:?}")
        })
    }
}

/// The event against itself.
fn read(event: &EventRow) -> Result<Body, String> {
    if sha256_hex(event.body.as_bytes()) != event.hash {
        return Err("its hash is not the hash of its body".into());
    }
    serde_json::from_str(&event.body).map_err(|error| format!("its body is no event: {error}"))
}

/// The event against the one before it.
fn chained(event: &EventRow, body: Body, tip: &Tip) -> Result<Body, String> {
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
