//! The queue of what happens next, by virtual time and then by the order in which it was put in.
//!
//! Invariant: one order for all that happens, so one scenario is one history.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::call::{Call, Reply};
use crate::domain::id::ChangeId;
use crate::engine::{Input, Ticket};

pub(super) enum WorldEvent {
    Wake,
    /// The core's question for open work, answered when it is taken out.
    Scan {
        /// Changes due until then may be taken over.
        until: Timestamp,
    },
    /// Something reaches the core.
    Feed(Box<Input>),
    /// A call reaches the cloud; `id`: the change that makes it, if it is one's.
    Arrive {
        ticket: Ticket,
        id: Option<ChangeId>,
        sent: Duration,
        call: Box<Call>,
    },
    /// An answer reaches the core, or the call is given up.
    Answer {
        ticket: Ticket,
        id: Option<ChangeId>,
        reply: Box<Reply>,
    },
    /// The daemon is killed.
    Crash,
    Start,
}

struct Event {
    at: Duration,
    number: u64,
    life: u32,
    what: WorldEvent,
}
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Default)]
pub(super) struct EventQueue {
    events: BinaryHeap<Reverse<Event>>,
    number: u64,
}

impl EventQueue {
    /// Something will happen at `at`, in this life of the daemon.
    pub(super) fn push(&mut self, at: Duration, life: u32, what: WorldEvent) {
        self.number += 1;
        self.events.push(Reverse(Event { at, number: self.number, life, what }));
    }

    /// What happens next: when, in which life of the daemon it was begun, and what.
    pub(super) fn pop(&mut self) -> Option<(Duration, u32, WorldEvent)> {
        self.events.pop().map(|Reverse(event)| (event.at, event.life, event.what))
    }
}
