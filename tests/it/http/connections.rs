//! The limits of connections, on real sockets.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use moderato::http::App;
use moderato::http::ConnectionSettings;
use moderato::http::Drain;
use moderato::http::HttpSettings;
use moderato::http::Listener;
use moderato::http::serve;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support;
use crate::support::ENGINE;
use crate::support::HTTP;

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_come_drop_by_drop_are_given_up() {
    let server = Server::start(quick()).await;
    let answer = server.with(|stream| {
        stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
        // A timeout counted from the last byte would restart with each line.
        while !is_answered(stream, Duration::from_millis(20)) {
            stream.write_all(b"x-drop: 1\r\n").unwrap();
        }
        rest(stream)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"headers_too_slow""#), "{answer}");
    assert!(answer.contains("the headers did not arrive within 300 ms"), "{answer}");
    server.counted("headers_too_slow").await;
    assert!(server.metrics().contains(r#"moderato_errors_total{code="headers_too_slow"} 1"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_are_refused() {
    let server = Server::start(quick()).await;
    let answer = server.with(|stream| {
        stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
        let header = format!("x-long: {}\r\n", "a".repeat(500));
        for _ in 0..200 {
            if stream.write_all(header.as_bytes()).is_err() {
                break;
            }
        }
        rest(stream)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"headers_too_large""#), "{answer}");
    server.counted("headers_too_large").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let server = Server::start(quick()).await;
    let began = Instant::now();
    assert_eq!(server.with(rest).await, "", "nothing was asked");
    assert!(began.elapsed() < Duration::from_secs(20));
    // An idle connection is closed after a response, too.
    let answer = server.with(|stream| {
        stream.write_all(LIVE.as_bytes()).unwrap();
        rest(stream)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"live"}"#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_last_place_connections_are_refused_until_one_is_free() {
    let settings =
        ConnectionSettings { max_connections: 2, idle_timeout: Duration::from_mins(5), ..quick() };
    let server = Server::start(settings).await;
    let mut first = server.connect();
    let mut second = server.connect();
    for stream in [&mut first, &mut second] {
        stream.write_all(LIVE.as_bytes()).unwrap();
        assert!(one(stream).starts_with("HTTP/1.1 200 OK"));
    }
    let answer = server.with(rest).await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"too_many_connections""#), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(server.metrics().contains("moderato_http_connections 2\n"));
    drop(first);
    while !server.metrics().contains("moderato_http_connections 1\n") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut third = server.connect();
    third.write_all(LIVE.as_bytes()).unwrap();
    assert!(one(&mut third).starts_with("HTTP/1.1 200 OK"));
    server.counted("too_many_connections").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_the_answers_is_cut_off() {
    let server = Server::start(quick()).await;
    let mut stream = server.connect();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // Responses fill the buffers between client and server, then requests do.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    let cut = tokio::task::spawn_blocking(move || {
        (0..10_000).find_map(|_| stream.write_all(requests.as_bytes()).err())
    });
    assert!(cut.await.unwrap().is_some(), "the server went on for ever");
    server.counted("answer_not_taken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(quick()).await;
    let answers = server.with(|stream| {
        let score = |text: &str, connection: &str| {
            let body = format!(r#"{{"input": "{text}"}}"#);
            let length = body.len();
            format!(
                "POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 connection: {connection}\r\nx-request-id: {text}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        let all = (0..20).map(|n| score(&format!("tea-{n}"), "keep-alive")).collect::<String>();
        let all = [all, score("last", "close")].concat();
        // The split is also in the middle of a request.
        let (head, tail) = all.split_at(all.len() / 2 + 7);
        stream.write_all(head.as_bytes()).unwrap();
        // The first half of the requests is being answered by now.
        assert!(is_answered(stream, PATIENCE));
        stream.write_all(tail.as_bytes()).unwrap();
        rest(stream)
    });
    let answers = answers.await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 21, "{answers}");
    let ids: Vec<_> = answers
        .split("x-request-id: ")
        .skip(1)
        .map(|after| after.split("\r\n").next().unwrap().to_owned())
        .collect();
    let expected = (0..20).map(|n| format!("tea-{n}")).chain(["last".to_owned()]);
    assert_eq!(ids, expected.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_ends_in_408() {
    let http = HttpSettings { timeout: Duration::from_millis(300), ..HTTP };
    let server = Server::start_with(quick(), http).await;
    let answer = server.with(|stream| {
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\n\
                    content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        while !is_answered(stream, Duration::from_millis(20)) {
            stream.write_all(b"1\r\n \r\n").unwrap();
        }
        rest(stream)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"body_too_slow""#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_that_comes_fast_ends_in_413() {
    let server = Server::start(quick()).await;
    let answer = server.with(|stream| {
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\n\
                    content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
        for _ in 0..1000 {
            if stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
        }
        rest(stream)
    });
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
    assert!(answer.contains(r#""code":"body_too_large""#), "{answer}");
}

#[tokio::test]
async fn draining_answers_those_whom_only_the_system_has_accepted() {
    // On one thread, so that the listener is told to stop before it has accepted any of them.
    let server = Server::start(quick()).await;
    server.stop.notify_one();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(LIVE.as_bytes()).unwrap();
            stream
        })
        .collect();
    let serving = server.serving;
    assert!(serving.await.unwrap(), "in time");
    for mut client in clients {
        let answer = rest(&mut client);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    TcpStream::connect(server.address).unwrap_err();
}

#[tokio::test]
async fn draining_answers_what_is_on_its_way_on_an_idle_connection() {
    let server = Server::start(quick()).await;
    let mut client = server.connect();
    client.write_all(LIVE.as_bytes()).unwrap();
    while !is_answered(&client, Duration::from_millis(1)) {
        tokio::task::yield_now().await;
    }
    let mut first = [0; 4096];
    let n_bytes = client.read(&mut first).unwrap();
    let first = String::from_utf8_lossy(&first[..n_bytes]).into_owned();
    assert!(!first.contains("connection: close"), "{first}");
    server.stop.notify_one();
    // By then the server is draining, which the client does not know.
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.write_all(LIVE.as_bytes()).unwrap();
    assert!(server.serving.await.unwrap(), "in time");
    let answer = rest(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

const PATIENCE: Duration = Duration::from_secs(30);
const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Limits that are short enough for a test.
fn quick() -> ConnectionSettings {
    ConnectionSettings {
        max_connections: 64,
        max_header_bytes: 2000,
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(400),
        write_timeout: Duration::from_millis(300),
    }
}

struct Server {
    address: SocketAddr,
    app: App,
    stop: Arc<Notify>,
    serving: tokio::task::JoinHandle<bool>,
}

impl Server {
    async fn start(settings: ConnectionSettings) -> Self {
        Self::start_with(settings, HTTP).await
    }

    async fn start_with(settings: ConnectionSettings, http: HttpSettings) -> Self {
        let app = support::app_with(support::tiny_model(), ENGINE, http);
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let drain = Drain { delay: Duration::ZERO, grace: Duration::from_mins(1) };
        let listener = Listener::new(tcp, settings, None);
        let serving =
            tokio::spawn(serve(
                listener,
                app.clone(),
                drain,
                async move { stopped.notified().await },
            ));
        Self { address, app, stop, serving }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Runs a client on its own thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut TcpStream) -> T + Send + 'static,
    ) -> T {
        let address = self.address;
        let working = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            work(&mut stream)
        });
        working.await.unwrap()
    }

    fn metrics(&self) -> String {
        self.app.metrics().render()
    }

    async fn counted(&self, reason: &str) {
        let line = format!(r#"moderato_http_connections_refused_total{{reason="{reason}"}} 1"#);
        while !self.metrics().contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns whether any bytes arrive within `patience`.
fn is_answered(stream: &TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    let is_answered = stream.peek(&mut [0]).is_ok();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    is_answered
}

/// Reads everything until the connection ends.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // The bytes before an error count.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Reads one response from a connection that stays open.
fn one(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let n_bytes = stream.read(&mut bytes).unwrap();
    String::from_utf8(bytes[..n_bytes].to_vec()).unwrap()
}
