//! Schedules that chance hardly ever finds, and those that show what an operator counts on.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use livedata_engine::{Effect, Place, Rule};
use livedata_sim::scripted::{ELSEWHERE, ROOT, Scripted};

fn is_move(effect: &Effect) -> bool {
    matches!(effect, Effect::Move { .. })
}

fn is_feed(effect: &Effect) -> bool {
    matches!(effect, Effect::ReadFeed { .. })
}

fn moves_within_the_tree(scripted: &Scripted) -> usize {
    let within = |effect: &&Effect| matches!(effect, Effect::Move { to: Place::Tree(_), .. });
    scripted.executed.iter().filter(within).count()
}

/// Followed by everything until both sides are equal, then one file `name` in the root.
fn with_file(without: Option<Rule>, name: &str) -> (Scripted, u64) {
    let mut scripted = Scripted::new(without);
    let file = scripted.hdfs.add(ROOT, name, true);
    scripted.hdfs.close(file);
    scripted.start().unwrap();
    scripted.judge().unwrap();
    (scripted, file)
}

/// `LIVEDATA_SIM_ENTRIES`: how many.
#[test]
fn a_large_directory_renamed_during_its_scan_is_one_move() {
    let entries: u64 =
        std::env::var("LIVEDATA_SIM_ENTRIES").map_or(100_000, |entries| entries.parse().unwrap());
    let mut scripted = Scripted::new(None);
    let directory = scripted.hdfs.add(ROOT, "a", false);
    for number in 0..entries {
        let file = scripted.hdfs.add(directory, &format!("{number:08}"), true);
        scripted.hdfs.close(file);
    }
    scripted.start().unwrap();
    let is_publication = |effect: &Effect| matches!(effect, Effect::Publish { .. });
    let mut published = 0;
    while published < entries / 2 {
        assert!(scripted.execute(|_| true).unwrap());
        published += u64::from(scripted.executed.last().is_some_and(is_publication));
    }
    scripted.hdfs.rename(directory, ROOT, "b");
    scripted.judge().unwrap();
    assert_eq!(moves_within_the_tree(&scripted), 1);
    let published = scripted.executed.iter().filter(|effect| is_publication(effect)).count() as u64;
    assert_eq!(published, entries, "nothing is copied twice");
}

#[test]
fn a_crash_between_a_move_and_its_commit_is_made_up_for() {
    for happened in [false, true] {
        let (mut scripted, file) = with_file(None, "a");
        scripted.hdfs.rename(file, ROOT, "b");
        assert!(scripted.execute(is_feed).unwrap());
        assert!(scripted.pending.iter().any(is_move));
        scripted.crash(|effect| happened && is_move(effect)).unwrap();
        scripted.judge().unwrap();
        let copies = scripted.executed.iter().filter(|effect| matches!(effect, Effect::Copy { .. }));
        assert_eq!(copies.count(), 1, "it is not copied again");
    }
}

/// A move that was under way at a crash fills a name that was found empty in the meantime.
fn found_empty_before_it_is_filled(without: Option<Rule>) -> Result<(), String> {
    let (mut scripted, file) = with_file(without, "a");
    scripted.hdfs.rename(file, ROOT, "b");
    scripted.hdfs.purge();
    scripted.execute_all(|effect| !is_move(effect))?;
    assert!(scripted.pending.iter().any(is_move), "the listing finds it under its new name");
    scripted.hdfs.delete(file);
    scripted.execute_all(is_feed)?;
    scripted.crash(|_| false)?;
    scripted.execute_all(|effect| !is_move(effect))?;
    scripted.judge()
}

#[test]
fn nothing_is_concluded_about_a_name_that_a_move_is_about_to_fill() {
    assert_eq!(found_empty_before_it_is_filled(None), Ok(()));
    let without = found_empty_before_it_is_filled(Some(Rule::ArrivingLock));
    assert!(without.unwrap_err().starts_with("surplus"));
}

