//! What the verbs print, from documents made by hand, against golden files in `tests/golden/cli`.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::OutputFormat;
use super::members::MemberRow;
use super::output::{ListingPrinter, ListingRow, pretty};
use super::overview::beside;
use super::status::{tick, verdict, view};
use super::wire::{
    AnswerDoc, Budget, ChangeRow, CheckRow, Counters, DaemonDoc, EnforcePreview, EnforcementDoc,
    EnforcementRunDoc, GrowthDoc, HaltDoc, HeldTarget, HoldView, JournalRow, MarkDoc, MissedDoc,
    OpeningRow, OpposingRow, PlanDoc, Preview, PreviewTarget, PreviewWave, ProofDoc, RevertDoc,
    RolloutDoc, RolloutRow, SavedJob, SeenRow, StoreDoc, TallyDoc, VerbAnswer, WaveDoc, WireDoc,
    WirePreview,
};
use super::wire::{ForecastDoc, ForecastWaveDoc};
use super::{enforce, operate, plan, preflight, revert};
use crate::domain::tally::Tally;
use crate::words::text::Style;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a valid instant")
}

fn style() -> Style {
    Style { now: at("2026-12-05T17:30:00Z"), zone: TimeZone::UTC }
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "../../tests/golden/cli", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

fn wave(name: &str, state: &str, tally: Tally, soak_seconds: u64, promote: &str) -> WaveDoc {
    WaveDoc {
        name: name.into(),
        size: tally.total(),
        state: state.into(),
        tally: tally.into(),
        budget: Budget::of(3, &tally),
        soak_seconds,
        promote: promote.into(),
    }
}

fn rollout() -> RolloutDoc {
    let canary = Tally { succeeded: 5, ..Tally::default() };
    let rest = Tally {
        queued: 370,
        active: 20,
        succeeded: 102,
        failed: 2,
        in_doubt: 1,
        cancelled: 0,
        reverted: 0,
        skipped: 0,
    };
    let total: Tally = [canary, rest].into_iter().sum();
    RolloutDoc {
        tag: String::new(),
        id: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        name: "proxy-ssl-2026q4".into(),
        revision: 2,
        description: "SSL on for every production proxy".into(),
        change_ref: "CHG-10421".into(),
        owner: "dba-oncall".into(),
        ssl_option: true,
        phase: "advancing".into(),
        is_final: false,
        halt: None,
        paused: None,
        paused_until: None,
        approval: None,
        revert: None,
        aborted: None,
        wave: Some(1),
        waves: vec![
            wave("canary", "done", canary, 86_400, "manual"),
            wave("rest", "current", rest, 0, "auto"),
        ],
        tally: total.into(),
        counters: Counters {
            accepted: Some(128),
            completed: Some(110),
            effective: 107,
            verified: None,
        },
        wire: None,
        max_in_flight: 20,
        max_in_flight_per: Default::default(),
        budget: Budget::of(20, &total),
        holds: Vec::new(),
        rate_per_minute: Some(31.4),
        eta: Some(at("2026-12-05T17:42:24Z")),
        forecast: None,
        enforcement: None,
        next_opening: None,
        open_until: Some(at("2026-12-05T20:40:00Z")),
        missed_windows: None,
        time_zone: Some("Asia/Singapore".into()),
        by: "ops".into(),
        submitted_at: at("2026-12-04T09:00:00Z"),
        moved_at: at("2026-12-05T17:29:58Z"),
        as_of: at("2026-12-05T17:30:00Z"),
    }
}

fn hold(word: &str, text: &str, until: Option<&str>) -> HoldView {
    let (by, why, verb, command, help) = (None, String::new(), None, None, None);
    HoldView {
        word: word.into(),
        text: text.into(),
        by,
        why,
        verb,
        command,
        help,
        since: None,
        until: until.map(at),
    }
}

fn shown(rollout: &RolloutDoc) -> String {
    let plain = anstream::adapter::strip_str(&view(rollout, &style(), 120)).to_string();
    format!("{plain}\n{}\n{}\n", tick(rollout, &style()), verdict(rollout))
}

#[test]
fn a_rollout_that_works() {
    golden("advancing", &shown(&rollout()));
    golden("advancing-json", &pretty(&rollout()).expect("JSON"));
}

#[test]
fn one_end_is_reported() {
    let (guess, end) = (Some(at("2026-12-05T17:42:24Z")), Some(at("2026-12-06T18:10:00Z")));
    let wave = |name: &str| ForecastWaveDoc {
        name: name.into(),
        size: 8,
        begins: None,
        p50: end,
        p90: end,
        begins_in: None,
        p50_in: None,
        p90_in: None,
        lands: None,
        after: None,
    };
    let forecast = |waves| ForecastDoc {
        runs: 20,
        as_of: at("2026-12-05T17:30:00Z"),
        p50: end,
        p90: end,
        waves: vec![wave("rest"); waves],
        basis: Vec::new(),
        warnings: Vec::new(),
    };
    assert_eq!((rollout().eta, rollout().with_forecast(None).eta), (guess, guess));
    assert_eq!(rollout().with_forecast(Some(forecast(1))).eta, end);
    let endless = rollout().with_forecast(Some(ForecastDoc { p50: None, ..forecast(1) }));
    assert_eq!(endless.eta, None, "a guess does not contradict that no end is in sight");
    let words = |waves| {
        shown(&rollout().with_forecast(Some(forecast(waves))))
            .lines()
            .filter(|line| line.contains("failure budget"))
            .collect::<String>()
    };
    let hangs = ForecastDoc {
        waves: vec![
            wave("canary"),
            ForecastWaveDoc { after: Some("the promotion of wave canary".into()), ..wave("rest") },
        ],
        ..forecast(0)
    };
    let hanging = rollout().with_forecast(Some(hangs));
    assert_eq!(hanging.eta, None, "nobody knows when a person promotes");
    golden(
        "after-a-promotion",
        &format!(
            "{}\n{}",
            shown(&hanging),
            super::forecast::text(&hanging.forecast.expect("it has one"), &style())
        ),
    );
    assert!(!words(1).contains("ends about"), "{}", words(1));
    assert!(
        words(9).contains("ends about 2026-12-07 02:10"),
        "the last wave is not among the lines: {}",
        words(9)
    );
}

#[test]
fn a_rollout_that_is_proven_on_the_wire() {
    let wire = WireDoc {
        min_tls: "1.2".into(),
        trusted: true,
        versions: Some([("1.2".to_owned(), 7), ("1.3".to_owned(), 100)].into()),
        first_expiry: Some(at("2027-01-14T12:00:00Z")),
    };
    let counters = Counters { verified: Some(107), ..rollout().counters };
    let proven = RolloutDoc { wire: Some(wire), counters, ..rollout() };
    golden("on-the-wire", &shown(&proven));
    golden(
        "on-the-wire-completed",
        &verdict(&RolloutDoc {
            phase: "completed".into(),
            tally: Tally { succeeded: 107, ..Tally::default() }.into(),
            ..proven
        }),
    );
    let proof = ProofDoc {
        at: at("2026-12-05T17:29:58Z"),
        tls: Some("1.3".into()),
        cipher: Some("TLS_AES_256_GCM_SHA384".into()),
        expires: Some(at("2027-01-14T12:00:00Z")),
        sha256: Some("ab".repeat(32)),
        plaintext: "not_excluded".into(),
    };
    let off = ProofDoc {
        tls: None,
        cipher: None,
        expires: None,
        sha256: None,
        plaintext: "only".into(),
        ..proof.clone()
    };
    let row = |ordinal, how: &str, proof: ProofDoc| ChangeRow {
        how: Some(how.into()),
        endpoint: Some("10.0.0.7:3306".into()),
        proof: Some(proof),
        ..change(ordinal, "succeeded")
    };
    golden(
        "changes-proven",
        &listed(&[
            row(0, "switched", proof.clone()),
            row(1, "already_right", proof),
            row(2, "switched", off),
        ]),
    );
}

#[test]
fn a_rollout_that_is_held() {
    let mark = MarkDoc {
        by: "ada".into(),
        reason: "application team sees errors".into(),
        at: at("2026-12-05T17:20:00Z"),
    };
    let held = RolloutDoc {
        paused: Some(mark.clone()),
        holds: vec![
            hold(
                "stop_file",
                "everything is stopped by the file /var/lib/sealift/STOP: fire drill; remove it to go on",
                None,
            ),
            HoldView {
                since: Some(mark.at),
                ..hold("paused", "paused by ada: application team sees errors", None)
            },
            HoldView {
                since: Some(at("2026-12-04T21:00:00Z")),
                ..hold("window", "no window is open", Some("2026-12-11T17:00:00Z"))
            },
        ],
        rate_per_minute: None,
        eta: None,
        open_until: None,
        next_opening: Some(at("2026-12-11T17:00:00Z")),
        missed_windows: Some(MissedDoc {
            count: 2,
            last_open: at("2026-12-04T17:00:00Z"),
            last_until: at("2026-12-04T20:40:00Z"),
        }),
        ..rollout()
    };
    golden("held", &shown(&held));
}

#[test]
fn a_rollout_that_halted() {
    let text = "halted: 20 failures reach the budget of 20";
    let halted = RolloutDoc {
        phase: "halted".into(),
        halt: Some(HaltDoc { guard: "failures".into(), text: text.into() }),
        holds: vec![hold(
            "halted",
            &format!("{text}; `sealift retry proxy-ssl-2026q4` goes on"),
            None,
        )],
        eta: None,
        ..rollout()
    };
    golden("halted", &shown(&halted));
}

#[test]
fn rollouts_that_are_over() {
    let well = Tally { succeeded: 500, ..Tally::default() };
    let over = RolloutDoc {
        phase: "completed".into(),
        is_final: true,
        wave: None,
        waves: vec![wave("all", "done", well, 0, "auto")],
        tally: well.into(),
        budget: Budget::of(20, &well),
        rate_per_minute: None,
        eta: None,
        open_until: None,
        ..rollout()
    };
    golden("completed", &shown(&over));
    let hurt = Tally { succeeded: 490, failed: 7, in_doubt: 3, ..Tally::default() };
    golden("completed-with-failures", &shown(&RolloutDoc { tally: hurt.into(), ..over.clone() }));
    let mark =
        MarkDoc { by: "ada".into(), reason: "wrong fleet".into(), at: at("2026-12-05T17:20:00Z") };
    let cut = Tally { succeeded: 107, active: 3, cancelled: 390, ..Tally::default() };
    let waves = vec![wave("all", "done", cut, 0, "auto")];
    golden(
        "aborted",
        &shown(&RolloutDoc {
            phase: "aborted".into(),
            aborted: Some(mark),
            waves,
            tally: cut.into(),
            ..over.clone()
        }),
    );
    let back = Tally {
        succeeded: 12,
        failed: 2,
        cancelled: 370,
        reverted: 113,
        skipped: 3,
        ..Tally::default()
    };
    let waves = vec![wave("all", "done", back, 0, "auto")];
    golden(
        "reverted",
        &shown(&RolloutDoc { phase: "reverted".into(), waves, tally: back.into(), ..over }),
    );
}

#[test]
fn a_rollout_that_puts_back() {
    let canary = Tally { succeeded: 5, ..Tally::default() };
    let rest = Tally {
        queued: 40,
        active: 20,
        failed: 2,
        in_doubt: 1,
        cancelled: 370,
        reverted: 58,
        skipped: 4,
        ..Tally::default()
    };
    let total: Tally = [canary, rest].into_iter().sum();
    let revert = RevertDoc {
        stage: "releasing".into(),
        cause: "asked for by ada: clients fail".into(),
        asked: None,
    };
    let waves = vec![
        wave("canary", "waiting", canary, 86_400, "manual"),
        wave("rest", "current", rest, 0, "auto"),
    ];
    golden(
        "reverting",
        &shown(&RolloutDoc {
            phase: "reverting".into(),
            revert: Some(revert),
            waves,
            tally: total.into(),
            eta: None,
            ..rollout()
        }),
    );
}

#[test]
fn nothing_that_counts_is_cut_at_80_columns() {
    let held = "paused by ada: the application team sees errors on the orders database and asks for an hour; `sealift resume proxy-ssl-2026q4`";
    let wide = |name: &str, state: &str, tally| WaveDoc {
        budget: Budget::of(12_000, &tally),
        ..wave(name, state, tally, 86_400, "manual")
    };
    let early = Tally { succeeded: 4_990, failed: 7, in_doubt: 3, ..Tally::default() };
    let rest = Tally {
        queued: 81_017,
        active: 400,
        succeeded: 13_523,
        failed: 42,
        in_doubt: 11,
        cancelled: 2,
        skipped: 5,
        ..Tally::default()
    };
    let total: Tally = [early, rest].into_iter().sum();
    let doc = RolloutDoc {
        waves: vec![
            wide("early-regions-of-the-south", "done", early),
            wide("rest", "current", rest),
        ],
        tally: total.into(),
        max_in_flight: 400,
        holds: vec![HoldView {
            since: Some(at("2026-12-05T17:20:00Z")),
            ..hold("paused", held, Some("2026-12-05T18:20:00Z"))
        }],
        eta: None,
        ..rollout()
    };
    for width in [80, 60, 40] {
        let text = anstream::adapter::strip_str(&view(&doc, &style(), width)).to_string();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= width, "{widest} columns of {width}:\n{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for what in [
            held,
            "failed 49",
            "in doubt 14",
            "skipped 5",
            "budget left 11947 of 12000",
            "until 2026-12-06 02:20 +08",
        ] {
            assert!(words.contains(what), "{what} is missing at {width} columns:\n{text}");
        }
        if width == 80 {
            golden("narrow", &text);
        }
    }
}

