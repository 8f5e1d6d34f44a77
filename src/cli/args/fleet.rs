//! The arguments of what asks the cloud through the daemon: `preflight` and `discover`.

use std::path::PathBuf;

use clap::Args;

use super::{DiscoveredArgs, DocumentArgs, OutputArgs};
use crate::cli::complete;

/// Of `preflight`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// The plan file
    #[arg(value_name = "PLAN", required_unless_present = "lanes")]
    pub plan: Option<PathBuf>,
    /// Look at these lanes instead of a plan [default: all that are configured]
    #[arg(long, value_name = "LANE", num_args = 0.., conflicts_with_all = ["plan", "discovered", "no_ports"], add = complete::lanes())]
    pub lanes: Option<Vec<String>>,
    /// Of a plan with targets to discover
    #[command(flatten)]
    pub discovered: DiscoveredArgs,
    /// Leave the targets' own ports alone
    #[arg(long)]
    pub no_ports: bool,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `discover`.
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// Only this lane; may be given several times [default: all that are configured]
    #[arg(long, value_name = "LANE", add = complete::lanes())]
    pub lane: Vec<String>,
    /// Only instances of this name; * stands for anything
    #[arg(long, value_name = "PATTERN")]
    pub name: Option<String>,
    /// Only instances with this tag; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// Only instances in this state, as ACTIVE
    #[arg(long, value_name = "STATUS")]
    pub state: Option<String>,
    /// Look also at instances that have no address of a proxy
    #[arg(long)]
    pub every_instance: bool,
    /// Tags that become columns of CSV
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub tag_columns: Vec<String>,
    /// Write a target file; until it is complete its name ends in `.part`, and no plan takes it
    #[arg(long, value_name = "FILE.csv", conflicts_with = "output")]
    pub into: Option<PathBuf>,
    /// Go on with the `.part` file of a discovery that was broken off
    #[arg(long, requires = "into")]
    pub resume: bool,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
