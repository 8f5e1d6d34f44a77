//! The main job, measured: changes carried durably from the queue to saved job ids and followed to their end, beside
//! what plain clients do with the same calls on the same server in the same run.
//!
//! Everything measured runs in a process of its own (this program, started again with a role), so that processor time
//! and memory are told apart; the server is the emulated cloud without quota or faults. Rounds of all contestants are
//! interleaved and medians are told, because the host is rarely idle. Nothing is asserted by time: this prints.
//!
//! Run it by `make bench`, or `cargo bench --bench main_job -- --help`.

#![forbid(unsafe_code)]

#[path = "main_job/carry.rs"]
mod carry;
#[path = "main_job/child.rs"]
mod child;
#[path = "main_job/fleet.rs"]
mod fleet;
#[path = "main_job/machine.rs"]
mod machine;
#[path = "main_job/plain_loop.rs"]
mod plain_loop;
#[path = "main_job/quota.rs"]
mod quota;
#[path = "main_job/report.rs"]
mod report;
#[path = "main_job/rounds.rs"]
mod rounds;
#[path = "main_job/server.rs"]
mod server;
#[path = "main_job/submit.rs"]
mod submit;
#[path = "main_job/usage.rs"]
mod usage;
#[path = "main_job/wrk.rs"]
mod wrk;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

/// Why a measurement came to nothing; the message is for the person who started it.
type Failure = Box<dyn Error + Send + Sync>;

/// What is measured.
#[derive(Debug, Clone, Parser)]
#[command(about = "Measures the main job beside plain clients on the same server")]
struct Settings {
    /// Changes that Sealift carries in one round, one proxy an instance.
    #[arg(long, default_value_t = 20_000)]
    changes: u32,
    /// Changes in flight, and connections of the plain clients.
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    in_flight: Vec<u32>,
    /// Interleaved rounds, of which medians are told.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds that a plain client runs in one round.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Targets of the submission; 0 leaves it out.
    #[arg(long, default_value_t = 100_000)]
    targets: u32,
    /// Seconds of the run at a quota of 100 calls a second; 0 leaves it out.
    #[arg(long, default_value_t = 20)]
    quota_seconds: u32,
    /// Leaves the plain clients out: for profiles of the carried path.
    #[arg(long)]
    only_carry: bool,
    /// Where stores are made, on the disk to be measured; also holds `main_job.json` at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))]
    dir: PathBuf,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(role), Some(task)) = (arguments.next(), arguments.next()) {
        match role.as_str() {
            server::ROLE => return server::run(&task),
            plain_loop::ROLE => return plain_loop::run(&task),
            carry::ROLE => return carry::run(&task),
            submit::ROLE => return submit::run(&task),
            _ => {}
        }
    }
    let settings = Settings::parse();
    std::fs::create_dir_all(&settings.dir)?;
    let measured = rounds::measure(&settings)?;
    report::print(&measured);
    let file = settings.dir.join("main_job.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&measured)?)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}
