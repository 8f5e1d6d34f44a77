//! The reference of `docs/reference` is made from the code: schemas, verbs, exit codes, the
//! journal's entries; that of metrics by their own test (`api/metrics.rs`). It is checked in, so that it can be read without building anything, and held against the code here.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use sealift::cli::args::Cli;
use sealift::domain::change;
use sealift::domain::enforce::EnforcementStage;
use sealift::domain::hold::Hold;
use sealift::domain::journal::JournalEvent;
use sealift::domain::rollout::Phase;
use sealift::words::meaning;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::sealift;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}

/// Compares a page with what is checked in, or writes it anew.
pub fn golden(name: &str, page: &str) {
    let path = root().join(name);
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") && kept != page {
        fs::create_dir_all(root()).expect("a folder");
        fs::write(&path, page).expect("the page can be written");
        return;
    }
    assert!(
        kept == page,
        "docs/reference/{name} is not what the code says; `make golden` writes it anew"
    );
}

/// The name of the definition that a reference means.
fn definition(reference: &str) -> &str {
    reference.rsplit('/').next().expect("a name")
}

/// A value's kind in words, with links to the objects that it is made of.
fn kind(value: &Value) -> String {
    if let Some(reference) = value["$ref"].as_str() {
        let name = definition(reference);
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some([one]) = value["allOf"].as_array().map(Vec::as_slice) {
        return kind(one);
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(kinds) = value[choice].as_array() {
            let kinds: Vec<_> = kinds.iter().map(kind).filter(|kind| kind != "null").collect();
            return kinds.join(" or ");
        }
    }
    if let Some(values) = value["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
        return values.join(", ");
    }
    if !value["const"].is_null() {
        return format!("`{}`", plain(&value["const"]));
    }
    if let Some(kinds) = value["type"].as_array() {
        let one = |of: &Value| {
            let mut value = value.clone();
            value["type"] = of.clone();
            kind(&value)
        };
        return kinds.iter().filter(|of| *of != "null").map(one).collect::<Vec<_>>().join(" or ");
    }
    match value["type"].as_str() {
        Some("array") if value["items"].is_object() => format!("list of {}", kind(&value["items"])),
        Some("array") => "list".into(),
        Some("object") if value["additionalProperties"].is_object() => {
            format!("map to {}", kind(&value["additionalProperties"]))
        }
        Some("object") => "map".into(),
        Some("string") => "text".into(),
        Some("integer") => format!("number{}", bounds(value, "minimum", "maximum")),
        Some(other) => other.into(),
        None => "any".into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn bounds(value: &Value, least: &str, most: &str) -> String {
    match (value[least].as_u64(), value[most].as_u64()) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) if least > 0 => format!(", {least} or more"),
        (None, Some(most)) => format!(", {most} at most"),
        _ => String::new(),
    }
}

/// A cell of a table: one line, without what would end the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn object(page: &mut String, object: &Value) {
    let empty = serde_json::Map::new();
    let properties = object["properties"].as_object().unwrap_or(&empty);
    let needed: Vec<_> = object["required"].as_array().into_iter().flatten().collect();
    page.push_str("| key | | what it says |\n|---|---|---|\n");
    for (name, value) in properties {
        let must = if needed.iter().any(|needed| *needed == name) { ", **needed**" } else { "" };
        let says = [value, &value["oneOf"][0]].map(|value| value["description"].as_str());
        let says = says[0].or(says[1]).unwrap_or_default();
        writeln!(page, "| `{name}` | {}{must} | {} |", cell(&kind(value)), cell(says))
            .expect("a string takes it");
    }
    page.push('\n');
}

