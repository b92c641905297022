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
    (Rule::Survey, 60, "left"),
    (Rule::DeepOnImpureRename, 268, "missing"),
    (Rule::DeepFollowsRename, 168, "watermark"),
    (Rule::MarkBothNames, 43, "watermark"),
    (Rule::FeedWaitsForMoves, 378, "order"),
    (Rule::MarkUnlisted, 10, "surplus"),
    (Rule::EdgeLock, 0, "left"),
    (Rule::NodeLock, 61, "destroyed"),
    (Rule::IdentityFence, 12, "watermark"),
    (Rule::LateMoveRescan, 7290, "missing"),
    (Rule::GenerationCheck, 20, "watermark"),
    (Rule::GapRescan, 74, "watermark"),
    (Rule::Barrier, 2, "order"),
    (Rule::BarrierFence, 1191, "order"),
    (Rule::BarrierAbove, 127, "order"),
    (Rule::BarrierFailed, 58, "order"),
    (Rule::RenameBarrier, 28, "rename"),
    (Rule::CirclesBreak, 493, "unfinished"),
    (Rule::MoveIntent, 146, "watermark"),
    (Rule::MakeIntent, 131, "watermark"),
    (Rule::PublicationProbe, 58, "watermark"),
    (Rule::AttributesIntent, 4128, "watermark"),
    (Rule::Claims, 575, "watermark"),
    (Rule::Trash, 10, "destroyed"),
    (Rule::AliveCheck, 84, "destroyed"),
    (Rule::PurgeWatermark, 70, "destroyed"),
    (Rule::StaleMarksDirectory, 3, "watermark"),
    (Rule::MassDeletes, 124, "deleted"),
    (Rule::InFlightVersion, 2, "torn"),
];

/// What goes wrong without them needs a schedule that chance hardly ever finds: `tests/scripted.rs`.
const SCRIPTED: &[Rule] = &[
    Rule::ArrivingLock,
    Rule::OpenFollowsRename,
    Rule::PublishInPlace,
    Rule::NewestLook,
    Rule::LateMoveFence,
    Rule::MoveOnlySeenBefore,
];

/// Without it histories end equal, with more work: what is removed too early is found by a later look, since the events up to
/// the look that was too early mark its names again. Until then the copy of something that lives is in the trash, see the
/// test below.
const SAVING: &[Rule] = &[Rule::DeleteFence];

/// Without them nothing changes, if the engine is right.
///
/// * `MarkDeepestKnown`: an event about `d/x` with `d` unknown. When it happened `d` was at the source and not at the target.
///   So, by I2 before that event, `d` or a name above it is marked, or a directory above it is on the frontier, or an
///   operation on one of them is under way, and the watermark is below the event on that account. Whichever it is, it ends
///   with `d` made or moved and then listed, after the event was told: new directories and those of late moves always are,
///   and nothing that a feed's rename moves is unknown by its new name, for the feed waits until that is over. The listing
///   shows `x` as it is after the event. Should `d` be given up, it stays so until it is tried again, and then is new.
const EQUIVALENT: &[Rule] = &[Rule::MarkDeepestKnown];

/// Rules of the workers, and R0 and I3, which are kept by the agent around the engine.
const WORKERS: &[(Workers, u64, &str)] = &[
    (workers(true, false, false, false), 20, "torn"),
    (workers(false, true, false, false), 144, "overwritten"),
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
        let listed =
            [SCRIPTED, SAVING, EQUIVALENT].into_iter().flatten().filter(|other| **other == rule).count();
        assert_eq!(killed + listed, 1, "{rule:?}");
    }
}

#[test]
fn without_a_saving_rule_copies_of_what_lives_go_to_the_trash() {
    let needless =
        |options: &Options| (0..1_500).map(|seed| run(seed, options).unwrap().needless).sum::<u64>();
    let all_rules = needless(&Options::default());
    for rule in SAVING {
        let one_less = needless(&without(*rule));
        assert!(one_less > all_rules, "{rule:?}: {one_less} needless removals, {all_rules} with the rule");
    }
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
