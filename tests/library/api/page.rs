//! The operator's page over the real engine: every view, its verbs, and what hostile texts become
//! on it.

use std::sync::Arc;

use jiff::SignedDuration;
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use sealift::api;
use sealift::clock::Clock as _;
use sealift::domain::people::Role;
use sealift::store::Submission;
use sealift::store::sled::{SledOptions, SledStore};
use serde_json::json;

use super::people::{reader_of, world_of_ada, world_of_nobody};
use super::world::{ApiWorld, plan, targets};

/// A world with a rollout of two waves that is paused by hand while nothing can move.
async fn paused() -> (ApiWorld, String) {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    let waves =
        "strategy: {max_in_flight: 1, waves: [{name: one, size: 1}, {name: two, size: rest}]}\n";
    let submitted = world.submit(&plan("night", &targets('a', 3), waves)).await;
    let id = submitted.json["id"].as_str().expect("an id").to_owned();
    world.until("/v1/rollouts/night", |answered| answered.json["tally"]["active"] == 1).await;
    assert_eq!(
        world.post("/v1/rollouts/night/pause", json!({"reason": "a look at gold"})).await.status,
        StatusCode::OK
    );
    (world, id)
}

/// The value of the hidden field of this name.
fn hidden(html: &str, name: &str) -> String {
    let field = html.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field");
    field.split('"').next().expect("its value").to_owned()
}

#[tokio::test]
async fn every_view_says_how_it_stands() {
    let (world, id) = paused().await;
    let now = world.view("/").await;
    assert!(ApiWorld::new().await.view("/").await.contains("Lanes"), "before anything began");
    for said in [
        "Nothing new begins until a person does something",
        "Wants a person",
        "a look at gold",
        "night",
        "lab",
        "Tonight",
    ] {
        assert!(now.contains(said), "{said}: {now}");
    }
    let rollout = world.view("/rollouts/night").await;
    for said in [
        "Nothing new begins: paused",
        "a look at gold",
        "sealift resume night",
        "1 one",
        "2 two",
        "SSL on",
        "advancing, paused",
    ] {
        assert!(rollout.contains(said), "{said}: {rollout}");
    }
    assert!(
        rollout.contains(&format!("href=\"/rollouts/{id}/resume\"")),
        "what may be done is a link"
    );
    assert!(
        rollout.contains("aria-disabled=\"true\" title=\""),
        "what may not is shown with its reason"
    );
    for (path, said) in [
        ("/rollouts", "night"),
        ("/rollouts/night?state=queued", "paused"),
        ("/rollouts/night?state=all", "a0000000"),
        ("/rollouts/night/changes/0", "The whole story"),
        ("/rollouts/night/journal", "released"),
        ("/lanes", "lab"),
        ("/windows", "it may begin at any time"),
        ("/enforcement", "Nothing is enforced"),
        ("/journal", "a look at gold"),
    ] {
        let view = world.get(path).await;
        assert_eq!(view.status, StatusCode::OK, "{path}");
        let html = view.json.as_str().expect("a view");
        assert!(html.contains(said), "{path} does not say {said}: {html}");
        assert!(
            !html.contains("style=\"") && !html.contains(" onclick"),
            "{path}: the policy refuses it"
        );
    }
}

#[tokio::test]
async fn the_story_of_a_change_is_told_from_its_journal() {
    let world = ApiWorld::new().await;
    world.submit(&plan("told", &targets('a', 2), "")).await;
    world.until("/v1/rollouts/told", |answered| answered.json["phase"] == "completed").await;
    let story = world.view("/rollouts/told/changes/1").await;
    let places: Vec<usize> = [
        "Released",
        "Looks at the proxy",
        "Switch sent",
        "Accepted: the job id is saved",
        "Job completed",
        "Effective",
    ]
    .iter()
    .map(|title| {
        story
            .find(&format!("<h3>{title}</h3>"))
            .unwrap_or_else(|| panic!("{title} is missing: {story}"))
    })
    .collect();
    assert!(places.is_sorted(), "in the order in which it happened: {places:?}");
    assert!(story.contains("data-copy=\"job-0001\"") && story.contains("data-copy=\"req-1\""));
    assert!(story.contains("SSL <b>off → on</b>"));
}

