//! Speaks to the daemon over its unix socket.
//!
//! Invariant: every answer is read within a bound of time and size, and a daemon that is not there is told apart from
//! one that refuses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::exit::{Exit, Failure};
use super::wire::{
    CheckRow, EnforcementDoc, EnforcementRequest, ErrorDoc, Events, InstancePage, LookRequest, LookRow, Page, PreflightRequest, Preview,
    RolloutDoc, SubmitAnswer, VerbAnswer, VerbRequest,
};

/// Time for an answer; the server gives up a little earlier and says why.
const ANSWER: Duration = Duration::from_secs(15);

/// Time for a submission: 100,000 targets are checked and synced in a few seconds.
const SUBMISSION: Duration = Duration::from_secs(120);

/// Time for the looks of one request: each waits for its lane's quota, behind all work.
const LOOKS: Duration = Duration::from_secs(24 * 60 * 60);

/// Time to connect; a socket on this machine answers at once or never.
const CONNECT: Duration = Duration::from_secs(3);

/// Largest answer: a page of a thousand rows is far below.
const BODY_MAX: u64 = 64 << 20;

/// A client of one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers on the socket.
    #[error(
        "no daemon answers on {}: {why}; start it with `sealift serve`, or name its socket with --config FILE or SEALIFT_ADDR=PATH",
        socket.display()
    )]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The daemon refused.
    #[error("{}", .0.error.message)]
    Refused(Box<ErrorDoc>),
    /// A file to send cannot be read.
    #[error("{} cannot be read: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The answer was none that we understand.
    #[error("the daemon's answer cannot be read: {0}; are client and daemon of the same version?")]
    Broken(String),
}

