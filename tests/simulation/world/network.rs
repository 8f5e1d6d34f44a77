//! The way of a call: the last check at the wire instant, the way to the cloud, the way back.

use sealift::domain::call::{
    Answer, Call, CallError, Disposition, JobView, ProxyStatus, ProxyView, Reply,
};
use sealift::engine::{CheckSpec, Input, Ticket};
use sealift::rehearse::observation::Observation;
use sealift::simcloud::faults::{Between, Faults, QuotaRule};

use super::{CallPoint, Kill, MS, Nanos, SimEvent, SimWorld};
use crate::oracle::SeenFact;
use crate::planted::Planted;
use crate::scenario::{CALL_TIMEOUT, DrawnScenario, LANDING_BOUND, SETTLE};

/// The cloud's faults, as a planted bug has them.
pub(super) fn planted_faults(scenario: &DrawnScenario, planted: Planted) -> Faults {
    let mut faults = scenario.faults.clone();
    match planted {
        Planted::VisibilityBeyondSettle => faults.visibility_lag = Between::exactly(SETTLE * 3),
        Planted::QuotaConfiguredTooHigh => {
            faults.quota = faults
                .quota
                .map(|quota| QuotaRule { requests: quota.requests.div_ceil(2), ..quota });
        }
        _ => {}
    }
    faults
}

impl SimWorld {
    pub(super) fn wire(
        &mut self,
        life: u32,
        ticket: Ticket,
        number: u64,
        (call, check): (Call, CheckSpec),
    ) {
        if self.daemon.life != life {
            return;
        }
        if self.killed(Kill::Call { number, at: CallPoint::BeforeWire }) {
            return self.crash(None);
        }
        let times = self.times();
        let id = self.oracle.id_of(&call).expect("a call of a change has a target");
        if self.rng.f64() < self.scenario.refuse {
            self.fire("connection_refused");
            self.oracle.see(SeenFact::NotSent { id, now: self.now });
            let reply = unanswered(Disposition::NotDone, false, "connection refused");
            return self.push_answer(0, life, ticket, number, reply);
        }
        if let Err(withheld) = self.daemon.fence.check(&check, times)
            && !self.is_let_through(&withheld.0)
        {
            if withheld.0.contains("away") {
                self.fire("withheld_away");
            }
            self.fire(if call.is_write() { "withheld_write" } else { "withheld_read" });
            self.oracle.see(SeenFact::NotSent { id, now: self.now });
            return self.push_answer(
                0,
                life,
                ticket,
                number,
                unanswered(Disposition::Withheld, false, &withheld.0),
            );
        }
        let (oracle, around) = self.watch();
        oracle.leaves(ticket, &call, &around);
        let mut way = self.rng.u64(MS..50 * MS);
        if self.rng.f64() < self.scenario.slow_path {
            way = self.rng.u64(0..LANDING_BOUND.as_nanos() as u64);
            self.fire("slow_way");
        }
        if self.planted != Planted::DoubtTimedFromDecision {
            self.push_no_answer(CALL_TIMEOUT.as_nanos() as u64, life, ticket, number);
        }
        self.push(way, SimEvent::Arrive { life, ticket, number, call: Box::new(call) });
        if self.killed(Kill::Call { number, at: CallPoint::AfterWire }) {
            self.crash(None);
        }
    }

    /// What a shell with a planted bug lets pass the last check.
    fn is_let_through(&self, withheld: &str) -> bool {
        match self.planted {
            Planted::NoLastCheck => true,
            Planted::NoWindowAtWire => withheld.contains("window"),
            Planted::NoDeadlineAtWire => withheld.contains("deadline"),
            _ => false,
        }
    }

    pub(super) fn arrive(&mut self, life: u32, ticket: Ticket, number: u64, call: &Call) {
        let now = self.cloud_now();
        self.cloud.advance(now);
        let (oracle, around) = self.watch();
        oracle.arrives(call, &around);
        let arrival = match self.planted {
            Planted::InstanceNotLocked => self.cloud.arrive(now, &self.with_real_instance(call)),
            _ => self.cloud.arrive(now, call),
        };
        let reply = self.mangle(call, arrival.reply);
        let back = self.rng.u64(MS..50 * MS)
            + u64::try_from(arrival.answer_after.as_nanos()).expect("short");
        self.oracle.see(SeenFact::AnswerComes { ticket, at: self.now + back });
        self.push_answer(back, life, ticket, number, reply);
    }

