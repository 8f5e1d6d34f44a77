//! `demo`: a whole rollout in one command, against an emulated cloud.
//!
//! Invariant: everything but the cloud is the daemon's own: configuration, store on disk, engine, API, and the client
//! verbs over the socket. Nothing is left behind, unless asked.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::logs;
use super::parts::{Parts, Setup};
use crate::cli::args::{DemoArgs, LogFormat, Reach};
use crate::cli::client::Client;
use crate::cli::follow::{Show, follow};
use crate::cli::text::{Style, count};
use crate::cli::{Exit, configuration, listing, plan, term};
use crate::clock::{Clock as _, SystemClock};
use crate::cloud::emulator::{Emulator, Options, Running};
use crate::cloud::faults::Faults;
use crate::cloud::fleet::Fleet;
use crate::domain::id::Name;
use crate::planfile;
use crate::store::sled::SledOptions;

const PROXIES: usize = 24;
const INSTANCES: usize = 12;
const TOKEN: &str = "demo-token";

/// What goes wrong in the demo: a few answers with 500, half of them although the switch was executed, and one job that
/// fails, of the first proxy, in the first seconds.
const FAULTS: &str = "\
error_500_before: [{on: 0.08, call: switch}]
error_500_after: [{on: 0.08, call: switch}]
job_fails: [{on: 1, match: 00000001po01, to: 3}]
latency: {min: 5ms, max: 40ms}
job_time: {min: 400ms, max: 1200ms}
";

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
";

/// The store of a demo is a few kilobytes; the daemon's floor would refuse it on a small /tmp.
const FLOOR: u64 = 16 << 20;

/// Time that the end may take: nothing is out any more.
const END: Duration = Duration::from_secs(5);

/// `demo`.
pub async fn demo(args: &DemoArgs) -> Result<Exit> {
    logs::start(LogFormat::Human, &args.log)?;
    let folder = Folder::new()?;
    let emulator = emulator(args.seed)?;
    let files = write(&folder.0, &emulator, args.seed)?;
    say(&format!(
        "An emulated cloud with {PROXIES} proxies on {INSTANCES} instances listens on {}; some of its answers are errors.\n\
         The daemon's own code runs over it, with its queue in {}.\n",
        emulator.endpoint(),
        folder.0.display()
    ))?;
    let reach = Reach { config: Some(files.config.clone()), addr: None };
    let config = configuration(&reach)?;
    let sled = SledOptions { floor_bytes: FLOOR, ..SledOptions::default() };
    let mut parts = Parts::start(Setup {
        store: config.store.clone(),
        sled,
        state: folder.0.clone(),
        socket: config.socket.clone(),
        lanes: config.lanes.clone(),
        quota_spent: false,
        stop: None,
    })
    .await?;
    parts.first_pass().await?;
    let client = Client::new(&config.socket)?;
    let exit = tokio::select! {
        biased;
        shown = show(&client, &files.plan) => shown?,
        error = parts.ended() => return Err(error),
    };
    compare(&client, &emulator).await?;
    parts.drain(END, CancellationToken::new()).await?;
    emulator.stop().await?;
    say(NEXT)?;
    Ok(exit)
}

const NEXT: &str = "
What to try next:
  sealift emulate --proxies 1000 --instances 500 --write-fleet fleet.csv    a cloud to rehearse against
  sealift schema config; sealift schema plan                                what configuration and plans may say
  sealift check plans/*.yaml; sealift plan plans/canary-waves.yaml          the plans that come with it
  sealift serve --config sealift.yaml; sealift apply plan.yaml              the daemon, and a plan of your own
";

struct Files {
    config: PathBuf,
    plan: PathBuf,
}

fn emulator(seed: u64) -> Result<Running> {
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        fleet: Fleet::generate(PROXIES, INSTANCES, seed)?,
        faults: Faults::from_yaml(FAULTS)?,
        seed,
        token: Some(SecretString::from(TOKEN)),
        project_id: None,
        watch: Vec::new(),
    };
    Ok(Emulator::start(options, Arc::new(SystemClock))?)
}

/// Writes what a user would write: configuration, token, plan and fleet.
fn write(folder: &Path, emulator: &Running, seed: u64) -> Result<Files> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok::<PathBuf, anyhow::Error>(path)
    };
    let endpoint = emulator.endpoint();
    put("token", TOKEN)?;
    let config = put(
        "sealift.yaml",
        &format!(
            "plans: plans.d\nstore: {{sled: queue}}\napi: {{socket: api.sock}}\nlanes:\n  - name: demo\n    endpoint: {endpoint}\n    \
             project_id: 056538411200d4cd2f79c003c7606412\n    credentials: {{token: {{file: token}}}}\n    settle: 500ms\n    \
             poll: 200ms\n    poll_max: 1s\n"
        ),
    )?;
    let plan = put("demo.yaml", PLAN)?;
    let fleet = std::fs::File::create(folder.join("fleet.csv")).context("cannot write the fleet")?;
    let lane = Name::parse("demo", "lane").expect("four letters");
    Fleet::generate(PROXIES, INSTANCES, seed)?.write_targets(&lane, std::io::BufWriter::new(fleet))?;
    Ok(Files { config, plan })
}

/// Plays the user: preview, submission, following, job ids.
async fn show(client: &Client, plan_file: &Path) -> Result<Exit> {
    let style = Style::at(SystemClock.times().wall);
    let loaded = planfile::load(plan_file).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let preview = plan::of_loaded(&loaded, 2, &style);
    say(&format!("$ sealift plan demo.yaml\n{}", plan::text(&preview, &style)))?;
    say("$ sealift apply demo.yaml --yes")?;
    let answer = client.submit(plan_file, &[PathBuf::from("fleet.csv")], &preview.digest, None).await?;
    let mut out = term::stdout();
    let show = if stdout().is_terminal() { Show::View(&mut out) } else { Show::Lines(&mut out) };
    let exit = follow(client, &answer.id, show).await?;
    drop(out);
    if exit == Exit::Interrupted {
        return Ok(exit);
    }
    say("\n$ sealift jobs demo")?;
    listing::jobs(client, &listing::all("demo"), style).await?;
    Ok(exit)
}

/// What the cloud itself says: how many proxies show SSL, and what went wrong on the way.
async fn compare(client: &Client, emulator: &Running) -> Result<()> {
    let rollout = client.rollout("demo").await?;
    let (on, executed, faults) = emulator.with_model(|model| {
        let on = model.proxies().filter(|proxy| proxy.ssl_option).count();
        (on, model.ledger().executed_total(), model.fired())
    });
    let faults: Vec<String> = faults.into_iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{word} {n}")).collect();
    say(&format!(
        "\nThe cloud's own view: {on} of {PROXIES} proxies show SSL on, after {} that took effect.\nFaults met on the way: {}.",
        count(u32::try_from(executed).unwrap_or(u32::MAX), "switch", "switches"),
        if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
    ))?;
    ensure!(
        rollout.phase != "completed" || on == rollout.tally.succeeded as usize,
        "the daemon counts {} proxies and the cloud shows {on}: please report this with the seed",
        rollout.tally.succeeded
    );
    Ok(())
}

fn say(text: &str) -> Result<()> {
    let mut out = term::stdout();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// A folder of its own; gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("sealift-demo-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays costs a few kilobytes of /tmp.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
