//! Longer proofs, run by hand. A proof counts when its commit, command, seed and figures stand in `docs/proofs.md`.

use anyhow::{Context, Result};

use crate::tier::judges::{self, Suite};
use crate::tier::{self, counted, real};
use crate::{api, cache, command, sim};

struct Proof {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "sim",
        about: "1,000,000 histories of the migration engine in a simulated world (seeds 0 to 999,999)",
        run: simulated,
    },
    Proof {
        name: "kills",
        about: "an agent that is killed 53 times while it follows a lake on HDFS, at a target that fails now and then",
        run: || real::kills(50),
    },
    Proof {
        name: "adls-kills",
        about: "the storage emulator killed 100 times under load (LIVEDATA_SEED: another history)",
        run: || adls_kills(100),
    },
    Proof {
        name: "rename",
        about: "a directory of 1,000,000 entries on HDFS (LIVEDATA_ENTRIES: another number), renamed during the scan",
        run: || real::rename(1_000_000),
    },
    Proof {
        name: "rename-sim",
        about: "a directory of 1,000,000 files renamed while it is scanned, in the simulated world",
        run: || sim::rename(1_000_000),
    },
    Proof {
        name: "small-worlds",
        about: "everything that can happen in small worlds, with more at once than in the tests",
        run: sim::small_worlds,
    },
    Proof {
        name: "target-histories",
        about: "10,000 random histories each of the client against the emulator, with a good and a bad network, and of the simulated \
                container, against a target in memory (seeds 0 to 9,999)",
        run: || target_histories(10_000),
    },
    Proof {
        name: "traffic",
        about: "what the contract suite sends and gets, of both versions, against their OpenAPI documents, by Azure's validator",
        run: traffic,
    },
    Proof {
        name: "adjacent-versions",
        about: "two control planes on one PostgreSQL, one of them of the last tag, or of the last commit before the newest migration of \
                the store, at the earliest of the first that shares one (LIVEDATA_REVISION: of another commit); it is killed while \
                operations run",
        run: adjacent_versions,
    },
    Proof {
        name: "abfs",
        about: "the storage emulator against everything that Hadoop publishes of its ABFS driver's tests",
        run: || judges::run(&[Suite::AbfsAll]),
    },
    Proof {
        name: "fidelity-2.7",
        about: "the simulated HDFS against Hadoop 2.7.7, 300 histories (seeds 0 to 299)",
        run: || real::fidelity("2.7.7", 300),
    },
    Proof {
        name: "fidelity-2.10",
        about: "the same against Hadoop 2.10.2",
        run: || real::fidelity("2.10.2", 300),
    },
    Proof {
        name: "fidelity-3.3",
        about: "the same against Hadoop 3.3.6",
        run: || real::fidelity("3.3.6", 300),
    },
    Proof {
        name: "fidelity-3.4",
        about: "the same against Hadoop 3.4.3, 1,000 histories",
        run: || real::fidelity("3.4.3", 1_000),
    },
];

fn target_histories(seeds: u64) -> Result<()> {
    for (program, tests) in [("adls", "histories::"), ("target_histories", "")] {
        let mut command = tier::workspace_tests()?;
        command.args(["--test", program, "--", tests, "--nocapture", "--test-threads", "1"]);
        command.env("LIVEDATA_TARGET_HISTORIES", seeds.to_string());
        counted::run(&mut command)?;
    }
    Ok(())
}

fn traffic() -> Result<()> {
    let folder = cache::directory()?.join(format!("traffic-{}", std::process::id()));
    let mut command = tier::workspace_tests()?;
    command.args(["--test", "integration", "--", "conformance::the_"]).env("LIVEDATA_RECORD", &folder);
    counted::run(&mut command)?;
    let described = |version: &str| folder.join(format!("livedata-{version}-preview")).join("described");
    api::hold_traffic(&described("2026-11-01"), &described("2023-11-01"))?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Since shortly before this commit several providers share a store; older ones cannot be the other half of this proof.
const FIRST_TO_SHARE: &str = "acf587e";

/// The other version is built from a work tree of its own, which goes when the test passed.
fn adjacent_versions() -> Result<()> {
    let git = |arguments: &[&str]| -> Result<String> {
        Ok(command::output(command::new("git").args(arguments))?.trim().to_owned())
    };
    let newest = || git(&["log", "-1", "--format=%H", "--diff-filter=A", "--", "src/store/migrations"]);
    let revision = match std::env::var("LIVEDATA_REVISION") {
        Ok(revision) => revision,
        Err(_) => match git(&["describe", "--tags", "--abbrev=0"]) {
            Ok(tag) => tag,
            Err(_) => {
                let before = format!("{}^", newest()?);
                let shares = command::output(command::new("git").args([
                    "merge-base",
                    "--is-ancestor",
                    FIRST_TO_SHARE,
                    &before,
                ]));
                if shares.is_ok() { before } else { FIRST_TO_SHARE.to_owned() }
            }
        },
    };
    let commit = git(&["rev-parse", "--short", &revision])?;
    println!("the other version is {commit}");
    let folder = cache::directory()?.join(format!("adjacent-{commit}"));
    let shown = folder.display().to_string();
    if !folder.exists() {
        git(&["worktree", "add", "--detach", &shown, &commit])?;
    }
    let mut build = command::cargo("build")?;
    build.args(["--profile", "ci", "--locked", "--bin", "livedata"]).current_dir(&folder);
    command::run(build.env("CARGO_TARGET_DIR", folder.join("target")))?;
    real::adjacent_versions(&folder.join("target").join("ci").join("livedata"))?;
    git(&["worktree", "remove", "--force", &shown]).map(drop)
}

fn simulated() -> Result<()> {
    sim::run(&sim::Sim { seeds: 1_000_000, from: 0, trace: false })
}

/// As a test of the emulator does a few times.
fn adls_kills(kills: u64) -> Result<()> {
    let mut tests = tier::workspace_tests()?;
    tests.args(["--test", "http", "--", "kills::", "--nocapture"]);
    tests.env("LIVEDATA_KILLS", kills.to_string());
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
