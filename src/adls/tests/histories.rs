//! Random histories at the emulator, compared with a target in memory: with a network that loses, cuts and delays, and with one
//! that does not. `LIVEDATA_TARGET_HISTORIES` and `LIVEDATA_TARGET_FROM` say how many seeds and from which one;
//! `cargo xtask prove target-histories` sets them.

use std::time::Duration;

use futures::StreamExt as _;
use livedata_adls::{AdlsTarget, Config};
use livedata_filesystem::TargetPath;
use livedata_filesystem::conformance::histories::{Answers, History, Repertoire, play};

use crate::emulator::{Service, Subject};

const OPERATIONS: usize = 40;
/// Histories at a time: one that waits for its next try does not keep the others.
const AT_ONCE: usize = 24;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

/// Through a proxy of its own; what came of it, and how often something happened on the way.
async fn one(service: &Service, seed: u64, lossy: bool) -> (Result<Answers, String>, u64) {
    let patient = |config: &mut Config| {
        (config.retry.tries, config.retry.elapsed) = (20, Duration::from_secs(600));
    };
    let (proxy, filesystem) = service.another_way(patient).await;
    if lossy {
        proxy.disturb(seed);
    }
    let subject = Subject(AdlsTarget::new(filesystem));
    let history = History { seed, operations: OPERATIONS, repertoire: Repertoire::Everything, lossy };
    (play(&subject, &TargetPath::new("histories"), &history).await, proxy.disturbances())
}

async fn play_all(lossy: bool) -> (Answers, u64) {
    let service = Service::start().await;
    let (from, seeds) = (number("LIVEDATA_TARGET_FROM", 0), number("LIVEDATA_TARGET_HISTORIES", 150));
    println!("{seeds} histories from seed {from}, lossy: {lossy}");
    let played = futures::stream::iter(from..from + seeds).map(|seed| one(&service, seed, lossy));
    let mut played = std::pin::pin!(played.buffer_unordered(AT_ONCE));
    let (mut all, mut disturbances, mut wrong) = (Answers::new(), 0, Vec::new());
    while let Some((outcome, disturbed)) = played.next().await {
        disturbances += disturbed;
        match outcome {
            Ok(answers) => {
                answers.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count)
            }
            Err(error) => wrong.push(error),
        }
    }
    println!("{disturbances} disturbances, answers: {all:#?}");
    assert!(wrong.is_empty(), "{} of {seeds} histories went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    (all, disturbances)
}

#[tokio::test]
async fn the_emulator_answers_as_the_target_in_memory() {
    let (answers, disturbances) = play_all(false).await;
    assert_eq!(disturbances, 0);
    assert_eq!(answers.len(), 27, "every answer of every operation comes: {answers:#?}");
}

#[tokio::test]
async fn a_network_that_loses_answers_changes_none() {
    let (answers, disturbances) = play_all(true).await;
    assert_eq!(answers.len(), 27, "every answer of every operation comes: {answers:#?}");
    assert!(disturbances > 1_000, "{disturbances}");
}
