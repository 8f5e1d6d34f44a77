//! `top` over the real API: its frames at two sizes, and what its keys do.

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Color;
use sealift::cli::top::{Desk, Step, draw};
use sealift::domain::people::Role;
use serde_json::json;

use super::people::{reader_of, world_of_ada};
use super::world::{ApiWorld, plan, targets};

const WAVES: &str = "\
change_ref: CHG-10421
owner: dba-oncall
strategy:
  max_in_flight: 2
  max_failures: 2
  waves:
    - {name: canary, size: 1, soak: 1h, promote: manual}
    - {name: rest, size: rest}
";

/// A world of ada's in which one rollout waits to be promoted and is paused, and one is halted.
async fn world() -> ApiWorld {
    let world = world_of_ada(&[Role::Operate, Role::Approve]).await;
    world.clock.set("2026-11-27T17:52:08Z".parse().expect("an instant"));
    world.submit(&plan("proxy-ssl-2026q4", &targets('a', 12), WAVES)).await;
    world.until("/v1/rollouts/proxy-ssl-2026q4", |seen| seen.json["phase"] == "soaking").await;
    let list = format!("{}{}", targets('f', 1), targets('b', 4));
    let strategy = "strategy: {max_in_flight: 1, max_failures: 1}\n";
    world.submit(&plan("reporting", &list, strategy)).await;
    world.until("/v1/rollouts/reporting", |seen| seen.json["phase"] == "halted").await;
    let why = json!({"reason": "checking gold"});
    world.post("/v1/rollouts/proxy-ssl-2026q4/pause", why).await;
    world
}

async fn desk(world: &ApiWorld, colour: bool) -> Desk {
    let mut desk = Desk::on_socket(&world.socket, "Asia/Singapore", colour).expect("a client");
    let board = desk.first_reading().await;
    desk.take(board);
    // A good minute later.
    desk.at("2026-11-27T17:53:30Z".parse::<Timestamp>().expect("an instant"));
    desk
}

async fn typed(desk: &mut Desk, key: KeyCode) -> Step {
    let step = desk.press(KeyEvent::from(key));
    // What is looked at is read at once, and not when the next move is heard.
    let board = desk.first_reading().await;
    desk.take(board);
    step
}

fn screen(desk: &Desk, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen in memory");
    terminal.draw(|frame| draw(desk, frame)).expect("a screen in memory");
    terminal
}

/// The frame against its golden file, where nothing differs that a run decides.
fn golden(name: &str, desk: &Desk, (width, height): (u16, u16)) {
    let shown = screen(desk, width, height).backend().to_string();
    let lines = shown.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n");
    insta::with_settings!({
        snapshot_path => "../../golden/top", prepend_module_to_snapshot => false,
        omit_expression => true,
        filters => vec![
            (r"\d\d:\d\d:\d\d", "hh:mm:ss"),
            (r"\b[0-9a-f]{32}\b", "00000000000000000000000000000000"),
            (r"entry \d+", "entry n"),
            (r"sealift \d+\.\d+\.\d+", "sealift n.n.n"),
            (r"1m( \d+s)? ago", "1m ago"),
            (r" +since 1m", " since 1m"),
        ],
    }, { insta::assert_snapshot!(name, lines.collect::<String>()) });
}

#[tokio::test]
async fn frames_say_what_the_documents_say() {
    let world = world().await;
    let mut desk = desk(&world, false).await;
    golden("now", &desk, (80, 24));
    golden("now-wide", &desk, (160, 40));
    typed(&mut desk, KeyCode::Char('?')).await;
    golden("keys", &desk, (80, 24));
    typed(&mut desk, KeyCode::Esc).await;
    // The older of the two, which waits.
    typed(&mut desk, KeyCode::Down).await;
    typed(&mut desk, KeyCode::Enter).await;
    golden("rollout", &desk, (80, 24));
    golden("rollout-wide", &desk, (160, 40));
    typed(&mut desk, KeyCode::Char('v')).await;
    golden("verbs", &desk, (80, 24));
    typed(&mut desk, KeyCode::Esc).await;
    typed(&mut desk, KeyCode::Esc).await;
    typed(&mut desk, KeyCode::Up).await;
    typed(&mut desk, KeyCode::Char('p')).await;
    for letter in "a look".chars() {
        typed(&mut desk, KeyCode::Char(letter)).await;
    }
    golden("pause", &desk, (80, 24));
    let small = screen(&desk, 30, 8).backend().to_string();
    assert!(small.contains("too small: 30×8; 80×24 is e"), "{small}");
}

