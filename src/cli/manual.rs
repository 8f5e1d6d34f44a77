//! `man`: the manual, a page for each verb, as packages install it.
//!
//! Invariant: every verb has a page, and every line that is to be typed stands there as it is
//! typed: neither filled nor broken.
//!
//! Deliberately not here: what the pages say, which is the command line's own help (`args`).

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::args::{ManArgs, command};
use super::exit::Exit;

/// One page: the name of its file, and its text for roff.
struct ManualPage {
    file: String,
    text: Vec<u8>,
}

/// `man`.
pub fn man(args: &ManArgs) -> Result<Exit> {
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    std::fs::create_dir_all(&args.folder).with_context(|| cannot(&args.folder))?;
    for page in pages()? {
        let path = args.folder.join(page.file);
        std::fs::write(&path, page.text).with_context(|| cannot(&path))?;
    }
    Ok(Exit::Done)
}

/// The page of the program, and those of its verbs and of their verbs.
fn pages() -> Result<Vec<ManualPage>> {
    let mut whole = command().disable_help_subcommand(true);
    whole.build();
    let mut pages = Vec::new();
    let mut open = vec![(whole, None)];
    while let Some((command, above)) = open.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        open.extend(verbs.map(|verb| (verb.clone(), Some(name.clone()))));
        let text = page(&command, &name, above.as_deref())?;
        pages.push(ManualPage { file: format!("{name}.1"), text });
    }
    Ok(pages)
}

fn page(command: &Command, name: &str, above: Option<&str>) -> Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(concat!("sealift ", env!("CARGO_PKG_VERSION")))
        .manual("Sealift");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    help.split("\n\n").for_each(|part| after_help(&mut rest, part));
    if let Some(above) = above {
        rest.control("SH", ["SEE ALSO"]);
        rest.text([bold(above), roman("(1)")]);
    }
    rest.to_writer(&mut text)?;
    Ok(text)
}

/// One part of what stands below a help text: a title with lines to be typed or read as they are,
/// or a sentence.
fn after_help(roff: &mut Roff, part: &str) {
    let (title, lines) = part.trim_end().split_once('\n').unwrap_or((part.trim_end(), ""));
    match title.strip_suffix(':') {
        Some(title) if !lines.is_empty() && lines.lines().all(|line| line.starts_with("  ")) => {
            roff.control("SH", [title.to_uppercase().as_str()]);
            roff.control("nf", []);
            for line in lines.lines() {
                roff.text([roman(&line[2..])]);
            }
            roff.control("fi", []);
        }
        _ if part.trim().is_empty() => {}
        _ => {
            roff.control("SH", ["NOTES"]);
            for line in part.trim_end().lines() {
                roff.text([roman(line)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that stand in a page as they are.
    fn unfilled(page: &str) -> String {
        let blocks = page.split(".nf\n").skip(1);
        blocks.map(|block| block.split(".fi\n").next().unwrap_or_default()).collect()
    }

    #[test]
    fn every_verb_has_a_page_with_its_examples_as_they_are_typed() {
        let pages = pages().expect("the command line has pages");
        let find = |file: &str| {
            let page = pages.iter().find(|page| page.file == file);
            let text = &page.unwrap_or_else(|| panic!("there is no {file}")).text;
            String::from_utf8(text.clone()).expect("text")
        };
        let whole = command();
        let mut open: Vec<_> =
            whole.get_subcommands().map(|verb| ("sealift".to_owned(), verb)).collect();
        let mut typed = 0;
        while let Some((path, verb)) = open.pop() {
            let name = format!("{path}-{}", verb.get_name());
            let page = find(&format!("{name}.1"));
            assert!(!page.contains("EXTRA"), "{name}");
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in help.lines().filter(|line| line.starts_with("  sealift ")) {
                let mut line = Roff::new();
                line.text([roman(example.trim_start())]);
                let line = line.render();
                let line = line.lines().last().unwrap_or_default();
                assert!(unfilled(&page).contains(line), "{name} lacks {example}: {page}");
                typed += 1;
            }
            open.extend(verb.get_subcommands().map(|verb| (name.clone(), verb)));
        }
        assert!(typed > 50, "only {typed} examples were found");
        assert!(unfilled(&find("sealift.1")).contains("the daemon cannot be reached"));
    }
}
