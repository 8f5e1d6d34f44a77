//! The table of `decide`, cell by cell, and what holds however changes settle and operators
//! command.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::*;
use crate::domain::change::{self, Clearance, Wake};
use crate::domain::id::{Digest, Name};
use crate::domain::person::{Attribution, Person};
use crate::domain::plan::{Approval, RevertPolicy, Strategy as Guards, Wave};
use crate::domain::plan::{OnFailure, Plan, Promote};
use crate::domain::retry;
use crate::domain::tally::Standing;
use crate::domain::tally::Tally;
use crate::domain::window::Opening;
use crate::domain::window::{Calendar, ShutBy};
use crate::domain::window_log::Gap;

/// One row a cell: phase ; event ; circumstances => next record | effect | wake, or the refusal of
/// a verb.
///
/// Three waves of 4, 10 and 20 targets; the first soaks for an hour and wants a promotion, the last
/// soaks too. Budgets of 2, 3 and 20 failures and of 6 for the rollout, 5 in flight, a progress
/// deadline of 20 minutes. Without circumstances (`-`) the waves before are done, nothing of the
/// present one was released, and the window is open. Halted failures: three of wave 1 failed.
/// Halted half: half of the wave failed, the rest succeeded. Aborted: wave 0 is still to be
/// withdrawn.
///
/// Settling, gathering, releasing: wave 1 is put back, wave 2 was withdrawn; from gathering on all
/// of wave 1 had succeeded. Halted revert: one change of it could not be put back.
///
/// * early: `not_before` lies ahead. shut: the window is, and opens again. soaked: the soak's end
///   is reached.
/// * failed, in doubt: one of the wave is. nearly budget: five are. budget: as many as the budget
///   allows. half, nearly half: so many of the wave failed or are in doubt. everything failed: in
///   all waves. wide: no budget is in the way. survey: the plan only looks.
/// * paused until, over: paused until noon, and noon it is. approval, two: so many are asked for.
///   approved: bob did.
/// * marked: eight changes are to be put back. put back: all are. first: it is wave 0. failed
///   before: one of wave 0 had failed before the revert. more: not all is gathered. on failure: the
///   plan reverts by itself.
/// * active: the rest of the wave is in flight. full: five are. done: the rest succeeded. left
///   behind: two of wave 0 are queued again. auto, soakless: the first wave needs no promotion, has
///   no soak.
const TABLE: &str = "
scheduled       ; woken        ; -                       => advancing 0 | none | now
scheduled       ; woken        ; early                   => scheduled | none | at the start
scheduled       ; woken        ; paused                  => advancing 0 paused | none | now
scheduled       ; woken        ; early+paused            => scheduled paused | none | at the start
scheduled       ; woken        ; shut                    => advancing 0 | none | now
scheduled       ; requeued     ; -                       => scheduled | none | now
scheduled       ; pause        ; -                       => scheduled paused | none | now
scheduled       ; pause        ; paused                  => refused already_paused
scheduled       ; resume       ; -                       => refused not_paused
scheduled       ; resume       ; paused                  => scheduled | none | now
scheduled       ; abort        ; -                       => aborted | withdraw | never
scheduled       ; retry        ; -                       => refused nothing_to_retry
scheduled       ; retry all    ; -                       => refused nothing_to_retry
scheduled       ; promote      ; -                       => refused nothing_to_promote
advancing 0     ; woken        ; -                       => advancing 0 | release 2 up to 0 | in 30 s
advancing 0     ; woken        ; done                    => soaking 0 | none | now
advancing 0     ; woken        ; done+soakless           => awaiting 0 | none | now
advancing 0     ; woken        ; done+soakless+auto      => advancing 1 | none | now
advancing 1     ; woken        ; -                       => advancing 1 | release 3 up to 1 | in 30 s
advancing 1     ; woken        ; active                  => advancing 1 | none | in 30 s
advancing 1     ; woken        ; failed                  => advancing 1 | release 2 up to 1 | in 30 s
advancing 1     ; woken        ; in doubt                => advancing 1 | release 2 up to 1 | in 30 s
advancing 1     ; woken        ; left behind             => advancing 1 | release 3 up to 1 | in 30 s
advancing 1     ; woken        ; left behind+done        => advancing 1 | release 2 up to 1 | in 30 s
advancing 1     ; woken        ; done                    => advancing 2 | none | now
advancing 1     ; woken        ; failed+done             => advancing 2 | none | now
advancing 1     ; woken        ; budget                  => halted 1 failures 3/3 | none | now
advancing 1     ; woken        ; budget+done             => halted 1 failures 3/3 | none | now
advancing 1     ; woken        ; budget+paused           => halted 1 failures 3/3 paused | none | now
advancing 1     ; woken        ; budget+shut             => halted 1 failures 3/3 | none | now
advancing 1     ; woken        ; budget+requeueing       => advancing 1 requeue failed | requeue | never
advancing 1     ; woken        ; requeueing              => advancing 1 requeue failed | requeue | never
advancing 1     ; woken        ; requeueing+paused       => advancing 1 paused requeue failed | requeue | never
advancing 1     ; woken        ; requeueing+stalled      => advancing 1 requeue failed | requeue | never
advancing 1     ; woken        ; paused                  => advancing 1 paused | none | never
advancing 1     ; woken        ; paused+done             => advancing 1 paused | none | never
advancing 1     ; woken        ; paused+stalled          => advancing 1 paused | none | never
advancing 1     ; woken        ; shut                    => advancing 1 | none | at the opening
advancing 1     ; woken        ; shut for ever           => advancing 1 | none | never
advancing 1     ; woken        ; shut+done               => advancing 2 | none | now
advancing 1     ; woken        ; shut+stalled            => advancing 1 | none | at the opening
advancing 1     ; woken        ; stalled                 => halted 1 stalled | none | now
advancing 1     ; woken        ; stalled+done            => advancing 2 | none | now
advancing 1     ; woken        ; nearly stalled          => advancing 1 | release 3 up to 1 | in 10 s
advancing 2     ; woken        ; -                       => advancing 2 | release 5 up to 2 | in 30 s
advancing 2     ; woken        ; full                    => advancing 2 | none | in 30 s
advancing 2     ; woken        ; failed                  => advancing 2 | release 5 up to 2 | in 30 s
advancing 2     ; woken        ; nearly budget           => advancing 2 | release 1 up to 2 | in 30 s
advancing 2     ; woken        ; budget                  => halted 2 failures 6/6 | none | now
advancing 2     ; woken        ; done                    => completed | none | never
advancing 2     ; woken        ; failed+done             => completed | none | never
advancing 2     ; woken        ; active                  => advancing 2 | none | in 30 s
advancing 1     ; requeued     ; -                       => advancing 1 | none | now
advancing 1     ; requeued     ; requeueing              => advancing 1 | none | now
advancing 1     ; requeued     ; requeueing+paused       => advancing 1 paused | none | now
advancing 1     ; pause        ; -                       => advancing 1 paused | none | now
advancing 1     ; pause        ; requeueing              => advancing 1 paused requeue failed | none | now
advancing 1     ; pause        ; paused                  => refused already_paused
advancing 1     ; resume       ; -                       => refused not_paused
advancing 1     ; resume       ; paused                  => advancing 1 | none | now
advancing 1     ; abort        ; -                       => aborted | withdraw | never
advancing 1     ; abort        ; requeueing              => aborted | withdraw | never
advancing 1     ; abort        ; paused                  => aborted paused | withdraw | never
advancing 1     ; retry        ; -                       => refused nothing_to_retry
advancing 1     ; retry        ; failed                  => advancing 1 requeue failed | requeue | now
advancing 1     ; retry        ; failed+paused           => advancing 1 paused requeue failed | requeue | now
advancing 1     ; retry        ; in doubt                => refused only_in_doubt
advancing 1     ; retry        ; failed+requeueing       => advancing 1 requeue failed | requeue | now
advancing 1     ; retry        ; failed+requeueing all   => advancing 1 requeue failed_and_in_doubt | requeue | now
advancing 1     ; retry all    ; -                       => refused nothing_to_retry
advancing 1     ; retry all    ; in doubt                => advancing 1 requeue failed_and_in_doubt | requeue | now
advancing 1     ; retry all    ; failed+requeueing       => advancing 1 requeue failed_and_in_doubt | requeue | now
advancing 1     ; promote      ; -                       => refused nothing_to_promote
soaking 0       ; woken        ; -                       => soaking 0 | none | at its end
soaking 0       ; woken        ; paused                  => soaking 0 paused | none | at its end
soaking 0       ; woken        ; soaked                  => awaiting 0 | none | now
soaking 0       ; woken        ; soaked+auto             => advancing 1 | none | now
soaking 0       ; woken        ; soaked+paused           => soaking 0 paused | none | never
soaking 0       ; woken        ; soaked+auto+paused      => soaking 0 paused | none | never
soaking 0       ; woken        ; soaked+auto+shut        => advancing 1 | none | now
soaking 0       ; requeued     ; -                       => soaking 0 | none | now
soaking 0       ; pause        ; -                       => soaking 0 paused | none | now
soaking 0       ; resume       ; -                       => refused not_paused
soaking 0       ; resume       ; soaked+paused           => soaking 0 | none | now
soaking 0       ; abort        ; -                       => aborted | withdraw | never
soaking 0       ; retry        ; -                       => refused nothing_to_retry
soaking 0       ; retry        ; failed                  => advancing 0 requeue failed | requeue | now
soaking 0       ; retry all    ; in doubt                => advancing 0 requeue failed_and_in_doubt | requeue | now
soaking 0       ; promote      ; -                       => advancing 1 | none | now
soaking 0       ; promote      ; paused                  => advancing 1 paused | none | now
awaiting 0      ; woken        ; -                       => awaiting 0 | none | never
awaiting 0      ; requeued     ; -                       => awaiting 0 | none | now
awaiting 0      ; pause        ; -                       => awaiting 0 paused | none | now
awaiting 0      ; resume       ; -                       => refused not_paused
awaiting 0      ; resume       ; paused                  => awaiting 0 | none | now
awaiting 0      ; abort        ; -                       => aborted | withdraw | never
awaiting 0      ; retry        ; -                       => refused nothing_to_retry
awaiting 0      ; retry        ; failed                  => advancing 0 requeue failed | requeue | now
awaiting 0      ; retry all    ; failed                  => advancing 0 requeue failed_and_in_doubt | requeue | now
awaiting 0      ; promote      ; -                       => advancing 1 | none | now
awaiting 0      ; promote      ; paused                  => advancing 1 paused | none | now
halted failures ; woken        ; -                       => halted 1 failures 3/3 | none | never
halted failures ; woken        ; stalled                 => halted 1 failures 3/3 | none | never
halted failures ; requeued     ; -                       => halted 1 failures 3/3 | none | now
halted failures ; pause        ; -                       => halted 1 failures 3/3 paused | none | now
halted failures ; resume       ; -                       => refused not_paused
halted failures ; resume       ; paused                  => halted 1 failures 3/3 | none | now
halted failures ; abort        ; -                       => aborted | withdraw | never
halted failures ; retry        ; -                       => advancing 1 requeue failed | requeue | now
halted failures ; retry        ; in doubt                => refused only_in_doubt
halted failures ; retry all    ; -                       => advancing 1 requeue failed_and_in_doubt | requeue | now
halted failures ; promote      ; -                       => refused wave_not_done
halted stalled  ; woken        ; -                       => halted 1 stalled | none | never
halted stalled  ; woken        ; stalled                 => halted 1 stalled | none | never
halted stalled  ; requeued     ; -                       => halted 1 stalled | none | now
halted stalled  ; pause        ; -                       => halted 1 stalled paused | none | now
halted stalled  ; resume       ; -                       => refused not_paused
halted stalled  ; abort        ; -                       => aborted | withdraw | never
halted stalled  ; retry        ; -                       => advancing 1 requeue failed | requeue | now
halted stalled  ; retry        ; in doubt                => advancing 1 requeue failed | requeue | now
halted stalled  ; retry all    ; -                       => advancing 1 requeue failed_and_in_doubt | requeue | now
halted stalled  ; promote      ; -                       => refused nothing_to_promote
completed       ; woken        ; -                       => completed | none | never
completed       ; requeued     ; -                       => completed | none | now
completed       ; pause        ; -                       => refused final
completed       ; resume       ; paused                  => refused final
completed       ; abort        ; -                       => refused final
completed       ; retry        ; failed                  => refused final
completed       ; retry all    ; failed                  => refused final
completed       ; promote      ; -                       => refused final
aborted         ; woken        ; -                       => aborted | withdraw | never
aborted         ; woken        ; done                    => aborted | none | never
aborted         ; requeued     ; -                       => aborted | none | now
aborted         ; pause        ; -                       => refused final
aborted         ; resume       ; paused                  => refused final
aborted         ; abort        ; -                       => refused final
aborted         ; retry        ; failed                  => refused final
aborted         ; retry all    ; failed                  => refused final
aborted         ; promote      ; -                       => refused final
scheduled       ; marking one  ; -                       => scheduled | none | now
scheduled       ; gathered     ; -                       => scheduled | none | now
scheduled       ; revert       ; -                       => refused nothing_to_revert
scheduled       ; pause until  ; -                       => scheduled paused until | none | now
scheduled       ; woken        ; paused until+early      => scheduled paused until | none | at the start
scheduled       ; woken        ; approval                => scheduled | none | never
scheduled       ; woken        ; approval+paused until   => scheduled paused until | none | when the pause ends
scheduled       ; woken        ; approval+approved       => advancing 0 | none | now
scheduled       ; woken        ; two+approved            => scheduled | none | never
scheduled       ; approve      ; -                       => refused no_approval_asked
scheduled       ; approve      ; approval                => scheduled approved 1 | none | now
scheduled       ; approve      ; approval+paused         => scheduled paused approved 1 | none | now
scheduled       ; approve      ; approval+by alice       => refused own_rollout
scheduled       ; approve      ; approval+approved       => refused approved_already
scheduled       ; approve      ; two+approved            => scheduled approved 2 | none | now
scheduled       ; approve      ; two+approved by alice   => refused same_approver
scheduled       ; approve      ; approval+other digest   => refused other_digest
scheduled       ; approve      ; approval+by number      => refused own_rollout
scheduled       ; approve      ; approval+by folder      => refused own_rollout
scheduled       ; approve      ; approval+by nobody      => scheduled approved 1 | none | now
scheduled       ; approve      ; two+approved by number  => refused same_approver
scheduled       ; approve      ; approval+unnamed        => refused unnamed_approver
scheduled       ; woken        ; approval+own approved   => scheduled | none | never
scheduled       ; woken        ; approval+approved number => scheduled | none | never
scheduled       ; woken        ; two+approved+approved   => scheduled | none | never
advancing 1     ; woken        ; paused until            => advancing 1 paused until | none | when the pause ends
advancing 1     ; woken        ; paused until+over       => advancing 1 | none | now
advancing 1     ; woken        ; paused until+budget     => halted 1 failures 3/3 paused until | none | now
advancing 1     ; woken        ; budget+on failure       => reverting 1 settling | withdraw | now
advancing 1     ; woken        ; budget+on failure+paused => reverting 1 settling paused | withdraw | now
advancing 1     ; woken        ; stalled+on failure      => halted 1 stalled | none | now
advancing 1     ; marking one  ; -                       => advancing 1 | none | now
advancing 1     ; gathered     ; -                       => advancing 1 | none | now
advancing 1     ; pause until  ; -                       => advancing 1 paused until | none | now
advancing 1     ; pause until  ; paused                  => refused already_paused
advancing 1     ; pause until  ; over                    => refused until_passed
advancing 1     ; pause        ; paused until            => refused already_paused
advancing 1     ; resume       ; paused until            => advancing 1 | none | now
advancing 1     ; approve      ; -                       => refused no_approval_asked
advancing 1     ; approve      ; approval+approved       => refused approved_already
advancing 1     ; revert       ; -                       => reverting 1 settling | withdraw | now
advancing 1     ; revert       ; active                  => reverting 1 settling | withdraw | now
advancing 1     ; revert       ; paused                  => reverting 1 settling paused | withdraw | now
advancing 1     ; revert       ; failed+requeueing       => reverting 1 settling | withdraw | now
soaking 0       ; woken        ; paused until            => soaking 0 paused until | none | at its end
soaking 0       ; woken        ; paused until+over       => soaking 0 | none | now
soaking 0       ; marking one  ; -                       => soaking 0 | none | now
soaking 0       ; gathered     ; -                       => soaking 0 | none | now
soaking 0       ; pause until  ; -                       => soaking 0 paused until | none | now
soaking 0       ; approve      ; -                       => refused no_approval_asked
soaking 0       ; revert       ; -                       => reverting 0 settling | withdraw | now
awaiting 0      ; woken        ; paused until            => awaiting 0 paused until | none | when the pause ends
awaiting 0      ; marking one  ; -                       => awaiting 0 | none | now
awaiting 0      ; gathered     ; -                       => awaiting 0 | none | now
awaiting 0      ; pause until  ; -                       => awaiting 0 paused until | none | now
awaiting 0      ; approve      ; -                       => refused no_approval_asked
awaiting 0      ; revert       ; -                       => reverting 0 settling | withdraw | now
halted failures ; woken        ; paused until+over       => halted 1 failures 3/3 | none | now
halted failures ; marking one  ; -                       => halted 1 failures 3/3 | none | now
halted failures ; gathered     ; -                       => halted 1 failures 3/3 | none | now
halted failures ; pause until  ; -                       => halted 1 failures 3/3 paused until | none | now
halted failures ; approve      ; -                       => refused no_approval_asked
halted failures ; revert       ; -                       => reverting 1 settling | withdraw | now
halted stalled  ; marking one  ; -                       => halted 1 stalled | none | now
halted stalled  ; gathered     ; -                       => halted 1 stalled | none | now
halted stalled  ; pause until  ; -                       => halted 1 stalled paused until | none | now
halted stalled  ; approve      ; -                       => refused no_approval_asked
halted stalled  ; revert       ; -                       => reverting 1 settling | withdraw | now
completed       ; marking one  ; -                       => completed | none | now
completed       ; gathered     ; -                       => completed | none | now
completed       ; pause until  ; -                       => refused final
completed       ; approve      ; -                       => refused final
completed       ; revert       ; -                       => refused final
aborted         ; marking one  ; -                       => aborted | none | now
aborted         ; gathered     ; -                       => aborted | none | now
aborted         ; pause until  ; -                       => refused final
aborted         ; approve      ; -                       => refused final
aborted         ; revert       ; -                       => refused final
settling        ; woken        ; -                       => reverting 1 settling | withdraw | never
settling        ; woken        ; active                  => reverting 1 settling | none | never
settling        ; woken        ; active+paused           => reverting 1 settling paused | none | never
settling        ; woken        ; done                    => reverting 1 gathering | none | now
settling        ; woken        ; done+paused             => reverting 1 gathering paused | none | now
settling        ; woken        ; done+shut               => reverting 1 gathering | none | now
settling        ; woken        ; failed+done             => reverting 1 gathering but 1 | none | now
settling        ; woken        ; budget+done             => reverting 1 gathering but 3 | none | now
settling        ; requeued     ; -                       => reverting 1 settling | none | now
settling        ; marking one  ; -                       => reverting 1 settling | none | now
settling        ; gathered     ; -                       => reverting 1 settling | none | now
settling        ; pause        ; -                       => reverting 1 settling paused | none | now
settling        ; pause until  ; -                       => reverting 1 settling paused until | none | now
settling        ; resume       ; paused                  => reverting 1 settling | none | now
settling        ; abort        ; -                       => aborted | withdraw | never
settling        ; retry        ; -                       => refused nothing_to_retry
settling        ; retry all    ; -                       => refused nothing_to_retry
settling        ; promote      ; -                       => refused nothing_to_promote
settling        ; approve      ; -                       => refused no_approval_asked
settling        ; revert       ; -                       => refused reverting_already
gathering       ; woken        ; -                       => reverting 1 gathering | gather 1 | never
gathering       ; woken        ; paused                  => reverting 1 gathering paused | none | never
gathering       ; woken        ; paused until            => reverting 1 gathering paused until | none | when the pause ends
gathering       ; woken        ; shut                    => reverting 1 gathering | gather 1 | never
gathering       ; requeued     ; -                       => reverting 1 gathering | none | now
gathering       ; marking one  ; failed before           => reverting 1 gathering | none | now
gathering       ; marking one  ; failed before+paused    => reverting 1 gathering paused | none | now
gathering       ; gathered     ; failed before           => reverting 1 releasing but 1 | none | now
gathering       ; gathered     ; marked                  => reverting 1 releasing | none | now
gathering       ; gathered     ; -                       => reverting 1 releasing | none | now
gathering       ; gathered all but some ; marked         => reverting 1 releasing more | none | now
gathering       ; pause        ; -                       => reverting 1 gathering paused | none | now
gathering       ; pause until  ; -                       => reverting 1 gathering paused until | none | now
gathering       ; resume       ; paused                  => reverting 1 gathering | none | now
gathering       ; abort        ; marked                  => aborted | withdraw | never
gathering       ; retry        ; -                       => refused nothing_to_retry
gathering       ; retry all    ; -                       => refused nothing_to_retry
gathering       ; promote      ; -                       => refused nothing_to_promote
gathering       ; approve      ; -                       => refused no_approval_asked
gathering       ; revert       ; -                       => refused reverting_already
releasing       ; woken        ; marked                  => reverting 1 releasing | release 5 up to 1 | in 30 s
releasing       ; woken        ; marked+full             => reverting 1 releasing | none | in 30 s
releasing       ; woken        ; marked+active           => reverting 1 releasing | none | in 30 s
releasing       ; woken        ; marked+paused           => reverting 1 releasing paused | none | never
releasing       ; woken        ; marked+shut             => reverting 1 releasing | none | at the opening
releasing       ; woken        ; marked+shut for ever    => reverting 1 releasing | none | never
releasing       ; woken        ; marked+stalled          => halted 1 stalled back releasing | none | now
releasing       ; woken        ; marked+failed           => halted 1 revert 1 back releasing | none | now
releasing       ; woken        ; marked+in doubt         => halted 1 revert 1 back releasing | none | now
releasing       ; woken        ; marked+failed+paused    => halted 1 revert 1 back releasing paused | none | now
releasing       ; woken        ; marked+failed before    => reverting 1 releasing but 1 | release 5 up to 1 | in 30 s
releasing       ; woken        ; failed before+failed    => halted 1 revert 1 back releasing but 1 | none | now
releasing       ; woken        ; requeueing              => reverting 1 releasing requeue failed | requeue | never
releasing       ; woken        ; marked+failed+requeueing => reverting 1 releasing requeue failed | requeue | never
releasing       ; woken        ; -                       => reverting 0 gathering | none | now
releasing       ; woken        ; put back                => reverting 0 gathering | none | now
releasing       ; woken        ; put back+shut           => reverting 0 gathering | none | now
releasing       ; woken        ; put back+more           => reverting 1 gathering more | none | now
releasing       ; woken        ; put back+first          => reverted | none | never
releasing       ; woken        ; put back+first+failed before => reverted | none | never
releasing       ; requeued     ; requeueing              => reverting 1 releasing | none | now
releasing       ; marking one  ; failed before+marked    => reverting 1 releasing but 1 | none | now
releasing       ; gathered     ; -                       => reverting 1 releasing | none | now
releasing       ; pause        ; -                       => reverting 1 releasing paused | none | now
releasing       ; pause until  ; -                       => reverting 1 releasing paused until | none | now
releasing       ; resume       ; paused                  => reverting 1 releasing | none | now
releasing       ; abort        ; marked                  => aborted | withdraw | never
releasing       ; retry        ; -                       => refused nothing_to_retry
releasing       ; retry        ; failed before           => refused nothing_to_retry
releasing       ; retry        ; failed                  => reverting 1 releasing requeue failed | requeue | now
releasing       ; retry all    ; in doubt                => reverting 1 releasing requeue failed_and_in_doubt | requeue | now
releasing       ; promote      ; -                       => refused nothing_to_promote
releasing       ; approve      ; -                       => refused no_approval_asked
releasing       ; revert       ; -                       => refused reverting_already
halted revert   ; woken        ; -                       => halted 1 revert 1 back releasing | none | never
halted revert   ; requeued     ; -                       => halted 1 revert 1 back releasing | none | now
halted revert   ; marking one  ; -                       => halted 1 revert 1 back releasing | none | now
halted revert   ; gathered     ; -                       => halted 1 revert 1 back releasing | none | now
halted revert   ; pause        ; -                       => halted 1 revert 1 back releasing paused | none | now
halted revert   ; pause until  ; -                       => halted 1 revert 1 back releasing paused until | none | now
halted revert   ; resume       ; paused                  => halted 1 revert 1 back releasing | none | now
halted revert   ; abort        ; -                       => aborted | withdraw | never
halted revert   ; retry        ; -                       => reverting 1 releasing requeue failed | requeue | now
halted revert   ; retry        ; in doubt                => refused only_in_doubt
halted revert   ; retry        ; in doubt+failed before  => refused only_in_doubt
halted revert   ; retry all    ; in doubt                => reverting 1 releasing requeue failed_and_in_doubt | requeue | now
halted revert   ; promote      ; -                       => refused nothing_to_promote
halted revert   ; approve      ; -                       => refused no_approval_asked
halted revert   ; revert       ; -                       => refused reverting_already
reverted        ; woken        ; -                       => reverted | none | never
reverted        ; requeued     ; -                       => reverted | none | now
reverted        ; marking one  ; -                       => reverted | none | now
reverted        ; gathered     ; -                       => reverted | none | now
reverted        ; pause        ; -                       => refused final
reverted        ; pause until  ; -                       => refused final
reverted        ; resume       ; paused                  => refused final
reverted        ; abort        ; -                       => refused final
reverted        ; retry        ; failed                  => refused final
reverted        ; retry all    ; failed                  => refused final
reverted        ; promote      ; -                       => refused final
reverted        ; approve      ; -                       => refused final
reverted        ; revert       ; -                       => refused final
scheduled       ; retry one    ; -                       => refused nothing_to_retry
scheduled       ; name job     ; -                       => refused nothing_to_retry
scheduled       ; give up      ; -                       => scheduled | 3 given up | now
advancing 1     ; retry one    ; -                       => advancing 1 | again 3 | now
advancing 1     ; name job     ; -                       => advancing 1 | 3 did named | now
advancing 1     ; give up      ; -                       => advancing 1 | 3 given up | now
soaking 0       ; retry one    ; -                       => advancing 0 | again 3 | now
soaking 0       ; name job     ; -                       => advancing 0 | 3 did named | now
soaking 0       ; give up      ; -                       => soaking 0 | 3 given up | now
awaiting 0      ; retry one    ; -                       => advancing 0 | again 3 | now
awaiting 0      ; name job     ; -                       => advancing 0 | 3 did named | now
awaiting 0      ; give up      ; -                       => awaiting 0 | 3 given up | now
halted failures ; retry one    ; -                       => advancing 1 | again 3 | now
halted failures ; name job     ; -                       => advancing 1 | 3 did named | now
halted failures ; give up      ; -                       => halted 1 failures 3/3 | 3 given up | now
halted stalled  ; retry one    ; -                       => advancing 1 | again 3 | now
halted stalled  ; name job     ; -                       => advancing 1 | 3 did named | now
halted stalled  ; give up      ; -                       => halted 1 stalled | 3 given up | now
completed       ; retry one    ; -                       => refused final
completed       ; name job     ; -                       => refused final
completed       ; give up      ; -                       => refused final
aborted         ; retry one    ; -                       => refused final
aborted         ; name job     ; -                       => refused final
aborted         ; give up      ; -                       => refused final
settling        ; retry one    ; -                       => reverting 1 settling | again 3 | now
settling        ; name job     ; -                       => reverting 1 settling | 3 did named | now
settling        ; give up      ; -                       => reverting 1 settling | 3 given up | now
gathering       ; retry one    ; -                       => reverting 1 gathering | again 3 | now
gathering       ; name job     ; -                       => reverting 1 gathering | 3 did named | now
gathering       ; give up      ; -                       => reverting 1 gathering | 3 given up | now
releasing       ; retry one    ; -                       => reverting 1 releasing | again 3 | now
releasing       ; name job     ; -                       => reverting 1 releasing | 3 did named | now
releasing       ; give up      ; -                       => reverting 1 releasing | 3 given up | now
halted revert   ; retry one    ; -                       => reverting 1 releasing | again 3 | now
halted revert   ; name job     ; -                       => reverting 1 releasing | 3 did named | now
halted revert   ; give up      ; -                       => halted 1 revert 1 back releasing | 3 given up | now
reverted        ; retry one    ; -                       => refused final
reverted        ; name job     ; -                       => refused final
reverted        ; give up      ; -                       => refused final
advancing 0     ; woken        ; wide+half+done          => halted 0 half 2/4 | none | now
advancing 0     ; woken        ; wide+half+done+auto+soakless => halted 0 half 2/4 | none | now
advancing 0     ; woken        ; wide+half+done+on failure => halted 0 half 2/4 | none | now
advancing 0     ; woken        ; wide+half+done+paused   => advancing 0 paused | none | never
advancing 0     ; woken        ; wide+half+done+shut     => halted 0 half 2/4 | none | now
advancing 0     ; woken        ; wide+half+done+survey   => soaking 0 | none | now
advancing 0     ; woken        ; wide+half+active        => advancing 0 | none | in 30 s
advancing 0     ; woken        ; wide+half               => advancing 0 | release 2 up to 0 | in 30 s
advancing 0     ; woken        ; wide+nearly half+done   => soaking 0 | none | now
advancing 1     ; woken        ; wide+nearly half+done   => advancing 2 | none | now
advancing 1     ; woken        ; wide+half+done          => halted 1 half 5/10 | none | now
advancing 2     ; woken        ; wide+nearly half+done   => completed | none | never
advancing 2     ; woken        ; wide+half+done          => halted 2 half 10/20 | none | now
advancing 2     ; woken        ; wide+everything failed  => halted 2 half 20/20 | none | now
advancing 2     ; woken        ; wide+everything failed+survey => completed | none | never
soaking 0       ; woken        ; half                    => soaking 0 | none | at its end
soaking 0       ; woken        ; half+soaked             => halted 0 half 2/4 | none | now
soaking 0       ; woken        ; half+soaked+auto        => halted 0 half 2/4 | none | now
soaking 0       ; woken        ; half+soaked+paused      => soaking 0 paused | none | never
soaking 0       ; woken        ; half+soaked+survey      => awaiting 0 | none | now
soaking 0       ; promote      ; half                    => advancing 1 | none | now
halted failures ; promote      ; budget+done             => advancing 2 | none | now
halted failures ; promote      ; budget+done+paused      => advancing 2 paused | none | now
halted failures ; promote      ; budget+active           => refused wave_not_done
halted failures ; promote      ; left behind+done        => refused wave_not_done
halted failures ; promote      ; wide+half+done          => advancing 2 | none | now
halted failures ; promote      ; everything failed       => refused budget_spent
halted failures ; promote unsaid ; budget+done           => refused reason_missing
halted half 1   ; woken        ; -                       => halted 1 half 5/10 | none | never
halted half 1   ; woken        ; paused until+over       => halted 1 half 5/10 | none | now
halted half 1   ; requeued     ; -                       => halted 1 half 5/10 | none | now
halted half 1   ; pause        ; -                       => halted 1 half 5/10 paused | none | now
halted half 1   ; pause until  ; -                       => halted 1 half 5/10 paused until | none | now
halted half 1   ; resume       ; -                       => refused not_paused
halted half 1   ; resume       ; paused                  => halted 1 half 5/10 | none | now
halted half 1   ; abort        ; -                       => aborted | withdraw | never
halted half 1   ; retry        ; -                       => advancing 1 requeue failed | requeue | now
halted half 1   ; retry        ; in doubt                => refused only_in_doubt
halted half 1   ; retry all    ; -                       => advancing 1 requeue failed_and_in_doubt | requeue | now
halted half 1   ; promote      ; -                       => advancing 2 | none | now
halted half 1   ; promote      ; paused                  => refused wave_not_done
halted half 1   ; promote      ; half                    => refused wave_not_done
halted half 1   ; promote unsaid ; -                     => refused reason_missing
halted half 2   ; promote      ; -                       => completed | none | never
halted half 2   ; promote      ; everything failed       => refused every_change_failed
halted half 1   ; marking one  ; -                       => halted 1 half 5/10 | none | now
halted half 1   ; gathered     ; -                       => halted 1 half 5/10 | none | now
halted half 1   ; approve      ; -                       => refused no_approval_asked
halted half 1   ; revert       ; -                       => reverting 1 settling | withdraw | now
halted half 1   ; retry one    ; -                       => advancing 1 | again 3 | now
halted half 1   ; name job     ; -                       => advancing 1 | 3 did named | now
halted half 1   ; give up      ; -                       => halted 1 half 5/10 | 3 given up | now
";

