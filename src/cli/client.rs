//! Speaks to the daemon, over its unix socket or over the network.
//!
//! Invariants: every answer is read within a bound of time and size; a daemon that is not there,
//! one that is busy and one that refuses are told apart; a request outlives a restart of the
//! daemon, and none that may have been taken is repeated if that could change anything (`away`). On
//! the socket nothing here needs a trusted authority or a network. A token leaves this machine by
//! TLS alone.
//!
//! Deliberately not here: where the daemon is, and the token (`place`, `reach`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use reqwest::header::{IF_MATCH, RETRY_AFTER};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::away::{Absence, PATIENCE};
use super::client_error::{ClientError, Repeat};
use super::exit::{Exit, ExitFailure};
use super::place::{DaemonPlace, is_unknown_certificate};
use super::term;
use super::wire::{
    CheckRow, EnforcementDoc, Events, InstancePage, LaneAnswer, LaneRequest, Listing, LookRequest,
    LookRow, NotifyTestAnswer, PreflightRequest, Preview, Problem, RolloutDoc, StopAnswer,
    StopRequest, SubmitAnswer, VerbAnswer,
};
use crate::api::door::LinkAnswer;

/// Time for an answer; the server gives up a little earlier and says why.
const ANSWER: Duration = Duration::from_secs(15);

/// Time for a submission: 100,000 targets are checked and synced in a few seconds.
const SUBMISSION: Duration = Duration::from_secs(120);

/// Time for the looks of one request: each waits for its lane's quota, behind all work.
const LOOKS: Duration = Duration::from_secs(24 * 60 * 60);

/// An export that has not begun by then waits for another one.
const EXPORT_WAITS: Duration = Duration::from_secs(1);

/// Largest answer: a page of a thousand rows is far below.
const BODY_MAX: u64 = 64 << 20;

/// A client of one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    daemon: DaemonPlace,
    /// How long a daemon that does not answer is waited for.
    patience: Duration,
}

impl Client {
    /// A client of the daemon that listens on `socket`.
    pub fn on_socket(socket: &Path) -> Result<Self, ExitFailure> {
        Self::new(DaemonPlace::Socket(socket.to_owned()))
    }

    /// A client of the daemon there.
    pub fn new(daemon: DaemonPlace) -> Result<Self, ExitFailure> {
        let builder = reqwest::Client::builder()
            .timeout(ANSWER)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        let http = daemon.prepare(builder)?.build();
        let http =
            http.map_err(|error| ExitFailure::new(Exit::Error, daemon.unprepared(&error)))?;
        Ok(Self { http, daemon, patience: PATIENCE })
    }