/// A page of a schema: the file's own keys, then each definition by its name.
fn schema_page(of: &str, title: &str) -> String {
    let (code, text, _) = sealift(["schema", of]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let mut page = format!(
        "# {title}\n\n{}\n\nMade from the code; `sealift schema {of}` prints the same for editors.\n\n",
        cell(schema["description"].as_str().unwrap_or_default())
    );
    object(&mut page, &schema);
    for (name, value) in schema["definitions"].as_object().expect("definitions") {
        let says = value["description"].as_str().unwrap_or_default();
        write!(page, "## {name}\n\n{}\n\n", cell(says)).expect("a string takes it");
        if value["properties"].is_object() {
            object(&mut page, value);
        }
        for choice in ["anyOf", "oneOf"] {
            for one in value[choice].as_array().into_iter().flatten() {
                let says = cell(one["description"].as_str().unwrap_or_default());
                let colon = if says.is_empty() { "" } else { ": " };
                writeln!(page, "- {}{colon}{says}", cell(&kind(one))).expect("a string takes it");
            }
        }
        if value["enum"].is_array() {
            writeln!(page, "{}", kind(value)).expect("a string takes it");
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[test]
fn the_reference_of_files_is_what_the_schemas_say() {
    for (of, title) in
        [("plan", "The plan"), ("config", "The configuration"), ("faults", "The faults")]
    {
        let page = schema_page(of, title);
        assert!(page.lines().count() > 40, "{page}");
        golden(&format!("{of}.md"), &page);
    }
}

/// Every verb that is offered, with the words that lead to it.
fn verbs(command: &Command, before: &[String], found: &mut Vec<Vec<String>>) {
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let words = [before, &[verb.get_name().to_owned()]].concat();
        found.push(words.clone());
        verbs(verb, &words, found);
    }
}

#[test]
fn the_reference_of_verbs_is_what_they_say() {
    let mut found = Vec::new();
    verbs(&Cli::command(), &[], &mut found);
    assert!(found.len() > 30, "{found:?}");
    let mut page =
        "# The verbs\n\nWhat each says with `--help`. Made from the code.\n\n".to_owned();
    let (_, whole, _) = sealift(["--help"]);
    write!(page, "```text\n{}\n```\n", whole.trim_end()).expect("a string takes it");
    for words in found {
        let (code, help, _) = sealift(words.iter().map(String::as_str).chain(["--help"]));
        assert_eq!(code, Some(0), "{words:?}");
        let help: Vec<_> = help.lines().map(str::trim_end).collect();
        write!(page, "\n## {}\n\n```text\n{}\n```\n", words.join(" "), help.join("\n").trim_end())
            .expect("a string takes it");
    }
    golden("verbs.md", &page);
}

/// The words of an enumeration, as its reader has them.
fn words<T: DeserializeOwned>(tag: &str) -> BTreeSet<String> {
    let nothing = serde_json::from_value::<T>(json!({tag: "nothing"}));
    let Err(error) = nothing else { panic!("{tag} may be nothing") };
    let said = error.to_string();
    let words = said.split('`').skip(1).step_by(2).filter(|word| *word != "nothing");
    words.map(ToOwned::to_owned).collect()
}

/// A table of words, which are exactly these.
fn word_table(page: &mut String, title: &str, wanted: &BTreeSet<String>, words: &[(&str, &str)]) {
    let known: BTreeSet<_> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
    assert_eq!(&known, wanted, "{title}");
    write!(page, "\n## {title}\n\n| word | what it means |\n|---|---|\n")
        .expect("a string takes it");
    for (word, means) in words {
        writeln!(page, "| `{word}` | {} |", cell(means)).expect("a string takes it");
    }
}

#[test]
fn the_reference_of_entries_is_what_the_journal_has() {
    let contract = root().with_file_name("openapi.json");
    let contract = fs::read_to_string(contract).expect("the contract is there");
    let contract: Value = serde_json::from_str(&contract).expect("JSON");
    let mut page = "# The journal's entries\n\nWhat happened, entry by entry: \
        `sealift journal -o jsonl` prints them, `GET /v1/journal/stream` sends each once, in\n\
        order ([how](../api.md)). Made from the code; the contract is \
        [openapi.json](../openapi.json).\n\n"
        .to_owned();
    object(&mut page, &contract["components"]["schemas"]["JournalRow"]);
    page.truncate(page.trim_end().len() + 1);
    let mut page = page.replace("[FullProofDoc](#fullproofdoc)", "map");
    let states = change::State::WORDS.into_iter().map(ToOwned::to_owned).collect();
    word_table(&mut page, "Kinds", &words::<JournalEvent>("kind"), &meaning::KINDS);
    word_table(&mut page, "Kind `change`: states", &states, &meaning::CHANGES);
    word_table(&mut page, "Kind `rollout`: phases", &words::<Phase>("is"), &meaning::ROLLOUTS);
    let stages = words::<EnforcementStage>("is");
    word_table(&mut page, "Kind `enforcement`: stages", &stages, &meaning::ENFORCEMENTS);
    golden("events.md", &page);
}

#[test]
fn the_guide_for_the_night_has_every_hold() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/night.md");
    let guide = fs::read_to_string(guide).expect("the guide is there");
    let missing: Vec<_> =
        Hold::WORDS.iter().filter(|word| !guide.contains(&format!("\n| `{word}` | "))).collect();
    assert!(missing.is_empty(), "docs/night.md says nothing of {missing:?}");
}
