//! `lanes`, resolved from the text to [`Lane`]s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credentials;
use super::formats;
use super::raw;
use super::setting::{Origin, Settings};
use crate::domain::change::Timing;
use crate::domain::id::Name;
use crate::domain::lane::{Access, CLOCK_TOLERANCE, ClientCertificate, Lane, LaneTls, Language};
use crate::domain::quota::Quota;
use crate::yaml::length::Length;
use crate::yaml::share::CountOrShare;
use crate::yaml::{Diagnostic, Document, Mistakes, plain, quote};

/// `max_in_flight` of a lane.
pub const MAX_IN_FLIGHT_DEFAULT: u32 = 50;

/// `quota.headroom`.
pub const HEADROOM_DEFAULT: CountOrShare = CountOrShare::Hundredths(2_000);

const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const SETTLE_DEFAULT: Duration = Duration::from_secs(15);
const POLL_DEFAULT: Duration = Duration::from_secs(2);
const POLL_MAX_DEFAULT: Duration = Duration::from_secs(30);
const JOB_LIMIT_DEFAULT: Duration = Duration::from_secs(60 * 60);
const RECOVER_LIMIT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Reads all lanes, and a mistake for each that reaches the project of one before it; `None` after
/// any other mistake. What holds a mistake already is passed over, its neighbours are not.
pub fn read(
    whole: Option<Option<Vec<raw::RawLane>>>,
    document: &Document<'_>,
    base: &Path,
    settings: &mut Settings<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Lane>, Vec<Diagnostic>)> {
    let before = mistakes.count();
    let mut shared = Vec::new();
    let mut lanes: Vec<(usize, Lane)> = Vec::new();
    for (index, written) in document.entries(whole, "lanes", mistakes) {
        let path = format!("lanes[{index}]");
        if let Some((first, _)) = lanes.iter().find(|(_, lane)| lane.name == written.name) {
            let twice = Diagnostic::error(
                "duplicate-lane",
                format!("two lanes are named {}", quote(written.name.as_str())),
            );
            let twice = twice
                .also(document.place(&format!("lanes[{first}].name")), "the first one")
                .help("give each a name of its own");
            mistakes.push(twice.at(document.place(&format!("{path}.name"))));
            continue;
        }
        let reader = LaneReader { path, base, document };
        let Some(lane) = reader.lane(written, settings, mistakes) else { continue };
        if let Some((first, other)) =
            lanes.iter().find(|(_, other)| other.access.project_id == lane.access.project_id)
        {
            let message = format!(
                "the lanes {} and {} reach the same project: what one spends of the account's quota the other does not see",
                quote(other.name.as_str()),
                quote(lane.name.as_str())
            );
            let twice = Diagnostic::error("shared-project", message)
                .at(document.place(&format!("{}.project_id", reader.path)));
            let twice =
                twice.also(document.place(&format!("lanes[{first}].project_id")), "the first one");
            shared.push(twice.help("keep one of the two lanes, or correct its `project_id`"));
        }
        lanes.push((index, lane));
    }
    let complete = mistakes.count() == before
        && !mistakes.touch(document.source(), document.nearest("lanes").span);
    complete.then(|| (lanes.into_iter().map(|(_, lane)| lane).collect(), shared))
}

struct LaneReader<'r, 'd> {
    path: String,
    base: &'r Path,
    document: &'r Document<'d>,
}

