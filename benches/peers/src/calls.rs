//! The four calls of a change: the proxies before, the switch, the job until it is completed, the
//! proxies after.
//!
//! The job id is read, as it must be, and so is whether the job is completed; everything else in
//! the answers is ignored.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};

use crate::Failure;

/// How long a job is left alone that is not completed: the benchmark's jobs take a millisecond.
const POLL: Duration = Duration::from_millis(1);

/// Idle connections kept: more than any run has in flight.
const IDLE_MAX: usize = 4096;

/// What is to be done.
#[derive(Debug, Clone, Deserialize)]
pub struct Task {
    pub endpoint: String,
    /// The project in every path.
    pub project: String,
    /// What stands in `X-Auth-Token`.
    pub token: String,
    pub targets: PathBuf,
    pub in_flight: usize,
    /// How long at most.
    pub seconds: f64,
    /// An empty directory on the disk to be measured.
    pub dir: PathBuf,
}

impl Task {
    /// Reads the target file.
    pub fn targets(&self) -> Result<Vec<PeerTarget>, Failure> {
        Ok(csv::Reader::from_path(&self.targets)?.deserialize().collect::<Result<_, _>>()?)
    }
}

/// One row of the target file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerTarget {
    pub instance_id: String,
    pub proxy_id: String,
}

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

#[derive(Deserialize)]
struct PeerJobBody {
    job: Job,
}

#[derive(Deserialize)]
struct Job {
    status: String,
}

#[derive(Debug, Clone)]
pub struct CallMaker {
    client: Client,
    base: String,
    token: String,
}

impl CallMaker {
    /// A client with connections of its own.
    pub fn new(task: &Task) -> Result<Self, Failure> {
        let client =
            Client::builder().no_proxy().http1_only().pool_max_idle_per_host(IDLE_MAX).build()?;
        Ok(Self {
            client,
            base: format!("{}/v3/{}", task.endpoint, task.project),
            token: task.token.clone(),
        })
    }

    async fn call(&self, request: RequestBuilder) -> Result<bytes::Bytes, Failure> {
        Ok(request
            .header("X-Auth-Token", &self.token)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?)
    }

    /// The proxies of the target's instance.
    pub async fn look(&self, target: &PeerTarget) -> Result<(), Failure> {
        let url =
            format!("{}/instances/{}/proxies?offset=0&limit=100", self.base, target.instance_id);
        self.call(self.client.get(url)).await.map(|_| ())
    }

    /// The switch; its job.
    pub async fn switch(&self, target: &PeerTarget) -> Result<String, Failure> {
        let url =
            format!("{}/instances/{}/proxy/{}/ssl", self.base, target.instance_id, target.proxy_id);
        let request = self.client.put(url).header("Content-Type", "application/json;charset=UTF-8");
        let answer = self.call(request.body(r#"{"ssl_option":true}"#)).await?;
        Ok(serde_json::from_slice::<Accepted>(&answer)?.job_id)
    }

    /// The job, until it is completed.
    pub async fn follow(&self, job: &str) -> Result<(), Failure> {
        let url = format!("{}/jobs?id={job}", self.base);
        loop {
            let answer = self.call(self.client.get(&url)).await?;
            if serde_json::from_slice::<PeerJobBody>(&answer)?.job.status == "Completed" {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
