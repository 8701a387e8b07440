//! Renewal of result links that a file host refuses: one API request, with the key.
//!
//! The new link is valid for 20 minutes. Another client, without the key, downloads it.

use std::sync::Arc;

use reqwest::{Response, header};
use serde_json::json;

use super::{ApiKey, ConnectionReuse, KieClient, connection};
use crate::{
    adapters::file_limiter::limited_client,
    domain::{
        limiter::{AccountHash, RequestOutcome},
        link::VideoUrl,
        poll_result::PollError,
        task::TaskId,
    },
    ports::{BoxFuture, LinkRenewer},
};

const RENEWAL_PATH: &str = "/api/v1/common/download-url";

impl KieClient {
    async fn renew_with_permit(
        &self,
        task: &TaskId,
        url: &VideoUrl,
    ) -> Result<VideoUrl, PollError> {
        let cell = Arc::clone(&*self.key_cell.lock().await);
        let key = self.load_key(&cell).await?;
        let account = AccountHash::new(self.origin.as_str(), key.expose());
        let permit = limited_client::wait_for_permit(&self.limiter, task, account).await?;
        let link = self.request_link(key, url).await;
        permit.release(RequestOutcome::from_result(&link)).await;
        self.forget_refused_key(&cell, &link).await;
        link
    }

    async fn request_link(&self, key: &ApiKey, url: &VideoUrl) -> Result<VideoUrl, PollError> {
        let response = self.post_link_request(key, url).await?;
        self.read_api_reply(response, key).await?.parse_link()
    }

    async fn post_link_request(&self, key: &ApiKey, url: &VideoUrl) -> Result<Response, PollError> {
        // A new connection: a pooled one may just have been closed by the server.
        let client = match self.client(ConnectionReuse::Unpooled).await {
            Ok(client) => client,
            Err(error) => return Err(self.request_error(error)),
        };
        let sent = client
            .post(format!("{}{RENEWAL_PATH}", self.origin))
            .header(header::ACCEPT, "application/json")
            .bearer_auth(key.expose())
            .json(&json!({ "url": url.as_str() }))
            .send()
            .await;
        sent.map_err(|error| {
            let error = error.without_url();
            tracing::debug!(
                error = connection::error_chain(&error),
                "no response to a link renewal"
            );
            self.request_error(error)
        })
    }
}

impl LinkRenewer for KieClient {
    fn renew_link<'a>(
        &'a self,
        task: &'a TaskId,
        url: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>> {
        Box::pin(async move {
            match tokio::time::timeout(self.limits.total_timeout, self.renew_with_permit(task, url))
                .await
            {
                Ok(link) => link,
                Err(_) => Err(PollError::TimedOut),
            }
        })
    }
}
