//! How fast the agent's client lists HDFS, and whether its memory grows with the tree.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{LISTINGS, Plan};
use crate::machine::{self, Watch};
use crate::process;
use crate::setting::Setting;

pub async fn run(plan: &Plan, setting: &Setting) -> Result<()> {
    let lake = plan.small_files();
    setting.cluster.provide(&lake).await?;
    let servers = setting.servers();
    machine::settle(&servers).await;
    machine::ensure_quiet(&servers, plan.force).await?;
    println!("\nscan: {} files, {LISTINGS} directories at a time, {}", lake.files, plan.scale());
    for round in 1..=plan.rounds {
        let log = setting.log(&format!("scan-{round}"));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", "scan", "--source", &setting.cluster.uri(), "--user", "scan"]).args([
            "--path",
            &lake.path(),
            "--listings",
            &LISTINGS.to_string(),
        ]);
        let watch = Watch::start(&servers);
        let taken = process::measured(&mut command, &log).await?;
        let others = watch.others(taken.cpu_seconds);
        let entries: u64 =
            std::fs::read_to_string(&log)?.trim().parse().context("the scan said no number")?;
        ensure!(entries == lake.files + lake.directories(), "{entries} entries were found");
        println!(
            "  {:.0} entries/s, {:.0} entries per CPU-second, {:.1} MB at most{}",
            entries as f64 / taken.elapsed.as_secs_f64(),
            entries as f64 / taken.cpu_seconds.max(0.01),
            taken.peak_bytes as f64 / 1e6,
            machine::mark(others)
        );
        ensure!(plan.force || machine::is_quiet(others), "others worked on this machine meanwhile");
    }
    Ok(())
}
