//! No PUT's wire instant is outside the plan's windows, by the daemon's wall clock at that instant.

use sealift::domain::window::{Calendar, Opening};

use super::Invariant;
use crate::oracle::{Fact, Setting};

pub struct WindowAtWire {
    calendar: Calendar,
}

impl WindowAtWire {
    pub fn new(setting: &Setting<'_>) -> Self {
        Self { calendar: setting.submission.plan.calendar.clone() }
    }
}

impl Invariant for WindowAtWire {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Wire { sent, .. } = fact else { return Ok(()) };
        if !sent.call.is_write() {
            return Ok(());
        }
        match self.calendar.at(sent.times.wall) {
            Opening::Open { .. } => Ok(()),
            Opening::Shut { by, .. } => Err(format!("a PUT for {} left at {} while shut by {by:?}", sent.id, sent.times.wall)),
        }
    }
}
