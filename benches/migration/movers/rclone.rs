//! rclone: its `hdfs` backend reads, its `azureblob` backend writes through the Blob endpoint.

use std::process::Command;

use anyhow::Result;

use super::Job;
use crate::process::{self, Taken};
use crate::setting::{site, variable};

pub async fn copy(job: &Job<'_>) -> Result<Taken> {
    let (site, cluster) = (&job.setting.site, &job.setting.cluster);
    let streams = job.streams.to_string();
    let mut command = Command::new(variable("LIVEDATA_RCLONE")?);
    command
        .arg("copy")
        .arg(format!("hdfs:{}", job.lake.path()))
        .arg(format!("azure:{}/{}", job.container, job.directory()))
        .args(["--transfers", &streams, "--checkers", &streams, "--stats", "0", "--log-level", "ERROR"])
        .args(["--config", "/dev/null"])
        .envs([
            ("RCLONE_CONFIG_HDFS_TYPE", "hdfs"),
            ("RCLONE_CONFIG_HDFS_NAMENODE", cluster.namenode()),
            ("RCLONE_CONFIG_HDFS_USERNAME", job.name),
            ("RCLONE_CONFIG_AZURE_TYPE", "azureblob"),
            ("RCLONE_CONFIG_AZURE_ACCOUNT", site::ACCOUNT),
            ("RCLONE_CONFIG_AZURE_KEY", &site.key),
            ("RCLONE_CONFIG_AZURE_ENDPOINT", &site.endpoint),
        ]);
    process::measured(&mut command, &job.setting.log(job.name)).await
}