    /// The same, waiting so long for a daemon that does not answer.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long a daemon that does not answer is waited for.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.daemon.base()))
    }

    /// A read, whose answer is one document.
    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        self.outliving(Repeat::Harmless, async || self.once(copy(&request)).await).await
    }

    /// A request that changes something.
    async fn act<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        self.outliving(Repeat::Untaken, async || self.once(copy(&request)).await).await
    }

    async fn once<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let mut response = self.answer(request).await?;
        let body = self.read(&mut response).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Broken(error.to_string()))
    }

    /// Tries until somebody answers, for as long as the patience lasts.
    async fn outliving<T>(
        &self,
        repeat: Repeat,
        mut request: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut absence = Absence::new(self.patience);
        loop {
            match request().await {
                Err(error) if error.is_away(repeat) => absence.wait(error).await?,
                answered => {
                    absence.end();
                    return answered;
                }
            }
        }
    }

    /// The answer of a success, its body not yet read.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let mut response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED && self.daemon.is_network() {
            return Err(ClientError::SignedOut { daemon: self.daemon.clone() });
        }
        let busy = status == StatusCode::SERVICE_UNAVAILABLE
            && response.headers().contains_key(RETRY_AFTER);
        let body = self.read(&mut response).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(refusal) if busy => {
                Err(ClientError::Busy { daemon: self.daemon.clone(), why: refusal.detail })
            }
            Ok(refusal) => Err(ClientError::Refused(Box::new(refusal))),
            Err(_) => Err(ClientError::Broken(format!("status {status}"))),
        }
    }

    /// Why a request was not answered: nobody is there, too much is asked, or the daemon went away
    /// in the middle.
    fn unanswered(&self, error: &reqwest::Error) -> ClientError {
        let chain =
            std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
                error.source()
            });
        let kind =
            chain.clone().find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        let why = chain.last().map_or_else(String::new, ToString::to_string);
        let daemon = self.daemon.clone();
        if is_unknown_certificate(error) {
            return ClientError::Untrusted { daemon, why };
        }
        if kind == Some(io::ErrorKind::PermissionDenied) {
            return ClientError::Denied { daemon, why };
        }
        match (error.is_connect(), error.is_timeout() || kind == Some(io::ErrorKind::WouldBlock)) {
            (true, true) => ClientError::Busy {
                daemon,
                why: "too many clients wait to be let in; try again in a moment".into(),
            },
            (true, false) => ClientError::Unreachable { daemon, why },
            (false, true) => {
                let why = "it took the request and gave no answer in time; its log says why, and `sealift status` whether it was carried out";
                ClientError::Busy { daemon, why: why.into() }
            }
            (false, false) => ClientError::Cut { daemon, why },
        }
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ClientError> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// A read whose answer is text.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let request = self.request(Method::GET, path);
        let text = async || {
            let mut response = self.answer(copy(&request)).await?;
            let body = self.read(&mut response).await?;
            String::from_utf8(body).map_err(|error| ClientError::Broken(error.to_string()))
        };
        self.outliving(Repeat::Harmless, text).await
    }

    /// One page of a listing.
    pub async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Listing<T>, ClientError> {
        self.get(path, query).await
    }

    /// How one rollout stands.
    pub async fn rollout(&self, reference: &str) -> Result<RolloutDoc, ClientError> {
        self.get(&format!("/v1/rollouts/{}", segment(reference)), &[]).await
    }

    /// Carries out a verb.
    pub async fn verb(
        &self,
        reference: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<VerbAnswer, ClientError> {
        self.act(
            self.request(Method::POST, &format!("/v1/rollouts/{}/{verb}", segment(reference)))
                .json(body),
        )
        .await
    }

    /// Carries out a verb if the rollout's record is still the one of this tag.
    pub async fn verb_on(
        &self,
        tag: &str,
        reference: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<VerbAnswer, ClientError> {
        let path = format!("/v1/rollouts/{}/{verb}", segment(reference));
        let tag = format!("\"{tag}\"");
        self.act(self.request(Method::POST, &path).header(IF_MATCH, tag).json(body)).await
    }

    /// The stream of what moved, from now on.
    pub async fn moved(&self) -> Result<Response, ClientError> {
        self.answer(self.request(Method::GET, "/v1/moved").timeout(LOOKS)).await
    }

    /// How one enforcement stands.
    pub async fn enforcement(&self, name: &str) -> Result<EnforcementDoc, ClientError> {
        self.get(&format!("/v1/enforcements/{}", segment(name)), &[]).await
    }

    /// Carries out a verb on a lane.
    pub async fn lane_verb(
        &self,
        lane: &str,
        verb: &str,
        body: &LaneRequest,
    ) -> Result<LaneAnswer, ClientError> {
        self.act(
            self.request(Method::POST, &format!("/v1/lanes/{}/{verb}", segment(lane))).json(body),
        )
        .await
    }

    /// Sends a test to a receiver of notifications.
    pub async fn test_receiver(&self, name: &str) -> Result<NotifyTestAnswer, ClientError> {
        let path = format!("/v1/notify/{}/test", segment(name));
        self.act(self.request(Method::POST, &path)).await
    }

    /// Stops everything, or starts it again.
    pub async fn switch_all(
        &self,
        verb: &str,
        body: &StopRequest,
    ) -> Result<StopAnswer, ClientError> {
        self.act(self.request(Method::POST, &format!("/v1/{verb}")).json(body)).await
    }

    /// Carries out a verb on an enforcement.
    pub async fn enforcement_verb(
        &self,
        name: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<EnforcementDoc, ClientError> {
        self.act(
            self.request(Method::POST, &format!("/v1/enforcements/{}/{verb}", segment(name)))
                .json(body),
        )
        .await
    }

    /// Waits until something moved, at most `wait` seconds.
    pub async fn events(
        &self,
        after: Option<u64>,
        reference: Option<&str>,
        wait: u64,
    ) -> Result<Events, ClientError> {
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

    /// A link that brings a browser in as whoever asks.
    pub async fn link(&self) -> Result<LinkAnswer, ClientError> {
        self.send(self.request(Method::POST, "/v1/links")).await
    }

    /// Lets the daemon look at instances; each row is told as it comes.
    pub async fn look(
        &self,
        asked: &LookRequest,
        each: &mut dyn FnMut(LookRow),
    ) -> Result<(), ClientError> {
        self.lines("/v1/looks", asked, each).await
    }

    /// Lets the daemon look at all that a rollout needs; each row is told as it comes.
    pub async fn preflight(
        &self,
        asked: &PreflightRequest,
        each: &mut dyn FnMut(CheckRow),
    ) -> Result<(), ClientError> {
        self.lines("/v1/preflight", asked, each).await
    }

    /// A copy of the daemon's store, as one stream.
    pub async fn export(&self) -> Result<impl AsyncRead + Send + Unpin + use<>, ClientError> {
        let mut answer =
            Box::pin(self.answer(self.request(Method::GET, "/v1/store/export").timeout(LOOKS)));
        let response = match tokio::time::timeout(EXPORT_WAITS, &mut answer).await {
            Ok(answered) => answered?,
            Err(_) => {
                term::say("waiting for the daemon: it makes one copy of the store at a time");
                answer.await?
            }
        };
        Ok(StreamReader::new(response.bytes_stream().map_err(std::io::Error::other)))
    }

    async fn lines<T: DeserializeOwned>(
        &self,
        path: &str,
        asked: &impl Serialize,
        each: &mut dyn FnMut(T),
    ) -> Result<(), ClientError> {
        let broken = |what: String| ClientError::Broken(what);
        let request = self.request(Method::POST, path).timeout(LOOKS).json(asked);
        let mut response =
            self.outliving(Repeat::Harmless, async || self.answer(copy(&request)).await).await?;
        let mut rest = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unanswered(&error))? {
            rest.extend_from_slice(&bytes);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                each(serde_json::from_slice(&line).map_err(|error| broken(error.to_string()))?);
            }
            if rest.len() as u64 > BODY_MAX {
                return Err(broken(format!("a line has more than {} MiB", BODY_MAX >> 20)));
            }
        }
        Ok(())
    }

    /// Lets the daemon check and preview a plan.
    pub async fn preview(&self, upload: &Upload<'_>) -> Result<Preview, ClientError> {
        self.outliving(Repeat::Harmless, async || {
            let form = upload.form().await?;
            self.once(
                self.request(Method::POST, "/v1/plans/preview").timeout(SUBMISSION).multipart(form),
            )
            .await
        })
        .await
    }

    pub async fn submit(
        &self,
        upload: &Upload<'_>,
        digest: &str,
        confirm: Option<&str>,
    ) -> Result<SubmitAnswer, ClientError> {
        let mut query = vec![("digest", digest)];
        query.extend(confirm.map(|name| ("confirm", name)));
        self.outliving(Repeat::Harmless, async || {
            let form = upload.form().await?;
            self.once(
                self.request(Method::POST, "/v1/rollouts")
                    .query(&query)
                    .timeout(SUBMISSION)
                    .multipart(form),
            )
            .await
        })
        .await
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unanswered(&error))? {
            if (body.len() + bytes.len()) as u64 > BODY_MAX {
                return Err(ClientError::Broken(format!(
                    "it has more than {} MiB",
                    BODY_MAX >> 20
                )));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }
}

/// The same request, to be sent again.
fn copy(request: &RequestBuilder) -> RequestBuilder {
    request.try_clone().expect("a body in memory can be copied")
}

/// The reference as one path segment; what cannot be one becomes a text that no rollout has, and
/// the daemon says so.
fn segment(reference: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    if reference.is_empty() { "_".into() } else { reference.chars().map(plain).collect() }
}

/// A plan with all that travels with it.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'u> {
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
        let name = self
            .plan
            .file_name()
            .map_or_else(|| "plan.yaml".into(), |name| name.to_string_lossy().into_owned());
        let mut form = Form::new().part("plan", part(self.plan, name).await?);
        for file in self.files {
            form = form
                .part("file", part(&folder.join(file), file.to_string_lossy().into_owned()).await?);
        }
        if let Some(path) = self.discovered {
            form = form.part("discovered", part(path, "discovered.jsonl".into()).await?);
        }
        Ok(form)
    }
}