#[tokio::test]
async fn colours_are_left_out_where_they_are_not_welcome_and_never_say_it_alone() {
    let world = world().await;
    let cells = |desk: &Desk| screen(desk, 80, 24).backend().buffer().content.clone();
    let plain = cells(&desk(&world, false).await);
    assert!(plain.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let coloured = cells(&desk(&world, true).await);
    assert!(coloured.iter().any(|cell| cell.fg == Color::Red));
    let letters = |cells: &[ratatui::buffer::Cell]| {
        cells.iter().map(|cell| cell.symbol().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(letters(&plain), letters(&coloured));
}

#[tokio::test]
async fn a_pause_is_asked_about_and_is_for_the_record_that_was_seen() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    world.submit(&plan("night", &targets('a', 3), "")).await;
    let mut desk = desk(&world, false).await;
    typed(&mut desk, KeyCode::Char('p')).await;
    assert!(matches!(typed(&mut desk, KeyCode::Enter).await, Step::Nothing), "nobody said why");
    assert!(screen(&desk, 80, 24).backend().to_string().contains("say why"));
    for letter in "too late".chars() {
        typed(&mut desk, KeyCode::Char(letter)).await;
    }
    // Somebody else is quicker.
    world.post("/v1/rollouts/night/pause", json!({"reason": "first"})).await;
    world.post("/v1/rollouts/night/resume", json!({})).await;
    let Step::Pause(pausing) = typed(&mut desk, KeyCode::Enter).await else { panic!("it is sent") };
    let refused = pausing.send().await;
    assert!(refused.is_err());
    desk.answered(refused);
    let shown = screen(&desk, 80, 24).backend().to_string();
    assert!(shown.contains("has moved since") && shown.contains("Why: too late"), "{shown}");
    assert_eq!(world.get("/v1/rollouts/night").await.json.get("paused"), None, "nothing was done");
    // Asked once more, it is for the record as it is now.
    let Step::Pause(pausing) = typed(&mut desk, KeyCode::Enter).await else { panic!("it is sent") };
    desk.answered(pausing.send().await);
    assert_eq!(world.get("/v1/rollouts/night").await.json["paused"]["reason"], "too late");
    assert!(screen(&desk, 80, 24).backend().to_string().contains("✓ night: paused"));
}

#[tokio::test]
async fn who_may_only_read_is_told_so_and_every_text_is_text() {
    let world = world_of_ada(&[Role::Operate]).await;
    world.cloud.busy(true);
    world.submit(&plan("mine", &targets('a', 1), "")).await;
    let hostile = json!({"reason": "<b>\u{202e}\u{7}[31m"});
    world.post("/v1/rollouts/mine/pause", hostile).await;
    let reader = reader_of(world.store.clone()).await;
    let mut desk = desk(&reader, false).await;
    typed(&mut desk, KeyCode::Char('p')).await;
    let shown = screen(&desk, 80, 24).backend().to_string();
    assert!(shown.contains("to pause takes the role `operate`"), "{shown}");
    typed(&mut desk, KeyCode::Enter).await;
    let rollout = screen(&desk, 100, 30).backend().to_string();
    for text in [&shown, &rollout] {
        assert!(text.contains("<b>") && !text.contains(['\u{202e}', '\u{7}', '\u{9b}']), "{text}");
    }
}
