//! What bash offers after Tab, by the script that `sealift completions` prints.

use std::process::{Command, Stdio};

use crate::serve::world::{ServeWorld, sealift};

/// The words that are offered for the last of these.
fn offered(world: &ServeWorld, words: &[&str]) -> Vec<String> {
    let script = sealift().args(["completions", "bash"]).output().expect("it runs").stdout;
    let typed: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let asked = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_clap_complete_sealift sealift '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        String::from_utf8(script).expect("text"),
        typed.join(" "),
        words.len() - 1
    );
    let binaries =
        std::path::Path::new(env!("CARGO_BIN_EXE_sealift")).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &asked])
        .env("PATH", path)
        .env("SEALIFT_CONFIG", world.path("sealift.yaml"));
    let ran = bash.stdin(Stdio::null()).output().expect("bash runs");
    String::from_utf8(ran.stdout)
        .expect("text")
        .lines()
        .map(|word| word.trim().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rollouts_lanes_and_states_are_offered() {
    let world = ServeWorld::new(2, 2, "job_time: 20ms");
    let nobody = offered(&world, &["sealift", "status", ""]);
    assert!(!nobody.iter().any(|word| word == "night"), "{nobody:?}");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    assert_eq!(
        world.run(&["apply", plan.to_str().expect("a path of text"), "--yes"]).code,
        Some(0)
    );
    for verb in ["status", "watch", "changes", "journal", "pause", "promote", "revert"] {
        let words = offered(&world, &["sealift", verb, "ni"]);
        assert!(words.iter().any(|word| word == "night"), "{verb}: {words:?}");
    }
    let states = offered(&world, &["sealift", "changes", "night", "--state", "failed,in"]);
    assert!(
        states.contains(&"failed,in_doubt".to_owned())
            && states.contains(&"failed,inspecting".to_owned()),
        "{states:?}"
    );
    let lanes = offered(&world, &["sealift", "pause", "--lane", ""]);
    assert!(lanes.contains(&"lab".to_owned()), "{lanes:?}");
}
