//! The model of the cloud behind the trait that the shell calls: each call is a wait, a last check,
//! a way, an answer.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use sealift::cloud::{Cloud, LastCheck};
use sealift::domain::call::{Answer, Call, Disposition, Reply};
use sealift::domain::id::ChangeId;
use sealift::domain::plan::WireRules;
use sealift::domain::proof::{Endpoint, Proof};
use sealift::probe::{PROBE_WITHIN, Probe};
use sealift::rehearse::observation::Observation;
use tokio::sync::oneshot;
use tokio::time::{Duration, sleep, timeout};

use super::RunShared;
use super::bed::State;
use super::planted::RuntimeBug;
use crate::oracle::SeenFact;
use crate::scenario::{CALL_TIMEOUT, LANDING_BOUND};
use crate::world::{MS, S, unanswered};

/// Longest way to the wire: beyond what the engine grants a call.
const TO_WIRE_MAX: u64 = 8 * S;
/// A planted bug of the client meets one call in so many.
const ONE_IN: u64 = 40;

pub struct SimulatedCloud(pub RunShared);

impl Cloud for SimulatedCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        let shared = RunShared::clone(&self.0);
        async move {
            let number = {
                let mut state = shared.state();
                state.out += 1;
                state.calls += 1;
                state.calls
            };
            shared.tell(|| {
                format!(
                    "call {number} {} of {:?}",
                    call.as_str(),
                    call.target().map(|target| target.proxy_id)
                )
            });
            let reply = perform(&shared, number, call, check).await;
            shared.tell(|| format!("call {number} -> {:?}", reply.outcome));
            shared.state().out -= 1;
            reply
        }
        .boxed()
    }
}

impl Probe for SimulatedCloud {
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        _: Option<&'a WireRules>,
    ) -> BoxFuture<'a, Proof> {
        let shared = RunShared::clone(&self.0);
        async move {
            sleep(shared.draw(MS, 100 * MS)).await;
            let wall = shared.times().wall;
            let proof = shared.state().cloud.probe(wall, endpoint);
            let place =
                endpoint.host.rsplit('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
            shared.observe(|oracle, around| {
                let proxy =
                    around.cloud.proxies().nth(place).expect("a proxy of the fleet").proxy_id;
                let id = oracle.id_of_proxy(&proxy);
                oracle.observe(&Observation::Probed { id, proof: &proof }, around);
            });
            sleep(if proof.greeting.is_some() { shared.draw(MS, 100 * MS) } else { PROBE_WITHIN })
                .await;
            proof
        }
        .boxed()
    }
}

async fn perform(shared: &RunShared, number: u64, call: Call, check: LastCheck) -> Reply {
    let planted = shared.planted;
    let id = shared.state().oracle.id_of(&call);
    if planted == RuntimeBug::AnswerDropped && number.is_multiple_of(ONE_IN) {
        pending::<()>().await;
    }
    let slow = shared.happens(shared.scenario.slow_path);
    sleep(if slow { shared.draw(0, TO_WIRE_MAX) } else { shared.draw(0, 20 * MS) }).await;
    if shared.happens(shared.scenario.refuse) {
        shared.fire("connection_refused");
        not_sent(shared, &call);
        return unanswered(Disposition::NotDone, false, "connection refused");
    }
    if let Err(withheld) = check()
        && planted != RuntimeBug::NoLastCheck
    {
        shared.fire(if call.is_write() { "withheld_write" } else { "withheld_read" });
        not_sent(shared, &call);
        return unanswered(Disposition::Withheld, false, &withheld.0);
    }
    left(shared, number, &call);
    let (answer, answered) = oneshot::channel();
    // Once it has left, it arrives, whether or not anybody still waits.
    tokio::spawn(on_its_way(RunShared::clone(shared), number, call.clone(), answer));
    let mut reply = match timeout(CALL_TIMEOUT, answered).await {
        Ok(reply) => reply.expect("what has left arrives"),
        Err(_) => {
            shared.fire("given_up");
            unanswered(Disposition::Unknown, true, "no answer in time")
        }
    };
    let lost = reply.outcome.as_ref().is_err_and(|error| error.status.is_none());
    if planted == RuntimeBug::RepeatsByItself && call.is_write() && lost {
        let (answer, answered) = oneshot::channel();
        tokio::spawn(on_its_way(RunShared::clone(shared), number, call, answer));
        reply = answered.await.expect("what has left arrives");
    }
    if let Some(id) = id {
        heard(shared, number, id, &reply);
    }
    reply
}

fn not_sent(shared: &RunShared, call: &Call) {
    let now = shared.now();
    let State { oracle, .. } = &mut *shared.state();
    if let Some(id) = oracle.id_of(call) {
        oracle.see(SeenFact::NotSent { id, now });
    }
}

/// The request is at its wire instant.
fn left(shared: &RunShared, number: u64, call: &Call) {
    let drains =
        shared.state().snapshot.as_ref().is_some_and(|snapshot| snapshot.borrow().draining);
    if drains && call.is_write() {
        let target = call.target().expect("a change's call");
        shared.violate(&format!(
            "a PUT for {} left while the engine told that it drains",
            target.proxy_id
        ));
    }
    shared.observe(|oracle, around| oracle.leaves(number, call, around));
}

async fn on_its_way(shared: RunShared, number: u64, call: Call, answer: oneshot::Sender<Reply>) {
    let slow = shared.happens(shared.scenario.slow_path);
    let landing = u64::try_from(LANDING_BOUND.as_nanos()).expect("short");
    sleep(if slow { shared.draw(0, landing) } else { shared.draw(MS, 50 * MS) }).await;
    let back = shared.draw(MS, 50 * MS);
    let (reply, wait) = arrived(&shared, number, &call, back);
    sleep(wait).await;
    // The caller may have given it up.
    let _ = answer.send(reply);
}

fn arrived(shared: &RunShared, number: u64, call: &Call, back: Duration) -> (Reply, Duration) {
    let (now, wall) = (shared.now(), shared.times().wall);
    shared.state().cloud.advance(wall);
    shared.observe(|oracle, around| oracle.arrives(call, around));
    let State { oracle, cloud, .. } = &mut *shared.state();
    let arrival = cloud.arrive(wall, call);
    let wait = back + arrival.answer_after;
    let at = now + u64::try_from(wait.as_nanos()).expect("short");
    if call.target().is_some() {
        oracle.see(SeenFact::AnswerComes { ticket: number, at });
    }
    (arrival.reply, wait)
}

/// The engine learns of it in this very instant.
fn heard(shared: &RunShared, ticket: u64, id: ChangeId, reply: &Reply) {
    if let Ok(Answer::Accepted(Some(job))) = &reply.outcome {
        shared.state().read.insert(job.clone());
    }
    shared.observe(|oracle, around| {
        oracle.observe(&Observation::Answered { id, ticket, reply }, around)
    });
}
