//! The server: how does it start, listen, tell what it saw, and stop?

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::journal::Received;
use super::script::Script;
use super::service::Service;
use super::socket::{Line, Socket};

/// How long a stop waits for answers that are under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the simulator serves; what is set here goes before what the script says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Decides, with each body, which requests the random faults hit and when a rule with a chance holds; in batches the order of results, and
    /// which requests miss what is cached.
    pub seed: u64,
    /// Answers that were drawn before: chances go on, and do not fall again as they fell.
    pub earlier: u64,
    /// The part of the requests to `/v1/messages` that fail, from 0 to 1; above 0 it replaces the script's rate.
    pub fault_rate: f64,
    /// Added before every answer of `/v1/messages`.
    pub latency: Duration,
    /// Enforced with 429 and `retry-after`; `None` leaves it to the script.
    pub requests_per_minute: Option<u32>,
    /// So many requests may come at once where a limit is enforced; `None`: a minute's worth. The API's own limits hold for shorter times too.
    pub request_burst: Option<u32>,
    /// How many of the last requests [`Simulator::journal`] remembers. 0 where nobody reads it: keeping bodies costs a fifth of the speed.
    pub journal: usize,
    /// By which the prompt cache expires, batches end and prices have their day.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 0,
            earlier: 0,
            fault_rate: 0.0,
            latency: Duration::ZERO,
            requests_per_minute: None,
            request_burst: None,
            journal: 1024,
            clock: Clock::default(),
        }
    }
}

/// A running simulator. Dropping it stops it at once; [`Simulator::stop`] lets answers finish.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    service: Arc<Service>,
    accepting: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Listens, and answers from `script` until it is stopped.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn start(script: Script, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        let service = Arc::new(Service::new(script, &options));
        let (accepting, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, Arc::clone(&service), accepting.clone(), tasks.clone()));
        Ok(Self { address, service, accepting, tasks })
    }

    /// The base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests to `/v1/messages` answered or faulted so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.service.requests()
    }

    /// The last requests, the oldest first; credentials are left out.
    #[must_use]
    pub fn journal(&self) -> Vec<Received> {
        self.service.journal()
    }

    /// What `GET /__sim/stats` answers.
    #[must_use]
    pub fn stats(&self) -> Value {
        self.service.stats()
    }

    /// What the API would have billed for all replies that were made so far, and for those that broke on their way: dollars at list prices.
    #[must_use]
    pub fn dollars(&self) -> (String, String) {
        self.service.dollars()
    }

    /// Takes no more requests, lets answers that are under way finish (without their delays; hanging ones end at once), and closes.
    pub async fn stop(self) {
        self.accepting.cancel();
        self.service.stop_waiting();
        self.tasks.close();
        // Whoever does not finish in time is cut off when the last handle goes: `cut_off` ends its connection.
        if tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_err() {
            self.service.cut_off();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.accepting.cancel();
        self.service.stop_waiting();
        self.service.cut_off();
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>, accepting: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = accepting.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small: waiting to fill a packet would only add delay. A socket that is gone already shows itself when it is read.
                let _ = stream.set_nodelay(true);
                let line = Line::default();
                tasks.spawn(serve(Socket::new(stream, line.clone()), line, Arc::clone(&service), accepting.clone()));
            }
            // Too many open files, or a client that left while waiting: the next may do better, but not at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn serve(socket: Socket, line: Line, service: Arc<Service>, accepting: CancellationToken) {
    service.connected();
    let cut_off = service.cut_off_token();
    let answer = service_fn(move |request| {
        let (service, line) = (Arc::clone(&service), line.clone());
        async move { service.answer(request, &line).await }
    });
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(socket), answer);
    tokio::pin!(connection);
    // An error here is a fault that the script asked for, or a client that left: neither is the server's trouble.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = accepting.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = cut_off.cancelled() => {}
    }
}
