//! A bare client: reqwest in a loop with the same four calls a change, and nothing written down.
//!
//! Its job id is read from the switch's answer, as it must be; everything else in the answers is ignored.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};

use crate::child::tell;
use crate::{Failure, fleet, usage};

/// The role's name.
pub const ROLE: &str = "plain-loop";

/// What it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The server.
    pub endpoint: String,
    /// Proxies of the fleet.
    pub proxies: u32,
    /// Changes in flight.
    pub in_flight: u32,
    /// How long.
    pub seconds: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Told {
    /// Changes a second.
    pub changes_per_second: f64,
    /// Processor seconds of a thousand changes.
    pub cpu_per_thousand: f64,
}

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

/// Runs it.
pub fn run(task: &str) -> Result<(), Failure> {
    let task: Task = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(work(task))
}

async fn work(task: Task) -> Result<(), Failure> {
    let fleet = Arc::new(fleet::generate(task.proxies)?);
    let client = Client::builder().no_proxy().http1_only().pool_max_idle_per_host(512).build()?;
    let (next, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = usage::now();
    let mut tasks = Vec::new();
    for _ in 0..task.in_flight {
        let (task, client, fleet) = (task.clone(), client.clone(), Arc::clone(&fleet));
        let (next, done) = (Arc::clone(&next), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            while usage::since(begun) < f64::from(task.seconds) {
                let place = next.fetch_add(1, Ordering::Relaxed) % task.proxies;
                let proxy = fleet.proxies()[place as usize];
                let base = format!("{}/v3/{}", task.endpoint, fleet::PROJECT);
                let look = format!("{base}/instances/{}/proxies?offset=0&limit=100", proxy.instance_id);
                call(client.get(&look)).await?;
                let url = format!("{base}/instances/{}/proxy/{}/ssl", proxy.instance_id, proxy.proxy_id);
                let answer = call(client.put(url).body(r#"{"ssl_option":true}"#)).await?;
                let job = serde_json::from_slice::<Accepted>(&answer)?.job_id;
                call(client.get(format!("{base}/jobs?id={job}"))).await?;
                call(client.get(&look)).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    let changes = done.load(Ordering::Relaxed) as f64;
    let told = Told { changes_per_second: changes / usage::since(begun), cpu_per_thousand: usage::own_cpu_seconds()? / changes * 1e3 };
    tell(&told)
}

async fn call(request: RequestBuilder) -> Result<bytes::Bytes, Failure> {
    Ok(request.header("X-Auth-Token", fleet::TOKEN).send().await?.error_for_status()?.bytes().await?)
}
