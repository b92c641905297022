//! How long a change takes to the target while 2,000 a second are made, 50 of them files with content.
//!
//! Files and directories are made in a folder of probes, and the target is listed every few milliseconds until they show,
//! the files with their whole length. The time is from the source's answer; its resolution is a listing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use livedata_adls::{Filesystem, ListOptions};
use livedata_filesystem::{ErrorKind, TargetPath};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::Plan;
use super::changes::Changes;
use super::live::Live;
use crate::machine::{self, Watch};
use crate::setting::Setting;
use crate::{movers, process};

const PER_SECOND: u64 = 2_000;
const FULL_SECONDS: u64 = 60;
/// A second: as many files as directories.
const PROBES: u64 = 50;
const PROBE_BYTES: u64 = 4 << 10;
const LIST_EVERY: Duration = Duration::from_millis(10);
/// After the last change; what does not show by then never does.
const DRAIN: Duration = Duration::from_secs(120);

/// Made and not seen at the target yet: by folder of a second, name and when the source had it.
type Waiting = Arc<Mutex<BTreeMap<u64, HashMap<String, Instant>>>>;

pub async fn run(plan: &Plan, setting: &Setting) -> Result<()> {
    let (path, seconds) = (format!("/bench/lag-{}", std::process::id()), plan.scaled(FULL_SECONDS, 3));
    println!(
        "\nlag: {PER_SECOND} changes/s for {seconds} s, {PROBES} files/s with content, {}",
        plan.scale()
    );
    let (cluster, servers) = (&setting.cluster, setting.servers());
    cluster.client().mkdirs(&format!("{path}/probes"), 0o755, true).await?;
    let live = Live::follow(setting, "lag", &cluster.uri(), &path).await?;
    live.until_caught_up(setting).await?;
    let pid = live.agent.process.pid();
    let ours = [servers, vec![pid]].concat();
    machine::settle(&ours).await;
    machine::ensure_quiet(&ours, plan.force).await?;

    let target = setting.site.container(&live.container)?;
    let (watch, cpu, begun) = (Watch::start(&ours), process::cpu_seconds(pid).unwrap_or(0.0), Instant::now());
    let before = setting.site.counters().await?;
    let waiting = Waiting::default();
    let others_changes =
        Changes::start(cluster, &path, PER_SECOND - 2 * PROBES, (PER_SECOND - 2 * PROBES) * seconds)?;
    let probed = async {
        probe(setting, &path, seconds, &waiting).await?;
        let made = others_changes.finish().await? + 2 * PROBES * seconds;
        Ok::<_, anyhow::Error>((made, begun.elapsed()))
    };
    let seen = see(&target, path.trim_start_matches('/'), &waiting, 2 * PROBES * seconds);
    let ((made, changing), mut seen) = tokio::try_join!(probed, seen)?;
    live.until_caught_up(setting).await?;
    let drained = begun.elapsed() - changing;
    seen.sort();
    let missing = 2 * PROBES * seconds - seen.len() as u64;
    let at = |share: f64| {
        seen.get(((seen.len() as f64 - 1.0) * share) as usize).map_or(f64::NAN, Duration::as_secs_f64)
    };
    let sent = setting.site.counters().await?.since(&before);
    let others = watch.others(0.0);
    println!(
        "  {:.0} changes/s made; lag p50 {:.3} s, p99 {:.3} s, most {:.3} s of {} probes, {missing} not seen within {} s",
        made as f64 / changing.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        seen.len(),
        DRAIN.as_secs()
    );
    println!(
        "  caught up {:.1} s after the last change; {:.2} writes at the target and {:.2} ms of the agent's CPU per change, agent at most {:.1} MB{}",
        drained.as_secs_f64(),
        sent.writes() as f64 / made as f64,
        (process::cpu_seconds(pid).unwrap_or(0.0) - cpu) * 1e3 / made as f64,
        process::peak_bytes(pid).unwrap_or(0) as f64 / 1e6,
        machine::mark(others)
    );
    setting.site.remove_agent(live.agent).await?;
    movers::clear(&target).await?;
    cluster.client().delete(&path, true).await?;
    ensure!(plan.force || machine::is_quiet(others), "others worked on this machine meanwhile");
    Ok(())
}

/// Makes the probes, each second's in a folder of its own, so that listings stay short.
async fn probe(setting: &Setting, path: &str, seconds: u64, waiting: &Waiting) -> Result<()> {
    let mut tick = interval(Duration::from_secs_f64(1.0 / PROBES as f64));
    let mut under_way = JoinSet::new();
    for number in 0..PROBES * seconds {
        tick.tick().await;
        let (second, waiting, cluster) = (number / PROBES, Arc::clone(waiting), setting.cluster.clone());
        let folder = format!("{path}/probes/s{second}");
        under_way.spawn(async move {
            let (file, directory) = (format!("f{number}"), format!("d{number}"));
            let wait = |name: &str| {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.entry(second).or_default().insert(name.to_owned(), Instant::now());
            };
            cluster.client().mkdirs(&format!("{folder}/{directory}"), 0o755, true).await?;
            wait(&directory);
            cluster.write(&format!("{folder}/{file}"), PROBE_BYTES, number).await?;
            wait(&file);
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

/// Lists until all were seen, or patience is at its end; how long each took.
async fn see(target: &Filesystem, path: &str, waiting: &Waiting, all: u64) -> Result<Vec<Duration>> {
    let (mut took, mut last_news) = (Vec::new(), Instant::now());
    while (took.len() as u64) < all && last_news.elapsed() < DRAIN {
        let seconds: Vec<u64> =
            waiting.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        for second in seconds {
            let folder = TargetPath::new(&format!("{path}/probes/s{second}"));
            let mut listing = target.list(&folder, ListOptions::default());
            let page = match listing.next_page().await {
                Ok(page) => page.unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Gone => continue,
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(names) = waiting.get_mut(&second) else { continue };
            for entry in page.iter().filter(|entry| entry.is_directory || entry.length_bytes == PROBE_BYTES) {
                let name = entry.path.as_str().rsplit('/').next().unwrap_or_default();
                if let Some(since) = names.remove(name) {
                    took.push(now - since);
                    last_news = now;
                }
            }
            if names.is_empty() {
                waiting.remove(&second);
            }
        }
        sleep(LIST_EVERY).await;
    }
    Ok(took)
}
