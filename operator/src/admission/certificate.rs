//! Certificates of the webhook: how they are made, and what can be read from them.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate holds from a little earlier on than it is made, for clocks that are behind; this part of its lifetime at
/// most.
const BACKDATED: (Duration, u32) = (Duration::from_mins(5), 10);

/// Why a certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    /// It cannot be read.
    #[error("a certificate cannot be read: {0}")]
    Read(String),
}

/// A certificate and its private key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The time in which a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// What can be read from a certificate.
pub(super) struct Facts {
    pub(super) dates: Dates,
    /// DNS names and addresses that it is for.
    pub(super) names: Vec<String>,
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
}

/// Makes an authority. Its name has chance in it, so that two authorities are never taken for one another.
///
/// # Errors
/// When there is no key to be had.
pub fn authority(now: Timestamp, lifetime: Duration) -> Result<Identity, CertificateError> {
    let mut params = CertificateParams::default();
    let name = format!("logistics-operator webhook {:08x}", rand::random::<u32>());
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = period(now, lifetime);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    Ok(Identity {
        certificate: issuer.pem(),
        key: issuer.key().serialize_pem(),
    })
}

/// Makes a server's certificate for some names. It ends with its authority at the latest.
///
/// # Errors
/// When the authority cannot be used.
pub fn serving(
    authority: &Identity,
    names: &[String],
    now: Timestamp,
    lifetime: Duration,
) -> Result<Identity, CertificateError> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let rest = read(&authority.certificate)?.dates.until.duration_since(now);
    let rest = Duration::try_from(rest).unwrap_or(Duration::ZERO);
    let mut params = CertificateParams::new(names.to_vec())?;
    params
        .distinguished_name
        .push(DnType::CommonName, names.first().cloned().unwrap_or_default());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = period(now, lifetime.min(rest));
    let key = KeyPair::generate()?;
    Ok(Identity {
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    })
}

fn period(now: Timestamp, lifetime: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let backdated = BACKDATED.0.min(lifetime / BACKDATED.1);
    let now = OffsetDateTime::from_unix_timestamp(now.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (now - backdated, now + lifetime)
}

/// Reads a certificate.
pub(super) fn read(pem: &str) -> Result<Facts, CertificateError> {
    let wrong = |error: String| CertificateError::Read(error);
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| wrong(error.to_string()))?;
    let validity = certificate.validity();
    let time = |seconds| Timestamp::from_second(seconds).map_err(|error| wrong(error.to_string()));
    let names = certificate
        .subject_alternative_name()
        .map_err(|error| wrong(error.to_string()))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    Ok(Facts {
        dates: Dates {
            from: time(validity.not_before.timestamp())?,
            until: time(validity.not_after.timestamp())?,
        },
        names: names.filter_map(name).collect(),
        subject: certificate.subject().as_raw().to_vec(),
        issuer: certificate.issuer().as_raw().to_vec(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            _ => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
        },
        _ => None,
    }
}

/// An identity as TLS uses it; the key has to be the certificate's.
pub(super) fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, CertificateError> {
    let wrong = |error: String| CertificateError::Read(error);
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())
        .map_err(|error| wrong(error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let key = any_supported_type(&key).map_err(|error| wrong(error.to_string()))?;
    let certified = CertifiedKey::new(vec![certificate], key);
    certified.keys_match().map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(certified))
}
