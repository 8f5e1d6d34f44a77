//! Every file that can be wrong, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::cloud::http::tests::lane;
use crate::domain::lane::{LaneTls, SecretSource};

fn certificate(years: std::ops::RangeInclusive<i32>, is_ca: bool) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["client.example".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(*years.start(), 1, 1);
    params.not_after = date_time_ymd(*years.end(), 12, 31);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("an instant")
}

struct CertificateFiles {
    folder: tempfile::TempDir,
    tls: LaneTls,
}

impl CertificateFiles {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), tls: LaneTls::default() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our own file");
        path
    }

    fn trusting(text: impl AsRef<[u8]>) -> Self {
        let mut files = Self::new();
        files.tls.ca_file = Some(files.write("ca.pem", text));
        files
    }

    fn showing(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let mut files = Self::new();
        files.tls.client = Some(ClientCertificate {
            certificate: files.write("cert.pem", cert),
            key: files.write("key.pem", key),
        });
        files
    }

    fn read(&self) -> Result<OwnTls, TlsError> {
        let mut lane = lane(
            "https://gateway.example",
            SecretSource::Env("UNUSED".into()),
            Duration::from_secs(1),
        );
        lane.access.tls = self.tls.clone();
        OwnTls::read(&lane, now()).map(|own| own.expect("it names files"))
    }
}

#[test]
fn a_lane_that_names_nothing_is_as_usual() {
    let lane =
        lane("https://gateway.example", SecretSource::Env("UNUSED".into()), Duration::from_secs(1));
    assert!(OwnTls::read(&lane, now()).expect("nothing to read").is_none());
}

#[test]
fn what_cannot_be_used_is_reported_with_key_file_and_remedy() {
    let (cert, key) = certificate(2020..=2999, false);
    let (_, other_key) = certificate(2020..=2999, false);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n";
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (files, key, what, remedy) in [
        (CertificateFiles::trusting(""), "ca_file", "holds no certificate", "BEGIN CERTIFICATE"),
        (
            CertificateFiles::trusting([0x30, 0x82, 0x01]),
            "ca_file",
            "holds no certificate",
            "openssl x509",
        ),
        (CertificateFiles::trusting(broken), "ca_file", "cannot be read as PEM", "PEM"),
        (
            CertificateFiles::trusting(empty),
            "ca_file",
            "certificate 1 cannot be used",
            "get it anew",
        ),
        (
            CertificateFiles::trusting(vec![b' '; CA_FILE_BYTES_MAX as usize + 1]),
            "ca_file",
            "longer than",
            "only what this lane needs",
        ),
        (
            CertificateFiles::showing(&key, &key),
            "client_cert_file",
            "holds no certificate",
            "BEGIN CERTIFICATE",
        ),
        (
            CertificateFiles::showing(cert.repeat(CHAIN_MAX + 1), &key),
            "client_cert_file",
            "more than 16",
            "only what this lane needs",
        ),
        (
            CertificateFiles::showing(&cert, &cert),
            "client_key_file",
            "holds no private key",
            "BEGIN PRIVATE KEY",
        ),
        (
            CertificateFiles::showing(&cert, encrypted),
            "client_key_file",
            "encrypted",
            "openssl pkey",
        ),
        (
            CertificateFiles::showing(&cert, &other_key),
            "client_key_file",
            "not that of the certificate in",
            "made together",
        ),
    ] {
        let error = files.read().err().unwrap_or_else(|| panic!("{what}: it was taken"));
        assert_eq!(error.key, key, "{error}");
        let message = error.to_string();
        let path = files.folder.path().to_str().expect("a text").to_owned();
        for part in ["lane a", key, what, remedy, &path] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }
}

#[test]
fn a_missing_file_and_a_folder_are_reported() {
    let mut files = CertificateFiles::trusting("");
    files.tls.ca_file = Some(files.folder.path().join("absent.pem"));
    let message = files.read().err().expect("it is missing").to_string();
    assert!(
        message.contains("absent.pem: cannot be read: No such file")
            && message.contains("begins at the configuration file"),
        "{message}"
    );
    files.tls.ca_file = Some(files.folder.path().to_owned());
    assert!(files.read().err().expect("a folder").to_string().contains("is no file"));
}

#[test]
fn no_message_holds_the_key() {
    let (cert, key) = certificate(2020..=2999, false);
    let half: String = key.lines().take(2).collect::<Vec<_>>().join("\n");
    let message =
        CertificateFiles::showing(&cert, &half).read().err().expect("half a key").to_string();
    let secret = key.lines().nth(1).expect("base64");
    assert!(!message.contains(&secret[..16]), "{message}");
}

#[test]
fn what_has_ended_is_a_warning() {
    let (good, good_key) = certificate(2020..=2999, false);
    let (ended, ended_key) = certificate(2000..=2020, false);
    let (to_come, to_come_key) = certificate(2040..=2999, false);
    let (authority, _) = certificate(2000..=2999, true);
    let (old_authority, _) = certificate(2000..=2020, true);
    for (files, expected) in [
        (CertificateFiles::showing(&good, &good_key), None),
        (CertificateFiles::showing(&ended, &ended_key), Some("client_cert_file` ")),
        (CertificateFiles::showing(&ended, &ended_key), Some("has ended on 2020-12-31 00:00 UTC")),
        (CertificateFiles::showing(&to_come, &to_come_key), Some("begins only on 2040-01-01")),
        (CertificateFiles::trusting(&authority), None),
        (
            CertificateFiles::trusting(&old_authority),
            Some("its last authority has ended on 2020-12-31"),
        ),
        (CertificateFiles::trusting(format!("{old_authority}{authority}")), None),
    ] {
        let warnings = files.read().expect("usable").warnings;
        match expected {
            None => assert!(warnings.is_empty(), "{warnings:?}"),
            Some(part) => assert!(
                warnings.len() == 1
                    && warnings[0].contains(part)
                    && warnings[0].contains("restart"),
                "{warnings:?}"
            ),
        }
    }
    let (soon, soon_key) = {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["client.example".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2026, 12, 1);
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    };
    let warnings = CertificateFiles::showing(soon, soon_key).read().expect("usable").warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("the certificate ends on 2026-12-01"),
        "{warnings:?}"
    );
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_line_to_type() {
    let (cert, key) = certificate(2026..=2027, false);
    let files = CertificateFiles::showing(&cert, &key);
    let path = files.tls.client.as_ref().expect("a client certificate").key.clone();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("our own file");
    let error = files.read().err().expect("others may read it").to_string();
    assert!(
        error.contains("client_key_file")
            && error.ends_with(&format!("; chmod g-w,o-rwx {}", path.display())),
        "{error}"
    );
}
