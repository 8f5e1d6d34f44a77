//! `demo`: a whole rollout in one command, against an emulated cloud.
//!
//! Invariant: everything but the cloud is the daemon's own: configuration, store on disk, engine,
//! API, and the client verbs over the socket. Nothing is left behind, unless asked.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::logs;
use super::parts::{DaemonSetup, RunningParts};
use super::store::StoreSetup;
use crate::api::Callers;
use crate::api::wire::SavedJob;
use crate::cli::args::{DemoArgs, LogFormat};
use crate::cli::client::{Client, Upload};
use crate::cli::follow::{Show, follow};
use crate::cli::{Exit, Reach, configuration, listing, plan, term};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::id::Name;
use crate::planfile;
use crate::simcloud::emulator::accounts::Accounts;
use crate::simcloud::emulator::{Emulator, Options, RunningEmulator};
use crate::simcloud::faults::{Faults, Rate};
use crate::simcloud::fleet::Fleet;
use crate::store::sled::SledOptions;
use crate::words::text::Style;

const PROXIES: usize = 24;
const INSTANCES: usize = 12;
const TOKEN: &str = "demo-token";

/// What goes wrong in the demo: a few answers with 500, half of them although the switch was
/// executed, and the first job of the first proxy, which fails.
const FAULTS: &str = "\
error_500_before: [{on: 0.08, call: switch}]
error_500_after: [{on: 0.08, call: switch}]
job_fails: [{on: 1, match: 00000001po01}]
latency: {min: 5ms, max: 40ms}
";

/// How long the emulated cloud's jobs take.
const JOB_TIME: &str = "job_time: {min: 400ms, max: 1200ms}\n";

/// The same where somebody watches the page: long enough to look at each of its views.
const JOB_TIME_WATCHED: &str = "job_time: {min: 2s, max: 6s}\n";

const PLAN: &str = "\
version: 1
name: demo
description: SSL on for every proxy of the demo fleet
change_ref: DEMO-1
ssl_option: true
targets:
  files: [fleet.csv]
strategy:
  max_in_flight: 6
  waves:
    - {name: canary, size: 3, soak: 1s}
    - {name: rest, size: rest}
  max_failures: 6
retry: {max_attempts: 6, initial: 300ms, max: 3s}
verify:
  wire: {min_tls: \"1.2\", ca_file: ca.pem}
";

/// The store of a demo is a few kilobytes; the daemon's floor would refuse it on a small /tmp.
const FLOOR: u64 = 16 << 20;

/// How often the emulated cloud is asked whether a job was made that fails: before any job can end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Time that the end may take: nothing is out any more.
const END: Duration = Duration::from_secs(5);

/// `demo`.
pub async fn demo(args: &DemoArgs) -> Result<Exit> {
    logs::start(LogFormat::Human, &args.log)?;
    let folder = DemoFolder::new()?;
    let emulator = emulator(args)?;
    let files = write(&folder.0, &emulator, args)?;
    say(&format!(
        "An emulated cloud with {PROXIES} proxies on {INSTANCES} instances listens on {}; some of its answers are errors.\n\
         The daemon's own code runs over it, with its queue in {}.\n",
        emulator.endpoint(),
        folder.0.display()
    ))?;
    let reach = Reach { config: Some(files.config.clone()), ..Reach::default() };
    let config = configuration(&reach)?;
    let options = SledOptions { floor_bytes: FLOOR, ..SledOptions::default() };
    let mut parts = RunningParts::start(DaemonSetup {
        store: StoreSetup::Sled { folder: config.store.folder().to_owned(), options },
        state: folder.0.clone(),
        socket: config.socket.clone(),
        door: config.door.clone(),
        traces: config.traces.clone(),
        callers: Callers::default(),
        lanes: config.lanes.clone(),
        notify: config.notify.clone(),
        stop: None,
        plans: tokio::sync::watch::channel(Vec::new()).1,
    })
    .await?;
    parts.first_pass().await?;
    let client = Client::on_socket(&config.socket)?;
    if args.page {
        let link = client.link().await?;
        let url = link.url.context("the page's port is not open")?;
        say(&format!(
            "The page, for your browser, once and within a minute:\n  {url}\n\
             Later, or for another browser: sealift open --addr {}\n",
            config.socket.display()
        ))?;
    }
    let exit = tokio::select! {
        biased;
        shown = show(&client, &files.plan) => shown?,
        error = parts.ended() => return Err(error),
        () = one_failed_job(&emulator) => unreachable!("it goes on watching"),
    };
    compare(&client, &emulator).await?;
    if args.page && exit != Exit::Interrupted {
        say("\nThe page stays open until Ctrl-C.")?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            error = parts.ended() => return Err(error),
        }
    }
    parts.drain(END, CancellationToken::new()).await?;
    emulator.stop().await?;
    say(NEXT)?;
    Ok(exit)
}

