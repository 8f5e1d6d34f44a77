//! The place where a secret is found, as it is written.

use std::path::Path;

use super::raw::RawSecret;
use crate::domain::lane::SecretSource;
use crate::yaml::Diagnostic;

/// The one place that is written; its path begins at `base`.
pub fn source(written: RawSecret, base: &Path) -> Result<SecretSource, Box<Diagnostic>> {
    match (written.file, written.env, written.credential) {
        (Some(file), None, None) => Ok(SecretSource::File(base.join(file))),
        (None, Some(name), None) => Ok(SecretSource::Env(name)),
        (None, None, Some(name)) => Ok(SecretSource::Credential(name)),
        _ => {
            let wrong = Diagnostic::error("secret", "a secret is found in exactly one place");
            let help = "write one of `{file: PATH}`, `{credential: NAME}` and `{env: NAME}`";
            Err(Box::new(wrong.help(help)))
        }
    }
}
