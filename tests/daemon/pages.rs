//! The commands of the documentation: each is typed again, in its page's order, or stands in a list
//! with the reason; and all that pages name in passing are ones that the command line takes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser as _;
use clap::error::ErrorKind;
use rustix::process::{Pid, Signal, kill_process_group};
use sealift::cli::args::Cli;

/// Pages whose commands are typed, each in a folder and with ports of its own. What a reader has
/// already stands hidden in the page, between `<!-- run` and `-->`.
const PLAYED: &[&str] = &[
    "README.md",
    "docs/api.md",
    "docs/night.md",
    "docs/notifications.md",
    "docs/operating.md",
    "docs/plans.md",
    "docs/recovery.md",
    "docs/rehearsal.md",
];

/// Pages that another test types whole, and holds against what they say.
const PLAYED_ELSEWHERE: &[(&str, &str)] = &[
    ("docs/demo.md", include_str!("serve/mod.rs")),
    ("docs/first-night.md", include_str!("end_to_end/first_night.rs")),
];

/// Commands that are not typed: the page, how they begin, and why.
const NOT_TYPED: &[(&str, &str, &str)] = &[
    ("README.md", "make ", "it is what runs this test"),
    ("README.md", "sudo apt install", "typed in the booted Debian, as docs/install.md has it"),
    ("README.md", "sealift demo --page", "it runs until Ctrl-C: serve/demo_page.rs"),
    ("docs/install.md", "sealift demo --page", "it runs until Ctrl-C: serve/demo_page.rs"),
    ("docs/install.md", "sealift emulate &", "the booted Debian has one with faults"),
    ("docs/api.md", "export ", "a name and a certificate of another machine: serve/door.rs"),
    ("docs/api.md", "sealift status", "goes with the line above"),
    ("docs/durability.md", "make torture", "it takes a quarter of an hour"),
    ("docs/operating.md", "sealift emulate", "it runs on: the page's hidden part begins it"),
    ("docs/operating.md", "sealift serve", "it runs on: the page's hidden part begins it"),
    ("docs/operating.md", "sealift top", "it wants a terminal: serve/top.rs"),
    ("docs/operating.md", "sealift store import", "on another machine: docs/recovery.md"),
    ("docs/operating.md", "sealift store new", "where a store is gone: serve/store.rs"),
    ("docs/operating.md", "sealift store repair", "of a damaged store: docs/recovery.md"),
    ("docs/plans.md", "sealift enforce", "of proxies that drifted: tests/simulation/enforcement"),
    ("docs/wire.md", "sealift probe", "an address of nobody: serve/wire.rs"),
];

/// Commands of pages that do not say so, and end with another code than 0.
const ENDS: &[(&str, &str, u8)] = &[
    // The canary is done, and the next wave waits for a person.
    ("README.md", "sealift apply night.yaml", 7),
    ("README.md", "sealift watch night", 7),
    ("docs/operating.md", "sealift apply plan.yaml", 7),
    ("docs/operating.md", "sealift watch night", 7),
    // What it says is missing was taken away on purpose.
    ("docs/recovery.md", "sealift store check  ", 3),
    // One proxy of the page's list is not there.
    ("docs/operating.md", "sealift preflight night.yaml", 3),
    // A guard stops it, which the last one looks for.
    ("docs/rehearsal.md", "sealift rehearse plan.yaml --faults faults.yaml", 4),
    ("docs/rehearsal.md", "sealift rehearse plan.yaml --seeds", 4),
];

/// The page whose hidden part begins with nothing.
const STAGES_ITSELF: &str = "docs/night.md";

/// What a reader has already, on the other pages: an emulated cloud, a daemon with a door
/// on the network, and a plan. The question of `apply` is answered with yes, and whoever hands a
/// store over has stopped its daemon.
const STAGE: &str = r#"
sealift init . 2>/dev/null
sed -i "s/127.0.0.1:7634/127.0.0.1:$PORT/; /^api:/d" sealift.yaml
cat >> sealift.yaml <<END
api:
  socket: api.sock
  listen: 127.0.0.1:$DOOR
  tokens_file: tokens.yaml
  people:
    - {unix: $(id -un), may: [read, operate, approve, off]}
    - {name: pipeline, may: [read, operate]}
END
sed -i 's/^name: first/name: night/; s/soak: 5s/soak: 1s/' first.yaml
cp first.yaml plan.yaml; mv first.yaml night.yaml
cp -r "$SOURCES/plans" .
cp "$SOURCES/docs/faults.example.yaml" faults.yaml
echo 'job_time: 1s' > quick.yaml
export SEALIFT_CONFIG=$PWD/sealift.yaml
sealift emulate --listen 127.0.0.1:$PORT --faults quick.yaml --wire-ca ca.pem > emulate.log 2>&1 &
sealift serve > serve.log 2>&1 &
daemon=$!
sealift status --wait 30s
sudo() { shift 2; "$@"; }
sealift() {
    case "$1 ${2-}" in
        'apply '*) set -- "$@" --yes ;;
        'discover --into') rm -f "$3" ;;
        'store export') kill $daemon 2>/dev/null; wait $daemon ;;
        # One that is not refused, as its page says, would go on.
        'serve ') timeout 60 "$(type -P sealift)" serve; return ;;
    esac
    command sealift "$@"
}
"#;

