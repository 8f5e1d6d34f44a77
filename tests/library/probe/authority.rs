//! Authorities and certificates, made anew for every test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use sealift::probe::Roots;

/// A certificate with its key, as PEM.
pub struct CertificateAndKey {
    pub certificate: String,
    pub key: String,
}

/// An authority of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(authority(name), key).expect("an authority"))
    }

    /// An authority below this one, whose own certificate is valid until the end of that year; and
    /// that certificate.
    pub fn delegate(&self, name: &str, until: i32) -> (Self, String) {
        let mut params = authority(name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let below =
            CertifiedIssuer::signed_by(params, KeyPair::generate().expect("a key"), &self.0)
                .expect("an authority");
        let pem = below.pem();
        (Self(below), pem)
    }

    /// What a `ca_file` holds.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn roots(&self) -> Roots {
        Roots::of_pem(self.pem().as_bytes()).expect("authorities")
    }

    /// A server's certificate for these names, valid from 2000 until the end of that year.
    pub fn issue(&self, names: &[&str], until: i32) -> CertificateAndKey {
        let key = KeyPair::generate().expect("a key");
        let certificate = server(names, until).signed_by(&key, &self.0).expect("a certificate");
        CertificateAndKey { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A certificate of X.509 version 1 over the key of this one: without its version and its
/// extensions, as old tools made them. Nobody's signature is on it.
pub fn first_version(certificate: &[u8]) -> Vec<u8> {
    let (_, whole) = field(certificate);
    let (body, rest) = whole.split_at(length(whole));
    let (_, fields) = field(body);
    let mut kept = Vec::new();
    let mut left = fields;
    while !left.is_empty() {
        let (one, after) = left.split_at(length(left));
        // Context tags 0 and 3: the version and the extensions.
        if !matches!(one[0], 0xa0 | 0xa3) {
            kept.extend(one);
        }
        left = after;
    }
    sequence(&[sequence(&kept), rest.to_vec()].concat())
}

/// Header and content of the first element.
fn field(der: &[u8]) -> (&[u8], &[u8]) {
    let header = if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    der.split_at(header)
}

/// Length of the first element, header and all.
fn length(der: &[u8]) -> usize {
    let (header, _) = field(der);
    let long = header[2..].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    header.len() + if header.len() == 2 { usize::from(header[1]) } else { long }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a small certificate").to_be_bytes();
    [&[0x30, 0x82], &length[..], content].concat()
}

/// A server's certificate that it signed itself.
pub fn self_signed(names: &[&str]) -> CertificateAndKey {
    let key = KeyPair::generate().expect("a key");
    let certificate = server(names, 2999).self_signed(&key).expect("a certificate");
    CertificateAndKey { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn server(names: &[&str], until: i32) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, "proxy under test");
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(until, 12, 31);
    params
}
