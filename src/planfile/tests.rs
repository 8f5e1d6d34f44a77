use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::domain::enforce::Mode;
use crate::yaml::SECOND_READER;

/// Every key of a plan, in many of the forms that YAML has.
const PLAN: &str = r#"version: 1
name: "proxies"
revision: 2
description: |
  several
  lines
owner: 'dba: oncall'
ssl_option: true
autostart: false
targets:
  list:
  - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01, tags: {tier: gold, n: 3}}
  - lane: b
    instance_id: 196c0fc43e804757b59946b80dc27f8bin07
    proxy_id: 3ec617ba62da4eafb921b69438beed3cpo01 # a comment
  files: [fleet.csv, fleet.jsonl]
  max: 10
windows:
  - {cron: "0 1 * * SAT", duration: 4h, time_zone: Asia/Singapore, cutoff: 20m}
freezes:
  - from: 2026-12-24T00:00
    to: 2027-01-02T00:00
    time_zone: UTC
    reason: year end
not_before: 2026-12-01T00:00:00+08:00
strategy:
  max_in_flight: 2
  waves:
    - {name: canary, size: 1, soak: 24h, promote: manual}
    - {name: early, size: 5%, soak: 1h 30m}
    - {name: rest, size: rest}
  max_failures: {wave: 50%, rollout: 2}
  progress_deadline: 20m
  on_failure: halt
retry: {max_attempts: 6, initial: 2s, max: 5m}
verify: {timeout: 3m}
enforce: {cron: "0 2 * * *", time_zone: Asia/Shanghai, mode: apply, max_drift: 60%}
"#;

const CSV: &str = "lane,instance_id,proxy_id,tag:tier\na,296c0fc43e804757b59946b80dc27f8bin07,4ec617ba62da4eafb921b69438beed3cpo01,gold\n";
const JSON: &str = r#"{"lane": "b", "instance_id": "396c0fc43e804757b59946b80dc27f8bin07", "proxy_id": "5ec617ba62da4eafb921b69438beed3cpo01"}"#;

fn load_files(plan: &[u8], csv: &[u8], json: &[u8]) -> Result<LoadedPlan, Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.yaml");
    for (name, bytes) in [("plan.yaml", plan), ("fleet.csv", csv), ("fleet.jsonl", json)] {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    load(&path)
}

/// What holds for everything that [`load`] takes.
fn assert_valid(loaded: &LoadedPlan) {
    let waves = &loaded.plan.strategy.waves;
    assert!(!loaded.targets.is_empty() && !waves.is_empty());
    let mut next = 0;
    for wave in waves {
        assert!(wave.first == next && wave.size > 0 && wave.max_failures > 0, "{waves:?}");
        next = wave.end();
    }
    assert_eq!(next as usize, loaded.targets.len());
    assert!(loaded.plan.strategy.max_failures > 0 && loaded.plan.strategy.max_in_flight > 0);
    let proxies: BTreeSet<_> = loaded.targets.iter().map(|target| target.proxy_id).collect();
    assert_eq!(proxies.len(), loaded.targets.len());
    let lanes = loaded.targets.iter().map(|target| (target.lane.clone(), None)).collect();
    assert_eq!(loaded.lanes.check(&lanes), Ok(()));
}

fn assert_reported(report: &Diagnostics) {
    assert!(!report.list.is_empty() && report.list.len() <= 100);
    assert!(
        report.list.iter().all(|one| one.code != SECOND_READER),
        "the readers disagree: {report}"
    );
    assert!(!report.render(true).is_empty());
}

fn check(result: Result<LoadedPlan, Diagnostics>) {
    match result {
        Ok(loaded) => assert_valid(&loaded),
        Err(report) => assert_reported(&report),
    }
}

