//! Jars of a Hadoop, resolved once by Maven into the cache: those of its servers, those of DistCp with the ABFS driver, and
//! those of that driver's tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::java;

/// What tests run against unless they ask for another.
pub const VERSION: &str = "3.4.3";

pub fn is_2_7(version: &str) -> bool {
    version.starts_with("2.7.")
}

/// Group, artifact and version.
type Artifact<'a> = (&'a str, &'a str, &'a str);

const GROUP: &str = "org.apache.hadoop";

/// The newest with an ABFS driver on Maven Central, which has none of [`VERSION`].
const DISTCP_VERSION: &str = "3.4.2";

/// DistCp runs its maps with the local job runner, which is among the job client's dependencies.
const DISTCP: [&str; 5] = [
    "hadoop-common",
    "hadoop-hdfs-client",
    "hadoop-distcp",
    "hadoop-mapreduce-client-jobclient",
    "hadoop-azure",
];

/// What the tests of the ABFS driver use beside the driver. Their own versions of the testing libraries, as far as these run
/// on Java 17.
const ABFS_TESTING: [Artifact<'_>; 7] = [
    ("org.junit.platform", "junit-platform-launcher", "1.14.4"),
    ("org.junit.vintage", "junit-vintage-engine", "5.14.4"),
    ("org.junit.jupiter", "junit-jupiter", "5.14.4"),
    ("org.mockito", "mockito-inline", "4.11.0"),
    ("org.assertj", "assertj-core", "3.12.2"),
    ("org.hamcrest", "hamcrest-library", "1.3"),
    (GROUP, "hadoop-minikdc", DISTCP_VERSION),
];

/// Published beside the code that they test.
const ABFS_TESTS: [&str; 3] = ["hadoop-azure", "hadoop-common", "hadoop-distcp"];

/// What a Hadoop's servers are made of.
fn servers(version: &str) -> Vec<Artifact<'_>> {
    let mut artifacts = vec![(GROUP, "hadoop-common", version), (GROUP, "hadoop-hdfs", version)];
    artifacts.push(if is_2_7(version) {
        // The client is no jar of its own yet, and WebHDFS needs the one that the distribution holds, newer than what Maven
        // chooses.
        ("org.apache.httpcomponents", "httpclient", "4.2.5")
    } else {
        (GROUP, "hadoop-hdfs-client", version)
    });
    artifacts
}

/// The folder with the jars of a NameNode and a DataNode of a version; fetches them when it is not there yet.
pub fn ensure(cache: &Path, version: &str) -> Result<PathBuf> {
    fetch(cache, &format!("hadoop-{version}"), &servers(version), &[])
}

/// The same of DistCp.
pub fn ensure_distcp(cache: &Path) -> Result<PathBuf> {
    let artifacts = DISTCP.map(|artifact| (GROUP, artifact, DISTCP_VERSION));
    fetch(cache, &format!("hadoop-distcp-{DISTCP_VERSION}"), &artifacts, &[])
}

/// The same of the ABFS driver's tests, and the jar that has the tests.
pub fn ensure_abfs_tests(cache: &Path) -> Result<(PathBuf, PathBuf)> {
    let driver = DISTCP.map(|artifact| (GROUP, artifact, DISTCP_VERSION));
    let tests = ABFS_TESTS.map(|artifact| (GROUP, artifact, DISTCP_VERSION));
    let artifacts = [&driver[..], &ABFS_TESTING].concat();
    let jars = fetch(cache, &format!("hadoop-azure-tests-{DISTCP_VERSION}"), &artifacts, &tests)?;
    let tests = jars.join(format!("hadoop-azure-{DISTCP_VERSION}-tests.jar"));
    Ok((jars, tests))
}

/// Of `tests`, the jars with the tests, and what these need.
fn fetch(cache: &Path, name: &str, artifacts: &[Artifact<'_>], tests: &[Artifact<'_>]) -> Result<PathBuf> {
    let home = cache.join(name);
    let jars = home.join("jars");
    java::ensure_installed(!jars.is_dir())?;
    if jars.is_dir() {
        return Ok(jars);
    }
    println!("hadoop: fetching {name} with Maven into {}", home.display());
    // Two builds may fetch at the same time: each fills a folder of its own and the first to finish names it.
    let staging = home.join(format!("fetch-{}", std::process::id()));
    std::fs::create_dir_all(&staging).with_context(|| format!("cannot create {}", staging.display()))?;
    std::fs::write(staging.join("pom.xml"), project_file(artifacts, tests))?;
    let status = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", staging.join("jars").display()))
        .current_dir(&staging)
        .status()
        .context("cannot run mvn")?;
    if !status.success() {
        bail!(
            "Maven could not fetch {name} ({status}); is there such a version, and is Maven Central, or the mirror in settings.xml, reachable?"
        );
    }
    if let Err(error) = std::fs::rename(staging.join("jars"), &jars)
        && !jars.is_dir()
    {
        return Err(error).with_context(|| format!("cannot move the jars to {}", jars.display()));
    }
    std::fs::remove_dir_all(&staging).with_context(|| format!("cannot remove {}", staging.display()))?;
    Ok(jars)
}

fn project_file(artifacts: &[Artifact<'_>], tests: &[Artifact<'_>]) -> String {
    let dependency = |(group, artifact, version): &Artifact<'_>, kind: &str| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version>{kind}</dependency>\n"
        )
    };
    let of_code = artifacts.iter().map(|artifact| dependency(artifact, ""));
    let of_tests = tests.iter().map(|artifact| dependency(artifact, "<type>test-jar</type>"));
    let dependencies: String = of_code.chain(of_tests).collect();
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>livedata</groupId>
  <artifactId>hadoop-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}  </dependencies>
</project>
"#
    )
}

/// The class path of a cluster: its configuration folder first, then every jar in a fixed order.
pub fn classpath(configuration: &Path, jars: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(jars)
        .with_context(|| format!("cannot list {}", jars.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    files.insert(0, configuration.to_path_buf());
    Ok(std::env::join_paths(files)
        .context("a path with `:` cannot stand in a class path")?
        .to_string_lossy()
        .into())
}
