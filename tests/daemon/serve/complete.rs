//! What bash, zsh and fish offer after Tab, by the scripts that `sealift completions` prints.

use std::process::{Command, Stdio};

use crate::serve::world::{ServeWorld, sealift};

/// An interactive zsh on a terminal of its own, which finds the file as it finds a package's. Each
/// argument is typed, then Tab, then a key that shows the line; `>` is in none of them.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'fpath=('$1' $fpath); autoload -Uz compinit; compinit -u -D; PS1='
zpty -w z 'show() { print -r -- "LINE<$BUFFER>"; BUFFER=; zle .accept-line }'
zpty -w z 'zle -N show; bindkey "^X" show; print -r rea""dy'
zpty -r -m z said '*ready*'
shift
for typed; do
    zpty -w -n z "$typed"$'\t\x18'
    zpty -r -m z said '*LINE<*>*'
    print -r -- ${${said##*LINE<}%%>*}
done
zpty -d z
"#;

fn script(shell: &str) -> String {
    let printed = sealift().args(["completions", shell]).output().expect("it runs");
    String::from_utf8(printed.stdout).expect("text")
}

/// What a shell prints that has the binary in its path and this world's configuration.
fn printed(world: &ServeWorld, shell: &[&str]) -> Vec<String> {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_sealift"));
    let folder = binary.parent().expect("a folder").display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("timeout");
    command.arg("60").args(shell).env("PATH", path).env("HOME", world.folder.path());
    command.env("TERM", "xterm").env("SEALIFT_CONFIG", world.path("sealift.yaml"));
    let ran = command.stdin(Stdio::null()).output().expect("a command");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{}: `make setup` installs it: {said}", shell[0]);
    let text = String::from_utf8(ran.stdout).expect("text");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// What the line is after Tab in zsh, line by line.
fn in_zsh(world: &ServeWorld, lines: &[&str]) -> Vec<String> {
    let folder = world.path("site-functions");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("_sealift"), script("zsh")).expect("written");
    let folder = folder.to_str().expect("text");
    printed(world, &[&["zsh", "-f", "-c", ZSH, "zsh", folder], lines].concat())
}

/// The words that fish offers, without what they mean.
fn in_fish(world: &ServeWorld, line: &str) -> Vec<String> {
    let asked = format!("{}\ncomplete -C '{line}'", script("fish"));
    let offered = printed(world, &["fish", "--no-config", "-c", &asked]);
    let words = offered.iter().filter_map(|word| word.split('\t').next());
    words.map(ToOwned::to_owned).collect()
}

/// The words that bash offers for the last of these.
fn offered(world: &ServeWorld, words: &[&str]) -> Vec<String> {
    let script = script("bash");
    let typed: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let asked = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_clap_complete_sealift sealift '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        script,
        typed.join(" "),
        words.len() - 1
    );
    printed(world, &["bash", "--norc", "-c", &asked])
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

    // A verb, a flag, a rollout of the daemon, and a state behind a comma. The first Tab of zsh is
    // that by which it reads the file.
    let typed = [
        ("sealift appl", "apply"),
        ("sealift apply --det", "--detach"),
        ("sealift status ni", "night"),
        ("sealift pause --lane l", "lab"),
        ("sealift changes night --state failed,ins", "failed,inspecting"),
    ];
    let whole = typed.map(|(line, word)| {
        let (before, _) = line.rsplit_once(' ').expect("two words");
        format!("{before} {word}")
    });
    assert_eq!(in_zsh(&world, &typed.map(|(line, _)| line)), whole);
    for (line, word) in typed {
        assert_eq!(in_fish(&world, line), [word], "{line}");
    }
}
