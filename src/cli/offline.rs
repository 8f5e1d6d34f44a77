//! `schema`, `config` and `completions`: what needs neither daemon nor plan.

use std::io::Write as _;

use anyhow::Result;

use super::args::{ConfigArgs, OutputFormat, SchemaArgs, SchemaOf};
use super::complete;
use super::exit::{Exit, ExitFailure};
use super::output::{aligned, pretty};
use super::reach::{self, Reach};
use super::term;
use super::text::{cell, json};
use crate::config::StoreConfig;
use crate::simcloud::faults;
use crate::words::text::clean;
use crate::{config, planfile, store, yaml};

/// `schema`.
pub fn schema(args: &SchemaArgs) -> Result<Exit> {
    let schema = match args.of {
        SchemaOf::Plan => planfile::schema(),
        SchemaOf::Config => config::schema(),
        SchemaOf::Faults => faults::schema(),
    };
    let mut out = term::stdout();
    writeln!(out, "{}", pretty(&schema)?)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// `config`: every value in force with its origin. A secret is never read for it: only its place is
/// known here.
pub fn config(args: &ConfigArgs, at: &Reach) -> Result<Exit> {
    let config = reach::config(at)?;
    if !config.shared.is_empty() {
        // A daemon starts with it, so that an upgrade takes nothing down; here it is told as what
        // it is.
        let mistakes = yaml::Diagnostics { list: config.shared, more: 0 };
        return Err(
            ExitFailure::new(Exit::Error, mistakes.render(term::colour()).trim_end()).into()
        );
    }
    if let StoreConfig::Sled(folder) = &config.store {
        store::maintenance::known(folder)
            .map_err(|newer| ExitFailure::new(Exit::StoreRefused, newer.to_string()))?;
    }
    if !config.warnings.is_empty() {
        term::say(&yaml::diagnostic::render_warnings(&config.warnings, term::colour()));
    }
    let mut out = term::stdout();
    match args.output.output {
        OutputFormat::Json => writeln!(out, "{}", pretty(&config.to_json())?)?,
        OutputFormat::Jsonl => {
            for setting in &config.settings {
                writeln!(out, "{}", json(&serde_json::to_string(setting)?))?;
            }
        }
        OutputFormat::Table => {
            let rows: Vec<Vec<String>> = config
                .settings
                .iter()
                .map(|setting| {
                    vec![
                        clean(&setting.key),
                        clean(&value(&setting.value)),
                        clean(&setting.origin.to_string()),
                    ]
                })
                .collect();
            write!(out, "{}", aligned(&["KEY", "VALUE", "FROM"], true, &rows, &mut Vec::new()))?;
            if config.lanes.is_empty() {
                term::say(
                    "no lane is configured yet: the daemon can queue nothing until `lanes` names one",
                );
            }
        }
        OutputFormat::Csv => {
            let mut csv = csv::Writer::from_writer(&mut out);
            csv.write_record(["key", "value", "from"])?;
            for setting in &config.settings {
                csv.write_record([
                    cell(&setting.key),
                    cell(&value(&setting.value)),
                    cell(&setting.origin.to_string()),
                ])?;
            }
            csv.flush()?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit> {
    let script = complete::script(shell)?;
    let mut out = term::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
