//! `targets.discover` and `targets.exclude`, as far as the plan alone determines them.

use super::raw;
use super::selector::{Exclusion, Selector};
use crate::yaml::{Diagnostic, Document, Mistakes, plain};

/// Reads `targets.discover`; empty when the plan has none.
pub fn selectors(
    written: Option<Option<Vec<raw::Discover>>>,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> Vec<Selector> {
    let mut selectors: Vec<(usize, Selector)> = Vec::new();
    for (index, raw::Discover { lane, instance_name, tags, state }) in
        document.entries(written, "targets.discover", mistakes)
    {
        let selector = Selector { lane, instance_name, tags: tags.unwrap_or_default(), state };
        if let Some((first, _)) = selectors.iter().find(|(_, other)| *other == selector) {
            let twice = Diagnostic::error("duplicate-selector", "the same is looked for twice")
                .at(document.place(&place("discover", index)));
            mistakes.push(
                twice
                    .also(document.place(&place("discover", *first)), "the first time")
                    .help("remove one of them"),
            );
        }
        selectors.push((index, selector));
    }
    if !selectors.is_empty() {
        check_distinct(document, mistakes);
    }
    selectors.into_iter().map(|(_, selector)| selector).collect()
}

/// What a plan that finds its targets cannot say beside it.
fn check_distinct(document: &Document<'_>, mistakes: &mut Mistakes) {
    if document.exact("autostart").and_then(|node| node.text()) == Some("true") {
        let message = "a plan that discovers its targets is not started by itself: nobody has seen what it would change";
        let alone = Diagnostic::error("autostart", message).at(document.place("autostart"));
        let alone = alone.also(document.place("targets.discover"), "its targets are found here");
        mistakes.push(alone.help("submit it with `sealift apply`, or name the file of `sealift discover --into` in `targets.files`"));
    }
    if document.exact("enforce").is_some() {
        let message = "what is enforced are the targets that were found when the plan was applied, not what is found later";
        let frozen = Diagnostic::warning("enforce", plain(message)).at(document.place("enforce"));
        mistakes.push(frozen.help("apply the next revision when the fleet has grown"));
    }
}

/// Reads `targets.exclude`; empty when the plan has none.
pub fn exclusions(
    written: Option<Option<Vec<raw::RawExclude>>>,
    discovers: bool,
    document: &Document<'_>,
    mistakes: &mut Mistakes,
) -> Vec<(usize, Exclusion)> {
    let mut exclusions = Vec::new();
    for (index, entry) in document.entries(written, "targets.exclude", mistakes) {
        let raw::RawExclude { lane, instance_name, instance_id, proxy_id, tags, reason } = entry;
        let exclusion = Exclusion {
            lane,
            instance_name,
            instance_id,
            proxy_id,
            tags: tags.unwrap_or_default(),
            reason,
        };
        if !exclusion.says_something() {
            let all = Diagnostic::error("exclude", "this would leave out every target")
                .at(document.place(&place("exclude", index)));
            mistakes.push(all.help("say what is left out: `lane`, `instance_name`, `instance_id`, `proxy_id` or `tags`"));
        }
        if exclusion.instance_name.is_some() && !discovers {
            let message = "names of instances are known of targets that were discovered, and this plan discovers none";
            let unknown = Diagnostic::error("exclude", message)
                .at(document.place(&format!("{}.instance_name", place("exclude", index))));
            mistakes
                .push(unknown.help("name the instances by `instance_id`, or the targets by a tag"));
        }
        exclusions.push((index, exclusion));
    }
    exclusions
}

fn place(list: &str, index: usize) -> String {
    format!("targets.{list}[{index}]")
}
