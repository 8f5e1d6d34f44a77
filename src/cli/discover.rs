//! `discover`: the fleet as the cloud has it: instances, their proxies, and what each shows.
//!
//! Invariants: less than the whole fleet is an error, never a shorter list: a target file has its
//! name once it is complete, and until then one that no plan takes; an instance is printed whole or
//! not at all, and one that was not asked for is counted with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::args::{DiscoverArgs, OutputFormat};
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow};
use super::reach::DaemonAddress;
use super::text::count;
use super::walk::{Visitor, walk};
use super::wire::{InstanceRow, LookInstance, LookProxy};
use super::{target_file, term};
use crate::planfile::PART;
use crate::planfile::selector::Pattern;
use crate::words::text::Style;

/// One proxy of the fleet.
#[derive(Debug, Clone, Serialize)]
pub struct DiscoveredProxy {
    pub lane: String,
    pub instance_id: String,
    pub instance_name: String,
    pub proxy_id: String,
    /// What it shows; absent where the cloud does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_option: Option<bool>,
    /// Its status, in the cloud's word.
    pub status: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl ListingRow for DiscoveredProxy {
    const COLUMNS: &'static [&'static str] =
        &["PROXY", "SSL", "STATUS", "LANE", "INSTANCE", "NAME", "TAGS"];
    // CSV is written as a target file, with a column for each tag that is asked for.
    const FIELDS: &'static [&'static str] = &[];

    fn cells(&self, _: &Style) -> Vec<String> {
        let shown = self.ssl_option.map_or("?", |value| if value { "on" } else { "off" });
        let tags: Vec<String> =
            self.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let Self { lane, instance_id, instance_name, proxy_id, status, .. } = self.clone();
        vec![proxy_id, shown.into(), status, lane, instance_id, instance_name, tags.join(" ")]
    }

    fn record(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `discover`.
pub async fn discover(
    client: &Client,
    args: &DiscoverArgs,
    daemon: &DaemonAddress,
    style: Style,
) -> Result<Exit> {
    let lanes = lanes(args, daemon)?;
    let mut out = term::stdout();
    let sink: RowSink<'_> = match (&args.into, args.output.output) {
        (Some(path), _) => {
            RowSink::File(TargetFileWriter::into_file(path, &args.tag_columns, args.resume)?)
        }
        (None, OutputFormat::Csv) => {
            RowSink::Csv(TargetFileWriter::over(Box::new(&mut out), &args.tag_columns)?)
        }
        (None, format) => RowSink::Listing(Box::new(ListingPrinter::new(&mut out, format, style))),
    };
    let mut found = Discovery { args, sink, proxies: 0, unknown: 0, left_out: BTreeMap::new() };
    let again = if args.into.is_some() {
        "run it again with --resume"
    } else {
        "run it again; --into FILE lets it be resumed"
    };
    let walked =
        walk(client, &lanes, &mut found, &format!("the discovery was given up; {again}"), again)
            .await;
    found.sink.end(walked.is_ok())?;
    let n = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let summary = format!(
        "{} found, {} of them without a known ssl_option",
        count(n(found.proxies), "proxy", "proxies"),
        found.unknown
    );
    term::say(&summary);
    found.left_out().iter().for_each(|summary| term::say(summary));
    if let (Some(path), Err(_)) = (&args.into, &walked) {
        term::say(&format!("what was found is in {}, which no plan takes", part(path).display()));
    }
    walked?;
    Ok(Exit::Done)
}

fn lanes(args: &DiscoverArgs, daemon: &DaemonAddress) -> Result<Vec<String>> {
    if !args.lane.is_empty() {
        return Ok(args.lane.clone());
    }
    let configured: Vec<String> =
        daemon.configured().iter().map(|lane| lane.name.to_string()).collect();
    if configured.is_empty() {
        return Err(ExitFailure::new(
            Exit::Error,
            "which lanes there are is not known here; name them with --lane",
        )
        .into());
    }
    Ok(configured)
}

struct Discovery<'a> {
    args: &'a DiscoverArgs,
    sink: RowSink<'a>,
    proxies: usize,
    unknown: usize,
    /// Instances that were not looked at, by reason.
    left_out: BTreeMap<&'static str, usize>,
}

impl Discovery<'_> {
    fn left_out(&self) -> Option<String> {
        let n = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let reasons: Vec<String> =
            self.left_out.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let total = count(n(self.left_out.values().sum()), "instance", "instances");
        (!reasons.is_empty()).then(|| format!("{total} left out: {}", reasons.join(", ")))
    }
}

