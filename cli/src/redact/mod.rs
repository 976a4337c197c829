//! Takes secrets out of what is shown or handed on. Better a value too many than one too few.

mod object;
mod text;

pub use object::Redactor;
pub use text::text;

/// What stands in for a value that was taken out.
pub const MASK: &str = "<redacted>";

/// Whether a name says that its value is a secret.
#[must_use]
pub fn secret_name(name: &str) -> bool {
    const WORDS: [&str; 17] = [
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "credential",
        "apikey",
        "accesskey",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "authorization",
        "cookie",
        "sessionid",
        "jaas",
        "dsn",
    ];
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    // These only name the place of a secret.
    let place = ["file", "path", "name", "ref", "dir", "mount"]
        .iter()
        .any(|end| plain.ends_with(end));
    !place && (WORDS.iter().any(|word| plain.contains(word)) || plain == "pass")
}

#[cfg(test)]
mod tests {
    use super::secret_name;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "DB_PASSWORD",
            "apiToken",
            "API_KEY",
            "client-secret",
            "Authorization",
            "X-Session-Id",
            "sasl.jaas.config",
        ] {
            assert!(secret_name(name), "{name}");
        }
        for name in [
            "secretName",
            "tokenPath",
            "LOGISTICS_CONFIG",
            "passwordFile",
            "keyspace",
            "bootstrapServers",
        ] {
            assert!(!secret_name(name), "{name}");
        }
    }
}
