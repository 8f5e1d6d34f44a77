//! What somebody at the terminal looks at, and what their keys do.
//!
//! Invariant: nothing here reads, waits or draws; what is to be read or done is given to whoever
//! runs the desk.

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::board::{Board, BoardRow, TopPlace, read};
use super::hear::Heard;
use crate::cli::client::Client;
use crate::cli::client_error::ClientError;
use crate::cli::exit::{Exit, ExitFailure};
use crate::cli::operate::done;
use crate::cli::wire::{PauseRequest, VerbAnswer};
use crate::clock::{Clock as _, SystemClock};
use crate::words::text::{acts, clean};

/// Characters of a reason that is typed here.
const REASON_MAX: usize = 500;

/// Lines that a page of a list is taken as.
const PAGE: usize = 10;

/// Every key, as `?` lists them.
pub const KEYS: &[(&str, &str)] = &[
    ("↑ ↓, j k", "choose a rollout; in a rollout: move through its changes"),
    ("PgUp PgDn, Home End", "the same, further"),
    ("Enter, →", "look at the rollout"),
    ("Esc, ←", "back"),
    ("p", "pause the rollout: nothing new begins; you are asked why"),
    ("v", "what else can be done, as the commands that do it"),
    ("?", "these keys"),
    ("q, Ctrl-C", "leave; nothing changes by that"),
];

/// What is to be done after a key.
pub enum Step {
    Nothing,
    Leave(Exit),
    /// A verb that was asked about, to be sent.
    Pause(Box<Pausing>),
}

/// How live it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    Waits,
    Connected,
    Lost {
        /// By the daemon's clock.
        since: Timestamp,
        why: String,
    },
}

/// What lies over the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    None,
    Keys,
    Verbs,
    Pause(PauseQuestion),
}

/// The question before a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseQuestion {
    id: String,
    pub name: String,
    /// Of the record that was looked at.
    tag: String,
    /// What was typed so far.
    pub reason: String,
    /// Why it was not done.
    pub refused: Option<String>,
    /// It is sent and not answered yet.
    pub sent: bool,
}

/// A pause that is to be sent.
pub struct Pausing {
    client: Client,
    question: PauseQuestion,
}

impl Pausing {
    /// Sends it: for the record that was looked at, or for none.
    pub async fn send(self) -> Result<VerbAnswer, ClientError> {
        let PauseQuestion { id, tag, reason, .. } = self.question;
        let request = PauseRequest { reason, until: None };
        self.client.verb_on(&tag, &id, "pause", &request).await
    }
}

/// Everything about one terminal.
pub struct Desk {
    client: Client,
    /// `None`: the machine's.
    pub(super) zone: Option<String>,
    pub(super) colour: bool,
    pub(super) board: Option<Board>,
    pub(super) place: TopPlace,
    /// Lines that are above what is shown of a rollout's changes.
    pub(super) scrolled: usize,
    pub(super) overlay: Overlay,
    pub(super) live: Live,
    /// What was done, or could not be read; and whether it is good.
    pub(super) message: Option<(bool, String)>,
    stale: bool,
    reading: bool,
    now: Timestamp,
    /// How far the daemon's clock is ahead of ours.
    ahead: SignedDuration,
}

impl Desk {
    /// A desk with nothing on it yet, whose times are shown in this zone, or in the machine's.
    pub(crate) fn new(client: &Client, zone: Option<&str>, colour: bool) -> Self {
        Self {
            client: client.clone(),
            zone: zone.map(str::to_owned),
            colour,
            board: None,
            place: TopPlace::Now(None),
            scrolled: 0,
            overlay: Overlay::None,
            live: Live::Waits,
            message: None,
            stale: false,
            reading: false,
            now: SystemClock.times().wall,
            ahead: SignedDuration::ZERO,
        }
    }

    /// A desk before the daemon that listens on `socket`.
    pub fn on_socket(
        socket: &std::path::Path,
        zone: &str,
        colour: bool,
    ) -> Result<Self, ExitFailure> {
        Ok(Self::new(&Client::on_socket(socket)?, Some(zone), colour))
    }

    /// A client that says nothing beside the screen, and waits for nobody.
    pub(super) fn client(&self) -> Client {
        self.client.clone().waiting(std::time::Duration::ZERO)
    }

    /// It is so late by our own clock.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// How late it is by the daemon's clock.
    pub fn now(&self) -> Timestamp {
        self.now.checked_add(self.ahead).unwrap_or(self.now)
    }

    /// Reads what is to be shown, whether or not it moved, and waits for a daemon that is away.
    pub fn first_reading(&self) -> impl Future<Output = Result<Board, ClientError>> + use<> {
        let (client, place) = (self.client.clone(), self.place.clone());
        async move { read(&client, place).await }
    }

