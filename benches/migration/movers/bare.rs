//! What the machine allows: the agent's own clients in a loop, without an engine, a journal, attributes or a second look.

use std::process::Command;

use anyhow::Result;

use super::Job;
use crate::process::{self, Taken};
use crate::worker::KEY;

pub async fn copy(job: &Job<'_>) -> Result<Taken> {
    let (site, cluster) = (&job.setting.site, &job.setting.cluster);
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["worker", "bare", "--source", &cluster.uri(), "--user", job.name, "--path", &job.lake.path()])
        .args(["--endpoint", &site.endpoint, "--container", job.container])
        .args(["--streams", &job.streams.to_string()])
        .env(KEY, &site.key);
    process::measured(&mut command, &job.setting.log(job.name)).await
}
