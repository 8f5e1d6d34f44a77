//! The engine: turns due work, answers and operators' verbs into commits and calls.
//!
//! Its whole contract, for whoever changes it:
//!
//! 1. **Commit before call.** A decision is committed first; the call goes out when the commit is
//!    acknowledged. A PUT's intent and a job id are synced before anything else happens to that
//!    change.
//! 2. **The commit is the claim.** It is refused when the change or its rollout moved since the
//!    decision read them; the loser reads again and decides again with the same event. A store has
//!    one daemon, so what commits nothing needs no claim.
//! 3. **One call a decision, one effect a change.** Nothing is repeated below a decision.
//! 4. **A last check where the bytes leave** ([`Fence`]): past its deadline, after an acknowledged
//!    pause, abort or halt, under the kill switch, over a paused lane, outside its window, too far
//!    from the cloud's clock, a PUT stays incomplete and counts as not sent.
//! 5. **A restart adopts.** What a crashed daemon left falls due by itself; states say what may
//!    have happened, and a PUT that may have been sent leads to a question, never to a repetition.
//! 6. **Everything is bounded**: work in hand by `max_in_flight`, reads and their repetitions by
//!    named limits, waits by named intervals.
//!
//! [`Core`] is synchronous and pure: `step(times, input) -> effects`. [`start`] wraps it in the
//! shell that performs the effects; rehearsal and simulation wrap it in their own. Deliberately not
//! here: the tables (`domain`), storage and HTTP (behind the traits of `store` and `cloud`).

mod busy_instances;
mod cloud_time;
mod core;
mod effect;
pub mod enforce;
mod fair_queue;
mod fence;
mod followed;
mod handle;
mod job_times;
mod keeping;
mod lane;
mod mark;
mod opening;
mod paged_list;
mod proxy_cache;
mod runtime;
mod slowest;
#[cfg(test)]
pub(crate) mod staged;
mod stall;
mod tallies;
mod watch;

pub use self::cloud_time::ClockStanding;
pub use self::core::probes::PROBES_MAX;
pub use self::core::{Core, Options, TAKE_OVER_MAX};
pub use self::effect::{Effect, Input, StoreAnswer, StoreQuery, Ticket};
pub use self::fence::{CheckSpec, Fence, OpenWithin, PlanRef, StopLook};
pub use self::handle::{
    ASKS_MAX, Acknowledged, AskError, Command, CommandError, Handle, LaneSnapshot, Snapshot,
    UnservedLane,
};
pub use self::lane::{Level, QuotaStanding};
pub use self::mark::KeepLevels;
pub use self::runtime::{start, start_beside_others};
pub use self::tallies::EngineTallies;
