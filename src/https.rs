//! HTTP clients, and whose cryptography they speak TLS with: ring, which octocrab brings. One provider is enough to compile.

/// A builder of a client that speaks TLS with it.
pub fn client_builder() -> reqwest::ClientBuilder {
    // Whoever was first has set it; it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the provider is set")]
    reqwest::Client::builder()
}
