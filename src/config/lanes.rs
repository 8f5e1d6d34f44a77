//! `lanes`, `lane_files` and `lane_defaults`, resolved from the text to [`Lane`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::credentials;
use super::formats;
use super::lane_files::LaneTexts;
use super::layer::{LaneNotes, Layer, WrittenValue};
use super::raw::{RawLane, RawLanguage, RawQuota};
use super::regions::Region;
use super::setting::{Origin, Settings};
use crate::domain::change::Timing;
use crate::domain::id::{IdError, Name, ProjectId};
use crate::domain::lane::{
    Access, CLOCK_TOLERANCE, ClientCertificate, LANES_MAX, Lane, LaneTls, Language,
};
use crate::domain::quota::Quota;
use crate::yaml::diagnostic::DIAGNOSTICS_MAX;
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

/// What the configuration says of lanes, as far as all of it could be read at once: of each key
/// what [`Document::part`] takes.
#[derive(Default)]
pub struct WrittenLanes {
    pub defaults: Option<Option<RawLane>>,
    pub files: Option<Option<Vec<String>>>,
    pub lanes: Option<Option<Vec<RawLane>>>,
}

/// A lane as it is written, and where.
struct WrittenLane<'l> {
    document: &'l Document<'l>,
    path: String,
    written: RawLane,
}

/// Reads all lanes, and a mistake for each that reaches the project of one before it; `None` after
/// any other mistake. What holds a mistake already is passed over, its neighbours are not.
pub fn read(
    whole: WrittenLanes,
    document: &Document<'_>,
    base: &Path,
    settings: &mut Settings<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Vec<Lane>, Vec<Diagnostic>)> {
    let before = mistakes.count();
    let spoilt = |mistakes: &Mistakes, key: &str| {
        document.exact(key).is_some_and(|node| mistakes.touch(document.source(), node.span))
    };
    let touched = ["lanes", "lane_files", "lane_defaults"].iter().any(|key| spoilt(mistakes, key));
    let defaults = document.part(whole.defaults, "lane_defaults", mistakes);
    let named = document.entries(whole.files, "lane_files", mistakes).into_iter();
    let named: Vec<_> = named
        .map(|(index, name)| (name, document.place(&format!("lane_files[{index}]"))))
        .collect();
    if !named.is_empty() {
        let files = named.iter().map(|(name, _)| base.join(name)).collect::<Vec<_>>();
        settings.push("lane_files", files, None);
    }
    let texts = LaneTexts::read(&named, base, mistakes);
    let files = texts.documents(mistakes);
    let mut all: Vec<WrittenLane<'_>> = Vec::new();
    for (index, written) in document.entries(whole.lanes, "lanes", mistakes) {
        all.push(WrittenLane { document, path: format!("lanes[{index}]"), written });
    }
    for file in &files {
        let lanes = file.lanes(mistakes).into_iter();
        all.extend(lanes.map(|(path, written)| WrittenLane {
            document: &file.document,
            path,
            written,
        }));
    }
    let count = all.len() + texts.beyond();
    if count > LANES_MAX {
        let key = if named.is_empty() { "lanes" } else { "lane_files" };
        let many = format!("{count} lanes are more than the {LANES_MAX} that are taken");
        let many = Diagnostic::error("too-many-lanes", many).at(document.place(key));
        mistakes.push(many.help("divide them between two daemons, each with a store of its own"));
        all.truncate(LANES_MAX);
    }
    // Without them every lane would lack what they say.
    let defaults = defaults?;
    let layer = defaults.is_some().then(|| Layer::defaults(document));
    let defaults = defaults.unwrap_or_default();
    let mut reading = LanesReading {
        base,
        layer,
        defaults: &defaults,
        names: BTreeMap::new(),
        projects: BTreeMap::new(),
        told: BTreeSet::new(),
        shared: Vec::new(),
    };
    let lanes: Vec<Lane> =
        all.iter().filter_map(|lane| reading.lane(lane, settings, mistakes)).collect();
    let complete = mistakes.count() == before && !touched;
    complete.then_some((lanes, reading.shared))
}

