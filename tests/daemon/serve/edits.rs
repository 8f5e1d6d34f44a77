//! A plan that is edited under the revision that was submitted.

use crate::serve::world::ServeWorld;

const BEFORE: &str = "version: 1\nname: edited\nssl_option: true\nautostart: true\ntargets: {files: [fleet.csv]}\nstrategy: {max_in_flight: 1}\n";

/// `status` until it holds this text, or until it does not.
fn shows(world: &ServeWorld, arguments: &[&str], text: &str, wanted: bool) -> String {
    let mut out = String::new();
    for _ in 0..600 {
        out = world.run(arguments).out;
        if out.contains(text) == wanted {
            return out;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{text:?}, wanted: {wanted}:\n{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_plan_is_refused_wherever_it_comes_from() {
    let world = ServeWorld::new(4, 4, "job_time: 1h");
    let daemon = world.daemon().ready();
    std::fs::copy(world.path("fleet.csv"), world.path("plans.d/fleet.csv")).expect("copied");
    let file = world.write("plans.d/edited.yaml", BEFORE);
    world.until("edited", |status| status["phase"] == "advancing");
    let after = BEFORE.replace("max_in_flight: 1", "max_in_flight: 2");
    let parts = [
        "strategy.max_in_flight (`1`, now `2`) differ",
        "goes on as it was submitted",
        "`sealift pause edited`",
        "`sealift abort edited`",
        "`revision: 2`",
        "what is done is found right",
    ];

    // By hand, with and without the digest of the edit.
    let edit = world.write("edit.yaml", &after);
    let edit = edit.to_str().expect("text");
    let preview: serde_json::Value =
        serde_json::from_str(&world.run(&["plan", edit, "-o", "json"]).out).expect("a preview");
    let digest = preview["digest"].as_str().expect("a digest").to_owned();
    for arguments in [
        &["apply", edit, "--yes", "--detach"][..],
        &["apply", edit, "--yes", "--detach", "--digest", &digest],
    ] {
        let refused = world.run(arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in parts {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
    }

    // In the folder: an error for as long as it stands.
    world.write("plans.d/edited.yaml", &after);
    for arguments in [&["status"][..], &["status", "edited"]] {
        let told = shows(&world, arguments, &format!("plan file {}", file.display()), true);
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    daemon.logged("strategy.max_in_flight (`1`, now `2`) differ");

    // Comments and layout, and the key that says nothing about a run: the same plan, with a note.
    let reworded = format!(
        "# of tonight\n{}",
        BEFORE
            .replace("autostart: true\n", "")
            .replace("{max_in_flight: 1}", "\n  max_in_flight: 1")
    );
    world.write("plans.d/edited.yaml", &reworded);
    shows(&world, &["status"], "plan file", false);
    let note = world.run(&[
        "apply",
        world.write("note.yaml", &reworded).to_str().expect("text"),
        "--yes",
        "--detach",
    ]);
    assert_eq!(note.code, Some(0), "{note:?}");
    assert!(
        note.err.contains("was submitted before")
            && note.err.contains("note: ")
            && note.err.contains("comments"),
        "{note:?}"
    );
    let same = world.run(&[
        "apply",
        world.write("same.yaml", BEFORE).to_str().expect("text"),
        "--yes",
        "--detach",
    ]);
    assert!(same.code == Some(0) && !same.err.contains("note: "), "{same:?}");
    assert_eq!(world.run(&["list", "-o", "jsonl"]).out.lines().count(), 1);
}
