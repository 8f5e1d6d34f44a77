//! The addresses of the views.
//!
//! Invariant: every answer is a view, errors included; a view that has not changed is answered 304.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Form, Router};
use tower_http::compression::CompressionLayer;

use super::request::{PageState, ViewQuery, ViewRequest, as_views};
use super::shown::ChangesShown;
use super::state::grouped;
use super::view::change::ChangeView;
use super::view::enforcement::EnforcementsView;
use super::view::found::FoundView;
use super::view::journal::JournalView;
use super::view::lanes::LanesView;
use super::view::now::{ENTRIES, NowView};
use super::view::question::{FrozenPlan, QuestionView, TypedAnswers, look};
use super::view::rollout::{ChangePages, RolloutView, VerbButton};
use super::view::rollouts::RolloutsView;
use super::view::windows::WindowsView;
use super::{acts, assets, calendar, csv, help, plans, report, sign_in, tonight, view};
use crate::api::wire::{Listing, VerbDoc};
use crate::api::{Api, ApiError};
use crate::domain::change::State as ChangeState;
use crate::domain::id::RolloutId;
use crate::domain::people::Role;
use crate::store::ChangeFilter;

/// Rows of a page.
const ROWS: usize = 100;

/// Targets that stand beside the question of an approval.
const TARGETS: usize = 200;

/// Queued changes that stand as the next in line.
const NEXT: usize = 3;

/// The routes of the page, beside the API's.
pub fn router(api: Arc<Api>, routes: Router) -> Router {
    Router::new()
        .route("/", get(now))
        .route("/rollouts", get(rollouts))
        .route("/rollouts/{reference}", get(rollout))
        .route("/rollouts/{reference}/changes/{ordinal}", get(change))
        .route("/rollouts/{reference}/journal", get(rollout_journal))
        .route("/rollouts/{reference}/changes.csv", get(csv::changes))
        .route("/rollouts/{reference}/report", get(report::report))
        .route("/rollouts/{reference}/{verb}", get(question).post(act))
        .route("/lanes", get(lanes))
        .route("/windows", get(windows))
        .route("/enforcement", get(enforcements))
        .route("/enforcement/{name}", get(enforcement))
        .route("/journal", get(journal))
        .route("/find", get(found))
        .route("/help", get(help::help).post(help::choose))
        .route("/plans/new", get(plans::new).post(plans::check).layer(DefaultBodyLimit::disable()))
        .route("/plans/submit", post(plans::submit))
        .route("/sign-in", get(sign_in::sign_in))
        .layer(from_fn(as_views))
        .route("/assets/{file}", get(assets::asset))
        .route("/{*elsewhere}", any(elsewhere))
        .with_state(PageState { api, routes })
        .layer(CompressionLayer::new())
}

/// Where nothing is: a view for whoever reads one, and a problem for programs.
async fn elsewhere(
    uri: Uri,
    headers: HeaderMap,
    request: Result<ViewRequest, Response>,
) -> Response {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path()));
    let kinds = headers.get(ACCEPT).and_then(|kinds| kinds.to_str().ok());
    match request {
        _ if !kinds.is_some_and(|kinds| kinds.contains("text/html")) => missing().into_response(),
        Ok(request) => request.show(async |_| Err(missing())).await,
        Err(refused) => refused,
    }
}

async fn now(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let clock = asked.clock(None);
            // What cannot be read is told in its place; the rest of the view stays.
            let entries = asked.api().latest_entries(None, ENTRIES).await;
            let rows = calendar::rows(&asked.around.open, &asked.around.enforcements, &clock);
            let drawn = view::now::calendar(rows, &clock);
            let tonight = asked.api().tonight().await.ok();
            let view = NowView::new(&asked.around, entries, drawn, tonight.as_ref(), clock);
            Ok(asked.answer(&view))
        })
        .await
}

async fn rollouts(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let after = asked.query.after.as_deref().map(str::parse::<RolloutId>).transpose();
            let after = after.map_err(|_| {
                ApiError::bad("`after` is the place of another page; begin again at /rollouts")
            })?;
            let page = asked.api().rollout_rows(after, ROWS).await?;
            Ok(asked.answer(&RolloutsView::new(&asked.around, page, asked.clock(None))))
        })
        .await
}