/// While a new version of a file is copied, events that are about another directory, which has the name of its own now, move
/// what the target has of it.
fn moved_beside_its_copy(without: Option<Rule>) -> Result<(), String> {
    let mut scripted = Scripted::new(without);
    let directory = scripted.hdfs.add(ROOT, "d", false);
    let file = scripted.hdfs.add(directory, "b", true);
    scripted.hdfs.close(file);
    scripted.start()?;
    scripted.judge()?;
    let is_copy = |effect: &Effect| matches!(effect, Effect::Copy { .. });
    scripted.hdfs.close(file);
    scripted.execute_all(|effect| !is_copy(effect))?;
    assert!(scripted.pending.iter().any(is_copy));
    scripted.hdfs.rename(directory, ROOT, "z");
    let other = scripted.hdfs.add(ROOT, "d", false);
    let there = scripted.hdfs.add(other, "b", true);
    scripted.hdfs.close(there);
    scripted.hdfs.rename(there, other, "a");
    scripted.execute_all(is_feed)?;
    assert!(scripted.execute(is_move)?, "what the target has at d/b goes to d/a");
    let is_publication = |effect: &Effect| matches!(effect, Effect::Publish { .. });
    scripted.execute_all(|effect| is_copy(effect) || is_publication(effect))?;
    scripted.judge()
}

#[test]
fn a_copy_does_not_appear_beside_what_the_target_has_of_its_node() {
    assert_eq!(moved_beside_its_copy(None), Ok(()));
    let without = moved_beside_its_copy(Some(Rule::PublishInPlace));
    assert!(without.is_err(), "{without:?}");
}

/// What the engine says to have reached while a file that was changed and renamed since is not copied yet.
fn reached_before_the_copy(without: Option<Rule>) -> (u64, Option<u64>) {
    let (mut scripted, file) = with_file(without, "a");
    scripted.hdfs.close(file);
    let changed = scripted.hdfs.txid;
    scripted.hdfs.rename(file, ROOT, "b");
    scripted.execute_all(|effect| !matches!(effect, Effect::Copy { .. })).unwrap();
    let reached = scripted.watermark().unwrap();
    scripted.judge().unwrap();
    (changed, reached)
}

#[test]
fn a_rename_does_not_make_an_older_change_a_newer_one() {
    let (changed, reached) = reached_before_the_copy(None);
    assert!(reached < Some(changed), "changed at {changed}, reached {reached:?}");
    let (changed, reached) = reached_before_the_copy(Some(Rule::OpenFollowsRename));
    assert!(reached >= Some(changed), "changed at {changed}, reached {reached:?}");
}

/// A directory is renamed and back, and only the first of the two is told: while the target follows it, everything is looked
/// at because of what was lost.
#[test]
fn where_a_node_is_that_is_being_moved_is_not_known() {
    let mut scripted = Scripted::new(None);
    let [above, directory] = ["a", "b"].map(|name| scripted.hdfs.add(ROOT, name, false));
    scripted.start().unwrap();
    scripted.judge().unwrap();
    scripted.hdfs.rename(directory, above, "b");
    assert!(scripted.execute(is_feed).unwrap());
    assert!(scripted.pending.iter().any(is_move));
    scripted.hdfs.rename(directory, ROOT, "b");
    assert!(scripted.hdfs.purge());
    scripted.execute_all(|effect| !is_move(effect)).unwrap();
    scripted.judge().unwrap();
}

fn is_look_at(effect: &Effect, name: &str) -> bool {
    matches!(effect, Effect::LookUp { edge } if edge.name == name)
}

fn is_move_to(effect: &Effect, path: &str) -> bool {
    matches!(effect, Effect::Move { to: Place::Tree(to), .. } if to == path)
}

/// A directory is renamed from `c` to `a`, where something else is on its way out at the target, and from there to `b`, where
/// it is found, and moved to, before that is out.
fn found_here_and_later_there(without: Option<Rule>) -> Result<(), String> {
    let mut scripted = Scripted::new(without);
    let [other, directory] = ["a", "c"].map(|name| scripted.hdfs.add(ROOT, name, false));
    scripted.start()?;
    scripted.judge()?;
    scripted.hdfs.delete(other);
    scripted.hdfs.rename(directory, ROOT, "a");
    scripted.execute_all(is_feed)?;
    assert!(scripted.execute(|effect| is_look_at(effect, "a"))?, "the directory is seen at a");
    assert!(scripted.pending.iter().any(is_move), "what the target has there is to go first");
    scripted.hdfs.rename(directory, ROOT, "b");
    assert!(scripted.hdfs.purge());
    scripted.execute_all(|effect| !is_move(effect) && !is_look_at(effect, "c"))?;
    assert!(scripted.execute(|effect| is_move_to(effect, "b"))?, "everything is looked at: it is at b");
    scripted.execute_all(|effect| !is_move(effect))?;
    // Something that happens elsewhere, and a reason to look at b again that is younger.
    scripted.hdfs.add(ELSEWHERE, "x", false);
    scripted.execute_all(|effect| !is_move(effect))?;
    scripted.rescan("/in/b");
    scripted.execute_all(|effect| !is_look_at(effect, "b"))?;
    scripted.watermark()?;
    scripted.judge()
}

