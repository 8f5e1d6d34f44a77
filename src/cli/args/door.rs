//! The arguments of `open` and `token`.

use clap::{Args, Subcommand};

use super::OutputArgs;
use crate::words::moment::length;
use crate::yaml::length::Length;

/// Of `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// Print the link alone, for a script
    #[arg(long)]
    pub print: bool,
}

/// Of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// What to do with them
    #[command(subcommand)]
    pub verb: TokenVerb,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token for somebody and print it, this once
    #[command(
        after_help = "Examples:\n  sudo -u sealift sealift token new --name ada --may read,operate --label laptop\n  sudo -u sealift sealift token new --name pipeline --may read,operate --for 720h > token\n\nOne may no more by a token than `api.people` gives. The daemon takes it at once; nothing need be restarted."
    )]
    New(TokenNewArgs),
    /// List the tokens: whose, where, what they may and until when
    #[command(
        after_help = "Examples:\n  sealift token list\n  sealift token list -o json | jq '.rows[] | select(.name == \"ada\")'"
    )]
    List(TokenListArgs),
    /// Take a token back: from then on it is none, and sessions that began with it end
    #[command(after_help = "Example:\n  sudo -u sealift sealift token revoke 5f2a90c1")]
    Revoke(TokenRevokeArgs),
}

/// Of `token new`.
#[derive(Debug, Args)]
pub struct TokenNewArgs {
    /// Whose it is: a name of `api.people`
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What it may: read, operate, approve, off
    #[arg(long, value_name = "ROLES", value_delimiter = ',', required = true, value_parser = ["read", "operate", "approve", "off"])]
    pub may: Vec<String>,
    /// Where it is used, in your words; it stands in the log beside the name
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub label: String,
    /// How long it is good
    #[arg(long = "for", default_value = "2160h", value_name = "DURATION", value_parser = length)]
    pub lasts: Length,
}

/// Of `token list`.
#[derive(Debug, Args)]
pub struct TokenListArgs {
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `token revoke`.
#[derive(Debug, Args)]
pub struct TokenRevokeArgs {
    /// Its id, as `sealift token list` shows it: the first part of the token
    #[arg(value_name = "ID")]
    pub id: String,
}
