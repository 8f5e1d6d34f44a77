//! Every mistake that a plan, a target file or the configuration can hold, as the user reads it:
//! golden files under `tests/golden`. To take over a changed text: `INSTA_UPDATE=always cargo test
//! --test diagnostics`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sealift::config::Config;
use sealift::planfile;
use tempfile::TempDir;

/// A plan that is right up to `targets`; what follows is the case's own.
const HEAD: &str = "version: 1\nname: proxies\nssl_option: true\n";

/// Two targets that are right.
const TARGETS: &str = "\
targets:
  list:
    - {lane: prod-sg, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}
    - {lane: prod-sg, instance_id: 196c0fc43e804757b59946b80dc27f8bin07, proxy_id: 3ec617ba62da4eafb921b69438beed3cpo01}
";

const HEADER: &str = "lane,instance_id,proxy_id,tag:tier\n";

struct GoldenCase {
    folder: TempDir,
}

impl GoldenCase {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::new().expect("a folder for the case");
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder in it");
            fs::write(path, bytes).expect("a file in it");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// What a load of `plan.yaml` says, with the case's folder taken out of it.
    fn told(&self) -> String {
        let text = match planfile::load(&self.path("plan.yaml")) {
            Ok(loaded) => format!(
                "taken, {} targets\n{}",
                loaded.targets.len(),
                planfile::render_warnings(&loaded.warnings, false)
            ),
            Err(diagnostics) => diagnostics.render(false),
        };
        self.plain(&text)
    }