fn listed<R: ListingRow>(rows: &[R]) -> String {
    let mut text = String::new();
    for format in [OutputFormat::Table, OutputFormat::Csv, OutputFormat::Jsonl, OutputFormat::Json]
    {
        let mut out = Vec::new();
        let mut listing = ListingPrinter::new(&mut out, format, style());
        // Two pages, as they come from the daemon.
        let (first, second) = rows.split_at(rows.len() / 2);
        listing.page(first).expect("written");
        listing.page::<R>(&[]).expect("written");
        listing.page(second).expect("written");
        listing.end::<R>().expect("written");
        text.push_str(&format!("--- {format:?}\n{}", String::from_utf8(out).expect("text")));
    }
    text
}

#[test]
fn the_list_of_rollouts() {
    let row = |name: &str, phase: &str, paused: bool| RolloutRow {
        tag: String::new(),
        id: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        name: name.into(),
        revision: 1,
        ssl_option: true,
        phase: phase.into(),
        paused,
        reverting: phase.starts_with("revert"),
        wave: (phase == "advancing").then(|| "rest".into()),
        tally: TallyDoc {
            total: 500,
            queued: 370,
            active: 20,
            succeeded: 107,
            failed: 2,
            in_doubt: 1,
            cancelled: 0,
            reverted: 0,
            skipped: 0,
        },
        change_ref: "=HYPERLINK(\"evil\")".into(),
        by: "ops".into(),
        submitted_at: at("2026-12-04T09:00:00Z"),
        moved_at: at("2026-12-05T17:29:58Z"),
    };
    golden(
        "list",
        &listed(&[row("proxy-ssl-2026q4", "advancing", true), row("canary", "completed", false)]),
    );
}

