//! The targets of `targets.discover`, from the file of a discovery.
//!
//! Invariant: the set depends on what was found alone, not on the order in which the cloud listed
//! it: by lane in the order of the plan's selectors, then by instance name, instance and proxy.
//! What no selector of the plan looks for is refused.
//!
//! Deliberately not here: the discovery. It needs the network, and `sealift plan` and `sealift
//! apply` do it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use jiff::Timestamp;

use super::{TARGET_FILE_BYTES_MAX, TARGETS_MAX, TargetCollector, TargetEntry};
use crate::planfile::discovery::{DiscoveryEnd, DiscoveryHeader, FoundProxy, VERSION};
use crate::planfile::selector::{SelectedInstance, Selector};
use crate::yaml::rows::LINE_BYTES_MAX;
use crate::yaml::{Diagnostic, Document, Mistakes, Place, quote};

/// Help where a file is no discovery of this plan.
const AGAIN: &str = "discover again: `sealift plan PLAN --save-discovered FILE`";

/// A line of the file, with its number.
struct DiscoveredLines<'f> {
    shown: &'f str,
    lines: BufReader<std::io::Take<&'f mut File>>,
    number: u32,
    line: String,
}

impl DiscoveredLines<'_> {
    /// The next line; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<&str>, Box<Diagnostic>> {
        self.line.clear();
        self.number += 1;
        let read = self.lines.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_line(&mut self.line);
        match read {
            Ok(0) => Ok(None),
            Ok(n) if n > LINE_BYTES_MAX => {
                Err(self.wrong(&format!("the line is longer than {} KiB", LINE_BYTES_MAX >> 10)))
            }
            Ok(_) => Ok(Some(self.line.trim_end())),
            Err(error) => Err(self.wrong(&format!("the line cannot be read: {error}"))),
        }
    }

    fn wrong(&self, message: &str) -> Box<Diagnostic> {
        let line = self.line.trim_end();
        let shown = line.char_indices().nth(200).map_or(line, |(at, _)| &line[..at]);
        let place = Place::of_line(self.shown, self.number as usize, shown, 0..shown.len());
        Box::new(Diagnostic::error("discovery", message).at(place).help(AGAIN))
    }
}

/// Reads the file into `fleet`; when the discovery began.
pub(super) fn read(
    file: &mut File,
    shown: &str,
    selectors: &[Selector],
    document: &Document<'_>,
    fleet: &mut TargetCollector<'_>,
    mistakes: &mut Mistakes,
) -> Option<Timestamp> {
    let lines = BufReader::with_capacity(LINE_BYTES_MAX, file.take(TARGET_FILE_BYTES_MAX));
    let mut reader = DiscoveredLines { shown, lines, number: 0, line: String::new() };
    match whole(&mut reader, selectors) {
        Ok((at, found)) => {
            report_unmatched(&found, selectors, document, mistakes);
            for (
                FoundProxy { lane, instance_id, instance_name, tags, proxy_id, ssl_option, .. },
                number,
            ) in found
            {
                let tags = (!tags.is_empty()).then_some(tags);
                let instance_name = Some(instance_name.as_str());
                fleet.push(
                    TargetEntry {
                        lane: &lane,
                        instance_id,
                        proxy_id,
                        tags,
                        seen: ssl_option,
                        instance_name,
                    },
                    number,
                );
            }
            Some(at)
        }
        Err(wrong) => {
            mistakes.push(*wrong);
            None
        }
    }
}

/// When a discovery began, and all that it found, each with its line.
type DiscoveredFleet = (Timestamp, Vec<(FoundProxy, u32)>);

/// The whole file, in the set's order.
fn whole(
    reader: &mut DiscoveredLines<'_>,
    selectors: &[Selector],
) -> Result<DiscoveredFleet, Box<Diagnostic>> {
    let header: Option<DiscoveryHeader> =
        reader.next()?.and_then(|line| serde_json::from_str(line).ok());
    let Some(header) = header.filter(|header| header.discovery == VERSION) else {
        return Err(reader.wrong("this is no file of a discovery"));
    };
    if header.selectors != selectors {
        return Err(reader.wrong(
            "this was found for other selectors than those of the plan's `targets.discover`",
        ));
    }
    let mut found: Vec<(FoundProxy, u32)> = Vec::new();
    loop {
        let number = reader.number + 1;
        let Some(line) = reader.next()? else {
            return Err(reader.wrong(
                "the file was cut off: its last line, with the number of proxies, is missing",
            ));
        };
        if let Ok(end) = serde_json::from_str::<DiscoveryEnd>(line) {
            if end.found != found.len() as u64 {
                return Err(reader.wrong(&format!(
                    "the file holds {} proxies, and says that it holds {}",
                    found.len(),
                    end.found
                )));
            }
            if reader.next()?.is_some() {
                return Err(reader.wrong("the file goes on after its last line"));
            }
            break;
        }
        match serde_json::from_str::<FoundProxy>(line) {
            Ok(row) if !selectors.iter().any(|selector| wants(selector, &row)) => {
                return Err(
                    reader.wrong("no selector of the plan's `targets.discover` looks for this")
                );
            }
            Ok(_) if found.len() >= TARGETS_MAX as usize => {
                return Err(reader.wrong(&format!("more than {TARGETS_MAX} proxies were found")));
            }
            Ok(row) => found.push((row, number)),
            Err(error) => {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                return Err(reader.wrong(&crate::yaml::plain(message)));
            }
        }
    }
    let lane = |row: &FoundProxy| selectors.iter().position(|selector| selector.lane == row.lane);
    found.sort_by(|(a, _), (b, _)| {
        let key = |row: &FoundProxy| (lane(row), row.instance_id, row.proxy_id);
        lane(a)
            .cmp(&lane(b))
            .then_with(|| a.instance_name.cmp(&b.instance_name))
            .then_with(|| key(a).cmp(&key(b)))
    });
    Ok((header.at, found))
}

fn wants(selector: &Selector, row: &FoundProxy) -> bool {
    selector.lane == row.lane
        && selector.wants(SelectedInstance {
            name: &row.instance_name,
            state: &row.instance_state,
            tags: &row.tags,
        })
}

/// A selector that found nothing is likely a slip; that all found nothing is a mistake, as for a
/// file without rows.
fn report_unmatched(
    found: &[(FoundProxy, u32)],
    selectors: &[Selector],
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) {
    if found.is_empty() {
        let none = Diagnostic::error("no-targets", "the discovery found no proxies")
            .at(document.place("targets.discover"));
        return mistakes.push(none.help(
            "`sealift discover` lists the fleet with the names, tags and states of its instances",
        ));
    }
    for (index, selector) in selectors.iter().enumerate() {
        if !found.iter().any(|(row, _)| wants(selector, row)) {
            let none =
                format!("nothing was found for this in lane {}", quote(selector.lane.as_str()));
            mistakes.push(
                Diagnostic::warning("discover", none)
                    .at(document.place(&format!("targets.discover[{index}]"))),
            );
        }
    }
}
