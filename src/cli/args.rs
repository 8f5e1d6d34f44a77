//! The command line: every verb, flag and example.
//!
//! Invariant: flag before environment before file. Nothing here acts.

mod door;
mod fleet;
mod notify;
mod operator;
mod options;
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::door::{
    OpenArgs, TokenArgs, TokenListArgs, TokenNewArgs, TokenRevokeArgs, TokenVerb,
};
pub use self::fleet::{DiscoverArgs, PreflightArgs};
pub use self::notify::{NotifyArgs, NotifyTestArgs, NotifyVerb};
pub use self::operator::{
    AbortArgs, ApproveArgs, EnforceArgs, EnforceVerb, EnforcementArgs, HoldArgs, PauseArgs,
    ReleaseArgs, ResolveArgs, RetryArgs, RevertArgs, StopArgs, VerbArgs,
};
pub use self::options::{DocumentArgs, DocumentFormat, OutputArgs, OutputFormat, command, parse};
pub use self::store::{
    BackupArgs, CompactArgs, ExportArgs, ImportArgs, RepairArgs, SqlArgs, StateArgs, StoreArgs,
    StoreCheckArgs, StoreVerb, TakeBackArgs,
};
use super::reach::Reach;
use super::{complete, exit};
use crate::domain::proof::{Endpoint, TlsVersion};
use crate::simcloud::emulator::{
    INSTANCES_DEFAULT, LANE_DEFAULT, PROXIES_DEFAULT, SEED_DEFAULT, TOKEN_DEFAULT,
};
use crate::words::moment::length;
use crate::yaml::length::Length;

/// Switches SSL on or off across a fleet of GaussDB(for MySQL) proxies, durably, and proves it.
#[derive(Debug, Parser)]
#[command(name = "sealift", version, max_term_width = 110, arg_required_else_help = true, after_help = after_help())]
pub struct Cli {
    /// Where the daemon is found.
    #[command(flatten)]
    pub reach: Reach,
    /// What to do.
    #[command(subcommand)]
    pub verb: CliVerb,
}