/// What is known of the lanes before, and for all lanes.
struct LanesReading<'r, 'l> {
    base: &'r Path,
    layer: Option<Layer<'l>>,
    defaults: &'r RawLane,
    names: BTreeMap<Name, Layer<'l>>,
    projects: BTreeMap<ProjectId, (Name, Layer<'l>)>,
    told: BTreeSet<String>,
    shared: Vec<Diagnostic>,
}

impl<'l> LanesReading<'_, 'l> {
    fn lane(
        &mut self,
        lane: &'l WrittenLane<'l>,
        settings: &mut Settings<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Lane> {
        let own = Layer::own(lane.document, &lane.path);
        // The shape has seen that both are there.
        let (name, project) = (lane.written.name.as_ref()?, lane.written.project_id.as_ref()?);
        if let Some(first) = self.names.get(name) {
            let twice = format!("two lanes are named {}", quote(name.as_str()));
            let twice = Diagnostic::error("duplicate-lane", twice).at(own.place("name"));
            let twice = twice.also(first.place("name"), "the first one");
            mistakes.push(twice.help("give each a name of its own"));
            return None;
        }
        self.names.insert(name.clone(), own);
        let notes = LaneNotes {
            name,
            own,
            defaults: self.layer,
            settings,
            mistakes,
            told: &mut self.told,
            failed: false,
        };
        let lane =
            LaneReader { base: self.base, notes }.lane(&lane.written, project, self.defaults)?;
        self.share(&lane, own);
        Some(lane)
    }

    /// Tells of a lane that reaches the project of one before it.
    fn share(&mut self, lane: &Lane, own: Layer<'l>) {
        let project = &lane.access.project_id;
        let Some((other, first)) = self.projects.get(project) else {
            self.projects.insert(project.clone(), (lane.name.clone(), own));
            return;
        };
        let message = format!(
            "the lanes {} and {} reach the same project: what one spends of the account's quota the other does not see",
            quote(other.as_str()),
            quote(lane.name.as_str())
        );
        if self.shared.len() < DIAGNOSTICS_MAX {
            let twice = Diagnostic::error("shared-project", message).at(own.place("project_id"));
            let twice = twice.also(first.place("project_id"), "the first one");
            self.shared.push(twice.help("keep one of the two lanes, or correct its `project_id`"));
        }
    }
}

struct LaneReader<'r, 'l, 'd> {
    base: &'r Path,
    notes: LaneNotes<'r, 'l, 'd>,
}