/// What is typed as root in a Debian of its own, by `typed PAGE COMMAND`.
const BOOTED: &str = include_str!("boot/inner.sh");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command of a page, and the exit code that the page says it ends with.
struct PageCommand {
    line: usize,
    text: String,
    code: u8,
    hidden: bool,
}

impl PageCommand {
    /// Which line of the list says why it is not typed, if one does.
    fn not_typed(&self, page: &str) -> Option<usize> {
        NOT_TYPED.iter().position(|(of, begins, _)| {
            *of == page && self.text.starts_with(begins) && !self.hidden
        })
    }
}

/// What a page types: its blocks of `console`, and those of no language, and what `<!-- run` hides
/// because a reader has it already. A block in which a line begins with `$` has answers too, and
/// `[exit code N]` where a command ends with another code than 0.
fn commands(page: &str) -> Vec<PageCommand> {
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    let mut found: Vec<PageCommand> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let (opens, begin) = (lines[at], at + 1);
        let hidden = opens == "<!-- run";
        if !hidden && !opens.starts_with("```") {
            at = begin;
            continue;
        }
        let closes = if hidden { "-->" } else { "```" };
        let length = lines[begin..].iter().position(|line| *line == closes).expect("an end");
        let block = &lines[begin..begin + length];
        at = begin + length + 1;
        if !hidden && !matches!(opens, "```" | "```console") {
            continue;
        }
        let answered = !hidden && block.iter().any(|line| line.starts_with("$ "));
        for (more, line) in block.iter().enumerate() {
            if let Some(code) = line.strip_prefix("[exit code ") {
                let code = code.trim_end_matches(']').parse().expect("a number");
                found.last_mut().expect("a command before its exit code").code = code;
                continue;
            }
            let text = if answered { line.strip_prefix("$ ") } else { Some(*line) };
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            found.push(PageCommand { line: begin + more + 1, text: text.into(), code: 0, hidden });
        }
    }
    found
}

/// One script of a whole page; it ends at the first command that does not end as the page says.
fn script(page: &str, commands: &[PageCommand]) -> String {
    let mut script = String::from("set -u\n");
    if page != STAGES_ITSELF {
        script.push_str(STAGE);
    }
    for command in commands.iter().filter(|command| command.not_typed(page).is_none()) {
        let PageCommand { line, text, code, .. } = command;
        let ends = |(of, begins, _): &&(&str, &str, u8)| *of == page && text.starts_with(begins);
        let code = ENDS.iter().find(ends).map_or(code, |(_, _, code)| code);
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

/// A port that nobody listens on.
fn free_port() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    port.local_addr().expect("bound").port().to_string()
}

/// Types a page, and says what went wrong.
fn play(page: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(root().join(page)).expect("the page is there");
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
    let mut bash = Command::new("bash");
    bash.current_dir(folder.path()).env("PATH", path).env("PORT", free_port());
    bash.env("DOOR", free_port()).env("SOURCES", root());
    bash.env("SEALIFT_CONFIG", folder.path().join("sealift.yaml")).env_remove("SEALIFT_ADDR");
    bash.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = bash.spawn().expect("bash runs");
    let group = Processes(Pid::from_child(&child));
    let mut typed = child.stdin.take().expect("piped");
    typed.write_all(script(page, &commands(&text)).as_bytes()).expect("taken");
    drop(typed);
    let status = child.wait().expect("it ends");
    drop(group);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said)
        .expect("text");
    if status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn what_the_pages_type_ends_as_they_say() {
    // Each mostly waits, for its daemon and its cloud.
    let failed: Vec<_> = std::thread::scope(|scope| {
        let plays: Vec<_> = PLAYED.iter().map(|page| scope.spawn(|| play(page))).collect();
        plays.into_iter().filter_map(|play| play.join().expect("no panic").err()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn every_command_of_every_page_is_typed_or_says_why_not() {
    let (mut typed, mut missing, mut used) = (0, Vec::new(), BTreeSet::new());
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("text");
        let page = path.strip_prefix(root()).expect("ours").display().to_string();
        let elsewhere =
            PLAYED_ELSEWHERE.iter().any(|(of, test)| *of == page && test.contains(&page));
        for command in commands(&text).iter().filter(|command| !command.hidden) {
            let booted = format!("typed {page} '{}'", without_comment(&command.text));
            if let Some(line) = command.not_typed(&page) {
                used.insert(line);
            } else if PLAYED.contains(&page.as_str()) || elsewhere || BOOTED.contains(&booted) {
                typed += 1;
            } else {
                missing.push(format!("{page}:{}: {}", command.line, command.text));
            }
        }
    }
    assert!(typed > 60, "{typed} commands are typed");
    assert!(missing.is_empty(), "nobody types\n{}", missing.join("\n"));
    let stale = (0..NOT_TYPED.len()).filter(|line| !used.contains(line));
    let stale: Vec<_> = stale.map(|line| NOT_TYPED[line]).collect();
    assert!(stale.is_empty(), "no page has such a command: {stale:?}");
}

/// A command without what explains it.
fn without_comment(command: &str) -> &str {
    command.split_once(" #").map_or(command, |(command, _)| command).trim_end()
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
