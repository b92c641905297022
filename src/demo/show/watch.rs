//! Looks at what was created, through ARM, until it is as wanted.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::progress::{Figures, Progress};
use super::{Error, Processes, step};
use crate::arm_client::ArmClient;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What goes away by itself within this time is not worth a word.
const QUIET_FOR: Duration = Duration::from_secs(5);
/// How long the lag has to be nothing, and nothing new to come: what ARM shows is older than a second at times, and what
/// happened at the source in that second would be missing in it.
const STILL_FOR: Duration = Duration::from_secs(3);
/// From the last change at the source until all of it is at the target.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(180);

/// Looks at a resource until its status is as wanted. What keeps it from becoming so is said as it appears.
pub async fn wait(
    arm: &ArmClient,
    id: &str,
    processes: &mut Processes,
    mut wanted: impl FnMut(&Value) -> bool,
) -> Result<Value, Error> {
    let mut said = Complaints::new();
    loop {
        let status = status(arm, id).await?;
        if wanted(&status) {
            return Ok(status);
        }
        processes.check().await?;
        if let Some(trouble) = said.new_trouble(&status) {
            step("waiting", &trouble);
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn status(arm: &ArmClient, id: &str) -> Result<Value, Error> {
    Ok(arm.get(id).await?["properties"]["status"].take())
}

/// A migration that is under way, on a terminal.
pub struct Watch<'a> {
    arm: &'a ArmClient,
    migration: &'a str,
    progress: Progress,
    said: Complaints,
}

impl<'a> Watch<'a> {
    pub fn begin(arm: &'a ArmClient, migration: &'a str) -> Self {
        Self { arm, migration, progress: Progress::begin(), said: Complaints::new() }
    }

    /// One look; a migration that has come to nothing is an error.
    async fn look(&mut self, processes: &mut Processes) -> Result<Value, Error> {
        let status = status(self.arm, self.migration).await?;
        let changes = processes.churner.as_ref().map(|churner| churner.changes());
        self.progress.show(Figures::of(&status), changes);
        if let Some(state @ ("Failed" | "Stopped")) = status["state"].as_str() {
            let reason = status["lastError"].as_str().unwrap_or("no reason was given").to_owned();
            return Err(Error::Migration { state: state.to_owned(), reason });
        }
        processes.check().await?;
        if let Some(trouble) = self.said.new_trouble(&status) {
            self.say("waiting", &trouble);
        }
        Ok(status)
    }

    /// Until it is `Completed`, or `Live`.
    pub async fn until_copied(&mut self, state: &str, processes: &mut Processes) -> Result<Value, Error> {
        loop {
            let status = self.look(processes).await?;
            if status["state"] == state {
                return Ok(status);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    pub async fn for_a_while(&mut self, while_: Duration, processes: &mut Processes) -> Result<(), Error> {
        self.progress.is_live();
        let until = Instant::now() + while_;
        while Instant::now() < until {
            self.look(processes).await?;
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Until everything that happened at the source, where nothing happens any more, is at the target. Also how long that
    /// took.
    pub async fn until_caught_up(&mut self, processes: &mut Processes) -> Result<(Value, Duration), Error> {
        self.progress.is_live();
        let started = Instant::now();
        let (mut still_since, mut last) = (started, Value::Null);
        loop {
            let status = self.look(processes).await?;
            let is_there = status["state"] == "Live" && status["lag"]["transactions"] == 0;
            if !is_there || status["lag"] != last["lag"] {
                still_since = Instant::now();
            }
            if is_there && still_since.elapsed() >= STILL_FOR {
                return Ok((status, still_since - started));
            }
            if started.elapsed() > CAUGHT_UP_WITHIN {
                return Err(Error::NotCaughtUp {
                    seconds: CAUGHT_UP_WITHIN.as_secs(),
                    missing: missing(&status),
                });
            }
            last = status;
            sleep(LOOK_EVERY).await;
        }
    }

    pub fn say(&self, name: &str, what: &str) {
        self.progress.beside(|| step(name, what));
    }

    pub fn end(self) {
        self.progress.end();
    }
}

/// What keeps a migration from having caught up.
fn missing(status: &Value) -> String {
    let mut text = format!("its state is {}", status["state"].as_str().unwrap_or("unknown"));
    let lag = |name: &str| status["lag"][name].as_u64();
    match (lag("transactions"), lag("seconds")) {
        (Some(0), _) => {}
        (Some(transactions), seconds) => text.push_str(&format!(
            ", {transactions} transactions are not at the target yet, the oldest for {} s",
            seconds.unwrap_or_default()
        )),
        (None, _) => text.push_str(", its lag is not known"),
    }
    if let Some(trouble) = trouble_of(status) {
        text.push_str(&format!("; {trouble}"));
    }
    if let Some(error) = status["lastError"].as_str() {
        text.push_str(&format!("; last error: {error}"));
    }
    text
}

/// What was said already is not said again.
struct Complaints {
    since: Instant,
    last: Option<String>,
}

impl Complaints {
    fn new() -> Self {
        Self { since: Instant::now(), last: None }
    }

    fn new_trouble(&mut self, status: &Value) -> Option<String> {
        let trouble = trouble_of(status).filter(|_| self.since.elapsed() > QUIET_FOR)?;
        if self.last.as_ref() == Some(&trouble) {
            return None;
        }
        self.last = Some(trouble.clone());
        Some(trouble)
    }
}

/// Conditions of a migration with which all is well.
const NOT_IN_THE_WAY: [&str; 6] =
    ["Scanning", "Rescanning", "CatchingUp", "BandwidthLimited", "OwnerUnmapped", "PreflightWarning"];

/// The first condition that is in the way.
fn trouble_of(status: &Value) -> Option<String> {
    let mut conditions = status["conditions"].as_array()?.iter();
    let is_fine = |kind: &Value| NOT_IN_THE_WAY.iter().any(|known| kind == known);
    let bad = |condition: &&Value| condition["status"] == "True" && !is_fine(&condition["type"]);
    let condition = conditions.find(bad)?;
    let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
    Some(format!("{}: {}", text("type"), text("message")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_is_missing() {
        let held = json!({"type": "DeletesHeld", "status": "True", "message": "7 deletions wait"});
        let scanning = json!({"type": "Rescanning", "status": "True", "message": "all"});
        let unmapped = json!({"type": "OwnerUnmapped", "status": "True", "message": "3 users"});
        let status = json!({"state": "Live", "lag": {"transactions": 17, "seconds": 30, "watermark": 5},
            "conditions": [scanning, unmapped, held], "lastError": "/a: denied"});
        assert_eq!(
            missing(&status),
            "its state is Live, 17 transactions are not at the target yet, the oldest for 30 s; DeletesHeld: 7 deletions \
             wait; last error: /a: denied"
        );
        assert_eq!(missing(&json!({"state": "Running"})), "its state is Running, its lag is not known");
    }
}
