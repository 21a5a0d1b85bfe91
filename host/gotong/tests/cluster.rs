//! Three hosts, one SurrealDB server, one Redis, and each of them killed in turn under load: `make test-cluster`.
//!
//! What is counted at the end is what was promised, and nothing beside it: every accepted write is there once with its
//! rows, every timer fired once, no job is left over, the ledger verifies, every decision replays. And that the run was
//! one: requests were lost with their hosts, answers were given again, Redis was gone and came back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "cluster/audit.rs"]
mod audit;
mod harness;
#[path = "cluster/writers.rs"]
mod writers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::redis::RedisServer;
use harness::surrealdb::SurrealServer;
use harness::{HOUR_MS, Host, Setup};
use serde_json::json;
use writers::{Promises, Writer, write};

const HOSTS: usize = 3;
const WRITERS: usize = 6;
/// How long the cluster may take to get to where it has to.
const PATIENCE: Duration = Duration::from_secs(180);

struct Cluster {
    server: SurrealServer,
    redis: RedisServer,
    setup: Setup,
    hosts: Vec<Option<Host>>,
    /// Where the hosts are, for the writers.
    bases: Arc<Mutex<Vec<Option<String>>>>,
}

impl Cluster {
    async fn start() -> Self {
        let server = SurrealServer::migrated().await;
        let redis = RedisServer::start();
        let setup = server.setup().env("GOTONG_REDIS_URL", redis.url());
        let mut cluster = Self {
            server,
            redis,
            setup,
            hosts: Vec::new(),
            bases: Arc::default(),
        };
        for _ in 0..HOSTS {
            cluster.hosts.push(None);
            cluster.bases.lock().unwrap().push(None);
        }
        for place in 0..HOSTS {
            cluster.start_host(place);
        }
        cluster
    }

    fn start_host(&mut self, place: usize) {
        self.start_host_at(place, None);
    }

    fn start_host_at(&mut self, place: usize, crash: Option<&str>) {
        let host = self.setup.start_with(|command| {
            command.envs(crash.map(|point| ("GOTONG_CRASH_AT", point)));
        });
        self.bases.lock().unwrap()[place] = Some(host.base.clone());
        self.hosts[place] = Some(host);
    }

    /// `kill -9`
    fn kill_host(&mut self, place: usize) {
        self.bases.lock().unwrap()[place] = None;
        if let Some(host) = self.hosts[place].take() {
            host.kill();
        }
    }

    /// A host that ends by itself as soon as its first command is committed, before it can answer.
    fn start_host_that_dies(&mut self, place: usize) {
        self.start_host_at(place, Some("after_commit"));
    }

    /// Waits for a host to end by itself.
    async fn died(&mut self, place: usize) {
        let host = self.hosts[place].take().unwrap();
        let ended = tokio::task::spawn_blocking(move || {
            let mut host = host;
            host.ended()
        });
        let ended = tokio::time::timeout(PATIENCE, ended).await.unwrap();
        assert!(!ended.unwrap().success());
        self.bases.lock().unwrap()[place] = None;
    }

    fn any(&self) -> &Host {
        self.hosts.iter().flatten().next().unwrap()
    }

