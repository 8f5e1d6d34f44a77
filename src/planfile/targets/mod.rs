//! The set of targets: `targets.list`, `targets.files` and what was found for `targets.discover`,
//! in this order, without what `targets.exclude` names.
//!
//! Invariant: at the end the set is not empty, holds no proxy twice and not more than `max`; its
//! order is that of the plan, so the same files give the same set on every machine.
//!
//! Memory: a target is held once, its lane's name and equal tags are shared; beside it stand four
//! bytes for the line it came from, until duplicates are looked for.

mod columns;
mod discovered;
mod excluded;
mod file;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::selector::Selector;
use crate::domain::id::{InstanceId, Name, ProxyId};
use crate::domain::lane::LANES_MAX;
use crate::domain::target::{InstanceName, Tags, Target, TargetList};
use crate::yaml::source::ByteSpan;
use crate::yaml::{Diagnostic, Document, Mistakes, Place, SourceText, quote};

pub(super) use self::excluded::ExcludeEntry;
pub use self::excluded::{Excluded, LeftOut};
pub(super) use self::file::read_list;
pub use self::file::{FileSource, PART, TARGET_FILE_BYTES_MAX, YAML_TARGET_FILE_BYTES_MAX};

/// Most targets of one plan.
pub const TARGETS_MAX: u32 = 1_000_000;

/// Different sets of tags that are shared; beyond it each further target holds its own.
const SHARED_TAGS_MAX: usize = 4_096;

/// A file and a line in it.
#[derive(Debug, Clone, Copy)]
struct FileLine {
    file: usize,
    line: u32,
}

/// A target as it was read.
pub struct TargetEntry<'e> {
    pub lane: &'e Name,
    pub instance_id: InstanceId,
    pub proxy_id: ProxyId,
    pub tags: Option<BTreeMap<String, String>>,
    /// What it showed when the list was made.
    pub seen: Option<bool>,
    /// The instance's name, if the list tells it.
    pub instance_name: Option<&'e str>,
}

pub struct TargetCollector<'p> {
    plan: &'p SourceText,
    max: u32,
    exclude: ExcludeEntry,
    files: Vec<FileSource>,
    /// Place in `targets` at which each file of `files` begins; the plan's own list stands before
    /// the first.
    begins: Vec<u32>,
    targets: Vec<Target>,
    lines: Vec<u32>,
    /// All that were read, those over `max` too.
    count: u64,
    lanes: BTreeMap<Name, FileLine>,
    shared_tags: BTreeSet<Tags>,
    latest_tags: Option<Tags>,
}

pub struct TargetSet {
    /// In the plan's order.
    pub targets: TargetList,
    /// Each lane with the place of its first target.
    pub lanes: BTreeMap<Name, Place>,
    /// What was left out of it.
    pub excluded: Vec<Excluded>,
}

impl<'p> TargetCollector<'p> {
    /// An empty set for the plan in `plan`.
    pub fn new(plan: &'p SourceText, max: u32, exclude: ExcludeEntry) -> Self {
        Self {
            plan,
            max: max.min(TARGETS_MAX),
            exclude,
            files: Vec::new(),
            begins: Vec::new(),
            targets: Vec::new(),
            lines: Vec::new(),
            count: 0,
            lanes: BTreeMap::new(),
            shared_tags: BTreeSet::new(),
            latest_tags: None,
        }
    }

    /// Adds a target, which stands on `line` of the file that is read, or of the plan.
    pub fn push(&mut self, entry: TargetEntry<'_>, line: u32) {
        if self.exclude.takes(&entry) {
            return;
        }
        self.count += 1;
        if self.count > u64::from(self.max) {
            return;
        }
        let lane = self.lane(entry.lane, line);
        let tags = entry.tags.filter(|tags| !tags.is_empty()).map(|tags| self.share(tags));
        let TargetEntry { instance_id, proxy_id, seen, .. } = entry;
        let instance_name =
            entry.instance_name.and_then(|name| self.instance_name(&instance_id, name));
        self.targets.push(Target { lane, instance_id, proxy_id, tags, seen, instance_name });
        self.lines.push(line);
    }

