//! The write path against facts that change under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use serde_json::json;

use super::Command;
use super::answer::CommandError;
use super::refusal::Refusal;
use super::work::Work;
use crate::http::auth::Tokens;
use crate::ledger::event::{Event, EventKind};
use crate::request::Actor;
use crate::testing::{app, context};

/// Appends to a stream; as long as `interruptions` last, somebody else appends between its facts and its commit,
/// as another host would.
#[derive(Clone)]
struct Append {
    interruptions: Arc<AtomicU32>,
    runs: Arc<AtomicU32>,
}

const STREAM: &str = "contended";

impl Command for Append {
    type Output = u32;

    fn scope(&self, _: &Actor) -> String {
        STREAM.to_owned()
    }

    async fn run(&self, work: &mut Work) -> Result<u32, Refusal> {
        work.watch(STREAM).await?;
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        let left = self.interruptions.load(Ordering::SeqCst);
        if left > 0 {
            self.interruptions.store(left - 1, Ordering::SeqCst);
            let mut other = Work::open(work.app.clone(), context("sari", &format!("other-{run}")));
            other.watch(STREAM).await?;
            other.append(STREAM, Event::new(EventKind::EntityShared, json!({})))?;
            work.app
                .store
                .commit(&other.into_commit(true, None).0)
                .await
                .unwrap();
        }
        work.append(
            STREAM,
            Event::new(EventKind::EntityShared, json!({"run": run})),
        )?;
        Ok(run)
    }
}

fn append(interruptions: u32) -> Append {
    Append {
        interruptions: Arc::new(AtomicU32::new(interruptions)),
        runs: Arc::default(),
    }
}

#[tokio::test]
async fn stale_facts_do_not_commit_and_the_command_runs_again_from_new_ones() {
    let app = app().await;
    let command = append(3);
    let answer = app
        .command(context("sari", "request-1"), command.clone())
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::CREATED, "3")
    );
    assert_eq!(
        app.store.head(STREAM).await.unwrap().seq,
        4,
        "three of the others', one of ours"
    );
}

#[tokio::test]
async fn facts_that_never_hold_end_in_contention_with_nothing_written() {
    let app = app().await;
    let command = append(u32::MAX);
    let refused = app
        .command(context("sari", "request-1"), command.clone())
        .await;
    assert!(
        matches!(refused, Err(CommandError::Contention)),
        "{refused:?}"
    );
    let tries = app.config.limits.commit_tries;
    assert_eq!(
        (
            command.runs.load(Ordering::SeqCst),
            app.store.head(STREAM).await.unwrap().seq
        ),
        (tries, u64::from(tries))
    );
    assert!(
        app.store
            .response(STREAM, "request-1")
            .await
            .unwrap()
            .is_none(),
        "the same request may be sent again"
    );
}

#[tokio::test]
async fn another_host_that_was_quicker_with_the_same_request_has_its_answer_given() {
    let app = app().await;
    let first = app
        .command(context("sari", "request-1"), append(0))
        .await
        .unwrap();
    // A second host knows nothing of the first one's locks, only the store.
    let second = app.beside(Tokens::new(&app.config.auth).unwrap());
    let again = second
        .command(context("sari", "request-1"), append(0))
        .await
        .unwrap();
    assert!(again.replayed && again.body == first.body);
    let (here, there) = (append(0), append(0));
    let both = tokio::join!(
        app.command(context("sari", "request-2"), here),
        second.command(context("sari", "request-2"), there)
    );
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!(one.body, other.body);
    assert_eq!(
        app.store.head(STREAM).await.unwrap().seq,
        2,
        "each request once"
    );
}