    /// Reads what is to be shown, if that moved.
    pub(super) fn reading(
        &mut self,
    ) -> Option<impl Future<Output = Result<Board, ClientError>> + use<>> {
        if !self.stale || self.reading {
            return None;
        }
        (self.stale, self.reading) = (false, true);
        let (client, place) = (self.client(), self.place.clone());
        Some(async move { read(&client, place).await })
    }

    /// Takes what was read.
    pub fn take(&mut self, read: Result<Board, ClientError>) {
        self.reading = false;
        let board = match read {
            Ok(board) => board,
            // The stream tells that somebody is away, and since when.
            Err(error) if error.may_pass() => return,
            Err(error) => {
                self.message = Some((false, clean(&error.to_string())));
                return;
            }
        };
        let here = match (&self.place, &board.place) {
            (TopPlace::Now(None), TopPlace::Now(_)) => true,
            (place, read) => place == read,
        };
        if !here {
            // Somebody looks elsewhere by now.
            self.stale = true;
            return;
        }
        self.place = board.place.clone();
        self.board = Some(board);
        // The rollout that the cursor was on is none of the list any more.
        if let (TopPlace::Now(Some(_)), None) = (&self.place, self.chosen()) {
            self.go(TopPlace::Now(None));
        }
    }

    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Lost(why) => {
                if !matches!(self.live, Live::Lost { .. }) {
                    self.live = Live::Lost { since: self.now(), why: clean(&why) };
                }
                return;
            }
            Heard::Beat(clock) => self.ahead = clock.duration_since(self.now),
            Heard::Moved => {}
        }
        self.live = Live::Connected;
        self.stale = true;
    }

    /// How a pause was answered.
    pub fn answered(&mut self, answer: Result<VerbAnswer, ClientError>) {
        self.stale = true;
        match answer {
            Ok(answer) => {
                if matches!(self.overlay, Overlay::Pause(_)) {
                    self.overlay = Overlay::None;
                }
                self.message = Some((true, done(&answer)));
            }
            Err(error) => {
                let (why, tag) = (clean(&error.to_string()), self.tag());
                match &mut self.overlay {
                    // What was typed stays, and goes to the record as it stands now.
                    Overlay::Pause(question) => {
                        question.tag =
                            moved_to(&error).or(tag).unwrap_or_else(|| question.tag.clone());
                        (question.sent, question.refused) = (false, Some(why));
                    }
                    _ => self.message = Some((false, why)),
                }
            }
        }
    }

    /// What a key does.
    pub fn press(&mut self, key: KeyEvent) -> Step {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Step::Leave(Exit::Interrupted);
        }
        if let Overlay::Pause(question) = &mut self.overlay {
            match question.typed(key) {
                Typed::More => {}
                Typed::Away => self.overlay = Overlay::None,
                Typed::Whole => {
                    return Step::Pause(Box::new(Pausing {
                        question: question.clone(),
                        client: self.client(),
                    }));
                }
            }
            return Step::Nothing;
        }
        self.message = None;
        match (key.code, &self.overlay) {
            (KeyCode::Char('q'), _) => return Step::Leave(Exit::Done),
            (KeyCode::Char('?'), Overlay::None | Overlay::Verbs) => self.overlay = Overlay::Keys,
            (_, Overlay::Keys | Overlay::Verbs) => self.overlay = Overlay::None,
            (KeyCode::Char('p'), _) => self.ask_pause(),
            (KeyCode::Char('v'), _) => self.show_verbs(),
            (KeyCode::Enter | KeyCode::Right, _) => self.look(),
            (KeyCode::Esc | KeyCode::Left | KeyCode::Backspace, _) => self.back(),
            (KeyCode::Down | KeyCode::Char('j'), _) => self.forward(1),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.backward(1),
            (KeyCode::PageDown, _) => self.forward(PAGE),
            (KeyCode::PageUp, _) => self.backward(PAGE),
            (KeyCode::Home, _) => self.backward(usize::MAX),
            (KeyCode::End, _) => self.forward(usize::MAX),
            _ => {}
        }
        Step::Nothing
    }

    /// Text from elsewhere: it is part of a reason, and never a key.
    pub(super) fn paste(&mut self, text: &str) {
        if let Overlay::Pause(question) = &mut self.overlay {
            text.lines().next().unwrap_or_default().chars().for_each(|c| question.add(c));
        }
    }

    fn rows(&self) -> &[BoardRow] {
        self.board.as_ref().map_or(&[], |board| &board.rollouts)
    }

    /// Place in the list of the rollout that the cursor is on.
    pub(super) fn chosen(&self) -> Option<usize> {
        let TopPlace::Now(Some(chosen)) = &self.place else { return None };
        self.rows().iter().position(|row| row.id() == chosen)
    }

    fn tag(&self) -> Option<String> {
        self.subject().map(|(_, _, tag)| tag)
    }

    /// The rollout that a verb is about: its id, its name and the tag of its record.
    fn subject(&self) -> Option<(String, String, String)> {
        let shown = self.board.as_ref().and_then(|board| board.rollout.as_ref());
        match (&self.place, shown) {
            (TopPlace::Rollout(_), Some(shown)) => {
                let document = &shown.document;
                Some((document.id.clone(), document.name.clone(), document.tag.clone()))
            }
            (TopPlace::Rollout(_), None) => None,
            (TopPlace::Now(_), _) => {
                let row = &self.rows()[self.chosen()?];
                Some((row.id().to_owned(), row.name().to_owned(), row.tag().to_owned()))
            }
        }
    }

    fn go(&mut self, place: TopPlace) {
        (self.place, self.scrolled, self.stale) = (place, 0, true);
    }

    fn look(&mut self) {
        if let (TopPlace::Now(_), Some((id, ..))) = (&self.place, self.subject()) {
            self.go(TopPlace::Rollout(id));
        }
    }

    fn back(&mut self) {
        if let TopPlace::Rollout(id) = &self.place {
            self.go(TopPlace::Now(Some(id.clone())));
        }
    }

    fn forward(&mut self, lines: usize) {
        match (&self.place, self.chosen()) {
            (TopPlace::Rollout(_), _) => {
                let shown = self.board.as_ref().and_then(|board| board.rollout.as_ref());
                let rows = shown
                    .map_or(0, |shown| shown.changes.iter().map(|(_, page)| page.rows.len()).sum());
                self.scrolled = self.scrolled.saturating_add(lines).min(rows.saturating_sub(1));
            }
            (TopPlace::Now(_), Some(at)) => self.choose(at.saturating_add(lines)),
            (TopPlace::Now(_), None) => {}
        }
    }

    fn backward(&mut self, lines: usize) {
        match (&self.place, self.chosen()) {
            (TopPlace::Rollout(_), _) => self.scrolled = self.scrolled.saturating_sub(lines),
            (TopPlace::Now(_), Some(at)) => self.choose(at.saturating_sub(lines)),
            (TopPlace::Now(_), None) => {}
        }
    }

    fn choose(&mut self, at: usize) {
        let last = self.rows().len().saturating_sub(1);
        if let Some(row) = self.rows().get(at.min(last)) {
            self.go(TopPlace::Now(Some(row.id().to_owned())));
        }
    }

    fn ask_pause(&mut self) {
        let may = self
            .board
            .as_ref()
            .is_some_and(|board| board.whoami.may.iter().any(|role| role == "operate"));
        let refused = match (self.subject(), &self.live) {
            (None, _) => Some("there is no rollout to pause".to_owned()),
            (_, Live::Lost { .. }) => Some("not live: a verb is for what is seen now".to_owned()),
            _ if !may => Some("to pause takes the role `operate`".to_owned()),
            _ => None,
        };
        match (refused, self.subject()) {
            (None, Some((id, name, tag))) => {
                let (reason, refused, sent) = (String::new(), None, false);
                self.overlay =
                    Overlay::Pause(PauseQuestion { id, name, tag, reason, refused, sent });
            }
            (refused, _) => self.message = refused.map(|why| (false, why)),
        }
    }

    fn show_verbs(&mut self) {
        self.look();
        if matches!(self.place, TopPlace::Rollout(_)) {
            self.overlay = Overlay::Verbs;
        }
    }
}

/// The tag of a record that moved, as its refusal tells it.
fn moved_to(error: &ClientError) -> Option<String> {
    match error {
        ClientError::Refused(problem) => problem.now.as_ref().map(|now| now.tag.clone()),
        _ => None,
    }
}

/// What a key was to a line that is typed.
enum Typed {
    More,
    Away,
    Whole,
}

impl PauseQuestion {
    fn add(&mut self, c: char) {
        if !acts(c) && self.reason.chars().count() < REASON_MAX {
            self.reason.push(c);
        }
    }

    fn typed(&mut self, key: KeyEvent) -> Typed {
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Esc => return Typed::Away,
            _ if self.sent => {}
            KeyCode::Enter if self.reason.trim().is_empty() => {
                self.refused = Some(
                    "say why: it stands in the journal, and in the hold that others read".into(),
                );
            }
            KeyCode::Enter => {
                (self.sent, self.refused) = (true, None);
                return Typed::Whole;
            }
            KeyCode::Backspace => {
                self.reason.pop();
            }
            KeyCode::Char('u') if !plain => self.reason.clear(),
            KeyCode::Char(c) if plain => self.add(c),
            _ => {}
        }
        Typed::More
    }
}