#[test]
fn every_key_is_read() {
    let loaded = load_files(PLAN.as_bytes(), CSV.as_bytes(), JSON.as_bytes())
        .unwrap_or_else(|report| panic!("{report}"));
    assert_valid(&loaded);
    let plan = &loaded.plan;
    assert_eq!(
        (plan.name.as_str(), plan.revision, plan.description.as_str()),
        ("proxies", 2, "several\nlines\n")
    );
    assert_eq!(
        (plan.owner.as_str(), plan.ssl_option, loaded.autostart),
        ("dba: oncall", true, false)
    );
    assert_eq!(plan.source, Digest::of(PLAN.as_bytes()));
    assert_eq!(plan.calendar.windows().len(), 1);
    assert_eq!(plan.calendar.freezes()[0].reason(), "year end");
    assert_eq!(
        plan.calendar.not_before().map(|at| at.to_string()),
        Some("2026-11-30T16:00:00Z".into())
    );
    let waves: Vec<_> = plan
        .strategy
        .waves
        .iter()
        .map(|wave| (wave.name.as_str(), wave.size, wave.soak_ms, wave.max_failures))
        .collect();
    assert_eq!(
        waves,
        [("canary", 1, 86_400_000, 1), ("early", 1, 5_400_000, 1), ("rest", 2, 0, 1)]
    );
    assert_eq!(
        (
            plan.strategy.max_in_flight,
            plan.strategy.max_failures,
            plan.strategy.progress_deadline_ms
        ),
        (2, 2, 1_200_000)
    );
    assert_eq!(
        (plan.retry.max_attempts, plan.retry.initial_ms, plan.retry.max_ms, plan.verify_timeout_ms),
        (6, 2_000, 300_000, 180_000)
    );
    let enforce = plan.enforce.as_ref().expect("the plan has it");
    assert_eq!(
        (enforce.mode, enforce.max_drift, enforce.time_zone.name()),
        (Mode::Apply, 2, "Asia/Shanghai")
    );
    let lanes: Vec<_> = loaded.targets.iter().map(|target| target.lane.as_str()).collect();
    assert_eq!(lanes, ["a", "b", "a", "b"], "the list first, then the files in their order");
    assert_eq!(loaded.targets[0].tags.as_ref().map(|tags| tags.get("n")), Some(Some("3")));
}

