//! Our agent. It is installed and connected before the clock starts, which is what an operator has when saying `start`;
//! its CPU time is that of the process from there to the end of the run.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::Job;
use super::profile::Profile;
use crate::process::{self, Taken};

/// The state follows the end of the run within a report.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn copy(job: &Job<'_>) -> Result<Taken> {
    let (site, cluster) = (&job.setting.site, &job.setting.cluster);
    let agent = site.install_agent(job.name, &cluster.uri(), job.container, job.name).await?;
    let migration = site.make_migration(&agent, &job.lake.path(), "OneTime").await?;
    let pid = agent.process.pid();
    let profile = if job.profile { Some(Profile::start(job, pid)?) } else { None };
    let (begun, cpu) = (Instant::now(), process::cpu_seconds(pid).unwrap_or(0.0));
    site.arm().post(&format!("{migration}/start")).await?;
    // Its log tells at once what its state tells with the next report.
    agent.process.until_said("the run is complete").await?;
    let taken = Taken {
        elapsed: begun.elapsed(),
        cpu_seconds: process::cpu_seconds(pid).unwrap_or(0.0) - cpu,
        peak_bytes: process::peak_bytes(pid).unwrap_or(0),
    };
    if let Some(profile) = profile {
        profile.show()?;
    }
    let status = site.wait(&migration, PATIENCE, |status| status["state"] == "Completed").await?;
    ensure!(status["progress"]["filesFailed"] == 0, "files failed: {status:#}");
    site.remove_agent(agent).await?;
    Ok(taken)
}
