//! How fast changes are read: from a NameNode of a few lines into the agent's journal of events, which shows what the
//! agent can do; and from the real one, which shows what a NameNode can.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use livedata_filesystem::ChangeFeed as _;
use livedata_hdfs::HdfsFeed;

use super::Plan;
use super::changes::Changes;
use super::live::Live;
use crate::machine::{self, Watch};
use crate::namenode::FakeNameNode;
use crate::process;
use crate::setting::Setting;

const EVENTS: u64 = 2_000_000;
/// What a NameNode gives at once: by default, and as its operators are told to set it
/// (`dfs.namenode.inotify.max.events.per.rpc`).
const PER_READ: [u64; 2] = [1_000, 100_000];
const CHANGES: u64 = 50_000;

pub async fn run(plan: &Plan, setting: &Setting) -> Result<()> {
    for per_read in PER_READ {
        fake(plan, setting, per_read).await?;
    }
    real(plan, setting).await
}

/// The agent follows a directory in which nothing happens; the events are about the rest of the cluster.
async fn fake(plan: &Plan, setting: &Setting, per_read: u64) -> Result<()> {
    let events = plan.scaled(EVENTS, per_read * 4) / if per_read == PER_READ[0] { 10 } else { 1 };
    let events = events.max(per_read * 4);
    let namenode = FakeNameNode::start(events, per_read).await?;
    let source = format!("hdfs://{}", namenode.address());
    let name = format!("events-{per_read}");
    let live = Live::follow(setting, &name, &source, namenode.directory()).await?;
    live.until_caught_up(setting).await?;
    let pid = live.agent.process.pid();
    let ours = [setting.servers(), vec![pid]].concat();
    machine::settle(&ours).await;
    machine::ensure_quiet(&ours, plan.force).await?;
    let (watch, cpu) = (Watch::start(&ours), process::cpu_seconds(pid).unwrap_or(0.0));
    // It has asked for what is after an event only when that event is in its journal.
    let elapsed = namenode.tell_all().await?;
    let others = watch.others(0.0);
    println!(
        "\nevents: {events} from a fake NameNode, {per_read} at once, {}: {:.0} events/s into the journal, {:.1} us of the agent's CPU each, agent at most {:.1} MB{}",
        plan.scale(),
        events as f64 / elapsed.as_secs_f64(),
        (process::cpu_seconds(pid).unwrap_or(0.0) - cpu) * 1e6 / events as f64,
        process::peak_bytes(pid).unwrap_or(0) as f64 / 1e6,
        machine::mark(others)
    );
    setting.site.remove_agent(live.agent).await?;
    ensure!(plan.force || machine::is_quiet(others), "others worked on this machine meanwhile");
    Ok(())
}

/// The agent's client alone, over changes that were made before.
async fn real(plan: &Plan, setting: &Setting) -> Result<()> {
    let cluster = &setting.cluster;
    let feed = HdfsFeed::connect(&cluster.url()?, cluster.superuser_name())?;
    let after = feed.position().await?;
    let path = format!("/bench/events-{}", std::process::id());
    let changes = Changes::start(cluster, &path, 0, plan.scaled(CHANGES, 1_000))?.finish().await?;
    let up_to = feed.position().await?;
    let servers = setting.servers();
    machine::settle(&servers).await;
    machine::ensure_quiet(&servers, plan.force).await?;
    let log = setting.log("feed");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["worker", "feed", "--source", &cluster.uri(), "--user", cluster.superuser_name()]).args([
        "--after",
        &after.0.to_string(),
        "--up-to",
        &up_to.0.to_string(),
    ]);
    let watch = Watch::start(&servers);
    let taken = process::measured(&mut command, &log).await?;
    let others = watch.others(taken.cpu_seconds);
    let events: u64 = std::fs::read_to_string(&log)?.trim().parse().context("the reader said no number")?;
    ensure!(events >= changes, "{events} events of {changes} changes were read");
    println!(
        "events: {events} from the real NameNode as it is by default, {}: {:.0} events/s, {:.1} us of the reader's CPU each{}",
        plan.scale(),
        events as f64 / taken.elapsed.as_secs_f64(),
        taken.cpu_seconds * 1e6 / events as f64,
        machine::mark(others)
    );
    cluster.client().delete(&path, true).await?;
    ensure!(plan.force || machine::is_quiet(others), "others worked on this machine meanwhile");
    Ok(())
}
