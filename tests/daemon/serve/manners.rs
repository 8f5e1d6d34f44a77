//! What a slip of the finger is told, and a script that nobody stands beside.

use crate::serve::world::ServeWorld;

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_is_told_what_was_meant_and_a_script_that_nobody_is_asked() {
    let world = ServeWorld::new(8, 8, "job_time: 2s");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "strategy: {max_in_flight: 2}\n");
    let plan = plan.to_str().expect("a path of text");
    let off = world.write(
        "off.yaml",
        "version: 1\nname: off\nssl_option: false\ntargets: {files: [fleet.csv]}\n",
    );
    let off = off.to_str().expect("a path of text");
    let state = world.path("state/queue");
    let state = state.to_str().expect("a path of text");
    let unasked = |verb: &[&str], remedy: &str| {
        let ran = world.run(verb);
        assert!(ran.code == Some(7) && ran.err.contains(remedy), "{verb:?}: {ran:?}");
    };

    unasked(&["apply", plan], "--yes");
    unasked(&["apply", off, "--yes"], "--confirm off");
    assert!(
        world
            .run(&["apply", off, "--yes", "--confirm", "of"])
            .err
            .contains("--confirm says \"of\"")
    );
    assert_eq!(world.run(&["apply", plan, "--yes", "--detach"]).code, Some(0));
    assert_eq!(world.run(&["pause", "night", "--reason", "a look"]).code, Some(0));
    unasked(&["abort", "night"], "--yes");
    unasked(&["revert", "night"], "--yes");
    unasked(&["store", "take-back", "--state", state], "--yes");
    assert_eq!(world.status("night")["phase"], "advancing", "none of them did anything");

    for (verb, meant) in [
        (&["status", "nihgt"][..], "`night`"),
        (&["abort", "nigth", "--yes"], "`night`"),
        (&["pause", "--lane", "lba", "--reason", "an incident"], "`lab`"),
        (&["changes", "night", "--state", "fialed"], "`failed`"),
    ] {
        let ran = world.run(verb);
        assert!(
            ran.code != Some(0) && ran.err.contains(&format!("did you mean {meant}?")),
            "{verb:?}: {ran:?}"
        );
    }
}
