//! The arguments of `notify`.

use clap::{Args, Subcommand};

use super::{DocumentArgs, OutputArgs};

/// Of `notify`.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to do
    #[command(subcommand)]
    pub verb: Option<NotifyVerb>,
}

/// What can be done with receivers.
#[derive(Debug, Subcommand)]
pub enum NotifyVerb {
    /// Send a test to one receiver, now: taken (0) or not (3), with what it answered
    #[command(
        after_help = "Example:\n  sealift notify test ops\n\nA receiver that takes it is told again at once what waits for it, also one that was off."
    )]
    Test(NotifyTestArgs),
}

/// Of `notify test`.
#[derive(Debug, Args)]
pub struct NotifyTestArgs {
    /// The receiver's name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}
