//! A TCP server that runs a script of steps on each connection, for responses that no HTTP server
//! sends.
//!
//! It parses only the end of a request's head; the test supplies the bytes of each response.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Long, for a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns a response after which the server closes the connection.
pub(crate) fn http_response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Returns a successful response with this body.
pub(crate) fn json_response(body: &str) -> Vec<u8> {
    http_response("200 OK", "", body)
}

/// A step of a connection, which is closed cleanly after the last one.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Waits for a request and keeps its head for [`RawServer::requests`].
    Read,
    Write(Vec<u8>),
    /// Sends a response that the test builds from the last request's head.
    Reply(ReplyFn),
    /// Sends the bytes one at a time, with a pause after each, in an endless loop.
    Drip(&'static [u8], Duration),
    /// Sends one byte again and again, as fast as possible, until the client disconnects; see
    /// [`RawServer::flooded`].
    Flood(u8),
    /// Resets the connection (RST).
    Reset,
    /// Sends nothing more until the client disconnects.
    Hold,
    /// Waits until the test has set this to true.
    Await(watch::Receiver<bool>),
}

/// A function from the head of a request to a response.
#[derive(Clone)]
pub(crate) struct ReplyFn(Arc<MakeReply>);

type MakeReply = dyn Fn(&str) -> Vec<u8> + Send + Sync;

impl Step {
    pub(crate) fn reply(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Reply(ReplyFn(Arc::new(make)))
    }
}

impl fmt::Debug for ReplyFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// A server on loopback, stopped on drop.
#[derive(Debug)]
pub(crate) struct RawServer {
    address: std::net::SocketAddr,
    heads: mpsc::UnboundedReceiver<(usize, String)>,
    floods: mpsc::UnboundedReceiver<usize>,
    accepting: JoinHandle<()>,
}

impl RawServer {
    /// Starts a server that runs the first script on the first connection and so on; the last
    /// script is used for all further connections.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (head_sender, heads) = mpsc::unbounded_channel();
        let (flood_sender, floods) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts.get(connection).or(scripts.last()).cloned();
                let senders = (head_sender.clone(), flood_sender.clone());
                tokio::spawn(run_script(
                    stream,
                    script.unwrap_or_default(),
                    connection,
                    senders,
                ));
                connection += 1;
            }
        });
        Self {
            address,
            heads,
            floods,
            accepting,
        }
    }

    /// Starts a server that answers the first request of each connection with the same bytes.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![vec![Step::Read, Step::Write(bytes.into())]]).await
    }

    /// Starts a server that answers the first request of each connection with `make`.
    pub(crate) async fn replying(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(vec![vec![Step::Read, Step::reply(make)]]).await
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Drains the heads of the requests so far, each with the number of its connection.
    pub(crate) fn requests(&mut self) -> Vec<(usize, String)> {
        std::iter::from_fn(|| self.heads.try_recv().ok()).collect()
    }

    /// Waits for `count` requests, and drains their heads.
    pub(crate) async fn wait_for_requests(&mut self, count: usize) {
        let received = async {
            for _ in 0..count {
                self.heads.recv().await.expect("a running server");
            }
        };
        let received = tokio::time::timeout(REQUEST_TIMEOUT, received).await;
        received.expect("enough requests in time");
    }

    /// Waits for the end of a flood; returns how many bytes the client or its kernel accepted.
    pub(crate) async fn flooded(&mut self) -> usize {
        self.floods.recv().await.expect("a flood")
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn run_script(
    mut stream: TcpStream,
    script: Vec<Step>,
    connection: usize,
    (heads, floods): (
        mpsc::UnboundedSender<(usize, String)>,
        mpsc::UnboundedSender<usize>,
    ),
) {
    let mut last = String::new();
    for step in script {
        match step {
            Step::Read => {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                last.clone_from(&head);
                // The test may have finished already.
                heads.send((connection, head)).unwrap_or_default();
            }
            Step::Write(bytes) => {
                // The client may stop reading early, often on purpose.
                stream.write_all(&bytes).await.unwrap_or_default();
            }
            Step::Reply(ReplyFn(make)) => {
                stream.write_all(&make(&last)).await.unwrap_or_default();
            }
            Step::Drip(bytes, pause) => {
                let mut ticks = tokio::time::interval(pause);
                for byte in bytes.iter().cycle() {
                    ticks.tick().await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                }
            }
            Step::Flood(byte) => {
                let (chunk, mut accepted) = ([byte; 16 * 1024], 0);
                while let Ok(count) = stream.write(&chunk).await {
                    accepted += count;
                }
                floods.send(accepted).unwrap_or_default();
                return;
            }
            Step::Reset => {
                stream.set_zero_linger().expect("a socket option");
                return;
            }
            Step::Await(mut gate) => {
                // The sender is dropped when the test has finished.
                if gate.wait_for(|is_open| *is_open).await.is_err() {
                    return;
                }
            }
            Step::Hold => while stream.read_u8().await.is_ok() {},
        }
    }
    // Closing with unread bytes would reset the connection instead of ending the response.
    stream.shutdown().await.unwrap_or_default();
    while stream.read_u8().await.is_ok() {}
}
