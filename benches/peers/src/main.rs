//! Clients that do the benchmark's work without Sealift: the same four calls a change, over the
//! same targets.
//!
//! | role | what it keeps |
//! |---|---|
//! | `bare` | nothing |
//! | `log` | a line before the switch and one with the job id, each waited for until it is synced; syncs are shared |
//! | `apalis` | a queue of the `apalis` crate on SQLite, every commit synced; a change is one task, its result the job id |
//!
//! Called with a role and a task as JSON; prints one line of JSON. All work until the targets are
//! used up or the time is over.

#![forbid(unsafe_code)]

mod apalis_queue;
mod calls;
mod group_log;
mod outcome;
mod plain_loop;

use std::error::Error;

/// Why a run came to nothing; the message is for the person who started it.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(role), Some(task)) = (arguments.next(), arguments.next()) else {
        return Err("usage: peers ROLE TASK; `make bench` starts this program".into());
    };
    let task: calls::Task = serde_json::from_str(&task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = match role.as_str() {
        "bare" => runtime.block_on(plain_loop::run(task, false))?,
        "log" => runtime.block_on(plain_loop::run(task, true))?,
        "apalis" => runtime.block_on(apalis_queue::run(task))?,
        _ => return Err(format!("there is no role {role}").into()),
    };
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}
