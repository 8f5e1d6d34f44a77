//! The arguments of the operator's verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::complete;
use super::{DocumentArgs, OutputArgs};

/// Of the operator's verbs.
#[derive(Debug, Args)]
pub struct VerbArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: String,
    /// Why; carried into the journal
    #[arg(long, short, default_value = "", value_name = "TEXT")]
    pub reason: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `pause` and `resume`: a rollout, or a lane for all of them.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(required_unless_present = "lane", add = complete::rollouts())]
    pub rollout: Option<String>,
    /// A lane instead: nothing that changes anything is sent over it, whichever rollout it is for
    #[arg(long, value_name = "NAME", conflicts_with = "rollout", add = complete::lanes())]
    pub lane: Option<String>,
    /// Why; carried into the journal, or kept with the lane
    #[arg(long, short, default_value = "", value_name = "TEXT")]
    pub reason: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Which, and why.
    #[command(flatten)]
    pub what: HoldArgs,
    /// Go on by itself then: `06:00` (the next one here), `2026-12-01T06:00` (here),
    /// `2026-12-01T06:00:00+08:00`, or a length of time such as `90m`
    #[arg(long, value_name = "TIME", conflicts_with = "lane")]
    pub until: Option<String>,
}

/// Of `stop` and `start`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Why; kept while everything is stopped, and in the daemon's log
    #[arg(long, short, default_value = "", value_name = "TEXT")]
    pub reason: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: VerbArgs,
    /// The digest of what you looked at, as `sealift plan` prints it; anything else is refused
    #[arg(long, value_name = "DIGEST")]
    pub digest: String,
}

/// Of `revert`.
#[derive(Debug, Args)]
pub struct RevertArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: VerbArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Do nothing but write a plan that puts back what the rollout changed; for one that is over
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    pub write: Option<PathBuf>,
}

/// Of `abort`.
#[derive(Debug, Args)]
pub struct AbortArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: VerbArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Of `retry`.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: VerbArgs,
    /// Put back what failed; this is what happens anyway, and scripts may say so
    #[arg(long)]
    pub failed: bool,
    /// Also put back what is in doubt, after you looked at the proxies
    #[arg(long)]
    pub in_doubt: bool,
    /// Only this proxy's change, whether it failed or is in doubt; a unique beginning of its id is
    /// enough
    #[arg(long, value_name = "PROXY", conflicts_with_all = ["failed", "in_doubt"])]
    pub proxy: Option<String>,
}

/// Of `resolve`.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: VerbArgs,
    /// The proxy; a unique beginning of its id is enough
    #[arg(long, value_name = "PROXY")]
    pub proxy: String,
    /// This job switched it: it is followed, and the proxy looked at, before the change counts as
    /// succeeded
    #[arg(
        long,
        value_name = "JOB",
        conflicts_with = "give_up",
        required_unless_present = "give_up"
    )]
    pub job: Option<String>,
    /// It is not worth a further look: the change counts as failed
    #[arg(long)]
    pub give_up: bool,
}

/// Of `enforce`.
#[derive(Debug, Args)]
pub struct EnforceArgs {
    /// A plan's name; without one, all that are enforced are listed
    pub name: Option<String>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to do with it
    #[command(subcommand)]
    pub verb: Option<EnforceVerb>,
}

/// The verbs on an enforcement.
#[derive(Debug, Subcommand)]
pub enum EnforceVerb {
    /// End it; a run that is under way goes on as the rollout that it is
    Stop(EnforcementArgs),
    /// Go on with what is held: drift beyond `max_drift`, and targets that flipped back again and
    /// again
    Release(ReleaseArgs),
}

/// Of the verbs on an enforcement.
#[derive(Debug, Args)]
pub struct EnforcementArgs {
    /// The plan's name
    pub name: String,
    /// Why; carried into the journal
    #[arg(long, short, default_value = "", value_name = "TEXT")]
    pub reason: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `enforce release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Which, and why.
    #[command(flatten)]
    pub verb: EnforcementArgs,
    /// Only this proxy, of those that flipped back
    #[arg(long, value_name = "PROXY_ID")]
    pub target: Option<String>,
}
