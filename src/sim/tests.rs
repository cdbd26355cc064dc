//! The simulator from outside: what does a client that only knows the wire get?

mod batches;
mod books;
mod caching;
mod faults;
mod messages;
mod oracle;
mod scripts;
mod streams;
mod validation;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::script::Script;
use super::server::{Options, Simulator};

/// A response as it came over the socket, without the help of an HTTP library.
#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: Vec<u8>,
    /// The connection ended before the head's promise was kept.
    cut: bool,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

async fn start(script: &str) -> Simulator {
    start_with(script, Options::default()).await
}

async fn start_with(script: &str, options: Options) -> Simulator {
    Simulator::start(Script::parse("test.yaml", script).unwrap(), options).await.unwrap()
}

/// A body that the real API takes.
fn asking(prompt: &str) -> Value {
    json!({"model": "claude-haiku-4-5", "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]})
}

const HEADERS: &[(&str, &str)] = &[("x-api-key", "sk-ant-test"), ("anthropic-version", "2026-10-21"), ("content-type", "application/json")];

async fn post(simulator: &Simulator, body: &Value) -> Answered {
    send(simulator, "POST", "/v1/messages", HEADERS, body.to_string().as_bytes()).await.unwrap()
}

async fn get(simulator: &Simulator, path: &str) -> Answered {
    send(simulator, "GET", path, HEADERS, b"").await.unwrap()
}

/// Sends one request on a connection of its own and reads to its end.
async fn send(simulator: &Simulator, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answered> {
    let mut stream = TcpStream::connect(simulator.address()).await?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: simulator\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut received = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut received)).await.map_err(std::io::Error::other)??;
    read(&received)
}

/// Takes a response apart; nothing at all is the error of a connection that closed.
fn read(received: &[u8]) -> std::io::Result<Answered> {
    let split = received.windows(4).position(|window| window == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(received[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &received[split + 4..];
    let mut answered = Answered { status, head, body: rest.to_vec(), cut: false };
    if answered.header("transfer-encoding") == Some("chunked") {
        (answered.body, answered.cut) = unchunk(rest);
    } else if let Some(length) = answered.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        answered.cut = rest.len() < length;
    }
    Ok(answered)
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, true) };
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return (body, false);
        }
        if rest.len() < length + 2 {
            body.extend_from_slice(&rest[..length.min(rest.len())]);
            return (body, true);
        }
        body.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
    }
}
