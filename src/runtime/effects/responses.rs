//! Sends responses to the event loop, waiting for room. They are dropped only if it has ended.

use tokio::sync::mpsc;

use crate::app::msg::Msg;

pub(super) async fn send_response(responses: &mpsc::Sender<Msg>, msg: Msg) {
    if responses.send(msg).await.is_err() {
        tracing::debug!("dropped a response: the event loop has ended");
    }
}

/// Sends a response from a thread that may block.
pub(super) fn send_blocking(responses: &mpsc::Sender<Msg>, msg: Msg) {
    if responses.blocking_send(msg).is_err() {
        tracing::debug!("dropped a response: the event loop has ended");
    }
}
