//! Longer proofs, run by hand. A proof counts when its commit, command, seed and figures stand in `docs/proofs.md`.

use anyhow::{Context, Result};

use crate::tier;
use crate::tier::counted;

struct Proof {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const PROOFS: &[Proof] = &[Proof {
    name: "engine",
    about: "400,000 random histories of the migration engine (seeds 0 to 399,999), crashes between any two steps",
    run: engine,
}];

fn engine() -> Result<()> {
    let mut tests = tier::workspace_tests()?;
    tests.args(["--test", "random", "--", "--nocapture"]).env("LIVEDATA_ENGINE_SEEDS", "400000");
    counted::run(&mut tests)
}

pub fn run(name: Option<&str>) -> Result<()> {
    match name {
        None => {
            print!("{}", list(PROOFS));
            Ok(())
        }
        Some(name) => {
            let proof = PROOFS.iter().find(|proof| proof.name == name);
            let proof =
                proof.with_context(|| format!("there is no proof {name}; `cargo xtask prove` lists them"))?;
            (proof.run)()
        }
    }
}

fn list(proofs: &[Proof]) -> String {
    proofs.iter().map(|proof| format!("{:<20} {}\n", proof.name, proof.about)).collect()
}
