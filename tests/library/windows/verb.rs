//! What `sealift windows` prints, from plans on disk through the binary that ships, against golden
//! files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const TARGET: &str = "
targets:
  list:
    - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}
";

/// What is printed, its exit code and what is said beside it where that is not nothing.
fn shown(calendar: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.yaml");
    fs::write(
        &plan,
        format!("version: 1\nname: nights\nssl_option: true\n{}{calendar}", TARGET.trim_start()),
    )
    .expect("written");
    run(&plan, flags)
}

fn run(plan: &Path, flags: &[&str]) -> String {
    let arguments =
        [OsStr::new("windows"), plan.as_os_str()].into_iter().chain(flags.iter().map(OsStr::new));
    let (code, out, err) = crate::sealift(arguments);
    match code {
        Some(0) if err.is_empty() => out,
        code => format!("exit {code:?}\n{out}{err}"),
    }
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../../golden/cli", prepend_module_to_snapshot => false, omit_expression => true,
        // How far away it is depends on when the test runs.
        filters => vec![(r" \(in [^)]*\)", " (in …)")]}, {
        insta::assert_snapshot!(name, text);
    });
}

const BERLIN: &str = r#"windows:
  - {cron: "30 2 * * *", duration: 1h 30m, time_zone: Europe/Berlin, cutoff: 20m}
"#;

#[test]
fn the_night_on_which_clocks_go_forward() {
    let text = shown(BERLIN, &["--from", "2030-03-30", "--count", "3"]);
    assert!(text.contains("clocks skip 02:00 to 03:00"), "{text}");
    golden("windows-forward", &text);
    golden(
        "windows-forward-json",
        &shown(BERLIN, &["--from", "2030-03-31", "-n", "1", "-o", "json"]),
    );
}

#[test]
fn the_night_on_which_clocks_go_back() {
    let text = shown(BERLIN, &["--from", "2030-10-26", "--count", "3"]);
    assert!(text.contains("02:30 comes twice that night: opens once, at the first"), "{text}");
    golden("windows-back", &text);
    golden("windows-back-csv", &shown(BERLIN, &["--from", "2030-10-27", "-n", "1", "-o", "csv"]));
}

#[test]
fn past_midnight_with_freezes_over_several_zones() {
    let calendar = r#"windows:
  - {cron: "0 22 * * FRI", duration: 4h, time_zone: Europe/Berlin, cutoff: 20m}
  - {cron: "0 1 * * SUN", duration: 3h, time_zone: Asia/Singapore}
freezes:
  - {from: 2030-12-07T00:30, to: 2030-12-09T00:00, time_zone: Europe/Berlin, reason: audit}
  - {from: 2030-12-20T00:00, to: 2031-01-02T00:00, time_zone: Europe/Berlin, reason: year end}
not_before: 2030-11-30T00:00:00+01:00
"#;
    golden("windows-freezes", &shown(calendar, &["--from", "2030-11-29", "--until", "2031-01-06"]));
    golden(
        "windows-freezes-jsonl",
        &shown(calendar, &["--from", "2030-12-06", "-n", "2", "-o", "jsonl"]),
    );
}

#[test]
fn nothing_to_list() {
    golden("windows-always", &shown("", &["--from", "2030-01-01T00:00:00Z"]));
    golden(
        "windows-none",
        &shown(BERLIN, &["--from", "2030-06-01T05:00", "--until", "2030-06-01T06:00"]),
    );
}

#[test]
fn times_that_are_none() {
    golden(
        "windows-refused",
        &[
            shown(BERLIN, &["--from", "tomorrow"]),
            shown(BERLIN, &["--from", "2030-06-01", "--until", "2030-06-01"]),
            shown(BERLIN, &["--count", "0"]),
        ]
        .join("\n"),
    );
}

#[test]
fn a_plan_with_a_mistake_is_drawn_and_not_guessed_at() {
    let text = shown(
        "windows:\n  - {cron: \"5/15 * * * *\", duration: 4h, time_zone: Europe/Berlin}\n",
        &[],
    );
    assert!(text.starts_with("exit Some(1)\nerror"), "{text}");
    assert!(text.contains("5-59/15 * * * *"), "{text}");
}

/// The plan that ships says what its comments say.
#[test]
fn the_shipped_plan() {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/maintenance-window.yaml");
    golden("windows-shipped", &run(&plan, &["--from", "2027-03-20", "--count", "4"]));
}
