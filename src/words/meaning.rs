//! What the journal's words mean: kinds of entries, states of changes, phases of rollouts, stages
//! of enforcements. The page's help and docs/reference/events.md show them.

/// Kinds of entries.
pub const KINDS: [(&str, &str); 4] = [
    ("submitted", "a rollout was taken over, with its plan and targets frozen"),
    ("change", "the change of one proxy went from one state to another, or was tried again"),
    ("rollout", "a rollout went from one phase to another, or a verb was carried out on it"),
    ("enforcement", "the enforcement of a plan went from one stage to another"),
];

/// States of a change.
pub const CHANGES: [(&str, &str); 13] = [
    ("queued", "waits in its wave"),
    ("ready", "released, waits for its turn to call"),
    ("inspecting", "its proxy is looked at"),
    ("submitting", "its switch is on its way"),
    ("recovering", "the answer was lost; it is asked for, never repeated blind"),
    ("following", "its job runs"),
    ("verifying", "its job is done; the proxy must show it, and its port where the plan says so"),
    ("succeeded", "it shows the wanted value"),
    ("failed", "it did not, and why is known; a retry tries it again"),
    ("in_doubt", "nobody can tell what became of it; a person looks"),
    ("cancelled", "withdrawn before anything was sent"),
    ("reverted", "put back to what it was before"),
    ("skipped", "left alone on purpose; it says why"),
];

/// Phases of a rollout.
pub const ROLLOUTS: [(&str, &str); 9] = [
    ("scheduled", "waits for approvals or its `not_before`"),
    ("advancing", "works on a wave"),
    ("soaking", "a wave is done and is watched before the next"),
    ("awaiting", "a wave is done; a person promotes"),
    ("halted", "a guard stopped it; a person retries, promotes, reverts or aborts"),
    ("reverting", "what it changed is put back, the newest wave first"),
    ("completed", "final: every change has its outcome"),
    ("aborted", "final: a person ended it; what is in flight is followed to its end"),
    ("reverted", "final: what it changed, and nobody changed since, is as it was"),
];

/// Stages of an enforcement.
pub const ENFORCEMENTS: [(&str, &str); 5] = [
    ("idle", "waits for its next tick"),
    ("surveying", "a run looks at every target"),
    ("applying", "a run puts right what it found drifted"),
    ("held", "more drifted than the plan lets pass; a person releases it"),
    ("ended", "a person stopped it, or a newer revision of the plan has none"),
];
