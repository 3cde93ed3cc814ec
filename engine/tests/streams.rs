//! Streams, and what becomes of them when either side goes away.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{
    Serving,
    fake::{A_WHILE, LIVE, SLOW, note_event},
    raw, until,
};
use resplit_engine::{client::ClientError, server::LARGE_BODY};
use resplit_operations::ids::RunId;

#[tokio::test]
async fn all_events_come_in_order_and_the_stream_ends() {
    let serving = Serving::start();
    let run = RunId::from("documents-1");
    let mut events = serving.client.events(&run, false).await.unwrap();
    for number in 0..1000 {
        assert_eq!(events.next().await.unwrap().unwrap(), note_event(&run, number));
    }
    assert!(events.next().await.is_none());
    assert!(events.next().await.is_none());
    until(|| serving.activity.open() == 0).await;
}

#[tokio::test]
async fn an_event_comes_as_it_happens() {
    let serving = Serving::start();
    let run = RunId::from(LIVE);
    let mut events = serving.client.events(&run, true).await.unwrap();
    let sender = serving.fake.live.lock().unwrap().take().unwrap();
    for number in 0..3 {
        sender.send(note_event(&run, number)).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), note_event(&run, number));
    }
    assert_eq!(serving.activity.open(), 1);
    drop(sender);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn the_service_learns_that_nobody_reads_a_stream_any_more() {
    let serving = Serving::start();
    let events = serving.client.events(&LIVE.into(), true).await.unwrap();
    let sender = serving.fake.live.lock().unwrap().take().unwrap();
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), sender.closed()).await.unwrap();
    until(|| serving.activity.open() == 0).await;
    let _ = serving.client.info().await.unwrap();
}

#[tokio::test]
async fn what_was_begun_is_ended_though_its_client_is_gone() {
    let serving = Serving::start();
    let gone = tokio::time::timeout(A_WHILE / 4, async { serving.client.cancel(&SLOW.into()).await }).await;
    assert!(gone.is_err());
    assert_eq!(serving.fake.cancelled.load(Ordering::SeqCst), 0);
    assert_eq!(serving.activity.open(), 1);
    until(|| serving.fake.cancelled.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn who_waits_for_leases_and_goes_away_is_not_waited_with() {
    let serving = Serving::start();
    let client = serving.client.clone();
    let waiting = tokio::spawn(async move { client.lease_wait(1).await });
    until(|| serving.fake.waiting.load(Ordering::SeqCst) == 1).await;
    waiting.abort();
    until(|| serving.fake.waiting.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_stop_lets_calls_end_and_cuts_what_has_no_end() {
    let mut serving = Serving::start();
    let client = serving.client.clone();
    let waiting = tokio::spawn(async move { client.lease_wait(1).await });
    let client = serving.client.clone();
    let cancelled = tokio::spawn(async move { client.cancel(&SLOW.into()).await });
    let run = RunId::from(LIVE);
    let mut events = serving.client.events(&run, true).await.unwrap();
    until(|| serving.activity.open() == 3).await;
    let sender = serving.fake.live.lock().unwrap().take().unwrap();
    sender.send(note_event(&run, 1)).await.unwrap();
    serving.tell_to_stop();
    assert_eq!(events.next().await.unwrap().unwrap(), note_event(&run, 1));
    assert!(matches!(events.next().await, Some(Err(ClientError::Broken(_)))));
    assert!(events.next().await.is_none());
    assert!(matches!(waiting.await.unwrap(), Err(ClientError::NotRunning(_))));
    cancelled.await.unwrap().unwrap();
    let (client, state) = (serving.client.clone(), serving.state.clone());
    let begun = std::time::Instant::now();
    serving.stopped().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(matches!(client.info().await, Err(ClientError::NotRunning(_))));
    assert!(!state.join("engine.sock").exists());
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_keep_the_engine() {
    let mut serving = Serving::start();
    let run = RunId::from(LIVE);
    let unread = serving.client.events(&run, true).await.unwrap();
    let sender = serving.fake.live.lock().unwrap().take().unwrap();
    let mut sent = 0;
    let send = async {
        loop {
            sender.send(note_event(&run, 0)).await.unwrap();
            sent += 1;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(500), send).await.is_err());
    assert!(sent > 100, "{sent}");
    let _ = serving.client.info().await.unwrap();
    serving.tell_to_stop();
    tokio::time::timeout(Duration::from_secs(10), serving.stopped()).await.unwrap();
    drop(unread);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_place() {
    let serving = Serving::start();
    let ask = async |method: &str, target: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        raw(&serving.state, &request).await
    };
    let cases = [
        (ask("POST", "/v1/leases", "{\"run\": \"r\",\n \"coordinator\": }").await, "400", "line 2 column 17"),
        (ask("POST", "/v1/leases", "{\"run\": 1}").await, "400", "run: invalid type: integer"),
        (ask("POST", "/v1/leases", "").await, "400", "EOF"),
        (ask("GET", "/v1/leases/wait?releases=x", "").await, "400", "releases: invalid digit"),
        (ask("POST", "/v1/catalog/12345678901/lock", "").await, "400", "not a backup ID of ten digits"),
        (ask("POST", "/v1/catalog/1/burn", "").await, "400", "burn"),
        (ask("GET", "/v1/nothing", "").await, "404", "this engine has no /v1/nothing"),
        (ask("DELETE", "/v1/info", "").await, "405", "/v1/info cannot be asked with DELETE"),
    ];
    for (reply, status, text) in cases {
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
        let (_, body) = reply.split_once("\r\n\r\n").unwrap();
        let refusal: resplit_engine::protocol::Refusal = serde_json::from_str(body).unwrap();
        assert!(refusal.failure.message.contains(text), "{}", refusal.failure.message);
    }
    assert_eq!(serving.asked(), [""; 0]);
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_either_side() {
    let serving = Serving::start();
    for (target, limit) in [("POST /v1/leases", 1 << 20), ("PUT /v1/files?name=a&digest=b", LARGE_BODY)] {
        let (length, body) = (limit + 1, "x".repeat(limit + 1));
        let head =
            format!("{target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        let request = head + &body;
        let reply = raw(&serving.state, &request).await;
        assert!(reply.starts_with("HTTP/1.1 413 ") && reply.contains("bad_request"), "{reply}");
    }
    let refused = serving.client.place("a", "d", vec![0; LARGE_BODY + 1]).await.unwrap_err();
    assert!(refused.to_string().contains("67108865 bytes are more than"), "{refused}");
    assert_eq!(serving.asked(), [""; 0]);
    let _ = serving.client.place("a", "d", vec![0; LARGE_BODY]).await.unwrap();
}
