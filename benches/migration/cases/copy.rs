//! b1, b2, b3: one lake, copied by each mover in turn.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{Plan, STREAMS};
use crate::machine::{self, Watch};
use crate::movers::{self, Job, Kind};
use crate::process::Taken;
use crate::setting::cluster::Lake;
use crate::setting::{Setting, site::Counters};

struct Copied {
    mover: Kind,
    taken: Taken,
    asked: BTreeMap<String, u64>,
    requests: Counters,
    others: f64,
}

impl Copied {
    fn per_second(&self, amount: u64) -> f64 {
        amount as f64 / self.taken.elapsed.as_secs_f64()
    }

    fn per_cpu_second(&self, amount: u64) -> f64 {
        amount as f64 / self.taken.cpu_seconds.max(0.01)
    }

    fn asked(&self) -> u64 {
        self.asked.values().sum()
    }
}

/// A lake that is kept serves the next run too; large ones would fill the disk.
pub async fn run(plan: &Plan, setting: &Setting, lake: &Lake, keep: bool) -> Result<()> {
    // Once as the source and once at the target of the moment, with room for what clears up late.
    machine::ensure_room(setting.folder(), 2 * lake.bytes() + (4 << 30))?;
    setting.cluster.provide(lake).await?;
    println!(
        "\n{}: {} files of {} bytes, {STREAMS} streams, {}",
        lake.name,
        lake.files,
        lake.file_bytes,
        plan.scale()
    );
    println!("  {}", heading());
    let mut all = Vec::new();
    for round in 1..=plan.rounds {
        for mover in &plan.movers {
            let copied = one(plan, setting, lake, *mover, round).await?;
            println!("  {}", line(&copied, lake));
            all.push(copied);
        }
    }
    details(&all, lake);
    let quiet = all.iter().all(|copied| machine::is_quiet(copied.others));
    ensure!(quiet || plan.force, "others worked on this machine meanwhile: no ratios; see the marked lines");
    ratios(&all, lake);
    if !keep {
        setting.cluster.remove(lake).await?;
    }
    Ok(())
}

async fn one(plan: &Plan, setting: &Setting, lake: &Lake, mover: Kind, round: usize) -> Result<Copied> {
    let name = format!("{}-{}-{round}", mover.name(), lake.name);
    let container = setting.site.container(&name)?;
    container.create_filesystem().await?;
    let job = Job { setting, lake, container: &name, name: &name, streams: STREAMS, profile: plan.profile };
    let servers = setting.servers();
    machine::settle(&servers).await;
    machine::ensure_quiet(&servers, plan.force).await?;
    let (audited, before) = (setting.cluster.audited()?, setting.site.counters().await?);
    let watch = Watch::start(&servers);
    let taken = mover.copy(&job).await?;
    let others = watch.others(taken.cpu_seconds);
    let requests = setting.site.counters().await?.since(&before);
    let asked = setting.cluster.asked_by(&name, audited)?;
    movers::check_arrived(&container, &job).await?;
    movers::clear(&container).await?;
    Ok(Copied { mover, taken, asked, requests, others })
}

fn heading() -> String {
    format!(
        "{:<10}{:>9}{:>11}{:>9}{:>13}{:>9}{:>11}{:>12}{:>10}",
        "mover", "seconds", "files/s", "MB/s", "files/CPU-s", "CPU-s", "peak MB", "calls/file", "req./file"
    )
}

fn line(copied: &Copied, lake: &Lake) -> String {
    let files = lake.files as f64;
    format!(
        "{:<10}{:>9.2}{:>11.0}{:>9.1}{:>13.0}{:>9.2}{:>11.1}{:>12.2}{:>10.2}{}",
        copied.mover.name(),
        copied.taken.elapsed.as_secs_f64(),
        copied.per_second(lake.files),
        copied.per_second(lake.bytes()) / 1e6,
        copied.per_cpu_second(lake.files),
        copied.taken.cpu_seconds,
        copied.taken.peak_bytes as f64 / 1e6,
        copied.asked() as f64 / files,
        copied.requests.total() as f64 / files,
        machine::mark(copied.others)
    )
}

/// Calls and requests by kind, of the last round.
fn details(all: &[Copied], lake: &Lake) {
    let last: BTreeMap<Kind, &Copied> = all.iter().map(|copied| (copied.mover, copied)).collect();
    println!("  calls of the NameNode and requests at the target, per file:");
    for (mover, copied) in last {
        let shares = |counts: &BTreeMap<String, u64>| {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by(|a, b| b.1.cmp(a.1));
            let share =
                |(name, count): &(&String, &u64)| format!("{name} {:.2}", **count as f64 / lake.files as f64);
            counts.iter().map(share).collect::<Vec<_>>().join(", ")
        };
        println!("  {:<10}{}; {}", mover.name(), shares(&copied.asked), shares(&copied.requests.requests));
    }
}

/// What the budgets are about: our median against each other one's.
fn ratios(all: &[Copied], lake: &Lake) {
    let median = |mover: Kind, of: &dyn Fn(&Copied) -> f64| {
        let mut values: Vec<f64> = all.iter().filter(|copied| copied.mover == mover).map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let speed = |copied: &Copied| copied.per_second(lake.files);
    let thrift = |copied: &Copied| copied.per_cpu_second(lake.files);
    let (Some(fast), Some(thrifty)) = (median(Kind::Livedata, &speed), median(Kind::Livedata, &thrift))
    else {
        return;
    };
    for other in [Kind::Bare, Kind::Distcp, Kind::Rclone] {
        if let (Some(its_speed), Some(its_thrift)) = (median(other, &speed), median(other, &thrift)) {
            println!(
                "  livedata / {:<8} speed {:.2}x, per CPU-second {:.2}x",
                other.name(),
                fast / its_speed,
                thrifty / its_thrift
            );
        }
    }
}
