//! `/_emulator/`: look into the emulated cloud and change its faults while it runs.
//!
//! Invariant: nothing under this path counts as a request of the API, so looking does not disturb
//! what is counted.
//!
//! | path | answer |
//! |---|---|
//! | `GET summary` | counts, worst intervals, faults fired |
//! | `GET ledger` | the summary with every proxy and every job id handed out |
//! | `GET arrivals` | nanoseconds after the start of the latest arrivals |
//! | `GET faults` | the fault file in force, as YAML |
//! | `POST faults` | a fault file that replaces it |
//! | `GET accounts` | what came of signatures and logins |
//! | `POST accounts` | an accounts file that replaces the one in force: keys are rotated, users change their passwords |
//! | `POST revoke` | all issued tokens end at once |

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;

use super::EmulatorState;
use super::accounts::Accounts;
use super::gatekeeper::Admissions;
use crate::simcloud::faults::Faults;
use crate::simcloud::ledger::WorstInterval;
use crate::simcloud::model::{JobState, Model, ProxyState};

pub(super) fn router() -> Router<Arc<EmulatorState>> {
    Router::new()
        .route("/summary", get(summary))
        .route("/ledger", get(ledger))
        .route("/arrivals", get(arrivals))
        .route("/faults", get(faults).post(set_faults))
        .route("/accounts", get(accounts).post(set_accounts))
        .route("/revoke", post(revoke))
        .fallback(async || StatusCode::NOT_FOUND)
}

#[derive(Debug, Serialize)]
struct LedgerSummary {
    /// When it started: what all its nanoseconds count from.
    began: Timestamp,
    proxies_total: usize,
    ssl_on: usize,
    arrivals_total: u64,
    switches_total: u64,
    executed_total: u64,
    /// Proxies with more than one effective switch call: needless repetitions.
    repeated: usize,
    worst: Vec<WorstInterval>,
    fired: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct LedgerPage {
    #[serde(flatten)]
    summary: LedgerSummary,
    proxies: Vec<ProxyState>,
    jobs: Vec<JobState>,
}

fn summarise(shared: &EmulatorState, model: &Model) -> LedgerSummary {
    let ledger = model.ledger();
    LedgerSummary {
        began: shared.began.wall,
        proxies_total: model.proxies().len(),
        ssl_on: model.proxies().filter(|proxy| proxy.ssl_option).count(),
        arrivals_total: ledger.arrivals_total(),
        switches_total: ledger.switches_total(),
        executed_total: ledger.executed_total(),
        repeated: model.proxies().filter(|proxy| proxy.effective > 1).count(),
        worst: ledger.worst(),
        fired: model.fired(),
    }
}

fn look<T>(shared: &EmulatorState, f: impl FnOnce(&mut Model) -> T) -> T {
    shared.with_model(|model, now| {
        model.advance(now);
        f(model)
    })
}

async fn summary(State(shared): State<Arc<EmulatorState>>) -> Json<LedgerSummary> {
    Json(look(&shared, |model| summarise(&shared, model)))
}

async fn ledger(State(shared): State<Arc<EmulatorState>>) -> Json<LedgerPage> {
    Json(look(&shared, |model| LedgerPage {
        summary: summarise(&shared, model),
        proxies: model.proxies().collect(),
        jobs: model.jobs().collect(),
    }))
}

async fn arrivals(State(shared): State<Arc<EmulatorState>>) -> Json<Vec<u64>> {
    Json(look(&shared, |model| model.ledger().arrivals().collect()))
}

async fn faults(State(shared): State<Arc<EmulatorState>>) -> Result<String, (StatusCode, String)> {
    let faults = look(&shared, |model| model.faults().clone());
    serde_yaml::to_string(&faults)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn set_faults(
    State(shared): State<Arc<EmulatorState>>,
    text: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let faults = Faults::from_yaml(&text)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    look(&shared, |model| model.set_faults(faults));
    Ok(StatusCode::NO_CONTENT)
}

async fn accounts(State(shared): State<Arc<EmulatorState>>) -> Json<Admissions> {
    Json(shared.gatekeeper().seen().clone())
}

async fn set_accounts(
    State(shared): State<Arc<EmulatorState>>,
    text: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let accounts = Accounts::from_yaml(&text)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    shared.gatekeeper().replace(accounts);
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke(State(shared): State<Arc<EmulatorState>>) -> StatusCode {
    shared.gatekeeper().revoke();
    StatusCode::NO_CONTENT
}
