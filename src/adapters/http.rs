//! HTTP for the API client and the downloads: construction of clients.
//!
//! Every HTTP client, also in tests, is built by [`build_client`]: it installs the TLS provider,
//! without which reqwest builds no client, not even for plain http.

use std::{fmt, sync::Arc};

use reqwest::{Certificate, Client, ClientBuilder, redirect::Policy};
use rustls::crypto::CryptoProvider;
use tokio::{sync::OnceCell, task};

pub mod allowed_hosts;
pub(super) mod errors;
pub(super) mod headers;
pub mod proxy;

/// Returns the settings that all clients share: no redirects, no referrer, no retries.
pub(super) fn client_settings() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("kietop/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
}

/// Builds a client, also on machines without certificate authorities.
///
/// Without system certificates (slim containers), reqwest cannot build a client at all
/// (seanmonstar/reqwest#2965), so Mozilla's root certificates are used instead.
///
/// Takes a few milliseconds and reads the disk, so it must not run on the event loop.
pub fn build_client(settings: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    if CryptoProvider::get_default().is_none() {
        let installed = rustls::crypto::ring::default_provider().install_default();
        if installed.is_err() {
            tracing::debug!("another thread has installed the TLS provider");
        }
    }
    settings().build().or_else(|error| {
        tracing::debug!(
            error = errors::error_chain(&error),
            "no client with system certificates; using Mozilla's"
        );
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|root| Certificate::from_der(root))
            .collect::<Result<Vec<_>, _>>()?;
        settings().tls_certs_merge(roots).build()
    })
}

/// A client that is built for its first request.
pub(super) struct LazyClient {
    settings: Arc<dyn Fn() -> ClientBuilder + Send + Sync>,
    client: OnceCell<Client>,
}

impl LazyClient {
    pub(super) fn new(settings: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Self {
        Self {
            settings: Arc::new(settings),
            client: OnceCell::const_new(),
        }
    }

    /// Returns the client; builds it on the blocking pool.
    pub(super) async fn get(&self) -> reqwest::Result<&Client> {
        let build = || async {
            let settings = Arc::clone(&self.settings);
            match task::spawn_blocking(move || build_client(&*settings)).await {
                Ok(client) => client,
                // The runtime is shutting down and takes no more work: nobody awaits the response.
                Err(_) => build_client(&*self.settings),
            }
        };
        self.client.get_or_try_init(build).await
    }
}

impl fmt::Debug for LazyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyClient")
    }
}
