//! Each rule is taken away, and histories must go wrong in the way that the rule is there to prevent. A rule that nothing
//! depends on would be none.
//!
//! `LIVEDATA_SIM_SEARCH=N` looks for new seeds, among the first N, and prints the table.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use livedata_engine::Rule;
use livedata_sim::{Options, Workers, run};

/// Without the rule the history of this seed ends with an error that begins like this.
const KILLED: &[(Rule, u64, &str)] = &[];

fn without(rule: Rule) -> Options {
    Options { without: Some(rule), ..Options::default() }
}

fn kind(error: &str) -> &str {
    error
        .split([':', '('])
        .next()
        .unwrap()
        .trim_end_matches(|last: char| last.is_ascii_digit() || last == ' ')
}

#[test]
fn without_a_rule_histories_go_wrong() {
    if let Ok(seeds) = std::env::var("LIVEDATA_SIM_SEARCH") {
        return search(seeds.parse().unwrap());
    }
    for (rule, seed, wrong) in KILLED {
        let error = run(*seed, &without(*rule)).err();
        assert_eq!(error.as_deref().map(kind), Some(*wrong), "{rule:?}, seed {seed}: {error:?}");
        assert_eq!(run(*seed, &Options::default()).err(), None, "seed {seed}");
    }
}

fn search(seeds: u64) {
    let only = std::env::var("LIVEDATA_SIM_RULE").ok();
    for rule in Rule::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{rule:?}")) {
            continue;
        }
        let found = (0..seeds).find_map(|seed| Some((seed, run(seed, &without(rule)).err()?)));
        match found {
            Some((seed, error)) => println!(
                "    (Rule::{rule:?}, {seed}, {:?}), // {}",
                kind(&error),
                &error[..error.len().min(150)]
            ),
            None => println!("    // {rule:?}: none"),
        }
    }
    let workers = [
        Workers { publish_blindly: true, ..Workers::default() },
        Workers { unconditionally: true, ..Workers::default() },
        Workers { position_after_scan: true, ..Workers::default() },
        Workers { cursor_alone: true, ..Workers::default() },
    ];
    for workers in workers {
        if only.is_some() {
            continue;
        }
        let options = Options { workers, ..Options::default() };
        let found = (0..seeds).find_map(|seed| Some((seed, run(seed, &options).err()?)));
        println!(
            "{workers:?}: {:?}",
            found.map(|(seed, error)| (seed, error[..error.len().min(150)].to_owned()))
        );
    }
}
