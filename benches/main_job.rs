//! The main job, measured: changes carried durably from the queue to saved job ids and followed to
//! their end, beside what others do with the same calls in the same run; at a quota; in a
//! rehearsal; as the fleet grows; and with much that is over.
//!
//! Everything measured runs in a process of its own (this program, started again with a role; the
//! shipped binary; a program of `benches/peers`), so that processor time and memory are told apart.
//! Rounds of all contestants are interleaved and medians are told, because the host is rarely idle.
//! Nothing is asserted by time: this prints.
//!
//! Run it by `make bench`, or `cargo bench --bench main_job -- --help`.

#![forbid(unsafe_code)]

#[path = "../tests/library/quota/bound.rs"]
mod bound;
#[path = "main_job/busy.rs"]
mod busy;
#[path = "main_job/carry.rs"]
mod carry;
#[path = "main_job/charts.rs"]
mod charts;
#[path = "main_job/child.rs"]
mod child;
#[path = "main_job/command.rs"]
mod command;
#[path = "main_job/daemon.rs"]
mod daemon;
#[path = "main_job/disk.rs"]
mod disk;
#[path = "main_job/emulator.rs"]
mod emulator;
#[path = "../tests/daemon/serve/finished.rs"]
mod finished;
#[path = "main_job/fleet.rs"]
mod fleet;
#[path = "main_job/growth.rs"]
mod growth;
#[path = "main_job/machine.rs"]
mod machine;
#[path = "main_job/medians.rs"]
mod medians;
#[path = "main_job/nginx.rs"]
mod nginx;
#[path = "main_job/over.rs"]
mod over;
#[path = "main_job/page.rs"]
mod page;
#[path = "main_job/path.rs"]
mod path;
#[path = "main_job/peers.rs"]
mod peers;
#[path = "main_job/quota_runs.rs"]
mod quota_runs;
#[path = "main_job/rehearsal.rs"]
mod rehearsal;
#[path = "main_job/results.rs"]
mod results;
#[path = "main_job/room.rs"]
mod room;
#[path = "main_job/server.rs"]
mod server;
#[path = "main_job/settings.rs"]
mod settings;
#[path = "main_job/svg.rs"]
mod svg;
#[path = "main_job/table.rs"]
mod table;
#[path = "main_job/told.rs"]
mod told;
#[path = "main_job/usage.rs"]
mod usage;
#[path = "main_job/wrk.rs"]
mod wrk;

use std::error::Error;

use clap::Parser as _;

use self::results::Results;
use self::settings::BenchSettings;

/// Why a measurement came to nothing; the message is for the person who started it.
type BenchFailure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BenchFailure> {
    let mut arguments = std::env::args().skip(1);
    if let (Some(role), Some(task)) = (arguments.next(), arguments.next()) {
        match role.as_str() {
            emulator::ROLE => return emulator::run(&task),
            carry::ROLE => return carry::run(&task),
            over::ROLE => return over::run(&task),
            busy::ROLE => return busy::run(),
            _ => {}
        }
    }
    let mut settings = BenchSettings::parse();
    std::fs::create_dir_all(&settings.dir)?;
    // The daemon reads paths from where its configuration is.
    settings.dir = settings.dir.canonicalize()?;
    let folder = settings.folder();
    let mut results = Results::read(&folder)?;
    results.measure(&settings)?;
    println!("{results}");
    results.write(&folder)?;
    println!("\nwritten to {}", folder.display());
    Ok(())
}