#[tokio::test]
async fn a_verb_is_asked_and_then_done_and_a_record_that_moved_is_left_alone() {
    let (world, id) = paused().await;
    let question = world.view("/rollouts/night/resume").await;
    assert!(
        question.contains("Resume night?") && question.contains("it goes on: advancing"),
        "{question}"
    );
    let tag = hidden(&question, "tag");
    let (done, leads) =
        world.fill("/rollouts/night/resume", &[("tag", &tag), ("reason", "seen")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    let leads = leads.expect("an address");
    assert!(leads.starts_with(&format!("/rollouts/{id}?done=resume&entry=")), "{leads}");
    assert!(
        world.view(&leads).await.contains("Done: resume. It is entry "),
        "success names its entry"
    );
    assert_eq!(world.get("/v1/rollouts/night").await.json.get("paused"), None);

    // A second form of the same record, from another tab.
    let (late, leads) =
        world.fill("/rollouts/night/pause", &[("tag", &tag), ("reason", "too late")]).await;
    assert_eq!((late.status, leads), (StatusCode::PRECONDITION_FAILED, None));
    let html = late.json.as_str().expect("a view");
    assert!(
        html.contains("has moved since it was looked at, and nothing was done")
            && html.contains("value=\"too late\""),
        "{html}"
    );
    assert_eq!(world.get("/v1/rollouts/night").await.json.get("paused"), None, "nothing was done");
    let (without, _) = world.fill("/rollouts/night/pause", &[("reason", "no tag")]).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST, "{without:?}");
}

#[tokio::test]
async fn what_switches_off_wants_the_plans_name_typed() {
    let world = ApiWorld::new().await;
    let waves =
        "strategy: {waves: [{name: one, size: 1, promote: manual}, {name: two, size: rest}]}\n";
    world.submit(&plan("dark", &targets('a', 2), waves)).await;
    world.until("/v1/rollouts/dark", |answered| answered.json["phase"] == "awaiting").await;
    let question = world.view("/rollouts/dark/revert").await;
    assert!(question.contains("This switches SSL off. Type the plan’s name"), "{question}");
    let tag = hidden(&question, "tag");
    for typed in ["", "darkness"] {
        let (refused, _) = world
            .fill(
                "/rollouts/dark/revert",
                &[("tag", &tag), ("reason", "outage"), ("confirm", typed)],
            )
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{typed}: {refused:?}");
        assert!(
            refused.json.as_str().is_some_and(|html| html.contains("value=\"outage\"")),
            "what was typed stays"
        );
    }
    assert!(world.cloud.shows('a', 0), "nothing is put back");
    let (done, _) = world
        .fill("/rollouts/dark/revert", &[("tag", &tag), ("reason", "outage"), ("confirm", "dark")])
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    world.until("/v1/rollouts/dark", |answered| answered.json["phase"] == "reverted").await;
}

#[tokio::test]
async fn a_reader_finds_no_verb_and_cannot_act_by_hand() {
    let operator = world_of_ada(&[Role::Operate]).await;
    operator.cloud.busy(true);
    operator.submit(&plan("mine", &targets('a', 1), "")).await;
    let found = operator.view("/rollouts/mine").await;
    assert!(found.contains("/pause\" data-question"), "who operates finds the verb: {found}");

    assert_eq!(
        operator
            .post("/v1/rollouts/mine/pause", json!({"reason": "the reader's turn"}))
            .await
            .status,
        StatusCode::OK
    );
    let reader = reader_of(operator.store.clone()).await;
    let now = reader.view("/").await;
    assert!(now.contains("the reader’s turn") || now.contains("the reader&#39;s turn"), "{now}");
    assert!(!now.contains("data-question\">") && !now.contains("/resume\""), "{now}");
    let view = reader.view("/rollouts/mine").await;
    assert!(
        view.contains("<b>ada</b><small>read</small>") && view.contains("To act takes the role"),
        "{view}"
    );
    for verb in ["pause", "resume", "abort", "revert"] {
        assert!(!view.contains(&format!("/{verb}\"")), "{verb}: {view}");
    }
    let question = reader.view("/rollouts/mine/abort").await;
    assert!(
        question.contains("It cannot be done now") && !question.contains("<form method=\"post\""),
        "{question}"
    );
    let tag = reader.get("/v1/rollouts/mine").await.json["tag"].as_str().expect("a tag").to_owned();
    let (refused, _) =
        reader.fill("/rollouts/mine/abort", &[("tag", &tag), ("reason", "by hand")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert_eq!(reader.get("/v1/rollouts/mine").await.json.get("aborted"), None, "nothing was done");
}

#[tokio::test]
async fn hostile_texts_are_text_on_every_view() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    let hostile = "version: 1\nname: odd\nssl_option: true\ndescription: \"<script>alert(1)</script>\"\nchange_ref: \"<b>\\\"'&\"\nowner: \"a\u{202e}b\"\n";
    world.submit(&format!("{hostile}targets:\n  list:\n{}", targets('a', 2))).await;
    let reason = "<img src=x onerror=alert(1)>\u{202e}\u{7}";
    assert_eq!(
        world.post("/v1/rollouts/odd/pause", json!({"reason": reason})).await.status,
        StatusCode::OK
    );
    world.cloud.busy(false);
    world.submit(&plan("cloud", &targets('e', 2), "strategy: {max_failures: 1}\n")).await;
    world.until("/v1/rollouts/cloud", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(world.post("/v1/stop", json!({"reason": reason})).await.status, StatusCode::OK);
    for said in ["&#60;img src=x onerror=alert(1)&#62; no", "Everything is stopped"] {
        let story = world.view("/rollouts/cloud/changes/0").await;
        assert!(story.contains(said), "{said}: {story}");
    }
    for path in [
        "/",
        "/rollouts",
        "/rollouts/odd",
        "/rollouts/odd/journal",
        "/journal",
        "/rollouts/odd/resume",
        "/rollouts/odd/changes/0",
        "/rollouts/odd/report",
        "/rollouts/cloud",
        "/rollouts/cloud?state=failed",
        "/rollouts/cloud/changes/0",
        "/rollouts/cloud/report",
        "/rollouts/cloud/retry",
        "/lanes",
        "/windows",
        "/find?begins=e0000000",
    ] {
        let html = world.view(path).await;
        for bad in ["<script>alert", "<img src=x", "<b>\"'&", "\u{202e}", "\u{7}"] {
            assert!(!html.contains(bad), "{path} holds {bad:?}");
        }
    }
    assert!(
        world.view("/rollouts/odd").await.contains("&#60;script&#62;alert(1)&#60;/script&#62;"),
        "it is shown, as text"
    );
    for path in
        ["/rollouts/%3Cscript%3E", "/rollouts/odd?state=%3Cscript%3E", "/find?begins=%3Cscript%3E"]
    {
        let html = world.view(path).await;
        assert!(!html.contains("<script>"), "{path}: {html}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_view_with_a_next_step() {
    let (world, _) = paused().await;
    for (path, status, said) in [
        ("/rollouts/nobody", StatusCode::NOT_FOUND, "no rollout is named"),
        ("/rollouts/nigth", StatusCode::NOT_FOUND, "did you mean"),
        ("/rollouts/night/changes/77", StatusCode::NOT_FOUND, "night has 3 changes"),
        ("/rollouts/night/explode", StatusCode::NOT_FOUND, "there is no verb"),
        ("/rollouts/night?state=fialed", StatusCode::BAD_REQUEST, "did you mean `failed`?"),
        ("/rollouts/night?after=x", StatusCode::BAD_REQUEST, "begin again"),
        ("/rollouts?after=x", StatusCode::BAD_REQUEST, "begin again"),
        ("/enforcement/night", StatusCode::NOT_FOUND, "night"),
    ] {
        let view = world.get(path).await;
        let html = view.json.as_str().unwrap_or_else(|| panic!("{path} is no view: {view:?}"));
        assert_eq!(view.status, status, "{path}");
        assert!(html.contains(said) && html.contains("href=\"/rollouts\""), "{path}: {html}");
    }
}

#[tokio::test]
async fn whatever_is_refused_before_a_view_is_a_view_too() {
    let (world, _) = paused().await;
    for (path, said) in [("/rollouts?stat=failed", "unknown field"), ("/?before=soon", "before")] {
        let view = world.get(path).await;
        let html = view.json.as_str().unwrap_or_else(|| panic!("{path} is no view: {view:?}"));
        assert_eq!(view.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(html.contains(said) && html.contains("href=\"/rollouts\""), "{path}: {html}");
    }
    let broken = world.get("/rollouts/%ff").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert!(broken.json.as_str().is_some_and(|html| html.contains("<h1>")), "{broken:?}");
    let form = "application/x-www-form-urlencoded";
    let typed = world.typed(Method::POST, "/rollouts/night/pause", form, "until=%ff&until=1").await;
    assert!(typed.status.is_client_error());
    assert!(typed.json.as_str().is_some_and(|html| html.contains("<h1>")), "{typed:?}");
    let program = world.get("/v1/nothing").await;
    assert_eq!(
        (program.status, program.json["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("not_found"))
    );

    let nobody = world_of_nobody().await;
    for path in ["/", "/rollouts", "/rollouts/night/pause"] {
        let view = nobody.get(path).await;
        let html = view.json.as_str().unwrap_or_else(|| panic!("{path} is no view: {view:?}"));
        assert_eq!(view.status, StatusCode::FORBIDDEN, "{path}");
        assert!(html.contains("takes the role `read`") && !html.contains("<nav"), "{path}: {html}");
    }
}

/// The parts of a page that follow this one.
fn after<'a>(html: &'a str, part: &str) -> &'a str {
    html.split_once(part).unwrap_or_else(|| panic!("no {part} in {html}")).1
}

#[tokio::test]
async fn a_report_tells_failures_first_who_decided_and_what_proves_it() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    let list = targets('a', 5) + &targets('f', 1);
    let submitted = world.submit(&plan("told", &list, "strategy: {max_failures: 3}\n")).await;
    let id = submitted.json["id"].as_str().expect("an id").to_owned();
    let pause = json!({"reason": "a look at gold"});
    assert_eq!(world.post("/v1/rollouts/told/pause", pause).await.status, StatusCode::OK);
    assert_eq!(world.post("/v1/rollouts/told/resume", json!({})).await.status, StatusCode::OK);
    world.cloud.busy(false);
    world.until("/v1/rollouts/told", |answered| answered.json["phase"] == "completed").await;

    let whole = world.view("/rollouts/told/report").await;
    assert!(whole.contains("5 of 6 changes are done, each as the API shows."), "{whole}");
    let night = after(&whole, "href=\"?night=").split('"').next().expect("a date");
    let one = world.view(&format!("/rollouts/told/report?night={night}")).await;
    assert!(one.contains("5 of 6 changes that began are done"), "{one}");
    for html in [&whole, &one] {
        let wrong = after(html, "Not as planned").split("</table>").next().expect("a table");
        assert!(wrong.contains("every one of them, 1") && wrong.contains("refused for good"));
        assert!(wrong.contains(&format!("href=\"/rollouts/{id}/changes/5\"")), "{wrong}");
        assert!(wrong.contains(&format!("href=\"/rollouts/{id}/retry\"")), "{wrong}");
        let decided = after(html, "Who decided what").split("</table>").next().expect("a table");
        let places = ["submitted", "paused", "a look at gold", "resumed"];
        let places = places.map(|said| decided.find(said).unwrap_or_else(|| panic!("{decided}")));
        assert!(places.is_sorted(), "in their order: {decided}");
        let proven = after(html, "What is proven");
        assert!(proven.contains("<b>5</b>accepted") && proven.contains("<b>5</b>effective"));
        assert!(proven.contains("/journal?after=0\""), "its entries are named: {proven}");
        let paper = after(html, "<p class=\"paper\">");
        assert!(paper.contains(&format!("sealift/rollouts/{id}/report")), "{paper}");
    }
    // A program reads the same.
    let document = world.get(&format!("/v1/rollouts/told/report?night={night}")).await.json;
    let told = document["text"].as_str().expect("a sentence");
    assert!(one.contains(told) && told.starts_with("5 of 6 changes that began"), "{document}");
    let counts = json!({"well": 5, "failed": 1, "in_doubt": 0, "left": 0, "moving": 0});
    assert_eq!((&document["counts"], &document["waves"][0]["counts"]), (&counts, &counts));
    assert_eq!(document["unplanned"][0]["change"]["ordinal"], 5, "{document}");
    let decided: Vec<_> = (0..3).map(|n| &document["decisions"][n]["entry"]["why"]).collect();
    assert!(decided[1].as_str().is_some_and(|why| why.contains("a look at gold")), "{decided:?}");
    assert_eq!((&document["nights"][0]["well"], document.get("left_out")), (&json!(5), None));
    assert_eq!(document["entries"]["first"], 1, "{document}");
    let whole = world.get("/v1/rollouts/told/report").await.json;
    assert_eq!((&whole["counts"], whole.get("night")), (&counts, None), "{whole}");
    let other = world.get("/v1/rollouts/told/report?night=1999-01-01").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let other = world.get("/rollouts/told/report?night=1999-01-01").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert!(
        other.json.as_str().is_some_and(|html| html.contains(night)),
        "it names those there are"
    );

    world.clock.set(world.clock.times().wall + SignedDuration::from_hours(49));
    let again = world.view(&format!("/rollouts/told/report?night={night}")).await;
    assert!(again.contains("rel=\"next\"") && again.contains("refused for good"), "{again}");
}

#[tokio::test]
async fn a_night_tells_what_was_put_right_in_a_later_one() {
    let world = ApiWorld::new().await;
    world.cloud.refuse(true);
    let strategy = "strategy: {max_failures: 1}\n";
    world.submit(&plan("mended", &targets('a', 1), strategy)).await;
    world.until("/v1/rollouts/mended", |answered| answered.json["phase"] == "halted").await;
    let whole = world.view("/rollouts/mended/report").await;
    let night = after(&whole, "href=\"?night=").split('"').next().expect("a date").to_owned();
    world.clock.set(world.clock.times().wall + SignedDuration::from_hours(49));
    world.cloud.refuse(false);
    let retried = world.post("/v1/rollouts/mended/retry", json!({"reason": "mended"})).await;
    assert_eq!(retried.status, StatusCode::OK, "{retried:?}");
    world.until("/v1/rollouts/mended", |answered| answered.json["phase"] == "completed").await;
    let first = world.view(&format!("/rollouts/mended/report?night={night}")).await;
    let wrong = after(&first, "Not as planned").split("</table>").next().expect("a table");
    assert!(wrong.contains("Since then: succeeded.") && wrong.contains("</svg> failed"), "{wrong}");
    assert!(!after(&first, "Who decided what").contains("mended</td>"), "decided later");
    assert!(world.view("/rollouts/mended/report").await.contains("Nothing: no change failed"));
}

#[tokio::test]
async fn an_approval_is_for_the_plan_that_was_shown() {
    // Somebody else submitted it: who tests would not be let.
    let world = ApiWorld::new().await;
    let rest = "approval: {required: 1}\nowner: dba\n";
    let file = world.folder.path().join("asked.yaml");
    std::fs::write(&file, plan("asked", &targets('a', 3), rest)).expect("a file");
    let loaded = sealift::planfile::load(&file).expect("a plan");
    let (by, at) = ("alice".into(), world.clock.times().wall);
    let (plan, targets) = (loaded.plan, loaded.targets);
    let submission = Submission { plan, targets, by, at, note: String::new() };
    let submitted = world.handle.submit(submission).await.expect("a rollout");
    let id = submitted.id.to_string();
    let question = world.view("/rollouts/asked/approve").await;
    let digest = world.get("/v1/rollouts/asked").await.json["approval"]["digest"].clone();
    let digest = digest.as_str().expect("a digest").to_owned();
    for said in ["approval.required", "<code>dba</code>", "3 targets", "a0000000", digest.as_str()]
    {
        assert!(question.contains(said), "{said}: {question}");
    }
    let (tag, shown) = (hidden(&question, "tag"), hidden(&question, "digest"));
    assert_eq!(shown, digest);
    let path = format!("/rollouts/{id}/approve");
    let other = "0".repeat(64);
    let (refused, _) = world.fill(&path, &[("tag", &tag), ("digest", &other)]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    let moved = "0".repeat(64);
    let (refused, _) = world.fill(&path, &[("tag", &moved), ("digest", &digest)]).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{refused:?}");
    let said = refused.json.as_str().expect("a view");
    assert!(said.contains("nothing was done") && said.contains(&digest), "{said}");
    let given = world.get("/v1/rollouts/asked").await.json["approval"]["given"].clone();
    assert_eq!(given, json!([]), "nobody has approved it");
    let (done, leads) = world.fill(&path, &[("tag", &tag), ("digest", &digest)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    assert!(leads.is_some_and(|leads| leads.contains("done=approve")));
}

/// A form of `/plans/new`.
fn plan_form(fields: &[(&str, &str)]) -> Form {
    fields
        .iter()
        .fold(Form::new(), |form, (name, text)| form.text((*name).to_owned(), (*text).to_owned()))
}

#[tokio::test]
async fn a_plan_is_mended_by_its_fixes_and_submitted_as_it_was_checked() {
    let world = ApiWorld::new().await;
    assert!(world.view("/").await.contains("href=\"/plans/new\""));
    let empty = world.upload("/plans/new", plan_form(&[("text", " ")])).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(empty.json.as_str().is_some_and(|html| html.contains("paste its text")), "{empty:?}");

    let wrong = plan("mended", &targets('a', 2), "strategy: {max_inflight: 2}\nownr: <b>dba</b>\n");
    let checked =
        world.upload("/plans/new", plan_form(&[("name", "p.yaml"), ("text", &wrong)])).await;
    assert_eq!(checked.status, StatusCode::UNPROCESSABLE_ENTITY, "{checked:?}");
    let html = checked.json.as_str().expect("a view");
    for said in
        ["2 mistakes in p.yaml", "<mark>max_inflight</mark>", "max_in_flight", "Apply every fix"]
    {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(!html.contains("<b>dba</b>"), "text is text");
    let fix = after(html, "name=\"fix\" value=\"").split('"').next().expect("a fix");
    let fix = fix.replace("&#34;", "\"").replace("&#39;", "'");
    let fields = [("name", "p.yaml"), ("text", wrong.as_str()), ("fix", fix.as_str())];
    let mended = world.upload("/plans/new", plan_form(&fields)).await;
    assert_eq!(mended.status, StatusCode::OK, "{mended:?}");
    let html = mended.json.as_str().expect("a view");
    for said in ["What it would do", "2 proxies on 2 instances", "max_in_flight: 2"] {
        assert!(html.contains(said), "{said}: {html}");
    }
    let digest = hidden(html, "digest");
    assert_eq!(world.get("/v1/rollouts").await.json["rows"], json!([]), "nothing begins by itself");
    let (refused, _) =
        world.fill("/plans/submit", &[("digest", &"0".repeat(64)), ("text", "x: 1")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(
        refused
            .json
            .as_str()
            .is_some_and(|html| html.contains("check it again") && html.contains("x: 1"))
    );
    let (done, leads) = world.fill("/plans/submit", &[("digest", &digest)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    let leads = leads.expect("an address");
    assert!(world.view(&leads).await.contains("Submitted."), "{leads}");

    // A file goes before the text, and what it names comes beside it; fields without a file are
    // none.
    let none = || Part::bytes(Vec::new()).file_name("");
    let named = "version: 1\nname: filed\nssl_option: false\ntargets: {files: [fleet.csv]}\n";
    let file = |text: &str, name: &str| Part::text(text.to_owned()).file_name(name.to_owned());
    let fleet = format!("lane,instance_id,proxy_id\nlab,b{:031x}in07,b{:031x}po01\n", 0, 0);
    let form =
        Form::new().part("plan", file(named, "off.yaml")).part("file", file(&fleet, "fleet.csv"));
    let form = form.part("discovered", none()).text("text", "junk");
    let checked = world.upload("/plans/new", form).await;
    let html = checked.json.as_str().expect("a view");
    assert!(html.contains("This switches SSL off. Type the plan’s name"), "{html}");
    let digest = hidden(html, "digest");
    for typed in ["", "file"] {
        let (refused, _) =
            world.fill("/plans/submit", &[("digest", &digest), ("confirm", typed)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{typed}");
    }
    let (done, _) = world.fill("/plans/submit", &[("digest", &digest), ("confirm", "filed")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    assert!(world.spool().is_empty(), "nothing of an upload is left");

    let reader = reader_of(world.store.clone()).await;
    let checked = reader
        .upload("/plans/new", plan_form(&[("text", &plan("other", &targets('c', 1), ""))]))
        .await;
    let html = checked.json.as_str().expect("a view");
    assert!(
        html.contains("To submit it takes the role") && !html.contains("/plans/submit"),
        "{html}"
    );
    let (refused, _) = reader.fill("/plans/submit", &[("digest", &"0".repeat(64))]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
}

#[tokio::test]
async fn the_changes_of_a_view_are_a_file_too() {
    let (world, id) = paused().await;
    let view = world.view("/rollouts/night?state=queued").await;
    assert!(view.contains(&format!("href=\"/rollouts/{id}/changes.csv?state=queued\"")), "{view}");
    let csv = world.view("/rollouts/night/changes.csv?state=all").await;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("ordinal,lane,instance_id,proxy_id,wave,state,"), "{csv}");
    assert_eq!(lines.len(), 4, "the head, and every change: {csv}");
    let csv = world.view("/rollouts/night/changes.csv?state=queued").await;
    let mut rows = csv.lines().skip(1).peekable();
    assert!(rows.peek().is_some_and(|row| row.contains("a look at gold")), "{csv}");
    assert!(rows.all(|row| row.contains(",queued,")), "{csv}");
    let wrong = world.get("/rollouts/night/changes.csv?state=fialed").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_changes_of_a_view_are_narrowed_by_wave_lane_and_id() {
    let (world, id) = paused().await;
    let last = format!("a{:031x}", 2);
    for (asked, rows) in [
        ("state=all&wave=two", &[1, 2][..]),
        ("state=all&wave=1", &[0]),
        ("wave=two", &[1, 2]),
        ("state=all&lane=lab", &[0, 1, 2]),
        // In any state, for whoever seeks an id wants to find it.
        (&format!("id={last}"), &[2]),
        (&format!("id={last}&state=all&wave=two&lane="), &[2]),
        ("state=all&lane=elsewhere", &[]),
        ("id=zz", &[]),
    ] {
        let view = world.view(&format!("/rollouts/night?{asked}")).await;
        let shown: Vec<u32> =
            (0..3).filter(|place| view.contains(&format!("id=\"c-{place}\""))).collect();
        assert_eq!(shown, rows, "{asked}: {view}");
        let says = view.contains("No change of these fits");
        assert_eq!(says, rows.is_empty(), "{asked}: {view}");
    }
    let view = world.view("/rollouts/night?state=queued&wave=two").await;
    assert!(view.contains("<option selected>two</option>"), "{view}");
    for kept in ["?state=all&#38;wave=two\"", "/changes.csv?state=queued&#38;wave=two\""] {
        assert!(view.contains(kept), "the address keeps it, {kept}: {view}");
    }
    let csv = world.view("/rollouts/night/changes.csv?state=all&wave=two").await;
    assert_eq!(csv.lines().count(), 3, "the head, and its two changes: {csv}");
    for (asked, said) in [
        ("wave=three", "has no wave"),
        ("lane=%3Cb%3E", "lane"),
        ("id=a%20b", "letters and digits of an id"),
        ("beginning=a", "beginning"),
    ] {
        let wrong = world.get(&format!("/rollouts/{id}?{asked}")).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{asked}");
        assert!(wrong.json.as_str().is_some_and(|html| html.contains(said)), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_pause_that_is_over_stays_on_the_time_line() {
    let (world, _) = paused().await;
    assert_eq!(world.post("/v1/rollouts/night/resume", json!({})).await.status, StatusCode::OK);
    let view = world.view("/rollouts/night").await;
    assert!(!view.contains("Nothing new begins: paused"), "{view}");
    assert!(view.contains("paused 1 time") && view.contains("<rect class=\"paused\""), "{view}");
}

#[tokio::test]
async fn a_reader_chooses_theme_zone_and_keys_without_script() {
    let (world, _) = paused().await;
    let help = world.view("/help").await;
    for said in ["in doubt", "nobody can tell what became of it", "<kbd>j k</kbd>", "in UTC"] {
        assert!(help.contains(said), "{said}: {help}");
    }
    let http = reqwest::Client::builder().unix_socket(&*world.socket).redirect(Policy::none());
    let http = http.build().expect("a client");
    let form = "application/x-www-form-urlencoded";
    let send = async |body: &'static str| {
        let request = http.post("http://sealift/help").header("Content-Type", form).body(body);
        request.send().await.expect("an answer")
    };
    let kept = send("theme=dark&zone=Asia/Tokyo&keys=off&next=/rollouts").await;
    assert_eq!(kept.headers()["Location"], "/rollouts");
    let cookies = kept.headers().get_all("Set-Cookie").iter().map(|value| {
        let value = value.to_str().expect("text");
        value.split(';').next().expect("a cookie").to_owned()
    });
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    let view = http.get("http://sealift/").header("Cookie", cookies).send().await;
    let view = view.expect("an answer").text().await.expect("a view");
    for said in ["data-theme=\"dark\"", "data-keys=\"off\"", "Asia/Tokyo"] {
        assert!(view.contains(said), "{said}: {view}");
    }
    let back = send("theme=auto&zone=plan&keys=on&next=//elsewhere.example").await;
    assert_eq!(back.headers()["Location"], "/help", "nobody is led elsewhere");
    let gone = back.headers().get_all("Set-Cookie").iter();
    let gone = gone.filter(|value| value.to_str().is_ok_and(|value| value.contains("Max-Age=0")));
    assert_eq!(gone.count(), 3, "nothing is kept of what is as it was");
}

/// Bytes of the first load of one rollout, all its files packed.
const FIRST_LOAD_MAX: usize = 60_000;

#[tokio::test]
async fn a_first_load_is_small() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    world.submit(&plan("large", &targets('a', 150), "")).await;
    let http = reqwest::Client::builder().unix_socket(&*world.socket).build().expect("a client");
    let mut paths = vec!["/rollouts/large?state=all".to_owned()];
    let (mut place, mut whole) = (0, 0);
    while let Some(path) = paths.get(place).cloned() {
        let request = http.get(format!("http://sealift{path}")).header("Accept-Encoding", "gzip");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["Content-Encoding"], "gzip", "{path}");
        whole += answer.bytes().await.expect("a whole body").len();
        let text = world.view(&path).await;
        let named = text.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned);
        let imported = text.lines().filter(|line| line.starts_with("import "));
        let imported = imported.filter_map(|line| line.split("'./").nth(1)?.split('\'').next());
        let imported = imported.map(|file| format!("/assets/{file}"));
        for found in named.chain(imported).collect::<Vec<_>>() {
            if !paths.contains(&found) {
                paths.push(found);
            }
        }
        place += 1;
    }
    assert!(paths.len() > 8, "style, icon, scripts and what they import: {paths:?}");
    println!("first load of a rollout: {whole} bytes in {} files", paths.len());
    assert!(whole <= FIRST_LOAD_MAX, "{whole} bytes");
}

#[tokio::test]
async fn a_stream_says_that_something_moved() {
    let (world, id) = paused().await;
    let http = reqwest::Client::builder().unix_socket(&*world.socket).build().expect("a client");
    let mut stream = http.get("http://sealift/v1/moved").send().await.expect("a stream");
    let mut heard = String::new();
    let mut until = async |wanted: &str, heard: &mut String| {
        while !heard.contains(wanted) {
            let part = stream.chunk().await.expect("the stream holds").expect("the stream goes on");
            heard.push_str(&String::from_utf8_lossy(&part));
        }
    };
    until("event: beat", &mut heard).await;
    assert_eq!(world.post("/v1/rollouts/night/resume", json!({})).await.status, StatusCode::OK);
    until("event: moved", &mut heard).await;
    until(&id, &mut heard).await;
}

#[tokio::test]
async fn an_id_is_found_wherever_it_stands() {
    let world = ApiWorld::new().await;
    let submitted = world.submit(&plan("told", &targets('a', 2), "")).await;
    let id = submitted.json["id"].as_str().expect("an id").to_owned();
    world.until("/v1/rollouts/told", |answered| answered.json["phase"] == "completed").await;
    let proxy = format!("a{:031x}po01", 1);
    for (begins, what, ordinal) in [
        (&id[..8], "rollout", None),
        (proxy.as_str(), "proxy", Some(1)),
        ("job-0001", "job", Some(1)),
        ("req-", "request", Some(1)),
    ] {
        let found = world.get(&format!("/v1/find?begins={begins}")).await;
        let row = &found.json["rows"][0];
        assert_eq!(
            (&row["what"], &row["rollout"], row["ordinal"].as_u64()),
            (&json!(what), &json!(id), ordinal),
            "{begins}: {found:?}"
        );
        assert_eq!(found.json["whole"], true, "{begins}");
        assert!(
            world.view(&format!("/find?begins={begins}")).await.contains(&format!(">{what}</a>")),
            "{begins}"
        );
    }
    let both = world.get("/v1/find?begins=a0000000").await;
    let whats: Vec<&str> = both.json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["what"].as_str())
        .collect();
    assert_eq!(whats, ["proxy", "instance", "proxy", "instance"]);
    assert_eq!(world.get("/v1/find?begins=nowhere").await.json["rows"], json!([]));
    assert_eq!(
        world.get("/v1/find?begins=abc").await.status,
        StatusCode::BAD_REQUEST,
        "too short to mean anything"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_of_the_journal_is_told_in_its_place_and_the_rest_of_the_view_stays() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SledStore::open(folder.path(), SledOptions::default()).expect("a new store");
    let world = ApiWorld::with(Arc::new(store), api::IDLE_MAX).await;
    world.submit(&plan("told", &targets('a', 2), "")).await;
    world.until("/v1/rollouts/told", |answered| answered.json["phase"] == "completed").await;
    assert!(!world.view("/").await.contains("cannot be read"));
    let segment = folder.path().join("journal/000000000001.jsonl");
    let mut lines = std::fs::read(&segment).expect("the journal");
    let at = lines.len() / 2;
    lines[at..at + 8].fill(b'#');
    std::fs::write(&segment, lines).expect("damaged");
    for (path, stays) in [
        ("/", "Lanes"),
        ("/rollouts/told", "What is proven"),
        ("/rollouts/told/changes/0", "Before and after"),
    ] {
        let view = world.view(path).await;
        assert!(view.contains(stays), "{path}: {view}");
        let told = path == "/rollouts/told" || view.contains("The journal cannot be read: ");
        assert!(told, "{path}: {view}");
    }
    let journal = world.get("/journal").await;
    assert_eq!(journal.status, StatusCode::SERVICE_UNAVAILABLE, "{journal:?}");
    let html = journal.json.as_str().expect("a view");
    assert!(html.contains("href=\"/rollouts\"") && html.contains("journal"), "{html}");
}