impl Client {
    /// A client of the daemon that listens on `socket`.
    pub fn new(socket: &Path) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .unix_socket(socket)
            // Nothing is encrypted here, and to look for this machine's authorities would fail where it has none.
            .tls_certs_only([])
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Failure::new(Exit::Error, format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { http, socket: socket.to_owned() })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://sealift{path}"))
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let mut response = self.answer(request).await?;
        let body = read(&mut response).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Broken(error.to_string()))
    }

    /// The answer of a success, its body not yet read.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(&mut response).await?;
        match serde_json::from_slice::<ErrorDoc>(&body) {
            Ok(refusal) => Err(ClientError::Refused(Box::new(refusal))),
            Err(_) => Err(ClientError::Broken(format!("status {status}"))),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        ClientError::Unreachable { socket: self.socket.clone(), why: innermost.to_string() }
    }

    /// One document.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, ClientError> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// One page of a listing.
    pub async fn page<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<Page<T>, ClientError> {
        self.get(path, query).await
    }

    /// How one rollout stands.
    pub async fn rollout(&self, reference: &str) -> Result<RolloutDoc, ClientError> {
        self.get(&format!("/v1/rollouts/{}", segment(reference)), &[]).await
    }

    /// Carries out a verb.
    pub async fn verb(&self, reference: &str, verb: &str, body: &VerbRequest) -> Result<VerbAnswer, ClientError> {
        self.send(self.request(Method::POST, &format!("/v1/rollouts/{}/{verb}", segment(reference))).json(body)).await
    }

    /// How one enforcement stands.
    pub async fn enforcement(&self, name: &str) -> Result<EnforcementDoc, ClientError> {
        self.get(&format!("/v1/enforcements/{}", segment(name)), &[]).await
    }

    /// Carries out a verb on an enforcement.
    pub async fn enforcement_verb(&self, name: &str, verb: &str, body: &EnforcementRequest) -> Result<EnforcementDoc, ClientError> {
        self.send(self.request(Method::POST, &format!("/v1/enforcements/{}/{verb}", segment(name))).json(body)).await
    }

    /// Waits until something moved, at most `wait` seconds.
    pub async fn events(&self, after: Option<u64>, reference: Option<&str>, wait: u64) -> Result<Events, ClientError> {
        let mut query = vec![("wait", wait.to_string())];
        query.extend(after.map(|after| ("after", after.to_string())));
        query.extend(reference.map(|reference| ("rollout", reference.to_owned())));
        self.get("/v1/events", &query).await
    }

    /// One page of a project's instances, behind all work of the lane.
    pub async fn instances(&self, lane: &str, offset: u32) -> Result<InstancePage, ClientError> {
        let query = [("lane", lane.to_owned()), ("offset", offset.to_string())];
        self.send(self.request(Method::GET, "/v1/instances").timeout(LOOKS).query(&query)).await
    }

    /// Lets the daemon look at instances; each row is told as it comes.
    pub async fn look(&self, asked: &LookRequest, told: &mut dyn FnMut(LookRow)) -> Result<(), ClientError> {
        self.lines("/v1/looks", asked, told).await
    }

    /// Lets the daemon look at all that a rollout needs; each row is told as it comes.
    pub async fn preflight(&self, asked: &PreflightRequest, told: &mut dyn FnMut(CheckRow)) -> Result<(), ClientError> {
        self.lines("/v1/preflight", asked, told).await
    }

    /// A copy of the daemon's store, as one stream.
    pub async fn export(&self) -> Result<impl AsyncRead + Send + Unpin + use<>, ClientError> {
        let response = self.answer(self.request(Method::GET, "/v1/store/export").timeout(LOOKS)).await?;
        Ok(StreamReader::new(response.bytes_stream().map_err(std::io::Error::other)))
    }

    async fn lines<T: DeserializeOwned>(&self, path: &str, asked: &impl Serialize, told: &mut dyn FnMut(T)) -> Result<(), ClientError> {
        let broken = |what: String| ClientError::Broken(what);
        let request = self.request(Method::POST, path).timeout(LOOKS).json(asked);
        let mut response = self.answer(request).await?;
        let mut rest = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| broken(error.to_string()))? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                told(serde_json::from_slice(&line).map_err(|error| broken(error.to_string()))?);
            }
            if rest.len() as u64 > BODY_MAX {
                return Err(broken(format!("a line has more than {} MiB", BODY_MAX >> 20)));
            }
        }
        Ok(())
    }

    /// Lets the daemon check and preview a plan.
    pub async fn preview(&self, upload: &Upload<'_>) -> Result<Preview, ClientError> {
        let form = upload.form().await?;
        self.send(self.request(Method::POST, "/v1/plans/preview").timeout(SUBMISSION).multipart(form)).await
    }

    /// Submits a plan.
    pub async fn submit(&self, upload: &Upload<'_>, digest: &str, confirm: Option<&str>) -> Result<SubmitAnswer, ClientError> {
        let mut query = vec![("digest", digest)];
        query.extend(confirm.map(|name| ("confirm", name)));
        let form = upload.form().await?;
        self.send(self.request(Method::POST, "/v1/rollouts").query(&query).timeout(SUBMISSION).multipart(form)).await
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| ClientError::Broken(error.to_string());
    while let Some(bytes) = response.chunk().await.map_err(broken)? {
        if (body.len() + bytes.len()) as u64 > BODY_MAX {
            return Err(ClientError::Broken(format!("it has more than {} MiB", BODY_MAX >> 20)));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// The reference as one path segment; what cannot be one becomes a text that no rollout has, and the daemon says so.
fn segment(reference: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    if reference.is_empty() { "_".into() } else { reference.chars().map(plain).collect() }
}

/// A plan with all that travels with it.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'u> {
    /// The plan file.
    pub plan: &'u Path,
    /// The files that it names, relative to it.
    pub files: &'u [PathBuf],
    /// What was found for its `targets.discover`.
    pub discovered: Option<&'u Path>,
}

impl Upload<'_> {
    /// The files, streamed from disk.
    async fn form(&self) -> Result<Form, ClientError> {
        let folder = self.plan.parent().unwrap_or(Path::new(""));
        let name = self.plan.file_name().map_or_else(|| "plan.yaml".into(), |name| name.to_string_lossy().into_owned());
        let mut form = Form::new().part("plan", part(self.plan, name).await?);
        for file in self.files {
            form = form.part("file", part(&folder.join(file), file.to_string_lossy().into_owned()).await?);
        }
        if let Some(path) = self.discovered {
            form = form.part("discovered", part(path, "discovered.jsonl".into()).await?);
        }
        Ok(form)
    }
}

async fn part(path: &Path, name: String) -> Result<Part, ClientError> {
    let unreadable = |error: std::io::Error| ClientError::File { file: path.to_owned(), why: error.to_string() };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    Ok(Part::stream_with_length(file, length).file_name(name))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = if matches!(error, ClientError::Unreachable { .. }) { Exit::Unreachable } else { Exit::Error };
        let mut message = error.to_string();
        if let ClientError::Refused(refusal) = &error {
            for row in &refusal.error.candidates {
                message.push_str(&format!("\n  {}  {} revision {}", row.id, row.name, row.revision));
            }
            if let Some(rendered) = &refusal.error.rendered {
                message.push_str(&format!("\n{rendered}"));
            }
        }
        Self::new(exit, message)
    }
}
