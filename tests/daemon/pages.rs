//! The commands of the documentation: those of pages that tell how something is done are typed
//! again, in their order, and all others are ones that the command line takes.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser as _;
use clap::error::ErrorKind;
use rustix::process::{Pid, Signal, kill_process_group};
use sealift::cli::args::Cli;

/// Pages whose `console` blocks are typed, each in a folder and with a port of its own.
const PLAYED: &[&str] = &["docs/night.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command of a page, and the exit code that the page says it ends with.
struct PageCommand {
    line: usize,
    text: String,
    code: u8,
}

/// What a page types: its `console` blocks, and what `<!-- run` hides because a reader has it
/// already.
fn commands(page: &str) -> Vec<PageCommand> {
    let mut found: Vec<PageCommand> = Vec::new();
    let (mut typed, mut hidden) = (false, false);
    for (at, line) in page.lines().enumerate() {
        let line = line.trim();
        match line {
            "```console" => typed = true,
            "<!-- run" => hidden = true,
            "```" | "-->" => (typed, hidden) = (false, false),
            _ => {}
        }
        let command = if hidden && line != "<!-- run" {
            Some(line)
        } else {
            typed.then(|| line.strip_prefix("$ ")).flatten()
        };
        if let Some(text) = command {
            found.push(PageCommand { line: at + 1, text: text.into(), code: 0 });
        } else if typed && let Some(code) = line.strip_prefix("[exit code ") {
            let code = code.trim_end_matches(']').parse().expect("a number");
            found.last_mut().expect("a command before its exit code").code = code;
        }
    }
    found
}

/// One script of a whole page; it ends at the first command that does not end as the page says.
fn script(page: &str, commands: &[PageCommand]) -> String {
    let mut script = String::from("set -u\n");
    for PageCommand { line, text, code } in commands {
        if text.ends_with('&') {
            script.push_str(&format!("{text}\n"));
            continue;
        }
        script.push_str(&format!(
            "echo '{page}:{line}' >&2\n{text}\ncode=$?\n\
             [ $code -eq {code} ] || {{ echo \"ended with $code, not {code}\" >&2; exit 1; }}\n"
        ));
    }
    script
}

/// Ends all that the script began, whatever becomes of the test.
struct Processes(Pid);

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

#[test]
fn what_a_page_types_ends_as_it_says() {
    for page in PLAYED {
        let text = std::fs::read_to_string(root().join(page)).expect("the page is there");
        let commands = commands(&text);
        assert!(commands.len() > 20, "{page} has {} commands", commands.len());
        let folder = tempfile::Builder::new()
            .prefix("sealift-page-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a folder");
        let binary = Path::new(env!("CARGO_BIN_EXE_sealift"));
        let path = format!(
            "{}:{}",
            binary.parent().expect("a folder").display(),
            std::env::var("PATH").expect("a path")
        );
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let number = port.local_addr().expect("bound").port();
        drop(port);
        let mut bash = Command::new("bash");
        bash.current_dir(folder.path()).env("PATH", path).env("PORT", number.to_string());
        bash.env("SEALIFT_CONFIG", folder.path().join("sealift.yaml")).env_remove("SEALIFT_ADDR");
        bash.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = bash.spawn().expect("bash runs");
        let group = Processes(Pid::from_child(&child));
        let mut typed = child.stdin.take().expect("piped");
        typed.write_all(script(page, &commands).as_bytes()).expect("taken");
        drop(typed);
        let status = child.wait().expect("it ends");
        drop(group);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said)
            .expect("text");
        assert!(status.success(), "{said}");
    }
}

/// README and the pages of `docs`; decisions tell of their own time.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).expect("a folder");
    let mut pages: Vec<PathBuf> =
        docs.map(|entry| entry.expect("readable").path()).filter(|path| is_page(path)).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

fn is_page(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The words of a command up to the first sign that is the shell's: quotes are taken off.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            // What the shell puts in is one word, whatever it is.
            (None, '(') if word.as_ref().is_some_and(|word| word.ends_with('$')) => {
                quote = Some(')');
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '>' | '#' | '&' | ';') => break,
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A command that a page names; in a sentence its arguments may be left out.
struct NamedCommand {
    line: usize,
    text: String,
    whole: bool,
}

/// Every `sealift …` of a page: lines of fenced blocks, and code within its sentences.
fn named(page: &str) -> Vec<NamedCommand> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (at, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let typed = line.trim_start();
            let typed = typed.strip_prefix("$ ").unwrap_or(typed);
            if typed.starts_with("sealift ") {
                found.push(NamedCommand { line: at + 1, text: typed.to_owned(), whole: true });
            }
        } else {
            let code = line.split('`').skip(1).step_by(2);
            let commands = code.filter(|code| code.starts_with("sealift "));
            found.extend(commands.map(|code| NamedCommand {
                line: at + 1,
                text: code.to_owned(),
                whole: false,
            }));
        }
    }
    found
}

#[test]
fn every_command_in_the_documentation_is_one() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in pages() {
        let page = std::fs::read_to_string(&path).expect("text");
        let name = path.strip_prefix(root()).expect("ours").display().to_string();
        for NamedCommand { line, text, whole } in named(&page) {
            seen += 1;
            let Err(error) = Cli::try_parse_from(words(&text)) else { continue };
            let short = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if error.use_stderr() && (whole || !short) {
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{name}:{line}: {text}\n    {first}"));
            }
        }
    }
    assert!(seen > 100, "{seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
