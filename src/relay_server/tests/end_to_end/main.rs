//! Listener, sender and relay over real TLS and real sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fixture;

use std::time::Duration;

use livedata_relay::{Error, Event, Listener, RelayStream, Sender};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use fixture::{Fixture, limits, options};

/// Connects both ends of one stream at `path`.
async fn connected(fixture: &Fixture, listener: &mut Listener, path: &str) -> (RelayStream, RelayStream) {
    let endpoint = fixture.endpoint(path);
    let token = fixture.send_token();
    let (incoming, sender) = tokio::join!(
        async { listener.next().await.unwrap().accept().await },
        Sender::connect(&endpoint, "", &token)
    );
    (sender.unwrap(), incoming.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_megabytes_are_echoed() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.listen("agents/one").await;
    let (near, far) = connected(&fixture, &mut listener, "agents/one").await;

    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(far);
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let sent: Vec<u8> = (0..5_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let expected = sent.clone();
    let (mut read, mut write) = tokio::io::split(near);
    let writer = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.flush().await.unwrap();
        write
    });
    let mut received = vec![0; expected.len()];
    read.read_exact(&mut received).await.unwrap();
    assert!(received == expected);
    writer.await.unwrap().shutdown().await.unwrap();
    echo.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_stops_its_writer_and_loses_nothing() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.listen("a").await;
    let (mut near, mut far) = connected(&fixture, &mut listener, "a").await;

    // Nobody reads: the writer must come to a halt. It has when a write does not finish although the relay is idle.
    let chunk = vec![7_u8; 1 << 20];
    let mut written = 0_usize;
    loop {
        match tokio::time::timeout(Duration::from_millis(500), near.write(&chunk)).await {
            Ok(count) => written += count.unwrap(),
            Err(_) => break,
        }
        assert!(written < 256 << 20, "the relay buffers without bound");
    }
    let reader = tokio::spawn(async move {
        let mut total = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match far.read(&mut buffer).await.unwrap() {
                0 => return total,
                count => total += count,
            }
        }
    });
    near.flush().await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(reader.await.unwrap(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suffix_and_the_headers_reach_the_listener_but_not_the_token() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.listen("Agents/One").await;
    let endpoint = fixture.endpoint("agents/one");
    let token = fixture.send_token();
    let refused = tokio::spawn(async move { Sender::connect(&endpoint, "session/v1", &token).await.err() });
    let incoming = listener.next().await.unwrap();
    assert_eq!(incoming.suffix(), "session/v1");
    assert!(incoming.remote_endpoint().is_some());
    assert!(incoming.headers().contains_key("Sec-WebSocket-Key"));
    assert!(incoming.headers().keys().all(|name| !name.eq_ignore_ascii_case("ServiceBusAuthorization")));
    incoming.reject(421, "this is another instance").await.unwrap();
    match refused.await.unwrap() {
        Some(Error::Rejected { status: 421, description, .. }) => {
            assert_eq!(description, "this is another instance")
        }
        other => panic!("expected the rejection, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_may_reject_with_a_status_that_the_relay_uses_too() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.listen("a").await;
    let endpoint = fixture.endpoint("a");
    let token = fixture.send_token();
    let (rejected, refused) = tokio::join!(
        async { listener.next().await.unwrap().reject(404, "no such ticket").await },
        Sender::connect(&endpoint, "pull/1", &token)
    );
    rejected.unwrap();
    assert!(matches!(refused, Err(Error::Rejected { status: 404, .. })), "{:?}", refused.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendezvous_address_works_once() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.raw_listen("a").await;
    let endpoint = fixture.endpoint("a");
    let token = fixture.send_token();
    let sender = tokio::spawn(async move { Sender::connect(&endpoint, "", &token).await });
    let address = listener.next_address().await;
    let (first, second) = (fixture.open(&address).await, fixture.open(&address).await);
    assert_eq!((first.status, second.status), (101, 403));
    sender.await.unwrap().unwrap();
    let guessed = address.split("sb-hc-rendezvous=").next().unwrap().to_owned() + "sb-hc-rendezvous=00";
    assert_eq!(fixture.open(&guessed).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_checked() {
    let fixture = Fixture::start().await;
    let _listener = fixture.listen("a").await;
    let listen = async |token| Listener::connect(fixture.endpoint("a"), &token).await.err();
    let send = async |token| Sender::connect(&fixture.endpoint("a"), "", &token).await.err();

    assert!(matches!(
        listen(fixture.token("listen", "wrong key", 60)).await,
        Some(Error::Unauthorized { .. })
    ));
    assert!(matches!(send(fixture.token("send", "wrong key", 60)).await, Some(Error::Unauthorized { .. })));
    assert!(matches!(send(livedata_relay::Token::new("")).await, Some(Error::Unauthorized { .. })));
    assert!(matches!(listen(fixture.send_token()).await, Some(Error::Forbidden { .. })));
    assert!(matches!(send(fixture.listen_token()).await, Some(Error::Forbidden { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_listener_the_sender_is_told() {
    let mut limits = limits();
    limits.rendezvous_timeout = Duration::from_millis(100);
    let fixture = Fixture::start_with(limits).await;
    let connect =
        async |path| Sender::connect(&fixture.endpoint(path), "", &fixture.send_token()).await.err();
    assert!(matches!(connect("a").await, Some(Error::NoListener { .. })));
    let listener = fixture.listen("a").await;
    assert!(matches!(connect("ab").await, Some(Error::NoListener { .. })));
    drop(listener);
    // The relay needs a moment to see that the socket is gone; until then the stream is refused another way.
    while !matches!(connect("a").await, Some(Error::NoListener { .. })) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_answer_is_a_timeout() {
    let mut limits = limits();
    limits.rendezvous_timeout = Duration::from_secs(1);
    let fixture = Fixture::start_with(limits).await;
    let mut listener = fixture.listen("a").await;
    let endpoint = fixture.endpoint("a");
    let token = fixture.send_token();
    let (incoming, refused) = tokio::join!(listener.next(), Sender::connect(&endpoint, "", &token));
    assert!(matches!(refused, Err(Error::Timeout { .. })), "{:?}", refused.err());
    assert!(matches!(incoming.unwrap().accept().await, Err(Error::Forbidden { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_takes_only_so_many_listeners_and_a_source_only_so_many_upgrades() {
    let mut limits = limits();
    limits.listeners_per_path = 1;
    limits.upgrade_burst = 3;
    limits.upgrades_per_second = 0.01;
    let fixture = Fixture::start_with(limits).await;
    let _first = fixture.listen("a").await;
    let second = Listener::connect(fixture.endpoint("a"), &fixture.listen_token()).await.err().unwrap();
    assert!(second.retry_after().is_some(), "{second}");
    let _other = fixture.listen("b").await;
    match Listener::connect(fixture.endpoint("c"), &fixture.listen_token()).await.err() {
        Some(Error::Unavailable { status: 429, retry_after: Some(wait), .. }) => {
            assert!(wait > Duration::from_secs(10), "{wait:?}");
        }
        other => panic!("expected 429, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_reaches_the_other_side() {
    let fixture = Fixture::start().await;
    let mut listener = fixture.listen("a").await;
    let mut rest = Vec::new();

    let (mut near, mut far) = connected(&fixture, &mut listener, "a").await;
    near.write_all(b"last words").await.unwrap();
    near.shutdown().await.unwrap();
    far.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"last words");

    let (mut near, mut far) = connected(&fixture, &mut listener, "a").await;
    far.shutdown().await.unwrap();
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);

    let (near, mut far) = connected(&fixture, &mut listener, "a").await;
    drop(near);
    let error = far.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("1001: the sender is gone"), "{error}");

    let (mut near, far) = connected(&fixture, &mut listener, "a").await;
    drop(far);
    let error = near.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("1011: the listener is gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_relay_is_noticed_and_found_again() {
    let mut fixture = Fixture::start().await;
    let mut listener = fixture.listen("plain").await;
    let (mut near, mut far) = connected(&fixture, &mut listener, "plain").await;
    let mut listening = fixture.listening("a", Duration::from_secs(600));
    assert!(matches!(listening.next().await, Event::Connected));

    let options = options(&fixture.authority, fixture.running().local_address().port(), limits());
    fixture.stop().await;
    assert!(matches!(listener.next().await, Err(Error::Closed { code: 1001, .. })));
    assert!(near.read_u8().await.is_err());
    assert!(far.read_u8().await.is_err());
    assert!(matches!(
        listening.next().await,
        Event::Disconnected { error: Error::Closed { code: 1001, .. }, .. }
    ));
    match listening.next().await {
        Event::Disconnected { error: Error::Unreachable { .. }, .. } => {}
        other => panic!("expected that the relay cannot be reached, got {other:?}"),
    }

    fixture.restart(options).await;
    while !matches!(listening.next().await, Event::Connected) {}
    let endpoint = fixture.endpoint("a");
    let token = fixture.send_token();
    let (event, stream) = tokio::join!(
        async {
            match listening.next().await {
                Event::Incoming(incoming) => incoming.accept().await,
                other => panic!("expected a sender, got {other:?}"),
            }
        },
        Sender::connect(&endpoint, "", &token)
    );
    event.unwrap();
    stream.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_or_bad_token_ends_the_channel() {
    let mut limits = limits();
    limits.clock_leeway_seconds = 0;
    let fixture = Fixture::start_with(limits).await;
    let short = fixture.token("listen", fixture::KEY, 2);
    let mut listener = Listener::connect(fixture.endpoint("a"), &short).await.unwrap();
    assert!(matches!(listener.next().await, Err(Error::Closed { code: 1008, .. })));

    let mut listener = fixture.listen("a").await;
    listener.renew_token(&fixture.send_token()).unwrap();
    assert!(matches!(listener.next().await, Err(Error::Closed { code: 1008, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_token_keeps_the_channel() {
    let mut limits = limits();
    limits.clock_leeway_seconds = 0;
    let fixture = Fixture::start_with(limits).await;
    let mut listening = fixture.listening("a", Duration::from_secs(3));
    assert!(matches!(listening.next().await, Event::Connected));
    let minted = fixture.minted.clone();
    // Each token lives 3 s and is replaced at 2 s: with the fourth, two lives are over.
    let four = async {
        let mut minted = minted.subscribe();
        minted.wait_for(|count| *count >= 4).await.unwrap();
    };
    tokio::select! {
        event = listening.next() => panic!("the channel should have stayed, got {event:?}"),
        () = four => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_answers_pings_stays_and_a_silent_one_goes() {
    let mut limits = limits();
    limits.ping_interval = Duration::from_millis(100);
    limits.rendezvous_timeout = Duration::from_millis(100);
    let fixture = Fixture::start_with(limits).await;
    let silent = fixture.listen("silent").await;
    let mut awake = fixture.listen("awake").await;
    let connect =
        async || Sender::connect(&fixture.endpoint("silent"), "", &fixture.send_token()).await.err();
    let gone = async { while !matches!(connect().await, Some(Error::NoListener { .. })) {} };
    tokio::select! {
        incoming = awake.next() => panic!("the channel should have stayed quiet, got {incoming:?}"),
        () = gone => {}
    }
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_pinging_is_taken_for_dead() {
    let mut limits = limits();
    limits.ping_interval = Duration::from_secs(2);
    let fixture = Fixture::start_with(limits).await;
    let mut endpoint = fixture.endpoint("a");
    // Shorter than the ping interval, so that the wait for the second ping is already too long.
    endpoint.silence_limit = Duration::from_millis(200);
    let mut listener = Listener::connect(endpoint, &fixture.listen_token()).await.unwrap();
    assert!(matches!(listener.next().await, Err(Error::Silent(_))));
}
