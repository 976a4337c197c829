//! How a cluster is reached: whom it trusts, and who asks.

use std::fmt;

use rdkafka::config::ClientConfig;

/// How brokers are verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// TLS against the system's authorities.
    System,
    /// TLS against these PEM certificates.
    Pem(String),
    /// Plain text.
    Disabled,
}

/// A user and its password. The `Debug` output shows the user only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Who connects to brokers that ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sasl {
    /// The registered name of how the password is shown to be known, for example `SCRAM-SHA-512`.
    pub mechanism: &'static str,
    /// The user.
    pub credentials: Credentials,
}

/// Has a client verify brokers, and say who it is.
pub(crate) fn configure(config: &mut ClientConfig, trust: &Trust, sasl: Option<&Sasl>) {
    match trust {
        Trust::Disabled => {}
        Trust::System => {
            config.set("ssl.ca.location", "probe");
        }
        Trust::Pem(pem) => {
            config.set("ssl.ca.pem", pem);
        }
    }
    let protocol = match (trust, sasl) {
        (Trust::Disabled, None) => "plaintext",
        (Trust::Disabled, Some(_)) => "sasl_plaintext",
        (_, None) => "ssl",
        (_, Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(Sasl {
        mechanism,
        credentials,
    }) = sasl
    {
        config
            .set("sasl.mechanism", *mechanism)
            .set("sasl.username", &credentials.username)
            .set("sasl.password", &credentials.password);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let sasl = Sasl {
            mechanism: "PLAIN",
            credentials: Credentials {
                username: "acme".into(),
                password: "open-sesame".into(),
            },
        };
        let shown = format!("{sasl:?}");
        assert!(
            shown.contains("acme") && !shown.contains("open-sesame"),
            "{shown}"
        );
    }
}
