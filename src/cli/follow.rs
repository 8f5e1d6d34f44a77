//! Follows a rollout until it is over, stopped, or waits for a person.
//!
//! Invariant: following changes nothing; leaving it (also by Ctrl-C) leaves the rollout as it is. A
//! daemon that goes away for a restart is waited for a while.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use anyhow::Result;

use super::args::{DocumentFormat, WatchArgs};
use super::away::Absence;
use super::client::Client;
use super::exit::{Exit, ExitFailure};
use super::output::line;
use super::status::{tick, verdict, view};
use super::term;
use super::text::count;
use super::wire::{Events, RolloutDoc};
use crate::clock::{Clock as _, SystemClock};
use crate::words::text::Style;

/// Between two pictures on a terminal: quick enough to look alive.
const REDRAW: Duration = Duration::from_millis(250);

/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(1);

/// A line is repeated after this long without news, so that a log shows that somebody still
/// follows.
const REPEAT: i64 = 60;

/// Seconds that the daemon is asked to hold an answer back while nothing moves.
const WAIT: u64 = 1;

/// How progress is shown.
pub enum Show<'a> {
    /// A view that is drawn anew, on this terminal.
    View {
        /// The stream itself: one that takes colours out would take out what moves the cursor, too.
        screen: &'a mut dyn Write,
        /// Whether it may have colours.
        colour: bool,
    },
    /// One line a tick.
    Lines(&'a mut dyn Write),
    /// One document a tick.
    Documents(&'a mut dyn Write),
}

/// Follows the rollout with this id or name.
pub async fn follow(client: &Client, reference: &str, show: Show<'_>) -> Result<Exit> {
    let mut follower =
        Follower { show, drawn: 0, last_line: String::new(), last_at: None, was_open: false };
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            follower.clear()?;
            term::say(&format!("no longer following; the rollout goes on, see `sealift watch {reference}`"));
            Ok(Exit::Interrupted)
        }
        followed = follower.run(client, reference) => followed,
    }
}

struct Follower<'a> {
    show: Show<'a>,
    /// Lines of the view that stand on the terminal.
    drawn: usize,
    last_line: String,
    last_at: Option<jiff::Timestamp>,
    was_open: bool,
}

impl Follower<'_> {
    async fn run(&mut self, client: &Client, reference: &str) -> Result<Exit> {
        let pace = if matches!(self.show, Show::View { .. }) { REDRAW } else { LINE };
        let mut after = None;
        loop {
            let Events { seq, rollouts } = self.events(client, after, reference).await?;
            after = Some(seq);
            let Some(rollout) = rollouts.first() else {
                return Err(ExitFailure::new(
                    Exit::Error,
                    format!("the daemon no longer knows {reference}"),
                )
                .into());
            };
            let style = Style::at(SystemClock.times().wall);
            let end = Exit::of(rollout).or_else(|| self.window_closed(rollout));
            self.show(rollout, &style, end.is_some())?;
            if let Some(exit) = end {
                self.report(rollout, exit, &style);
                return Ok(exit);
            }
            tokio::time::sleep(pace).await;
        }
    }

    async fn events(
        &mut self,
        client: &Client,
        after: Option<u64>,
        reference: &str,
    ) -> Result<Events> {
        let mut absence = Absence::new(client.patience());
        // One try at a time: the view must be left before anything is said below it.
        let once = client.clone().waiting(Duration::ZERO);
        loop {
            match once.events(after, Some(reference), WAIT).await {
                Ok(events) => {
                    absence.end();
                    return Ok(events);
                }
                Err(error) if error.may_pass() => {
                    if absence.begins() {
                        self.clear()?;
                    }
                    absence.wait(error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The window was open while we followed and closed with work left.
    fn window_closed(&mut self, rollout: &RolloutDoc) -> Option<Exit> {
        let shut = rollout
            .holds
            .iter()
            .any(|hold| matches!(hold.word.as_str(), "window" | "cutoff" | "freeze"));
        if rollout.phase != "advancing" {
            return None;
        }
        self.was_open |= !shut;
        (shut && self.was_open && rollout.tally.active == 0 && rollout.tally.queued > 0)
            .then_some(Exit::WindowClosed)
    }

    fn show(&mut self, rollout: &RolloutDoc, style: &Style, last: bool) -> io::Result<()> {
        match &mut self.show {
            Show::View { screen, colour } => {
                let (columns, rows) = term::size(io::stderr())
                    .or_else(|| term::size(io::stdout()))
                    .unwrap_or((100, 40));
                let text = view(rollout, style, columns);
                let text =
                    if *colour { text } else { anstream::adapter::strip_str(&text).to_string() };
                let text: String = text
                    .lines()
                    .take(rows.saturating_sub(1))
                    .map(|line| format!("{line}\n"))
                    .collect();
                // Up to where the last picture began, then everything below is wiped and drawn
                // anew, in one write.
                let back = if self.drawn > 0 {
                    format!("\x1b[{}A\x1b[J", self.drawn)
                } else {
                    String::new()
                };
                write!(screen, "{back}{text}")?;
                self.drawn = text.lines().count();
                screen.flush()
            }
            Show::Lines(out) => {
                let line = tick(rollout, style);
                let news = line.split_once(' ').map_or(line.as_str(), |(_, news)| news).to_owned();
                let stale =
                    self.last_at.is_none_or(|at| style.now.duration_since(at).as_secs() >= REPEAT);
                if news == self.last_line && !stale && !last {
                    return Ok(());
                }
                self.last_line = news;
                self.last_at = Some(style.now);
                writeln!(out, "{line}")?;
                out.flush()
            }
            Show::Documents(out) => {
                writeln!(out, "{}", line(rollout)?)?;
                out.flush()
            }
        }
    }

    /// The view stays where it is; what follows is written below it.
    fn clear(&mut self) -> io::Result<()> {
        self.drawn = 0;
        match &mut self.show {
            Show::View { screen, .. } => writeln!(screen),
            Show::Lines(_) | Show::Documents(_) => Ok(()),
        }
    }

    fn report(&self, rollout: &RolloutDoc, exit: Exit, style: &Style) {
        let text = if exit == Exit::WindowClosed {
            let left = count(rollout.tally.queued, "change", "changes");
            let (goes, it) =
                if rollout.tally.queued == 1 { ("it goes", "it") } else { ("they go", "them") };
            let next = rollout.next_opening.map_or_else(
                || "no window opens any more".into(),
                |at| format!("{goes} on {}", style.until(at)),
            );
            format!(
                "the window closed with {left} left; {next}: `sealift watch {}` follows {it}",
                rollout.name
            )
        } else {
            verdict(rollout)
        };
        term::say(&text);
    }
}

/// `watch`.
pub async fn watch(client: &Client, args: &WatchArgs) -> Result<Exit> {
    let rollout = client.rollout(&args.rollout).await?;
    let (mut out, mut screen) = (term::stdout(), io::stdout());
    let show = match args.output.output {
        DocumentFormat::Table if screen.is_terminal() => {
            let colour = term::may_have_colours(&screen);
            Show::View { screen: &mut screen, colour }
        }
        DocumentFormat::Table => Show::Lines(&mut out),
        DocumentFormat::Json | DocumentFormat::Jsonl => Show::Documents(&mut out),
    };
    follow(client, &rollout.id, show).await
}