impl<'l> LaneReader<'_, 'l, '_> {
    fn lane(mut self, own: &RawLane, project: &str, defaults: &RawLane) -> Option<Lane> {
        let (own, defaults) = (own.clone(), defaults.clone());
        let region = self.notes.pick(own.region, defaults.region);
        let region = region.and_then(|written| {
            let of_defaults = written.at.is_defaults();
            // The shape has told of one that is not known.
            Region::of(&self.notes.note("region", written)).map(|region| (region, of_defaults))
        });
        let endpoint = self.notes.pick(own.endpoint, defaults.endpoint);
        let endpoint = self.endpoint(endpoint, region);
        let project_id = self.project(project);
        let (endpoint, project_id) = (endpoint?, project_id?);
        let iam = self.notes.pick(own.iam_endpoint, defaults.iam_endpoint);
        let iam = credentials::IamPlace {
            written: iam.and_then(|written| self.base_of("iam_endpoint", written)),
            by_region: region.map(|(region, _)| region.iam_endpoint()),
            beside: &endpoint,
        };
        let mut reader = credentials::CredentialsReader { base: self.base, notes: &mut self.notes };
        let credentials = reader.read(own.credentials, defaults.credentials, iam)?;
        let tls = self.tls([
            (own.ca_file, defaults.ca_file),
            (own.client_cert_file, defaults.client_cert_file),
            (own.client_key_file, defaults.client_key_file),
        ]);
        let language = self.notes.pick(own.language, defaults.language);
        let language =
            language.map(|written| WrittenValue { value: spoken(written.value), at: written.at });
        let language = self.notes.note_or("language", language, Language::default());
        let access = Access { endpoint, project_id, credentials, language, tls };
        let quota = self.quota(own.quota, defaults.quota);
        let max_in_flight = self.notes.pick(own.max_in_flight, defaults.max_in_flight);
        let max_in_flight =
            self.notes.note_or("max_in_flight", max_in_flight, MAX_IN_FLIGHT_DEFAULT);
        let call_timeout = self.length(
            "call_timeout",
            (own.call_timeout, defaults.call_timeout),
            CALL_TIMEOUT_DEFAULT,
        );
        let settle = self.length("settle", (own.settle, defaults.settle), SETTLE_DEFAULT);
        let longest = self.notes.pick(own.poll_max, defaults.poll_max).map(|written| written.at);
        let first = self.notes.pick(own.poll, defaults.poll).map(|written| written.at);
        let timing = Timing {
            settle,
            poll: self.length("poll", (own.poll, defaults.poll), POLL_DEFAULT),
            poll_max: self.length("poll_max", (own.poll_max, defaults.poll_max), POLL_MAX_DEFAULT),
            job_limit: self.length(
                "job_limit",
                (own.job_limit, defaults.job_limit),
                JOB_LIMIT_DEFAULT,
            ),
            recover_limit: self.length(
                "recover_limit",
                (own.recover_limit, defaults.recover_limit),
                RECOVER_LIMIT_DEFAULT,
            ),
        };
        let clock_tolerance = (own.clock_tolerance, defaults.clock_tolerance);
        let clock_tolerance = self.length("clock_tolerance", clock_tolerance, CLOCK_TOLERANCE);
        if timing.poll_max < timing.poll {
            let (max, shortest) = (Length::from(timing.poll_max), Length::from(timing.poll));
            let message = format!(
                "the longest wait between two looks, {max}, is shorter than the first, {shortest}"
            );
            let at = longest.map(|at| (at, "poll_max")).or(first.map(|at| (at, "poll")));
            let (at, key) = at.unwrap_or((self.notes.own, "poll"));
            let shorter = Diagnostic::error("value", message);
            self.notes.report(at, key, shorter.help("make `poll_max` at least as long as `poll`"));
        }
        let name = self.notes.name.clone();
        (!self.notes.failed).then_some(Lane {
            name,
            access,
            quota,
            max_in_flight,
            call_timeout,
            clock_tolerance,
            timing,
        })
    }

    /// The service's base: as it is written, else that of the region.
    fn endpoint(
        &mut self,
        written: Option<WrittenValue<'l, String>>,
        region: Option<(Region, bool)>,
    ) -> Option<String> {
        match (written, region) {
            (Some(written), Some((_, false))) if written.at.is_defaults() => {
                let idle = "`region` of the lane says nothing: `lane_defaults` has an `endpoint`, which stands above it";
                let help = "take `endpoint` out of `lane_defaults`, or write the lane's own";
                let own = self.notes.own;
                self.notes.report(own, "region", Diagnostic::error("region", idle).help(help));
                None
            }
            (Some(written), _) => {
                let written = self.base_of("endpoint", written)?;
                Some(self.notes.note("endpoint", written))
            }
            (None, Some((region, _))) => {
                let beside = Origin::Beside("region");
                Some(self.notes.note_from("endpoint", region.endpoint(), beside))
            }
            (None, None) => {
                let none =
                    Diagnostic::error("missing-key", "the lane has no `region` and no `endpoint`");
                let help = "add `region: ap-southeast-3`, here or in `lane_defaults`; or `endpoint: https://…` of any other place";
                let own = self.notes.own;
                self.notes.report(own, "", none.help(help));
                None
            }
        }
    }

