//! Load over HTTP/1.1 from a client with little overhead: requests are serialised in advance and
//! response bodies are not parsed.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moderato::text::Text;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Fallible;

/// Returns one serialised request per text, in order.
pub(crate) fn requests(texts: &[Text]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| request(text.as_str())).collect()
}

/// Returns the bytes of `POST /v1/score` with one text.
pub(crate) fn request(text: &str) -> Vec<u8> {
    let body = json!({"input": text}).to_string();
    let head = "POST /v1/score HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Returns when each request is due, as a time from the start: a Poisson process, the same for the
/// same seed.
pub(crate) fn arrivals(n_requests: usize, per_second: f64, seed: u64) -> Vec<Duration> {
    let mut state = seed;
    let mut due = Duration::ZERO;
    let arrive = |_| {
        due += Duration::from_secs_f64(-uniform(&mut state).ln() / per_second);
        due
    };
    (0..n_requests).map(arrive).collect()
}

/// Sends each request as soon as a connection is free; returns the seconds from sending each
/// request to its response.
pub(crate) async fn closed_loop(
    port: u16,
    n_connections: usize,
    requests: Vec<Vec<u8>>,
) -> Fallible<Vec<f64>> {
    send(port, n_connections, Load { requests, due: None }).await
}

/// Sends each request when it is due, or later if no connection is free; returns the seconds from
/// each due time to the response, so that waiting for a connection counts.
pub(crate) async fn open_loop(
    port: u16,
    n_connections: usize,
    requests: Vec<Vec<u8>>,
    due: Vec<Duration>,
) -> Fallible<Vec<f64>> {
    send(port, n_connections, Load { requests, due: Some(due) }).await
}

/// Requests and, for an open loop, when each of them is due.
struct Load {
    requests: Vec<Vec<u8>>,
    due: Option<Vec<Duration>>,
}

async fn send(port: u16, n_connections: usize, load: Load) -> Fallible<Vec<f64>> {
    let (load, next) = (Arc::new(load), Arc::new(AtomicUsize::new(0)));
    let mut connections = Vec::with_capacity(n_connections);
    for _ in 0..n_connections {
        connections.push(Connection::open(port).await?);
    }
    let start = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for mut connection in connections {
        let (load, next) = (Arc::clone(&load), Arc::clone(&next));
        senders.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = load.requests.get(index) else {
                    return Fallible::Ok(latencies);
                };
                let begin = match &load.due {
                    Some(due) => start + due[index],
                    None => Instant::now(),
                };
                tokio::time::sleep_until(begin).await;
                connection.exchange(request).await?;
                latencies.push(begin.elapsed().as_secs_f64());
            }
        });
    }
    let mut latencies = Vec::with_capacity(load.requests.len());
    while let Some(sent) = senders.join_next().await {
        latencies.extend(sent??);
    }
    Ok(latencies)
}

/// A keep-alive connection, and the bytes read of the current response.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> Fallible<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the whole response; any status but 200 is an error.
    async fn exchange(&mut self, request: &[u8]) -> Fallible<()> {
        let mut unsent = request;
        while !unsent.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(unsent) {
                Ok(n_bytes) => unsent = &unsent[n_bytes..],
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        self.buffer.clear();
        while !is_whole(&self.buffer)? {
            self.stream.readable().await?;
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(_) => {}
                Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }
}

/// Returns whether the bytes contain a complete response.
fn is_whole(bytes: &[u8]) -> Fallible<bool> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let Some(n_head) = bytes.windows(END_OF_HEAD.len()).position(|four| four == END_OF_HEAD) else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&bytes[..n_head])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("answered {}", head.lines().next().unwrap_or_default()).into());
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let n_body = length.ok_or("an answer without its length")??;
    Ok(bytes.len() >= n_head + END_OF_HEAD.len() + n_body)
}

/// Returns a number in (0, 1], by `SplitMix64` of Steele et al. (OOPSLA 2014, figure 17).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
}