const FIRST_STEPS: &str = "\
First steps:
  sealift demo                  a whole rollout against an emulated cloud
  sealift init try              a first plan and configuration, with comments
  sealift check plans/*.yaml    every mistake of your plans
  sealift plan fleet.yaml       what a plan would do
  sealift rehearse fleet.yaml   how it would go, in virtual time
  sealift serve                 the daemon
  sealift apply fleet.yaml      submit a plan to it and follow the rollout";

fn after_help() -> String {
    format!("{FIRST_STEPS}\n\nExit codes:\n{}", exit::table())
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum CliVerb {
    /// Run the daemon
    #[command(
        after_help = "Examples:\n  sealift serve --config /etc/sealift/sealift.yaml\n  SEALIFT_LOG=debug sealift serve"
    )]
    Serve(ServeArgs),
    /// See a whole rollout against an emulated cloud: no account, nothing left behind
    #[command(
        after_help = "Examples:\n  sealift demo\n  sealift demo --page\n  sealift demo --seed 7 --log info"
    )]
    Demo(DemoArgs),
    /// Write a first plan and configuration, with comments; they work as they are over the emulated
    /// cloud
    #[command(after_help = "Examples:\n  sealift init\n  sealift init try")]
    Init(InitArgs),
    /// Run the emulated cloud alone, over HTTP
    #[command(
        after_help = "Examples:\n  sealift emulate --proxies 1000 --instances 500 --write-fleet fleet.csv --token secret\n  sealift emulate --fleet fleet.csv --faults faults.yaml --listen 127.0.0.1:8080\n  sealift emulate --accounts accounts.yaml\n\nAn accounts file:\n  token_life: 10m\n  keys:\n    - {access_key: AK1, secret_key: test-secret}\n  users:\n    - {domain: acme, user: sealift, password: test-password}\n  agencies:\n    - {domain: member, name: sealift, trusts: acme}"
    )]
    Emulate(EmulateArgs),
    /// Check plan files without any network; 0 or the list of mistakes
    #[command(
        after_help = "Examples:\n  sealift check plans/*.yaml\n  sealift check -o json fleet.yaml"
    )]
    Check(CheckArgs),
    /// Show what a plan would do
    #[command(
        after_help = "Examples:\n  sealift plan fleet.yaml\n  sealift plan fleet.yaml --all\n  sealift plan fleet.yaml --members -o csv\n  sealift plan fleet.yaml --look\n  sealift plan fleet.yaml --look --save-targets seen.csv\n  sealift plan prod.yaml --save-discovered prod.jsonl\n  sealift plan fleet.yaml -o json --detailed-exitcode\n  sealift plan fleet.yaml --fault job_time='{min: 40s, max: 3m}'"
    )]
    Plan(PlanArgs),
    /// Run a whole rollout in virtual time, with the shipped engine against the simulated cloud
    #[command(
        after_help = "Examples:\n  sealift rehearse fleet.yaml\n  sealift rehearse fleet.yaml --faults faults.yaml --from 2026-10-01 --journal night.jsonl\n  sealift rehearse fleet.yaml --fault job_time='{min: 40s, max: 3m}' --fault job_fails=0.02 --crash 2h\n  sealift rehearse fleet.yaml --seeds 500 --find halted\n\nA time without an offset is read by the clock of the plan's first window."
    )]
    Rehearse(RehearseArgs),
    /// Show when a plan may work: its next windows, freezes applied, nights with a change of clocks
    /// marked
    #[command(
        after_help = "Examples:\n  sealift windows fleet.yaml\n  sealift windows fleet.yaml --from 2027-03-01 --until 2027-04-01\n  sealift windows fleet.yaml -n 100 -o csv > windows.csv\n  sealift windows fleet.yaml -o json | jq '.windows[] | select(.clock_changes != [])'\n\nA time without an offset is read by the clock of the plan's first window."
    )]
    Windows(WindowsArgs),
    /// List the fleet as the cloud has it: every proxy with what it shows; as CSV, a target file
    #[command(
        after_help = "Examples:\n  sealift discover\n  sealift discover --lane prod-sg --name 'prod-*' --tag env=prod -o csv > fleet.csv\n  sealift discover --into fleet.csv --tag-columns env,tier\n  sealift discover --into fleet.csv --tag-columns env,tier --resume"
    )]
    Discover(DiscoverArgs),
    /// Look at all that a plan's rollout needs before its window: go (0) or no-go (3), with the
    /// reasons; nothing is changed
    #[command(
        after_help = "Examples:\n  sealift preflight fleet.yaml\n  sealift preflight fleet.yaml --no-ports\n  sealift preflight --lanes\n  sealift preflight fleet.yaml -o json | jq '.checks[] | select(.verdict == \"no_go\")'\n\nLooked at: the daemon, its store and its disk; of each lane the endpoint, TLS, the credentials, the clocks and what may be read; each target\nin its instance's list; and each target's own port, one connection a target, from the daemon's host;\nall ports together take a minute at most, and one that nothing was seen of by then is named. The reads use the lanes' quota, behind all work.\nWhether the account may switch is not told by a read."
    )]
    Preflight(PreflightArgs),
    /// Submit a plan and follow its rollout
    #[command(
        after_help = "Examples:\n  sealift apply fleet.yaml\n  sealift apply fleet.yaml --yes --detach --digest $(sealift plan fleet.yaml -o json | jq -r .digest)\n  sealift apply off.yaml --yes --confirm ssl-off-test\n  sealift apply prod.yaml --discovered prod.jsonl"
    )]
    Apply(ApplyArgs),
    /// List the rollouts, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  sealift list\n  sealift list --open -o json"
    )]
    List(ListArgs),
    /// List the lanes: who each is to the cloud, its quota, why it pauses, its last good call
    #[command(
        after_help = "Examples:\n  sealift lanes\n  sealift lanes --paused\n  sealift lanes -o csv > lanes-tonight.csv\n\nTo look whether each can be reached now: sealift preflight --lanes"
    )]
    Lanes(LanesArgs),
    /// Show how a rollout stands, or all that are not over
    #[command(
        after_help = "Examples:\n  sealift status\n  sealift status proxy-ssl-2026q4\n  sealift status 1f0c -o json | jq -r .phase"
    )]
    Status(StatusArgs),
    /// Follow a rollout until it is over, stopped, or waits for a person
    #[command(
        after_help = "Examples:\n  sealift watch proxy-ssl-2026q4\n  sealift watch 1f0c -o jsonl"
    )]
    Watch(WatchArgs),
    /// List a rollout's changes, one a line
    #[command(
        after_help = "Examples:\n  sealift changes proxy-ssl-2026q4 --state failed,in_doubt\n  sealift changes proxy-ssl-2026q4 --state failed -o csv > for-the-vendor.csv\n\nCSV and JSON have the cloud's own answer (status, code, message, request id) to the first and the last attempt\nthat did not succeed, and the instance's name where the list of targets has it."
    )]
    Changes(ChangesArgs),
    /// List the saved job ids of a rollout
    #[command(
        after_help = "Examples:\n  sealift jobs proxy-ssl-2026q4\n  sealift jobs proxy-ssl-2026q4 -o csv > jobs.csv"
    )]
    Jobs(RowsArgs),
    /// List what happened in a rollout, step by step, with the cloud's request ids
    #[command(
        after_help = "Examples:\n  sealift journal proxy-ssl-2026q4\n  sealift journal proxy-ssl-2026q4 --proxy 2ec617ba\n  sealift journal proxy-ssl-2026q4 --since 22:00 --follow\n  sealift journal proxy-ssl-2026q4 -o jsonl | jq 'select(.code)'"
    )]
    Journal(JournalArgs),
    /// Print the daemon's metrics, as Prometheus reads them at /metrics
    #[command(
        after_help = "Examples:\n  sealift metrics | grep ^sealift_rollout\n  sealift metrics > sealift.prom.new && mv sealift.prom.new /var/lib/prometheus/node-exporter/sealift.prom\n\nPrometheus itself asks the daemon where `api.listen` opens it to the network (docs/metrics.md). Where it stays on its socket,\nwrite the file by a timer, into the folder that node_exporter's --collector.textfile.directory names: under another name first,\nso that no half of it is read."
    )]
    Metrics,
    /// Begin nothing new until resumed; of one rollout, or over one lane
    #[command(
        after_help = "Examples:\n  sealift pause proxy-ssl-2026q4 --reason 'application team sees errors'\n  sealift pause proxy-ssl-2026q4 --until 06:00 --reason 'batch run'\n  sealift pause proxy-ssl-2026q4 --until 2026-12-01T06:00:00+08:00\n  sealift pause --lane prod-sg --reason 'incident in the region'"
    )]
    Pause(PauseArgs),
    /// Take a pause back
    #[command(
        after_help = "Examples:\n  sealift resume proxy-ssl-2026q4\n  sealift resume --lane prod-sg"
    )]
    Resume(HoldArgs),
    /// Stop everything, now: nothing that changes anything is sent until `sealift start`; the
    /// daemon runs on
    #[command(
        after_help = "Examples:\n  sealift stop --reason 'incident in the region'\n\nKept over a restart. What is in flight is followed to its end, and reads go on.\nWithout a daemon: a file STOP in its state directory does the same; `sealift config` has its path."
    )]
    Stop(StopArgs),
    /// Let work go on after `sealift stop`
    #[command(
        after_help = "Examples:\n  sealift start --reason 'the region is well'\n\nThe daemon itself is started by `sealift serve`."
    )]
    Start(StopArgs),
    /// Stop a rollout for good; what is in flight is followed to its end
    #[command(after_help = "Example:\n  sealift abort proxy-ssl-2026q4 --reason 'wrong fleet'")]
    Abort(AbortArgs),
    /// Put failed changes back into the queue, and go on after a halt
    #[command(
        after_help = "Examples:\n  sealift retry proxy-ssl-2026q4\n  sealift retry proxy-ssl-2026q4 --in-doubt --reason 'looked at the proxies'\n  sealift retry proxy-ssl-2026q4 --proxy 2ec617ba"
    )]
    Retry(RetryArgs),
    /// Settle by hand what is in doubt: name the job that did it, or give it up
    #[command(
        after_help = "Examples:\n  sealift changes proxy-ssl-2026q4 --state in_doubt\n  sealift resolve proxy-ssl-2026q4 --proxy 2ec617ba --job e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7\n  sealift resolve proxy-ssl-2026q4 --proxy 2ec617ba --give-up --reason 'the instance is gone'\n\nTo have the proxy looked at again and switched if need be: sealift retry ROLLOUT --proxy PROXY"
    )]
    Resolve(ResolveArgs),
    /// Let the next wave begin; also past a wave that halted for its failures, once nothing of it
    /// is left (with --reason)
    #[command(
        after_help = "Examples:\n  sealift promote proxy-ssl-2026q4 --reason 'canary is well'\n  sealift promote proxy-ssl-2026q4 --reason 'the two failed ones are being decommissioned'"
    )]
    Promote(VerbArgs),
    /// Say yes to a rollout whose plan asks for approvals, bound to the digest that you looked at
    #[command(
        after_help = "Examples:\n  sealift plan fleet.yaml\n  sealift approve proxy-ssl-2026q4 --digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Approve(ApproveArgs),
    /// Put back what a rollout changed and nobody changed since, the newest wave first
    #[command(
        after_help = "Examples:\n  sealift revert proxy-ssl-2026q4 --reason 'old drivers cannot connect'\n  sealift revert proxy-ssl-2026q4 --reason 'as tested' --yes\n  sealift revert proxy-ssl-2026q4 --write back.yaml    (of a rollout that is over: a plan that puts it back)"
    )]
    Revert(RevertArgs),
    /// Show what is enforced, what the last run found and what is held; `stop` and `release` it
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  sealift enforce\n  sealift enforce proxy-ssl-2026q4\n  sealift enforce release proxy-ssl-2026q4 --reason 'the drift is ours'\n  sealift enforce release proxy-ssl-2026q4 --target 2ec617ba62da4eafb921b69438beed3cpo01\n  sealift enforce stop proxy-ssl-2026q4 --reason 'fleet is retired'"
    )]
    Enforce(EnforceArgs),
    /// Look at a proxy's port from here, once: whether TLS is really there, with which certificate
    #[command(
        after_help = "Examples:\n  sealift probe 192.0.2.7:3306\n  sealift probe 192.0.2.7:3306 --ca-file ca.pem --min-tls 1.3\n  sealift probe 192.0.2.7:3306 --expect off\n  sealift probe db.example.com:3306 -o json | jq -r .verdict.word\n\nOne connection, ended by a login as `sealift-probe` that the server refuses, so that it counts no broken connection.\n\nExit codes:\n  0  the wire shows what is expected\n  3  the wire shows something else\n  5  the wire could not be seen well enough to tell\n  1  usage or internal error"
    )]
    Probe(ProbeArgs),
    /// Watch everything on one screen, live: what wants a person, rollouts, waves, the journal; `?`
    /// lists the keys
    #[command(
        after_help = "Examples:\n  sealift top\n  SEALIFT_ADDR=https://sealift.example.net:7633 sealift top\n\nWhat is shown is what the operator's page shows. `p` pauses a rollout and asks why; every other verb is shown as the command to type."
    )]
    Top,
    /// Show who is told what happens, what waits for them and what fails; `test` tries one
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  sealift notify\n  sealift notify -o json | jq '.rows[] | select(.waiting > 0)'\n  sealift notify test ops\n\nReceivers stand in `notify` of the daemon's configuration."
    )]
    Notify(NotifyArgs),
    /// Open the operator's page: print a link that brings your browser in, once
    #[command(
        after_help = "Examples:\n  sealift open\n  xdg-open \"$(sealift open --print)\"\n\nOn the daemon's host: its socket tells who you are. From elsewhere without a port: ssh -L 7633:/run/sealift/api.sock HOST"
    )]
    Open(OpenArgs),
    /// Make, list and revoke the tokens of `api.tokens_file`
    #[command(
        after_help = "Examples:\n  sudo -u sealift sealift token new --name ada --may read,operate --label laptop\n  sealift token list\n  sudo -u sealift sealift token revoke 5f2a90c1\n\nWith a token, from anywhere:\n  export SEALIFT_ADDR=https://sealift.example.net:7633 SEALIFT_TOKEN_FILE=~/.config/sealift/token\n  sealift status"
    )]
    Token(TokenArgs),
    /// Look after the store: check, backup, export, import, repair, compact
    #[command(
        after_help = "Examples:\n  sealift store check\n  sealift store backup /backup/sealift-$(date +%F)\n  sealift store export --hand-over sealift.tar\n  sealift store import sealift.tar --state /var/lib/sealift/queue\n  sealift store repair --from /backup/sealift-2026-11-27\n  sealift store compact"
    )]
    Store(StoreArgs),
    /// Print the JSON Schema of plans, of the configuration or of fault files, for editors
    #[command(
        after_help = "Examples:\n  sealift schema plan > plans/plan.schema.json\n  sealift schema faults > faults.schema.json"
    )]
    Schema(SchemaArgs),
    /// Print the configuration in force, and where each value came from
    #[command(after_help = "Example:\n  sealift config --config ./sealift.yaml")]
    Config(ConfigArgs),
    /// Print completions for a shell: verbs, options, and the daemon's rollouts and lanes
    #[command(after_help = "Example:\n  sealift completions bash > /etc/bash_completion.d/sealift")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual, a page for each verb; packages install it
    #[command(after_help = "Example:\n  sealift man ~/.local/share/man/man1")]
    Man(ManArgs),
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON document a line.
    Json,
}

/// Of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// How logs are written to standard error
    #[arg(long, value_enum, default_value_t, env = "SEALIFT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: a level, or a filter as `info,sealift::engine=debug`
    #[arg(long, env = "SEALIFT_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
}

/// Of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which faults the emulated cloud shows; the same number shows the same
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Watch it on the operator's page: print a link, take more time, and stay until Ctrl-C
    #[arg(long)]
    pub page: bool,
    /// What is logged to standard error
    #[arg(long, env = "SEALIFT_LOG", default_value = "error", value_name = "FILTER")]
    pub log: String,
}

/// Of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to; it is made if it is not there
    #[arg(default_value = ".", value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Of `emulate`.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// Where it listens; port 0 takes any free one and prints it
    #[arg(long, default_value = "127.0.0.1:7634", value_name = "ADDRESS")]
    pub listen: std::net::SocketAddr,
    /// Number of proxies of a made-up fleet
    #[arg(long, default_value_t = PROXIES_DEFAULT, conflicts_with = "fleet")]
    pub proxies: u32,
    /// Number of instances that they belong to
    #[arg(long, default_value_t = INSTANCES_DEFAULT, conflicts_with = "fleet")]
    pub instances: u32,
    /// A fleet of your own: CSV with the columns lane, instance_id, proxy_id
    #[arg(long, value_name = "FILE")]
    pub fleet: Option<PathBuf>,
    /// Faults to show, as YAML; `sealift schema faults` says what may stand in it
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Seed of the made-up fleet and of all random choices
    #[arg(long, default_value_t = SEED_DEFAULT)]
    pub seed: u64,
    /// The X-Auth-Token that is accepted
    #[arg(long, env = "SEALIFT_EMULATE_TOKEN", default_value = TOKEN_DEFAULT, hide_env_values = true)]
    pub token: String,
    /// Access keys and users that are let in too, as YAML: signatures are verified, tokens issued
    /// at /v3/auth/tokens
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// Open the proxies' own port too, on 127.0.0.0/8, and write the authority of their certificate
    /// there: the `ca_file` for a plan's `verify.wire`
    #[arg(long, value_name = "FILE")]
    pub wire_ca: Option<PathBuf>,
    /// Lane name written into the fleet file
    #[arg(long, default_value = LANE_DEFAULT, value_name = "NAME")]
    pub lane: String,
    /// Write the fleet as a target file for plans
    #[arg(long, value_name = "FILE")]
    pub write_fleet: Option<PathBuf>,
}

/// Of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The plan files
    #[arg(required = true, value_name = "PLAN")]
    pub plans: Vec<PathBuf>,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Where the targets of a plan with `targets.discover` come from.
#[derive(Debug, Clone, Default, Args)]
pub struct DiscoveredArgs {
    /// Take what `plan --save-discovered` found, and discover nothing now
    #[arg(long, value_name = "FILE")]
    pub discovered: Option<PathBuf>,
}

/// Of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The plan file
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Of a plan with targets to discover
    #[command(flatten)]
    pub discovered: DiscoveredArgs,
    /// Write what is found for the plan's targets.discover; --discovered takes it, and the digest
    /// is bound to it
    #[arg(long, value_name = "FILE.jsonl", conflicts_with = "discovered")]
    pub save_discovered: Option<PathBuf>,
    /// Show every target, not only the first of each wave
    #[arg(long)]
    pub all: bool,
    /// List every target with its wave, in the order in which they run, and nothing else
    #[arg(long, conflicts_with_all = ["all", "faults", "fault", "no_forecast"])]
    pub members: bool,
    /// Ask the daemon to look at every proxy now, and show what is to be switched; waits behind all
    /// work of the lanes
    #[arg(long)]
    pub look: bool,
    /// Write what the look found as a target file; a plan that names it is bound to it
    #[arg(long, value_name = "FILE.csv", requires = "look")]
    pub save_targets: Option<PathBuf>,
    /// Exit with 2 when there are changes to make
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Leave the forecast out
    #[arg(long, conflicts_with_all = ["faults", "fault"])]
    pub no_forecast: bool,
    /// What the forecast takes for granted
    #[command(flatten)]
    pub cloud: CloudArgs,
    /// How to print; csv with --members only
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How the simulated cloud behaves, of `rehearse` and of the forecast in `plan`.
#[derive(Debug, Clone, Default, Args)]
pub struct CloudArgs {
    /// How long the cloud's jobs take and what goes wrong there, as YAML; `sealift emulate` reads
    /// the same file, and `sealift schema faults` says what may stand in it
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// One field of such a file, set anew: job_time=90s, job_fails=2%
    #[arg(long, value_name = "FIELD=VALUE")]
    pub fault: Vec<String>,
}

/// Of `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// The plan file
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Of a plan with targets to discover
    #[command(flatten)]
    pub discovered: DiscoveredArgs,
    /// What the simulated cloud does
    #[command(flatten)]
    pub cloud: CloudArgs,
    /// When the plan is submitted [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// How long it may take [default: 2208h]
    #[arg(long = "for", value_name = "DURATION", value_parser = length)]
    pub lasts: Option<Length>,
    /// Seed of all random choices; the same number gives the same journal
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only so many of the targets, taken from every wave alike
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub targets: Option<u32>,
    /// Kill the daemon so long after the start; may be given several times
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub crash: Vec<Length>,
    /// Write the journal, one JSON document a line
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Search so many seeds with drawn faults for a story of the kind `--find` names, and shrink
    /// the first
    #[arg(long, value_name = "N", conflicts_with_all = ["seed", "crash", "journal"], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub seeds: Option<u32>,
    /// What `--seeds` looks for
    #[arg(long, value_enum, default_value_t, requires = "seeds")]
    pub find: Find,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `windows`.
#[derive(Debug, Args)]
pub struct WindowsArgs {
    /// The plan file
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Look from then on [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only windows that open before then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Windows at most, up to 1000 [default: 10, or all of them with --until]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: Option<u16>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Find {
    /// A promise that is broken.
    #[default]
    Broken,
    /// A rollout that a guard stops.
    Halted,
    /// A change that fails or stays in doubt.
    Failed,
    /// A rollout that does not end in the time given.
    Late,
}

/// Of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The plan file
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Of a plan with targets to discover
    #[command(flatten)]
    pub discovered: DiscoveredArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Refuse anything but the plan with this digest
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// The plan's name, typed back: needed to switch SSL off without being asked
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Submit only, do not follow
    #[arg(short, long)]
    pub detach: bool,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that are not over
    #[arg(long)]
    pub open: bool,
    /// Rows at most
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `lanes`.
#[derive(Debug, Args)]
pub struct LanesArgs {
    /// Only those that are paused, held or give less than their quota
    #[arg(long)]
    pub paused: bool,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: Option<String>,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: String,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `changes`.
#[derive(Debug, Args)]
pub struct ChangesArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: String,
    /// Only changes in these states, with commas between; `active` is all that is in flight
    #[arg(long, value_name = "STATE", add = complete::states())]
    pub state: Option<String>,
    /// Only changes of this wave: its name, or its number from 1
    #[arg(long, value_name = "WAVE")]
    pub wave: Option<String>,
    /// Only changes that this lane reaches
    #[arg(long, value_name = "NAME", add = complete::lanes())]
    pub lane: Option<String>,
    /// Only changes whose proxy's or instance's id begins so
    #[arg(long, value_name = "BEGINNING")]
    pub id: Option<String>,
    /// Rows at most; all of them if not given
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: String,
    /// Only what happened to this proxy; a beginning of its id is enough
    #[arg(long, value_name = "PROXY")]
    pub proxy: Option<String>,
    /// Only what happened since: `22:00` (the last one here), `2026-12-01T22:00` (here),
    /// `2026-12-01T22:00:00+08:00`, or a length of time such as `90m`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Go on with what happens, until the rollout is over
    #[arg(short, long, conflicts_with = "limit")]
    pub follow: bool,
    /// Rows at most; all of them if not given
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `jobs`.
#[derive(Debug, Args)]
pub struct RowsArgs {
    /// A plan's name (then its newest revision) or a unique prefix of a rollout's id
    #[arg(add = complete::rollouts())]
    pub rollout: String,
    /// Rows at most; all of them if not given
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Where it listens: an address or a name, and the port
    #[arg(value_name = "ADDRESS:PORT")]
    pub endpoint: Endpoint,
    /// What `ssl_option` should be there
    #[arg(long, value_enum, default_value_t, value_name = "VALUE")]
    pub expect: Value,
    /// The chain must lead to an authority of this PEM file and be valid; without it, what a strict
    /// client would object to is only told
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The oldest TLS version that counts: 1.2 or 1.3
    #[arg(long, default_value = "1.2", value_name = "VERSION")]
    pub min_tls: TlsVersion,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// A value of `ssl_option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Value {
    /// TLS is there.
    #[default]
    On,
    /// No TLS is there.
    Off,
}

/// Of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value_t)]
    pub of: SchemaOf,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SchemaOf {
    /// Plan files.
    #[default]
    Plan,
    /// The daemon's configuration.
    Config,
    /// Fault files, of `emulate`, `rehearse` and `plan`.
    Faults,
}

/// Of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// How to print
    #[command(flatten)]
    pub output: OutputArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("sealift {}", verb.get_name())),
                "{} has no example",
                verb.get_name()
            );
        }
    }
}