    /// A base of URLs. The shape has seen it already; were it wrong, the mistake is told here.
    fn base_of(
        &mut self,
        key: &str,
        written: WrittenValue<'l, String>,
    ) -> Option<WrittenValue<'l, String>> {
        let at = written.at;
        match formats::endpoint(&written.value) {
            Ok(value) => Some(WrittenValue { value, at }),
            Err(complaint) => {
                let wrong = Diagnostic::error("value", plain(&complaint.message));
                self.notes.report(at, key, wrong);
                None
            }
        }
    }

    fn project(&mut self, written: &str) -> Option<ProjectId> {
        let at = self.notes.own;
        match written.parse() {
            Ok(value) => Some(self.notes.note("project_id", WrittenValue { value, at })),
            Err(error) => {
                let error: IdError = error;
                let wrong = Diagnostic::error("value", plain(&error.to_string()));
                self.notes.report(at, "project_id", wrong);
                None
            }
        }
    }

    fn quota(&mut self, own: Option<RawQuota>, defaults: Option<RawQuota>) -> Option<Quota> {
        let (own, defaults) = (own.unwrap_or_default(), defaults.unwrap_or_default());
        let requests = self.notes.pick(own.requests, defaults.requests);
        let per = self.notes.pick(own.per, defaults.per);
        let headroom = self.notes.pick(own.headroom, defaults.headroom);
        let (requests, per) = match (requests, per) {
            (Some(requests), Some(per)) => (requests, per),
            (None, None) if headroom.is_none() => return None,
            (requests, per) => {
                let missing = if requests.is_none() { "requests" } else { "per" };
                let at = requests.map(|written| written.at).or(per.map(|written| written.at));
                let at = at.or(headroom.map(|written| written.at)).unwrap_or(self.notes.own);
                let half = Diagnostic::error("missing-key", format!("`quota` has no `{missing}`"));
                let help = "write `quota: {requests: 150, per: 5m}`: so many calls in any interval of that length";
                self.notes.report(at, "quota", half.help(help));
                return None;
            }
        };
        let at = per.at;
        let requests = self.notes.note("quota.requests", requests);
        let per = self.notes.note("quota.per", per);
        let headroom = self.notes.note_or("quota.headroom", headroom, HEADROOM_DEFAULT);
        if per.get().is_zero() {
            self.zero(at, "quota.per");
        }
        // What is left to others rounds up, and one call always remains, or the lane could do
        // nothing.
        let left = (requests - headroom.up(requests).min(requests)).max(1);
        Some(Quota { requests: left, per: per.get() })
    }

    fn length(
        &mut self,
        key: &str,
        (own, defaults): (Option<Length>, Option<Length>),
        default: Duration,
    ) -> Duration {
        let written = self.notes.pick(own, defaults);
        if let Some(zero) = written.as_ref().filter(|written| written.value.get().is_zero()) {
            self.zero(zero.at, key);
        }
        self.notes.note_or(key, written, default.into()).get()
    }

    /// The files `ca_file`, `client_cert_file` and `client_key_file`, in this order.
    fn tls(&mut self, files: [(Option<String>, Option<String>); 3]) -> LaneTls {
        const KEYS: [&str; 3] = ["ca_file", "client_cert_file", "client_key_file"];
        let mut found = files.into_iter().zip(KEYS).map(|((own, defaults), key)| {
            let written = self.notes.pick(own, defaults)?;
            let (at, path) = (written.at, self.base.join(written.value));
            Some((at, self.notes.note(key, WrittenValue { value: path, at })))
        });
        let ca_file = found.next().flatten().map(|(_, path)| path);
        let (certificate, key) = (found.next().flatten(), found.next().flatten());
        drop(found);
        let half = |notes: &mut LaneNotes<'_, 'l, '_>, at, there, missing, what| {
            let half: Diagnostic = Diagnostic::error("missing-key", what);
            notes.report(
                at,
                there,
                half.help(format!("add `{missing}: PATH`; one file may hold both")),
            );
            None
        };
        let client = match (certificate, key) {
            (Some((_, certificate)), Some((_, key))) => {
                Some(ClientCertificate { certificate, key })
            }
            (None, None) => None,
            (Some((at, _)), None) => {
                half(&mut self.notes, at, KEYS[1], KEYS[2], "a client certificate needs its key")
            }
            (None, Some((at, _))) => {
                half(&mut self.notes, at, KEYS[2], KEYS[1], "a client key needs its certificate")
            }
        };
        LaneTls { ca_file, client }
    }

    fn zero(&mut self, at: Layer<'_>, key: &str) {
        let name = key.rsplit('.').next().unwrap_or(key);
        let zero = Diagnostic::error("value", format!("{} must be longer than 0s", quote(name)));
        self.notes.report(at, key, zero.help("leave it out for its default"));
    }
}

fn spoken(written: RawLanguage) -> Language {
    match written {
        RawLanguage::EnUs => Language::EnUs,
        RawLanguage::ZhCn => Language::ZhCn,
    }
}