    fn with_real_instance(&self, call: &Call) -> Call {
        let mut call = call.clone();
        match &mut call {
            Call::Inspect { target }
            | Call::Submit { target, .. }
            | Call::Follow { target, .. }
            | Call::FindJobs { target, .. } => {
                let real = self
                    .fleet
                    .proxies()
                    .iter()
                    .find(|proxy| proxy.proxy_id == target.proxy_id)
                    .expect("of the fleet");
                target.instance_id = real.instance_id;
            }
            Call::Instances { .. }
            | Call::Proxies { .. }
            | Call::Jobs { .. }
            | Call::Running { .. }
            | Call::ShowJob { .. } => {}
        }
        call
    }

    fn push_answer(&mut self, after: Nanos, life: u32, ticket: Ticket, number: u64, reply: Reply) {
        self.push(after, SimEvent::Answer { life, ticket, number, reply: Box::new(reply) });
    }

    /// The client gives the call up by then; the answer itself may come earlier, or later and to
    /// nobody.
    pub(super) fn push_no_answer(&mut self, after: Nanos, life: u32, ticket: Ticket, number: u64) {
        self.push_answer(
            after,
            life,
            ticket,
            number,
            unanswered(Disposition::Unknown, true, "no answer in time"),
        );
    }

    pub(super) fn answered(&mut self, life: u32, ticket: Ticket, number: u64, reply: Reply) {
        if self.daemon.life != life {
            return;
        }
        if self.killed(Kill::Call { number, at: CallPoint::BeforeAnswer }) {
            return self.crash(None);
        }
        if let Some(id) = self.daemon.out.remove(&ticket) {
            let (oracle, around) = self.watch();
            oracle.observe(&Observation::Answered { id, ticket, reply: &reply }, &around);
        }
        self.feed(Input::Answered { ticket, reply });
        if self.killed(Kill::Call { number, at: CallPoint::AfterAnswer }) {
            self.crash(None);
        }
    }

    /// What a planted bug makes of a reply.
    fn mangle(&mut self, call: &Call, mut reply: Reply) -> Reply {
        if self.planted == Planted::CloudTimeFromOurClock {
            reply.cloud_time = reply.cloud_time.map(|_| self.times().wall);
        }
        match (self.planted, &mut reply.outcome) {
            (Planted::RetryWithoutAsking, Err(error))
                if error.disposition == Disposition::Unknown =>
            {
                error.disposition = Disposition::NotDone;
                error.status = Some(500);
            }
            (Planted::PermitFreedTooEarly, _) => reply.sent = false,
            (Planted::JobListLost, Ok(Answer::Jobs { jobs, page })) => {
                jobs.clear();
                page.total = Some(0);
            }
            (Planted::RunningJobsLeftOut, Ok(Answer::Jobs { jobs, .. }))
                if call.target().is_some() =>
            {
                let ended: Vec<_> = self
                    .cloud
                    .jobs()
                    .filter(|job| matches!(job.status, "Completed" | "Failed"))
                    .collect();
                jobs.retain(|seen| ended.iter().any(|job| job.job_id == seen.job));
            }
            (Planted::TotalOfThePage, Ok(Answer::Jobs { page, .. })) => {
                page.total = u32::try_from(page.ids.len()).ok();
            }
            (Planted::CompletedToldTooEarly, Ok(Answer::Job(view))) => *view = JobView::Completed,
            (Planted::LookAnsweredFromWish, Ok(Answer::Proxy(Some(view)))) => {
                let asked = self
                    .cloud
                    .proxy(&call.target().expect("a change's call").proxy_id)
                    .is_some_and(|proxy| proxy.executed > 0);
                if asked {
                    *view = ProxyView {
                        ssl_option: Some(true),
                        status: ProxyStatus::Idle,
                        endpoint: view.endpoint.take(),
                        word: "ACTIVE".into(),
                    };
                }
            }
            (Planted::RevertLookFromMemory, Ok(Answer::Proxy(Some(view))))
                if self.looks_before_putting_back(call) =>
            {
                *view = ProxyView {
                    ssl_option: Some(true),
                    status: ProxyStatus::Idle,
                    endpoint: view.endpoint.take(),
                    word: "ACTIVE".into(),
                };
            }
            (Planted::AnswersMixedUp, Ok(Answer::Accepted(Some(job)))) => {
                if let Some(other) = self.last_job.replace(job.clone()) {
                    *job = other;
                }
            }
            _ => {}
        }
        reply
    }
}

/// What the client makes of a call without an answer.
pub fn unanswered(disposition: Disposition, sent: bool, message: &str) -> Reply {
    let error = CallError {
        disposition,
        retry_after: None,
        status: None,
        code: None,
        request_id: None,
        message: message.to_owned(),
    };
    Reply { outcome: Err(error), request_id: None, cloud_time: None, sent, beside: Vec::new() }
}