#[test]
fn a_node_is_not_moved_away_from_where_it_was_seen_later() {
    assert_eq!(found_here_and_later_there(None), Ok(()));
    let without = found_here_and_later_there(Some(Rule::NewestLook));
    assert!(without.unwrap_err().starts_with("watermark"));
}

/// A directory is found under its new name before the feed has told what was changed in it under the old one.
fn found_before_it_is_told(without: Option<Rule>) -> Result<(), String> {
    let mut scripted = Scripted::new(without);
    let directory = scripted.hdfs.add(ROOT, "c", false);
    let file = scripted.hdfs.add(directory, "x", true);
    scripted.hdfs.close(file);
    scripted.start()?;
    scripted.judge()?;
    let other = scripted.hdfs.add(ROOT, "a", true);
    scripted.hdfs.delete(other);
    scripted.execute_all(is_feed)?;
    scripted.hdfs.close(file);
    scripted.hdfs.rename(directory, ROOT, "a");
    scripted.ordered.insert(directory, scripted.hdfs.txid);
    scripted.execute_all(|effect| !is_feed(effect))?;
    scripted.judge()
}

#[test]
fn what_is_found_elsewhere_is_not_moved_before_the_feed_has_told_of_it() {
    assert_eq!(found_before_it_is_told(None), Ok(()));
    let without = found_before_it_is_told(Some(Rule::LateMoveFence));
    assert!(without.unwrap_err().starts_with("rename"));
}

/// A file is seen, and copied, under a name that another one had before; then the feed tells that that one was renamed. How
/// often something is moved at the target.
fn seen_after_the_rename_of_another(without: Option<Rule>) -> usize {
    let mut scripted = Scripted::new(without);
    scripted.start().unwrap();
    scripted.judge().unwrap();
    let other = scripted.hdfs.add(ROOT, "a", true);
    scripted.execute_all(is_feed).unwrap();
    scripted.hdfs.close(other);
    scripted.hdfs.rename(other, ROOT, "b");
    scripted.hdfs.create(ROOT, "a");
    scripted.execute_all(|effect| !is_feed(effect)).unwrap();
    let is_publication = |effect: &Effect| matches!(effect, Effect::Publish { .. });
    assert!(
        scripted.executed.iter().any(is_publication),
        "the new file is there before the feed has told of it"
    );
    scripted.judge().unwrap();
    scripted.executed.iter().filter(|effect| is_move(effect)).count()
}

#[test]
fn what_was_seen_after_a_rename_is_not_what_was_renamed() {
    assert_eq!(seen_after_the_rename_of_another(None), 0);
    assert!(seen_after_the_rename_of_another(Some(Rule::MoveOnlySeenBefore)) > 0);
}

/// A job writes its marker under another name and renames it, as table formats do, while a file of its output is not copied.
fn committed_by_a_rename(without: Option<Rule>) -> Result<(), String> {
    let (mut scripted, marker) = with_file(without, "tmp");
    scripted.hdfs.create(ROOT, "x");
    scripted.hdfs.rename(marker, ROOT, "_SUCCESS");
    scripted.execute_all(|effect| !matches!(effect, Effect::Copy { .. }))?;
    scripted.judge()
}

#[test]
fn a_file_that_is_renamed_to_vouch_for_others_waits_for_them() {
    assert_eq!(committed_by_a_rename(None), Ok(()));
    let without = committed_by_a_rename(Some(Rule::Barrier));
    assert!(without.unwrap_err().starts_with("order"));
}
