//! Node's packages, from a folder that has `package.json` and `package-lock.json`: installed as locked into the cache folder,
//! with a Node of their own among them. Nothing of them is in the clone, and no install script of theirs runs.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cache, command};

/// Where what is installed is named.
const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Of the packages that hold Node itself.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };

/// A folder with `node_modules`.
pub struct Packages {
    pub home: PathBuf,
}

impl Packages {
    /// Those that `folder` locks, in a folder of the cache that is named after the lock.
    pub fn install(folder: &Path) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        for name in MANIFESTS {
            let path = folder.join(name);
            let text = std::fs::read(&path).with_context(|| {
                format!("cannot read {}: run this at the top of the clone", path.display())
            })?;
            text.hash(&mut hasher);
        }
        let cache = cache::directory()?.join("node");
        let home = cache.join(format!("{:016x}", hasher.finish()));
        std::fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
        // Two clones may install at the same time: the second one waits and then finds everything there.
        let lock = File::create(cache.join("lock")).context("cannot lock the cache folder")?;
        lock.lock().context("cannot lock the cache folder")?;
        let complete = home.join("complete");
        if !complete.is_file() {
            for name in MANIFESTS {
                std::fs::copy(folder.join(name), home.join(name))?;
            }
            ensure_npm()?;
            let mut npm = command::new("npm");
            npm.current_dir(&home).args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel",
                "error",
            ]);
            command::run(&mut npm).context(
                "a registry of Node's packages, or the mirror in npm's configuration, must be reachable",
            )?;
            std::fs::write(&complete, "")?;
        }
        Ok(Self { home })
    }

    /// The Node that was installed.
    pub fn node(&self) -> Command {
        let package = self.home.join("node_modules").join(format!("node-linux-{ARCHITECTURE}"));
        command::new(package.join("bin").join("node"))
    }

    /// A program of a package.
    pub fn script(&self, file: &str) -> Command {
        let mut command = self.node();
        command.arg(self.home.join("node_modules").join(file));
        command
    }
}

/// It only fetches; what is fetched brings the Node that runs it.
fn ensure_npm() -> Result<()> {
    let works = || command::output(command::new("npm").arg("--version")).is_ok();
    if works() {
        return Ok(());
    }
    let advice = "run `apt-get install -y npm` as root, then try again";
    let apt = |arguments: &[&str]| {
        command::run(command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-q"]).context(advice)?;
    apt(&["install", "-y", "-q", "--no-install-recommends", "npm"]).context(advice)?;
    ensure!(works(), "npm still does not run: {advice}");
    Ok(())
}
