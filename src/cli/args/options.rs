//! What many verbs have in common: where the daemon is found and how the answer is printed; and the
//! command line as a whole.
//!
//! Invariant: a common option stands behind a verb's own, and is offered only where it works.

use clap::{Arg, Args, Command, CommandFactory as _, FromArgMatches as _, ValueEnum};

use super::Cli;
use crate::cli::reach::LAST;

/// Verbs that need neither daemon nor configuration, or not all of it, each with the common options
/// that mean nothing to it: they are not offered there, and refused.
const MEANINGLESS: &[(&str, &[&str])] = &[
    ("serve", &["wait"]),
    ("demo", &["config", "addr", "wait"]),
    ("init", &["config", "addr", "wait"]),
    ("emulate", &["config", "addr", "wait"]),
    ("stop", &["wait"]),
    ("check", &["addr", "wait"]),
    ("windows", &["addr", "wait"]),
    ("probe", &["config", "addr", "wait"]),
    ("store", &["wait"]),
    ("token", &["addr", "wait"]),
    ("schema", &["config", "addr", "wait"]),
    ("config", &["wait"]),
    ("completions", &["config", "addr", "wait"]),
    ("man", &["config", "addr", "wait"]),
];

/// The command line, each verb with those of the common options that mean something to it.
pub fn command() -> Command {
    let refuse = |_: &str| Err::<String, _>("it means nothing to this verb; leave it out");
    let without = |verb: Command, options: &[&'static str]| {
        options.iter().fold(verb, |verb, option| {
            verb.arg(Arg::new(*option).long(*option).hide(true).value_parser(refuse))
        })
    };
    MEANINGLESS.iter().fold(Cli::command(), |command, (verb, options)| {
        command.mut_subcommand(verb, |verb| without(verb, options))
    })
}

/// What was typed.
///
/// # Errors
/// With what is wrong, or with the help that was asked for.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Of a listing.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", display_order = LAST)]
    pub output: OutputFormat,
}

/// Of a verb that prints one document.
#[derive(Debug, Clone, Default, Args)]
pub struct DocumentArgs {
    /// How to print
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", display_order = LAST)]
    pub output: DocumentFormat,
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

impl OutputFormat {
    /// The same for one document; `None` for CSV, which has rows.
    pub fn document(self) -> Option<DocumentFormat> {
        match self {
            Self::Table => Some(DocumentFormat::Table),
            Self::Json => Some(DocumentFormat::Json),
            Self::Jsonl => Some(DocumentFormat::Jsonl),
            Self::Csv => None,
        }
    }
}

/// How one document is printed: it has no rows for CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DocumentFormat {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// Every verb, and every verb of a verb, with its help text.
    fn helps() -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut command = command().term_width(100);
        command.build();
        let mut open = vec![(String::new(), command)];
        while let Some((path, command)) = open.pop() {
            for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
                let path = format!("{path} {}", verb.get_name());
                found.push((path.trim().to_owned(), verb.clone().render_help().to_string()));
                open.push((path, verb.clone()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn common_options_stand_last_and_only_where_they_work() {
        let mut listed = String::new();
        for (verb, help) in helps() {
            let flags = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            let options: Vec<&str> = flags
                .filter_map(|line| line.split_once("--")?.1.split([' ', ',']).next())
                .collect();
            let own = options
                .iter()
                .rposition(|option| !["output", "config", "addr", "wait", "help"].contains(option))
                .map_or(0, |at| at + 1);
            assert!(
                options[..own]
                    .iter()
                    .all(|option| !["output", "config", "addr", "wait"].contains(option)),
                "{verb}: {help}"
            );
            let common: Vec<&str> = ["output", "config", "addr", "wait"]
                .into_iter()
                .filter(|option| options.contains(option))
                .collect();
            listed.push_str(&format!("{verb:<22} {}\n", common.join(" ")));
        }
        insta::with_settings!({snapshot_path => "../../../tests/golden/cli", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!("common-options", listed);
        });
        let refused = command()
            .try_get_matches_from(["sealift", "demo", "--config", "x"])
            .expect_err("it means nothing there");
        assert!(refused.to_string().contains("means nothing to this verb"), "{refused}");
    }

    #[test]
    fn csv_is_offered_only_where_there_are_rows() {
        for (verb, help) in helps() {
            let rows = [
                "plan",
                "windows",
                "discover",
                "list",
                "lanes",
                "changes",
                "jobs",
                "journal",
                "enforce",
                "notify",
                "config",
                "token list",
            ]
            .contains(&verb.as_str());
            assert_eq!(help.contains("csv]"), rows, "{verb}: {help}");
        }
    }
}
