//! Whole sessions between the two ends, over TLS in memory. Time is paused: it moves only when both ends wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use livedata_model::message::{FailedPathsAck, Message, ReportAck, Sync, Welcome};
use livedata_session::{Channel, End, Error, agent, provider};
use tokio::io::{copy_bidirectional, duplex};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ends::{
    Agent, AgentEvent, Provider, ProviderEvent, TOKEN_LIFE_SECONDS, item, part, report, sized_item,
};
use crate::world::World;

type Ended = JoinHandle<Result<End, Error>>;

async fn channels(pipe_bytes: usize) -> (Channel, Channel) {
    let (near, far) = duplex(pipe_bytes);
    World::new().channels(near, far).await
}

/// Starts both ends; cancelling ends the provider's.
async fn session(provider: &Arc<Provider>, agent: &Arc<Agent>) -> (Ended, Ended, CancellationToken) {
    session_over(channels(16 * 1024).await, provider, agent)
}

fn session_over(
    (near, far): (Channel, Channel),
    provider: &Arc<Provider>,
    agent: &Arc<Agent>,
) -> (Ended, Ended, CancellationToken) {
    let cancel = CancellationToken::new();
    let provider = tokio::spawn(provider::run(near, Arc::clone(provider) as _, cancel.clone()));
    let agent = tokio::spawn(agent::run(far, Arc::clone(agent) as _, CancellationToken::new()));
    (provider, agent, cancel)
}

async fn until<Event>(events: &mut UnboundedReceiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv().await.unwrap();
        if wanted(&event) {
            return event;
        }
    }
}

fn applied(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::Applied(..))
}

