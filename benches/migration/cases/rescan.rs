//! A migration of the tree of b1 that has caught up looks at everything again, as after a loss of events: how fast, and that
//! nothing is sent. Its journal is weighed on the way.
//!
//! The operator's action `rescan` puts the known directories on the same list as a gap does, so it stands for one here. It
//! is over when the agent reports so, which it does twice a second.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::Plan;
use super::live::{self, Live};
use crate::machine::{self, Watch};
use crate::setting::Setting;
use crate::{movers, process};

const BEGIN_WITHIN: Duration = Duration::from_secs(30);

pub async fn run(plan: &Plan, setting: &Setting) -> Result<()> {
    let lake = plan.small_files();
    setting.cluster.provide(&lake).await?;
    println!("\nrescan and journal: {} files of {} bytes, {}", lake.files, lake.file_bytes, plan.scale());
    let (site, servers) = (&setting.site, setting.servers());
    let live = Live::follow(setting, "rescan", &setting.cluster.uri(), &lake.path()).await?;
    let status = live.until_caught_up(setting).await?;
    let migrated = status["progress"]["filesMigrated"].as_u64().unwrap_or(0);
    ensure!(migrated == lake.files, "{migrated} files were migrated: {status:#}");
    let bytes = journal_bytes(&live.agent.folder)?;
    println!(
        "  journal: {:.1} MB, {:.0} MB per million files",
        bytes as f64 / 1e6,
        bytes as f64 / lake.files as f64
    );

    machine::settle(&servers).await;
    machine::ensure_quiet(&[servers.clone(), vec![live.agent.process.pid()]].concat(), plan.force).await?;
    for _ in 0..plan.rounds {
        let pid = live.agent.process.pid();
        let (before, audited) = (site.counters().await?, setting.cluster.audited()?);
        let watch = Watch::start(&[servers.clone(), vec![pid]].concat());
        let (begun, cpu) = (Instant::now(), process::cpu_seconds(pid).context("the agent is gone")?);
        site.arm().post(&format!("{}/rescan", live.migration)).await?;
        let begins = |status: &Value| !live::is_caught_up(status);
        site.wait(&live.migration, BEGIN_WITHIN, begins)
            .await
            .context("the rescan was never seen to begin")?;
        live.until_caught_up(setting).await?;
        let elapsed = begun.elapsed().as_secs_f64();
        let cpu = process::cpu_seconds(pid).context("the agent is gone")? - cpu;
        let others = watch.others(0.0);
        let (sent, asked) = (
            site.counters().await?.since(&before),
            setting.cluster.asked_by(setting.cluster.superuser_name(), audited)?,
        );
        let files = lake.files as f64;
        println!(
            "  rescan: {:.0} files/s, {:.0} files per CPU-second, {} bytes sent, {} writes and {} reads at the target, {:.2} NameNode calls/file ({}), agent at most {:.1} MB{}",
            files / elapsed,
            files / cpu.max(0.01),
            sent.ingress_bytes,
            sent.writes(),
            sent.total() - sent.writes(),
            asked.values().sum::<u64>() as f64 / files,
            asked.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "),
            process::peak_bytes(pid).unwrap_or(0) as f64 / 1e6,
            machine::mark(others)
        );
        ensure!(plan.force || machine::is_quiet(others), "others worked on this machine meanwhile");
    }
    site.remove_agent(live.agent).await?;
    movers::clear(&site.container(&live.container)?).await
}

/// Of the migration: the file and what of it has not been written back yet. The journal of events is not part of it.
fn journal_bytes(agent: &Path) -> Result<u64> {
    let (mut bytes, mut folders) = (0, vec![agent.join("migrations")]);
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with("journal.db") {
                bytes += entry.metadata()?.len();
            }
        }
    }
    ensure!(bytes > 0, "there is no journal in {}", agent.display());
    Ok(bytes)
}
