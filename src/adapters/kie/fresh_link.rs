//! A fresh link to a file whose recorded one was refused: one call with the key, to the API and nowhere else.
//!
//! The link it returns lives for 20 minutes and is fetched by another client, without the key.

use std::sync::Arc;

use reqwest::{Response, header};
use serde_json::json;

use super::{ApiKey, KieClient, Reuse, connection};
use crate::{
    adapters::turns::asking,
    domain::{
        link::VideoUrl,
        report::PollError,
        task::TaskId,
        turns::{Account, Heard},
    },
    ports::{FreshLinks, Pending},
};

/// Where fresh links are asked for.
const PATH: &str = "/api/v1/common/download-url";

impl KieClient {
    async fn ask_for_link(&self, task: &TaskId, url: &VideoUrl) -> Result<VideoUrl, PollError> {
        let cell = Arc::clone(&*self.key.lock().await);
        let key = self.key_in(&cell).await?;
        let account = Account::of(self.origin.as_str(), key.expose());
        let turn = asking::wait_for(&self.turns, task, account).await?;
        let link = self.ask_with(key, url).await;
        turn.end(Heard::of(&link)).await;
        self.forget_refused(&cell, &link).await;
        link
    }

    async fn ask_with(&self, key: &ApiKey, url: &VideoUrl) -> Result<VideoUrl, PollError> {
        let response = self.post_link(key, url).await?;
        self.straight(response, key).await?.link()
    }

    async fn post_link(&self, key: &ApiKey, url: &VideoUrl) -> Result<Response, PollError> {
        // On a connection of its own, so that none just closed by the server is taken.
        let client = match self.client(Reuse::Fresh).await {
            Ok(client) => client,
            Err(error) => return Err(self.unanswered(error)),
        };
        let sent = client
            .post(format!("{}{PATH}", self.origin))
            .header(header::ACCEPT, "application/json")
            .bearer_auth(key.expose())
            .json(&json!({ "url": url.as_str() }))
            .send()
            .await;
        sent.map_err(|error| {
            let error = error.without_url();
            tracing::debug!(error = connection::chain(&error), "no answer about a link");
            self.unanswered(error)
        })
    }
}

impl FreshLinks for KieClient {
    fn fresh_link<'a>(
        &'a self,
        task: &'a TaskId,
        url: &'a VideoUrl,
    ) -> Pending<'a, Result<VideoUrl, PollError>> {
        Box::pin(async move {
            match tokio::time::timeout(self.limits.total, self.ask_for_link(task, url)).await {
                Ok(link) => link,
                Err(_) => Err(PollError::TimedOut),
            }
        })
    }
}
