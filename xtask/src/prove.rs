//! Longer proofs, run by hand. A proof counts when its commit, command, seed and figures stand in `docs/proofs.md`.

use anyhow::{Context, Result};

use crate::sim;

struct Proof {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const PROOFS: &[Proof] = &[Proof {
    name: "sim",
    about: "1,000,000 histories of the migration engine in a simulated world (seeds 0 to 999,999)",
    run: simulated,
}];

fn simulated() -> Result<()> {
    sim::run(&sim::Sim { seeds: 1_000_000, from: 0, trace: false })
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
