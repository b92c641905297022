//! What we link: licences, banned crates, sources, by the rules of `deny.toml`.
//!
//! The rules are those of `cargo deny check bans licenses sources`, which reads the same file. That program would have to be
//! compiled before the first run on each new machine; the three rules that the file uses are short, over `cargo metadata`.
//! (Which of our own crates may depend on which is another test: `tests/workspace.rs`.)

mod licence;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use serde::Deserialize;

use crate::command;

/// An unknown field is an error: a rule that is written must be checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Graph {
    all_features: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Licenses {
    allow: BTreeSet<String>,
    /// Of guesses from licence texts, which are not made here: a package must name its licence.
    #[serde(rename = "confidence-threshold")]
    _confidence_threshold: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Allow,
    wildcards: Allow,
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    /// Mirrors of the registry have other addresses; `Cargo.lock` holds the check sums.
    unknown_registry: Allow,
    unknown_git: Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Allow {
    Allow,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Deny {
    Deny,
}

pub fn check() -> Result<()> {
    let rules = std::fs::read_to_string("deny.toml")
        .context("cannot read deny.toml: run this at the top of the clone")?;
    let rules: Rules = toml::from_str(&rules).context("deny.toml has a rule that is not checked here")?;
    let metadata = metadata(&rules.graph)?;
    let findings = findings(&rules, &metadata);
    ensure!(findings.is_empty(), "{} findings:\n  {}", findings.len(), findings.join("\n  "));
    println!("{} packages: licences, bans and sources are as deny.toml wants them", metadata.packages.len());
    Ok(())
}

/// What is linked into some program or test on this platform: the only one that is shipped, and the only one whose packages
/// are downloaded. `cargo metadata` also names optional packages that no feature turns on; `cargo tree` knows them apart.
fn metadata(graph: &Graph) -> Result<Metadata> {
    let version = command::output(command::new("rustc").arg("-vV"))?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let mut command = MetadataCommand::new();
    let mut tree = command::cargo("tree")?;
    if graph.all_features {
        command.features(cargo_metadata::CargoOpt::AllFeatures);
        tree.arg("--all-features");
    }
    command.other_options(["--locked".into(), "--filter-platform".into(), host.into()]);
    let mut metadata = command.exec()?;
    tree.args([
        "--locked",
        "--workspace",
        "--target",
        host,
        "--edges",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let tree = command::output(&mut tree)?;
    let linked: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
    metadata
        .packages
        .retain(|package| linked.contains(&(package.name.as_str(), &package.version.to_string())));
    Ok(metadata)
}

/// From `serde v1.0.1`, `mine v0.1.0 (/path)`, `derive v1.0.0 (proc-macro)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

fn findings(rules: &Rules, metadata: &Metadata) -> Vec<String> {
    let Sources { unknown_registry: Allow::Allow, unknown_git: Deny::Deny } = rules.sources;
    let Bans { multiple_versions: Allow::Allow, wildcards: Allow::Allow, ref deny } = rules.bans;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        if let Some(ban) = deny.iter().find(|ban| package.name == ban.name) {
            findings.push(format!("{name} is banned: {}", ban.reason));
        }
        if !is_from_registry(package) && !package.manifest_path.starts_with(&metadata.workspace_root) {
            findings.push(format!("{name} comes neither from a registry nor from this repository"));
        }
        match package.license.as_deref() {
            None => findings.push(format!("{name} names no licence")),
            Some(expression) if !licence::is_allowed(expression, &rules.licenses.allow) => {
                findings.push(format!("{name} has the licence {expression}, which deny.toml does not allow"));
            }
            Some(_) => {}
        }
    }
    findings
}

fn is_from_registry(package: &Package) -> bool {
    package
        .source
        .as_ref()
        .is_some_and(|source| source.repr.starts_with("registry+") || source.repr.starts_with("sparse+"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rules() -> Rules {
        let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../deny.toml");
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>, manifest: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name, "version": "1.0.0", "id": name, "license": license, "source": source, "dependencies": [], "targets": [],
            "features": {}, "manifest_path": manifest,
        })
    }

    fn found(package: serde_json::Value) -> Vec<String> {
        let metadata = serde_json::json!({
            "packages": [package], "workspace_members": [], "resolve": null, "workspace_root": "/clone", "target_directory": "/t",
            "version": 1,
        });
        findings(&rules(), &serde_json::from_value(metadata).unwrap())
    }

    const REGISTRY: Option<&str> = Some("registry+https://example.org/index");

    #[test]
    fn every_rule_can_fail() {
        assert_eq!(found(package("fine", Some("MIT"), REGISTRY, "/r/Cargo.toml")), Vec::<String>::new());
        assert_eq!(
            found(package("ours", Some("Apache-2.0"), None, "/clone/src/a/Cargo.toml")),
            Vec::<String>::new()
        );
        assert!(found(package("ring", Some("ISC"), REGISTRY, "/r/Cargo.toml"))[0].contains("is banned"));
        assert!(
            found(package("gpl", Some("GPL-3.0"), REGISTRY, "/r/Cargo.toml"))[0].contains("does not allow")
        );
        assert!(found(package("none", None, REGISTRY, "/r/Cargo.toml"))[0].contains("no licence"));
        let git = Some("git+https://example.org/x#1");
        assert!(
            found(package("git", Some("MIT"), git, "/g/Cargo.toml"))[0].contains("neither from a registry")
        );
        assert!(
            found(package("path", Some("MIT"), None, "/elsewhere/Cargo.toml"))[0]
                .contains("neither from a registry")
        );
    }

    #[test]
    fn what_is_linked_is_found() {
        let found = metadata(&Graph { all_features: true }).unwrap();
        for name in ["clap_derive", "xtask", "livedata-model", "aws-lc-sys", "tempfile"] {
            assert!(found.packages.iter().any(|package| package.name == name), "{name}");
        }
        assert!(found.packages.len() > 100);
    }

    #[test]
    fn a_rule_that_is_not_checked_is_refused() {
        let with = |line: &str| {
            let path = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../deny.toml");
            toml::from_str::<Rules>(&format!("{}\n{line}\n", std::fs::read_to_string(path).unwrap()))
        };
        assert!(with("").is_ok());
        assert!(with("allow-git = []").is_err());
        assert!(with("[advisories]").is_err());
    }
}
