//! What if a server sends whatever it likes? A listener that writes bytes as a test spells them, and a command that may not grow or hang.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Project, Ran};

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Answers one connection, and closes it by returning.
type Answer = dyn Fn(&Heard, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A server that answers every request by one function.
pub(crate) struct RawServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    stopped: Arc<AtomicBool>,
}

impl RawServer {
    pub(crate) fn start(answer: impl Fn(&Heard, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (requests, ended, answer): (_, _, Arc<Answer>) = (Arc::clone(&heard), Arc::clone(&stopped), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(mut stream), requests, answer) = (stream, Arc::clone(&requests), Arc::clone(&answer)) else { continue };
                std::thread::spawn(move || {
                    let Some(request) = read(&mut stream) else { return };
                    requests.lock().unwrap().push(request.clone());
                    // A client that has heard enough hangs up.
                    let _ = answer(&request, &mut stream);
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    let _ = stream.read(&mut [0; 1024]);
                });
            }
        });
        Self { address, heard, stopped }
    }

    /// Every request gets this whole response.
    pub(crate) fn bytes(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |_, stream| stream.write_all(&response))
    }

    /// Every request gets this body with status 200 as JSON.
    pub(crate) fn body(body: impl AsRef<[u8]>) -> Self {
        Self::bytes(response("200 OK", "content-type: application/json\r\n", body.as_ref()))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the listener, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length =
        head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:").map(|value| value.trim().to_owned()));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    Some(Heard { head, body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned() })
}

/// A response with its length; `headers` are whole lines.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes();
    response.extend_from_slice(body);
    response
}

/// A message of the API with this content, as JSON text.
pub(crate) fn message(content: &Value) -> String {
    serde_json::json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5},
    })
    .to_string()
}

/// A message of one text.
pub(crate) fn saying(text: &str) -> String {
    message(&serde_json::json!([{"type": "text", "text": text}]))
}

/// Kilobytes of address space that a bounded command may take: replies of 64 MB with all their copies fit, an endless one does not.
const MEMORY: u64 = 2_500_000;

/// Runs a command of the built binary with bounded memory, and kills it when it takes longer than `limit`.
pub(crate) fn bounded(project: &Project, arguments: &[&str], limit: Duration) -> Ran {
    let plain = project.command(arguments);
    let mut script = format!("ulimit -v {MEMORY}; exec");
    for word in std::iter::once(plain.get_program()).chain(plain.get_args()) {
        let _ = write!(script, " '{}'", word.to_str().unwrap());
    }
    #[expect(clippy::disallowed_methods, reason = "a test bounds the built binary as a person's shell does")]
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(project.root()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // Each arena of the allocator reserves address space that is never used.
    command.env("MALLOC_ARENA_MAX", "2");
    let streams = tempfile::tempdir().unwrap();
    let (out, err) = (streams.path().join("stdout"), streams.path().join("stderr"));
    let file = |path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            let told = std::fs::read(&err).unwrap();
            panic!("{arguments:?} took longer than {limit:?}: {}", String::from_utf8_lossy(&told));
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for, whose clock nobody can pause")]
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |path| {
        let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
        text.replace(project.root().canonicalize().unwrap().to_str().unwrap(), "[PROJECT]")
    };
    Ran { code: status.code().unwrap_or(-1), stdout: text(&out), stderr: text(&err) }
}
