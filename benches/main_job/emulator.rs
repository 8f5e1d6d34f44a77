//! The emulated cloud as a server of the benchmark: a process of its own, without quota and faults.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use sealift::clock::SystemClock;
use sealift::simcloud::emulator;
use sealift::simcloud::emulator::accounts::Accounts;
use sealift::simcloud::faults::{Between, Faults};
use serde::{Deserialize, Serialize};

use crate::child::{Child, tell};
use crate::{BenchFailure, fleet};

pub const ROLE: &str = "serve-emulator";

/// How long each job takes where nothing else is said. Short, so that nothing waits for it; not
/// nothing, because a job takes time.
pub const JOB_TIME: Duration = Duration::from_millis(1);

#[derive(Serialize, Deserialize)]
struct EmulatorTask {
    proxies: u32,
    job_time: Duration,
}

pub struct BenchEmulator {
    /// The base of its URLs.
    pub endpoint: String,
    #[expect(dead_code, reason = "it ends when this is dropped")]
    child: Child,
}

#[derive(Debug, Clone, Deserialize)]
pub struct EmulatorCounts {
    /// When it began: what arrivals count from.
    pub began: jiff::Timestamp,
    pub arrivals_total: u64,
    /// Switch calls that were executed.
    pub executed_total: u64,
    pub ssl_on: u64,
    /// Proxies switched more than once.
    pub repeated: u64,
}

impl BenchEmulator {
    /// Starts one over a fleet of its own.
    pub fn start(proxies: u32, job_time: Duration) -> Result<Self, BenchFailure> {
        let mut child = Child::start(ROLE, &EmulatorTask { proxies, job_time })?;
        Ok(Self { endpoint: child.line()?, child })
    }

    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, BenchFailure> {
        let url = format!("{}/_emulator/{path}", self.endpoint);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            Ok(client.get(url).send().await?.error_for_status()?.json().await?)
        })
    }

    /// What it counted so far.
    pub fn counted(&self) -> Result<EmulatorCounts, BenchFailure> {
        self.get("summary")
    }

    /// Nanoseconds after its start of the arrivals, oldest first.
    pub fn arrivals(&self) -> Result<Vec<u64>, BenchFailure> {
        self.get("arrivals")
    }

    /// That it saw what was told: every change carried once, and no call that was not counted.
    pub fn agrees(&self, changes: u32, succeeded: u32, calls: u64) -> Result<(), BenchFailure> {
        let counted = self.counted()?;
        let all = u64::from(changes);
        let right = succeeded == changes
            && counted.ssl_on == all
            && counted.executed_total == all
            && counted.repeated == 0;
        // A call that was withheld at the last check never arrives.
        if right && counted.arrivals_total <= calls {
            return Ok(());
        }
        Err(format!("the emulator counted {counted:?} where {succeeded} of {changes} changes and {calls} calls were told").into())
    }

    /// Switches the first proxy, so that there is a job to ask for; tells the job's id.
    pub fn first_job(&self) -> Result<String, BenchFailure> {
        #[derive(Deserialize)]
        struct Accepted {
            job_id: String,
        }
        let fleet = fleet::generate(1)?;
        let proxy = fleet.proxies()[0];
        let (project, instance, proxy) = (fleet::PROJECT, proxy.instance_id, proxy.proxy_id);
        let url = format!("{}/v3/{project}/instances/{instance}/proxy/{proxy}/ssl", self.endpoint);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build()?;
            let request =
                client.put(url).header("X-Auth-Token", fleet::TOKEN).body(r#"{"ssl_option":true}"#);
            Ok(request.send().await?.error_for_status()?.json::<Accepted>().await?.job_id)
        })
    }
}

/// Serves until the parent closes our standard input.
pub fn run(task: &str) -> Result<(), BenchFailure> {
    let EmulatorTask { proxies, job_time } = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let faults = Faults { job_time: Between::exactly(job_time), ..Faults::default() };
    let running = {
        let _entered = runtime.enter();
        let options = emulator::Options {
            listen: "127.0.0.1:0".parse()?,
            fleet: fleet::generate(proxies)?,
            faults,
            seed: fleet::SEED,
            token: None,
            project_id: Some(fleet::project()),
            accounts: Accounts::default(),
            watch: Vec::new(),
            wire: false,
        };
        emulator::Emulator::start(options, Arc::new(SystemClock))?
    };
    tell(&running.endpoint())?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(running.stop())?;
    Ok(())
}
