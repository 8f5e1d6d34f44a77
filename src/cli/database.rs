//! The store in PostgreSQL that a configuration names: how it is opened, `store check` of it and
//! `store sql`.
//!
//! Invariant: the password is read when a connection is made, and neither kept nor shown.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use secrecy::SecretString;

use super::args::{DocumentArgs, DocumentFormat, SqlArgs};
use super::exit::{Exit, ExitFailure};
use super::output::{line, pretty};
use super::reach::{self, Reach};
use super::term;
use super::text::count;
use crate::authorities::{Authorities, CA_FILE_BYTES_MAX};
use crate::cloud::secret::SecretReader;
use crate::config::{DatabaseConfig, StoreConfig};
use crate::database::SchemaName;
use crate::store::maintenance::finding::Finding;
use crate::store::postgres::check::{DatabaseReport, check};
use crate::store::postgres::options::PostgresOptions;
use crate::store::postgres::schema::printed;
use crate::words::text::clean;

/// How the store of this configuration is opened.
pub fn options(config: &DatabaseConfig) -> Result<PostgresOptions, ExitFailure> {
    let mut options = PostgresOptions::new(&config.url, config.folder.clone());
    options.schema = config.schema.clone();
    options.allow_no_fsync = config.allow_no_fsync;
    if let Some(source) = &config.password {
        let reader = SecretReader::new("password of the database", source.clone());
        options = options.with_password(Arc::new(move || {
            let secret = reader.current().map_err(|error| error.to_string())?;
            Ok(SecretString::from(secret.expose()))
        }));
    }
    match &config.ca_file {
        Some(path) => Ok(options.trusting(&authorities(path)?)),
        None => Ok(options),
    }
}

fn authorities(path: &Path) -> Result<Authorities, ExitFailure> {
    let wrong = |what: &dyn std::fmt::Display| {
        let message = format!(
            "store.postgres.ca_file: {}: {what}; write the authorities of the server's certificate there, as PEM",
            path.display()
        );
        ExitFailure::new(Exit::Error, message)
    };
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CA_FILE_BYTES_MAX).read_to_end(&mut pem))
        .map_err(|error| wrong(&error))?;
    Authorities::of_pem(&pem).map_err(|error| wrong(&error))
}

/// `store check` of a database.
pub(super) async fn check_up(config: &DatabaseConfig, output: &DocumentArgs) -> Result<Exit> {
    let options = options(config)?;
    let report = check(&options).await?;
    let mut out = term::stdout();
    match output.output {
        DocumentFormat::Json => writeln!(out, "{}", pretty(&report)?)?,
        DocumentFormat::Jsonl => {
            for finding in &report.findings {
                writeln!(out, "{}", line(finding)?)?;
            }
        }
        DocumentFormat::Table => write!(out, "{}", view(options.place(), &report))?,
    }
    out.flush()?;
    Ok(if report.sound { Exit::Done } else { Exit::Failed })
}

fn view(place: &str, report: &DatabaseReport) -> String {
    let mut text = format!("PostgreSQL at {}\n", clean(place));
    let journal = format!(
        "{}, up to {} {}",
        count(report.entries, "entry", "entries"),
        report.seq,
        report.head
    );
    for (name, of_it) in [
        ("store", report.store.clone()),
        ("journal", journal),
        ("rollouts", report.rollouts.to_string()),
        ("submissions", report.submissions.to_string()),
        ("changes", format!("{} compared with the journal", count(report.rows, "row", "rows"))),
    ] {
        text.push_str(&format!("  {name:<12} {}\n", clean(&of_it)));
    }
    verdict(&mut text, &report.findings, report.sound);
    text
}

/// `store sql`.
pub(super) fn sql(args: &SqlArgs, reach: &Reach) -> Result<Exit> {
    let failed = |message: String| ExitFailure::new(Exit::Error, message);
    let config = match (&args.role, &args.schema) {
        (Some(_), Some(_)) => None,
        _ => match reach::config(reach)?.store {
            StoreConfig::Postgres(config) => Some(config),
            StoreConfig::Sled(_) => None,
        },
    };
    let role = args.role.as_deref().or(config.as_ref().map(|config| config.url.user()));
    let Some(role) = role.filter(|role| !role.is_empty()) else {
        let message = "no store in PostgreSQL is configured; name the daemon's role with --role";
        return Err(failed(message.into()).into());
    };
    let schema = match &args.schema {
        Some(text) => SchemaName::parse(text).ok_or_else(|| {
            failed(format!(
                "{text:?} is no name of a schema; write small letters, digits and `_`, a letter first"
            ))
        })?,
        None => config.as_ref().map(|config| config.schema.clone()).unwrap_or_default(),
    };
    let mut out = term::stdout();
    write!(out, "{}", printed(&schema, role))?;
    out.flush()?;
    Ok(Exit::Done)
}

/// What was found, and whether anything is damaged.
pub(super) fn verdict(text: &mut String, findings: &[Finding], sound: bool) {
    let findings = findings.iter().map(|finding| {
        let cells = [finding.severity.as_str(), &finding.place, &finding.what, &finding.remedy];
        cells.map(clean)
    });
    for [severity, place, what, remedy] in findings {
        text.push_str(&format!("{severity}: {place}\n    {what}\n    remedy: {remedy}\n"));
    }
    text.push_str(if sound { "sound\n" } else { "DAMAGED\n" });
}