fn change(ordinal: u32, state: &str) -> ChangeRow {
    ChangeRow {
        ordinal,
        lane: "prod-sg".into(),
        instance_id: "096c0fc43e804757b59946b80dc27f8bin07".into(),
        instance_name: None,
        proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".into(),
        wave: "rest".into(),
        tags: Default::default(),
        state: state.into(),
        how: None,
        attempts: 1,
        before: Some(false),
        undo: false,
        job_id: Some("252bdc32-3ac5-4e21-b54c-b9d8d8e6b0a1".into()),
        jobs: vec!["252bdc32-3ac5-4e21-b54c-b9d8d8e6b0a1".into()],
        presumed: Vec::new(),
        reason_word: None,
        reason: None,
        first_answer: None,
        last_answer: None,
        endpoint: None,
        proof: None,
        moved_at: Some(at("2026-12-05T17:28:00Z")),
        hold: None,
    }
}

#[test]
fn the_changes() {
    let refused = AnswerDoc {
        to: "switch".into(),
        attempt: 1,
        status: Some(403),
        code: Some("DBS.200010".into()),
        request_id: Some("9d27ac10b3f84e11".into()),
        message: "answer 403, DBS.200010: no permission".into(),
    };
    let rows = [
        ChangeRow {
            how: Some("already_right".into()),
            attempts: 0,
            job_id: None,
            jobs: Vec::new(),
            ..change(0, "succeeded")
        },
        ChangeRow {
            reason_word: Some("refused".into()),
            // What a hostile or broken cloud may send.
            reason: Some("DBS.200024 \u{1b}[31mnot allowed\u{202e}".into()),
            ..change(7, "failed")
        },
        change(8, "following"),
        ChangeRow {
            reason_word: Some("attempts_spent".into()),
            reason: Some("3 attempts, the last: the job failed: disk full".into()),
            attempts: 3,
            instance_name: Some("orders-prod".into()),
            first_answer: Some(AnswerDoc {
                to: "switch".into(),
                attempt: 1,
                status: Some(500),
                code: Some("DBS.200208".into()),
                request_id: Some("4b1f9c5d0a2e4f60".into()),
                message: "answer 500, DBS.200208: internal error".into(),
            }),
            last_answer: Some(AnswerDoc {
                to: "job".into(),
                attempt: 3,
                status: None,
                code: None,
                request_id: None,
                message: "disk full".into(),
            }),
            ..change(9, "failed")
        },
        ChangeRow {
            reason_word: Some("refused".into()),
            reason: Some("answer 403, DBS.200010: no permission".into()),
            first_answer: Some(refused.clone()),
            last_answer: Some(refused),
            ..change(10, "failed")
        },
        ChangeRow {
            job_id: None,
            jobs: Vec::new(),
            moved_at: None,
            before: None,
            attempts: 0,
            hold: Some(hold("window", "no window is open", Some("2026-12-11T17:00:00Z"))),
            ..change(1234, "queued")
        },
    ];
    golden("changes", &listed(&rows));
}

