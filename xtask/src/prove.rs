//! Longer proofs, run by hand. A proof counts when its commit, command, seed and figures stand in `docs/proofs.md`.

use anyhow::{Context, Result};

struct Proof {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const PROOFS: &[Proof] = &[];

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
    if proofs.is_empty() {
        return "no proofs are registered yet\n".into();
    }
    proofs.iter().map(|proof| format!("{:<20} {}\n", proof.name, proof.about)).collect()
}
