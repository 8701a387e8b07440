//! A TCP server that misbehaves to order: each connection plays a list of steps.
//!
//! It knows just enough HTTP to see where a request ends; what it answers is the test's own bytes.

#![expect(clippy::expect_used, reason = "a test server fails by panicking")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file takes what it needs of it"
)]

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Is one thing a connection does. After its last step it is closed in an orderly way.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Waits for a request and keeps its head for [`RawServer::requests`].
    Read,
    /// Sends bytes.
    Write(Vec<u8>),
    /// Sends what the test makes of the last request's head.
    Reply(ReplyFn),
    /// Sends bytes one at a time, with a pause after each, for ever from the start.
    Drip(&'static [u8], Duration),
    /// Sends one byte over and over, as fast as it is taken, until the client goes away; see
    /// [`RawServer::flooded`].
    Flood(u8),
    /// Breaks the connection off (RST).
    Reset,
    /// Says nothing more until the client goes away.
    Hold,
    /// Goes on once the test has set this to true.
    Await(watch::Receiver<bool>),
}

/// Makes an answer from the head of a request.
#[derive(Clone)]
pub(crate) struct ReplyFn(Arc<MakeReply>);

type MakeReply = dyn Fn(&str) -> Vec<u8> + Send + Sync;

impl Step {
    /// Returns a step that answers with what `make` makes of the request's head.
    pub(crate) fn reply(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Reply(ReplyFn(Arc::new(make)))
    }
}

impl fmt::Debug for ReplyFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// Is a server on loopback; it ends with the value.
#[derive(Debug)]
pub(crate) struct RawServer {
    address: std::net::SocketAddr,
    heads: mpsc::UnboundedReceiver<(usize, String)>,
    floods: mpsc::UnboundedReceiver<usize>,
    accepting: JoinHandle<()>,
}

impl RawServer {
    /// Starts a server whose first connection plays the first script and so on; the last one is for
    /// all others.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (send, heads) = mpsc::unbounded_channel();
        let (tell, floods) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts.get(connection).or(scripts.last()).cloned();
                let told = (send.clone(), tell.clone());
                tokio::spawn(run_script(
                    stream,
                    script.unwrap_or_default(),
                    connection,
                    told,
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

    /// Starts a server that reads a request and answers every connection with the same bytes.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![vec![Step::Read, Step::Write(bytes.into())]]).await
    }

    /// Returns the address as an origin.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the heads of all requests so far, each with the number of its connection.
    pub(crate) fn requests(&mut self) -> Vec<(usize, String)> {
        std::iter::from_fn(|| self.heads.try_recv().ok()).collect()
    }

    /// Waits for the end of a flood; returns how many of its bytes were taken, by the client or by
    /// its kernel.
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
                // The test may have ended already.
                heads.send((connection, head)).unwrap_or_default();
            }
            Step::Write(bytes) => {
                // The client may stop reading in the middle: that is often the point.
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
                let (piece, mut taken) = ([byte; 16 * 1024], 0);
                while let Ok(count) = stream.write(&piece).await {
                    taken += count;
                }
                floods.send(taken).unwrap_or_default();
                return;
            }
            Step::Reset => {
                stream.set_zero_linger().expect("a socket option");
                return;
            }
            Step::Await(mut gate) => {
                // A test that is over lets nobody through.
                if gate.wait_for(|is_open| *is_open).await.is_err() {
                    return;
                }
            }
            Step::Hold => while stream.read_u8().await.is_ok() {},
        }
    }
    // Closing with unread bytes would be a reset; a real end of the answer is wanted.
    stream.shutdown().await.unwrap_or_default();
    while stream.read_u8().await.is_ok() {}
}
