//! From the plan as written to the plan as it runs.
//!
//! Invariant: either everything was understood, or at least one mistake was reported. A part that
//! holds a mistake is not judged any further, all other parts are.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::selector::Selector;
use super::targets::{ExcludeEntry, FileSource, TARGETS_MAX, TargetCollector, TargetSet};
use super::{Lanes, Outline, calendar, discover, enforce, raw, waves, wire, written};
use crate::domain::group::{GroupBy, GroupLimits};
use crate::domain::id::Digest;
use crate::domain::plan::{Approval, OnFailure, Plan, RevertPolicy, Strategy};
use crate::domain::target::Target;
use crate::domain::{retry, target};
use crate::yaml::length::Length;
use crate::yaml::open::Folders;
use crate::yaml::shape::complained;
use crate::yaml::source::ByteSpan;
use crate::yaml::{Diagnostic, Document, Mistakes, quote, suggest};

/// `strategy.max_in_flight` when the plan does not say.
pub const MAX_IN_FLIGHT_DEFAULT: u32 = 20;

/// `strategy.progress_deadline` when the plan does not say, in milliseconds.
pub const PROGRESS_DEADLINE_DEFAULT_MS: u64 = 20 * 60 * 1000;

/// `verify.timeout` when the plan does not say, in milliseconds.
pub const VERIFY_TIMEOUT_DEFAULT_MS: u64 = 3 * 60 * 1000;

/// Names of tags listed where one is not found: as many as a person reads.
const TAGS_TOLD: usize = 10;

/// A plan that was understood.
pub enum CheckedPlan {
    Whole(Box<(Plan, TargetSet, bool, Option<Timestamp>)>),
    /// All but its targets, which are to be discovered.
    Open(Box<Outline>),
}

/// Understands the plan, with the file of a discovery if there is one. `None` after a mistake, new
/// or known.
pub fn understand(
    document: &Document<'_>,
    folders: &Folders<'_>,
    source: Digest,
    discovered: Option<&Path>,
    mistakes: &mut Mistakes,
) -> Option<CheckedPlan> {
    // The second reader: the whole plan at once when nothing is wrong so far. If something is, its
    // parts are read for what else may be wrong.
    let mut plan: Option<raw::RawPlan> = document.typed("", mistakes);
    let discover = discover::selectors(
        plan.as_mut().map(|plan| plan.targets.discover.take()),
        document,
        mistakes,
    );
    if discover.is_empty() && discovered.is_some() && mistakes.count() == 0 {
        let other = Diagnostic::error(
            "discovery",
            "the plan has no `targets.discover`, so it takes nothing from a discovery",
        );
        mistakes
            .push(other.at(document.place("targets")).help("leave the file of the discovery away"));
    }
    let found = discovered.map(|path| (path, discover.as_slice()));
    let (set, found_at) = targets(
        plan.as_mut().map(|plan| &mut plan.targets),
        found,
        !discover.is_empty(),
        document,
        folders,
        mistakes,
    );
    let written = plan.as_mut().map(|plan| calendar::CalendarContext {
        windows: Some(plan.windows.take()),
        freezes: Some(plan.freezes.take()),
        not_before: plan.not_before,
    });
    let calendar = calendar::read(written.unwrap_or_default(), document, mistakes);
    one_pair_of_eyes(document, mistakes);
    waves::check_names(document, mistakes);
    let strategy =
        document.part(plan.as_mut().map(|plan| plan.strategy.take()), "strategy", mistakes);
    let strategy = strategy
        .and_then(|written| guards(&written.unwrap_or_default(), document, set.as_ref(), mistakes));
    let retry = document.part(plan.as_mut().map(|plan| plan.retry.take()), "retry", mistakes);
    let retry =
        retry.and_then(|written| attempts(&written.unwrap_or_default(), document, mistakes));
    let enforced =
        document.part(plan.as_mut().map(|plan| plan.enforce.take()), "enforce", mistakes);
    let enforced =
        enforced.and_then(|written| enforce::read(written, document, set.as_ref(), mistakes));
    let on_the_wire = document.part(
        plan.as_mut().map(|plan| plan.verify.as_mut().and_then(|verify| verify.wire.take())),
        "verify.wire",
        mistakes,
    );
    let on_the_wire =
        on_the_wire.and_then(|written| wire::read(written, document, folders, mistakes));
    let plan = plan?;
    let revision = plan.revision.unwrap_or(1);
    if !discover.is_empty() && discovered.is_none() {
        let lanes = discover.iter().enumerate().rev();
        let lanes = lanes.map(|(index, found)| {
            (found.lane.clone(), document.place(&format!("targets.discover[{index}].lane")))
        });
        let lanes = Lanes::new(lanes.collect());
        let outline = Outline {
            name: plan.name,
            revision,
            calendar: calendar?,
            discover,
            lanes,
            warnings: Vec::new(),
        };
        return Some(CheckedPlan::Open(Box::new(outline)));
    }
    let set = set?;
    let autostart = plan.autostart.unwrap_or(false);
    let timeout = plan.verify.and_then(|verify| verify.timeout);
    let on_the_wire = on_the_wire?;
    let required = plan.approval.map_or(0, |approval| approval.required);
    // A digest over a million targets is not for nothing.
    let digest = if required > 0 {
        Plan::digest(source, target::digest(&set.targets), on_the_wire.as_ref())
    } else {
        Digest::ZERO
    };
    let plan = Plan {
        name: plan.name,
        revision,
        description: plan.description.unwrap_or_default(),
        change_ref: plan.change_ref.unwrap_or_default(),
        owner: plan.owner.unwrap_or_default(),
        ssl_option: plan.ssl_option,
        source,
        calendar: calendar?,
        strategy: strategy?,
        retry: retry?,
        verify_timeout_ms: timeout.map_or(VERIFY_TIMEOUT_DEFAULT_MS, Length::millis),
        wire: on_the_wire,
        approval: Approval { required, digest },
        enforce: enforced?,
        survey: false,
        notify: plan.notify.unwrap_or_default(),
        written: written::written(document),
    };
    Some(CheckedPlan::Whole(Box::new((plan, set, autostart, found_at))))
}

