//! Each rule is taken away, and histories must go wrong in the way that the rule is there to prevent. A rule that nothing
//! depends on would be none.
//!
//! `LIVEDATA_SIM_SEARCH=N` looks for new seeds, among the first N, and prints the table; `LIVEDATA_SIM_RULE` names one rule,
//! or `workers`.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use livedata_engine::Rule;
use livedata_sim::{Options, Workers, run};

/// Without the rule the history of this seed ends with an error that begins like this.
const KILLED: &[(Rule, u64, &str)] = &[
    (Rule::DeepOnImpureRename, 268, "missing"),
    (Rule::DeepFollowsRename, 2145, "watermark"),
    (Rule::MarkBothNames, 16, "missing"),
    (Rule::FeedWaitsForMoves, 161, "watermark"),
    (Rule::MarkUnlisted, 3, "surplus"),
    (Rule::EdgeLock, 0, "left"),
    (Rule::NodeLock, 61, "destroyed"),
    (Rule::IdentityFence, 12, "watermark"),
    (Rule::LateMoveRescan, 5371, "missing"),
    (Rule::GenerationCheck, 66, "order"),
    (Rule::GapRescan, 5, "watermark"),
    (Rule::Barrier, 3, "order"),
    (Rule::BarrierFence, 1191, "order"),
    (Rule::BarrierAbove, 127, "order"),
    (Rule::BarrierFailed, 5, "order"),
    (Rule::RenameBarrier, 14, "rename"),
    (Rule::MoveIntent, 146, "surplus"),
    (Rule::MakeIntent, 131, "watermark"),
    (Rule::PublicationProbe, 58, "watermark"),
    (Rule::AttributesIntent, 4128, "watermark"),
    (Rule::Claims, 187, "watermark"),
    (Rule::Trash, 5, "destroyed"),
    (Rule::AliveCheck, 298, "destroyed"),
    (Rule::PurgeWatermark, 304, "destroyed"),
    (Rule::StaleMarksDirectory, 6, "watermark"),
    (Rule::MassDeletes, 68, "deleted"),
    (Rule::InFlightVersion, 3, "torn"),
];

/// What goes wrong without them needs a schedule that chance hardly ever finds: `tests/scripted.rs`.
const SCRIPTED: &[Rule] = &[Rule::ArrivingLock, Rule::OpenFollowsRename, Rule::PublishInPlace];

/// Without them histories end equal, with more work.
///
/// * `DeleteFence`: what is removed too early is found again by a later look; until then the copy of something that lives is
///   in the trash, see the test below.
/// * `MoveOnlySeenBefore`, `LateMoveFence`: likewise what is moved too early; the events up to the look mark both names of the
///   node again.
/// * `MarkDeepestKnown`: whatever is not known is covered by a mark or a listing above it already, and seen by the listing
///   that makes it known. The mark is the only one if that reasoning is wrong. (Earlier engines were killed without it, by
///   one history in 7,000; none of 60,000 now.)
/// * `CirclesBreak`: of those that wait for each other in a circle one is always below the old name of a directory that was
///   renamed; that name is settled by moving the directory to the trash, from where it is salvaged.
/// * `NewestLook`: the name from which a node is taken is looked at again; until then the watermark may say too much. The
///   histories that showed it are rarer than one in 60,000.
const SAVING: &[Rule] = &[
    Rule::DeleteFence,
    Rule::MoveOnlySeenBefore,
    Rule::LateMoveFence,
    Rule::MarkDeepestKnown,
    Rule::CirclesBreak,
    Rule::NewestLook,
];

/// Rules of the workers, and R0 and I3, which are kept by the agent around the engine.
const WORKERS: &[(Workers, u64, &str)] = &[
    (workers(true, false, false, false), 23, "torn"),
    (workers(false, true, false, false), 16, "overwritten"),
    (workers(false, false, true, false), 31, "watermark"),
    (workers(false, false, false, true), 92, "attributes"),
];

const fn workers(blindly: bool, unconditionally: bool, after_scan: bool, cursor_alone: bool) -> Workers {
    Workers { publish_blindly: blindly, unconditionally, position_after_scan: after_scan, cursor_alone }
}

fn without(rule: Rule) -> Options {
    Options { without: Some(rule), ..Options::default() }
}

fn kind(error: &str) -> &str {
    error.split([':', ' ']).next().unwrap()
}

#[test]
fn without_a_rule_histories_go_wrong() {
    if let Ok(seeds) = std::env::var("LIVEDATA_SIM_SEARCH") {
        return search(seeds.parse().unwrap());
    }
    let mut survivors = Vec::new();
    for (rule, seed, wrong) in KILLED {
        let error = run(*seed, &without(*rule)).err();
        if error.as_deref().map(kind) != Some(*wrong) {
            survivors.push(format!("{rule:?}, seed {seed}, not '{wrong}': {error:?}"));
        }
        assert_eq!(run(*seed, &Options::default()).err(), None, "seed {seed}");
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
}

#[test]
fn without_a_rule_of_the_workers_histories_go_wrong() {
    for (workers, seed, wrong) in WORKERS {
        let error = run(*seed, &Options { workers: *workers, ..Options::default() }).err();
        assert_eq!(error.as_deref().map(kind), Some(*wrong), "{workers:?}, seed {seed}: {error:?}");
    }
}

#[test]
fn every_rule_is_accounted_for() {
    for rule in Rule::ALL {
        let killed = KILLED.iter().filter(|(other, ..)| *other == rule).count();
        let listed = [SCRIPTED, SAVING].into_iter().flatten().filter(|other| **other == rule).count();
        assert_eq!(killed + listed, 1, "{rule:?}");
    }
}

#[test]
fn the_fence_of_deletions_keeps_copies_of_what_lives_in_their_places() {
    let needless =
        |options: &Options| (0..1_500).map(|seed| run(seed, options).unwrap().needless).sum::<u64>();
    let all_rules = needless(&Options::default());
    let one_less = needless(&without(Rule::DeleteFence));
    assert!(one_less > all_rules, "{one_less} needless removals, {all_rules} with the rule");
}

fn search(seeds: u64) {
    let first_bad = |options: &Options| (0..seeds).find_map(|seed| Some((seed, run(seed, options).err()?)));
    let only = std::env::var("LIVEDATA_SIM_RULE").ok();
    for rule in
        Rule::ALL.into_iter().filter(|rule| only.as_ref().is_none_or(|only| *only == format!("{rule:?}")))
    {
        match first_bad(&without(rule)) {
            Some((seed, error)) => println!("    (Rule::{rule:?}, {seed}, {:?}), // {error}", kind(&error)),
            None => println!("    // {rule:?}: none"),
        }
    }
    for number in (0..4).filter(|_| only.as_ref().is_none_or(|only| only == "workers")) {
        let workers = workers(number == 0, number == 1, number == 2, number == 3);
        println!("{workers:?}: {:?}", first_bad(&Options { workers, ..Options::default() }));
    }
}