impl Visitor for Discovery<'_> {
    fn wants(&mut self, lane: &str, instance: &InstanceRow) -> bool {
        if let Some(why) = self.args.leaves_out(instance) {
            *self.left_out.entry(why).or_default() += 1;
            return false;
        }
        let there =
            LookInstance { lane: lane.to_owned(), instance_id: instance.instance_id.clone() };
        !self.sink.has(&there)
    }

    fn take(&mut self, lane: &str, instance: &InstanceRow, proxies: Vec<LookProxy>) -> Result<()> {
        let rows = proxies.into_iter().map(|proxy| DiscoveredProxy {
            lane: lane.to_owned(),
            instance_id: instance.instance_id.clone(),
            instance_name: instance.name.clone(),
            proxy_id: proxy.proxy_id,
            ssl_option: proxy.ssl_option,
            status: proxy.status,
            tags: instance.tags.clone(),
        });
        let rows: Vec<DiscoveredProxy> = rows.collect();
        self.proxies += rows.len();
        self.unknown += rows.iter().filter(|row| row.ssl_option.is_none()).count();
        self.sink.rows(&rows)
    }
}

impl DiscoverArgs {
    /// Why an instance is not asked for; the first reason that holds.
    fn leaves_out(&self, row: &InstanceRow) -> Option<&'static str> {
        let named =
            self.name.as_deref().is_none_or(|pattern| Pattern::from(pattern).matches(&row.name));
        let tagged = self.tag.iter().all(|(name, value)| row.tags.get(name) == Some(value));
        let in_state =
            self.state.as_deref().is_none_or(|state| row.status.eq_ignore_ascii_case(state));
        // An instance that surely has no proxy costs a call that tells nothing.
        let proxied = self.every_instance || row.proxied != Some(false);
        let reasons = [
            (named, "of another name"),
            (tagged, "with other tags"),
            (in_state, "in another state"),
            (proxied, "without a proxy by the list (--every-instance asks them too)"),
        ];
        reasons.into_iter().find(|(wanted, _)| !wanted).map(|(_, why)| why)
    }
}

/// Where the rows go.
enum RowSink<'a> {
    Listing(Box<ListingPrinter<'a>>),
    Csv(TargetFileWriter<'a>),
    File(TargetFileWriter<'a>),
}

impl RowSink<'_> {
    fn has(&self, instance: &LookInstance) -> bool {
        matches!(self, Self::File(targets) if targets.there.contains(instance))
    }

    /// The rows of one instance.
    fn rows(&mut self, rows: &[DiscoveredProxy]) -> Result<()> {
        match self {
            Self::Listing(listing) => Ok(listing.page(rows)?),
            Self::Csv(targets) | Self::File(targets) => targets.rows(rows),
        }
    }

    /// Ends it; `whole` tells whether all of the fleet is in it.
    fn end(&mut self, whole: bool) -> Result<()> {
        match self {
            Self::Listing(listing) => Ok(listing.end::<DiscoveredProxy>()?),
            Self::Csv(targets) => {
                if !whole {
                    // Where this went cannot be renamed: a last row that no plan takes.
                    targets.csv.flush()?;
                    targets.csv.write_record([BROKEN_OFF])?;
                }
                Ok(targets.csv.flush()?)
            }
            Self::File(targets) if whole => targets.complete(),
            Self::File(targets) => Ok(targets.csv.flush()?),
        }
    }
}

/// The last row of a listing as CSV that is not the whole fleet.
const BROKEN_OFF: &str = "the discovery was broken off here: this is not the whole fleet";

/// What the file is called until it is complete.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    name.into()
}

/// A target file in the making.
struct TargetFileWriter<'a> {
    csv: csv::Writer<Box<dyn Write + 'a>>,
    tags: Vec<String>,
    /// Instances that an earlier run wrote whole.
    there: BTreeSet<LookInstance>,
    /// The name that it gets when it is complete.
    into: PathBuf,
}

impl<'a> TargetFileWriter<'a> {
    fn over(out: Box<dyn Write + 'a>, tags: &[String]) -> Result<Self> {
        // A row of another length is written on purpose: see `BROKEN_OFF`.
        let csv = csv::WriterBuilder::new().flexible(true).from_writer(out);
        let mut made =
            Self { csv, tags: tags.to_vec(), there: BTreeSet::new(), into: PathBuf::new() };
        made.csv.write_record(target_file::header(tags))?;
        Ok(made)
    }

