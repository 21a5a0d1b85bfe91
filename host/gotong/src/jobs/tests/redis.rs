//! The mirror in Redis: emptied, killed, hung, never there; the store stays the truth.

use super::*;
use crate::testing::redis_server::RedisServer;

/// Timers for some seconds, run by two hosts, while something is done to Redis: each fires once.
async fn under_a_load_of_timers(redis_url: String, what: impl AsyncFnOnce(&App)) {
    const TIMERS: usize = 250;
    const SECONDS: i64 = 5;
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis_url));
    let (here, _) = host_of(config).await;
    let there = beside(&here);
    let workers = (worker(&here), worker(&there));
    let begin_ms = here.clock.now_ms();
    let ids: Vec<String> = (0..TIMERS).map(|n| format!("ring-{n}")).collect();
    let step = SECONDS * 1_000 / i64::try_from(TIMERS).unwrap();
    for (n, some) in ids.chunks(50).enumerate() {
        let jobs = some.iter().enumerate().map(|(m, id)| {
            let place = i64::try_from(n * 50 + m).unwrap();
            job("ring", id, begin_ms + place * step)
        });
        set(&here, jobs.collect()).await;
    }
    what(&here).await;
    until(120, "every timer fired", async || {
        here.store.jobs().next_due().await.unwrap().is_none()
    })
    .await;
    drop(workers);
    let mut attempts = 0;
    for id in &ids {
        let job = row(&here, id).await;
        attempts += job.attempts;
        assert_eq!(job.state, JobState::Done, "{id}");
        assert_eq!(effects(&here, id).await, 1, "{id}");
        assert!(job.ended_at_ms.unwrap() >= job.due_at_ms, "{id}");
    }
    let counts = here.store.counts().await.unwrap();
    let runs = (here.jobs.runs(), there.jobs.runs());
    println!(
        "{TIMERS} timers: {} events, {attempts} claims, {runs:?} by host",
        counts.events
    );
    assert_eq!(counts.events, TIMERS as u64);
    assert!(runs.0 > 0 && runs.1 > 0, "{runs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_emptied_again_and_again_loses_no_timer() {
    let redis = RedisServer::start();
    under_a_load_of_timers(redis.url(), async |_| {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(redis.cli(&["FLUSHALL"]), "OK");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_killed_and_started_again_loses_no_timer() {
    let mut redis = RedisServer::start();
    under_a_load_of_timers(redis.url(), async |_| {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(900)).await;
            redis.kill();
            tokio::time::sleep(Duration::from_millis(900)).await;
            redis.restart();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_that_hangs_loses_no_timer() {
    let redis = RedisServer::start();
    under_a_load_of_timers(redis.url(), async |_| {
        tokio::time::sleep(Duration::from_millis(900)).await;
        redis.freeze();
        tokio::time::sleep(Duration::from_secs(2)).await;
        redis.resume();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_that_never_was_there_loses_no_timer() {
    let nobody = {
        let redis = RedisServer::start();
        redis.url()
    };
    under_a_load_of_timers(nobody, async |_| {}).await;
}

#[tokio::test]
async fn jobs_that_are_set_stand_in_redis_until_they_are_done() {
    let redis = RedisServer::start();
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis.url()));
    let (app, go_on) = host_of(config).await;
    let due = |args: &[&str]| {
        let mut all = vec![args[0], "gotong:{jobs}:due"];
        all.extend(&args[1..]);
        redis.cli(&all)
    };
    let slow = set_one(&app, "slow").await;
    let later = job("ring", "later", app.clock.now_ms() + 50_000);
    let much_later = job("ring", "much-later", app.clock.now_ms() + 500_000);
    set(&app, vec![later, much_later]).await;
    until(5, "told", async || due(&["ZCARD"]) == "2").await;
    let worker = worker(&app);
    until(5, "claimed", async || row(&app, &slow).await.attempts == 1).await;
    let first: i64 = due(&["ZSCORE", &slow]).parse().unwrap();
    assert!(first > app.clock.now_ms(), "it wakes when its lease ends");
    until(5, "renewed", async || {
        due(&["ZSCORE", &slow]).parse::<i64>().unwrap() > first
    })
    .await;
    assert_eq!(
        redis.cli(&["HGET", "gotong:{jobs}:owners", &slow]),
        app.instance
    );
    go_on.notify_waiters();
    until(5, "gone", async || due(&["ZRANGE", "0", "-1"]) == "later").await;
    assert_eq!(redis.cli(&["HLEN", "gotong:{jobs}:owners"]), "0");
    drop(worker);

    // What the store knows better: a job that is over, and one that waits.
    let now = app.clock.now_ms().to_string();
    for id in [&slow, "later", "unheard-of"] {
        due(&["ZADD", &now, id]);
    }
    assert_eq!(app.run_due_jobs().await.unwrap(), 0);
    assert_eq!(due(&["ZRANGE", "0", "-1"]), "later");
    assert_eq!(row(&app, "later").await.attempts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_gives_each_job_to_one_host() {
    let redis = RedisServer::start();
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis.url()));
    let (here, _) = host_of(config).await;
    let there = beside(&here);
    let now_ms = here.clock.now_ms();
    let jobs = (0..40).map(|n| job("ring", &format!("ring-{n}"), now_ms));
    set(&here, jobs.collect()).await;
    let take = async |app: &App, limit| {
        let dispatcher = &app.jobs.dispatcher;
        let (store, owner) = (&app.store, &app.instance);
        let taken = dispatcher.candidates(store, owner, now_ms, 1_000, limit);
        let taken = taken.await.unwrap().into_iter();
        taken.map(|place| place.job_id).collect::<Vec<_>>()
    };
    // The mirror is made; two that make it at once may be given the same, and the store then decides.
    assert_eq!(take(&here, 0).await, Vec::<String>::new());
    let (one, other) = tokio::join!(take(&here, 30), take(&there, 30));
    let all: std::collections::BTreeSet<&String> = one.iter().chain(&other).collect();
    assert_eq!((one.len() + other.len(), all.len()), (40, 40));
}

#[tokio::test]
async fn what_wakes_later_is_copied_once_however_much_it_is() {
    const MANY: usize = 4_100;
    let redis = RedisServer::start();
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis.url()));
    let (app, _) = host_of(config).await;
    let begin_ms = app.clock.now_ms();
    let jobs = (0..MANY).map(|n| {
        let later = i64::try_from(n).unwrap();
        job("ring", &format!("ring-{n:04}"), begin_ms + 40_000 + later)
    });
    for some in jobs.collect::<Vec<_>>().chunks(200) {
        set(&app, some.to_vec()).await;
    }
    let look = async |ahead_ms| {
        let (store, owner) = (&app.store, &app.instance);
        let dispatcher = &app.jobs.dispatcher;
        let taken = dispatcher.candidates(store, owner, begin_ms + ahead_ms, LEASE_MS, 8);
        taken.await.unwrap().len()
    };
    let copied = || redis.cli(&["ZCARD", "gotong:{jobs}:due"]);
    redis.cli(&["FLUSHALL"]);
    assert_eq!((look(0).await, copied()), (0, "4096".to_owned()));
    redis.cli(&["DEL", "gotong:{jobs}:due"]);
    assert_eq!((look(1).await, copied()), (0, "0".to_owned()));
    // When those that were copied are over, the rest is looked for, though the mirror is fresh.
    let now_ms = begin_ms + 44_099;
    for n in 0..8 {
        let place = Due {
            wake_at_ms: begin_ms + 40_000 + n,
            job_id: format!("ring-{n:04}"),
        };
        let queue = app.store.jobs();
        let claimed = queue.claim(&place, "other", now_ms, LEASE_MS).await;
        assert!(claimed.unwrap().is_some());
    }
    let last = || redis.cli(&["ZSCORE", "gotong:{jobs}:due", "ring-4099"]);
    assert_eq!(last(), "");
    assert_eq!(look(44_099).await, 8);
    assert_eq!(last(), now_ms.to_string());
}

#[tokio::test]
async fn a_place_that_is_not_its_job_s_own_is_taken_away_through_redis_too() {
    let redis = RedisServer::start();
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis.url()));
    let (app, _) = host_of(config).await;
    let now_ms = app.clock.now_ms();
    set(&app, vec![job("ring", "later", now_ms + 50_000)]).await;
    strew(&app, &["later", "nobody"], now_ms - 5).await;
    redis.cli(&["FLUSHALL"]);
    let _worker = worker(&app);
    until(5, "taken away", async || {
        let depth = app.store.jobs().depth(now_ms).await.unwrap();
        (depth.waiting, depth.due) == (1, 0)
    })
    .await;
    assert_eq!(row(&app, "later").await.attempts, 0);
}

#[tokio::test]
async fn a_dead_worker_s_job_comes_back_through_redis_too() {
    let redis = RedisServer::start();
    let mut config = short_leases();
    config.redis_url = Some(crate::config::Secret::new(redis.url()));
    let (dies, _) = host_of(config).await;
    let lives = beside(&dies);
    let job_id = set_one(&dies, "ring").await;
    let now_ms = dies.clock.now_ms();
    let taken = dies
        .jobs
        .dispatcher
        .candidates(&dies.store, &dies.instance, now_ms, LEASE_MS, 8);
    assert_eq!(taken.await.unwrap()[0].job_id, job_id);
    ghost(&dies, &job_id).await;
    let started = Instant::now();
    let _worker = worker(&lives);
    until_done(&lives, &job_id).await;
    let took = started.elapsed().as_millis();
    assert!((300..2_500).contains(&took), "after {took} ms");
    assert_eq!(effects(&lives, &job_id).await, 1);
}
