//! Keys and certificates: the cluster's authority, the development authority of the backing services, and the key
//! that signs the demo's tokens.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// A cluster is made anew long before.
const VALIDITY: Duration = Duration::days(365);
/// For machines whose clocks disagree a little.
const BACKDATED: Duration = Duration::hours(1);

/// A certificate with its private key, both as PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    /// Writes `<name>.crt` and `<name>.key` into a folder.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> Result<()> {
        write(&dir.join(format!("{name}.crt")), &self.certificate)?;
        write_private(&dir.join(format!("{name}.key")), &self.key)
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) identity: Identity,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let key = new_key()?;
        let mut params = params(name, None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let identity = Identity {
            certificate,
            key: key.serialize_pem(),
        };
        Ok(Self {
            issuer: Issuer::new(params, key),
            identity,
        })
    }

    /// A certificate for a client and server, valid for names and addresses alike.
    pub(crate) fn issue(&self, name: &str, organisation: Option<&str>, hosts: &[&str]) -> Result<Identity> {
        let key = new_key()?;
        let mut params = params(name, organisation)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    (*host)
                        .try_into()
                        .with_context(|| format!("{host} is no host name"))?,
                ),
            });
        }
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

fn params(name: &str, organisation: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organisation) = organisation {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
    }
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + VALIDITY;
    Ok(params)
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key pair")
}

/// A key pair for signing tokens: the private key and the public one, both as PEM.
pub(crate) fn signing_keys() -> Result<(String, String)> {
    let key = new_key()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// The demo's token issuer: its private key as PEM, and the JSON Web Key Set that services check against.
pub(crate) fn issuer_keys() -> Result<(String, Value)> {
    let key = new_key()?;
    // An uncompressed point: the byte 4, then x and y with 32 bytes each.
    let point = key.public_key_raw();
    let (x, y) = (&point[1..33], &point[33..65]);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    // RFC 7638: the digest of the required members in this order, without blanks.
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let id = URL_SAFE_NO_PAD.encode(Sha256::digest(members));
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y,
    });
    Ok((key.serialize_pem(), json!({ "keys": [jwk] })))
}

/// Writes a file that everyone may read.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file that only its owner may read, from its first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let mut file = fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_the_owners_alone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("deep/key");
        write_private(&path, "secret").expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_key_set_has_one_complete_key() {
        let (private, set) = issuer_keys().expect("keys");
        assert!(private.contains("BEGIN PRIVATE KEY"));
        let key = &set["keys"][0];
        assert_eq!(key["x"].as_str().map(str::len), Some(43));
        assert_eq!(key["y"].as_str().map(str::len), Some(43));
        assert_eq!(key["kid"].as_str().map(str::len), Some(43));
        assert!(key["d"].is_null(), "the private part stays private");
    }

    #[test]
    fn a_host_name_that_no_certificate_can_carry_is_named() {
        let authority = Authority::new("test").expect("authority");
        let one = authority
            .issue("a", Some("b"), &["a.svc", "10.0.0.1"])
            .expect("certificate");
        assert!(one.certificate.contains("BEGIN CERTIFICATE") && one.key.contains("BEGIN PRIVATE KEY"));
        let error = authority.issue("a", None, &["größe.svc"]).expect_err("not ASCII");
        assert!(error.to_string().contains("größe.svc"), "{error}");
    }
}
