//! `init` and what it says to type then, with the binary alone in an empty folder; and a start
//! without any configuration.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::serve::world::{VerbOutput, sealift};

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_init_writes_runs_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("try");
    let at = |file: &str| home.join(file);
    let run = |arguments: &[&str]| {
        let mut command = sealift();
        let place = if home.exists() { &home } else { folder.path() };
        command
            .args(arguments)
            .current_dir(place)
            .env("SEALIFT_CONFIG", at("sealift.yaml"))
            .env("SEALIFT_WAIT", "30s");
        VerbOutput::of(command.stdin(Stdio::null()).output().expect("it runs"))
    };
    let mut command = sealift();
    let written = VerbOutput::of(
        command.args(["init", "try"]).current_dir(folder.path()).output().expect("it runs"),
    );
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(
        written.out.contains("try/first.yaml") && written.err.contains("cd try"),
        "{written:?}"
    );
    let plan = std::fs::read_to_string(at("first.yaml")).expect("a plan");
    std::fs::write(at("first.yaml"), format!("{plan}# mine\n")).expect("written");
    let again = run(&["init"]);
    assert!(again.code == Some(1) && again.err.contains("nothing was written"), "{again:?}");
    assert!(
        std::fs::read_to_string(at("first.yaml")).expect("a plan").ends_with("# mine\n"),
        "left as it is"
    );

    for verb in [
        &["check", "first.yaml"] as &[&str],
        &["plan", "first.yaml"],
        &["rehearse", "first.yaml"],
        &["config"],
    ] {
        let ran = run(verb);
        assert_eq!(ran.code, Some(0), "{verb:?}: {ran:?}");
        assert!(!ran.err.contains("warning"), "{verb:?}: {ran:?}");
    }
    let mut cloud = sealift();
    // The port of the text may be taken where tests run beside each other.
    let cloud = cloud
        .args(["emulate", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut cloud = Running(cloud.spawn().expect("the cloud starts"));
    let mut endpoint = String::new();
    BufReader::new(cloud.0.stdout.take().expect("piped"))
        .read_line(&mut endpoint)
        .expect("where it listens");
    let config = std::fs::read_to_string(at("sealift.yaml")).expect("a configuration");
    assert!(config.contains("http://127.0.0.1:7634"));
    std::fs::write(at("sealift.yaml"), config.replace("http://127.0.0.1:7634", endpoint.trim()))
        .expect("written");
    let mut daemon = sealift();
    let daemon = daemon.arg("serve").current_dir(&home).env("SEALIFT_CONFIG", at("sealift.yaml"));
    let _daemon = Running(
        daemon.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the daemon starts"),
    );
    let preflight = run(&["preflight", "first.yaml", "--no-ports"]);
    assert_eq!(preflight.code, Some(0), "{preflight:?}");
    let applied = run(&["apply", "first.yaml", "--yes"]);
    assert!(
        applied.code == Some(7) && applied.err.contains("sealift promote first"),
        "{applied:?}"
    );
    assert_eq!(run(&["promote", "first"]).code, Some(0));
    let watched = run(&["watch", "first"]);
    assert!(
        watched.code == Some(0) && watched.err.contains("24 of 24 proxies show SSL on"),
        "{watched:?}"
    );
}

/// Nothing is made in places that nobody named.
#[test]
fn serve_refuses_without_any_configuration() {
    let mut command = sealift();
    let refused = VerbOutput::of(command.arg("serve").output().expect("it runs"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("there is no configuration") && refused.err.contains("sealift init"),
        "{refused:?}"
    );
}

/// A reader that takes the first line and goes is no error, in any format.
#[test]
fn output_into_head_ends_silently() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = sealift();
    assert!(
        command.arg("init").current_dir(folder.path()).output().expect("it runs").status.success()
    );
    for format in ["csv", "json", "jsonl", "table"] {
        for verb in [
            &["plan", "first.yaml", "--members", "-o", format] as &[&str],
            &["config", "-o", format],
        ] {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let mut command = sealift();
            command
                .args(verb)
                .current_dir(folder.path())
                .env("SEALIFT_CONFIG", folder.path().join("sealift.yaml"));
            let ended = VerbOutput::of(
                command.stdout(writer).stderr(Stdio::piped()).output().expect("it runs"),
            );
            assert!(ended.code == Some(0) && ended.err.is_empty(), "{verb:?}: {ended:?}");
        }
    }
}
