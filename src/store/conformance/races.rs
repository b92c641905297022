//! Many writers at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::ITEMS;
use crate::{Change, Error, Store};

const WRITERS: u64 = 16;

/// Of the writers that expect the same version exactly one wins, at every version.
pub async fn concurrent_writers(store: Arc<impl Store>) {
    for round in 0..20_u64 {
        let expected = if round == 0 { None } else { Some(round) };
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let store = store.clone();
            writers.spawn(async move {
                let change =
                    Change::new().expect(ITEMS, "raced", expected).put(ITEMS, "raced", writer.to_string());
                (writer, store.commit(change).await)
            });
        }
        let outcomes = writers.join_all().await;
        let winners: Vec<u64> =
            outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(writer, _)| *writer).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let losers = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Err(Error::Conflict { .. })));
        assert_eq!(losers.count() as u64, WRITERS - 1, "round {round}: {outcomes:?}");
        let record = store.get(ITEMS, "raced").await.expect("get").expect("raced");
        assert_eq!((record.version, record.body), (round + 1, winners[0].to_string().into_bytes()));
    }
}

/// Units moved between accounts, each move one change over two records, are neither lost nor made.
pub async fn counters_keep_their_sum(store: Arc<impl Store>) {
    const ACCOUNTS: u64 = 5;
    const UNITS: u64 = 1000;
    const MOVES: u64 = 25;
    let change = (0..ACCOUNTS)
        .fold(Change::new(), |change, account| change.put(ITEMS, name(account), UNITS.to_string()));
    store.commit(change).await.expect("put");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for turn in 0..MOVES {
                let (from, to) = ((writer + turn) % ACCOUNTS, (writer + turn * 3 + 1) % ACCOUNTS);
                if from != to {
                    transfer(&*store, from, to).await;
                }
            }
        });
    }
    writers.join_all().await;
    let mut sum = 0;
    for account in 0..ACCOUNTS {
        sum += balance(&*store, account).await.1;
    }
    assert_eq!(sum, ACCOUNTS * UNITS);
}

fn name(account: u64) -> String {
    format!("account/{account}")
}

async fn balance(store: &impl Store, account: u64) -> (u64, u64) {
    let record = store.get(ITEMS, &name(account)).await.expect("get").expect("an account");
    let units = std::str::from_utf8(&record.body).ok().and_then(|text| text.parse().ok()).expect("a number");
    (record.version, units)
}

async fn transfer(store: &impl Store, from: u64, to: u64) {
    loop {
        let ((from_version, giver), (to_version, taker)) =
            (balance(store, from).await, balance(store, to).await);
        let change = Change::new()
            .expect(ITEMS, name(from), Some(from_version))
            .expect(ITEMS, name(to), Some(to_version))
            .put(ITEMS, name(from), (giver - 1).to_string())
            .put(ITEMS, name(to), (taker + 1).to_string());
        match store.commit(change).await {
            Ok(()) => return,
            Err(Error::Conflict { .. }) => {}
            Err(error) => panic!("only a conflict may stop a transfer: {error}"),
        }
    }
}
