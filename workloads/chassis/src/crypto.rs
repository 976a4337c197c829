//! The cryptography behind TLS.

/// Makes *ring* the process's provider. Call it before the first TLS connection or HTTP client; again does nothing.
pub fn install_provider() {
    // Refused only where there is one already, and all of this workspace use the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