const NEXT: &str = "
What to try next, in any folder:
  sealift demo --seed 2   # other ids, other faults
  sealift init try        # a first plan and configuration with comments, and what to type then
  sealift schema faults   # what can go wrong at the emulated cloud
  sealift --help          # all verbs
";

struct DemoFiles {
    config: PathBuf,
    plan: PathBuf,
}

fn emulator(args: &DemoArgs) -> Result<RunningEmulator> {
    let job_time = if args.page { JOB_TIME_WATCHED } else { JOB_TIME };
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        fleet: Fleet::generate(PROXIES, INSTANCES, args.seed)?,
        faults: Faults::from_yaml(&format!("{FAULTS}{job_time}"))?,
        seed: args.seed,
        token: Some(SecretString::from(TOKEN)),
        accounts: Accounts::default(),
        project_id: None,
        watch: Vec::new(),
        wire: true,
    };
    Ok(Emulator::start(options, Arc::new(SystemClock))?)
}

/// Writes what a user would write: configuration, token, plan and fleet.
fn write(folder: &Path, emulator: &RunningEmulator, args: &DemoArgs) -> Result<DemoFiles> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        // The token is a secret: nobody else may read it.
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok::<PathBuf, anyhow::Error>(path)
    };
    let endpoint = emulator.endpoint();
    // Any free port: a daemon may run on this host.
    let listen = if args.page { ", listen: \"127.0.0.1:0\"" } else { "" };
    put("token", TOKEN)?;
    put("ca.pem", emulator.ca().context("the proxies' port is not open")?)?;
    let config = put(
        "sealift.yaml",
        &format!(
            "plans: plans.d\nstore: {{sled: queue}}\napi: {{socket: api.sock{listen}}}\nlanes:\n  - name: demo\n    endpoint: {endpoint}\n    \
             project_id: 056538411200d4cd2f79c003c7606412\n    credentials: {{token: {{file: token}}}}\n    settle: 500ms\n    \
             poll: 200ms\n    poll_max: 1s\n"
        ),
    )?;
    let plan = put("demo.yaml", PLAN)?;
    let fleet =
        std::fs::File::create(folder.join("fleet.csv")).context("cannot write the fleet")?;
    let lane = Name::parse("demo", "lane").expect("four letters");
    Fleet::generate(PROXIES, INSTANCES, args.seed)?
        .write_targets(&lane, std::io::BufWriter::new(fleet))?;
    Ok(DemoFiles { config, plan })
}

/// Lets one job fail and no other.
async fn one_failed_job(emulator: &RunningEmulator) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        emulator.with_model(|model| {
            if model.fired().get("job_fails").is_some_and(|n| *n > 0)
                && model.faults().job_fails != Rate::NEVER
            {
                let faults = Faults { job_fails: Rate::NEVER, ..model.faults().clone() };
                model.set_faults(faults);
            }
        });
    }
}

