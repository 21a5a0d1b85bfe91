//! Where an auditor reads from: a store, or a running host over HTTP. Paged, so that a ledger of any size
//! is walked in the memory of one page.

use gotong_store::{EventRow, Head, Key, Store, StoreError};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::rulings::decision::DecisionRow;
use crate::rulings::shadow::{self, routes::ShadowPage};

/// Rows a page.
pub const PAGE: usize = 500;

/// Decisions asked for by id at once: their ids stand in an address.
pub const IDS_AT_ONCE: usize = 100;

#[derive(Debug)]
pub enum Source {
    Store(Store),
    Host(Host),
}

/// A running host, and a token that may audit it.
#[derive(Debug)]
pub struct Host {
    client: Client,
    base: Url,
    token: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Store(#[from] StoreError),
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

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, SourceError> {
        let mut url = self
            .base
            .join(path)
            .map_err(|_| SourceError::Address(path.to_owned()))?;
        url.query_pairs_mut().extend_pairs(query);
        let response = self
            .client
            .get(url)
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(SourceError::Unreachable)?;
        let status = response.status();
        let body = response.text().await.map_err(SourceError::Unreachable)?;
        if !status.is_success() {
            return Err(SourceError::Refused {
                status: status.as_u16(),
                path: path.to_owned(),
                body,
            });
        }
        serde_json::from_str(&body).map_err(|source| SourceError::Unreadable {
            path: path.to_owned(),
            source,
        })
    }
}

impl Source {
    pub async fn decisions_after(
        &self,
        after: Option<&str>,
    ) -> Result<Vec<DecisionRow>, SourceError> {
        let rows: Vec<Value> = match self {
            Self::Store(store) => store.decisions_after(after, PAGE).await?,
            Self::Host(host) => {
                let mut query = vec![("limit", PAGE.to_string())];
                query.extend(after.map(|id| ("after", id.to_owned())));
                host.get("/v1/audit/decisions", &query).await?
            }
        };
        decision_rows(rows)
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

    /// Personal fields that are still there. They never leave a host over HTTP.
    pub async fn private(&self, events: &[EventRow]) -> Result<Vec<Private>, SourceError> {
        match self {
            Self::Store(store) => {
                let keys: Vec<Key> = events
                    .iter()
                    .map(|event| Key::parts("event_private", (&event.stream, event.seq)))
                    .collect();
                Ok(store.get_many(&keys).await?)
            }
            Self::Host(_) => Ok(Vec::new()),
        }
    }
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
