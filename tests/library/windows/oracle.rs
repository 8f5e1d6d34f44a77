//! The Python process that is asked: `oracle.py`, with croniter in an environment of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;
use serde_json::Value;

/// Asks every question, and gives the answers in their order; the work is shared out to as many
/// processes as there are cores.
pub fn ask<T: Serialize + Sync>(questions: &[T]) -> Vec<Value> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let parts = questions.chunks(questions.len().div_ceil(cores).max(1));
    std::thread::scope(|scope| {
        let asked: Vec<_> = parts.map(|part| scope.spawn(|| ask_one(part))).collect();
        asked
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn ask_one<T: Serialize + Sync>(questions: &[T]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/oracle/bin/python");
    assert!(
        python.exists(),
        "{} is not there: this test compares with Python's croniter. `make setup` (and so `make test`) installs it",
        python.display()
    );
    let mut child = Command::new(&python)
        .arg("-I")
        .arg(root.join("tests/library/windows/oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{}: {error}; `make setup` installs it anew", python.display())
        });
    let (mut stdin, stdout) =
        (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for question in questions {
                let line = serde_json::to_string(question).expect("a question is JSON");
                // Where the oracle died, its exit says so below.
                if writeln!(stdin, "{line}").is_err() {
                    return;
                }
            }
        });
        let lines = BufReader::new(stdout).lines();
        lines
            .map(|line| serde_json::from_str(&line.expect("a line")).expect("an answer is JSON"))
            .collect::<Vec<Value>>()
    });
    let exit = child.wait().expect("the oracle ends");
    assert!(
        exit.success(),
        "the oracle failed ({exit}) after {} answers; what it says stands above",
        answers.len()
    );
    assert_eq!(answers.len(), questions.len(), "one answer a question");
    answers
}