async fn rollout(Path(reference): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let (stored, document) = asked.api().rollout(&reference).await?;
            let clock = asked.clock(document.time_zone.as_deref());
            let after = asked.query.after.as_deref().map(str::parse::<u32>).transpose();
            let after = after.map_err(|_| {
                ApiError::bad("`after` is the place of another page; begin again without it")
            })?;
            let shown = ChangesShown::of(&asked.query);
            let filter = shown.filter(&stored.plan)?;
            let groups = if shown.state.is_empty() {
                let tally = document.tally;
                let active = ChangeState::ACTIVE.map(str::to_owned).to_vec();
                let word = |words: &[&str]| {
                    words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
                };
                let mut groups: Vec<(Option<&'static str>, Listing<_>)> = Vec::new();
                for (title, count, words, limit) in [
                    (
                        "In flight, followed to their end whatever is paused",
                        tally.active,
                        active,
                        ROWS,
                    ),
                    (
                        "Wants a person",
                        tally.failed + tally.in_doubt,
                        word(&["failed", "in_doubt"]),
                        ROWS,
                    ),
                    ("Left alone", tally.skipped, word(&["skipped"]), ROWS),
                    ("Next in line", tally.queued, word(&["queued"]), NEXT),
                ] {
                    if count > 0 {
                        let filter = ChangeFilter { words, ..filter.clone() };
                        let page = asked.api().changes_fitting(&stored, filter, None, limit);
                        groups.push((Some(title), page.await?));
                    }
                }
                groups
            } else {
                vec![(None, asked.api().changes_fitting(&stored, filter, after, ROWS).await?)]
            };
            let drawn = if document.is_final {
                String::new()
            } else {
                let (from, to) = tonight::stretch(&document, &stored.plan, &clock);
                match asked.api().timeline(&stored, &document, from, to).await {
                    Ok(known) => tonight::tonight(&document, &stored.plan, &known, &clock),
                    Err(error) => tonight::unknown(&error.problem().detail),
                }
            };
            let verbs = buttons(asked.api().possible(&stored, &asked.around.caller).verbs, asked);
            let view = RolloutView::new(
                &asked.around,
                document,
                verbs,
                &shown,
                ChangePages { groups, done: done(&asked.query) },
                drawn,
                clock,
            );
            Ok(asked.answer(&view))
        })
        .await
}

async fn change(
    Path((reference, ordinal)): Path<(String, String)>,
    request: ViewRequest,
) -> Response {
    request
        .show(async |asked| {
            let (stored, document) = asked.api().rollout(&reference).await?;
            let missing = || {
                ApiError::new(
                    StatusCode::NOT_FOUND,
                    format!("{} has {} changes, from 0 on", stored.plan.name, stored.targets),
                )
            };
            let ordinal: u32 = ordinal.parse().map_err(|_| missing())?;
            let row = asked.api().change_row(&stored, ordinal).await?.ok_or_else(missing)?;
            let story = asked.api().story(&stored, ordinal).await;
            let clock = asked.clock(document.time_zone.as_deref());
            Ok(asked.answer(&ChangeView::new(&asked.around, document, row, story, clock)))
        })
        .await
}

async fn lanes(request: ViewRequest) -> Response {
    request
        .show(async |asked| Ok(asked.answer(&LanesView::new(&asked.around, asked.clock(None)))))
        .await
}

async fn windows(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let clock = asked.clock(None);
            let drawn = view::now::calendar(
                calendar::rows(&asked.around.open, &asked.around.enforcements, &clock),
                &clock,
            );
            let listed = calendar::listed(&asked.around.open, &clock);
            Ok(asked.answer(&WindowsView::new(&asked.around, drawn, listed, clock)))
        })
        .await
}

async fn enforcements(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let found = asked.around.enforcements.clone();
            Ok(asked.answer(&EnforcementsView::new(&asked.around, found, asked.clock(None))))
        })
        .await
}

async fn enforcement(Path(name): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let found = asked.api().enforcement_named(&name).await?;
            let clock = asked.clock(Some(&found.time_zone));
            Ok(asked.answer(&EnforcementsView::new(&asked.around, vec![found], clock)))
        })
        .await
}

async fn found(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let begins = asked.query.begins.clone().unwrap_or_default();
            let found = asked.api().search(&begins).await?;
            Ok(asked.answer(&FoundView::new(&asked.around, &begins, found, asked.clock(None))))
        })
        .await
}

async fn journal(request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let entries = asked.api().latest_entries(asked.query.before, ROWS).await?;
            let next = entries
                .last()
                .filter(|last| last.seq > 1)
                .map(|last| format!("/journal?before={}", last.seq));
            Ok(asked.answer(&JournalView::new(
                &asked.around,
                None,
                &entries,
                next,
                asked.clock(None),
            )))
        })
        .await
}

