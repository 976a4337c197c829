//! The value of an `authorization` header, with keys that are known.
//!
//! Input: a kind. 0: the header as it is. 1: a good token with some bytes changed. 2: claims, signed. 3: a token's header,
//! signed with good claims.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey};
use logistics_chassis::identity::{Principal, TokenError, Verifier};
use logistics_schemas::config::Auth;
use serde_json::json;

use super::keys::{ED25519, KEYS, P256};

/// The longest name that an account or a subject has, in bytes.
const LONGEST_NAME: usize = 256;
/// 2286-11-20: no token of the target expires.
const EXPIRES: u64 = 9_999_999_999;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| match Verifier::with_keys(&auth(), KEYS.clone()) {
    Ok(verifier) => verifier,
    Err(error) => panic!("the keys of the target: {error}"),
});

/// One of each algorithm that there is a private key for.
pub(crate) static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let claims = claims().to_string();
    [
        sign(r#"{"alg":"EdDSA"}"#, &claims, &ED25519, Algorithm::EdDSA),
        sign(
            r#"{"typ":"JWT","alg":"ES256","kid":"p256"}"#,
            &claims,
            &P256,
            Algorithm::ES256,
        ),
    ]
    .into()
});

pub(crate) fn auth() -> Auth {
    Auth {
        issuer: "https://issuer.test".to_owned(),
        audience: "logistics".to_owned(),
        jwks_file: "keys.json".into(),
    }
}

fn claims() -> serde_json::Value {
    json!({
        "iss": auth().issuer, "aud": auth().audience, "sub": "ann", "account_id": "acme", "roles": ["admin"],
        "exp": EXPIRES,
    })
}

fn sign(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    match jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm) {
        Ok(signature) => format!("{message}.{signature}"),
        Err(error) => panic!("the target cannot sign: {error}"),
    }
}

fn verify(token: &str) -> Result<Principal, TokenError> {
    VERIFIER.verify(Some(&format!("Bearer {token}")))
}

pub(crate) fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    match kind % 4 {
        0 => {
            if VERIFIER.verify(Some(&text)).is_ok() {
                let token = text.split_once(' ').map(|(_, token)| token.to_owned());
                assert!(
                    token.is_some_and(|token| GOOD.contains(&token)),
                    "a token that nobody signed is accepted: {text}"
                );
            }
        }
        1 => changed(rest),
        2 => {
            if let Ok(principal) = verify(&sign(r#"{"alg":"EdDSA"}"#, &text, &ED25519, Algorithm::EdDSA)) {
                within_limits(&principal, &text);
            }
        }
        _ => {
            let token = sign(&text, &claims().to_string(), &ED25519, Algorithm::EdDSA);
            if verify(&token).is_ok() {
                let header: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                assert_eq!(
                    header["alg"], "EdDSA",
                    "signed with one algorithm, accepted as of another: {text}"
                );
            }
        }
    }
}

/// Which token; then where, and what is there instead.
fn changed(input: &[u8]) {
    let Some((which, changes)) = input.split_first() else {
        return;
    };
    let good = &GOOD[usize::from(*which) % GOOD.len()];
    let mut token = good.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % token.len();
        token[at] = change[2];
    }
    let token = String::from_utf8_lossy(&token);
    let outcome = verify(&token);
    assert_eq!(outcome.is_ok(), token == good.as_str(), "{outcome:?}: {token}");
}

/// Who is let in has names of a length that can be kept, and nothing of it was made up.
fn within_limits(principal: &Principal, claims: &str) {
    let claims: serde_json::Value = serde_json::from_str(claims).unwrap_or_default();
    for (name, value) in [("sub", &principal.subject), ("account_id", &principal.account_id)] {
        assert!((1..=LONGEST_NAME).contains(&value.len()), "{name}: {value:?}");
        assert!(!value.contains('\0'), "{name}: PostgreSQL cannot keep {value:?}");
        assert_eq!(claims[name], value.as_str());
    }
    assert_eq!(claims["iss"], auth().issuer);
    let roles = claims["roles"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(
        principal
            .roles
            .iter()
            .all(|role| roles.iter().any(|one| one == role.name()))
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    assert!(
        claims["exp"].as_f64().is_some_and(|exp| exp >= now - 31.0),
        "a token without an end, or after it: {claims}"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let with = |kind: u8, rest: &[u8]| [&[kind], rest].concat();
    let mut seeds = vec![
        with(1, &[0]),
        with(1, &[1]),
        with(1, &[0, 0xff, 0, b'A']),
        with(2, claims().to_string().as_bytes()),
        with(
            3,
            br#"{"alg":"EdDSA","typ":"JWT","kid":"ed25519","crit":["b64"],"b64":false}"#,
        ),
        with(3, br#"{"alg":"none"}"#),
        with(
            3,
            br#"{"alg":"RS256","kid":"rsa","jwk":{"kty":"oct","k":"c2VjcmV0"},"x5c":["AA=="]}"#,
        ),
    ];
    for token in GOOD.iter() {
        seeds.push(with(0, format!("Bearer {token}").as_bytes()));
    }
    let mut more = claims();
    more["nbf"] = 1.into();
    more["aud"] = json!(["other", "logistics"]);
    more["exp"] = json!(9.9e9);
    seeds.push(with(2, more.to_string().as_bytes()));
    seeds
}
