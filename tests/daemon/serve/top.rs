//! `top` in a real terminal: a pseudo-terminal of the kernel's, and an emulator that says what
//! stands on its screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use sealift::cli::top::Screen;

use crate::serve::world::{PATIENCE, ServeWorld, VerbOutput};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A terminal with a program in it.
struct TestTerminal {
    master: File,
    slave: OwnedFd,
    seen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl TestTerminal {
    fn run(mut command: Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("ours");
        unlockpt(&master).expect("ours");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its end");
        resize(&slave, columns, rows);
        let end = || Stdio::from(slave.try_clone().expect("one more of it"));
        command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("it runs");
        let seen = vt100::Parser::new(of(rows), of(columns), 0);
        let (master, seen) = (File::from(master), Arc::new(Mutex::new(seen)));
        let (mut written, shown) = (master.try_clone().expect("one more of it"), seen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = written.read(&mut bytes) {
                shown.lock().expect("a test's lock").process(&bytes[..n]);
            }
        });
        Self { master, slave, seen, child }
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("somebody reads");
    }

    fn size(&self, columns: u16, rows: u16) {
        self.seen.lock().expect("a test's lock").set_size(of(rows), of(columns));
        resize(&self.slave, columns, rows);
        self.signal(Signal::WINCH);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    fn text(&self) -> String {
        self.seen.lock().expect("a test's lock").screen().contents()
    }

    /// Waits until the screen shows all of these, and gives it.
    fn until(&self, wanted: &[&str]) -> String {
        let shows = |text: &str| wanted.iter().all(|part| text.contains(part));
        self.until_it(shows).unwrap_or_else(|text| {
            panic!("{wanted:?} never stood on the screen:\n{text}");
        })
    }

    /// Waits for such a screen, and gives it; after [`PATIENCE`] the one that stands there.
    fn until_it(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            let text = self.text();
            if fits(&text) {
                return Ok(text);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(self.text())
    }

    /// Its exit code, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("a child of ours").code()
    }

    /// Nothing of the program is left: not its screen, and not how it took keys.
    fn given_back(&self) {
        let modes = tcgetattr(&self.slave).expect("a terminal").local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO), "{modes:?}");
        for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
            let seen = self.seen.lock().expect("a test's lock");
            let screen = seen.screen();
            if !(screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste()) {
                return;
            }
            drop(seen);
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("the terminal was not given back:\n{}", self.text());
    }
}

impl Drop for TestTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn of(cells: u16) -> std::num::NonZeroU16 {
    cells.try_into().expect("a screen")
}

fn resize(slave: &OwnedFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(slave, size).expect("a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_followed_paused_and_found_again_after_the_daemon_was_killed() {
    let world = ServeWorld::new(6, 6, "{}");
    let mut daemon = world.daemon().ready();
    let mut top = TestTerminal::run(world.command(&["top"]), 80, 24);
    top.until(&["No rollout is open", "● Live", "None is open. The next one begins"]);

    let waves = "strategy:\n  waves:\n    - {name: canary, size: 2, promote: manual}\n    \
                 - {name: rest, size: rest}\n";
    let plan = world.plan("night", waves);
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    // Nobody touched a key.
    top.until(&["▸ night", "awaiting", "2 of 6 settled", "sealift promote night"]);
    top.keys("\r");
    let shown = top.until(&["Nothing new begins", "1 canary", "○ 2 rest", "Changes"]);
    let status = world.status("night");
    assert!(shown.contains(status["id"].as_str().expect("an id")), "{shown}");

    top.keys("p");
    top.until(&["Pause night?", "Why:"]);
    top.keys("q as in quiet");
    top.until(&["Why: q as in quiet"]);
    top.keys("\r");
    top.until(&["✓ night: paused", "awaiting, paused"]);
    assert_eq!(world.status("night")["paused"]["reason"], "q as in quiet");

    daemon.child.kill().expect("it runs");
    daemon.child.wait().expect("a child of ours");
    top.until(&["✗ Not live", "this is how it was. Trying again", "awaiting, paused"]);
    top.keys("p");
    top.until(&["✗ not live: a verb is for what is seen now"]);
    let _daemon = world.daemon().ready();
    top.until(&["● Live"]);
    assert_eq!(world.run(&["resume", "night"]).code, Some(0));
    assert_eq!(world.run(&["promote", "night"]).code, Some(0));
    top.until(&["100.0 %", "completed"]);
    top.size(160, 50);
    top.until(&["Journal", "Room and proof", "6 succeeded"]);
    // A frame of the old size may have been on its way.
    let wide = |text: &str| text.lines().any(|line| line.chars().count() > 120);
    top.until_it(wide).expect("lines of more than 120 columns");
    top.keys("?");
    top.until(&["Keys", "what else can be done, as the commands that do it"]);
    top.keys("x\u{1b}");
    top.until(&["Rollouts", "0 open"]);
    top.keys("q");
    assert_eq!(top.ended(), Some(0));
    top.given_back();

    let mut top = TestTerminal::run(world.command(&["top"]), 80, 24);
    top.until(&["● Live"]);
    top.signal(Signal::TERM);
    assert_eq!(top.ended(), Some(130));
    top.given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_or_a_daemon_it_says_what_to_do() {
    let world = ServeWorld::new(1, 1, "{}");
    let piped = world.run(&["top"]);
    assert_eq!(piped.code, Some(1), "{piped:?}");
    assert!(piped.err.contains("`sealift status` prints how everything stands once"), "{piped:?}");
    let mut alone = TestTerminal::run(world.command(&["top"]), 80, 24);
    assert_eq!(alone.ended(), Some(8));
    alone.until(&["no daemon answers on"]);
    alone.given_back();
    let dumb = world.command(&["top"]).env("TERM", "dumb").output().expect("the binary runs");
    assert_eq!(VerbOutput::of(dumb).code, Some(1));
}

/// This very program, as one that takes a terminal and panics.
#[test]
fn a_panic_gives_the_terminal_back_and_is_read() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([
        "--exact",
        "serve::top::takes_the_terminal_and_panics",
        "--ignored",
        "--nocapture",
    ]);
    command.env("RUST_BACKTRACE", "0");
    let mut panicked = TestTerminal::run(command, 80, 24);
    assert_eq!(panicked.ended(), Some(101));
    panicked.until(&["a bug of ours"]);
    panicked.given_back();
}

#[test]
#[ignore = "run by `a_panic_gives_the_terminal_back_and_is_read` in a terminal of its own"]
fn takes_the_terminal_and_panics() {
    let _screen = Screen::take().expect("a terminal");
    panic!("a bug of ours");
}