async fn rollout_journal(Path(reference): Path<String>, request: ViewRequest) -> Response {
    request
        .show(async |asked| {
            let (stored, document) = asked.api().rollout(&reference).await?;
            let after = asked.query.after.as_deref().unwrap_or("0").parse::<u64>();
            let after = after.map_err(|_| {
                ApiError::bad("`after` is the place of another page; begin again without it")
            })?;
            let entries = asked.api().entries_of(&stored, after, ROWS).await?;
            let next = entries.last().filter(|_| entries.len() == ROWS);
            let next =
                next.map(|last| format!("/rollouts/{}/journal?after={}", document.id, last.seq));
            let clock = asked.clock(document.time_zone.as_deref());
            let of = (document.name.clone(), document.id.clone());
            Ok(asked.answer(&JournalView::new(&asked.around, Some(of), &entries, next, clock)))
        })
        .await
}

/// What was just done, as the address of the view says it.
fn done(query: &ViewQuery) -> Option<String> {
    if query.done.as_deref() == Some("submit") {
        return Some("Submitted. It begins as soon as its plan lets it.".to_owned());
    }
    let verb = acts::VERBS.into_iter().find(|verb| Some(*verb) == query.done.as_deref())?;
    Some(match query.entry {
        Some(entry) => format!("Done: {verb}. It is entry {} of the journal.", grouped(&entry)),
        None => format!("Done: {verb}."),
    })
}

/// The verbs as buttons: none for whoever may only read.
fn buttons(verbs: Vec<VerbDoc>, asked: &ViewRequest) -> Vec<VerbButton> {
    let may = &asked.around.caller.may;
    if !may.has(Role::Operate) && !may.has(Role::Approve) {
        return Vec::new();
    }
    let shown = verbs.into_iter().filter(|verb| {
        !verb.in_doubt
            && (verb.verb != "approve" || verb.possible)
            && (verb.verb != "resolve" || verb.possible)
    });
    let button = |verb: VerbDoc| {
        let (icon, label, class) = look(&verb.verb);
        VerbButton {
            label: format!("{label}…"),
            icon,
            class,
            why_not: verb.why_not,
            verb: verb.verb,
        }
    };
    shown.map(button).collect()
}

/// A verb's question, with what was typed where it was sent back.
async fn asks(
    asked: &ViewRequest,
    reference: &str,
    verb: &str,
    typed: TypedAnswers,
    said: Option<String>,
) -> Result<QuestionView, ApiError> {
    let nothing = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!(
                "there is no verb `{}`; there are {}",
                verb.escape_debug(),
                acts::VERBS.join(", ")
            ),
        )
    };
    let (stored, document) = asked.api().rollout(reference).await?;
    let found = asked.api().possible(&stored, &asked.around.caller);
    let known = found
        .verbs
        .into_iter()
        .find(|known| known.verb == verb && !known.in_doubt)
        .ok_or_else(nothing)?;
    let clock = asked.clock(document.time_zone.as_deref());
    let frozen = if known.asks.digest.is_some() {
        let targets = asked.api().change_rows(&stored, Vec::new(), None, TARGETS).await?.rows;
        let keys = stored.plan.written.keys();
        let keys = keys.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        Some(FrozenPlan { keys, targets })
    } else {
        None
    };
    Ok(QuestionView::new(&asked.around, document, known, found.tag, (typed, said), frozen, clock))
}

async fn question(
    Path((reference, verb)): Path<(String, String)>,
    request: ViewRequest,
) -> Response {
    request
        .show(async |asked| {
            Ok(asked.answer(&asks(asked, &reference, &verb, TypedAnswers::default(), None).await?))
        })
        .await
}

async fn act(
    Path((reference, verb)): Path<(String, String)>,
    request: ViewRequest,
    Form(typed): Form<TypedAnswers>,
) -> Response {
    request
        .show(async |asked| {
            let (_, document) = asked.api().rollout(&reference).await?;
            let clock = asked.clock(document.time_zone.as_deref());
            match acts::act(
                asked.page.routes.clone(),
                asked.around.caller.clone(),
                &document.id,
                &verb,
                &typed,
                &clock,
            )
            .await
            {
                Ok(done) => Ok(Redirect::to(&match done.seq {
                    Some(seq) => {
                        format!("/rollouts/{}?done={}&entry={seq}", document.id, done.verb)
                    }
                    None => format!("/rollouts/{}?done={}", document.id, done.verb),
                })
                .into_response()),
                Err(refused) => {
                    let view =
                        asks(asked, &reference, &verb, typed.clone(), Some(refused.detail)).await?;
                    Ok((refused.status, asked.answer(&view)).into_response())
                }
            }
        })
        .await
}
