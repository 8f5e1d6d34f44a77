//! `top`: the page's counterpart on a terminal: what wants a person, the rollouts, one of them, its
//! journal; live.
//!
//! Invariants: what is shown is what the API said at one moment, and when that moment is past it
//! says so; the terminal is given back however this ends, by a panic too; the one verb that is
//! carried out here begins nothing, and asks why before.
//!
//! Deliberately not here: other verbs. They are shown as the commands that they are.

mod board;
mod desk;
mod draw;
mod hear;
mod section;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

pub use self::board::Board;
pub use self::desk::{Desk, Step};
pub use self::draw::draw;
use super::client::Client;
use super::client_error::ClientError;
use super::exit::{Exit, ExitFailure};
use super::term;
use super::wire::VerbAnswer;
use crate::clock::{Clock as _, SystemClock};
use hear::{Heard, listen};

/// Documents are read at most this often, as by the page; the clock moves at this pace too.
const PACE: Duration = Duration::from_millis(250);

/// Keys that were typed and not yet looked at.
const KEYS: usize = 64;

/// What works beside the screen.
enum TopWork {
    Read(Box<Result<Board, ClientError>>),
    Paused(Result<VerbAnswer, ClientError>),
    /// The stream is listened to for ever.
    Silent,
}

/// `top`.
pub async fn top(client: &Client) -> Result<Exit> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if dumb || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let message = "`top` needs a terminal to draw on; `sealift status` prints how everything \
                       stands once, and `sealift watch ROLLOUT` follows a rollout line by line";
        return Err(ExitFailure::new(Exit::Error, message).into());
    }
    let mut desk = Desk::new(client, None, term::may_have_colours(&io::stdout()));
    // Before the screen is taken: that nobody answers is told as by every other verb.
    desk.take(Ok(desk.first_reading().await?));
    let mut screen = Screen::take()?;
    run(&mut desk, &mut screen.terminal).await
}

async fn run(desk: &mut Desk, terminal: &mut DefaultTerminal) -> Result<Exit> {
    let mut keys = keys();
    let (said, mut heard) = mpsc::channel(1);
    // All of it on this one task: a panic of any part ends the whole.
    let mut work: FuturesUnordered<LocalBoxFuture<'_, TopWork>> = FuturesUnordered::new();
    let listening = listen(desk.client(), said);
    work.push(Box::pin(async {
        listening.await;
        TopWork::Silent
    }));
    let (mut terminated, mut hung_up) =
        (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        desk.at(SystemClock.times().wall);
        terminal.draw(|frame| draw(desk, frame)).context("the terminal cannot be written to")?;
        let step = tokio::select! {
            biased;
            _ = terminated.recv() => return Ok(Exit::Interrupted),
            _ = hung_up.recv() => return Ok(Exit::Interrupted),
            typed = keys.recv() => match typed.context("the terminal was closed")?? {
                Event::Key(key) if key.is_press() => desk.press(key),
                Event::Paste(text) => {
                    desk.paste(&text);
                    Step::Nothing
                }
                _ => Step::Nothing,
            },
            news = heard.recv() => {
                desk.hear(news.unwrap_or_else(|| Heard::Lost("nobody listens".into())));
                Step::Nothing
            }
            Some(done) = work.next() => {
                match done {
                    TopWork::Read(read) => desk.take(*read),
                    TopWork::Paused(answer) => desk.answered(answer),
                    TopWork::Silent => {}
                }
                Step::Nothing
            }
            _ = pace.tick() => {
                if let Some(reading) = desk.reading() {
                    work.push(Box::pin(async { TopWork::Read(Box::new(reading.await)) }));
                }
                Step::Nothing
            }
        };
        match step {
            Step::Nothing => {}
            Step::Leave(exit) => return Ok(exit),
            Step::Pause(pausing) => {
                work.push(Box::pin(async { TopWork::Paused(pausing.send().await) }));
            }
        }
    }
}

/// What is typed. A thread reads it, for a terminal cannot be waited for; it ends with the program.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (said, keys) = mpsc::channel(KEYS);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let over = event.is_err();
            if said.blocking_send(event).is_err() || over {
                return;
            }
        }
    });
    keys
}

/// The terminal while it is ours.
pub struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before anything is said of it.
    pub fn take() -> Result<Self> {
        let terminal = ratatui::try_init().context("the terminal cannot be taken")?;
        let said = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Whatever cannot be written here cannot be told either.
            let _ = execute!(io::stdout(), DisableBracketedPaste);
            said(info);
        }));
        let screen = Self { terminal };
        // What is pasted comes as one text, and no letter of it as a key.
        execute!(io::stdout(), EnableBracketedPaste)
            .context("the terminal cannot be written to")?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // After a panic it was given back; a second time would wipe out what was said of it.
        if !std::thread::panicking() {
            let _ = execute!(io::stdout(), DisableBracketedPaste);
            ratatui::restore();
        }
    }
}
