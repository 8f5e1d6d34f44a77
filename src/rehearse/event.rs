//! The queue of a simulated run: events by virtual time, and by the order of their arrival where
//! two have the same time.
//!
//! The rehearsal and the simulation of `tests/simulation` both run on it. Invariant: all events of
//! a run have one order, so one scenario gives one history.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::call::{Call, Reply};
use crate::domain::id::ChangeId;
use crate::engine::{Input, Ticket};
use crate::store::DuePlace;

/// An event of a rehearsal.
pub(super) enum WorldEvent {
    Wake,
    /// The core's question for open work, answered when it is taken out.
    Scan {
        /// Changes due until then may be taken over.
        until: Timestamp,
        /// Only those behind this one.
        after: Option<DuePlace>,
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

struct Event<E> {
    at: Duration,
    number: u64,
    what: E,
}
impl<E> PartialEq for Event<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<E> Eq for Event<E> {}
impl<E> PartialOrd for Event<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Event<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Events in virtual time. What an event is, its world says.
pub struct EventQueue<E> {
    events: BinaryHeap<Reverse<Event<E>>>,
    number: u64,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { events: BinaryHeap::new(), number: 0 }
    }
}

impl<E> EventQueue<E> {
    /// Adds an event that happens at `at`, counted from the start of the run.
    pub fn push(&mut self, at: Duration, what: E) {
        self.number += 1;
        self.events.push(Reverse(Event { at, number: self.number, what }));
    }

    /// Removes the next event, and returns it with its time.
    pub fn pop(&mut self) -> Option<(Duration, E)> {
        self.events.pop().map(|Reverse(event)| (event.at, event.what))
    }
}
