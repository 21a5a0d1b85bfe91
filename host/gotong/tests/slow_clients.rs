//! Clients that are slow, greedy or many: each is cut off or told to come again, and the others are served.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::{Host, Setup, host, new_key, token};
use reqwest::Method;
use serde_json::{Value, json};

fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// What comes until the connection ends, and how long that took.
fn until_the_end(stream: &mut TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => text.extend(&part[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it is still open after {:?}: {error}", started.elapsed()),
        }
    }
    (String::from_utf8(text).unwrap(), started.elapsed())
}

/// The problem in an answer as it came over the wire.
#[track_caller]
fn problem(answer: &str, status: u16, code: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(
        head.to_lowercase()
            .contains("content-type: application/problem+json"),
        "{answer}"
    );
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], code);
    problem
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: gotong\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_its_connection() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__HEAD_TIMEOUT_MS", "800")
        .start();
    for begun in ["", "G", LIVE] {
        let mut stream = connect(&host);
        stream.write_all(begun.as_bytes()).unwrap();
        let (answer, took) = until_the_end(&mut stream);
        assert_eq!(answer, "", "{begun}");
        assert!(took < Duration::from_secs(3), "{begun}: {took:?}");
    }
    // One that always sends another byte gets no further.
    let mut stream = connect(&host);
    let mut writer = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        let head = format!("{LIVE}X-Slow: {}\r\n\r\n", "x".repeat(1_000));
        head.bytes().all(|byte| {
            std::thread::sleep(Duration::from_millis(50));
            writer.write_all(&[byte]).is_ok()
        })
    });
    let (answer, took) = until_the_end(&mut stream);
    assert_eq!(answer, "");
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(stream);
    assert!(!drip.join().unwrap(), "it could send all of it");
    // So does one that was served and stays.
    let mut idle = connect(&host);
    idle.write_all(format!("{LIVE}\r\n").as_bytes()).unwrap();
    let (answer, took) = until_the_end(&mut idle);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_told_so() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__BODY_TIMEOUT_MS", "700")
        .env("GOTONG_LIMITS__REQUESTS", "1")
        .start();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    let head = |key: &str, length: String| {
        format!(
            "POST /v1/entities HTTP/1.1\r\nHost: gotong\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
             Content-Type: application/json\r\n{length}\r\n\r\n",
            token("sari")
        )
    };
    let length = format!("Content-Length: {}", body.len());
    let keys = [new_key(), new_key(), new_key()];
    let mut streams = [
        head(&keys[0], length.clone()),
        head(&keys[1], length) + &body[..body.len() - 1],
        head(&keys[2], "Transfer-Encoding: chunked".into()) + "1\r\n{\r\n",
    ]
    .map(|text| {
        let mut stream = connect(&host);
        stream.write_all(text.as_bytes()).unwrap();
        stream
    });
    // They hold no place among the requests at work, of which there is one.
    host.seed("tuntaskan").await;
    for stream in &mut streams {
        let (answer, took) = until_the_end(stream);
        problem(&answer, 408, "body_timeout");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    for key in keys {
        let whole = host
            .request("sari", Method::POST, "/v1/entities")
            .key(&key)
            .raw(body.clone());
        assert!(!whole.send().await.ok().replayed(), "nothing was kept");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__HEADERS", "20")
        .env("GOTONG_LIMITS__HEAD_BYTES", "5000")
        .start();
    let send = |head: String| {
        let mut stream = connect(&host);
        // The server may end it before all was sent.
        let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes());
        until_the_end(&mut stream).0
    };
    let headers =
        |count: usize| (0..count).fold(LIVE.to_owned(), |head, n| head + &format!("X-{n}: 1\r\n"));
    assert!(send(headers(18)).starts_with("HTTP/1.1 200"));
    let told = problem(&send(headers(19)), 431, "head_too_large");
    assert!(
        told["detail"].as_str().unwrap().contains("20 headers"),
        "{told}"
    );
    let sized = |bytes: usize| format!("{LIVE}X-Large: {}\r\n", "x".repeat(bytes));
    assert!(send(sized(4_000)).starts_with("HTTP/1.1 200"));
    problem(&send(sized(5_500)), 431, "head_too_large");
    let path = format!("GET /v1/{} HTTP/1.1\r\nHost: gotong\r\n", "x".repeat(5_500));
    problem(&send(path), 431, "head_too_large");
    // Floods end at the connection's parser: no problem document, and no more of them is read.
    for flood in [headers(100_000), sized(3_000_000)] {
        let answer = send(flood);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    host.get("", "/health/live").await.ok();
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_again() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__CONNECTIONS", "8")
        .start();
    let mut held: Vec<TcpStream> = (0..8).map(|_| connect(&host)).collect();
    for stream in &mut held {
        stream.write_all(b"GET ").unwrap();
    }
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..3 {
        let mut late = connect(&host);
        late.write_all(format!("{LIVE}\r\n").as_bytes()).unwrap();
        let (answer, took) = until_the_end(&mut late);
        problem(&answer, 503, "overloaded");
        assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    held.pop();
    std::thread::sleep(Duration::from_millis(200));
    let mut next = connect(&host);
    next.write_all(format!("{LIVE}Connection: close\r\n\r\n").as_bytes())
        .unwrap();
    assert!(until_the_end(&mut next).0.starts_with("HTTP/1.1 200"));
    // Those who are there are served still.
    let mut first = held.swap_remove(0);
    let rest = LIVE.trim_start_matches("GET ");
    first
        .write_all(format!("{rest}Connection: close\r\n\r\n").as_bytes())
        .unwrap();
    assert!(until_the_end(&mut first).0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_again_and_health_is_not() {
    let host = Setup::default().env("GOTONG_LIMITS__REQUESTS", "1").start();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    let mut told = 0;
    for _ in 0..20 {
        let writes = join_all((0..40).map(|_| {
            host.request("sari", Method::POST, "/v1/entities")
                .key(&new_key())
                .raw(body.clone())
                .send()
        }));
        let health = join_all((0..10).map(|_| host.get("", "/health/live")));
        let (writes, health) = tokio::join!(writes, health);
        for answer in health {
            answer.ok();
        }
        for answer in writes.into_iter().filter(|answer| answer.status != 201) {
            assert_eq!(answer.headers["retry-after"], "1");
            answer.is(503, "overloaded");
            told += 1;
        }
        if told > 0 {
            break;
        }
    }
    assert!(told > 0, "not one of 800 requests found the host busy");
    host.seed("tuntaskan").await;
    host.holds();
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_is_left() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__WRITE_TIMEOUT_MS", "700")
        .env("GOTONG_LIMITS__CONNECTIONS", "1")
        .start();
    let mut greedy = connect(&host);
    greedy.set_nonblocking(true).unwrap();
    // Asks and asks, and reads nothing: sooner or later its answers have nowhere to go.
    let questions = format!("{LIVE}\r\n").repeat(1_000);
    let until = Instant::now() + Duration::from_secs(30);
    let mut sent = 0;
    let ended = loop {
        match greedy.write(questions.as_bytes()) {
            Ok(bytes) => sent += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => break error.kind(),
        }
        assert!(Instant::now() < until, "still there after {sent} bytes");
    };
    assert!(
        matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{ended:?}"
    );
    // Its place, the only one, is free again.
    let mut next = connect(&host);
    next.write_all(format!("{LIVE}Connection: close\r\n\r\n").as_bytes())
        .unwrap();
    assert!(until_the_end(&mut next).0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn commands_that_nobody_waits_for_any_more_still_take_their_places() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__REQUESTS", "3")
        .env("GOTONG_LIMITS__REQUEST_TIMEOUT_MS", "500")
        .env("GOTONG_CRASH_AT", "hang_before_commit")
        .start();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    let share = async |who: &str| {
        let request = host.request(who, Method::POST, "/v1/entities");
        request.key(&new_key()).raw(body.clone()).send().await
    };
    for who in ["sari", "budi", "wati"] {
        share(who).await.is(503, "request_timeout");
    }
    for who in ["agus", "dewi"] {
        share(who).await.is(503, "overloaded");
    }
    host.get("", "/health/live").await.ok();
}

fn write_head(who: &str, length: &str) -> String {
    let token = match who {
        "" => String::new(),
        who => format!("Authorization: Bearer {}\r\n", token(who)),
    };
    format!(
        "POST /v1/entities HTTP/1.1\r\nHost: gotong\r\n{token}Idempotency-Key: {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n{length}\r\n\r\n",
        new_key()
    )
}

#[tokio::test]
async fn no_body_is_waited_for_that_nobody_needs() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__BODY_TIMEOUT_MS", "1000")
        .start();
    let get = |length: &str| format!("{LIVE}Connection: close\r\n{length}\r\n\r\n");
    for (head, status, code) in [
        (
            write_head("", "Content-Length: 1048576"),
            401,
            "token_required",
        ),
        (
            write_head("", "Transfer-Encoding: chunked"),
            401,
            "token_required",
        ),
        (
            write_head("sari", "Content-Length: 1048577"),
            413,
            "body_too_large",
        ),
    ] {
        let mut stream = connect(&host);
        stream.write_all(head.as_bytes()).unwrap();
        let (answer, took) = until_the_end(&mut stream);
        problem(&answer, status, code);
        assert!(took < Duration::from_secs(3), "{took:?}: {head}");
    }
    // The body of a read means nothing.
    for length in [
        "Content-Length: 0",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
    ] {
        let mut stream = connect(&host);
        stream.write_all(get(length).as_bytes()).unwrap();
        let (answer, took) = until_the_end(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(took < Duration::from_secs(3), "{took:?}: {length}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_or_no_body_is_not_told_to_be_too_large() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__BODY_BYTES", "1000")
        .start();
    let answer = |text: String| {
        let mut stream = connect(&host);
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        until_the_end(&mut stream).0
    };
    let chunked = write_head("sari", "Transfer-Encoding: chunked");
    problem(&answer(chunked.clone() + "ZZ\r\n"), 400, "body_incomplete");
    let cut_off = write_head("sari", "Content-Length: 100") + "{\"track\":";
    let cut_off = answer(cut_off);
    assert!(
        cut_off.is_empty() || cut_off.contains("body_incomplete"),
        "{cut_off}"
    );
    let large = format!("{chunked}3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1_001));
    problem(&answer(large), 413, "body_too_large");
}

#[tokio::test]
async fn bodies_take_no_more_memory_together_than_they_may() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__BODIES_BYTES", "2097152")
        .start();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    let share = async || {
        let request = host.request("sari", Method::POST, "/v1/entities");
        request.key(&new_key()).raw(body.clone()).send().await
    };
    let heads = ["Content-Length: 1048576", "Transfer-Encoding: chunked"];
    let begin = |begun: &str| {
        heads.map(|length| {
            let mut stream = connect(&host);
            let head = write_head("budi", length);
            let size = match length.ends_with("chunked") {
                true => "100000\r\n",
                false => "",
            };
            stream
                .write_all(format!("{head}{size}{begun}").as_bytes())
                .unwrap();
            stream
        })
    };
    // What is announced and does not come takes nothing from anybody.
    let silent: Vec<_> = (0..10).map(|_| begin("")).collect();
    for _ in 0..10 {
        share().await.ok();
    }
    drop(silent);
    let held = begin(&"x".repeat(1_048_000));
    // All of it has to be there before anybody else asks for the little that is left.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let until = Instant::now() + Duration::from_secs(4);
    let told = loop {
        let answer = share().await;
        if answer.status == 503 || Instant::now() > until {
            break answer;
        }
    };
    assert_eq!(told.headers["retry-after"], "1");
    told.is(503, "overloaded");
    let metrics = host.get("ops/admin", "/metrics").await.ok().text;
    let counted = "gotong_http_overloaded_total{for=\"body\"} 0";
    assert!(!metrics.contains(counted), "{metrics}");
    host.get("sari", "/v1/audit/counts")
        .await
        .is(403, "role_not_held");
    drop(held);
    let until = Instant::now() + Duration::from_secs(4);
    while share().await.status == 503 {
        assert!(Instant::now() < until, "there is no room again");
    }
}

#[tokio::test]
async fn one_read_too_many_is_told_to_come_again() {
    let host = Setup::default().env("GOTONG_LIMITS__REQUESTS", "1").start();
    host.seed("tuntaskan").await;
    let mut told = 0;
    for _ in 0..20 {
        let reads = (0..40).map(|_| host.get("sari", "/v1/transitions?limit=50"));
        for answer in join_all(reads).await {
            if answer.status != 200 {
                answer.is(503, "overloaded");
                told += 1;
            }
        }
    }
    // One after another they are a few at once at most.
    assert!(told > 400, "{told} of 800 reads found the host busy");
}

#[tokio::test]
async fn who_is_refused_early_is_told_so_however_much_is_still_being_sent() {
    let host = host();
    let body = "x".repeat(1_000_000);
    let chunked = format!("{:x}\r\n{}\r\n0\r\n\r\n", 3_000_000, "x".repeat(3_000_000));
    let head = |who: &str, key: &str, length: &str| {
        let whole = write_head(who, length);
        match key {
            "" => whole,
            key => whole.replace("Idempotency-Key: ", &format!("Idempotency-Key: {key}")),
        }
    };
    for (text, status, code) in [
        (
            head("sari", "a key ", "Content-Length: 1000000") + &body,
            400,
            "request_id_invalid",
        ),
        (
            head(
                "",
                "",
                "Authorization: Bearer no\r\nContent-Length: 1000000",
            ) + &body,
            401,
            "token_invalid",
        ),
        (
            head("sari", "", "Transfer-Encoding: chunked") + &chunked,
            413,
            "body_too_large",
        ),
    ] {
        for _ in 0..20 {
            let mut stream = connect(&host);
            stream.write_all(text.as_bytes()).unwrap();
            problem(&until_the_end(&mut stream).0, status, code);
        }
    }
}