    /// What every host says of its Redis: waits until all say the same.
    async fn redis_is_up(&self, is_up: bool) {
        let wanted = format!("\ngotong_redis_up {}\n", u8::from(is_up));
        for host in self.hosts.iter().flatten() {
            let until = Instant::now() + PATIENCE;
            loop {
                let told = host.get("ops/admin", "/metrics").await.ok().text;
                if told.contains(&wanted) {
                    break;
                }
                assert!(Instant::now() < until, "{wanted} is not in {told}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits for keys that look like that.
    async fn redis_holds(&self, pattern: &str) {
        let until = Instant::now() + PATIENCE;
        while self.redis.cli(&["--scan", "--pattern", pattern]).is_empty() {
            assert!(Instant::now() < until, "no key is {pattern}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Gates whose timer has done its work, and jobs that a worker has in hand.
    async fn timers(&self) -> (usize, usize) {
        let query = "USE NS gotong DB main;
            SELECT VALUE transition_id FROM transition WHERE status = 'applied';
            SELECT VALUE job_id FROM job WHERE state = 'pending' AND lease_owner != NONE AND lease_owner != NULL;";
        let told = self.server.sql(query).await;
        let count = |place: usize| told[place]["result"].as_array().unwrap().len();
        (count(1), count(2))
    }
}

/// Waits until so many more matters are done.
async fn progress(done: &AtomicU64, more: u64) {
    let goal = done.load(Ordering::Relaxed) + more;
    let until = Instant::now() + PATIENCE;
    while done.load(Ordering::Relaxed) < goal {
        assert!(Instant::now() < until, "the cluster makes no progress");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn whatever_is_killed_nothing_accepted_is_lost_and_nothing_happens_twice() {
    let mut cluster = Cluster::start().await;
    let promises = Arc::new(Mutex::new(Promises::default()));
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer::new(number, cluster.bases.clone());
            tokio::spawn(write(writer, promises.clone(), stop.clone(), done.clone()))
        })
        .collect();

    let begun = Instant::now();
    let (_, vote) = cluster.any().at_a_vote().await;
    let ballot = [("wati", "yes"), ("sari", "no")];
    for (who, choice) in ballot {
        cluster.any().vote(who, &vote, choice).await.ok();
    }
    progress(&done, 6).await;
    cluster.redis_is_up(true).await;
    cluster.redis_holds("gotong:{turns}:*").await;
    for place in 0..HOSTS {
        cluster.kill_host(place);
        progress(&done, 6).await;
        cluster.start_host(place);
    }
    // What these commit, nobody is told: the same request has to be answered by another.
    for place in 0..HOSTS {
        cluster.kill_host(place);
        cluster.start_host_that_dies(place);
        cluster.died(place).await;
        cluster.start_host(place);
    }
    cluster.redis.kill();
    progress(&done, 6).await;
    cluster.redis_is_up(false).await;
    cluster.redis.restart();
    progress(&done, 6).await;
    cluster.redis_is_up(true).await;
    for _ in 0..2 {
        cluster.server.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.server.restart().await;
        progress(&done, 6).await;
        // A client that lost its connection signs its sessions in again: each as who it was, none with the host's rights.
        ballots_are_private(&cluster, &vote, &ballot).await;
    }
    // All at once.
    cluster.kill_host(0);
    cluster.redis.kill();
    cluster.server.kill();
    cluster.server.restart().await;
    cluster.redis.restart();
    cluster.start_host(0);
    progress(&done, 6).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let wrote = begun.elapsed();
    let promises = Arc::into_inner(promises).unwrap().into_inner().unwrap();
    assert!(promises.retries > 0, "no request was lost");
    assert!(
        promises.replayed >= HOSTS as u64,
        "{} answers were given again, and {HOSTS} hosts died after a commit",
        promises.replayed
    );

    let (leased, fired) = every_timer_fires(&mut cluster, promises.proposed.len()).await;
    let counts = audit::holds(&cluster, &promises, &vote, leased).await;
    println!(
        "{} matters by {WRITERS} writers over {HOSTS} hosts in {:.1} s: {} requests tried again, {} answers given again; \
         a worker was killed with {leased} timers in hand, one after it had fired {fired}; {counts}",
        promises.shared.len(),
        wrote.as_secs_f64(),
        promises.retries,
        promises.replayed,
    );
}

/// A day later every gate's window has run out. A worker is killed with timers in its hand, another between two timers:
/// how many the first had, and how many the second had fired.
async fn every_timer_fires(cluster: &mut Cluster, gates: usize) -> (usize, usize) {
    let later = (25 * HOUR_MS).to_string();
    let setup = std::mem::take(&mut cluster.setup);
    cluster.setup = setup.env("GOTONG_CLOCK_AHEAD_MS", later);
    for place in 0..HOSTS {
        cluster.kill_host(place);
    }
    let until = Instant::now() + PATIENCE;
    // Takes timers and gets none of them done.
    cluster.start_host_at(1, Some("hang_before_commit"));
    let leased = loop {
        let (fired, leased) = cluster.timers().await;
        assert_eq!(fired, 0);
        if leased > 0 {
            break leased;
        }
        assert!(Instant::now() < until, "no worker took a timer");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    cluster.redis_holds("gotong:{jobs}:*").await;
    cluster.kill_host(1);
    // One worker alone, until it is in the middle of them.
    cluster.start_host(0);
    let fired = loop {
        let (fired, _) = cluster.timers().await;
        if fired > 0 {
            break fired;
        }
        assert!(Instant::now() < until, "no timer fired");
    };
    cluster.kill_host(0);
    cluster.redis.kill();
    assert!(
        fired < gates,
        "{fired} of {gates} timers fired before the kill"
    );
    cluster.redis.restart();
    for place in 0..HOSTS {
        cluster.start_host(place);
    }
    while cluster.timers().await.0 < gates {
        assert!(
            Instant::now() < until,
            "gates never closed: {}",
            audit::left(cluster).await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    (leased, fired)
}

async fn ballots_are_private(cluster: &Cluster, vote: &str, ballots: &[(&str, &str)]) {
    let path = format!("/v1/transitions/{vote}/votes");
    for host in cluster.hosts.iter().flatten() {
        for (who, choice) in ballots {
            let own = host.get(who, &path).await.ok();
            let items = own.json["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{who}: {}", own.text);
            assert_eq!(items[0]["choice"], *choice, "{who}: {}", own.text);
        }
        let none = host.get("joko", &path).await.ok();
        assert_eq!(none.json["items"], json!([]), "{}", none.text);
    }
}