/// Whoever may write the plans folder acts as its files' owner, root or the service's user: who
/// wrote a plan is not known there, so its author could give the approval that it asks for.
fn one_pair_of_eyes(document: &Document<'_>, mistakes: &mut Mistakes) {
    let says = |path: &str| document.exact(path).and_then(|node| node.text());
    if says("autostart") != Some("true")
        || says("approval.required").is_none_or(|required| required == "0")
    {
        return;
    }
    let message = "a plan that starts by itself cannot ask for an approval: its author is not known and could give it";
    let both = Diagnostic::error("autostart", message).at(document.place("autostart"));
    let both = both.also(document.place("approval.required"), "somebody else is asked for here");
    mistakes.push(
        both.help("take `autostart` out and submit it with `sealift apply`, which names who does"),
    );
}

/// The set, and when what was found of it was; `discovers`: whether there is more to be found than
/// what stands here.
fn targets(
    whole: Option<&mut raw::RawTargets>,
    found: Option<(&Path, &[Selector])>,
    discovers: bool,
    document: &Document<'_>,
    folders: &Folders<'_>,
    mistakes: &mut Mistakes,
) -> (Option<TargetSet>, Option<Timestamp>) {
    let Some(node) = document.exact("targets") else { return (None, None) };
    let before = mistakes.count();
    let (list, files, exclude, max) = match whole {
        Some(whole) => (
            Some(whole.list.take()),
            Some(whole.files.take()),
            Some(whole.exclude.take()),
            Some(whole.max),
        ),
        None => (None, None, None, None),
    };
    let exclude = ExcludeEntry::new(discover::exclusions(exclude, discovers, document, mistakes));
    let max_at = document.exact("targets.max").map(|node| node.span);
    let max = document.part(max, "targets.max", mistakes).flatten().unwrap_or(TARGETS_MAX);
    let mut fleet = TargetCollector::new(document.source(), max, exclude);
    super::targets::read_list(list, document, "targets.list", &mut fleet, mistakes);
    for (index, name) in document.entries::<String>(files, "targets.files", mistakes) {
        let at = |index: usize| document.nearest(&format!("targets.files[{index}]"));
        if let Some(first) = (0..index).map(at).find(|other| other.text() == Some(&name)) {
            let twice = Diagnostic::error(
                "duplicate-file",
                format!("the file {} is named twice", quote(&name)),
            );
            let twice = twice
                .also(document.source().place(first.span), "the first time")
                .help("remove one of them");
            mistakes.push_node(document.source(), at(index).span, twice);
            continue;
        }
        match FileSource::named(&name, folders.real, folders.shown) {
            Ok(file) => fleet.read(file, at(index).span, mistakes),
            Err(complaint) => mistakes.push_node(
                document.source(),
                at(index).span,
                complained("`files`", complaint),
            ),
        }
    }
    let found_at = found.and_then(|(path, selectors)| {
        fleet.read_discovered(FileSource::discovery(path), selectors, document, mistakes)
    });
    let all_read = found_at.is_some() || !discovers;
    let complete =
        all_read && mistakes.count() == before && !mistakes.touch(document.source(), node.span);
    (fleet.finish(node_key(document, "targets"), max_at, complete, document, mistakes), found_at)
}

fn node_key(document: &Document<'_>, key: &str) -> ByteSpan {
    document.root().entry(key).map_or(document.root().span, |(name, _)| name.span)
}

