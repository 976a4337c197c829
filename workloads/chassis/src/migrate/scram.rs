//! The SCRAM-SHA-256 verifier of a password, as PostgreSQL stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

/// PostgreSQL's own default.
const ITERATIONS: u32 = 4096;

/// The verifier of `password` with a fresh salt; `None` unless it is printable ASCII, for which no normalisation is
/// needed.
pub(super) fn verifier(password: &str) -> Option<String> {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    with_salt(password, &salt)
}

fn with_salt(password: &str, salt: &[u8]) -> Option<String> {
    if !password.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return None;
    }
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, ITERATIONS);
    let stored_key = Sha256::digest(mac(&salted, b"Client Key")?);
    let server_key = mac(&salted, b"Server Key")?;
    Some(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        BASE64.encode(salt),
        BASE64.encode(stored_key),
        BASE64.encode(server_key),
    ))
}

fn mac(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: the same salt and password; the keys verify its exchange.
    #[test]
    fn the_verifier_accepts_the_exchange_of_the_rfc() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = with_salt("pencil", &salt).unwrap();
        let server_key = verifier.rsplit(':').next().unwrap();
        let auth_message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = mac(&BASE64.decode(server_key).unwrap(), auth_message).unwrap();
        assert_eq!(
            BASE64.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn salts_differ_and_other_than_ascii_is_refused() {
        assert_ne!(verifier("secret"), verifier("secret"));
        assert_eq!(verifier("pässword"), None);
    }
}