/// Plays the user: preview, submission, following, job ids.
async fn show(client: &Client, plan_file: &Path) -> Result<Exit> {
    let style = Style::at(SystemClock.times().wall);
    let loaded = planfile::load(plan_file).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let preview = plan::of_loaded(&loaded, 2, &style);
    say(&format!("$ sealift plan demo.yaml\n{}", plan::text(&preview, &style)))?;
    say("$ sealift apply demo.yaml --yes")?;
    let files = ["fleet.csv", "ca.pem"].map(PathBuf::from);
    let upload = Upload { plan: plan_file, files: &files, discovered: None };
    let answer = client.submit(&upload, &preview.digest, None).await?;
    let (mut out, mut screen) = (term::stdout(), stdout());
    let colour = term::may_have_colours(&screen);
    let show = if screen.is_terminal() {
        Show::View { screen: &mut screen, colour }
    } else {
        Show::Lines(&mut out)
    };
    let exit = follow(client, &answer.id, show).await?;
    if exit == Exit::Interrupted {
        return Ok(exit);
    }
    say("\n$ sealift jobs demo")?;
    listing::jobs(client, &listing::all("demo"), style).await?;
    Ok(exit)
}

/// What the cloud itself says: how many proxies show SSL, which job ids it handed out, and what
/// went wrong on the way.
async fn compare(client: &Client, emulator: &RunningEmulator) -> Result<()> {
    let rollout = client.rollout("demo").await?;
    let saved: BTreeSet<String> = client
        .page::<SavedJob>("/v1/rollouts/demo/jobs", &[])
        .await?
        .rows
        .into_iter()
        .map(|row| row.job_id)
        .collect();
    let (on, handed_out, fired) = emulator.with_model(|model| {
        let on = model.proxies().filter(|proxy| proxy.ssl_option).count();
        let jobs: BTreeSet<String> = model.jobs().map(|job| job.job_id.to_string()).collect();
        (on, jobs, model.fired())
    });
    let same = if handed_out == saved { "exactly the saved ones" } else { "not the saved ones" };
    say(&format!(
        "\nThe cloud's own view: {on} of {PROXIES} proxies show SSL on; it handed out {} job ids, {same}.\nMet on the way:",
        handed_out.len()
    ))?;
    for (word, n) in fired.into_iter().filter(|(_, n)| *n > 0) {
        say(&format!("  {n:>3} {}", describe(word)))?;
    }
    ensure!(
        rollout.phase != "completed"
            || (on == rollout.tally.succeeded as usize && handed_out == saved),
        "the daemon's books and the cloud differ; please report this with the seed"
    );
    Ok(())
}

/// A fault in words.
fn describe(word: &str) -> &str {
    match word {
        "error_500_before" => "answers 500, nothing executed: found out by asking, then repeated",
        "error_500_after" => {
            "answers 500 although the switch was executed: found out by asking, job id recovered, not repeated"
        }
        "job_fails" => "job that failed: tried again with a new one",
        "instance_busy" => "switches that met a busy instance: waited for, no attempt spent",
        "visibility_lag" => "questions for a job that was not visible yet: asked again",
        other => other,
    }
}

fn say(text: &str) -> Result<()> {
    let mut out = term::stdout();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// A folder of its own; gone when dropped.
struct DemoFolder(PathBuf);

impl DemoFolder {
    fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("sealift-demo-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // A folder that stays costs a few kilobytes of /tmp.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command;

    /// Also with an installed binary, far from the sources.
    #[test]
    fn what_to_try_next_works_anywhere() {
        let lines: Vec<&str> = NEXT.lines().filter(|line| line.starts_with("  sealift ")).collect();
        assert!(lines.len() >= 3, "{NEXT}");
        for line in lines {
            let words: Vec<&str> =
                line.split('#').next().unwrap_or_default().split_whitespace().collect();
            assert!(words.iter().all(|word| !word.contains(['/', '.'])), "{line} names a file");
            let parsed = command().try_get_matches_from(words);
            assert!(
                parsed.as_ref().err().is_none_or(|error| !error.use_stderr()),
                "{line}: {parsed:?}"
            );
        }
    }
}
