//! Who a client is, for connections that it makes from now on.
//!
//! The safe wrapper takes credentials at the client's making only; a client that lives for weeks would keep those which
//! were rotated away.

use std::ffi::{CStr, CString};

use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

/// Why a client keeps its former credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCredentials {
    /// They cannot be handed over.
    #[error("the user's name or its password holds a zero byte")]
    ZeroByte,
    /// The client does not take them.
    #[error("the client says: {0}")]
    Refused(String),
}

/// Gives a client other credentials for SCRAM or PLAIN. Connections that are there stay; a connection that was refused
/// is tried anew at once.
///
/// # Errors
/// When they cannot be used; the former ones stay.
pub fn set<C: ClientContext>(
    client: &Client<C>,
    username: &str,
    password: &str,
) -> Result<(), RefusedCredentials> {
    let text = |text: &str| CString::new(text).map_err(|_| RefusedCredentials::ZeroByte);
    let (username, password) = (text(username)?, text(password)?);
    // SAFETY: the client is alive, and both C strings outlive the call, which copies them under the client's own lock.
    let error = unsafe {
        sys::rd_kafka_sasl_set_credentials(client.native_ptr(), username.as_ptr(), password.as_ptr())
    };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is not null and is destroyed once, after its text, a C string, has been copied.
    unsafe {
        let text = CStr::from_ptr(sys::rd_kafka_error_string(error));
        let reason = text.to_string_lossy().into_owned();
        sys::rd_kafka_error_destroy(error);
        Err(RefusedCredentials::Refused(reason))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::error::KafkaError;

    use super::*;

    #[test]
    fn a_client_takes_others_but_no_zero_byte() -> Result<(), KafkaError> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", "127.0.0.1:9")
            .create()?;
        assert_eq!(set(client.client(), "acme", "open sesame"), Ok(()));
        let refused = Err(RefusedCredentials::ZeroByte);
        assert_eq!(set(client.client(), "ac\0me", "open sesame"), refused);
        assert_eq!(set(client.client(), "acme", "open\0sesame"), refused);
        Ok(())
    }
}