fn start() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().expect("an instant")
}

fn opening() -> Timestamp {
    "2026-12-02T00:00:00Z".parse().expect("an instant")
}

fn soaked() -> Timestamp {
    "2026-12-01T06:00:00Z".parse().expect("an instant")
}

const HOUR_MS: u64 = 3_600_000;
const DEADLINE: Duration = Duration::from_secs(1200);

fn wave(
    name: &str,
    first: u32,
    size: u32,
    soak_ms: u64,
    promote: Promote,
    max_failures: u32,
) -> Wave {
    Wave {
        name: Name::parse(name, "wave").expect("a name"),
        first,
        size,
        soak_ms,
        promote,
        max_failures,
    }
}

fn plan() -> Plan {
    Plan {
        name: Name::parse("proxy-ssl", "plan name").expect("a name"),
        revision: 1,
        description: String::new(),
        change_ref: String::new(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(b"plan"),
        calendar: Calendar::new(vec![], vec![], Some(start())),
        strategy: Guards {
            max_in_flight: 5,
            max_in_flight_per: Default::default(),
            waves: vec![
                wave("canary", 0, 4, HOUR_MS, Promote::Manual, 2),
                wave("early", 4, 10, 0, Promote::Auto, 3),
                wave("rest", 14, 20, HOUR_MS, Promote::Auto, 20),
            ],
            max_failures: 6,
            progress_deadline_ms: 1_200_000,
            revert: RevertPolicy::default(),
        },
        retry: retry::Policy::default(),
        verify_timeout_ms: 180_000,
        approval: Approval { required: 0, digest: digest() },
        enforce: None,
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}

fn mark(by: &str) -> Attribution {
    Attribution { by: by.into(), reason: "network trouble".into(), at: start() }
}

fn digest() -> Digest {
    Digest::of(b"looked at")
}

fn noon() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().expect("an instant")
}

fn reverting(stage: RevertStage) -> Revert {
    Revert {
        wave: 1,
        stage,
        more: false,
        failed: 0,
        in_doubt: 0,
        cause: Cause::Asked { mark: mark("root") },
    }
}

fn phases() -> Vec<(&'static str, Phase)> {
    vec![
        ("scheduled", Phase::Scheduled),
        ("advancing 0", Phase::Advancing { wave: 0 }),
        ("advancing 1", Phase::Advancing { wave: 1 }),
        ("advancing 2", Phase::Advancing { wave: 2 }),
        ("soaking 0", Phase::Soaking { wave: 0, until: soaked() }),
        ("awaiting 0", Phase::Awaiting { wave: 0 }),
        (
            "halted failures",
            Phase::Halted {
                wave: 1,
                reason: Halt::Failures { failures: 3, budget: 3 },
                revert: None,
            },
        ),
        (
            "halted half 1",
            Phase::Halted { wave: 1, reason: Halt::Half { failures: 5, size: 10 }, revert: None },
        ),
        (
            "halted half 2",
            Phase::Halted { wave: 2, reason: Halt::Half { failures: 10, size: 20 }, revert: None },
        ),
        (
            "halted stalled",
            Phase::Halted {
                wave: 1,
                reason: Halt::Stalled { seconds: 1200, why: String::new() },
                revert: None,
            },
        ),
        ("completed", Phase::Completed),
        ("aborted", Phase::Aborted { mark: mark("root") }),
        ("settling", Phase::Reverting(reverting(RevertStage::Settling).into())),
        ("gathering", Phase::Reverting(reverting(RevertStage::Gathering).into())),
        ("releasing", Phase::Reverting(reverting(RevertStage::Releasing).into())),
        (
            "halted revert",
            Phase::Halted {
                wave: 1,
                reason: Halt::Revert { failures: 1 },
                revert: Some(reverting(RevertStage::Releasing).into()),
            },
        ),
        ("reverted", Phase::Reverted),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    let command = |verb| Event::Command { verb, mark: mark("alice"), uid: Some(1000) };
    vec![
        ("woken", Event::Woken),
        ("requeued", Event::Requeued),
        ("pause", command(Verb::Pause { until: None })),
        ("resume", command(Verb::Resume)),
        ("abort", command(Verb::Abort)),
        ("retry", command(Verb::Retry(Requeue::Failed))),
        ("retry all", command(Verb::Retry(Requeue::FailedAndInDoubt))),
        ("retry one", command(Verb::ByHand { ordinal: 3, what: ByHand::Again })),
        (
            "name job",
            command(Verb::ByHand {
                ordinal: 3,
                what: ByHand::Adopt("named".parse().expect("a job id")),
            }),
        ),
        ("give up", command(Verb::ByHand { ordinal: 3, what: ByHand::GiveUp })),
        ("promote", command(Verb::Promote)),
        (
            "promote unsaid",
            Event::Command {
                verb: Verb::Promote,
                mark: Attribution { reason: String::new(), ..mark("alice") },
                uid: Some(1000),
            },
        ),
        ("marking one", Event::Marking { failed: 1 }),
        ("gathered", Event::Gathered { more: false }),
        ("gathered all but some", Event::Gathered { more: true }),
        ("pause until", command(Verb::Pause { until: Some(noon()) })),
        ("approve", command(Verb::Approve { digest: digest() })),
        ("revert", command(Verb::Revert)),
    ]
}

/// The state of the world with which a row begins.
struct RowWorld {
    plan: Plan,
    by: Person,
    /// Who commands has no name.
    unnamed: bool,
    record: Record,
    tallies: Vec<Tally>,
    /// How the changes stood when a revert began to put them back.
    settled: Vec<Tally>,
    window: Opening,
    stalled: Duration,
    now: Timestamp,
}

impl RowWorld {
    fn of(phase: &str, circumstances: &str) -> Self {
        let (_, phase) =
            phases().into_iter().find(|(name, _)| *name == phase).expect("a known phase");
        let plan = plan();
        let mut tallies: Vec<Tally> =
            plan.strategy.waves.iter().map(|wave| Tally::queued(wave.size)).collect();
        let wave = usize::from(phase.wave().unwrap_or(0));
        let (first_open, begins) = match &phase {
            Phase::Soaking { wave, .. } | Phase::Awaiting { wave } => {
                (usize::from(*wave) + 1, false)
            }
            Phase::Completed => (3, false),
            Phase::Reverting(_) | Phase::Halted { revert: Some(_), .. } | Phase::Reverted => {
                tallies[2].shift(Standing::Queued, Standing::Cancelled, 20);
                let settling = matches!(&phase, Phase::Reverting(revert) if revert.stage == RevertStage::Settling);
                (if settling { 1 } else { 2 }, settling)
            }
            // What was not released before the abort was withdrawn, but for the first wave.
            Phase::Aborted { .. } => {
                tallies[1..].iter_mut().for_each(|tally| {
                    tally.shift(Standing::Queued, Standing::Cancelled, tally.queued)
                });
                (0, true)
            }
            Phase::Scheduled | Phase::Advancing { .. } | Phase::Halted { .. } => (wave, true),
        };
        for tally in &mut tallies[..first_open] {
            *tally = Tally { succeeded: tally.total(), ..Tally::default() };
        }
        let mut world = Self {
            record: Record { phase, ..Record::submitted() },
            plan,
            by: "root".into(),
            unnamed: false,
            settled: tallies.clone(),
            tallies,
            window: Opening::Open { until: None },
            stalled: Duration::ZERO,
            now: start(),
        };
        if matches!(world.record.phase, Phase::Halted { reason: Halt::Failures { .. }, .. })
            && circumstances == "-"
        {
            world.tallies[wave].shift(Standing::Queued, Standing::Failed, 3);
        }
        if matches!(world.record.phase, Phase::Halted { reason: Halt::Half { .. }, .. })
            && circumstances == "-"
        {
            world.apply("half", wave, Standing::Queued);
            world.apply("done", wave, Standing::Queued);
        }
        if matches!(world.record.phase, Phase::Halted { reason: Halt::Revert { .. }, .. })
            && circumstances == "-"
        {
            world.tallies[wave].shift(Standing::Succeeded, Standing::Failed, 1);
        }
        let from = if begins { Standing::Queued } else { Standing::Succeeded };
        for word in circumstances.split('+').filter(|word| *word != "-") {
            world.apply(word, wave, from);
        }
        world
    }

    fn apply(&mut self, word: &str, wave: usize, from: Standing) {
        let shut = |next| Opening::Shut { next, by: ShutBy::Window };
        let own = &mut self.tallies[wave];
        let budget =
            self.plan.strategy.waves[wave].max_failures.min(self.plan.strategy.max_failures);
        match word {
            "early" => self.now = start() - Duration::from_secs(60),
            "paused" => self.record.paused = Some(mark("root")),
            "paused until" => {
                self.record.paused = Some(mark("root"));
                self.record.paused_until = Some(noon());
            }
            "over" => self.now = noon(),
            "approval" => self.plan.approval.required = 1,
            "two" => self.plan.approval.required = 2,
            "other digest" => self.plan.approval.digest = Digest::of(b"another"),
            "approved" => self.approved("bob"),
            "approved by alice" => self.approved("alice"),
            "approved by number" => self.approved("uid 1000"),
            "approved number" => self.approved("uid 1001"),
            "own approved" => self.approved("root (plans folder)"),
            "by alice" => self.by = "alice".into(),
            "by number" => self.by = Person::user(1000, None),
            "by folder" => self.by = "alice (plans folder)".into(),
            "by nobody" => self.by = "uid 7".into(),
            "unnamed" => self.unnamed = true,
            "on failure" => self.plan.strategy.revert.on_failure = OnFailure::Revert,
            "marked" => own.shift(Standing::Succeeded, Standing::Queued, 8),
            "put back" => own.shift(Standing::Succeeded, Standing::Reverted, own.succeeded),
            "more" | "first" | "failed before" => self.bend_revert(word),
            "shut" => self.window = shut(Some(opening())),
            "shut for ever" => self.window = shut(None),
            "stalled" => self.stalled = DEADLINE,
            "nearly stalled" => self.stalled = DEADLINE - Duration::from_secs(10),
            "requeueing" => self.record.requeue = Some(Requeue::Failed),
            "requeueing all" => self.record.requeue = Some(Requeue::FailedAndInDoubt),
            "soaked" => self.now = soaked(),
            "auto" => self.plan.strategy.waves[0].promote = Promote::Auto,
            "soakless" => self.plan.strategy.waves[0].soak_ms = 0,
            "failed" => own.shift(from, Standing::Failed, 1),
            "in doubt" => own.shift(from, Standing::InDoubt, 1),
            "nearly budget" => own.shift(from, Standing::Failed, budget - 1),
            "budget" => {
                own.shift(from, Standing::Failed, budget - 1);
                own.shift(from, Standing::InDoubt, 1);
            }
            "half" => own.shift(from, Standing::Failed, own.total().div_ceil(2)),
            "nearly half" => {
                own.shift(from, Standing::Failed, own.total().div_ceil(2) - 2);
                own.shift(from, Standing::InDoubt, 1);
            }
            "everything failed" => {
                self.tallies
                    .iter_mut()
                    .for_each(|tally| *tally = Tally { failed: tally.total(), ..Tally::default() });
            }
            "wide" => {
                self.plan.strategy.waves.iter_mut().for_each(|wave| wave.max_failures = 100);
                self.plan.strategy.max_failures = 100;
            }
            "survey" => self.plan.survey = true,
            "active" => own.shift(Standing::Queued, Standing::Active, own.queued),
            "full" => own.shift(Standing::Queued, Standing::Active, 5),
            "done" => own.shift(Standing::Queued, Standing::Succeeded, own.queued),
            "left behind" => self.tallies[0].shift(Standing::Succeeded, Standing::Queued, 2),
            other => panic!("unknown circumstances {other}"),
        }
    }

    fn bend_revert(&mut self, word: &str) {
        let (Phase::Reverting(revert) | Phase::Halted { revert: Some(revert), .. }) =
            &mut self.record.phase
        else {
            panic!("no revert is under way")
        };
        match word {
            "more" => revert.more = true,
            "first" => revert.wave = 0,
            _ => {
                revert.failed = 1;
                self.tallies[0].shift(Standing::Succeeded, Standing::Failed, 1);
            }
        }
    }

    fn approved(&mut self, by: &str) {
        self.record.approvals.push(Approved { by: by.into(), uid: None, at: start() });
    }

    fn decide(&self, event: &Event) -> Result<Decision, Refusal> {
        let RowWorld { plan, by, record, tallies, window, stalled, now, settled: _, unnamed } =
            self;
        let event = &match event.clone() {
            Event::Command { verb, mark, uid } if *unnamed => {
                Event::Command { verb, mark: Attribution { by: "uid 1000".into(), ..mark }, uid }
            }
            other => other,
        };
        let (since, gap) = (start(), Gap::None);
        let (window, slowest, at_work) = (window.clone(), Slowest::all(*now), "3 following".into());
        let ctx = Context {
            now: *now,
            plan,
            by,
            tallies,
            window,
            stalled: *stalled,
            at_work,
            since,
            gap,
            slowest,
        };
        let decision = decide(record, event, &ctx)?;
        let next = &decision.record;
        let of = |record: &Record| {
            let Record { phase, paused, paused_until, approvals, requeue, .. } = record.clone();
            (phase, paused, paused_until, approvals, requeue)
        };
        let moved = of(next) != of(record);
        assert_eq!(
            next.version,
            record.version + u64::from(moved),
            "the version counts moves of all but cursor and releases"
        );
        assert_eq!(
            next.releases,
            record.releases + u64::from(matches!(decision.effect, Effect::Release { .. })),
            "releases are counted"
        );
        assert_eq!(next.cursor, record.cursor, "the cursor is the engine's");
        Ok(decision)
    }
}

fn plain(value: &impl Serialize) -> String {
    serde_json::to_value(value).expect("a value").as_str().expect("a word").to_owned()
}

fn describe(answer: &Result<Decision, Refusal>, approved: usize) -> String {
    let decision = match answer {
        Ok(decision) => decision,
        Err(refusal) => {
            let word = match refusal {
                Refusal::Final { .. } => "final",
                Refusal::AlreadyPaused { .. } => "already_paused",
                Refusal::NotPaused { .. } => "not_paused",
                Refusal::NothingToRetry => "nothing_to_retry",
                Refusal::NotByHand { .. } => {
                    unreachable!("the engine says so, with the change in hand")
                }
                Refusal::OnlyInDoubt { .. } => "only_in_doubt",
                Refusal::NothingToPromote { .. } => "nothing_to_promote",
                Refusal::WaveNotDone { .. } => "wave_not_done",
                Refusal::ReasonMissing { .. } => "reason_missing",
                Refusal::BudgetSpent { .. } => "budget_spent",
                Refusal::EveryChangeFailed => "every_change_failed",
                Refusal::UntilPassed { .. } => "until_passed",
                Refusal::NoApprovalAsked => "no_approval_asked",
                Refusal::ApprovedAlready { .. } => "approved_already",
                Refusal::OtherDigest { .. } => "other_digest",
                Refusal::OwnRollout { .. } => "own_rollout",
                Refusal::SameApprover { .. } => "same_approver",
                Refusal::UnnamedApprover { .. } => "unnamed_approver",
                Refusal::NothingToRevert { .. } => "nothing_to_revert",
                Refusal::RevertingAlready { .. } => "reverting_already",
            };
            return format!("refused {word}");
        }
    };
    let record = &decision.record;
    let mut text = record.phase.as_str().to_owned();
    if let Some(wave) = record.phase.wave() {
        text += &format!(" {wave}");
    }
    match &record.phase {
        Phase::Halted { reason: Halt::Failures { failures, budget }, .. } => {
            text += &format!(" failures {failures}/{budget}")
        }
        Phase::Halted { reason: Halt::Half { failures, size }, .. } => {
            text += &format!(" half {failures}/{size}")
        }
        Phase::Halted { reason: Halt::Stalled { why, .. }, .. } => {
            assert!(why.is_empty() || why == "3 following", "a halt names what its changes are at");
            text += " stalled";
        }
        Phase::Halted { reason: Halt::Revert { failures }, .. } => {
            text += &format!(" revert {failures}")
        }
        _ => {}
    }
    if let Some(revert) = record.revert() {
        let halted = if record.phase.as_str() == "halted" { " back" } else { "" };
        text += &format!("{halted} {}", plain(&revert.stage));
        if revert.more {
            text += " more";
        }
        if revert.failed + revert.in_doubt > 0 {
            text += &format!(" but {}", revert.failed + revert.in_doubt);
        }
    }
    match (&record.paused, record.paused_until) {
        (Some(_), Some(_)) => text += " paused until",
        (Some(_), None) => text += " paused",
        (None, until) => assert_eq!(until, None, "only a pause has an end"),
    }
    if record.approvals.len() > approved {
        text += &format!(" approved {}", record.approvals.len());
    }
    if let Some(scope) = &record.requeue {
        text += &format!(" requeue {}", plain(scope));
    }
    let effect = match &decision.effect {
        Effect::None => "none".into(),
        Effect::Release { wave, count } => format!("release {count} up to {wave}"),
        Effect::Withdraw => "withdraw".into(),
        Effect::Requeue => "requeue".into(),
        Effect::Gather { wave } => format!("gather {wave}"),
        Effect::ByHand { ordinal, event: change::Event::Verb(change::ByPerson::Requeue) } => {
            format!("again {ordinal}")
        }
        Effect::ByHand { ordinal, event: change::Event::Verb(change::ByPerson::Adopt(job)) } => {
            format!("{ordinal} did {job}")
        }
        Effect::ByHand { ordinal, event: change::Event::Verb(change::ByPerson::GiveUp(why)) } => {
            assert_eq!(why, "given up by alice: network trouble");
            format!("{ordinal} given up")
        }
        Effect::ByHand { event, .. } => unreachable!("no verb is {event:?}"),
    };
    let wake = match decision.wake {
        RolloutWake::Change(Wake::Never) => "never".into(),
        RolloutWake::Change(Wake::In(Duration::ZERO)) => "now".into(),
        RolloutWake::Change(Wake::In(wait)) => format!("in {} s", wait.as_secs()),
        RolloutWake::At(at) if at == start() => "at the start".into(),
        RolloutWake::At(at) if at == opening() => "at the opening".into(),
        RolloutWake::At(at) if at == soaked() => "at its end".into(),
        RolloutWake::At(at) if at == noon() => "when the pause ends".into(),
        RolloutWake::At(at) => format!("at {at}"),
    };
    format!("{text} | {effect} | {wake}")
}

#[test]
fn every_cell_is_as_the_table_says() {
    let mut wrong = Vec::new();
    let mut cells = BTreeSet::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let (left, expected) = line.split_once(" => ").expect("a row");
        let [phase, event, circumstances] =
            <[&str; 3]>::try_from(left.split(';').map(str::trim).collect::<Vec<_>>())
                .expect("three columns");
        let (_, happens) =
            events().into_iter().find(|(name, _)| *name == event).expect("a known event");
        let world = RowWorld::of(phase, circumstances);
        let found = describe(&world.decide(&happens), world.record.approvals.len());
        if found != expected {
            wrong.push(format!("{left} => {found}, not {expected}"));
        }
        let word = phase.trim_end_matches([' ', '0', '1', '2']);
        cells.insert((word.to_owned(), event));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (phase, _) in phases() {
        for (event, _) in events()
            .into_iter()
            .filter(|(event, _)| !matches!(*event, "gathered all but some" | "promote unsaid"))
        {
            let word = phase.trim_end_matches([' ', '0', '1', '2']);
            assert!(
                cells.contains(&(word.to_owned(), event)),
                "the cell {word} ; {event} has no row"
            );
        }
    }
}

#[test]
fn an_operator_reads_who_did_what_and_what_to_do() {
    let paused = RowWorld::of("advancing 1", "-").decide(&events()[2].1).expect("paused");
    assert_eq!(paused.why, "paused by alice: network trouble");
    let again =
        RowWorld::of("advancing 1", "paused").decide(&events()[2].1).expect_err("paused already");
    assert_eq!(again.to_string(), "already paused by root");
    let over = RowWorld::of("completed", "failed").decide(&events()[5].1).expect_err("over");
    assert!(over.to_string().contains("raise the plan's revision"), "{over}");
    let doubt = RowWorld::of("halted failures", "in doubt")
        .decide(&events()[5].1)
        .expect_err("a person must look");
    assert!(doubt.to_string().contains("retry --in-doubt"), "{doubt}");
}

#[test]
fn a_stall_names_what_the_changes_are_at() {
    for (phase, circumstances, text) in [
        ("advancing 1", "stalled", "no change ended for 1200 s of open window: 3 following"),
        ("releasing", "marked+stalled", "no change was put back for 1200 s: 3 following"),
    ] {
        let halted = RowWorld::of(phase, circumstances).decide(&Event::Woken).expect("halted");
        let Phase::Halted { reason: Halt::Stalled { why, .. }, .. } = &halted.record.phase else {
            panic!("{halted:?}")
        };
        assert_eq!((why.as_str(), halted.why.as_str()), ("3 following", text));
    }
}

#[test]
fn a_soak_beyond_the_calendar_is_a_soak_for_ever() {
    let mut world = RowWorld::of("advancing 0", "done");
    world.plan.strategy.waves[0].soak_ms = u64::MAX;
    let decision = world.decide(&Event::Woken).expect("it soaks");
    assert_eq!(decision.record.phase, Phase::Soaking { wave: 0, until: Timestamp::MAX });
}

#[test]
fn the_gate_opens_for_waves_up_to_the_one_that_advances() {
    for (name, phase) in phases() {
        let record = Record { phase, ..Record::submitted() };
        let paused = Record { paused: Some(mark("root")), ..record.clone() };
        for wave in 0..3 {
            let (expected, held) = match &record.phase {
                Phase::Advancing { wave: current } if wave <= *current => {
                    (Clearance::Open, Clearance::Held)
                }
                Phase::Aborted { .. }
                | Phase::Reverting(_)
                | Phase::Halted { revert: Some(_), .. }
                | Phase::Reverted => (Clearance::Withdrawn, Clearance::Withdrawn),
                _ => (Clearance::Held, Clearance::Held),
            };
            assert_eq!(
                (record.gate(wave, false), paused.gate(wave, false)),
                (expected, held),
                "{name}, wave {wave}"
            );
            let (expected, held) = match &record.phase {
                Phase::Reverting(revert)
                    if revert.stage == RevertStage::Releasing && wave >= revert.wave =>
                {
                    (Clearance::Open, Clearance::Held)
                }
                Phase::Aborted { .. } | Phase::Reverted => {
                    (Clearance::Withdrawn, Clearance::Withdrawn)
                }
                _ => (Clearance::Held, Clearance::Held),
            };
            assert_eq!(
                (record.gate(wave, true), paused.gate(wave, true)),
                (expected, held),
                "{name}, wave {wave}, put back"
            );
        }
    }
}

/// What can happen next in a random story.
#[derive(Debug, Clone)]
enum RandomStep {
    Event(Event),
    /// Changes that are in flight settle, or go back to the queue.
    Settle(Standing, u32),
    Window(bool),
    Stalled(u64),
    Later(u64),
}

fn step() -> impl Strategy<Value = RandomStep> {
    let outcomes = vec![
        Standing::Succeeded,
        Standing::Succeeded,
        Standing::Succeeded,
        Standing::Failed,
        Standing::InDoubt,
        Standing::Queued,
    ];
    let verbs: Vec<Event> = events()
        .into_iter()
        .map(|(_, event)| event)
        .filter(|event| !matches!(event, Event::Requeued | Event::Gathered { .. }))
        .collect();
    prop_oneof![
        12 => Just(RandomStep::Event(Event::Woken)),
        3 => prop::sample::select(verbs).prop_map(RandomStep::Event),
        12 => (prop::sample::select(outcomes), 1u32..6).prop_map(|(outcome, count)| RandomStep::Settle(outcome, count)),
        1 => prop::bool::weighted(0.7).prop_map(RandomStep::Window),
        1 => (0u64..1300).prop_map(RandomStep::Stalled),
        2 => (0u64..8000).prop_map(RandomStep::Later),
    ]
}

fn guards() -> impl Strategy<Value = Guards> {
    let wave = (1u32..8, prop_oneof![Just(0u64), Just(HOUR_MS)], any::<bool>(), 1u32..5);
    (prop::collection::vec(wave, 1..5), 1u32..8, 1u32..9, any::<bool>()).prop_map(
        |(waves, max_in_flight, max_failures, reverts)| {
            let mut first = 0;
            let waves = waves
                .into_iter()
                .enumerate()
                .map(|(n, (size, soak_ms, manual, max_failures))| {
                    let promote = if manual { Promote::Manual } else { Promote::Auto };
                    let wave = wave_at(n, first, size, soak_ms, promote, max_failures);
                    first += size;
                    wave
                })
                .collect();
            let revert = RevertPolicy {
                on_failure: if reverts { OnFailure::Revert } else { OnFailure::Halt },
                in_window: false,
            };
            Guards {
                max_in_flight,
                max_in_flight_per: Default::default(),
                waves,
                max_failures,
                progress_deadline_ms: 1_200_000,
                revert,
            }
        },
    )
}

fn wave_at(
    n: usize,
    first: u32,
    size: u32,
    soak_ms: u64,
    promote: Promote,
    max_failures: u32,
) -> Wave {
    wave(&format!("wave-{n}"), first, size, soak_ms, promote, max_failures)
}

fn total(tallies: &[Tally]) -> Tally {
    tallies.iter().copied().sum()
}

/// Does to the changes what the decision says, as the engine would, and checks what must hold of
/// it.
fn carry_out(world: &mut RowWorld, decision: Decision) -> Result<(), TestCaseError> {
    let waves = &world.plan.strategy.waves;
    match decision.effect {
        Effect::None => {}
        Effect::Release { wave, count } if decision.record.revert().is_some() => {
            let revert = decision.record.revert().expect("just seen");
            prop_assert!(
                revert.wave == wave
                    && revert.stage == RevertStage::Releasing
                    && decision.record.requeue.is_none()
            );
            prop_assert!(
                count > 0
                    && decision.record.paused.is_none()
                    && revert.failures(&total(&world.tallies)) == 0
            );
            prop_assert!(
                matches!(world.window, Opening::Open { .. }),
                "nothing is released while the window is shut"
            );
            let own = &mut world.tallies[usize::from(wave)];
            prop_assert!(
                count <= own.queued,
                "only what is marked is released, and only of this wave"
            );
            own.shift(Standing::Queued, Standing::Active, count);
            prop_assert!(total(&world.tallies).active <= world.plan.strategy.max_in_flight);
        }
        Effect::Gather { wave } => {
            prop_assert_eq!(
                total(&world.tallies).active,
                0,
                "nothing is put back while anything is on its way"
            );
            let own = &mut world.tallies[usize::from(wave)];
            own.shift(Standing::Succeeded, Standing::Queued, own.succeeded.div_ceil(2));
            own.shift(Standing::Succeeded, Standing::Skipped, own.succeeded / 2);
        }
        Effect::Release { wave, mut count } => {
            prop_assert_eq!(&decision.record.phase, &Phase::Advancing { wave });
            prop_assert!(
                count > 0 && decision.record.paused.is_none() && decision.record.requeue.is_none()
            );
            prop_assert!(
                matches!(world.window, Opening::Open { .. }),
                "nothing is released while the window is shut"
            );
            for tally in &mut world.tallies[..=usize::from(wave)] {
                let taken = count.min(tally.queued);
                tally.shift(Standing::Queued, Standing::Active, taken);
                count -= taken;
            }
            prop_assert_eq!(count, 0, "no more is released than is queued");
            let all = total(&world.tallies);
            prop_assert!(all.active <= world.plan.strategy.max_in_flight);
            prop_assert!(
                all.failures() + all.active <= world.plan.strategy.max_failures,
                "the rollout's budget holds"
            );
            for (tally, wave) in world.tallies.iter().zip(waves) {
                prop_assert!(
                    tally.failures() + tally.active <= wave.max_failures,
                    "the wave's budget holds"
                );
            }
        }
        Effect::ByHand { ref event, .. } => {
            let reverts = decision.record.revert().is_some();
            for (tally, settled) in world.tallies.iter_mut().zip(&world.settled) {
                let kept = if reverts { *settled } else { Tally::default() };
                if tally.in_doubt > kept.in_doubt {
                    let to = if matches!(event, change::Event::Verb(change::ByPerson::GiveUp(_))) {
                        Standing::Failed
                    } else {
                        Standing::Queued
                    };
                    tally.shift(Standing::InDoubt, to, 1);
                    break;
                }
            }
        }
        Effect::Withdraw => {
            for tally in &mut world.tallies {
                tally.shift(Standing::Queued, Standing::Cancelled, tally.queued);
            }
        }
        Effect::Requeue => {
            let both = decision.record.requeue == Some(Requeue::FailedAndInDoubt);
            let reverts = decision.record.revert().is_some();
            for (tally, settled) in world.tallies.iter_mut().zip(&world.settled) {
                // What failed before the revert stays.
                let kept = if reverts { *settled } else { Tally::default() };
                tally.shift(Standing::Failed, Standing::Queued, tally.failed - kept.failed);
                if both {
                    tally.shift(
                        Standing::InDoubt,
                        Standing::Queued,
                        tally.in_doubt - kept.in_doubt,
                    );
                }
            }
        }
    }
    let by_hand = matches!(decision.effect, Effect::ByHand { .. });
    if world.record.phase != decision.record.phase
        && let Phase::Advancing { wave } = decision.record.phase
        && decision.record.requeue.is_none()
        && !by_hand
    {
        for tally in &world.tallies[..usize::from(wave)] {
            prop_assert!(
                tally.queued == 0 && tally.active == 0,
                "a wave begins when those before it are settled"
            );
        }
    }
    let reached = match decision.record.phase {
        Phase::Scheduled => 0,
        Phase::Advancing { wave }
        | Phase::Halted { wave, .. }
        | Phase::Soaking { wave, .. }
        | Phase::Awaiting { wave } => usize::from(wave) + 1,
        Phase::Completed | Phase::Aborted { .. } | Phase::Reverting(_) | Phase::Reverted => {
            waves.len()
        }
    };
    let reached = if decision.record.is_withdrawn() { waves.len() } else { reached };
    for (tally, wave) in world.tallies.iter().zip(waves).skip(reached) {
        prop_assert_eq!(*tally, Tally::queued(wave.size), "a later wave is untouched");
    }
    if let (Some(was), Some(is)) = (world.record.revert(), decision.record.revert()) {
        if was.stage == RevertStage::Settling {
            world.settled = world.tallies.clone();
            let all = total(&world.tallies);
            prop_assert!(
                is.stage == RevertStage::Settling
                    || (is.failed, is.in_doubt) == (all.failed, all.in_doubt),
                "told apart from then on"
            );
        }
        prop_assert!(is.wave <= was.wave, "the newest wave comes first");
        for tally in &world.tallies[usize::from(is.wave) + 1..] {
            prop_assert!(
                tally.queued == 0 && tally.active == 0,
                "a wave is put back when the newer ones are"
            );
        }
    }
    prop_assert!(
        decision.record.is_withdrawn() || !world.record.is_withdrawn(),
        "nothing leads back from a revert"
    );
    if matches!(decision.record.phase, Phase::Completed | Phase::Reverted) {
        let all = total(&world.tallies);
        prop_assert!(
            all.queued == 0 && all.active == 0,
            "completed and reverted mean that every change has its outcome"
        );
    }
    let stored = serde_json::to_string(&decision.record).expect("a text");
    prop_assert_eq!(&serde_json::from_str::<Record>(&stored).expect("the same"), &decision.record);
    world.record = decision.record;
    Ok(())
}

/// A wave that is left without a person did well by more than half.
fn left_by_itself(world: &RowWorld, was: &Record, is: &Record) -> Result<(), TestCaseError> {
    let left = match (&was.phase, &is.phase) {
        (
            Phase::Advancing { wave },
            Phase::Soaking { .. } | Phase::Awaiting { .. } | Phase::Completed,
        ) => Some(*wave),
        (Phase::Soaking { wave, .. }, Phase::Awaiting { .. }) => Some(*wave),
        (
            Phase::Advancing { wave } | Phase::Soaking { wave, .. },
            Phase::Advancing { wave: next },
        ) if next > wave => Some(*wave),
        _ => None,
    };
    let Some(left) = left else { return Ok(()) };
    let own = world.tallies[usize::from(left)];
    prop_assert!(
        own.failures() * 2 < own.total(),
        "wave {} is left by itself with {:?}",
        left,
        own
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// However changes settle, windows shut and operators command: budgets hold at every release,
    /// no wave begins early, what is final stays, and what is over budget is halted at the next
    /// look.
    #[test]
    fn any_story_keeps_to_its_guards(guards in guards(), steps in prop::collection::vec(step(), 1..300)) {
        let mut world = RowWorld::of("scheduled", "-");
        world.plan.strategy = guards;
        world.tallies = world.plan.strategy.waves.iter().map(|wave| Tally::queued(wave.size)).collect();
        world.settled.clone_from(&world.tallies);
        for step in steps {
            match step {
                RandomStep::Settle(outcome, mut count) => {
                    for tally in &mut world.tallies {
                        let settled = count.min(tally.active);
                        tally.shift(Standing::Active, outcome, settled);
                        count -= settled;
                    }
                }
                RandomStep::Window(open) if open => world.window = Opening::Open { until: None },
                RandomStep::Window(_) => world.window = Opening::Shut { next: Some(opening()), by: ShutBy::Window },
                RandomStep::Stalled(seconds) => world.stalled = Duration::from_secs(seconds),
                RandomStep::Later(seconds) => world.now += Duration::from_secs(seconds),
                RandomStep::Event(event) => {
                    let was = world.record.clone();
                    let Ok(decision) = world.decide(&event) else { continue };
                    if was.phase.is_final() {
                        prop_assert_eq!(&decision.record, &was);
                        let left = matches!(was.phase, Phase::Aborted { .. }) && total(&world.tallies).queued > 0;
                        prop_assert_eq!(&decision.effect, if left { &Effect::Withdraw } else { &Effect::None });
                    }
                    if matches!(was.phase, Phase::Halted { .. } | Phase::Awaiting { .. }) && event == Event::Woken {
                        prop_assert_eq!(&decision.record.phase, &was.phase, "only a person's verb leads on");
                    }
                    let all = total(&world.tallies);
                    let over = all.failures() >= world.plan.strategy.max_failures;
                    if event == Event::Woken && over && was.requeue.is_none() && matches!(was.phase, Phase::Advancing { .. }) {
                        let reverts = world.plan.strategy.revert.on_failure == OnFailure::Revert;
                        let stops = if reverts { "reverting" } else { "halted" };
                        let lifted = was.paused_until.is_some() && decision.record.paused_until.is_none();
                        prop_assert!(decision.record.phase.as_str() == stops || lifted, "a spent budget halts, or reverts");
                    }
                    if event == Event::Woken {
                        left_by_itself(&world, &was, &decision.record)?;
                    }
                    if decision.record.phase == Phase::Completed {
                        prop_assert!(all.failures() < all.total(), "a rollout whose every change failed is not completed");
                    }
                    let requeue = decision.effect == Effect::Requeue;
                    let gather = matches!(decision.effect, Effect::Gather { .. });
                    carry_out(&mut world, decision)?;
                    if gather {
                        let decision = world.decide(&Event::Gathered { more: false }).expect("not a verb");
                        carry_out(&mut world, decision)?;
                    }
                    if requeue {
                        let decision = world.decide(&Event::Requeued).expect("not a verb");
                        prop_assert_eq!(decision.record.requeue, None);
                        carry_out(&mut world, decision)?;
                    }
                }
            }
        }
        prop_assert_eq!(total(&world.tallies).total(), world.plan.strategy.waves.iter().map(|wave| wave.size).sum::<u32>());
    }
}
