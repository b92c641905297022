//! DistCp with the local job runner: as many maps as streams, all of them at a time, in one JVM. It writes through
//! Hadoop's own ABFS driver.

use std::process::Command;

use anyhow::Result;

use super::Job;
use crate::process::{self, Taken};
use crate::setting::{site, variable};

/// What Hadoop's scripts give to clients unless told otherwise is a quarter of the machine.
const HEAP: &str = "-Xmx2g";

pub async fn copy(job: &Job<'_>) -> Result<Taken> {
    let (site, cluster) = (&job.setting.site, &job.setting.cluster);
    let streams = job.streams.to_string();
    let scratch = job.setting.folder().join(job.name);
    std::fs::create_dir_all(&scratch)?;
    let host = format!("{}.dfs.core.windows.net", site::ACCOUNT);
    let settings = [
        ("mapreduce.framework.name", "local".to_owned()),
        ("mapreduce.local.map.tasks.maximum", streams.clone()),
        // The local runner would make do with one map: see the class.
        ("distcp.uniformsize.strategy.impl", "ParallelMaps".to_owned()),
        ("hadoop.tmp.dir", scratch.display().to_string()),
        ("fs.azure.abfs.endpoint", site.storage_address()?),
        ("fs.azure.always.use.https", "false".to_owned()),
        ("fs.azure.account.hns.enabled", "true".to_owned()),
        ("fs.azure.account.auth.type", "SharedKey".to_owned()),
        (&*format!("fs.azure.account.key.{host}"), site.key.clone()),
    ]
    .map(|(name, value)| format!("<property><name>{name}</name><value>{value}</value></property>\n"));
    // In a file, because others can see a command line.
    let file = scratch.join("distcp.xml");
    std::fs::write(&file, format!("<configuration>\n{}</configuration>\n", settings.concat()))?;
    let mut command = Command::new("java");
    command
        .arg(HEAP)
        .arg(format!("@{}", variable("LIVEDATA_DISTCP")?))
        .arg("org.apache.hadoop.tools.DistCp")
        .arg("-conf")
        .arg(&file)
        .args(["-m", &streams])
        .arg(format!("{}{}", cluster.uri(), job.lake.path()))
        .arg(format!("abfs://{}@{host}/{}", job.container, job.directory()))
        .env("HADOOP_USER_NAME", job.name);
    process::measured(&mut command, &job.setting.log(job.name)).await
}
