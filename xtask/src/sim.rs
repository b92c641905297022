//! Histories of the migration engine in a simulated world: `livedata-sim` plays them, as its tests do.

use anyhow::Result;

use crate::tier;
use crate::tier::counted;

#[derive(clap::Args)]
pub struct Sim {
    /// How many histories
    #[arg(long, default_value_t = 100_000)]
    pub seeds: u64,
    /// The seed of the first
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Print what happens in them
    #[arg(long)]
    pub trace: bool,
}

/// Prints the rate, what happened how often, and each history that goes wrong, the first one made shorter.
pub fn run(sim: &Sim) -> Result<()> {
    let mut tests = tier::workspace_tests()?;
    tests.args(["--test", "histories", "--", "whatever_happens", "--nocapture"]);
    tests.env("LIVEDATA_SIM_SEEDS", sim.seeds.to_string());
    tests.env("LIVEDATA_SIM_FROM", sim.from.to_string());
    if sim.trace {
        tests.env("LIVEDATA_SIM_TRACE", "1");
    }
    counted::run(&mut tests)
}

/// Renames a directory of so many files in the middle of its scan.
pub fn rename(entries: u64) -> Result<()> {
    let mut tests = tier::workspace_tests()?;
    tests.args(["--test", "scripted", "--", "a_large_directory", "--nocapture"]);
    tests.env("LIVEDATA_SIM_ENTRIES", entries.to_string());
    counted::run(&mut tests)
}

/// Exhausts the small worlds of the tests with one more operation at a time.
pub fn small_worlds() -> Result<()> {
    let mut tests = tier::workspace_tests()?;
    tests.args(["--test", "small_worlds", "--", "nothing_goes_wrong", "--nocapture"]);
    tests.env("LIVEDATA_SIM_OPERATIONS", "1");
    counted::run(&mut tests)
}
