//! How is an HTTP client made: TLS, certificates, proxies, redirects?

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect, retry};

use crate::endpoint::EndpointError;
use crate::endpoint::address::Address;

/// How long a connection may take to stand (as the official Python client).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps idle connections alive through NAT while a long reply is thought about (wire reference, 3.2).
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A client for one endpoint. For https this reads the machine's certificates, so it is called when the first request goes out.
pub(crate) fn build(endpoint: &str, address: &Address) -> Result<Client, EndpointError> {
    // Reading the machine's certificates takes milliseconds and fails where there are none; plain http on this machine needs neither.
    if address.is_loopback() && !address.is_https() {
        return without_certificates(builder().no_proxy()).map_err(|error| failed(endpoint, &error));
    }
    // Fails only where the process has installed one already, which then serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxied = || if address.is_loopback() { builder().no_proxy() } else { builder() };
    match proxied().build() {
        Ok(client) => Ok(client),
        Err(_) if !address.is_https() => without_certificates(proxied()).map_err(|error| failed(endpoint, &error)),
        Err(error) => Err(failed(endpoint, &error)),
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("promptkeel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        // A redirect would carry the key elsewhere or turn the POST into a GET.
        .redirect(redirect::Policy::none())
        // Retries have one place, which counts and reports them.
        .retry(retry::never())
}

/// Speaks plain http only.
pub(crate) fn without_certificates(builder: ClientBuilder) -> reqwest::Result<Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    builder.tls_backend_preconfigured(tls).build()
}

fn failed(endpoint: &str, error: &reqwest::Error) -> EndpointError {
    let reason = chain(error);
    let endpoint = endpoint.to_owned();
    if reason.contains("CA certificates") { EndpointError::NoCertificates { endpoint } } else { EndpointError::Client { endpoint, reason } }
}

/// An error with its causes, in one line; reqwest's own words say only `error sending request`.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
