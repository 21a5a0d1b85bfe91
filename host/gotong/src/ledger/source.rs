//! Where an auditor reads from: a store, or a running host over HTTP. Paged, so that a ledger of any size
//! is walked in the memory of one page.

use std::collections::BTreeMap;
use std::time::Duration;

use gotong_engine::{Digest, Filter, Pin};
use gotong_store::{DecisionQuery, EventRow, Head, KeyRange, Store, StoreError};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::rulings::decision::DecisionRow;
use crate::rulings::shadow::{self, routes::ShadowPage};

/// Rows a page.
pub const PAGE: usize = 500;

/// Decisions asked for by id at once: their ids stand in an address.
pub const IDS_AT_ONCE: usize = 100;

#[derive(Clone, Debug)]
pub enum Source {
    Store(Store),
    Host(Host),
}

/// A running host, and a token that may audit it.
#[derive(Clone, Debug)]
pub struct Host {
    client: Client,
    base: Url,
    token: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the request cannot be sent again")]
    Unrepeatable,
    #[error("the host cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the host answered {status} to `{path}`: {body}")]
    Refused {
        status: u16,
        path: String,
        body: String,
    },
    #[error("the host's answer to `{path}` is not what an auditor reads")]
    Unreadable {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the host's answer to `{0}` is not the module of that digest")]
    OtherBytes(String),
    #[error("`{0}` is not an address of a host")]
    Address(String),
}

/// Erasable fields of one event.
#[derive(Debug, Deserialize)]
pub struct Private {
    pub stream: String,
    pub seq: u64,
    pub fields: Map<String, Value>,
}

impl Host {
    pub fn new(base: &str, token: String) -> Result<Self, SourceError> {
        let base = Url::parse(base).map_err(|_| SourceError::Address(base.to_owned()))?;
        let client = Client::builder()
            .build()
            .map_err(SourceError::Unreachable)?;
        Ok(Self {
            client,
            base,
            token,
        })
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, SourceError> {
        let body = self.read(path, query).await?;
        serde_json::from_slice(&body).map_err(|source| SourceError::Unreadable {
            path: path.to_owned(),
            source,
        })
    }

    async fn read(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, SourceError> {
        let mut url = self
            .base
            .join(path)
            .map_err(|_| SourceError::Address(path.to_owned()))?;
        url.query_pairs_mut().extend_pairs(query);
        self.answer(self.client.get(url), path).await
    }

    /// Sends a command under a request id.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request_id: &str,
        body: &Value,
    ) -> Result<T, SourceError> {
        let url = self
            .base
            .join(path)
            .map_err(|_| SourceError::Address(path.to_owned()))?;
        let request = self
            .client
            .post(url)
            .header("Idempotency-Key", request_id)
            .json(body);
        let body = self.answer(request, path).await?;
        serde_json::from_slice(&body).map_err(|source| SourceError::Unreadable {
            path: path.to_owned(),
            source,
        })
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        path: &str,
    ) -> Result<Vec<u8>, SourceError> {
        let request = request.bearer_auth(&self.token);
        let response = loop {
            // Bodies here are texts, so that a request can always be sent again.
            let again = request.try_clone().ok_or(SourceError::Unrepeatable)?;
            let response = again.send().await.map_err(SourceError::Unreachable)?;
            match wait_told(&response) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break response,
            }
        };
        let status = response.status();
        let body = response.bytes().await.map_err(SourceError::Unreachable)?;
        match status.is_success() {
            true => Ok(body.into()),
            false => Err(SourceError::Refused {
                status: status.as_u16(),
                path: path.to_owned(),
                body: String::from_utf8_lossy(&body).into_owned(),
            }),
        }
    }
}

/// How long a host that counts its callers asks this one to wait. An auditor has the time.
fn wait_told(response: &reqwest::Response) -> Option<Duration> {
    let is_limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    is_limited.then_some(Duration::from_secs(seconds.parse().ok()?))
}

impl Source {
    /// The next decisions that a filter asks for, behind an id; none when there are no more.
    async fn decisions_after(
        &self,
        filter: &Filter,
        after: Option<&str>,
    ) -> Result<Vec<DecisionRow>, SourceError> {
        if let Some(id) = &filter.decision {
            let rows = match after {
                None => self.decisions(&[id]).await?,
                Some(_) => Vec::new(),
            };
            return Ok(rows.into_iter().filter(|row| filter.matches(row)).collect());
        }
        let rows: Vec<Value> = match self {
            Self::Store(store) => store.decisions_where(&query(filter, after), PAGE).await?,
            Self::Host(host) => {
                let mut query = vec![("limit", PAGE.to_string())];
                query.extend(after.map(|id| ("after", id.to_owned())));
                query.extend(words(filter));
                host.get("/v1/audit/decisions", &query).await?
            }
        };
        decision_rows(rows)
    }

    /// Every decision that a filter asks for, page by page. It blocks, so it is walked where that is allowed.
    pub fn walk<'a>(&'a self, filter: &'a Filter) -> Walk<'a> {
        Walk {
            source: self,
            filter,
            page: Vec::new().into_iter(),
            after: None,
            ended: false,
        }
    }

    /// About how large a row is, in bytes.
    pub fn size_of_row(row: &DecisionRow) -> usize {
        row.input.len() + row.output.as_ref().map_or(0, String::len) + size_of::<DecisionRow>()
    }

    /// Those of some decisions that are there.
    pub async fn decisions(&self, ids: &[&str]) -> Result<Vec<DecisionRow>, SourceError> {
        let rows: Vec<Value> = match self {
            Self::Store(store) => store.decisions(ids).await?,
            Self::Host(host) => {
                let mut rows = Vec::with_capacity(ids.len());
                for ids in ids.chunks(IDS_AT_ONCE) {
                    let page: Vec<Value> = host
                        .get("/v1/audit/decisions", &[("ids", ids.join(","))])
                        .await?;
                    rows.extend(page);
                }
                rows
            }
        };
        decision_rows(rows)
    }

