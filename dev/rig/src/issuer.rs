//! A token issuer for tests: one ES256 key, its JWKS, and the tokens it signs.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// How long a token is valid when nothing else is asked for.
const LIFETIME: Duration = Duration::from_hours(1);

/// Signs tokens for one issuer and audience.
pub struct Issuer {
    url: String,
    audience: String,
    pem: String,
    key: EncodingKey,
    jwk: Jwk,
}

/// What a token says. Change what a test is about, then [`Issuer::sign`] it.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// Subject: who acts.
    pub sub: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
    /// `admin`, `user`, `shipman`.
    pub roles: Vec<String>,
    /// The account whose rows the subject may see.
    pub account_id: String,
}

impl Issuer {
    /// An issuer with a new key.
    pub fn generate(issuer: &str, audience: &str) -> Result<Self> {
        let key = rcgen::KeyPair::generate().context("generate a P-256 key")?;
        Self::from_pem(&key.serialize_pem(), issuer, audience)
    }

    /// An issuer with the key of a file, PKCS #8 PEM.
    pub fn from_file(path: &Path, issuer: &str, audience: &str) -> Result<Self> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::from_pem(&pem, issuer, audience).with_context(|| format!("key file {}", path.display()))
    }

    /// An issuer with a P-256 key, PKCS #8 PEM.
    pub fn from_pem(pem: &str, issuer: &str, audience: &str) -> Result<Self> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).context("read a P-256 key as PKCS #8 PEM")?;
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            url: issuer.to_owned(),
            audience: audience.to_owned(),
            pem: pem.to_owned(),
            key,
            jwk,
        })
    }

    /// The private key, PKCS #8 PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The public keys: a JSON Web Key Set.
    pub fn jwks(&self) -> Result<String> {
        let keys = vec![self.jwk.clone()];
        Ok(serde_json::to_string_pretty(&JwkSet { keys })?)
    }

    /// The claims of a good token: this issuer and audience, valid for an hour from now.
    #[must_use]
    pub fn claims(&self, subject: &str, roles: &[&str], account: &str) -> Claims {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Claims {
            iss: self.url.clone(),
            aud: self.audience.clone(),
            sub: subject.to_owned(),
            iat: seconds(now),
            exp: seconds(now + LIFETIME),
            roles: roles.iter().map(ToString::to_string).collect(),
            account_id: account.to_owned(),
        }
    }

    /// Signs any claims, good or bad.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid.clone_from(&self.jwk.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.key).context("sign a token")
    }

    /// A good token.
    pub fn token(&self, subject: &str, roles: &[&str], account: &str) -> Result<String> {
        self.sign(&self.claims(subject, roles, account))
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("url", &self.url)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    #[test]
    fn a_token_verifies_with_the_published_keys() {
        let issuer = Issuer::generate("https://issuer.test", "logistics").unwrap();
        let same = Issuer::from_pem(issuer.pem(), "https://issuer.test", "logistics").unwrap();
        let keys: JwkSet = serde_json::from_str(&issuer.jwks().unwrap()).unwrap();
        let token = same.token("ann", &["user"], "a1").unwrap();
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();

        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["logistics"]);
        validation.set_issuer(&["https://issuer.test"]);
        let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
        let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(claims["account_id"], "a1");
        assert_eq!(claims["roles"], serde_json::json!(["user"]));

        validation.set_audience(&["another"]);
        assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).is_err());
    }
}