#[test]
fn the_jobs() {
    let row = |number: u16, latest: bool| SavedJob {
        job_id: format!("252bdc32-3ac5-4e21-b54c-b9d8d8e6b0a{number}"),
        ordinal: 7,
        lane: "prod-sg".into(),
        instance_id: "096c0fc43e804757b59946b80dc27f8bin07".into(),
        proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".into(),
        wave: "rest".into(),
        number,
        latest,
        presumed: false,
        state: "succeeded".into(),
        moved_at: Some(at("2026-12-05T17:28:00Z")),
    };
    let presumed = |row: SavedJob| SavedJob { presumed: true, ..row };
    golden(
        "jobs",
        &listed(&[row(1, false), row(2, true), presumed(row(3, false)), presumed(row(4, true))]),
    );
}

#[test]
fn the_journal() {
    let row = JournalRow {
        seq: 41,
        at: at("2026-12-05T17:28:00Z"),
        rollout: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        kind: "change".into(),
        ordinal: Some(7),
        instance_id: Some("096c0fc43e804757b59946b80dc27f8bin07".into()),
        proxy_id: Some("2ec617ba62da4eafb921b69438beed3cpo01".into()),
        from: Some("submitting".into()),
        to: "recovering".into(),
        why: "500 Internal Server Error".into(),
        call: None,
        request_id: Some("req-77".into()),
        status: Some(500),
        code: Some("DBS.200001".into()),
        proof: None,
        job_id: None,
        by: None,
        via: None,
    };
    let verb = JournalRow {
        seq: 42,
        kind: "rollout".into(),
        ordinal: None,
        instance_id: None,
        proxy_id: None,
        from: Some("advancing".into()),
        to: "advancing".into(),
        why: "paused by ada: lunch".into(),
        request_id: None,
        status: None,
        code: None,
        by: Some("ada".into()),
        ..row.clone()
    };
    golden("journal", &listed(&[row, verb]));
}

