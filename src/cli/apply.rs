//! `apply`: previews, asks, submits, follows.
//!
//! Invariant: what is submitted is what was previewed (the daemon refuses another digest), and
//! switching SSL off always needs the plan's name typed back.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;

use super::args::{ApplyArgs, CloudArgs, DocumentFormat};
use super::client::{Client, Upload};
use super::discovered::{self, named_files};
use super::enforce::opposed;
use super::exit::{Exit, ExitFailure};
use super::follow::{Show, follow};
use super::output::{line, pretty};
use super::plan::{foresee, of_loaded, text};
use super::reach::DaemonAddress;
use super::status::view;
use super::term::{self, ask, can_ask};
use super::text::count;
use super::wire::{OpposingRow, Preview, SubmitAnswer};
use crate::words::text::{Style, clean};

/// Targets of each wave in the preview: the whole list is `plan --all`'s business.
const PER_WAVE: usize = 3;

/// `apply`.
pub async fn apply(
    client: &Client,
    args: &ApplyArgs,
    daemon: &DaemonAddress,
    style: Style,
) -> Result<Exit> {
    let planned =
        discovered::load(&args.plan, &args.discovered, daemon, || Ok(client.clone())).await?;
    let loaded = &planned.loaded;
    let mut preview = of_loaded(loaded, PER_WAVE, &style);
    if !args.yes && can_ask() {
        // Whoever is asked is told when it ends; with nothing else to go by, jobs take what the
        // simulated cloud's take.
        foresee(&mut preview, loaded, &CloudArgs::default(), daemon, &style)?;
    }
    if let Some(wanted) = &args.digest
        && *wanted != preview.digest
    {
        let message = format!(
            "the plan's digest is {}, not the one that was approved; look at it again with `sealift plan`",
            preview.digest
        );
        return Err(ExitFailure::new(Exit::Error, message).into());
    }
    let files = named_files(&args.plan)?;
    let upload = Upload { plan: &args.plan, files: &files, discovered: planned.discovered() };
    if !args.yes {
        // The daemon's word comes before the question: an unknown lane is better told now than
        // after a yes.
        preview.opposing = client.preview(&upload).await?.opposing;
    }
    let Some(confirmed) = confirm(args, &preview, &style)? else {
        term::say("nothing was submitted");
        return Ok(Exit::Error);
    };
    let answer = client.submit(&upload, &preview.digest, confirmed.as_deref()).await?;
    report(&answer);
    if args.yes {
        // Nobody was asked, so it is told now; the journal has it too.
        opposed(&answer.opposing, &style)
            .iter()
            .for_each(|line| term::say(&format!("warning: {line}")));
    }
    if args.detach {
        let mut out = term::stdout();
        match args.output.output {
            DocumentFormat::Table => writeln!(out, "{}", answer.id)?,
            DocumentFormat::Json => writeln!(out, "{}", pretty(&answer)?)?,
            DocumentFormat::Jsonl => writeln!(out, "{}", line(&answer)?)?,
        }
        out.flush()?;
        return Ok(Exit::Done);
    }
    let (mut err, mut screen) = (term::stderr(), std::io::stderr());
    let colour = term::may_have_colours(&screen);
    let show = if screen.is_terminal() {
        Show::View { screen: &mut screen, colour }
    } else {
        Show::Lines(&mut err)
    };
    let exit = follow(client, &answer.id, show).await?;
    if exit != Exit::Interrupted {
        end(client, &answer.id, args.output.output).await?;
    }
    Ok(exit)
}

fn report(answer: &SubmitAnswer) {
    let what = if answer.new { "submitted" } else { "was submitted before; this changes nothing" };
    let targets = count(answer.targets, "change", "changes");
    term::say(&format!(
        "rollout {} of plan {} revision {} with {targets} {what}",
        answer.id, answer.name, answer.revision
    ));
    if let Some(note) = &answer.note {
        term::say(&format!("note: {}", clean(note)));
    }
}

/// The result on standard output, once the rollout is over.
async fn end(client: &Client, id: &str, format: DocumentFormat) -> Result<()> {
    let rollout = client.rollout(id).await?;
    let mut out = term::stdout();
    match format {
        // On a terminal the last picture stands there already.
        DocumentFormat::Table if std::io::stderr().is_terminal() => {}
        DocumentFormat::Table => {
            write!(out, "{}", view(&rollout, &Style::at(rollout.as_of), term::width()))?
        }
        DocumentFormat::Json => writeln!(out, "{}", pretty(&rollout)?)?,
        DocumentFormat::Jsonl => writeln!(out, "{}", line(&rollout)?)?,
    }
    Ok(out.flush()?)
}

/// `None`: the person said no. Otherwise the name typed back, where it is needed.
fn confirm(args: &ApplyArgs, preview: &Preview, style: &Style) -> Result<Option<Option<String>>> {
    let name = &preview.name;
    let off = !preview.ssl_option;
    if let Some(typed) = &args.confirm
        && typed != name
    {
        return Err(ExitFailure::new(
            Exit::Error,
            format!("--confirm says {typed:?}, and the plan's name is {name:?}"),
        )
        .into());
    }
    if off && args.confirm.is_none() && (args.yes || !can_ask()) {
        let message = format!(
            "plan {name} switches SSL off; say --confirm {name} to do it without being asked"
        );
        return Err(ExitFailure::nobody(message).into());
    }
    if args.yes {
        return Ok(Some(args.confirm.clone()));
    }
    if !can_ask() {
        let message = "nobody can be asked here; say --yes (best with --digest, which `sealift plan` prints) to submit without a question";
        return Err(ExitFailure::nobody(message).into());
    }
    term::say(&text(preview, style));
    if off && args.confirm.is_none() {
        let (proxies, undone) =
            (count(preview.targets, "proxy", "proxies"), undone(&preview.opposing));
        let typed = ask(&format!(
            "This switches SSL OFF for {proxies} of plan {}{undone}. Type its name to go on:",
            clean(name)
        ))?;
        return Ok((typed == *name).then_some(Some(typed)));
    }
    let (to, proxies) =
        (if off { "off" } else { "on" }, count(preview.targets, "proxy", "proxies"));
    let yes = matches!(
        ask(&format!("Switch SSL {to} for {proxies}{}? [y/N]", undone(&preview.opposing)))?
            .as_str(),
        "y" | "Y" | "yes"
    );
    Ok(yes.then(|| args.confirm.clone()))
}

/// What the question says of enforcements that put targets back.
fn undone(opposing: &[OpposingRow]) -> String {
    let names: Vec<&str> = opposing.iter().map(|row| row.name.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => {
            format!(", although the enforcement {one} puts {} of them back", opposing[0].targets)
        }
        many => format!(", although the enforcements {} put some of them back", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_who_puts_back() {
        let row = |name: &str| OpposingRow {
            name: name.into(),
            revision: 1,
            ssl_option: true,
            held: false,
            next_tick: None,
            time_zone: "UTC".into(),
            targets: 2,
            first: Vec::new(),
        };
        let of = |names: &[&str]| undone(&names.iter().map(|name| row(name)).collect::<Vec<_>>());
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["kept"]), ", although the enforcement kept puts 2 of them back");
        assert_eq!(
            of(&["kept", "too"]),
            ", although the enforcements kept, too put some of them back"
        );
    }
}
