//! No PUT's wire instant is outside the plan's windows, by the daemon's wall clock at that instant.

use sealift::domain::call::Call;
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
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Fact::Wire { call: Call::Submit { .. }, id, times, .. } = fact else { return Ok(()) };
        match self.calendar.at(times.wall) {
            Opening::Open { .. } => Ok(()),
            Opening::Shut { by, .. } => Err(format!("a PUT for {id} left at {} while shut by {by:?}", times.wall)),
        }
    }
}
