//! The files that every view needs: style, script, icon. They are in the binary.
//!
//! Invariant: an address holds a piece of the file's digest, so that what a browser keeps is never
//! another version's.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

/// Hex digits of a digest that stand in an address.
const DIGITS: usize = 12;

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const DRAWING: &str = "image/svg+xml";

/// The files; a script stands behind those that it imports.
const ASSETS: &[Asset] = &[
    Asset { name: "style.css", kind: STYLE, text: include_str!("assets/style.css") },
    Asset { name: "icon.svg", kind: DRAWING, text: include_str!("assets/icon.svg") },
    Asset {
        name: "vendor/idiomorph.esm.js",
        kind: SCRIPT,
        text: include_str!("assets/vendor/idiomorph.esm.js"),
    },
    Asset { name: "sign-in.js", kind: SCRIPT, text: include_str!("assets/sign-in.js") },
    Asset { name: "trust.js", kind: SCRIPT, text: include_str!("assets/trust.js") },
    Asset { name: "clock.js", kind: SCRIPT, text: include_str!("assets/clock.js") },
    Asset { name: "rows.js", kind: SCRIPT, text: include_str!("assets/rows.js") },
    Asset { name: "upload.js", kind: SCRIPT, text: include_str!("assets/upload.js") },
    Asset { name: "dialog.js", kind: SCRIPT, text: include_str!("assets/dialog.js") },
    Asset { name: "live.js", kind: SCRIPT, text: include_str!("assets/live.js") },
];

/// A file as it is served.
struct Served {
    name: &'static str,
    kind: &'static str,
    /// The last part of its address.
    file: String,
    text: String,
}

/// The files with their addresses; what a script imports is named by its address.
static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| {
    let mut served: Vec<Served> = Vec::with_capacity(ASSETS.len());
    for asset in ASSETS {
        let linked = |text: String, known: &Served| {
            text.replace(&format!("'./{}'", known.name), &format!("'./{}'", known.file))
        };
        let text = served.iter().fold(asset.text.to_owned(), linked);
        let digest = hex::encode(Sha256::digest(&text));
        let (stem, ending) = asset.name.rsplit_once('.').expect("a name with an ending");
        let stem = stem.rsplit('/').next().expect("a name");
        served.push(Served {
            name: asset.name,
            kind: asset.kind,
            file: format!("{stem}.{}.{ending}", &digest[..DIGITS]),
            text,
        });
    }
    served
});

/// The address of the file of this name.
///
/// # Panics
/// When there is none: a template has misspelt it.
pub fn address(name: &str) -> String {
    let served = SERVED.iter().find(|served| served.name == name).expect("a known file");
    format!("/assets/{}", served.file)
}

/// `GET /assets/FILE`.
pub async fn asset(Path(file): Path<String>) -> Response {
    match SERVED.iter().find(|served| served.file == file) {
        Some(served) => (
            [(CONTENT_TYPE, served.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")],
            served.text.as_str(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `idiomorph.esm.js` in the package idiomorph 0.8.0.
    const IDIOMORPH: &str = "e1e2c7dbd606233d302bac48074fd1307c15609b77ea485c18f1b13d6be67c14";

    #[test]
    fn what_is_vendored_is_unchanged() {
        let vendored =
            ASSETS.iter().find(|asset| asset.name.starts_with("vendor/")).expect("the one");
        assert_eq!(hex::encode(Sha256::digest(vendored.text)), IDIOMORPH);
    }

    #[test]
    fn every_import_of_a_script_is_an_address_that_is_served() {
        for served in SERVED
            .iter()
            .filter(|served| served.kind == SCRIPT && !served.name.starts_with("vendor/"))
        {
            for import in served.text.lines().filter(|line| line.starts_with("import ")) {
                let file = import
                    .split("'./")
                    .nth(1)
                    .and_then(|rest| rest.split('\'').next())
                    .expect("a relative import");
                assert!(SERVED.iter().any(|known| known.file == file), "{}: {import}", served.name);
            }
        }
    }
}
