//! Draining on a real socket: what happens to requests when the server is told to stop.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use moderato::batch::Batch;
use moderato::error::Result;
use moderato::http::Drain;
use moderato::http::serve;
use moderato::model::Forward;
use moderato::model::Logits;
use ndarray::Array2;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn draining_answers_everything_that_was_accepted() {
    let server = Server::start(Duration::from_mins(1)).await;
    let clients: Vec<_> = (0..20).map(|_| server.client(SCORE, "good morning")).collect();
    server.model.entered();
    server.until_inside(20).await;
    server.stop.notify_one();
    server.until_unready().await;
    // The model was blocked until now, so every request is answered while draining.
    server.model.open_for_good();
    for client in clients {
        let answer = client.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    assert!(server.serving.await.unwrap(), "in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_ask_for_an_earlier_deadline() {
    let server = Server::start(Duration::from_mins(1)).await;
    let header = "POST /v1/score HTTP/1.1\r\nx-request-timeout-ms: 30";
    let answer = server.client(header, "good morning").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout"), "{answer}");
    assert!(answer.contains(r#""code":"deadline_exceeded""#), "{answer}");
    assert!(answer.contains("the deadline of 30 ms has passed"), "{answer}");
    server.model.open_for_good();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_period_the_server_ends_and_says_so() {
    let server = Server::start(Duration::from_millis(20)).await;
    let client = server.client(SCORE, "good morning");
    server.model.entered();
    server.stop.notify_one();
    assert!(!server.serving.await.unwrap(), "not in time");
    drop(server.model);
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_is_dropped_from_the_queue() {
    let server = Server::start(Duration::from_mins(1)).await;
    let computing = server.client(SCORE, "good morning");
    server.model.entered();
    let mut impatient = TcpStream::connect(server.address).unwrap();
    impatient.write_all(request(SCORE, "good night").as_bytes()).unwrap();
    server.until_inside(2).await;
    // A client that waits for its answer closes its sending side at once.
    tokio::time::sleep(Duration::from_millis(40)).await;
    drop(impatient);
    server.until_inside(1).await;
    server.model.open_for_good();
    assert!(computing.await.unwrap().starts_with("HTTP/1.1 200 OK"));
    server.stop.notify_one();
    assert!(server.serving.await.unwrap());
    assert_eq!(server.model.entered.try_iter().count(), 0, "no forward pass for the second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_its_side_gets_its_answer() {
    let server = Server::start(Duration::from_mins(1)).await;
    let last = request(SCORE, "good morning");
    let not_last = last.replace("connection: close\r\n", "");
    for request in [last, not_last] {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        server.model.open.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    server.model.open_for_good();
    server.stop.notify_one();
    assert!(server.serving.await.unwrap());
}

/// A server with a model that blocks until it is released.
struct Server {
    address: SocketAddr,
    app: moderato::http::App,
    model: Held,
    stop: Arc<Notify>,
    serving: tokio::task::JoinHandle<bool>,
}

impl Server {
    async fn start(grace: Duration) -> Self {
        let (entered, entries) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let holding = Holding { entered, opened: Mutex::new(opened) };
        let app = support::app(support::model_with(holding));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let shutdown = async move { stopped.notified().await };
        let drain = Drain { delay: Duration::ZERO, grace };
        let serving =
            tokio::spawn(serve(support::listener(listener), app.clone(), drain, shutdown));
        Self { address, app, model: Held { entered: entries, open }, stop, serving }
    }

    /// Sends a request from a thread of its own.
    fn client(&self, head: &str, text: &str) -> tokio::task::JoinHandle<String> {
        let (address, request) = (self.address, request(head, text));
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    }

    /// Waits until `n_requests` requests are in the engine.
    async fn until_inside(&self, n_requests: usize) {
        let mut queued = self.app.engine().unwrap().queued();
        queued.wait_for(|queued| queued.n_requests == n_requests).await.unwrap();
    }

    async fn until_unready(&self) {
        while self.app.lifecycle().phase() != moderato::lifecycle::Phase::Draining {
            tokio::task::yield_now().await;
        }
    }
}

struct Held {
    entered: mpsc::Receiver<()>,
    open: mpsc::Sender<()>,
}

impl Held {
    fn entered(&self) {
        self.entered.recv_timeout(Duration::from_mins(1)).unwrap();
    }

    fn open_for_good(&self) {
        for _ in 0..100 {
            self.open.send(()).unwrap();
        }
    }
}

#[derive(Debug)]
struct Holding {
    entered: mpsc::Sender<()>,
    opened: Mutex<mpsc::Receiver<()>>,
}

impl Forward for Holding {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        let _ = self.entered.send(());
        let _ = self.opened.lock().unwrap().recv();
        Ok(Logits(Array2::zeros((batch.n_windows(), 4))))
    }
}

const SCORE: &str = "POST /v1/score HTTP/1.1";

fn request(head: &str, text: &str) -> String {
    let body = serde_json::json!({ "input": text }).to_string();
    let length = body.len();
    format!(
        "{head}\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