async fn part(path: &Path, name: String) -> Result<Part, ClientError> {
    let unreadable =
        |error: std::io::Error| ClientError::File { file: path.to_owned(), why: error.to_string() };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    Ok(Part::stream_with_length(file, length).file_name(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::cli::wire::PauseRequest;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_gives_no_answer_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api.sock");
        let asked = |socket: PathBuf| async move {
            let client = Client::on_socket(&socket).expect("a client").waiting(Duration::ZERO);
            client.get::<Preview>("/v1/daemon", &[]).await.expect_err("nobody answers")
        };
        let gone = asked(socket.clone()).await;
        assert!(
            matches!(&gone, ClientError::Unreachable { .. })
                && gone.to_string().contains("sealift serve"),
            "{gone}"
        );
        // It listens, and never looks.
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let silent = asked(socket.clone()).await;
        assert!(
            matches!(&silent, ClientError::Busy { .. })
                && silent.to_string().contains("gave no answer in time"),
            "{silent}"
        );
        assert_eq!(ExitFailure::from(silent).exit, Exit::Busy);
    }

    /// A daemon that closes so many connections without an answer, and then answers; gives how many
    /// requests came.
    fn flaky(socket: &Path, cuts: usize, answers: usize) -> std::thread::JoinHandle<usize> {
        use std::io::{Read as _, Write as _};
        let listener = UnixListener::bind(socket).expect("a socket");
        std::thread::spawn(move || {
            for round in 0..cuts + answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let _ = stream.read(&mut [0; 4096]).expect("its question");
                if round >= cuts {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
                        .expect("an answer");
                }
            }
            cuts + answers
        })
    }

    #[tokio::test]
    async fn a_read_is_repeated_when_the_connection_breaks_and_a_verb_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api.sock");
        let client = Client::on_socket(&socket).expect("a client").waiting(Duration::from_secs(20));
        let daemon = flaky(&socket, 2, 1);
        assert!(client.get::<bool>("/v1/daemon", &[]).await.expect("the third try is answered"));
        assert_eq!(daemon.join().expect("it ends"), 3);
        std::fs::remove_file(&socket).expect("removed");
        let daemon = flaky(&socket, 1, 0);
        let cut = client
            .verb("night", "pause", &PauseRequest::default())
            .await
            .expect_err("it may have been taken");
        assert!(matches!(cut, ClientError::Cut { .. }), "{cut}");
        daemon.join().expect("one request, and no second one");
    }

    #[tokio::test]
    async fn a_verb_waits_for_a_daemon_that_nobody_can_have_taken_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api.sock");
        let client = Client::on_socket(&socket).expect("a client").waiting(Duration::from_secs(20));
        let late = tokio::spawn({
            let socket = socket.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(700)).await;
                flaky(&socket, 1, 0)
            }
        });
        let cut = client
            .verb("night", "pause", &PauseRequest::default())
            .await
            .expect_err("taken, and cut off");
        assert!(
            matches!(cut, ClientError::Cut { .. }),
            "it was sent once somebody was there: {cut}"
        );
        late.await.expect("it listened").join().expect("one request");
        std::fs::remove_file(&socket).expect("removed");
        let gone = client
            .waiting(Duration::from_millis(600))
            .get::<bool>("/v1/daemon", &[])
            .await
            .expect_err("nobody came");
        assert!(gone.to_string().contains("away since"), "{gone}");
    }
}