    /// Adds all targets of a file; `at` is where the plan names it.
    pub fn read(&mut self, file: FileSource, at: ByteSpan, mistakes: &mut Mistakes) {
        self.begin(&file);
        let before = (self.read_so_far(), mistakes.count());
        file.read(self, at, mistakes);
        if before == (self.read_so_far(), mistakes.count()) {
            let empty =
                Diagnostic::error("no-targets", format!("{} holds no targets", quote(file.name())));
            mistakes.push_node(
                self.plan,
                at,
                empty.help("add a row for each proxy or leave the file out"),
            );
        }
    }

    /// Adds all that was found for `selectors`; when the discovery began.
    pub fn read_discovered(
        &mut self,
        file: FileSource,
        selectors: &[Selector],
        document: &Document<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<Timestamp> {
        self.begin(&file);
        match file.open() {
            Ok(mut opened) => {
                discovered::read(&mut opened, file.shown(), selectors, document, self, mistakes)
            }
            Err(complaint) => {
                let mut wrong = Diagnostic::error(
                    "discovery",
                    format!("{} {}", quote(file.shown()), complaint.message),
                );
                wrong.help = complaint.help;
                mistakes.push(wrong.at(document.place("targets.discover")));
                None
            }
        }
    }

    fn begin(&mut self, file: &FileSource) {
        self.begins.push(u32::try_from(self.targets.len()).expect("bounded by TARGETS_MAX"));
        self.files.push(file.clone());
    }

    /// All that were read, those that are left out too.
    fn read_so_far(&self) -> u64 {
        self.count + self.exclude.count()
    }

    fn lane(&mut self, lane: &Name, line: u32) -> Name {
        if let Some(latest) = self.targets.last().filter(|latest| latest.lane == *lane) {
            return latest.lane.clone();
        }
        if let Some((known, _)) = self.lanes.get_key_value(lane) {
            return known.clone();
        }
        if self.lanes.len() <= LANES_MAX {
            self.lanes.insert(lane.clone(), FileLine { file: self.files.len(), line });
        }
        lane.clone()
    }

    /// Neighbours of one instance share its name.
    fn instance_name(&self, instance: &InstanceId, name: &str) -> Option<InstanceName> {
        let latest = self.targets.last().filter(|latest| latest.instance_id == *instance);
        let same = latest
            .and_then(|latest| latest.instance_name.clone())
            .filter(|latest| latest.as_str() == name);
        same.or_else(|| InstanceName::new(name))
    }

    fn share(&mut self, tags: BTreeMap<String, String>) -> Tags {
        let tags = Tags::from(tags);
        if let Some(latest) = self.latest_tags.as_ref().filter(|latest| **latest == tags) {
            return latest.clone();
        }
        let shared = match self.shared_tags.get(&tags) {
            Some(known) => known.clone(),
            None => {
                if self.shared_tags.len() < SHARED_TAGS_MAX {
                    self.shared_tags.insert(tags.clone());
                }
                tags
            }
        };
        self.latest_tags = Some(shared.clone());
        shared
    }

    /// Ends the collection: tells what only the whole set shows. `at` is where the plan says
    /// `targets`, `max_at` where it says `max`; `complete` is false when some of the set could not
    /// be read.
    pub fn finish(
        mut self,
        at: ByteSpan,
        max_at: Option<ByteSpan>,
        complete: bool,
        document: &Document<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<TargetSet> {
        let before = mistakes.count();
        if self.count == 0 && complete {
            let empty = match self.exclude.count() {
                0 => Diagnostic::error("no-targets", "the plan has no targets")
                    .help("name proxies in `targets.list` or `targets.files`, or have them found by `targets.discover`"),
                n => Diagnostic::error("no-targets", format!("the plan has no targets: `exclude` leaves out all {n}")),
            };
            mistakes.push_node(self.plan, at, empty);
        }
        if self.count > u64::from(self.max) {
            let large = Diagnostic::error(
                "too-many-targets",
                format!("{} targets are more than the {} that are allowed", self.count, self.max),
            );
            let large = if max_at.is_some() {
                large.help("raise `targets.max` if the set is right")
            } else {
                large.help("split the plan")
            };
            mistakes.push_node(self.plan, max_at.unwrap_or(at), large);
        }
        if self.lanes.len() > LANES_MAX {
            mistakes.push_node(
                self.plan,
                at,
                Diagnostic::error(
                    "too-many-lanes",
                    format!("the targets name more than {LANES_MAX} lanes"),
                ),
            );
        }
        self.duplicates(mistakes);
        if mistakes.count() > before || !complete {
            return None;
        }
        let excluded = std::mem::take(&mut self.exclude).finish(document, mistakes);
        let lanes = std::mem::take(&mut self.lanes);
        let wanted: Vec<FileLine> = lanes.values().copied().collect();
        let texts = self.texts(&wanted);
        let lanes = lanes.into_iter().map(|(lane, origin)| {
            let place = self.place(origin, &texts, lane.as_str());
            (lane, place)
        });
        let lanes = lanes.collect();
        Some(TargetSet { targets: self.targets.into(), lanes, excluded })
    }

    /// A proxy belongs to one account, so the same id twice is a mistake even on two lanes.
    fn duplicates(&self, mistakes: &mut Mistakes) {
        let mut order: Vec<u32> =
            (0..u32::try_from(self.targets.len()).expect("bounded by TARGETS_MAX")).collect();
        order.sort_unstable_by_key(|ordinal| (self.targets[*ordinal as usize].proxy_id, *ordinal));
        let same =
            |a: u32, b: u32| self.targets[a as usize].proxy_id == self.targets[b as usize].proxy_id;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for group in order.chunk_by(|a, b| same(*a, *b)) {
            pairs.extend(group[1..].iter().map(|later| (*later, group[0])));
        }
        pairs.sort_unstable();
        let shown = &pairs[..pairs.len().min(crate::yaml::diagnostic::DIAGNOSTICS_MAX)];
        let wanted: Vec<FileLine> = shown
            .iter()
            .flat_map(|(later, first)| [self.origin(*later), self.origin(*first)])
            .collect();
        let texts = self.texts(&wanted);
        for (later, first) in &pairs {
            mistakes.push_with(|| {
                let proxy = self.targets[*later as usize].proxy_id;
                Diagnostic::error("duplicate-target", format!("the proxy {proxy} is named twice"))
                    .at(self.place(self.origin(*later), &texts, proxy.as_str()))
                    .also(
                        self.place(self.origin(*first), &texts, proxy.as_str()),
                        "first named here",
                    )
                    .help("remove one of them")
            });
        }
    }

    fn origin(&self, ordinal: u32) -> FileLine {
        FileLine {
            file: self.begins.partition_point(|begin| *begin <= ordinal),
            line: self.lines[ordinal as usize],
        }
    }

    /// The lines of these origins, read again from their files: to keep the text of each of a
    /// million rows for the few that are shown would cost more than the rows.
    fn texts(&self, wanted: &[FileLine]) -> BTreeMap<(usize, u32), String> {
        let mut texts = BTreeMap::new();
        for (file, source) in self.files.iter().enumerate() {
            let lines: BTreeSet<u32> = wanted
                .iter()
                .filter(|origin| origin.file == file + 1)
                .map(|origin| origin.line)
                .collect();
            if !lines.is_empty() {
                source.lines(&lines, |line, text| {
                    texts.insert((file + 1, line), text.to_owned());
                });
            }
        }
        texts
    }

    fn place(&self, origin: FileLine, texts: &BTreeMap<(usize, u32), String>, mark: &str) -> Place {
        let (file, text) = match origin.file.checked_sub(1) {
            None => (
                self.plan.name(),
                self.plan.text().lines().nth(origin.line as usize - 1).unwrap_or(""),
            ),
            Some(index) => (
                self.files[index].shown(),
                texts.get(&(origin.file, origin.line)).map_or("", String::as_str),
            ),
        };
        let at = text.find(mark).map_or(0..text.len(), |at| at..at + mark.len());
        Place::of_line(file, origin.line as usize, text, at)
    }
}