fn guards(
    written: &raw::RawStrategy,
    document: &Document<'_>,
    set: Option<&TargetSet>,
    mistakes: &mut Mistakes,
) -> Option<Strategy> {
    let before = mistakes.count();
    let progress_deadline_ms =
        written.progress_deadline.map_or(PROGRESS_DEADLINE_DEFAULT_MS, Length::millis);
    if progress_deadline_ms == 0 {
        let zero = Diagnostic::error("value", "`progress_deadline` must be longer than 0s")
            .at(document.place("strategy.progress_deadline"));
        mistakes.push(zero.help("make it longer than one job takes; leave it out for `20m`"));
    }
    let total = u32::try_from(set?.targets.len()).expect("bounded by TARGETS_MAX");
    let waves = waves::resolve(written, total, document, mistakes);
    let max_failures = waves::rollout_budget(written, total);
    let max_in_flight = written.max_in_flight.unwrap_or(MAX_IN_FLIGHT_DEFAULT);
    if written.max_in_flight.is_some() && max_failures < max_in_flight {
        let message = format!(
            "at most {max_failures} changes are in flight at once, not {max_in_flight}: failures and changes in flight together stay within `max_failures`"
        );
        mistakes.push(
            Diagnostic::warning("pace", message)
                .at(document.place("strategy.max_in_flight"))
                .help("raise `max_failures` for a faster pace"),
        );
    }
    if let Some(waves) = &waves {
        waves::check_budgets(written, waves, max_failures, document, mistakes);
    }
    let max_in_flight_per = group_limits(written, &set?.targets, document, mistakes);
    let on_failure = match written.on_failure {
        Some(raw::RawOnFailure::Revert) => OnFailure::Revert,
        Some(raw::RawOnFailure::Halt) | None => OnFailure::Halt,
    };
    let revert = RevertPolicy { on_failure, in_window: written.revert_in_window.unwrap_or(false) };
    let waves = waves?;
    (mistakes.count() == before).then_some(Strategy {
        max_in_flight,
        max_in_flight_per,
        waves,
        max_failures,
        progress_deadline_ms,
        revert,
    })
}

/// A limit for a tag that no target carries limits nothing, which is hardly what was meant.
fn group_limits(
    written: &raw::RawStrategy,
    targets: &[Target],
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> GroupLimits {
    let limits: GroupLimits =
        written.max_in_flight_per.iter().flatten().map(|(by, most)| (by.clone(), *most)).collect();
    for (by, _) in limits.iter() {
        let GroupBy::Tag(name) = by else { continue };
        if targets.iter().any(|target| by.value(target).is_some()) {
            continue;
        }
        let none = Diagnostic::warning(
            "limit",
            format!("no target has the tag {}, so this limits nothing", quote(name)),
        );
        let none = none.at(document.place(&format!("strategy.max_in_flight_per.{by}")));
        let known: BTreeSet<&str> = targets
            .iter()
            .filter_map(|target| target.tags.as_ref())
            .flat_map(|tags| tags.iter())
            .map(|(name, _)| name)
            .collect();
        mistakes.push(match suggest::nearest(name, known.iter().copied()) {
            Some(near) => none.help(format!("did you mean `tag:{near}`?")),
            None if known.is_empty() => {
                none.help("give the targets the tag: `tags` in a list, a column `tag:NAME` in CSV")
            }
            None => none.help(format!(
                "the targets have {}",
                known.iter().take(TAGS_TOLD).map(|name| quote(name)).collect::<Vec<_>>().join(", ")
            )),
        });
    }
    limits
}

fn attempts(
    written: &raw::Retry,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> Option<retry::Policy> {
    let usual = retry::Policy::default();
    let policy = retry::Policy {
        max_attempts: written.max_attempts.unwrap_or(usual.max_attempts),
        initial_ms: written.initial.map_or(usual.initial_ms, Length::millis),
        max_ms: written.max.map_or(usual.max_ms, Length::millis),
    };
    let before = mistakes.count();
    if policy.initial_ms == 0 {
        let zero = Diagnostic::error("value", "`initial` must be longer than 0s")
            .at(document.place("retry.initial"));
        mistakes.push(zero.help(
            "a call that is repeated at once only meets the same trouble; leave it out for `2s`",
        ));
    } else if policy.max_ms < policy.initial_ms {
        let length = |ms| Length::from(std::time::Duration::from_millis(ms));
        let message = format!(
            "the longest wait, {}, is shorter than the first, {}",
            length(policy.max_ms),
            length(policy.initial_ms)
        );
        let key = if written.max.is_some() { "retry.max" } else { "retry.initial" };
        mistakes.push(
            Diagnostic::error("value", message)
                .at(document.place(key))
                .help("make `max` at least as long as `initial`"),
        );
    }
    (mistakes.count() == before).then_some(policy)
}
