//! Where an auditor reads from: a store, or a running host over HTTP. Paged, so that a ledger of any size
//! is walked in the memory of one page.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gotong_engine::{Digest, Filter, Pin};
use gotong_store::{DecisionQuery, EventRow, Head, KeyRange, Store, StoreError};
use reqwest::header::{HeaderValue, RETRY_AFTER};
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
    patience: HostPatience,
}

/// How long a host is waited for.
#[derive(Clone, Copy, Debug)]
struct HostPatience {
    /// For a connection.
    connect: Duration,
    /// For the next bytes of an answer, and for one that is busy to have time.
    read: Duration,
}

impl Default for HostPatience {
    /// Longer than a request may take on a host with usual limits.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
        }
    }
}

/// Longest piece of an answer that is told when it is no problem.
const LONGEST_TOLD: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the request cannot be sent again")]
    Unrepeatable,
    #[error("the host cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the host did not answer `{path}` within {} s", .within.as_secs_f32())]
    Silent { path: String, within: Duration },
    #[error("the host answered {status} to `{path}`: {says}")]
    Refused {
        status: u16,
        path: String,
        /// The problem's `detail`; what is no problem is told as it came, cut short.
        says: String,
    },
    #[error("the token has characters that no token has, such as a line break or a space")]
    Token,
    #[error("the host's answer to `{path}` is not what an auditor reads")]
    Unreadable {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the host's answer to `{0}` is not the module of that digest")]
    OtherBytes(String),
    #[error("`{0}` is not an address of a host: use http://HOST[:PORT][/PATH] or https://")]
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
        Self::with(base, token, HostPatience::default())
    }

    fn with(base: &str, token: String, patience: HostPatience) -> Result<Self, SourceError> {
        let is_place = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let mut base = Url::parse(base)
            .ok()
            .filter(is_place)
            .ok_or_else(|| SourceError::Address(base.to_owned()))?;
        base.set_query(None);
        base.set_fragment(None);
        // As a header it would be refused with every request, in words about requests.
        let is_token =
            HeaderValue::try_from(&token).is_ok() && !token.contains(char::is_whitespace);
        if !is_token {
            return Err(SourceError::Token);
        }
        let client = Client::builder()
            .connect_timeout(patience.connect)
            .read_timeout(patience.read)
            .build()
            .map_err(SourceError::Unreachable)?;
        Ok(Self {
            client,
            base,
            token,
            patience,
        })
    }

    /// Where a path stands below the address that was given, which may have a path of its own.
    fn place(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
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
        let mut url = self.place(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.client.get(url), path).await
    }

    /// Sends a command under a request id.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        request_id: &str,
        body: &Value,
    ) -> Result<T, SourceError> {
        let request = self
            .client
            .post(self.place(path))
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
        let busy_until = Instant::now() + self.patience.read;
        let response = loop {
            // Bodies here are texts, so that a request can always be sent again.
            let again = request.try_clone().ok_or(SourceError::Unrepeatable)?;
            let sent = again.send().await;
            let response = sent.map_err(|error| self.failed(error, path))?;
            match wait_told(&response) {
                Some((wait, Told::AsksTooOften)) => tokio::time::sleep(wait).await,
                Some((wait, Told::IsBusy)) if Instant::now() + wait < busy_until => {
                    tokio::time::sleep(wait).await;
                }
                _ => break response,
            }
        };
        let status = response.status();
        let body = response.bytes().await;
        let body = body.map_err(|error| self.failed(error, path))?;
        match status.is_success() {
            true => Ok(body.into()),
            false => Err(SourceError::Refused {
                status: status.as_u16(),
                path: path.to_owned(),
                says: told(&body),
            }),
        }
    }

    fn failed(&self, error: reqwest::Error, path: &str) -> SourceError {
        match error.is_timeout() && !error.is_connect() {
            true => SourceError::Silent {
                path: path.to_owned(),
                within: self.patience.read,
            },
            false => SourceError::Unreachable(error),
        }
    }
}

/// What an answer says of why it is a no.
fn told(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => String::from_utf8_lossy(body)
            .chars()
            .take(LONGEST_TOLD)
            .collect(),
    }
}

/// Why a host asks for patience.
enum Told {
    /// It counts its callers, and lets this one come again in time: an auditor has the time.
    AsksTooOften,
    /// It has too much to do, or its store is away: that may last.
    IsBusy,
}

/// How long a host asks to be left alone.
fn wait_told(response: &reqwest::Response) -> Option<(Duration, Told)> {
    let why = match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Told::AsksTooOften,
        StatusCode::SERVICE_UNAVAILABLE => Told::IsBusy,
        _ => return None,
    };
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some((Duration::from_secs(seconds.parse().ok()?), why))
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
                differences: shadow::page(store, after, PAGE).await?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn host(base: &str) -> Host {
        Host::new(base, "a.b.c".to_owned()).unwrap()
    }

    #[test]
    fn a_path_stands_below_the_address_that_was_given() {
        for (base, url) in [
            ("http://h:1", "http://h:1/v1/audit/head"),
            ("http://h:1/", "http://h:1/v1/audit/head"),
            ("http://h:1/prefix", "http://h:1/prefix/v1/audit/head"),
            ("http://h:1/a/b/", "http://h:1/a/b/v1/audit/head"),
            ("https://h/a?x=1#y", "https://h/a/v1/audit/head"),
        ] {
            assert_eq!(host(base).place("/v1/audit/head").as_str(), url);
        }
        let escaped = host("http://h/p").place("/v1/admin/jobs/a%2Fb%3F");
        assert_eq!(escaped.as_str(), "http://h/p/v1/admin/jobs/a%2Fb%3F");
    }

    #[test]
    fn what_is_no_address_or_no_token_is_refused_at_once() {
        for base in ["", "h:1", "localhost:8080", "ftp://h", "/v1", "mailto:a@b"] {
            let refused = Host::new(base, "a.b.c".to_owned());
            assert!(matches!(refused, Err(SourceError::Address(_))), "{base}");
        }
        for token in ["a.b.c\n", "a.b\n.c", "a b", "\u{7f}"] {
            let refused = Host::new("http://h", token.to_owned());
            assert!(matches!(refused, Err(SourceError::Token)), "{token:?}");
        }
    }

    #[tokio::test]
    async fn a_host_that_says_nothing_is_not_waited_for_for_ever() {
        // The system accepts, and nobody reads.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", silent.local_addr().unwrap());
        let patience = HostPatience {
            connect: Duration::from_secs(5),
            read: Duration::from_millis(200),
        };
        let host = Host::with(&base, "a.b.c".to_owned(), patience).unwrap();
        let head = host.get::<Value>("/v1/audit/head", &[]);
        let ended = tokio::time::timeout(Duration::from_secs(10), head).await;
        let error = ended.unwrap().unwrap_err();
        assert!(matches!(error, SourceError::Silent { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "the host did not answer `/v1/audit/head` within 0.2 s"
        );
    }

    #[test]
    fn a_problem_is_told_by_its_detail() {
        assert_eq!(
            told(br#"{"code": "x", "detail": "that is why"}"#),
            "that is why"
        );
        assert_eq!(told(b"Bad Gateway"), "Bad Gateway");
        assert_eq!(told(&[b'x'; 9_999]).len(), LONGEST_TOLD);
    }
}
