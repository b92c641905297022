//! The shape of the workspace, held against `docs/architecture.md`: who may depend on whom, and the four walls.

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use table::{Allowed, Area};

/// Asked for at run time: clones share a target folder, and a path that was compiled in may be another clone's.
static ROOT: LazyLock<String> = LazyLock::new(|| std::env::var("CARGO_MANIFEST_DIR").unwrap());

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(ROOT.as_str())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A crate in `src/`: its area is the name of its folder.
struct Crate {
    area: String,
    package: String,
    /// Areas that it links when it is shipped: normal and build dependencies.
    links: BTreeSet<String>,
}

fn crates() -> Vec<Crate> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let sources = Path::new(ROOT.as_str()).join("src");
    let area = |folder: &Path| -> Option<String> {
        (folder.parent() == Some(&sources)).then(|| folder.file_name().unwrap().to_str().unwrap().to_owned())
    };
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter_map(|package| {
            let folder = PathBuf::from(package["manifest_path"].as_str().unwrap());
            let links = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"] != "dev");
            let links = links.filter_map(|dependency| area(Path::new(dependency["path"].as_str()?)));
            Some(Crate {
                area: area(folder.parent().unwrap())?,
                package: package["name"].as_str().unwrap().to_owned(),
                links: links.collect(),
            })
        })
        .collect()
}

fn areas() -> Vec<Area> {
    table::parse(&std::fs::read_to_string(Path::new(ROOT.as_str()).join("docs/architecture.md")).unwrap())
}

/// Names of all packages that are linked into this area's crate, itself included.
fn tree(area: &str) -> BTreeSet<String> {
    let package = crates().into_iter().find(|one| one.area == area).unwrap().package;
    let tree = cargo(&["tree", "-p", &package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let names: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(
        names.contains(&package) && names.contains("thiserror"),
        "this does not look like the tree of {package}: {names:?}"
    );
    names
}

#[test]
fn the_table_lists_the_crates_that_are_here() {
    let listed: BTreeSet<String> =
        areas().into_iter().filter(|area| area.here).map(|area| area.name).collect();
    let found: BTreeSet<String> = crates().into_iter().map(|one| one.area).collect();
    assert_eq!(
        listed, found,
        "left: rows of docs/architecture.md that say `here`; right: folders of src with a crate"
    );
}

#[test]
fn crates_depend_only_on_what_the_table_allows() {
    let areas = areas();
    let mut links = 0;
    for one in crates() {
        let row = areas.iter().find(|area| area.name == one.area).unwrap();
        if let Allowed::Only(allowed) = &row.may_link {
            let more: Vec<&String> = one.links.difference(allowed).collect();
            assert!(more.is_empty(), "{} must not depend on {more:?}", one.area);
        }
        links += one.links.len();
    }
    assert!(links > 10, "only {links} dependencies found: this test no longer sees them");
}

#[test]
fn what_is_for_development_is_not_shipped() {
    let areas = areas();
    let only_dev: BTreeSet<&String> =
        areas.iter().filter(|area| area.dev_only).map(|area| &area.name).collect();
    assert!(only_dev.contains(&"testkit".to_owned()));
    for one in crates().iter().filter(|one| one.area != "demo" && !only_dev.contains(&one.area)) {
        let found: Vec<&String> = one.links.iter().filter(|link| only_dev.contains(link)).collect();
        assert!(found.is_empty(), "{} is shipped and links {found:?}", one.area);
    }
}

fn assert_wall(area: &str, forbidden: &[&str]) {
    let linked = tree(area);
    let matches =
        |name: &str, rule: &str| rule.strip_suffix('*').map_or(name == rule, |start| name.starts_with(start));
    let found: Vec<&String> =
        linked.iter().filter(|name| forbidden.iter().any(|rule| matches(name, rule))).collect();
    assert!(found.is_empty(), "{area} links {found:?}");
}

#[test]
fn wall_provider_never_sees_a_file_system() {
    assert_wall(
        "provider",
        &[
            "livedata-filesystem",
            "livedata-hdfs",
            "livedata-adls",
            "livedata-adls-emulator",
            "livedata-engine",
            "hdfs-native",
        ],
    );
}

#[test]
fn wall_agent_never_sees_arm_store_or_a_web_server() {
    assert_wall(
        "agent",
        &[
            "livedata-arm",
            "livedata-store",
            "livedata-provider",
            "livedata-front-door",
            "livedata-relay-server",
            "actix*",
            "sqlx*",
        ],
    );
}

#[test]
fn wall_engine_never_sees_a_socket_a_clock_or_a_thread() {
    for area in ["engine", "model"] {
        assert_wall(
            area,
            &["tokio*", "mio", "socket2", "hyper*", "reqwest", "futures*", "rustls", "rusqlite"],
        );
    }
    for file in sources("engine") {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["std::net", "std::thread", "SystemTime::now", "Instant::now", "std::fs"] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn wall_arm_holds_no_product_word() {
    for file in sources("arm") {
        let text = std::fs::read_to_string(&file).unwrap().replace("livedata_arm", "").to_lowercase();
        for word in ["livedata", "migrat", "hdfs", "hadoop", "fusion"] {
            assert!(!text.contains(word), "{} says {word:?}", file.display());
        }
    }
}

fn sources(area: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(ROOT.as_str()).join("src").join(area)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 1, "no sources of {area}");
    found
}
