//! Seeded histories of a simulated source and target: all rules hold, so nothing may go wrong.
//!
//! `LIVEDATA_SIM_SEEDS` and `LIVEDATA_SIM_FROM` say how many seeds and from which one; `LIVEDATA_SIM_TRACE` prints what
//! happens in each history. `cargo xtask sim` sets them.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use livedata_sim::{Options, Outcome, run, shrink};

/// Seeds that went wrong once.
const REGRESSIONS: [u64; 44] = [
    31, 34, 50, 1845, 15_185, 34_012, 57_967, 90_294, 116_650, 218_839, 309_791, 11_520, 25_249, 26_722,
    29_313, 29_568, 96_357, 117_695, 157_509, 185_495, 189_563, 192_320, 222_615, 279_999, 127_519, 137_324,
    157_239, 165_185, 237_265, 279_539, 74_248, 305_936, 497_239, 504_053, 584_763, 119, 2601, 7795, 8313,
    18_957, 341_592, 403_219, 580_343, 777_570,
];

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

/// Takes the seeds apart among all processors: the sum of what was seen, and what went wrong.
fn play(from: u64, seeds: u64, options: &Options) -> (Outcome, Vec<(u64, String)>) {
    let next = AtomicU64::new(from);
    let player = || {
        let (mut sum, mut wrong) = (Outcome::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                return (sum, wrong);
            }
            match run(seed, options) {
                Ok(outcome) => sum.add(&outcome),
                Err(error) => {
                    println!("seed {seed}: {error}");
                    wrong.push((seed, error));
                }
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..processors).map(|_| scope.spawn(player)).collect();
        let (mut sum, mut wrong) = (Outcome::default(), Vec::new());
        for player in players {
            let (outcome, errors) = player.join().unwrap();
            sum.add(&outcome);
            wrong.extend(errors);
        }
        (sum, wrong)
    })
}

#[test]
fn whatever_happens_the_target_becomes_what_the_source_is() {
    let options = Options { trace: std::env::var_os("LIVEDATA_SIM_TRACE").is_some(), ..Options::default() };
    let (from, seeds) = (number("LIVEDATA_SIM_FROM", 0), number("LIVEDATA_SIM_SEEDS", 20_000));
    let started = Instant::now();
    let (sum, wrong) = play(from, seeds, &options);
    let rate = seeds as f64 / started.elapsed().as_secs_f64();
    println!("{seeds} histories from seed {from}, {rate:.0}/s, {} went wrong", wrong.len());
    for (what, count) in sum.counts() {
        println!("  {what:<16} {count}");
    }
    if let Some((seed, error)) = wrong.first() {
        let shorter = shrink::shrink(*seed, &options);
        panic!("seed {seed}: {error}\nshorter, leaving out {shorter:?}");
    }
    if seeds >= 10_000 {
        let tame: Vec<_> = sum.counts().into_iter().filter(|(_, count)| *count == 0).collect();
        assert!(tame.is_empty(), "the histories are too tame, these never happen: {tame:?}");
    }
}

#[test]
fn what_went_wrong_once_does_not_again() {
    for seed in REGRESSIONS {
        assert_eq!(run(seed, &Options::default()).err(), None, "seed {seed}");
    }
}

#[test]
fn a_seed_is_one_history() {
    let counts = || run(7, &Options::default()).unwrap().counts();
    assert_eq!(counts(), counts());
}