#[test]
fn what_was_written_is_the_same_in_other_words() {
    let written = |text: &str| {
        let loaded = load_files(text.as_bytes(), CSV.as_bytes(), JSON.as_bytes())
            .unwrap_or_else(|report| panic!("{report}"));
        loaded.plan.written
    };
    let keys = |text: &str| -> Vec<String> {
        written(PLAN).edits(&written(text)).map(|edit| edit.key.to_owned()).collect()
    };
    let same = [
        PLAN.replace(
            "owner: 'dba: oncall'\nssl_option: true",
            "ssl_option: true # really\n\nowner: \"dba: oncall\"",
        ),
        PLAN.replace("autostart: false", "autostart: true"),
        PLAN.replace(
            "retry: {max_attempts: 6, initial: 2s, max: 5m}",
            "retry:\n  max: 5m\n  initial: 2s\n  max_attempts: 6",
        ),
        // Who is in the list is told by the digest of the targets.
        PLAN.replace("tier: gold, n: 3", "tier: gold"),
    ];
    for text in same {
        assert_ne!(text, PLAN);
        assert_eq!(keys(&text), [""; 0], "{text}");
    }
    let other = [
        (PLAN.replace("size: 5%", "size: 6%"), "strategy.waves[1].size"),
        (PLAN.replace("retry: {max_attempts: 6, initial: 2s", "retry: {max_attempts: 6, initial: 2000ms"), "retry.initial"),
        (PLAN.replace("revision: 2\n", ""), "revision"),
        (
            PLAN.replace("  max: 10\n", "  max: 10\n  exclude: [{instance_id: 296c0fc43e804757b59946b80dc27f8bin07, reason: old}]\n"),
            "targets.exclude",
        ),
        (PLAN.replace("fleet.csv, fleet.jsonl", "fleet.jsonl, fleet.csv"), "targets.files"),
    ];
    for (text, key) in other {
        assert_ne!(text, PLAN);
        assert_eq!(keys(&text), [key], "{text}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = "version: 1\nname: a\nssl_option: false\ntargets: {files: [fleet.csv]}\n";
    let loaded = load_files(text.as_bytes(), CSV.as_bytes(), b"")
        .unwrap_or_else(|report| panic!("{report}"));
    let plan = &loaded.plan;
    assert!(!plan.ssl_option && !loaded.autostart && plan.calendar.is_always_open());
    assert_eq!(
        (plan.revision, plan.description.as_str(), &plan.enforce, plan.survey),
        (1, "", &None, false)
    );
    assert_eq!(plan.retry, crate::domain::retry::Policy::default());
    assert_eq!(plan.verify_timeout_ms, 180_000);
    let strategy = &plan.strategy;
    assert_eq!(
        (strategy.max_in_flight, strategy.max_failures, strategy.progress_deadline_ms),
        (20, 20, 1_200_000)
    );
    assert_eq!(
        (strategy.waves.len(), strategy.waves[0].name.as_str(), strategy.waves[0].max_failures),
        (1, "all", 1)
    );
}

#[test]
fn a_budget_of_nothing_means_the_first_failure() {
    // A budget of the wave alone, of the rollout alone, of both: those of the waves of 1 and of 2.
    for (written, rollout, waves) in [
        ("0", 1, [1, 1]),
        ("10%", 1, [1, 1]),
        ("{rollout: 3}", 3, [1, 1]),
        ("{wave: 1}", 20, [1, 1]),
        ("{wave: 100%, rollout: 50%}", 1, [1, 2]),
        ("7", 7, [1, 1]),
    ] {
        let text = format!(
            "version: 1\nname: a\nssl_option: true\ntargets: {{files: [fleet.csv, fleet.jsonl]}}\nstrategy: {{max_failures: {written}, waves: [{{name: a, size: 1}}, {{name: b, size: rest}}]}}\n"
        );
        let csv = format!(
            "{CSV}a,496c0fc43e804757b59946b80dc27f8bin07,6ec617ba62da4eafb921b69438beed3cpo01,\n"
        );
        let loaded = load_files(text.as_bytes(), csv.as_bytes(), JSON.as_bytes())
            .unwrap_or_else(|report| panic!("{report}"));
        let strategy = &loaded.plan.strategy;
        let found: Vec<_> = strategy.waves.iter().map(|wave| wave.max_failures).collect();
        assert_eq!(
            (strategy.max_failures, found.as_slice()),
            (rollout, waves.as_slice()),
            "{written}"
        );
    }
}

#[test]
fn a_wave_s_budget_is_half_of_it_and_never_above_the_rollout_s() {
    let row = |n: u32| format!("a,{n:032}in07,{n:032}po01\n");
    let csv = format!("lane,instance_id,proxy_id\n{}", (0..40).map(row).collect::<String>());
    let load = |strategy: &str| {
        let text = format!(
            "version: 1\nname: a\nssl_option: true\ntargets: {{files: [fleet.csv]}}\nstrategy: {strategy}\n"
        );
        load_files(text.as_bytes(), csv.as_bytes(), b"").unwrap_or_else(|report| panic!("{report}"))
    };
    let waves = "waves: [{name: a, size: 1}, {name: b, size: 3}, {name: c, size: 10}, {name: d, size: rest}]";
    for (written, budgets) in [
        ("", [1, 1, 5, 13]),
        (", max_failures: 6", [1, 1, 5, 6]),
        (", max_failures: {wave: 30%}", [1, 1, 3, 7]),
    ] {
        let strategy = load(&format!("{{{waves}{written}}}")).plan.strategy;
        assert_eq!(
            strategy.waves.iter().map(|wave| wave.max_failures).collect::<Vec<_>>(),
            budgets,
            "{written}"
        );
    }
    let messages = |strategy: &str| {
        load(strategy).warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        messages(&format!("{{{waves}, max_failures: {{wave: 100%, rollout: 40}}}}")),
        Vec::<String>::new()
    );
    assert_eq!(
        messages("{max_failures: 41}"),
        [
            "the failure budget of 41 of the rollout can never be reached: the number of targets is 40"
        ]
    );
    assert_eq!(
        messages(&format!("{{{waves}, max_failures: {{wave: 2}}}}")),
        [
            "the failure budget of 2 of the wave `a` can never be reached: its size is 1, and it halts as it ends when half of it failed"
        ]
    );
    assert_eq!(
        messages("{waves: [{name: all, size: rest}], max_failures: {wave: 30}}"),
        [
            "the failure budget of 30 of the wave `all` can never be reached: the rollout halts at 20"
        ]
    );
}

#[test]
fn equal_tags_are_held_once() {
    let row = |n: u32, tier: &str| format!("a,{n:032}in07,{n:032}po01,{tier}\n");
    let rows: String = (0..100).map(|n| row(n, if n % 2 == 0 { "gold" } else { "" })).collect();
    let csv = format!("lane,instance_id,proxy_id,tag:tier\n{rows}");
    let text = "version: 1\nname: a\nssl_option: true\ntargets: {files: [fleet.csv]}\n";
    let loaded = load_files(text.as_bytes(), csv.as_bytes(), b"")
        .unwrap_or_else(|report| panic!("{report}"));
    let tagged: Vec<_> = loaded.targets.iter().filter_map(|target| target.tags.as_ref()).collect();
    assert_eq!(tagged.len(), 50);
    let at = |tags: &crate::domain::target::Tags| tags.get("tier").map(str::as_ptr);
    assert!(tagged.iter().all(|tags| at(tags) == at(tagged[0])));
}

/// What changed plans brought to light once: places where two readers of YAML part, or a place was
/// lost.
#[test]
fn dark_corners_of_yaml_are_reported_and_not_guessed() {
    let changed = |from: &str, to: &str, code: &str| {
        assert!(PLAN.contains(from), "{from}");
        let report =
            load_files(PLAN.replacen(from, to, 1).as_bytes(), CSV.as_bytes(), JSON.as_bytes())
                .expect_err(to);
        assert_reported(&report);
        assert!(report.list.iter().any(|one| one.code == code), "{to:?}: no {code} in {report}");
    };
    // Ends a line in YAML 1.1 and not in 1.2.
    changed("year end", "year\u{85}end", "character");
    changed("year end", "year\u{2028}end", "character");
    // Invisible, and yet part of a key.
    changed("owner:", "\u{feff}owner:", "character");
    // A key without a text, one reader of two takes it.
    changed("gold, n: 3", "gold,\n: 3", "key");
    // A text that begins with what may begin none.
    changed("gold, n: 3", "gold, ?` n: 3", "syntax");
    // A value left out at the very end of a list lies in the white space after it.
    changed("    - {name: rest, size: rest}\n", "    -\n", "empty");
    // A mistake beside a list that stands no deeper than its key.
    changed("year end", "[]", "type");
}

/// Pieces that matter to YAML, to the plan's keys and to its values.
fn piece() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "\n",
        "  ",
        "\t",
        ":",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!t ",
        "#",
        "---\n",
        "...\n",
        "? ",
        "~",
        "null",
        "true",
        "on",
        "0",
        "-1",
        "1_0",
        "99999999999999999999",
        "5%",
        "rest",
        "4h",
        "<<: ",
        "%YAML 1.1\n",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "é",
        "version: 1\n",
        "targets:",
        "list:",
        "files:",
        "size:",
        "\r\n",
        "\u{7f}",
        "\u{0}",
    ];
    prop_oneof![4 => prop::sample::select(PIECES).prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// A text with pieces put in and stretches taken out.
fn mutated(text: &'static str) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, piece()), 1..6);
    edits.prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, gone, new) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + gone).min(chars.len());
            chars.splice(at..end, new.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever a plan is changed to: no panic, and either a valid plan or a mistake that both
    /// readers see.
    #[test]
    fn a_changed_plan_is_taken_whole_or_reported(plan in mutated(PLAN)) {
        check(load_files(plan.as_bytes(), CSV.as_bytes(), JSON.as_bytes()));
    }

    #[test]
    fn changed_target_files_are_taken_whole_or_reported(csv in mutated(CSV), json in mutated(JSON)) {
        check(load_files(PLAN.as_bytes(), csv.as_bytes(), json.as_bytes()));
    }

    #[test]
    fn any_bytes_are_reported(plan in prop::collection::vec(any::<u8>(), 0..300), csv in prop::collection::vec(any::<u8>(), 0..300)) {
        check(load_files(&plan, &csv, &csv));
        check(load_files(PLAN.as_bytes(), &csv, &csv));
    }

    /// However sizes are written, the waves cover every target once, and a rollout never has a wave
    /// without targets; shares of more than all targets are a mistake.
    #[test]
    fn waves_cover_every_target(sizes in prop::collection::vec(prop_oneof![(1u32..40).prop_map(|n| n.to_string()), (1u32..=100).prop_map(|n| format!("{n}%"))], 0..6), fleet in 1u32..60) {
        let rows: String = (0..fleet).map(|n| format!("a,{n:032}in07,{n:032}po01\n")).collect();
        let waves: String = sizes.iter().enumerate().map(|(n, size)| format!("    - {{name: w{n}, size: {size}}}\n")).collect();
        let text = format!("version: 1\nname: a\nssl_option: true\ntargets: {{files: [fleet.csv]}}\nstrategy:\n  waves:\n{waves}    - {{name: rest, size: rest}}\n");
        let shares: u32 = sizes.iter().filter_map(|size| size.strip_suffix('%')?.parse::<u32>().ok()).sum();
        match load_files(text.as_bytes(), format!("lane,instance_id,proxy_id\n{rows}").as_bytes(), b"") {
            Ok(loaded) => {
                prop_assert!(shares <= 100);
                assert_valid(&loaded);
            }
            Err(report) => prop_assert!(shares > 100 && report.list.iter().all(|one| one.code == "waves"), "{report}"),
        }
    }
}
