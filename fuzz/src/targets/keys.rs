//! The text of a key file.
//!
//! Input: the text.

use std::sync::LazyLock;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use logistics_chassis::identity::Verifier;

use super::token::{GOOD, auth};

/// The private part of both keys: this byte, all over. They are good for nothing but this target.
const SECRET: [u8; 32] = [7; 32];

/// PKCS #8 around an Ed25519 key.
const ED25519_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The same around a key on P-256.
const P256_HEAD: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04,
    0x20,
];

/// The public key of RFC 7515, appendix A.2.
const RSA: &str = r#"{"kty":"RSA","kid":"rsa","use":"sig","alg":"RS256","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;

pub(crate) static ED25519: LazyLock<EncodingKey> =
    LazyLock::new(|| EncodingKey::from_ed_der(&[ED25519_HEAD.as_slice(), &SECRET].concat()));

pub(crate) static P256: LazyLock<EncodingKey> =
    LazyLock::new(|| EncodingKey::from_ec_der(&[P256_HEAD.as_slice(), &SECRET].concat()));

/// The public parts, and one of a stranger.
pub(crate) static KEYS: LazyLock<String> = LazyLock::new(|| {
    let public = |key: &EncodingKey, algorithm, id: &str| match Jwk::from_encoding_key(key, algorithm) {
        Ok(mut jwk) => {
            jwk.common.key_id = Some(id.to_owned());
            jwk
        }
        Err(error) => panic!("the target's key {id}: {error}"),
    };
    let mut keys = vec![
        public(&ED25519, Algorithm::EdDSA, "ed25519"),
        public(&P256, Algorithm::ES256, "p256"),
    ];
    keys.extend(serde_json::from_str::<Jwk>(RSA));
    serde_json::to_string(&JwkSet { keys }).unwrap_or_default()
});

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(verifier) = Verifier::with_keys(&auth(), text.clone().into_owned()) else {
        return;
    };
    // Only whoever has the key may have signed: with other keys, the same token is worth nothing.
    for token in GOOD.iter() {
        if verifier.verify(Some(&format!("Bearer {token}"))).is_ok() {
            assert!(has_ours(&text), "a token was accepted with other keys: {text}");
        }
    }
}

/// Whether one of the keys is one of ours, whatever else is said of it.
fn has_ours(text: &str) -> bool {
    let set = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let (ours, theirs) = (set(&KEYS), set(text));
    let keys = |set: &serde_json::Value| set["keys"].as_array().cloned().unwrap_or_default();
    keys(&theirs).iter().any(|key| {
        keys(&ours)
            .iter()
            .any(|our| !our["x"].is_null() && our["x"] == key["x"])
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        KEYS.clone().into_bytes(),
        format!(r#"{{"keys":[{RSA}]}}"#).into_bytes(),
        br#"{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0"}]}"#.to_vec(),
        br#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":""}]}"#
            .to_vec(),
        br#"{"keys":[{"kty":"EC","crv":"P-384","alg":"ES384","x":"AA","y":"AA"}]}"#.to_vec(),
    ]
}
