//! The arguments of `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DocumentArgs;

/// Of `store`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// What to do with it
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What can be done with a store's directory.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Tell all that is wrong with a store's directory, each with its place and what to do; changes
    /// nothing
    #[command(
        after_help = "Examples:\n  sealift store check\n  sealift store check --state /var/lib/sealift/queue -o json | jq '.findings[]'\n\nA store in PostgreSQL (store.postgres of the configuration) is read in one snapshot, while daemons go on: the journal's chain, what was\nsubmitted, and the rows beside the journal.\n\nWhile a daemon works on a directory, journal and submissions are checked as far as they are written; stop the daemon to have the\nqueue compared with the journal too. For that the queue is copied to TMPDIR and built anew there.\n\nExit codes:\n  0  sound\n  3  damaged\n  1  usage, or it cannot be checked"
    )]
    Check(StoreCheckArgs),
    /// Copy the store into a new directory, while the daemon runs or when none does
    #[command(
        after_help = "Examples:\n  sealift store backup /backup/sealift-$(date +%F)\n  sealift store backup --state /var/lib/sealift/queue /backup/sealift\n\nNo daemon starts on a backup: `sealift store import` makes a directory of it that one can work on, `sealift store repair --from` puts\nback from it what is damaged elsewhere. What happens after it was made is not in it."
    )]
    Backup(BackupArgs),
    /// Write the store into one file (tar), while the daemon runs or when none does; - is standard
    /// output
    #[command(
        after_help = "Examples:\n  sealift store export sealift.tar\n  sealift store export - | ssh other-host sealift store import - --state /var/lib/sealift/queue\n  sealift store export --hand-over sealift.tar      (the daemon must be stopped; none starts here again)\n\nA hand-over moves a store with its half-done rollouts to another directory or host: the journal's chain goes on there."
    )]
    Export(ExportArgs),
    /// Make a directory for a daemon of an export (a file, or - for standard input) or of a backup
    #[command(
        after_help = "Examples:\n  sealift store import sealift.tar --state /var/lib/sealift/queue\n  sealift store import /backup/sealift-2026-11-27 --state /var/lib/sealift/queue\n\nEverything is verified before the directory appears. Run it as the daemon's user: sudo -u sealift sealift store import …\n\nA copy that was not handed over is an older time of its store: job ids saved and verbs given after it was made are not in it. Never let two\ndaemons work on a store and on a copy of it."
    )]
    Import(ImportArgs),
    /// Begin a new, empty store on purpose, in the place of one that is gone
    #[command(
        after_help = "Example:\n  sealift store new --state /var/lib/sealift/queue\n\nA daemon begins a store by itself where none ever was. Where one was and is gone, `serve` refuses (exit code 9): removed, moved, or its\ndisk not mounted. A new store knows nothing of what was done: no rollout, no job id, no verb. Where there is a backup, import it instead.\nRun it as the daemon's user: sudo -u sealift sealift store new …"
    )]
    New(StateArgs),
    /// Let a daemon work again on a directory that was handed over, because its export was imported
    /// nowhere
    #[command(
        after_help = "Example:\n  sealift store take-back --state /var/lib/sealift/queue --yes"
    )]
    TakeBack(TakeBackArgs),
    /// Put back what is damaged, from a backup or export of the same store, and keep the newer
    /// rest; the daemon must be stopped
    #[command(
        after_help = "Examples:\n  sealift store repair --from /backup/sealift-2026-11-27\n  sealift store repair --from sealift.tar --state /var/lib/sealift/queue\n  sealift store repair            (a lost mark, or one changed byte of a journal line, needs no copy)\n\nThe damaged journal is kept beside the repaired one, as journal.bad-ENTRY. What cannot be repaired without loss is refused with its place,\nand nothing is changed."
    )]
    Repair(RepairArgs),
    /// Print the tables of a store in PostgreSQL and the rights of the daemon's role, as SQL for the
    /// database's owner
    #[command(
        after_help = "Examples:\n  sealift store sql | psql -h db1 -U postgres sealift\n  sealift store sql --role sealift --schema sealift > sealift.sql\n\nWith it the daemon's role needs no right to make anything, and cannot rewrite the journal. Where the role may, a daemon makes the tables\nby itself."
    )]
    Sql(SqlArgs),
    /// Build the queue anew, because its file never shrinks; the daemon must be stopped
    #[command(after_help = "Example:\n  sealift store compact --state /var/lib/sealift/queue")]
    Compact(CompactArgs),
}

/// Which directory.
#[derive(Debug, Clone, Default, Args)]
pub struct StateArgs {
    /// The store's directory [default: store.sled of the configuration]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Of `store check`.
#[derive(Debug, Args)]
pub struct StoreCheckArgs {
    /// Which directory
    #[command(flatten)]
    pub state: StateArgs,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `store backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The new directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Of this directory, on which no daemon works [default: of the daemon, or of store.sled of the
    /// configuration when none runs]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `store export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The new file, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Of this directory, on which no daemon works [default: of the daemon, or of store.sled of the
    /// configuration when none runs]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The store goes on where this is imported: no daemon starts here again
    #[arg(long)]
    pub hand_over: bool,
    /// How to print; on standard error where the file goes to standard output
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `store import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The export, - for standard input, or the directory of a backup
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// Where to; it must be empty, or not there yet
    #[command(flatten)]
    pub state: StateArgs,
    /// How to print
    #[command(flatten)]
    pub output: DocumentArgs,
}

/// Of `store take-back`.
#[derive(Debug, Args)]
pub struct TakeBackArgs {
    /// Which directory
    #[command(flatten)]
    pub state: StateArgs,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Of `store repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// A backup or an export of the same store
    #[arg(long, value_name = "COPY")]
    pub from: Option<PathBuf>,
    /// Which directory
    #[command(flatten)]
    pub state: StateArgs,
}

/// Of `store sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The daemon's role in the database [default: the user of store.postgres.url]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// The schema of the tables [default: store.postgres.schema, or sealift]
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<String>,
}

/// Of `store compact`.
#[derive(Debug, Args)]
pub struct CompactArgs {
    /// Which directory
    #[command(flatten)]
    pub state: StateArgs,
}