    fn into_file(into: &Path, tags: &[String], resume: bool) -> Result<Self> {
        let path = part(into);
        let (whole, begun) = (into.display(), path.display());
        let refused = |message: String| -> Result<Self> {
            Err(ExitFailure::new(Exit::Error, message).into())
        };
        if into.symlink_metadata().is_ok() {
            return refused(format!(
                "{whole} is there already, and is not written over; name another file, or remove it"
            ));
        }
        let made = match (path.exists(), resume) {
            (false, _) => {
                let file =
                    File::create_new(&path).with_context(|| format!("cannot create {begun}"))?;
                Self::over(Box::new(BufWriter::new(file)), tags)?
            }
            (true, false) => {
                return refused(format!(
                    "{begun} is a discovery that was broken off; go on with it by --resume, or remove it"
                ));
            }
            (true, true) => {
                Self::resumed(&path, tags).with_context(|| format!("cannot resume {begun}"))?
            }
        };
        Ok(Self { into: into.to_owned(), ..made })
    }

    fn resumed(path: &Path, tags: &[String]) -> Result<Self> {
        // The instance that was written last may be there in part: it is read again.
        let (kept, there) = written(path, tags)?;
        let beside = path.with_extension("resumed");
        let mut made = Self::over(Box::new(BufWriter::new(File::create(&beside)?)), tags)?;
        kept.iter().try_for_each(|record| made.csv.write_record(record))?;
        made.csv.flush()?;
        std::fs::rename(&beside, path)?;
        term::say(&format!(
            "{} from before",
            count(u32::try_from(there.len()).unwrap_or(u32::MAX), "instance", "instances")
        ));
        made.there = there;
        Ok(made)
    }

    /// All of the fleet is in it: it gets its name.
    fn complete(&mut self) -> Result<()> {
        let (path, into) = (part(&self.into), &self.into);
        let named = || {
            format!("{} is complete, and cannot be renamed to {}", path.display(), into.display())
        };
        self.csv.flush()?;
        File::open(&path).and_then(|file| file.sync_all()).with_context(named)?;
        anyhow::ensure!(into.symlink_metadata().is_err(), "{}, which is there by now", named());
        std::fs::rename(&path, into).with_context(named)
    }

    fn rows(&mut self, rows: &[DiscoveredProxy]) -> Result<()> {
        for row in rows {
            let tags = self
                .tags
                .iter()
                .map(|name| row.tags.get(name).map(String::as_str).unwrap_or_default());
            let ids = [&*row.lane, &*row.instance_id, &*row.proxy_id];
            target_file::row(&mut self.csv, ids, row.ssl_option, &row.instance_name, tags)?;
        }
        Ok(self.csv.flush()?)
    }
}

/// The rows that an earlier run wrote, and the instances that are whole in them.
fn written(
    path: &Path,
    tags: &[String],
) -> Result<(Vec<csv::StringRecord>, BTreeSet<LookInstance>)> {
    let mut reader = csv::Reader::from_path(path)?;
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    anyhow::ensure!(
        header == target_file::header(tags),
        "its columns are {}; say the same --tag-columns as before",
        header.join(",")
    );
    let instance = |record: &csv::StringRecord| LookInstance {
        lane: record.get(0).unwrap_or_default().to_owned(),
        instance_id: record.get(1).unwrap_or_default().to_owned(),
    };
    // A line that was cut off has too few fields, and ends what counts.
    let mut records: Vec<csv::StringRecord> = reader.records().map_while(Result::ok).collect();
    if let Some(last) = records.last().map(instance) {
        records.retain(|record| instance(record) != last);
    }
    let there = records.iter().map(instance).collect();
    Ok((records, there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("fleet.csv");
        let whole = "lane,instance_id,proxy_id,ssl_option,instance_name\nlab,a,1,true,x\nlab,a,2,true,x\nlab,b,3,unknown,y\nlab,b,4,fa";
        let header = "lane,instance_id,proxy_id,ssl_option,instance_name\n";
        for (text, rows) in [(whole, 2), (header, 0), (&format!("{header}lab,a"), 0)] {
            std::fs::write(&path, text).expect("writable");
            let (records, there) = written(&path, &[]).expect("a target file");
            assert_eq!((records.len(), there.len()), (rows, rows.min(1)), "{text}");
        }
        assert!(written(&path, &["env".into()]).is_err(), "other columns are another file");
    }
}
