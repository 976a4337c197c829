//! Verifies tokens: JWTs signed with a key of the key file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use logistics_schemas::config::Auth;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{Principal, Role};

/// What a key may sign with. Never `none`, never a shared secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];
/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 30;
/// How often the key file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// Tokens that are remembered as verified: a signature costs more to verify than all else that a request does here.
const MAX_KNOWN: usize = 4_096;
/// Longest `sub` and `account_id`, in bytes.
const MAX_NAME: usize = 256;
/// Largest key file, in bytes.
const MAX_KEY_FILE: usize = 1 << 20;

/// Why the key file was refused.
#[derive(Debug, thiserror::Error)]
#[error("auth.jwksFile: {path}: {reason}; give a JSON Web Key Set with ES256, RS256 or EdDSA keys")]
pub struct KeyFileError {
    path: PathBuf,
    reason: String,
}

/// Why a token was refused. The text is for the caller and says nothing of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `authorization` header.
    #[error("no token; send `authorization: Bearer <JWT>`")]
    Missing,
    /// Another scheme, or no JWT.
    #[error("the authorization header is not `Bearer <JWT>`")]
    Malformed,
    /// `alg` is not allowed.
    #[error("the token's algorithm is not accepted; ES256, RS256 and EdDSA are")]
    Algorithm,
    /// `kid` names no known key.
    #[error("the token's key (kid) is not known here")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` is over.
    #[error("the token has expired; get a new one")]
    Expired,
    /// `nbf` is ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// `iss` is another.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// `aud` does not name this platform.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing or has the wrong form.
    #[error("the token needs the claims iss, aud, exp, sub, account_id and roles")]
    Claims,
}

#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970; may have a fraction.
    exp: f64,
    sub: String,
    account_id: String,
    roles: Vec<String>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

#[derive(Default)]
struct Keys {
    text: String,
    all: Vec<Key>,
    known: Known,
}

/// Tokens that were verified with these keys, so they go when the keys do.
#[derive(Default)]
struct Known(Mutex<HashMap<String, Verified>>);

struct Verified {
    principal: Principal,
    /// Seconds since 1970.
    expires: f64,
}

impl Known {
    /// The caller, unless the token was not verified before or has expired since.
    fn find(&self, token: &str) -> Option<Principal> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verified = known.get(token)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        // Without leeway: who is within it is looked at again.
        (now < verified.expires).then(|| verified.principal.clone())
    }

    fn keep(&self, token: &str, verified: Verified) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(token.to_owned(), verified);
    }
}

/// Verifies tokens; clones share the keys.
#[derive(Clone)]
pub struct Verifier {
    path: Arc<PathBuf>,
    issuer: Arc<str>,
    audience: Arc<str>,
    keys: Arc<RwLock<Keys>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads the key file.
    pub fn load(auth: &Auth) -> Result<Self, KeyFileError> {
        Self::with_keys(auth, read(&auth.jwks_file)?)
    }

    /// Takes this text as that of the key file.
    pub fn with_keys(auth: &Auth, text: String) -> Result<Self, KeyFileError> {
        let keys = parse(&auth.jwks_file, text)?;
        Ok(Self {
            path: Arc::new(auth.jwks_file.clone()),
            issuer: auth.issuer.as_str().into(),
            audience: auth.audience.as_str().into(),
            keys: Arc::new(RwLock::new(keys)),
        })
    }

    /// Follows the key file until `stop`. A file that cannot be read leaves the keys as they are.
    pub async fn reload(self, stop: CancellationToken) {
        let mut complained = String::new();
        while stop
            .run_until_cancelled(tokio::time::sleep(RELOAD_INTERVAL))
            .await
            .is_some()
        {
            match self.reload_once() {
                Ok(true) => tracing::info!(path = %self.path.display(), "token keys reloaded"),
                Ok(false) => {}
                Err(error) if error.to_string() == complained => {}
                Err(error) => {
                    tracing::warn!(%error, "the former token keys stay");
                    complained = error.to_string();
                }
            }
        }
    }

    /// Takes the keys over when the file has changed; says whether it had.
    pub fn reload_once(&self) -> Result<bool, KeyFileError> {
        let text = read(&self.path)?;
        if self.keys.read().unwrap_or_else(PoisonError::into_inner).text == text {
            return Ok(false);
        }
        let keys = parse(&self.path, text)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(true)
    }