    fn config(&self) -> String {
        let text = match Config::load(Some(&self.path("sealift.yaml")), &|_| None) {
            Ok(config) => {
                let told = [&config.warnings, &config.shared]
                    .map(|list| planfile::render_warnings(list, false));
                format!("{}\n{}", config.to_yaml(), told.concat())
            }
            Err(diagnostics) => diagnostics.render(false),
        };
        self.plain(&text)
    }

    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn golden(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

fn plan(name: &str, text: &str) {
    golden(name, &GoldenCase::new(&[("plan.yaml", text.as_bytes())]).told());
}

/// A plan over one file of targets.
fn targets(name: &str, file: &str, bytes: &[u8]) {
    let plan = format!("{HEAD}targets: {{files: [{file}]}}\n");
    golden(name, &GoldenCase::new(&[("plan.yaml", plan.as_bytes()), (file, bytes)]).told());
}

fn config(name: &str, text: &str) {
    golden(name, &GoldenCase::new(&[("sealift.yaml", text.as_bytes())]).config());
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "\
version: 2
name: Proxy_SSL
ssl_option: on
colour: red
targets:
  list:
    - {lane: prod-sg, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}
    - {lane: prod-sg, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}
    - {lane: prod-sg, instance_id: 2ec617ba62da4eafb921b69438beed3cpo01, proxy: 096c0fc43e804757b59946b80dc27f8bin07}
  files: [fleet.csv, no.csv]
  max: 1_000
windows:
  - {cron: \"0 1 * * SAT\", duration: 4, time_zone: Asia/Singapur, cutoff: 20m}
  - {cron: \"0 1 * * *\", duration: 4h, time_zone: Asia/Singapore, cutoff: 5h}
strategy:
  max_in_flight: \"20\"
  waves: [{name: canary, size: five}]
retry: {max_attempts: 21, initial: 10m}
";
    let fleet = format!(
        "{HEADER}prod-sg,096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01,gold\nprod-sg,096c,x,\n"
    );
    golden(
        "all_at_once",
        &GoldenCase::new(&[("plan.yaml", text.as_bytes()), ("fleet.csv", fleet.as_bytes())]).told(),
    );
}

#[test]
fn keys() {
    plan(
        "unknown_keys",
        &format!(
            "{HEAD}{TARGETS}descripton: x\nmaxInFlight: 3\ncolour: red\nstrategy: {{wave: []}}\n\"a\\tb\": 1\n"
        ),
    );
    plan(
        "duplicate_keys",
        &format!(
            "{HEAD}{TARGETS}owner: a\nname: again\nstrategy: {{max_in_flight: 1, max_in_flight: 2}}\n"
        ),
    );
    plan(
        "missing_keys",
        "description: nothing else\nwindows:\n  - {duration: 4h}\nfreezes:\n  - {}\n",
    );
    plan(
        "empty_values",
        &format!("{HEAD}{TARGETS}owner:\nstrategy: ~\nwindows: []\nretry: {{max: null}}\n"),
    );
    plan("keys_that_are_no_texts", &format!("{HEAD}{TARGETS}? [a, b]\n: c\n"));
    plan("a_key_of_nothing", &format!("{HEAD}{TARGETS}retry:\n  ?\t"));
}

#[test]
fn group_limits() {
    let limits = |name: &str, limits: &str| {
        let list = "targets:
  list:
    - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01, tags: {tier: gold}}
";
        plan(name, &format!("{HEAD}{list}strategy:\n  max_in_flight_per: {limits}\n"));
    };
    limits("group_limits", "{lane: 10, \"tag:tier\": 2}");
    limits(
        "group_limits_wrong",
        "{lanes: 1, tier: 2, \"tag.tier\": 2, \"tag:\": 2, instance: 1, lane: 0, \"tag:tier\": many}",
    );
    limits("group_limits_of_nothing", "{\"tag:teir\": 2, \"tag:zone\": 1}");
    limits("group_limits_empty", "{}");
    limits(
        "group_limits_too_many",
        &format!(
            "{{{}}}",
            (0..9).map(|n| format!("\"tag:t{n}\": 1")).collect::<Vec<_>>().join(", ")
        ),
    );
    limits("group_limits_no_map", "10");
    let untagged = format!("{HEAD}{TARGETS}strategy: {{max_in_flight_per: {{\"tag:tier\": 2}}}}\n");
    plan("group_limits_without_tags", &untagged);
}

#[test]
fn receivers_that_a_plan_names() {
    let text = "\
version: 1
name: told
ssl_option: true
targets:
  list:
    - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}
notify: [ops, Ops, \"\", 7]
";
    plan("plan_receivers", text);
    plan("plan_receivers_none", &text.replace("[ops, Ops, \"\", 7]", "[]"));
}

#[test]
fn an_approval_that_the_author_could_give() {
    let targets = "targets:\n  list:\n    - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}\n";
    plan(
        "autostart_with_approval",
        &format!("{HEAD}autostart: true\n{targets}approval: {{required: 2}}\n"),
    );
    plan(
        "autostart_without_approval",
        &format!("{HEAD}autostart: true\n{targets}approval: {{required: 0}}\n"),
    );
}

#[test]
fn discovery_and_exclusion() {
    let listed = "    - {lane: a, instance_id: 096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01, tags: {tier: gold}}\n";
    // Whoever has no discovery at hand is told that one is needed, and not also that there are no
    // targets.
    plan("discovery_needed", &format!("{HEAD}targets: {{discover: [{{lane: prod-sg}}]}}\n"));
    let wrong = "\
autostart: true
enforce: {cron: \"@daily\", time_zone: UTC}
targets:
  discover:
    - {instance_name: \"prod-*\"}
    - {lane: prod-sg, tags: {env: prod}}
    - {lane: prod-sg, tags: {env: prod}}
    - {lane: prod-sg, name: \"prod-*\", state: 1}
  exclude:
    - {instance_name: \"legacy-*\"}
    - {reason: all}
    - {instance_id: 096c, reason: short}
";
    plan("discovery_mistakes", &format!("{HEAD}{wrong}"));
    let exclude = |text: &str| format!("{HEAD}targets:\n  list:\n{listed}  exclude:\n{text}");
    plan("exclude_all", &exclude("    - {tags: {tier: gold}, lane: a, reason: too hot}\n"));
    plan(
        "exclude_nothing",
        &exclude(
            "    - {tags: {tier: glod}, reason: too hot}\n    - {lane: b, reason: elsewhere}\n",
        ),
    );
    plan(
        "exclude_by_name",
        &exclude("    - {instance_name: \"legacy-*\", reason: old JDBC clients}\n"),
    );
}

#[test]
fn enforcement() {
    let plan_of = |enforce: &str| format!("{HEAD}{TARGETS}enforce: {enforce}\n");
    plan(
        "enforce_taken",
        &plan_of("{cron: \"0 2 * * *\", time_zone: Asia/Shanghai, mode: apply, max_drift: 5%}"),
    );
    plan("enforce_idle", &plan_of("{cron: \"0 2 31 * *\", time_zone: UTC, max_drift: 3}"));
    let wrong = plan_of(
        "{cron: \"0 25 * * *\", time_zone: Asia/Shanghia, mode: aply, max_drift: 101%, splay: 10m}",
    );
    plan("enforce_mistakes", &wrong);
    plan("enforce_missing", &plan_of("{mode: inform}"));
    plan(
        "enforce_of_nothing",
        &plan_of("{cron: \"@daily\", time_zone: UTC, mode: apply, max_drift: 0}"),
    );
    let long = plan_of("{cron: \"@daily\", time_zone: UTC}")
        .replace("name: proxies", &format!("name: {}", "n".repeat(56)));
    plan("enforce_long_name", &long);
}

/// `verify.wire` and its file of authorities.
#[test]
fn proofs_on_the_wire() {
    let authority = rcgen::KeyPair::generate().expect("a key");
    let authority =
        rcgen::CertificateParams::default().self_signed(&authority).expect("a certificate").pem();
    let wire = |name: &str, on: bool, verify: &str| {
        let text = format!("{HEAD}{TARGETS}verify: {verify}\n")
            .replace("ssl_option: true", &format!("ssl_option: {on}"));
        let case = GoldenCase::new(&[
            ("plan.yaml", text.as_bytes()),
            ("ca.pem", authority.as_bytes()),
            ("empty.pem", b""),
            ("broken.pem", b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n"),
        ]);
        std::os::unix::fs::symlink("ca.pem", case.path("link.pem")).expect("a link");
        golden(name, &case.told());
    };
    wire(
        "wire_taken",
        true,
        "{timeout: 5m, wire: {min_tls: \"1.3\", ca_file: ca.pem, plaintext: report}}",
    );
    wire("wire_empty", true, "{wire: {}}");
    wire("wire_of_off", false, "{wire: {min_tls: \"1.3\", ca_file: ca.pem}}");
    wire("wire_mistakes", true, "{wire: {min_tls: \"1.1\", ca: ca.pem, plaintext: refuse}}");
    wire("wire_unquoted", true, "{wire: {min_tls: 1.2}}");
    for file in
        ["empty.pem", "broken.pem", "missing.pem", "link.pem", "../ca.pem", "/etc/ssl/ca.pem"]
    {
        wire(
            &format!("wire_ca_{}", file.replace(['.', '/'], "_").trim_matches('_')),
            true,
            &format!("{{wire: {{ca_file: {file}}}}}"),
        );
    }
}

#[test]
fn kinds_of_values() {
    plan(
        "kinds",
        "version: one\nname: [a]\nssl_option: yes\nrevision: 1.5\nautostart: maybe\ntargets: fleet.csv\nwindows: {cron: x}\nretry: 3\nowner: {a: b}\n",
    );
    plan(
        "numbers",
        &format!(
            "{HEAD}{TARGETS}revision: 0\nstrategy: {{max_in_flight: 0x10}}\nretry: {{max_attempts: 99999999999999999999}}\n"
        ),
    );
    plan("file_instead_of_list", &format!("{HEAD}targets: {{files: fleet.csv}}\n"));
    plan("long_texts", &format!("{HEAD}{TARGETS}owner: {}\n", "x".repeat(201)));
    plan("a_list_instead_of_a_plan", "- version: 1\n");
    plan("a_text_instead_of_a_plan", "just a text\n");
}

#[test]
fn lengths_of_time() {
    let bad = ["30", "1.5h", "4 hours", "2d", "-5m", "1h30", "PT4H", "9000h", "0", "\"\""];
    let windows: String = bad
        .iter()
        .map(|length| format!("  - {{cron: \"@daily\", time_zone: UTC, duration: {length}}}\n"))
        .collect();
    plan("lengths", &format!("{HEAD}{TARGETS}windows:\n{windows}"));
    plan(
        "lengths_of_nothing",
        &format!("{HEAD}{TARGETS}strategy: {{progress_deadline: 0s}}\nretry: {{initial: 0s}}\n"),
    );
    plan("retry_backwards", &format!("{HEAD}{TARGETS}retry: {{initial: 1h, max: 1m}}\n"));
}

#[test]
fn calendars() {
    let crons = [
        "0 1 * *",
        "0 2 * * Monday",
        "61 1 * * *",
        "5/15 * * * *",
        "@reboot",
        "0 0 1 * * *",
        "0 0 30 2 *",
    ];
    let windows: String = crons
        .iter()
        .map(|cron| format!("  - {{cron: \"{cron}\", time_zone: UTC, duration: 1h}}\n"))
        .collect();
    plan("cron", &format!("{HEAD}{TARGETS}windows:\n{windows}"));
    plan(
        "cron_warning",
        &format!(
            "{HEAD}{TARGETS}windows: [{{cron: \"0 2 1-7 * MON\", time_zone: UTC, duration: 1h}}]\n"
        ),
    );
    let zones = ["Asia/Singapur", "\"+08:00\"", "UTC+8", "CEST", "../../etc/passwd"];
    let windows: String = zones
        .iter()
        .map(|zone| format!("  - {{cron: \"@daily\", time_zone: {zone}, duration: 1h}}\n"))
        .collect();
    plan("zones", &format!("{HEAD}{TARGETS}windows:\n{windows}"));
    plan(
        "cutoff",
        &format!(
            "{HEAD}{TARGETS}windows: [{{cron: \"@daily\", time_zone: UTC, duration: 1h, cutoff: 1h}}, {{cron: \"@daily\", time_zone: UTC, duration: 0s}}]\n"
        ),
    );
    let freezes = "\
freezes:
  - {from: 2027-12-24T00:00, to: 2027-01-02T00:00, time_zone: UTC, reason: backwards}
  - {from: 2026-12-24, to: 2027-01-02T00:00Z, time_zone: UTC, reason: no local times}
  - {from: 2026-02-30T00:00, to: tomorrow, time_zone: UTC, reason: \"\"}
not_before: 2026-12-01T00:00
";
    plan("freezes", &format!("{HEAD}{TARGETS}{freezes}"));
}

#[test]
fn waves_and_budgets() {
    let waves = |waves: &str| format!("{HEAD}{TARGETS}strategy:\n  waves:\n{waves}");
    plan("waves_leave_targets_over", &waves("    - {name: one, size: 1}\n"));
    plan(
        "waves_of_more_than_all",
        &waves(
            "    - {name: one, size: 60%}\n    - {name: two, size: 40%}\n    - {name: three, size: 0.5%}\n    - {name: rest, size: rest}\n",
        ),
    );
    plan(
        "waves_after_the_rest",
        &waves("    - {name: all, size: rest}\n    - {name: more, size: 1}\n"),
    );
    plan(
        "waves_of_one_name",
        &waves("    - {name: one, size: 1}\n    - {name: one, size: rest}\n"),
    );
    plan(
        "waves_of_no_size",
        &waves(
            "    - {name: a, size: 0}\n    - {name: b, size: 0%}\n    - {name: c, size: 101%}\n    - {name: d, size: half}\n    - {name: E, size: rest, promote: manuel}\n",
        ),
    );
    plan(
        "waves_larger_than_the_fleet",
        &waves(
            "    - {name: one, size: 1}\n    - {name: big, size: 50}\n    - {name: rest, size: rest}\n",
        ),
    );
    let many: String =
        (0..101).map(|index| format!("    - {{name: w{index}, size: 1}}\n")).collect();
    plan("waves_too_many", &waves(&many));
    plan(
        "budgets",
        &format!(
            "{HEAD}{TARGETS}strategy: {{max_failures: {{wave: five, rollout: -1, total: 3}}}}\n"
        ),
    );
    plan(
        "budget_bounds_the_pace",
        &format!("{HEAD}{TARGETS}strategy: {{max_in_flight: 10, max_failures: 3}}\n"),
    );
}

/// A mistake is told with the rest, though what stands beside it is wrong too.
#[test]
fn mistakes_beside_others() {
    let text = "\
version: 1
name: beside
ssl_option: true
targets: {list: [{lane: a, instance_id: short, proxy_id: short}]}
windows: [{cron: \"0 1 * * *\", duration: 4h, cutoff: 5h, time_zone: Asia/Singapur}]
strategy: {max_in_flihgt: 2, waves: [{name: one, size: five}, {name: one, size: rest}]}
";
    plan("beside_others", text);
}

#[test]
fn target_sets() {
    plan(
        "ids",
        &format!(
            "{HEAD}targets:\n  list:\n    - lane: Prod SG\n      instance_id: ../../etc/passwd\n      proxy_id: 2ec617ba62da4eafb921b69438beed3cin07\n    - {{lane: a, instance_id: 096c0fc4-3e80-4757-b599-46b80dc27f8b, proxy_id: short}}\n"
        ),
    );
    plan("no_targets", &format!("{HEAD}targets: {{}}\n"));
    plan("an_empty_list", &format!("{HEAD}targets: {{list: []}}\n"));
    plan("more_than_max", &format!("{HEAD}{TARGETS}  max: 1\n"));
    let twice = "    - {lane: other, instance_id: 296c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}\n";
    plan("duplicate_targets", &format!("{HEAD}{TARGETS}{twice}"));
}

#[test]
fn target_files() {
    let row =
        "prod-sg,096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01,gold\n";
    targets("csv_duplicates", "fleet.csv", format!("{HEADER}{row}# a comment\n\n{row}").as_bytes());
    targets("csv_header", "fleet.csv", b"Lane,instance_id,pool_id,tier,tier\nx,y,z,a,b\n");
    targets("csv_header_missing", "fleet.csv", b"lane,proxy_id\nx,y\n");
    targets("csv_header_semicolons", "fleet.csv", b"lane;instance_id;proxy_id\nx;y;z\n");
    targets(
        "csv_rows",
        "fleet.csv",
        format!("{HEADER}a,b\n{row}\"open,x,y,z\nPROD,0..0,,gold\n").as_bytes(),
    );
    let seen = row.replace("po01", "po01,off").trim_end_matches(|c: char| c != 'f').to_owned();
    targets(
        "csv_seen",
        "fleet.csv",
        format!("lane,instance_id,proxy_id,ssl_option\n{seen}\n").as_bytes(),
    );
    targets("csv_empty", "fleet.csv", b"");
    targets("csv_header_only", "fleet.csv", HEADER.as_bytes());
    targets("csv_binary", "fleet.csv", b"lane,instance_id,proxy_id\n\x00\x01\x02\n");
    targets("csv_latin1", "fleet.csv", b"lane,instance_id,proxy_id\n# gr\xf6\xdfe\n");
    targets("csv_long_line", "fleet.csv", format!("{HEADER}{}\n", "x".repeat(70_000)).as_bytes());
    let json = "{\"lane\": \"a\", \"instance_id\": \"096c0fc43e804757b59946b80dc27f8bin07\", \"proxyid\": \"x\"}\n{\"lane\": 3}\nnot json\n[]\n{\"lane\": \"A\", \"instance_id\": \"i\", \"proxy_id\": \"p\"}\n";
    targets("json_rows", "fleet.jsonl", json.as_bytes());
    targets("yaml_rows", "fleet.yaml", b"- {lane: a, instance_id: x, proxy: y}\n- 3\n");
    targets("yaml_is_no_list", "fleet.yaml", b"lane: a\n");
    targets("unknown_ending", "fleet.xlsx", b"");
    targets("part_of_a_discovery", "fleet.csv.part", HEADER.as_bytes());
    let plan = format!("{HEAD}targets: {{files: [fleet.csv]}}\n");
    let beside =
        GoldenCase::new(&[("plan.yaml", plan.as_bytes()), ("fleet.csv.part", HEADER.as_bytes())]);
    golden("part_beside", &beside.told());
}

#[test]
fn files_that_lead_elsewhere() {
    let plan = format!(
        "{HEAD}targets:\n  files:\n    - ../fleet.csv\n    - /etc/passwd.csv\n    - link.csv\n    - linked/fleet.csv\n    - sub/../fleet.csv\n    - folder.csv\n    - missing.csv\n    - pipe.csv\n    - missing/fleet.csv\n    - good.csv\n    - good.csv\n    - \"a\\0.csv\"\n"
    );
    let case = GoldenCase::new(&[
        ("plan.yaml", plan.as_bytes()),
        ("good.csv", HEADER.as_bytes()),
        ("outside/fleet.csv", b"secret"),
    ]);
    std::os::unix::fs::symlink(case.path("outside/fleet.csv"), case.path("link.csv"))
        .expect("a link");
    std::os::unix::fs::symlink(case.path("outside"), case.path("linked")).expect("a link");
    fs::create_dir(case.path("folder.csv")).expect("a folder");
    pipe(&case.path("pipe.csv"));
    golden("target_files_elsewhere", &case.told());
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a pipe");
}

#[test]
fn a_plan_that_is_no_file() {
    let case = GoldenCase::new(&[]);
    golden("plan_missing", &case.told());
    fs::create_dir(case.path("plan.yaml")).expect("a folder");
    golden("plan_is_a_folder", &case.told());
    fs::remove_dir(case.path("plan.yaml")).expect("the folder goes");
    pipe(&case.path("plan.yaml"));
    golden("plan_is_a_pipe", &case.told());
    fs::remove_file(case.path("plan.yaml")).expect("the pipe goes");
    std::os::unix::fs::symlink("/dev/zero", case.path("plan.yaml")).expect("a link");
    golden("plan_is_a_device", &case.told());
}

#[test]
fn a_plan_behind_a_link_has_the_folder_of_the_file() {
    let row =
        "prod-sg,096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01,gold\n";
    let plan = format!("{HEAD}targets: {{files: [fleet.csv]}}\n");
    let case = GoldenCase::new(&[
        ("real/plan.yaml", plan.as_bytes()),
        ("real/fleet.csv", format!("{HEADER}{row}").as_bytes()),
    ]);
    std::os::unix::fs::symlink(case.path("real/plan.yaml"), case.path("plan.yaml"))
        .expect("a link");
    assert_eq!(case.told(), "taken, 1 targets\n");
}

#[test]
fn texts_that_are_no_plan() {
    plan("empty_file", "");
    plan("only_comments", "# nothing\n");
    plan("two_documents", &format!("{HEAD}{TARGETS}---\n{HEAD}"));
    plan("tabs", "version: 1\nname: a\n\tssl_option: true\n");
    plan("open_bracket", &format!("{HEAD}targets: {{list: [\n"));
    plan("colon_in_a_text", "version: 1\nname: a: b\n");
    plan(
        "anchors_and_aliases",
        &format!("{HEAD}owner: &me dba\ndescription: *me\nchange_ref: *you\n{TARGETS}"),
    );
    plan("tags", &format!("{HEAD}owner: !secret dba\n{TARGETS}"));
    plan("directives", "%YAML 1.1\n---\nversion: 1\n");
    golden("binary", &GoldenCase::new(&[("plan.yaml", b"version: 1\n\x00\x01")]).told());
    golden("latin1", &GoldenCase::new(&[("plan.yaml", b"version: 1\nowner: J\xf6rg\n")]).told());
    golden("utf16", &GoldenCase::new(&[("plan.yaml", b"\xff\xfev\x00e\x00")]).told());
}

#[test]
fn bombs() {
    let mut laughs = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in ('b'..='j').zip('a'..) {
        laughs.push_str(&format!(
            "{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
        ));
    }
    let told = GoldenCase::new(&[("plan.yaml", laughs.as_bytes())]).told();
    assert!(told.contains("error[alias]") && told.contains("error[anchor]"), "{told}");
    plan("brackets", &"[".repeat(400_000));
    plan("braces", &"{a: ".repeat(100_000));
    plan(
        "deep_indentation",
        &(0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>(),
    );
    plan("many_keys", &(0..300).map(|key| format!("k{key}: 1\n")).collect::<String>());
    plan("many_values", &format!("a: [{}]\n", "x,".repeat(1_000_001)));
    // Sparse: 100 MB that take no place on the disk and are refused before one is read.
    let case = GoldenCase::new(&[("plan.yaml", b"")]);
    let large = |name: &str| {
        fs::File::options()
            .append(true)
            .create(true)
            .open(case.path(name))
            .expect("a file")
            .set_len(100 << 20)
            .expect("a large file")
    };
    large("plan.yaml");
    golden("large_plan", &case.told());
    fs::write(
        case.path("plan.yaml"),
        format!("{HEAD}targets: {{files: [fleet.yaml, fleet.csv]}}\n"),
    )
    .expect("a plan");
    large("fleet.yaml");
    fs::File::create(case.path("fleet.csv"))
        .expect("a file")
        .set_len(300 << 20)
        .expect("a large file");
    golden("large_target_files", &case.told());
}

#[test]
fn a_long_line_is_shown_around_the_mistake() {
    plan(
        "long_line",
        &format!(
            "{HEAD}owner: {}\ntargets: {{list: [{}{{lane: a, colour: red}}]}}\n",
            "x".repeat(10),
            " ".repeat(9_000)
        ),
    );
    // Two bytes that some terminals obey as they obey an escape.
    plan(
        "control_characters_of_two_bytes",
        &format!("{HEAD}{TARGETS}owner: a\u{9d}0;title\u{9c}\n"),
    );
    plan(
        "control_characters",
        &format!("{HEAD}{TARGETS}\"\\e[31mred\\u202e\": 1\n\"{}\": 2\n", "k".repeat(300)),
    );
}

#[test]
fn no_more_than_a_hundred_are_shown() {
    let rows: String = (0..5_000).map(|row| format!("lane,{row},x,\n")).collect();
    let plan = format!("{HEAD}targets: {{files: [fleet.csv]}}\n");
    let case = GoldenCase::new(&[
        ("plan.yaml", plan.as_bytes()),
        ("fleet.csv", format!("{HEADER}{rows}").as_bytes()),
    ]);
    let diagnostics = planfile::load(&case.path("plan.yaml")).expect_err("five thousand bad rows");
    assert_eq!((diagnostics.list.len(), diagnostics.more), (100, 9_900));
    assert!(diagnostics.render(false).ends_with("\n10000 mistakes, the first 100 are shown\n"));
}

#[test]
fn programs_get_json() {
    let case = GoldenCase::new(&[("plan.yaml", format!("{HEAD}{TARGETS}ownr: x\n").as_bytes())]);
    let diagnostics = planfile::load(&case.path("plan.yaml")).expect_err("an unknown key");
    let json = serde_json::to_string_pretty(&diagnostics).expect("texts and numbers");
    golden("json", &case.plain(&json));
}

#[test]
fn color_is_only_used_when_asked_for() {
    let case = GoldenCase::new(&[("plan.yaml", b"nothing: 1\n")]);
    let diagnostics = planfile::load(&case.path("plan.yaml")).expect_err("a bad plan");
    assert!(diagnostics.render(true).contains('\u{1b}'));
    assert!(!diagnostics.render(false).contains('\u{1b}'));
}

#[test]
fn lanes_that_the_daemon_does_not_have() {
    let row = |lane: &str, id: char| {
        format!(
            "{lane},{id}96c0fc43e804757b59946b80dc27f8bin07,{id}ec617ba62da4eafb921b69438beed3cpo01,\n"
        )
    };
    let fleet =
        format!("{HEADER}{}{}{}", row("prod-sg", '5'), row("prod-hk", '6'), row("nowhere", '7'));
    let plan = format!("{HEAD}{TARGETS}  files: [fleet.csv]\n");
    let case = GoldenCase::new(&[("plan.yaml", plan.as_bytes()), ("fleet.csv", fleet.as_bytes())]);
    let loaded = planfile::load(&case.path("plan.yaml")).expect("a good plan");
    let name = |text: &str| sealift::domain::id::Name::parse(text, "lane").expect("a name");
    let known = |lanes: &[&str]| lanes.iter().map(|lane| (name(lane), None)).collect();
    let mut all: BTreeMap<_, _> = known(&["prod-sg", "prod-hk", "nowhere"]);
    assert_eq!(loaded.lanes.check(&all), Ok(()));
    all.insert(name("prod-hk"), Some(name("prod-sg")));
    let told = loaded.lanes.check(&all).expect_err("two to one project");
    golden("lanes_shared", &case.plain(&told.render(false)));
    let told =
        loaded.lanes.check(&known(&["prod-sgp", "prod-kh"])).expect_err("three unknown lanes");
    golden("lanes", &case.plain(&told.render(false)));
    let told = loaded.lanes.check(&[].into()).expect_err("three unknown lanes");
    golden("lanes_none", &case.plain(&told.render(false)));
}

/// The API's door on the network.
#[test]
fn doors() {
    let people =
        "people: [{name: ada, unix: ada, may: [read]}, {name: pipeline, may: [read, operate]}]";
    let open = "listen: 0.0.0.0:7633, origin: 'https://sealift.example.net:7633/', tokens_file: tokens.yaml, session_key: {file: session.key}";
    for (name, api) in [
        ("config_door", format!("{open}, tls: {{cert_file: api.crt, key_file: api.key, client_ca_file: clients.pem}}, {people}")),
        ("config_door_here", "listen: '[::1]:7633'".to_owned()),
        ("config_door_open_to_all", "listen: 0.0.0.0:7633".to_owned()),
        ("config_door_of_nobody", "listen: 192.0.2.1:7633, tls: {cert_file: api.crt, key_file: api.key}".to_owned()),
        ("config_door_without_people", format!("{open}, tls: {{cert_file: api.crt, key_file: api.key, client_ca_file: clients.pem}}")),
        (
            "config_door_without_listen",
            "tls: {cert_file: api.crt, key_file: api.key, client_ca_file: c}, people: [{unix: ada, may: [read]}]".to_owned(),
        ),
        (
            "config_door_mistakes",
            "listen: 'localhost:7633', origin: sealift.example.net, tls: {cert_file: api.crt}, session_key: abc".to_owned(),
        ),
        ("config_door_of_no_token", format!("listen: 127.0.0.1:7633, {people}")),
        ("config_door_plain_origin", format!("{open}, tls: {{cert_file: a, key_file: b}}, {people}").replace("https", "http")),
    ] {
        config(name, &format!("api: {{{api}}}\nlanes: []\n"));
    }
}

#[test]
fn receivers_of_notifications() {
    config(
        "config_notify",
        r#"notify:
  - {name: ops, url: {credential: ops-url}, secret: {file: ops.key}, old_secret: {env: OLD}, on: [halted, in_doubt]}
  - {name: pager, secret: {file: routing-key}, on: [halted, completed], shape: pagerduty}
  - name: feishu
    url: {file: feishu.url}
    on: [completed]
    shape: {msg_type: text, content: {text: "${summary} ${command} $${kept}", at: [true, 7]}}
"#,
    );
    config(
        "config_notify_mistakes",
        r#"notify:
  - {name: Ops, url: https://hooks.example.com/T0K3N, on: [halt, in-doubt, completed], shape: slak}
  - {name: two, url: {file: a, env: B}, on: []}
  - {name: three, on: [halted], shpe: json}
  - {name: four, on: [halted], shape: slack, old_secret: {file: a}}
  - {name: keyless, url: {file: a}, on: [halted]}
  - {name: five, url: {file: a}, secret: {file: b}, on: [halted]}
  - {name: five, url: {file: a}, secret: {file: b}, on: [halted]}
  - {name: six, on: [halted], shape: pagerduty}
  - {name: seven, url: {file: a}, on: [halted], shape: [json]}
  - {name: eight, url: {file: a}, on: [halted], shape: {text: "${sumary} ${host}", list: ["${plam}"]}}
  - {name: nine, url: {file: a}, on: [halted], shape: {text: "something happened"}}
  - {name: ten, url: {file: a}, on: [halted], shape: {}}
"#,
    );
}

#[test]
fn configurations() {
    let text = "\
plans: ~/plans
store: {postgres: \"postgres://sealift@db/sealift\"}
api: {sockt: api.sock, listen: 127.0.0.1:7633}
notify: []
lanes:
  - name: prod-sg
    endpoint: http://gaussdb.ap-southeast-3.myhuaweicloud.com
    iam_endpoint: https://iam.ap-southeast-3.myhuaweicloud.com
    project_id: 056538411200d4cd2f79c003c760641
    credentials: {token: {file: a, env: B}}
    quota: {requests: 0, per: 0s, headroom: 100%}
    polls: 3
  - name: prod-hk
    endpoint: gaussdb.example.com
    project_id: 056538411200d4cd2f79c003c7606412
    credentials: {access_key: {file: ak}, secret_key: {credential: sk}}
";
    config("config_mistakes", text);
    let mistaken = "\
store:
  sled: queue
  postgres:
    url: postgresql://sealift:hunter2@db1/sealift
    password: {file: a, env: B}
    schema: Night
    ca: hunter2
";
    config("config_postgres_mistakes", mistaken);
    let places = "\
store:
  sled: queue
  postgres: {url: host=db1 dbname=night user=a, password: {file: a, env: B}}
";
    config("config_postgres_places", places);
    for (name, url) in [
        ("no_host", "dbname=sealift user=sealift"),
        ("no_database", "host=db1 user=sealift"),
        ("no_user", "host=db1 dbname=sealift"),
        ("no_tls", "host=db1 dbname=sealift user=sealift sslmode=disable"),
        ("unreadable", "host=db1 dbname=sealift pasword=hunter2"),
    ] {
        let text = format!("store: {{postgres: {{url: {url}}}}}\n");
        config(&format!("config_postgres_{name}"), &text);
    }
    let whole = "\
store:
  postgres:
    url: host=db1,db2 dbname=sealift user=sealift
    password: {file: db.password}
    ca_file: db-ca.pem
    folder: own/database
";
    config("config_postgres", whole);
    let lane = |name: &str, more: &str| {
        format!(
            "  - name: {name}\n    endpoint: https://gaussdb.example.com/\n    project_id: 056538411200d4cd2f79c003c7606412\n    credentials: {{token: {{file: tokens/{name}}}}}\n{more}"
        )
    };
    config(
        "config_people",
        "\
api:
  people:
    - {name: ada, unix: ada, certificate: \"CN=ada\", may: [read, operate, approve]}
    - {unix: ada, may: [read]}
    - {name: bob, unix: ada, may: [read, opearte]}
    - {name: carol, may: [read]}
    - {certificate: \"CN=ada\", may: [off]}
    - {group: dba, name: dora, may: [read]}
    - {group: readers, may: []}
    - {group: readers, may: [read]}
    - {group: readers, may: [read, off]}
    - {name: uid 7, unix: \" eve\", may: [read]}
",
    );
    config("config_people_nobody", "api: {people: []}\n");
    config("config_lane_names", &format!("lanes:\n{}{}", lane("a", ""), lane("a", "")));
    config(
        "config_waits",
        &format!(
            "lanes:\n{}{}",
            lane("a", "    poll: 1m\n    settle: 0s\n"),
            lane("b", "    poll_max: 1s\n")
        ),
    );
    config(
        "config_sources",
        &format!("lanes:\n{}", lane("a", "").replace("{file: tokens/a}", "{}")),
    );
    config(
        "config_shared_project",
        &format!(
            "lanes:\n{}{}",
            lane("a", ""),
            lane("b", "    quota: {requests: 9, per: 1s}\n    poll: 500ms\n")
        ),
    );
    let who = |lines: &str| {
        format!(
            "lanes:\n  - name: a\n    endpoint: https://gaussdb.ap-southeast-3.myhuaweicloud.com\n    project_id: 056538411200d4cd2f79c003c7606412\n{lines}"
        )
    };
    let (f, iam) =
        ("{file: x}", "    iam_endpoint: https://iam.ap-southeast-3.myhuaweicloud.com\n");
    for (name, credentials) in [
        (
            "config_keys",
            format!(
                "{iam}    credentials: {{access_key: {f}, secret_key: {{credential: sk}}, security_token: {{env: ST}}}}\n"
            ),
        ),
        (
            "config_user",
            format!(
                "{iam}    credentials: {{user: 4711, password: {f}, domain: {{file: domain}}}}\n"
            ),
        ),
        (
            "config_own_tls",
            format!(
                "    credentials: {{token: {f}}}\n    ca_file: tls/ca.pem\n    client_cert_file: /etc/tls/c.pem\n    client_key_file: c.key\n"
            ),
        ),
        (
            "config_own_tls_half",
            format!("    credentials: {{token: {f}}}\n    client_cert_file: c.pem\n"),
        ),
        (
            "config_own_tls_key_alone",
            format!(
                "    credentials: {{token: {f}}}\n    client_key_file: ''\n    ca_file: ~/ca.pem\n"
            ),
        ),
        (
            "config_own_tls_other_half",
            format!("    credentials: {{token: {f}}}\n    client_key_file: c.key\n"),
        ),
        ("config_keys_half", format!("    credentials: {{access_key: {f}}}\n")),
        ("config_keys_only_security_token", format!("    credentials: {{security_token: {f}}}\n")),
        ("config_user_half", "    credentials: {user: me}\n".to_owned()),
        (
            "config_user_without_iam",
            format!("    credentials: {{user: me, password: {f}, domain: acme}}\n"),
        ),
        (
            "config_ways_mixed",
            format!(
                "    credentials: {{token: {f}, access_key: {{}}, secret_key: {f}, user: me}}\n"
            ),
        ),
        ("config_nobody", "    credentials: {}\n".to_owned()),
        (
            "config_inline_password",
            format!("{iam}    credentials: {{user: [me], password: hunter2, domain: \" \"}}\n"),
        ),
        (
            "config_iam_endpoint",
            format!(
                "    iam_endpoint: http://iam.example.com\n    credentials: {{user: me, password: {f}, domain: 1e3}}\n"
            ),
        ),
    ] {
        config(name, &who(&credentials));
    }
    config(
        "config_region",
        &who("    region: ap-southeast-5\n    credentials: {token: {file: x}}\n"),
    );
    config("config_empty", "# all defaults\n");
    let case = GoldenCase::new(&[]);
    golden("config_missing", &case.config());
}

/// A configuration over files of lanes.
fn lane_files(name: &str, config: &str, files: &[(&str, &str)]) {
    let mut all = vec![("sealift.yaml", config.as_bytes())];
    all.extend(files.iter().map(|(file, text)| (*file, text.as_bytes())));
    golden(name, &GoldenCase::new(&all).config());
}

#[test]
fn tables_of_lanes() {
    let defaults = "\
lane_defaults:
  region: ap-southeast-3
  credentials: {user: sealift, password: {file: password}, domain: acme}
  quota: {requests: 150, per: 5m}
  poll: 3s
";
    let project = |n: u32| format!("{n:032}");
    let csv = format!(
        "name,project_id,region,quota.requests,max_in_flight,credentials.token.file\n\
         # the bank's own\nbank-sg,{},,,,\nbank-hk,{},ap-southeast-1,60,,\nbank-lab,{},,,5,tokens/lab\n",
        project(1),
        project(2),
        project(3)
    );
    let json = format!(
        "{{\"name\": \"shop-1\", \"project_id\": \"{}\", \"poll\": \"9s\"}}\n\n",
        project(4)
    );
    let yaml = format!(
        "- {{name: shop-2, project_id: \"{}\", endpoint: \"https://gateway.example\"}}\n",
        project(5)
    );
    lane_files(
        "lane_files",
        &format!("{defaults}lane_files: [lanes.csv, more.jsonl, rest.yaml]\n"),
        &[("lanes.csv", &csv), ("more.jsonl", &json), ("rest.yaml", &yaml)],
    );
    let csv = format!(
        "name,project_id,region,quota.per,quota.requests,poll_max\n\
         a,{0},ap-southeast-9,5m,1,\nA,{0},,,,\nb,,,5,many,1s\nc,{0},x\na,{0},,,,\n\"d,{0},,,,\n",
        project(1)
    );
    let json = format!(
        "name: shop\n{{\"name\": \"a\", \"project_id\": \"{0}\"}}\n\
         {{\"name\": \"e\", \"projectid\": \"{0}\", \"credentials\": {{\"password\": \"hunter2\"}}}}\n\
         {{\"name\": \"f\"\n",
        project(2)
    );
    lane_files(
        "lane_files_mistakes",
        &format!("{defaults}lane_files: [lanes.csv, more.jsonl, none.csv, lanes.txt, few.csv]\n"),
        &[("lanes.csv", &csv), ("more.jsonl", &json), ("few.csv", "name,project_id\n")],
    );
    lane_files(
        "lane_files_columns",
        &format!("{defaults}lane_files: [a.csv, b.csv, c.csv]\n"),
        &[
            ("a.csv", "name,regoin,credentials.password,quota\nx,y,hunter2,z\n"),
            ("b.csv", "name,name,project_id;x\n"),
            ("c.csv", "name,project_id,credentials.user,credentials.user.file\n"),
        ],
    );
    // What is wrong with what holds for all is told once, and nothing is said of the lanes for it.
    let two = format!("name,project_id\na,{}\nb,{}\n", project(1), project(2));
    for (name, text) in [
        (
            "lane_defaults_mistakes",
            "{name: x, region: ap-southeast-3, credentials: {token: {}}, poll: 0s}",
        ),
        (
            "lane_defaults_half",
            "{region: ap-southeast-3, credentials: {user: x}, poll: 9s, poll_max: 3s}",
        ),
        ("lane_defaults_less", "{credentials: {token: {file: x}}, quota: {per: 5m}}"),
    ] {
        let text = format!("lane_defaults: {text}\nlane_files: [lanes.csv]\n");
        lane_files(name, &text, &[("lanes.csv", &two)]);
    }
    let user = "user: ops, password: {file: password}, domain: acme-ops";
    let all = format!(
        "lane_defaults:\n  region: ap-southeast-3\n  credentials: {{{user}, agency: {{name: sealift}}}}\n"
    );
    let csv = format!(
        "name,project_id,credentials.agency.domain,credentials.agency.name\n\
         bank,{},bank-prod,\nshop,{},shop-prod,other\nlab,{},,lab\n",
        project(1),
        project(2),
        project(3)
    );
    let inline = |name: &str, n: u32, credentials: &str| {
        format!(
            "lanes: [{{name: {name}, project_id: \"{}\", credentials: {{{credentials}}}}}]\n",
            project(n)
        )
    };
    let files = "lane_files: [lanes.csv]\n";
    let right = csv.replace(",,lab", ",lab-prod,lab");
    let own = format!("{all}{files}{}", inline("ops", 9, user));
    lane_files("lane_agencies", &own, &[("lanes.csv", &right)]);
    let key = "access_key: {file: a}, secret_key: {file: s}, agency: {name: x, domain: y}";
    let key = format!("{all}{files}{}", inline("key", 8, key));
    lane_files("lane_agencies_mistakes", &key, &[("lanes.csv", &csv)]);
    let above = format!(
        "lane_defaults: {{endpoint: \"https://a.example\", credentials: {{token: {{file: x}}}}}}\n\
                         lanes: [{{name: a, project_id: \"{}\", region: ap-southeast-3}}]\n",
        project(1)
    );
    config("lane_region_idle", &above);
}

/// At most five thousand, over all files and the list.
#[test]
fn a_lane_too_many_is_refused() {
    let rows = |lanes: usize| {
        let rows = (0..lanes).map(|n| format!("lane-{n},{n:032}\n"));
        format!("name,project_id\n{}", rows.collect::<String>())
    };
    let text = "lane_defaults: {region: ap-southeast-3, credentials: {token: {file: x}}}\n\
                lane_files: [lanes.csv]\n";
    let told = |lanes| {
        let rows = rows(lanes);
        let files = [("sealift.yaml", text.as_bytes()), ("lanes.csv", rows.as_bytes())];
        let case = GoldenCase::new(&files);
        let config = Config::load(Some(&case.path("sealift.yaml")), &|_| None);
        config.map(|config| config.lanes.len()).map_err(|told| case.plain(&told.render(false)))
    };
    assert_eq!(told(5_000), Ok(5_000));
    let refused = told(5_001).expect_err("one too many");
    assert!(refused.contains("5001 lanes are more than the 5000 that are taken"), "{refused}");
    assert!(refused.contains("sealift.yaml:2:13"), "{refused}");
}

/// Whatever way a secret gets into the file by mistake: no message, line or JSON shows it.
#[test]
fn inline_secrets_are_refused_and_never_shown() {
    let lane = "  - name: a\n    endpoint: https://gaussdb.example.com\n    project_id: 056538411200d4cd2f79c003c7606412\n";
    let ways = [
        "    credentials: {token: hunter2}\n",
        "    credentials: {token: \"hunter2\"}\n",
        "    credentials:\n      token: hunter2\n",
        "    credentials:\n      token:\n        hunter2\n",
        "    credentials:\n      token: |\n        hunter2\n        hunter2\n",
        "    credentials: hunter2\n",
        "    credentials: [hunter2]\n",
        "    credentials: {tokn: hunter2}\n",
        "    credentials: {token: {fil: hunter2}}\n",
        "    credentials: {token: {env: \"hunter2=\"}}\n",
        "    credentials: {token: {credential: \"/hunter2\"}}\n",
        "    credentials: {token: {file: a}, token: hunter2}\n",
        "    credentials: {token: {file: a}, password: hunter2}\n",
        "    credentials: {user: me, password: hunter2, domain: d}\n",
        "    credentials: {user: me, domain: d, password: {fil: hunter2}}\n",
        "    credentials: {access_key: {file: a}, secret_key: hunter2}\n",
        "    credentials: {access_key: {file: a}, secret_key: {file: a}, security_token: hunter2}\n",
        "    credentials: {user: [hunter2], password: {file: a}, domain: {file: a, x: hunter2}}\n",
        "    credentials: {access_key: hunter2, secret_key: hunter2}\n",
        "    credentials: {token: {file: a}}\n    token: hunter2\n",
        "    credentials: {token: {file: a}}\n    anything: [hunter2, {x: hunter2}]\n",
        "    credentials: {token: {file: a}}\n    BAD KEY: hunter2\n",
        "    credentials: {token: hunter2\n",
        "    credentials: {token: &a hunter2, x: *a}\n",
        "    credentials: {token: !t hunter2}\n",
        "    credentials: {token: hunter2}}\n",
    ];
    for way in ways {
        let case = GoldenCase::new(&[("sealift.yaml", format!("lanes:\n{lane}{way}").as_bytes())]);
        let diagnostics = Config::load(Some(&case.path("sealift.yaml")), &|_| None).expect_err(way);
        let told = format!(
            "{}{}",
            diagnostics.render(false),
            serde_json::to_string(&diagnostics).expect("texts and numbers")
        );
        assert!(!told.contains("hunter2"), "shown for {way}:\n{told}");
    }
    let url = format!(
        "lanes:\n{}    credentials: {{token: {{file: a}}}}\n",
        lane.replace("https://", "https://me:hunter2@")
    );
    let case = GoldenCase::new(&[("sealift.yaml", url.as_bytes())]);
    assert!(!case.config().contains("hunter2"), "{}", case.config());
    config("config_inline_secret", &format!("lanes:\n{lane}{}", ways[0]));
}
