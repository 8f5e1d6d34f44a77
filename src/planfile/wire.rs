//! `verify.wire`, and the file of authorities that it may name.

use super::raw;
use crate::authorities::{Authorities, CA_FILE_BYTES_MAX};
use crate::domain::plan::WireRules;
use crate::domain::proof::TlsVersion;
use crate::yaml::open::Folders;
use crate::yaml::shape::complained;
use crate::yaml::{Diagnostic, Document, Mistakes, open, quote};

/// Reads `verify.wire`; `Some(None)` when the plan has none, `None` after a mistake.
pub fn read(
    written: Option<raw::RawWire>,
    document: &Document<'_>,
    folders: &Folders<'_>,
    mistakes: &mut Mistakes,
) -> Option<Option<WireRules>> {
    let Some(written) = written else { return Some(None) };
    let min_tls = match written.min_tls {
        Some(raw::MinTls::V13) => TlsVersion::V13,
        Some(raw::MinTls::V12) | None => TlsVersion::V12,
    };
    let off = document.exact("ssl_option").and_then(|node| node.text()) == Some("false");
    for (key, asked) in
        [("min_tls", written.min_tls.is_some()), ("ca_file", written.ca_file.is_some())]
    {
        if off && asked {
            let message = format!(
                "`{key}` asks something of TLS, and this plan switches it off: only a revert would be held against it"
            );
            mistakes.push(
                Diagnostic::warning("idle", message)
                    .at(document.place(&format!("verify.wire.{key}"))),
            );
        }
    }
    let ca = match &written.ca_file {
        Some(name) => Some(authorities(name, document, folders, mistakes)?),
        None => None,
    };
    Some(Some(WireRules { min_tls, ca }))
}

/// The file's text, once it is seen to hold authorities.
fn authorities(
    name: &str,
    document: &Document<'_>,
    folders: &Folders<'_>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let shown = folders.shown.join(name).display().to_string();
    let read = open::beneath(folders.real, name, CA_FILE_BYTES_MAX)
        .and_then(|mut file| open::read(&mut file, CA_FILE_BYTES_MAX));
    let wrong = match read {
        Err(mut complaint) => {
            complaint.message = format!("{} {}", quote(name), complaint.message);
            complained("`ca_file`", complaint)
        }
        Ok(bytes) => match (Authorities::of_pem(&bytes), String::from_utf8(bytes)) {
            (Ok(_), Ok(text)) => return Some(text),
            (Ok(_), Err(_)) => Diagnostic::error("ca-file", format!("{} is not UTF-8", quote(&shown))),
            (Err(error), _) => Diagnostic::error("ca-file", format!("{}: {error}", quote(&shown)))
                .help("give it the certificate of the authority that signed the proxies' certificates, in PEM"),
        },
    };
    mistakes.push(wrong.at(document.place("verify.wire.ca_file")));
    None
}