fn upserts(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(id, generation)| ((*id).to_owned(), *generation)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_agent_gets_what_it_lacks_then_changes_then_removals() {
    let (provider, mut provider_saw) = Provider::new(Some(8), vec![item("a", 1), item("b", 2), item("c", 1)]);
    let (agent, mut agent_saw) = Agent::new(7, &[("a", 1), ("b", 1), ("old", 3)]);
    let (provider_end, agent_end, cancel) = session(&provider, &agent).await;

    assert_eq!(agent_saw.recv().await, Some(AgentEvent::Welcomed(8)));
    let first = until(&mut agent_saw, applied).await;
    assert_eq!(first, AgentEvent::Applied(upserts(&[("b", 2), ("c", 1)]), vec!["old".into()]));
    until(&mut provider_saw, |event| *event == ProviderEvent::Acknowledged("a".into(), 1)).await;
    until(&mut provider_saw, |event| *event == ProviderEvent::Acknowledged("c".into(), 1)).await;

    provider.want(vec![item("a", 5), item("b", 2), item("c", 1)]);
    assert_eq!(until(&mut agent_saw, applied).await, AgentEvent::Applied(upserts(&[("a", 5)]), vec![]));
    until(&mut provider_saw, |event| *event == ProviderEvent::Acknowledged("a".into(), 5)).await;

    provider.want(vec![item("b", 2)]);
    let removal = AgentEvent::Applied(vec![], vec!["a".into(), "c".into()]);
    assert_eq!(until(&mut agent_saw, applied).await, removal);
    assert_eq!(*agent.disk.lock().unwrap(), [("b".to_owned(), 2)].into());

    cancel.cancel();
    assert_eq!(provider_end.await.unwrap().unwrap(), End::Cancelled);
    assert_eq!(agent_end.await.unwrap().unwrap(), End::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_a_current_agent_sends_nothing_of_desired_state() {
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![item("a", 1)]);
    let (agent, mut agent_saw) = Agent::new(1, &[("a", 1)]);
    let (provider_end, agent_end, cancel) = session(&provider, &agent).await;
    until(&mut provider_saw, |event| *event == ProviderEvent::Acknowledged("a".into(), 1)).await;
    // The echo is answered after everything that was sent before it.
    until(&mut provider_saw, |event| *event == ProviderEvent::Alive).await;
    cancel.cancel();
    provider_end.await.unwrap().unwrap();
    agent_end.await.unwrap().unwrap();
    while let Some(event) = agent_saw.recv().await {
        assert!(!applied(&event), "{event:?}");
        if matches!(event, AgentEvent::Token(_)) {
            break;
        }
    }
    assert!(agent_saw.try_recv().is_err());
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn commanded(all: &[&str], new: &[&str]) -> AgentEvent {
    AgentEvent::Commanded(texts(all), texts(new))
}

#[tokio::test(start_paused = true)]
async fn commands_come_after_the_desired_state_that_they_rely_on() {
    let (provider, mut provider_saw) = Provider::new(Some(8), vec![]);
    provider.want_with(vec![item("a", 1)], &["one", "two"]);
    let (agent, mut agent_saw) = Agent::new(7, &[]);
    let _session = session(&provider, &agent).await;
    let is_about_work = |event: &AgentEvent| applied(event) || matches!(event, AgentEvent::Commanded(..));
    let first = until(&mut agent_saw, is_about_work).await;
    assert_eq!(first, AgentEvent::Applied(upserts(&[("a", 1)]), vec![]));
    assert_eq!(until(&mut agent_saw, is_about_work).await, commanded(&["one", "two"], &["one", "two"]));
    until(&mut provider_saw, |event| *event == ProviderEvent::Taken(texts(&["one", "two"]))).await;

    // Both at once, and what was taken still in the list: its owner is slow to remove it.
    provider.want_with(vec![item("a", 2)], &["one", "two", "three"]);
    let change = until(&mut agent_saw, is_about_work).await;
    assert_eq!(change, AgentEvent::Applied(upserts(&[("a", 2)]), vec![]));
    assert_eq!(until(&mut agent_saw, is_about_work).await, commanded(&["three"], &["three"]));
    until(&mut provider_saw, |event| *event == ProviderEvent::Taken(texts(&["three"]))).await;
}

#[tokio::test(start_paused = true)]
async fn commands_of_which_the_acknowledgement_was_lost_come_again_in_the_next_session() {
    let (provider, mut provider_saw) = Provider::new(Some(8), vec![]);
    provider.want_with(vec![], &["one"]);
    let (agent, mut agent_saw) = Agent::new(7, &[]);
    agent.loses_acknowledgements.store(true, Relaxed);
    let (provider_end, agent_end, _cancel) = session(&provider, &agent).await;
    assert!(matches!(agent_end.await.unwrap(), Err(Error::Handler(_))));
    provider_end.await.unwrap().unwrap();
    let is_command = |event: &AgentEvent| matches!(event, AgentEvent::Commanded(..));
    assert_eq!(until(&mut agent_saw, is_command).await, commanded(&["one"], &["one"]));

    agent.loses_acknowledgements.store(false, Relaxed);
    provider.want_with(vec![], &["one", "two"]);
    let _session = session(&provider, &agent).await;
    assert_eq!(until(&mut agent_saw, is_command).await, commanded(&["one", "two"], &["two"]));
    let taken = until(&mut provider_saw, |event| matches!(event, ProviderEvent::Taken(_))).await;
    assert_eq!(taken, ProviderEvent::Taken(texts(&["one", "two"])));
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_commands_that_were_not_sent_ends_the_session() {
    let (near, mut far) = channels(16 * 1024).await;
    let (provider, _provider_saw) = Provider::new(Some(2), vec![]);
    let provider_end = tokio::spawn(provider::run(near, provider as _, CancellationToken::new()));
    let (agent, _agent_saw) = Agent::new(1, &[]);
    let hello = livedata_session::agent::AgentHandler::hello(agent.as_ref()).await;
    far.send(&Message::Hello(livedata_model::message::Hello { protocol_min: 1, protocol_max: 1, ..hello }))
        .await
        .unwrap();
    let ack = livedata_model::message::CommandAck { ids: texts(&["never sent"]) };
    far.send(&Message::CommandAck(ack)).await.unwrap();
    assert!(matches!(provider_end.await.unwrap(), Err(Error::Unexpected { received: "CommandAck", .. })));
}

#[tokio::test(start_paused = true)]
async fn lists_of_failed_paths_go_beside_reports_part_by_part() {
    let (mut near, far) = channels(16 * 1024).await;
    let (agent, _agent_saw) = Agent::new(1, &[]);
    for number in [0, 1] {
        agent.failed_paths.send(part("/m", number)).unwrap();
    }
    let _agent = tokio::spawn(agent::run(far, agent as _, CancellationToken::new()));
    assert!(matches!(near.recv().await, Ok(Some(Message::Hello(_)))));
    let welcome = Welcome { protocol: 1, session_epoch: 2, coordinator_epoch: 1, clock_ms: 0 };
    near.send(&Message::Welcome(welcome)).await.unwrap();
    assert!(matches!(near.recv().await, Ok(Some(Message::Report(_)))));
    // The report is not acknowledged: that holds nothing up.
    match near.recv().await {
        Ok(Some(Message::FailedPathsPart(part))) => assert_eq!((part.sequence, part.part), (1, 0)),
        other => panic!("{other:?}"),
    }
    near.send(&Message::Sync(Sync { revision: 1, upserts: vec![], removals: vec![] })).await.unwrap();
    assert!(matches!(near.recv().await, Ok(Some(Message::SyncAck(_)))), "the next part waits");
    near.send(&Message::FailedPathsAck(FailedPathsAck { sequence: 1 })).await.unwrap();
    match near.recv().await {
        Ok(Some(Message::FailedPathsPart(part))) => assert_eq!((part.sequence, part.part), (2, 1)),
        other => panic!("{other:?}"),
    }

    let (provider, mut provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    agent.failed_paths.send(part("/m", 0)).unwrap();
    agent.failed_paths.send(part("/m", 1)).unwrap();
    let _session = session(&provider, &agent).await;
    for number in [0, 1] {
        until(&mut provider_saw, |event| *event == ProviderEvent::FailedPaths("/m".into(), number)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_agent_has_newer_is_told_to_the_provider() {
    // Told by the agent at once...
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![item("a", 1)]);
    let (agent, _agent_saw) = Agent::new(1, &[("a", 9)]);
    let _session = session(&provider, &agent).await;
    until(&mut provider_saw, |event| *event == ProviderEvent::Stale("a".into(), 9)).await;

    // ...or found by it when it applies the change.
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, mut agent_saw) = Agent::new(1, &[]);
    let _session = session(&provider, &agent).await;
    until(&mut agent_saw, |event| *event == AgentEvent::Welcomed(2)).await;
    agent.disk.lock().unwrap().insert("a".into(), 9);
    provider.want(vec![item("a", 3)]);
    until(&mut provider_saw, |event| *event == ProviderEvent::Stale("a".into(), 9)).await;
    assert_eq!(agent.disk.lock().unwrap()["a"], 9);
}

#[tokio::test(start_paused = true)]
async fn an_agent_does_not_go_back_to_an_older_session() {
    for old in [6, 7] {
        let (provider, _provider_saw) = Provider::new(Some(old), vec![item("a", 1)]);
        let (agent, mut agent_saw) = Agent::new(7, &[]);
        let (_, agent_end, _cancel) = session(&provider, &agent).await;
        match agent_end.await.unwrap().unwrap_err() {
            Error::OldEpoch { offered, seen } => assert_eq!((offered, seen), (old, 7)),
            error => panic!("{error:?}"),
        }
        assert!(agent_saw.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn both_sides_learn_of_a_refusal() {
    let (provider, _provider_saw) = Provider::new(None, vec![]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    let (provider_end, agent_end, _cancel) = session(&provider, &agent).await;
    for end in [provider_end, agent_end] {
        match end.await.unwrap().unwrap() {
            End::Refused(refused) => assert_eq!(refused.code, "Detached"),
            end => panic!("{end:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reports_follow_each_other_by_acknowledgement() {
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    for version in ["second", "third"] {
        agent.change.send(report(version)).unwrap();
    }
    let _session = session(&provider, &agent).await;
    let started = Instant::now();
    for (sequence, version) in [(1, "full"), (2, "second"), (3, "third")] {
        let event = until(&mut provider_saw, |event| matches!(event, ProviderEvent::Reported(_))).await;
        let ProviderEvent::Reported(report) = event else { panic!() };
        assert_eq!((report.sequence, report.agent.version.as_str()), (sequence, version));
        // Paused time: exact, however slow the machine.
        assert!(started.elapsed() >= Duration::from_millis(500) * (u32::try_from(sequence).unwrap() - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_report_holds_the_next_one_back() {
    let (mut near, far) = channels(16 * 1024).await;
    let (agent, _agent_saw) = Agent::new(1, &[]);
    agent.change.send(report("second")).unwrap();
    let _agent = tokio::spawn(agent::run(far, agent as _, CancellationToken::new()));
    assert!(matches!(near.recv().await, Ok(Some(Message::Hello(_)))));
    near.send(&Message::Welcome(Welcome {
        protocol: 1,
        session_epoch: 2,
        coordinator_epoch: 1,
        clock_ms: 0,
    }))
    .await
    .unwrap();
    assert!(matches!(near.recv().await, Ok(Some(Message::Report(_)))));
    // Whatever the agent says next is the answer to this, not a report.
    near.send(&Message::Sync(Sync { revision: 1, upserts: vec![], removals: vec![] })).await.unwrap();
    assert!(matches!(near.recv().await, Ok(Some(Message::SyncAck(_)))));
    near.send(&Message::ReportAck(ReportAck { sequence: 1 })).await.unwrap();
    match near.recv().await {
        Ok(Some(Message::Report(report))) => assert_eq!(report.sequence, 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn echoes_are_measured() {
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    let _session = session(&provider, &agent).await;
    for _ in 0..3 {
        until(&mut provider_saw, |event| *event == ProviderEvent::Alive).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_agent_gets_a_token_at_once_and_the_next_after_two_thirds_of_its_life() {
    let (provider, _provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, mut agent_saw) = Agent::new(1, &[]);
    let _session = session(&provider, &agent).await;
    let is_token = |event: &AgentEvent| *event == AgentEvent::Token("token".into());
    until(&mut agent_saw, is_token).await;
    let first = Instant::now();
    until(&mut agent_saw, is_token).await;
    // The token's life is counted by the wall clock, which goes on a little meanwhile; the wait is in paused time.
    let minutes = (first.elapsed().as_secs() + 30) / 60;
    assert_eq!(minutes, TOKEN_LIFE_SECONDS * 2 / 3 / 60);
}

#[tokio::test(start_paused = true)]
async fn both_sides_notice_a_path_that_stands_and_carries_nothing() {
    let ((near, mut near_relay), (mut far_relay, far)) = (duplex(16 * 1024), duplex(16 * 1024));
    let frozen = CancellationToken::new();
    let freeze = frozen.clone();
    let relay = tokio::spawn(async move {
        freeze.run_until_cancelled(copy_bidirectional(&mut near_relay, &mut far_relay)).await;
        (near_relay, far_relay)
    });
    let world = World::new();
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    let (provider_end, agent_end, _cancel) = session_over(world.channels(near, far).await, &provider, &agent);
    until(&mut provider_saw, |event| *event == ProviderEvent::Alive).await;
    frozen.cancel();
    let _streams_stay_open = relay.await.unwrap();
    assert_eq!(provider_end.await.unwrap().unwrap(), End::Silent);
    assert_eq!(agent_end.await.unwrap().unwrap(), End::Silent);
}

#[tokio::test(start_paused = true)]
async fn peers_that_say_nothing_at_the_start_are_given_up() {
    let (near, far) = channels(16 * 1024).await;
    let (provider, _provider_saw) = Provider::new(Some(2), vec![]);
    let end = provider::run(near, provider as _, CancellationToken::new()).await;
    assert!(matches!(end, Err(Error::NoAnswer { awaited: "Hello", .. })));
    drop(far);

    let (_near, far) = channels(16 * 1024).await;
    let (agent, _agent_saw) = Agent::new(1, &[]);
    let end = agent::run(far, agent as _, CancellationToken::new()).await;
    assert!(matches!(end, Err(Error::NoAnswer { awaited: "Welcome", .. })));
}

#[tokio::test(start_paused = true)]
async fn messages_out_of_turn_end_the_session() {
    let (mut near, far) = channels(16 * 1024).await;
    let (agent, _agent_saw) = Agent::new(1, &[]);
    near.send(&Message::ReportAck(ReportAck { sequence: 1 })).await.unwrap();
    let end = agent::run(far, agent as _, CancellationToken::new()).await;
    assert!(matches!(end, Err(Error::Unexpected { expected: "Welcome", received: "ReportAck" })));
}

#[tokio::test(start_paused = true)]
async fn much_at_once_in_both_directions_does_not_lock_up() {
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![sized_item("a", 1, 500_000)]);
    let (agent, mut agent_saw) = Agent::with_report(1, &[], report(&"x".repeat(500_000)));
    // Far smaller than either message.
    let (_provider, _agent, _cancel) = session_over(channels(1024).await, &provider, &agent);
    until(&mut agent_saw, applied).await;
    until(&mut provider_saw, |event| matches!(event, ProviderEvent::Reported(_))).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_leaves_the_session_on_and_is_asked_again() {
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![item("a", 1)]);
    let (agent, mut agent_saw) = Agent::new(1, &[]);
    agent.has_no_room.store(3, Relaxed);
    let (_provider, _agent, _cancel) = session_over(channels(16 * 1024).await, &provider, &agent);
    until(&mut provider_saw, |event| matches!(event, ProviderEvent::Reported(_))).await;
    assert_eq!(agent.disk.lock().unwrap().len(), 0, "it is not on the disk, and the agent is heard");
    until(&mut agent_saw, applied).await;
    until(&mut provider_saw, |event| matches!(event, ProviderEvent::Acknowledged(..))).await;
    assert_eq!(agent.has_no_room.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_ends_the_session_without_acknowledgement() {
    let (near, far) = channels(16 * 1024).await;
    let (provider, mut provider_saw) = Provider::new(Some(2), vec![item("a", 1)]);
    let (agent, _agent_saw) = Agent::new(1, &[]);
    agent.disk_is_full.store(true, Relaxed);
    let provider_end = tokio::spawn(provider::run(near, provider as _, CancellationToken::new()));
    let end = agent::run(far, agent as _, CancellationToken::new()).await;
    assert!(matches!(end, Err(Error::Handler(_))));
    provider_end.await.unwrap().unwrap();
    while let Some(event) = provider_saw.recv().await {
        assert!(!matches!(event, ProviderEvent::Acknowledged(..)), "{event:?}");
    }
}
