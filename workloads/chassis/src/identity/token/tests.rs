use dev_rig::issuer::{Claims as TestClaims, Issuer};
use jsonwebtoken::{EncodingKey, Header};

use super::*;

struct Fixture {
    issuer: Issuer,
    verifier: Verifier,
    file: tempfile::NamedTempFile,
}

fn fixture() -> Fixture {
    let issuer = Issuer::generate("https://issuer.test", "logistics").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), issuer.jwks().unwrap()).unwrap();
    let verifier = Verifier::load(&Auth {
        issuer: "https://issuer.test".to_owned(),
        audience: "logistics".to_owned(),
        jwks_file: file.path().to_owned(),
    })
    .unwrap();
    Fixture {
        issuer,
        verifier,
        file,
    }
}

impl Fixture {
    fn claims(&self) -> TestClaims {
        self.issuer.claims("ann", &["admin", "janitor"], "acme")
    }

    fn verify(&self, claims: &impl serde::Serialize) -> Result<Principal, TokenError> {
        self.verify_token(&self.issuer.sign(claims).unwrap())
    }

    fn verify_token(&self, token: &str) -> Result<Principal, TokenError> {
        self.verifier.verify(Some(&format!("Bearer {token}")))
    }
}

#[test]
fn a_good_token_names_its_caller() {
    let fixture = fixture();
    let principal = fixture.verify(&fixture.claims()).unwrap();
    assert_eq!(
        (principal.subject.as_str(), principal.account_id.as_str()),
        ("ann", "acme")
    );
    // Roles that mean nothing here are passed over.
    assert_eq!(principal.roles, [Role::Admin]);
}

#[test]
fn a_spoilt_token_is_refused_with_the_reason() {
    type Spoil = fn(&mut TestClaims);
    let fixture = fixture();
    let cases: [(TokenError, Spoil); 7] = [
        (TokenError::Expired, |claims| claims.exp = claims.iat - 31),
        (TokenError::Issuer, |claims| {
            claims.iss = "https://other".to_owned();
        }),
        (TokenError::Audience, |claims| claims.aud = "other".to_owned()),
        (TokenError::Claims, |claims| claims.sub = String::new()),
        (TokenError::Claims, |claims| claims.account_id = String::new()),
        (TokenError::Claims, |claims| claims.account_id = "a".repeat(257)),
        (TokenError::Claims, |claims| claims.account_id = "a\0b".to_owned()),
    ];
    for (reason, spoil) in cases {
        let mut claims = fixture.claims();
        spoil(&mut claims);
        assert_eq!(fixture.verify(&claims), Err(reason));
    }
    let mut claims = fixture.claims();
    claims.exp = claims.iat - 20;
    assert!(fixture.verify(&claims).is_ok(), "clocks may differ by {LEEWAY} s");
}

#[test]
fn each_claim_is_required() {
    let fixture = fixture();
    for missing in ["iss", "aud", "exp", "sub", "account_id", "roles"] {
        let mut claims = serde_json::to_value(fixture.claims()).unwrap();
        claims.as_object_mut().unwrap().remove(missing);
        assert_eq!(fixture.verify(&claims), Err(TokenError::Claims), "{missing}");
    }
}

#[test]
fn a_header_that_is_no_bearer_token_is_refused() {
    let fixture = fixture();
    assert_eq!(fixture.verifier.verify(None), Err(TokenError::Missing));
    for header in ["", "Bearer", "Basic YTpi", "Bearer a.b.c", "Bearer "] {
        assert_eq!(
            fixture.verifier.verify(Some(header)),
            Err(TokenError::Malformed),
            "{header:?}"
        );
    }
    let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
    assert_eq!(fixture.verifier.verify(Some(&long)), Err(TokenError::Malformed));
}

#[test]
fn algorithms_that_prove_nothing_are_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

    let fixture = fixture();
    let good = fixture.issuer.sign(&fixture.claims()).unwrap();
    let claims = good.split('.').nth(1).unwrap();
    for alg in ["none", "None", "HS256", "ES256K"] {
        let header = BASE64.encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
        assert_eq!(
            fixture.verify_token(&format!("{header}.{claims}.")),
            Err(TokenError::Algorithm),
            "{alg}"
        );
    }
    // The public key as a shared secret: the classic confusion.
    let secret = EncodingKey::from_secret(fixture.issuer.jwks().unwrap().as_bytes());
    let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &fixture.claims(), &secret).unwrap();
    assert_eq!(fixture.verify_token(&confused), Err(TokenError::Algorithm));
}

