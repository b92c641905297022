//! Suites that others wrote, or that drive what others wrote, against the storage emulator and the resource provider. The tests are in `tests/judges`,
//! and find what was installed through the environment:
//!
//! | variable | what |
//! |---|---|
//! | `LIVEDATA_JUDGE_PYTHON` | a Python that has Microsoft's SDKs, opendal, adlfs and pytest |
//! | `LIVEDATA_JUDGE_ABFS`, `_ABFS_TESTS` | arguments for `java` with the ABFS driver's class path; the jar with its tests |
//! | `LIVEDATA_JUDGE_AZCOPY`, `_RCLONE` | the programs |
//! | `LIVEDATA_JUDGE_ARM_PYTHON` | a Python that has Microsoft's client of the resource manager and schemathesis |

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use super::{counted, integration_tests};
use crate::{hadoop, tools};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Suite {
    /// Microsoft's SDKs for Python: every public operation, synchronous and asynchronous
    Sdk,
    /// Hadoop's contract of a file system, through its ABFS driver, with block blobs and with append blobs
    Abfs,
    /// All published tests of the ABFS driver
    AbfsAll,
    /// Microsoft's AzCopy, both endpoints
    Azcopy,
    /// rclone, both ways
    Rclone,
    /// OpenDAL's azdls and azblob services
    Opendal,
    /// adlfs, the file system of fsspec
    Adlfs,
    /// Microsoft's client of the resource manager, and a fuzzer with our OpenAPI, against provider and front door
    Arm,
}

impl Suite {
    /// As the names of its tests begin.
    fn tests(self) -> &'static str {
        match self {
            Self::Sdk => "judges::python::sdk",
            Self::Abfs => "judges::abfs::contract",
            Self::AbfsAll => "judges::abfs::everything",
            Self::Azcopy => "judges::copying::azcopy",
            Self::Rclone => "judges::copying::rclone",
            Self::Opendal => "judges::python::opendal",
            Self::Adlfs => "judges::python::adlfs",
            Self::Arm => "judges::arm",
        }
    }

    /// Installs what it needs.
    fn tools(self) -> Result<Vec<(&'static str, PathBuf)>> {
        Ok(match self {
            Self::Sdk | Self::Opendal | Self::Adlfs => {
                vec![("LIVEDATA_JUDGE_PYTHON", tools::install_judges()?)]
            }
            Self::Abfs | Self::AbfsAll => {
                let (arguments, tests) = hadoop::abfs_tests()?;
                vec![("LIVEDATA_JUDGE_ABFS", arguments), ("LIVEDATA_JUDGE_ABFS_TESTS", tests)]
            }
            Self::Azcopy => vec![
                ("LIVEDATA_JUDGE_AZCOPY", tools::install_azcopy()?),
                ("LIVEDATA_JUDGE_PYTHON", tools::install_judges()?),
            ],
            Self::Arm => vec![("LIVEDATA_JUDGE_ARM_PYTHON", tools::install_arm_judges()?)],
            Self::Rclone => vec![("LIVEDATA_JUDGE_RCLONE", tools::install_rclone()?)],
        })
    }
}

/// What every change must pass.
pub fn short() -> Result<()> {
    let short = Suite::value_variants().iter().copied().filter(|suite| *suite != Suite::AbfsAll);
    run(&short.collect::<Vec<_>>())
}

/// None named: all of them. One after the other: each would slow the others down on a small machine.
pub fn run(suites: &[Suite]) -> Result<()> {
    let suites = if suites.is_empty() { Suite::value_variants() } else { suites };
    let mut tests = integration_tests()?;
    tests.args(["--test-threads", "1", "--nocapture"]);
    for suite in suites {
        tests.arg(suite.tests()).envs(suite.tools()?);
    }
    counted::run(&mut tests)
}