    /// The caller that the value of an `authorization` header stands for.
    pub fn verify(&self, authorization: Option<&str>) -> Result<Principal, TokenError> {
        let header = authorization.ok_or(TokenError::Missing)?;
        let (scheme, token) = header.split_once(' ').ok_or(TokenError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        // Held until the end: what is kept was verified with the keys that it is kept with.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(principal) = keys.known.find(token) {
            return Ok(principal);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            // An `alg` that the library does not know, such as `none`.
            ErrorKind::Json(_) | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
            _ => TokenError::Malformed,
        })?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);

        let mut refused = TokenError::UnknownKey;
        for key in &keys.all {
            let wanted = header.kid.is_none() || header.kid == key.id;
            if !wanted || key.algorithm != header.alg {
                continue;
            }
            match jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation) {
                Ok(data) => {
                    let expires = data.claims.exp;
                    let principal = principal(data.claims)?;
                    let verified = Verified {
                        principal: principal.clone(),
                        expires,
                    };
                    keys.known.keep(token, verified);
                    return Ok(principal);
                }
                Err(error) => refused = refusal(error.kind()),
            }
            if refused != TokenError::Signature {
                break;
            }
        }
        Err(refused)
    }
}

fn principal(claims: Claims) -> Result<Principal, TokenError> {
    // PostgreSQL cannot keep a zero byte.
    let named = |name: &str| !name.is_empty() && name.len() <= MAX_NAME && !name.contains('\0');
    if !named(&claims.sub) || !named(&claims.account_id) {
        return Err(TokenError::Claims);
    }
    Ok(Principal {
        subject: claims.sub,
        account_id: claims.account_id,
        // Roles of other systems may stand beside ours.
        roles: claims
            .roles
            .iter()
            .filter_map(|name| Role::from_name(name))
            .collect(),
    })
}

fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYet,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) | ErrorKind::Json(_) => {
            TokenError::Claims
        }
        _ => TokenError::Malformed,
    }
}

fn read(path: &Path) -> Result<String, KeyFileError> {
    let refuse = |reason: String| KeyFileError {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    if text.len() > MAX_KEY_FILE {
        return Err(refuse(format!("has over {MAX_KEY_FILE} bytes")));
    }
    Ok(text)
}

fn parse(path: &Path, text: String) -> Result<Keys, KeyFileError> {
    let refuse = |reason: String| KeyFileError {
        path: path.to_owned(),
        reason,
    };
    let set: JwkSet = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let Some(algorithm) = algorithm(jwk) else { continue };
        let id = jwk.common.key_id.as_deref().unwrap_or("without kid");
        let decoding = DecodingKey::from_jwk(jwk).map_err(|error| refuse(format!("key {id}: {error}")))?;
        // Verifying with a key of Ed25519 that is too short would panic.
        let length = decoding.try_get_as_bytes().map(<[u8]>::len).ok();
        let right = length_of(algorithm);
        if right.is_some() && length != right {
            let (length, right) = (length.unwrap_or_default(), right.unwrap_or_default());
            return Err(refuse(format!("key {id} has {length} bytes, not {right}")));
        }
        keys.push(Key {
            id: jwk.common.key_id.clone(),
            algorithm,
            decoding,
        });
    }
    if keys.is_empty() {
        return Err(refuse("has no usable key".to_owned()));
    }
    Ok(Keys {
        text,
        all: keys,
        known: Known::default(),
    })
}

/// How many bytes a public key has; `None` where that differs. A point on P-256 has a byte before its coordinates.
const fn length_of(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::EdDSA => Some(32),
        Algorithm::ES256 => Some(1 + 32 + 32),
        _ => None,
    }
}

/// What the key signs with, if that is allowed.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};

    let by_type = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let stated = match jwk.common.key_algorithm {
        None => by_type,
        Some(KeyAlgorithm::ES256) => Algorithm::ES256,
        Some(KeyAlgorithm::RS256) => Algorithm::RS256,
        Some(KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
        Some(_) => return None,
    };
    (stated == by_type).then_some(stated)
}

#[cfg(test)]
mod tests;
