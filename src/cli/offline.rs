//! `schema`, `config` and `completions`: what needs neither daemon nor plan.

use std::io::Write as _;

use anyhow::Result;
use clap::CommandFactory as _;

use super::args::{Cli, SchemaArgs, SchemaOf};
use super::exit::Exit;
use super::output::pretty;
use super::term;
use crate::planfile;

/// `schema`.
pub fn schema(args: &SchemaArgs) -> Result<Exit> {
    let schema = match args.of {
        SchemaOf::Plan => planfile::schema(),
    };
    let mut out = term::stdout();
    writeln!(out, "{}", pretty(&schema)?)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// `completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sealift", &mut script);
    let mut out = term::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