    /// What a running host has pinned. A store has modules beside it, not in it.
    pub async fn pins(&self) -> Result<Vec<Pin>, SourceError> {
        match self {
            Self::Store(_) => Ok(Vec::new()),
            Self::Host(host) => host.get("/v1/audit/modules", &[]).await,
        }
    }

    /// The bytes of a module that a running host has pinned; they are those of its digest.
    pub async fn module(&self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        let path = format!("/v1/audit/modules/{digest}");
        let bytes = match self {
            Self::Store(_) => Vec::new(),
            Self::Host(host) => host.read(&path, &[]).await?,
        };
        match Digest::of(&bytes) == *digest {
            true => Ok(bytes),
            false => Err(SourceError::OtherBytes(path)),
        }
    }

    /// In the order of streams, and of sequence within each.
    pub async fn events_after(
        &self,
        after: Option<(&str, u64)>,
    ) -> Result<Vec<EventRow>, SourceError> {
        Ok(match self {
            Self::Store(store) => store.events_after(after, PAGE).await?,
            Self::Host(host) => {
                let mut query = vec![("limit", PAGE.to_string())];
                if let Some((stream, seq)) = after {
                    query.extend([
                        ("after_stream", stream.to_owned()),
                        ("after_seq", seq.to_string()),
                    ]);
                }
                host.get("/v1/audit/events", &query).await?
            }
        })
    }

    pub async fn head(&self, stream: &str) -> Result<Head, SourceError> {
        Ok(match self {
            Self::Store(store) => store.head(stream).await?,
            Self::Host(host) => {
                host.get("/v1/audit/head", &[("stream", stream.to_owned())])
                    .await?
            }
        })
    }

    /// The heads of several streams, where one question answers for all of them; else none.
    pub async fn heads(&self, streams: &[&str]) -> Result<BTreeMap<String, Head>, SourceError> {
        Ok(match self {
            Self::Store(store) => store.heads(streams).await?,
            Self::Host(_) => BTreeMap::new(),
        })
    }

    /// How many streams have a head.
    pub async fn streams(&self) -> Result<u64, SourceError> {
        #[derive(Deserialize)]
        struct Counts {
            streams: u64,
        }
        Ok(match self {
            Self::Store(store) => store.counts().await?.streams,
            Self::Host(host) => host.get::<Counts>("/v1/audit/counts", &[]).await?.streams,
        })
    }

    /// Where shadows ruled otherwise, behind an id; of a running host also its counts.
    pub async fn shadow_differences(&self, after: Option<&str>) -> Result<ShadowPage, SourceError> {
        Ok(match self {
            Self::Store(store) => ShadowPage {
                sample_permille: None,
                shadows: Vec::new(),
                differences: shadow::store::page(store, after, PAGE).await?,
                next: None,
            },
            Self::Host(host) => {
                let mut query = vec![("limit", PAGE.to_string())];
                query.extend(after.map(|id| ("after", id.to_owned())));
                host.get("/v1/admin/policies/shadow", &query).await?
            }
        })
    }

    /// Personal fields that are still there, of neighbouring events. They never leave a host over HTTP.
    pub async fn private(&self, events: &[EventRow]) -> Result<Vec<Private>, SourceError> {
        match (self, events) {
            // Nearly every event has its row: neighbours are read faster than rows by name.
            (Self::Store(store), [first, ..]) => {
                let last = events.last().unwrap_or(first);
                let range = KeyRange::table("event_private")
                    .from((&first.stream, first.seq))
                    .through((&last.stream, last.seq));
                Ok(store.scan(&range).await?)
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// The decisions of a source in the order of their ids. Holds one page.
#[derive(Debug)]
pub struct Walk<'a> {
    source: &'a Source,
    filter: &'a Filter,
    page: std::vec::IntoIter<DecisionRow>,
    after: Option<String>,
    ended: bool,
}

impl Iterator for Walk<'_> {
    type Item = Result<DecisionRow, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.page.next() {
            return Some(Ok(row));
        }
        if self.ended {
            return None;
        }
        let next = self
            .source
            .decisions_after(self.filter, self.after.as_deref());
        let next = block_in_place(|| Handle::current().block_on(next));
        match next {
            Ok(page) => {
                match page.last() {
                    Some(last) => self.after = Some(last.decision_id.clone()),
                    None => self.ended = true,
                }
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// A filter as the store takes it.
fn query(filter: &Filter, after: Option<&str>) -> DecisionQuery {
    DecisionQuery {
        after: after.map(str::to_owned),
        since_ms: filter.since_ms,
        family: filter.family.map(|family| family.to_string()),
        module_name: filter.module.clone(),
        module_version: filter.version.clone(),
        entity_id: filter.entity.clone(),
        mode: filter.mode.map(|mode| mode.as_str().to_owned()),
    }
}

/// A filter as the host's route takes it.
fn words(filter: &Filter) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("family", filter.family.map(|family| family.to_string())),
        ("module", filter.module.clone()),
        ("version", filter.version.clone()),
        ("since_ms", filter.since_ms.map(|since| since.to_string())),
        ("entity", filter.entity.clone()),
        ("mode", filter.mode.map(|mode| mode.as_str().to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn decision_rows(rows: Vec<Value>) -> Result<Vec<DecisionRow>, SourceError> {
    let unreadable = |source| SourceError::Unreadable {
        path: "policy_decision".into(),
        source,
    };
    rows.into_iter()
        .map(|row| serde_json::from_value(row).map_err(unreadable))
        .collect()
}