#[test]
fn a_token_of_another_key_or_with_changed_claims_is_refused() {
    let fixture = fixture();
    let stranger = Issuer::generate("https://issuer.test", "logistics").unwrap();
    let token = stranger.sign(&fixture.claims()).unwrap();
    assert!(matches!(
        fixture.verify_token(&token),
        Err(TokenError::UnknownKey | TokenError::Signature)
    ));

    let good = fixture.issuer.sign(&fixture.claims()).unwrap();
    let mut claims = fixture.claims();
    claims.roles = vec!["admin".to_owned(), "user".to_owned()];
    let other = fixture.issuer.sign(&claims).unwrap();
    let (mut mixed, other): (Vec<_>, Vec<_>) = (good.split('.').collect(), other.split('.').collect());
    mixed[1] = other[1];
    assert_eq!(fixture.verify_token(&mixed.join(".")), Err(TokenError::Signature));
}

#[test]
fn keys_are_taken_over_when_the_file_changes() {
    let fixture = fixture();
    assert!(!fixture.verifier.reload_once().unwrap());
    let next = Issuer::generate("https://issuer.test", "logistics").unwrap();
    let token = next.sign(&fixture.claims()).unwrap();
    assert!(fixture.verify_token(&token).is_err());
    std::fs::write(fixture.file.path(), next.jwks().unwrap()).unwrap();
    assert!(fixture.verifier.reload_once().unwrap());
    assert!(fixture.verify_token(&token).is_ok());
    assert!(
        fixture.verify(&fixture.claims()).is_err(),
        "the former key is gone"
    );

    std::fs::write(fixture.file.path(), "{").unwrap();
    assert!(fixture.verifier.reload_once().is_err());
    assert!(
        fixture.verify_token(&token).is_ok(),
        "a broken file changes nothing"
    );
}

#[test]
fn an_ed25519_key_is_accepted_and_a_shared_secret_is_no_key() {
    // PKCS #8 of a key whose seed is all sevens.
    let mut pkcs8 = hex::decode("302e020100300506032b657004220420").unwrap();
    pkcs8.extend([7; 32]);
    let key = EncodingKey::from_ed_der(&pkcs8);
    let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    let fixture = fixture();
    std::fs::write(
        fixture.file.path(),
        serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap(),
    )
    .unwrap();
    fixture.verifier.reload_once().unwrap();
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &fixture.claims(), &key).unwrap();
    assert!(fixture.verify_token(&token).is_ok());

    std::fs::write(
        fixture.file.path(),
        r#"{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0"}]}"#,
    )
    .unwrap();
    let error = fixture.verifier.reload_once().unwrap_err().to_string();
    assert!(error.contains("no usable key"), "{error}");
}

#[test]
fn a_remembered_token_is_forgotten_with_its_key() {
    let fixture = fixture();
    let token = fixture.issuer.sign(&fixture.claims()).unwrap();
    let first = fixture.verify_token(&token).unwrap();
    assert_eq!(fixture.verify_token(&token), Ok(first));
    let next = Issuer::generate("https://issuer.test", "logistics").unwrap();
    std::fs::write(fixture.file.path(), next.jwks().unwrap()).unwrap();
    assert!(fixture.verifier.reload_once().unwrap());
    assert_eq!(fixture.verify_token(&token), Err(TokenError::UnknownKey));
}

#[test]
fn a_remembered_token_expires() {
    let fixture = fixture();
    let principal = fixture.verify(&fixture.claims()).unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let known = Known::default();
    for (token, expires) in [("over", now - 1.0), ("good", now + 60.0)] {
        let principal = principal.clone();
        known.keep(token, Verified { principal, expires });
    }
    assert_eq!(known.find("over"), None);
    assert_eq!(known.find("good"), Some(principal));
    assert_eq!(known.find("never seen"), None);
}

#[test]
fn only_so_many_tokens_are_remembered() {
    let fixture = fixture();
    let principal = fixture.verify(&fixture.claims()).unwrap();
    let known = Known::default();
    for number in 0..=MAX_KNOWN {
        let (principal, expires) = (principal.clone(), f64::INFINITY);
        known.keep(&number.to_string(), Verified { principal, expires });
    }
    assert!(known.0.lock().unwrap().len() <= MAX_KNOWN);
    assert!(known.find(&MAX_KNOWN.to_string()).is_some());
}

/// The library would panic with it at the first token.
#[test]
fn a_key_of_another_length_is_refused() {
    let fixture = fixture();
    for key in [
        r#"{"kty":"OKP","crv":"Ed25519","kid":"short","x":""}"#,
        r#"{"kty":"OKP","crv":"Ed25519","kid":"short","x":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"}"#,
        r#"{"kty":"EC","crv":"P-256","kid":"short","x":"AA","y":"AA"}"#,
    ] {
        std::fs::write(fixture.file.path(), format!(r#"{{"keys":[{key}]}}"#)).unwrap();
        let error = fixture.verifier.reload_once().unwrap_err().to_string();
        assert!(error.contains("key short has"), "{key}: {error}");
    }
}
