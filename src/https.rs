//! HTTP clients, and whose cryptography they speak TLS with: ring, which octocrab brings. One provider is enough to compile.

/// What a client is built from.
pub fn client() -> reqwest::ClientBuilder {
    // Whoever was first has set it; it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the provider is set")]
    reqwest::Client::builder()
}