#[test]
fn an_empty_listing_is_still_a_document() {
    golden("empty", &listed::<SavedJob>(&[]));
}

#[test]
fn what_a_verb_did() {
    let answer = |verb: &str, phase: &str, wave, waves, in_flight| VerbAnswer {
        seq: None,
        id: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        name: "night".into(),
        verb: verb.into(),
        by: "ada".into(),
        phase: phase.into(),
        wave,
        waves,
        in_flight,
    };
    let words: Vec<String> = [
        answer("pause", "advancing", Some(2), 3, 30),
        answer("pause", "soaking", Some(1), 3, 0),
        answer("pause", "advancing", Some(1), 1, 1),
        answer("resume", "advancing", Some(2), 3, 30),
        answer("promote", "advancing", Some(2), 3, 0),
        answer("approve", "scheduled", None, 3, 0),
        answer("retry", "advancing", Some(2), 3, 4),
        answer("revert", "reverting", Some(2), 3, 30),
        answer("abort", "aborted", None, 3, 30),
    ]
    .iter()
    .map(|answer| operate::done(answer) + "\n")
    .collect();
    golden("verbs", &words.concat());
}

/// A plan that says all it can, and what a revert makes of it.
#[test]
fn a_revert_carries_the_plan_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let id = |n: u32, end: &str| format!("{n:032x}{end}");
    let targets: String = (0..6)
        .map(|n| {
            format!(
                "    - {{lane: prod-sg, instance_id: {}, proxy_id: {}, tags: {{tier: gold}}}}\n",
                id(n, "in07"),
                id(n, "po01")
            )
        })
        .collect();
    let text = format!(
        "version: 1\nname: proxy-ssl-2026q4\nrevision: 2\ndescription: SSL on\nchange_ref: CHG-10421\nowner: dba-oncall\nssl_option: true\n\
         targets:\n  list:\n{targets}\
         windows:\n  - {{cron: '0 1 * * SAT', duration: 4h, time_zone: Asia/Singapore, cutoff: 20m}}\n  - {{cron: '@daily', duration: 30m, time_zone: UTC}}\n\
         freezes: [{{from: 2026-12-24T00:00, to: 2027-01-02T00:00, time_zone: Asia/Singapore, reason: 'year: end'}}]\n\
         not_before: 2026-12-01T00:00:00+08:00\n\
         strategy:\n  max_in_flight: 4\n  max_in_flight_per: {{lane: 3, 'tag:tier': 2}}\n  max_failures: {{wave: 50%, rollout: 3}}\n\
         \x20 progress_deadline: 25m\n  on_failure: revert\n  revert_in_window: true\n\
         \x20 waves: [{{name: canary, size: 2, soak: 24h, promote: manual}}, {{name: '2', size: 50%}}, {{name: rest, size: rest}}]\n\
         retry: {{max_attempts: 3, initial: 5s}}\nverify: {{timeout: 5m, wire: {{min_tls: '1.3', plaintext: report}}}}\n\
         approval: {{required: 1}}\nenforce: {{cron: '0 2 * * *', time_zone: Asia/Shanghai}}\n"
    );
    let path = folder.path().join("plan.yaml");
    std::fs::write(&path, &text).expect("a file is written");
    let loaded = crate::planfile::load(&path).expect("a plan");
    let written = loaded.plan.written.keys().map(|(key, text)| (key.to_owned(), text.to_owned()));
    let mut plan = PlanDoc { written: written.collect() };
    plan.written.insert("verify.wire.ca_file".into(), "ca.pem".into());
    let wire = WireDoc { min_tls: "1.3".into(), trusted: true, versions: None, first_expiry: None };
    let doc =
        RolloutDoc { phase: "completed".into(), is_final: true, wire: Some(wire), ..rollout() };
    let rows: Vec<ChangeRow> = [(5, "rest"), (2, "2"), (3, "2"), (0, "canary")]
        .map(|(n, wave)| ChangeRow {
            instance_id: id(n, "in07"),
            proxy_id: id(n, "po01"),
            wave: wave.into(),
            tags: [("tier".to_owned(), "gold".to_owned())].into(),
            ..change(n, "succeeded")
        })
        .into();
    let off = revert::file::file(&doc, &plan, &rows, &style());
    let on = revert::file::file(
        &RolloutDoc { ssl_option: false, ..doc.clone() },
        &plan,
        &rows,
        &style(),
    );
    golden("revert-plan", &off.text);
    let tls = |text: &str| {
        text.lines()
            .filter(|line| line.contains("tls") || line.contains("ca_file"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    golden("revert-plan-on", &tls(&on.text));
    assert_eq!(off.carried, ["windows", "freezes", "retry", "approval", "strategy", "verify"]);
    // What is left out stands in the file as it is told.
    assert!(
        off.left_out.iter().all(|line| off.text.contains(&format!("# Left out: {line}\n"))),
        "{:?}",
        off.left_out
    );

    std::fs::write(&path, &off.text).expect("a file is written");
    let back =
        crate::planfile::load(&path).map_err(|mistakes| mistakes.render(false)).expect("a plan");
    let (was, is) = (&loaded.plan, &back.plan);
    assert_eq!(
        (is.calendar.windows(), is.calendar.freezes()),
        (was.calendar.windows(), was.calendar.freezes())
    );
    assert_eq!(
        (&is.retry, is.verify_timeout_ms, is.approval.required),
        (&was.retry, was.verify_timeout_ms, 1)
    );
    assert_eq!(
        (is.strategy.max_in_flight, &is.strategy.max_in_flight_per),
        (4, &was.strategy.max_in_flight_per)
    );
    assert_eq!(
        (is.strategy.max_failures, is.strategy.progress_deadline_ms),
        (3, was.strategy.progress_deadline_ms)
    );
    assert!(is.wire.is_some() && is.strategy.revert.in_window && !is.ssl_option);
    let waves: Vec<_> =
        is.strategy.waves.iter().map(|wave| (wave.name.as_str(), wave.size)).collect();
    assert_eq!(waves, [("rest", 1), ("2", 2), ("canary", 1)]);
    assert!(
        back.targets
            .iter()
            .all(|target| target.tags.as_ref().and_then(|tags| tags.get("tier")) == Some("gold"))
    );

    let old = revert::file::file(
        &RolloutDoc { wire: None, ..doc },
        &PlanDoc { written: Default::default() },
        &rows,
        &style(),
    );
    assert_eq!((old.carried.len(), old.left_out.len()), (0, 1), "{:?}", old.left_out);
    std::fs::write(&path, &old.text).expect("a file is written");
    assert!(crate::planfile::load(&path).is_ok(), "{}", old.text);
}

#[test]
fn how_fast_the_journal_grows() {
    let growth = |bytes_per_day, days_left| GrowthDoc {
        since: at("2026-11-28T17:00:00Z"),
        bytes_per_day,
        free_bytes: 58 << 30,
        days_left,
    };
    let daemon = |growth| DaemonDoc {
        version: "0.2.0".into(),
        pid: 7,
        started_at: at("2026-11-26T01:12:00Z"),
        passes: 1,
        calls: 0,
        stop: None,
        stop_file: String::new(),
        stopped: None,
        draining: false,
        store: StoreDoc {
            kind: "sled".into(),
            seq: 18_992,
            head: "ab".repeat(32),
            refusing: None,
            journal_bytes: 41 << 20,
            queue_bytes: 12 << 20,
            growth,
            rebuilt: None,
        },
        lanes: Vec::new(),
        plans: Vec::new(),
        notify: Vec::new(),
    };
    let mut text = String::new();
    let filling = [
        growth(3 << 30, 19),
        growth(58 << 30, 1),
        growth(41 << 20, 1_448),
        growth(7 << 10, 36_500),
    ];
    for growth in &filling {
        text.push_str(&format!(
            "{}\n",
            beside(&daemon(Some(growth.clone())), None, &style()).join("\n")
        ));
    }
    assert_eq!(
        beside(&daemon(None), None, &style()),
        Vec::<String>::new(),
        "a young journal tells nothing"
    );
    assert_eq!(
        beside(&daemon(Some(growth(1, 1))), Some("night"), &style()),
        Vec::<String>::new(),
        "it holds no rollout"
    );
    let row = |verdict: &str, word: &str, text: String| CheckRow {
        verdict: verdict.into(),
        what: "store".into(),
        name: String::new(),
        word: word.into(),
        text,
    };
    let rows = [
        row(CheckRow::NOTE, "filling", filling[0].message()),
        row(CheckRow::GO, "ok", filling[2].message()),
    ];
    text.push_str(&format!("---\n{}", preflight::table(&rows, true, 200)));
    golden("growth", &text);
}

#[test]
fn the_members_of_waves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/canary-waves.yaml");
    let loaded = crate::planfile::load(&path).expect("a plan that ships");
    let rows: Vec<MemberRow> = loaded
        .targets
        .iter()
        .zip(0..)
        .map(|(target, ordinal)| MemberRow::new(ordinal, target, &loaded.plan.strategy))
        .collect();
    golden("members", &listed(&rows));
}

#[test]
fn group_limits_stand_beside_the_places() {
    let mut doc = rollout();
    doc.max_in_flight = 40;
    doc.max_in_flight_per = [("lane".to_owned(), 10), ("tag:tier".to_owned(), 2)].into();
    doc.holds = vec![hold(
        "group_limit",
        "every queued change waits for a place of its group or for its instance",
        None,
    )];
    golden("group-limits", &shown(&doc));
}

#[test]
fn a_preview() {
    let target = |ordinal: u32, ssl_option: Option<bool>| PreviewTarget {
        ordinal,
        lane: "prod-sg".into(),
        instance_id: "096c0fc43e804757b59946b80dc27f8bin07".into(),
        proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".into(),
        ssl_option,
    };
    let mut preview = Preview {
        name: "proxy-ssl-2026q4".into(),
        revision: 2,
        description: "SSL on for every production proxy".into(),
        change_ref: "CHG-10421".into(),
        owner: "dba-oncall".into(),
        rollout: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        ssl_option: true,
        targets: 500,
        instances: 420,
        seen: SeenRow { other: 0, right: 0, unknown: 500 },
        looked_at: None,
        discovered_at: None,
        excluded: Vec::new(),
        lanes: vec![("prod-eu".into(), 100), ("prod-sg".into(), 400)],
        waves: vec![
            PreviewWave {
                name: "canary".into(),
                size: 1,
                max_failures: 1,
                max_in_flight: 1,
                soak_seconds: 86_400,
                promote: "manual".into(),
                targets: vec![target(0, None)],
            },
            PreviewWave {
                name: "rest".into(),
                size: 499,
                max_failures: 9,
                max_in_flight: 9,
                soak_seconds: 0,
                promote: "auto".into(),
                targets: vec![target(1, None), target(2, None)],
            },
        ],
        max_in_flight: 20,
        max_in_flight_per: [("lane".to_owned(), 10), ("tag:tier".to_owned(), 2)].into(),
        max_failures: 20,
        max_attempts: 6,
        looks_max: 10,
        on_failure: "halt".into(),
        revert_in_window: false,
        approvals: 0,
        enforce: Some(EnforcePreview {
            mode: "apply".into(),
            cron: "0 2 * * *".into(),
            time_zone: "Asia/Shanghai".into(),
            max_drift: 25,
            next: Some(at("2026-12-05T18:00:00Z")),
        }),
        opposing: Vec::new(),
        progress_deadline_seconds: 1200,
        verify_timeout_seconds: 180,
        wire: Some(WirePreview { min_tls: "1.2".into(), authorities: 1 }),
        open_now: false,
        openings: vec![OpeningRow {
            from: at("2026-12-11T17:00:00Z"),
            until: Some(at("2026-12-11T20:40:00Z")),
            close: Some(at("2026-12-11T21:00:00Z")),
        }],
        time_zone: Some("Asia/Singapore".into()),
        warnings: vec!["the window is short".into()],
        forecast: None,
        digest: "ab".repeat(32),
    };
    golden("preview", &plan::text(&preview, &style()));

    // The same of a list that says what its proxies showed.
    preview.seen = SeenRow { other: 480, right: 15, unknown: 5 };
    preview.waves[0].targets = vec![target(0, Some(false))];
    preview.waves[1].targets = vec![target(1, Some(true)), target(2, None)];
    golden("preview-seen", &plan::text(&preview, &style()));

    // Enforcements put some of them back.
    let row = |name: &str, targets, held| OpposingRow {
        name: name.into(),
        revision: 2,
        ssl_option: false,
        held,
        next_tick: Some(at("2026-12-05T18:00:00Z")),
        time_zone: "Asia/Shanghai".into(),
        targets,
        first: vec![
            "2ec617ba62da4eafb921b69438beed3cpo01".into(),
            "3ec617ba62da4eafb921b69438beed3cpo01".into(),
        ],
    };
    preview.opposing = vec![row("legacy-clients", 2, false), row("lab", 40, true)];
    golden("preview-opposed", &plan::text(&preview, &style()));
}

fn enforcement() -> EnforcementDoc {
    let run = EnforcementRunDoc {
        number: 12,
        tick: at("2026-12-04T18:00:00Z"),
        began: at("2026-12-04T18:00:01Z"),
        survey: "proxy-ssl-2026q4-drift".into(),
        right: Some(496),
        drifted: Some(4),
        left_out: Some(1),
        unseen: Some(0),
        applied: Some("proxy-ssl-2026q4-enforce".into()),
        switched: 3,
        failed: 0,
        halted: None,
        result: Some("3 put right".into()),
    };
    let held = HeldTarget {
        ordinal: 7,
        lane: "prod-sg".into(),
        instance_id: "096c0fc43e804757b59946b80dc27f8bin07".into(),
        proxy_id: "2ec617ba62da4eafb921b69438beed3cpo01".into(),
        runs: vec![8, 9, 11],
    };
    EnforcementDoc {
        name: "proxy-ssl-2026q4".into(),
        revision: 2,
        rollout: "1f0c9a2b7d3e4f5061728394a5b6c7d8".into(),
        ssl_option: true,
        stage: "idle".into(),
        mode: "apply".into(),
        cron: "0 2 * * *".into(),
        time_zone: "Asia/Shanghai".into(),
        max_drift: 25,
        targets: 500,
        runs: 12,
        next_tick: Some(at("2026-12-05T18:00:00Z")),
        skipped_ticks: 1,
        at_hand: None,
        last_run: Some(run),
        held: None,
        held_targets: 1,
        held_list: vec![held],
        held_drift: 0,
        stopped: None,
        superseded_by: None,
        moved_at: at("2026-12-04T18:03:10Z"),
    }
}

#[test]
fn an_enforcement() {
    let plain = enforcement();
    let held = EnforcementDoc {
        name: "too-much".into(),
        stage: "held".into(),
        held: Some("40 drifted, more than the 25 that max_drift allows".into()),
        held_targets: 0,
        held_list: Vec::new(),
        held_drift: 40,
        ..enforcement()
    };
    let mark = MarkDoc {
        by: "ada".into(),
        reason: "fleet is retired".into(),
        at: at("2026-12-05T17:20:00Z"),
    };
    let ended = EnforcementDoc {
        stage: "ended".into(),
        next_tick: None,
        stopped: Some(mark),
        last_run: None,
        runs: 0,
        ..held.clone()
    };
    let ended = EnforcementDoc {
        name: "over".into(),
        held: None,
        held_drift: 0,
        skipped_ticks: 0,
        ..ended
    };
    let why = "halted: 3 failures reach the budget of 3";
    let run = enforcement().last_run.map(|run| EnforcementRunDoc {
        result: None,
        halted: Some(why.into()),
        ..run
    });
    let halted = EnforcementDoc {
        name: "halted".into(),
        stage: "applying".into(),
        last_run: run,
        ..enforcement()
    };
    let looks = EnforcementDoc {
        name: "only-looks".into(),
        held: Some(format!("run 11 {why}")),
        ..enforcement()
    };
    let mut text =
        listed(&[plain.clone(), held.clone(), ended.clone(), halted.clone(), looks.clone()]);
    for found in [&plain, &held, &ended, &halted, &looks] {
        text.push_str(&format!(
            "---\n{}{}\n",
            enforce::view(found, &style()),
            enforce::summary(found, &style())
        ));
    }
    let all = [plain, held, ended, halted, looks]
        .map(|found| EnforcementDoc { held_targets: 0, ..found });
    let names: Vec<_> = enforce::holding(&all, &style())
        .iter()
        .map(|line| line.split(':').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(names, ["too-much", "only-looks"], "what holds nothing is not told by `status`");
    golden("enforcements", &text);
}
