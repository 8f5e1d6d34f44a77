//! `emulate`: the emulated cloud alone.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use secrecy::SecretString;

use super::args::EmulateArgs;
use super::exit::{Exit, ExitFailure};
use super::term;
use super::text::count;
use crate::clock::SystemClock;
use crate::domain::id::Name;
use crate::simcloud::emulator::accounts::Accounts;
use crate::simcloud::emulator::{Emulator, Options};
use crate::simcloud::faults::Faults;
use crate::simcloud::fleet::Fleet;

/// Largest fault file: a handful of rules for each fault.
const FAULTS_MAX: u64 = 1 << 20;

/// `emulate`: runs until interrupted.
pub async fn emulate(args: &EmulateArgs) -> Result<Exit> {
    let fleet = match &args.fleet {
        Some(file) => {
            Fleet::from_csv(open(file)?).with_context(|| format!("{}", file.display()))?
        }
        None => Fleet::generate(args.proxies as usize, args.instances as usize, args.seed)?,
    };
    let faults = match &args.faults {
        Some(file) => faults(file)?.0,
        None => Faults::default(),
    };
    let accounts = match &args.accounts {
        Some(file) => {
            Accounts::from_yaml(&read(file)?).with_context(|| format!("{}", file.display()))?
        }
        None => Accounts::default(),
    };
    if let Some(file) = &args.write_fleet {
        let lane = Name::parse(&args.lane, "lane")?;
        let written =
            File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        fleet.write_targets(&lane, BufWriter::new(written))?;
    }
    let proxies = u32::try_from(fleet.proxies().len()).unwrap_or(u32::MAX);
    let options = Options {
        listen: args.listen,
        fleet,
        faults,
        seed: args.seed,
        token: Some(SecretString::from(args.token.clone())),
        accounts,
        project_id: None,
        watch: vec![Duration::from_secs(1)],
        wire: args.wire_ca.is_some(),
    };
    let mut running = Emulator::start(options, Arc::new(SystemClock))?;
    if let (Some(file), Some(ca)) = (&args.wire_ca, running.ca()) {
        std::fs::write(file, ca).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = term::stdout();
    writeln!(out, "{}", running.endpoint())?;
    out.flush()?;
    term::say(&format!(
        "an emulated cloud with {} answers there; any project_id will do; end it with Ctrl-C",
        count(proxies, "proxy", "proxies")
    ));
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        () = terminated() => {}
        ended = running.wait() => ended?,
    }
    running.stop().await?;
    Ok(Exit::Done)
}

async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}

/// A fault file, understood and as it was written.
pub(super) fn faults(file: &Path) -> Result<(Faults, String)> {
    let text = read(file)?;
    let faults = Faults::read(&file.display().to_string(), &text);
    let faults = faults.map_err(|mistakes| {
        ExitFailure::new(Exit::Error, mistakes.render(term::colour()).trim_end())
    })?;
    Ok((faults, text))
}

fn open(file: &Path) -> Result<File> {
    File::open(file).with_context(|| format!("cannot read {}", file.display()))
}

fn read(file: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    open(file)?
        .take(FAULTS_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}