impl LaneReader<'_, '_> {
    fn lane(
        &self,
        written: raw::RawLane,
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Lane> {
        let before = mistakes.count();
        let name = written.name;
        let key = |key: &str| format!("lanes.{name}.{key}");
        let path = |key: &str| format!("{}.{key}", self.path);
        // The tree check has seen both already; were it wrong, the mistake is told here.
        let endpoint = self.read(
            "endpoint",
            formats::endpoint(&written.endpoint).map_err(|complaint| complaint.message),
            mistakes,
        );
        let project = self.read(
            "project_id",
            written
                .project_id
                .parse()
                .map_err(|error: crate::domain::id::IdError| error.to_string()),
            mistakes,
        );
        let (endpoint, project_id) = (endpoint?, project?);
        let endpoint = settings.push_at(key("endpoint"), &path("endpoint"), endpoint, None);
        let project_id = settings.push_at(key("project_id"), &path("project_id"), project_id, None);
        let reader = credentials::CredentialsReader {
            lane: &self.path,
            name: &name,
            base: self.base,
            document: self.document,
        };
        let credentials = reader.read(
            written.credentials,
            written.iam_endpoint,
            &endpoint,
            settings,
            mistakes,
        )?;
        let tls = self.tls(
            &name,
            [written.ca_file, written.client_cert_file, written.client_key_file],
            settings,
            mistakes,
        );
        let origin = written.language.is_none().then_some(Origin::Default);
        let language = written.language.map_or_else(Language::default, |language| match language {
            raw::RawLanguage::EnUs => Language::EnUs,
            raw::RawLanguage::ZhCn => Language::ZhCn,
        });
        let language = settings.push_at(key("language"), &path("language"), language, origin);
        let access = Access { endpoint, project_id, credentials, language, tls };
        let quota = written.quota.map(|quota| {
            let headroom = quota.headroom.unwrap_or(HEADROOM_DEFAULT);
            let origin = quota.headroom.is_none().then_some(Origin::Default);
            settings.push_at(key("quota.requests"), &path("quota.requests"), quota.requests, None);
            settings.push_at(key("quota.per"), &path("quota.per"), quota.per, None);
            settings.push_at(key("quota.headroom"), &path("quota.headroom"), headroom, origin);
            // What is left to others rounds up, and one call always remains, or the lane could do
            // nothing.
            Quota {
                requests: (quota.requests - headroom.up(quota.requests).min(quota.requests)).max(1),
                per: quota.per.get(),
            }
        });
        if quota.is_some_and(|quota| quota.per.is_zero()) {
            self.zero("quota.per", mistakes);
        }
        let origin = written.max_in_flight.is_none().then_some(Origin::Default);
        let max_in_flight = written.max_in_flight.unwrap_or(MAX_IN_FLIGHT_DEFAULT);
        let max_in_flight =
            settings.push_at(key("max_in_flight"), &path("max_in_flight"), max_in_flight, origin);
        let mut length = |name: &str, written: Option<Length>, default: Duration| {
            if written.is_some_and(|length| length.get().is_zero()) {
                self.zero(name, mistakes);
            }
            let origin = written.is_none().then_some(Origin::Default);
            settings
                .push_at(key(name), &path(name), written.unwrap_or(default.into()), origin)
                .get()
        };
        let call_timeout = length("call_timeout", written.call_timeout, CALL_TIMEOUT_DEFAULT);
        let timing = Timing {
            settle: length("settle", written.settle, SETTLE_DEFAULT),
            poll: length("poll", written.poll, POLL_DEFAULT),
            poll_max: length("poll_max", written.poll_max, POLL_MAX_DEFAULT),
            job_limit: length("job_limit", written.job_limit, JOB_LIMIT_DEFAULT),
            recover_limit: length("recover_limit", written.recover_limit, RECOVER_LIMIT_DEFAULT),
        };
        let clock_tolerance = length("clock_tolerance", written.clock_tolerance, CLOCK_TOLERANCE);
        if timing.poll_max < timing.poll {
            let (max, first) = (Length::from(timing.poll_max), Length::from(timing.poll));
            let message = format!(
                "the longest wait between two looks, {max}, is shorter than the first, {first}"
            );
            let at = if written.poll_max.is_some() { "poll_max" } else { "poll" };
            let shorter = Diagnostic::error("value", message).at(self.document.place(&path(at)));
            mistakes.push(shorter.help("make `poll_max` at least as long as `poll`"));
        }
        (mistakes.count() == before).then_some(Lane {
            name,
            access,
            quota,
            max_in_flight,
            call_timeout,
            clock_tolerance,
            timing,
        })
    }

    /// The files `ca_file`, `client_cert_file` and `client_key_file`, in this order.
    fn tls(
        &self,
        name: &Name,
        files: [Option<String>; 3],
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> LaneTls {
        const KEYS: [&str; 3] = ["ca_file", "client_cert_file", "client_key_file"];
        let mut files = files.into_iter().zip(KEYS).map(|(file, key)| {
            let path: PathBuf = self.base.join(file?);
            Some(settings.push_at(
                format!("lanes.{name}.{key}"),
                &format!("{}.{key}", self.path),
                path,
                None,
            ))
        });
        let (ca_file, certificate, key) =
            (files.next().flatten(), files.next().flatten(), files.next().flatten());
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (certificate, _) => {
                let (there, missing, what) = match certificate {
                    Some(_) => (KEYS[1], KEYS[2], "a client certificate needs its key"),
                    None => (KEYS[2], KEYS[1], "a client key needs its certificate"),
                };
                let half = Diagnostic::error("missing-key", what)
                    .at(self.document.place(&format!("{}.{there}", self.path)));
                mistakes.push(half.help(format!("add `{missing}: PATH`; one file may hold both")));
                None
            }
        };
        LaneTls { ca_file, client }
    }

    fn read<T>(&self, key: &str, value: Result<T, String>, mistakes: &mut Mistakes) -> Option<T> {
        let place = || self.document.place(&format!("{}.{key}", self.path));
        value
            .map_err(|message| {
                mistakes.push(Diagnostic::error("value", plain(&message)).at(place()))
            })
            .ok()
    }

    fn zero(&self, key: &str, mistakes: &mut Mistakes) {
        let name = key.rsplit('.').next().unwrap_or(key);
        let zero = Diagnostic::error("value", format!("{} must be longer than 0s", quote(name)));
        mistakes.push(
            zero.at(self.document.place(&format!("{}.{key}", self.path)))
                .help("leave it out for its default"),
        );
    }
}
