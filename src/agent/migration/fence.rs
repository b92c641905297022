//! Only one agent at a time publishes (invariant I6): the target itself keeps out the one before.
//!
//! Whatever an agent publishes it renames out of its staging folder, which is named by its coordinator epoch. The agent of
//! a later epoch moves the folders of all earlier ones away before it begins, and puts a file in their place, below which
//! nothing can be made. So an agent that does not know yet that it was replaced can stage nothing any more, and what it had
//! staged is not where it looks for it. What it may still do is to move and remove what is at its place already, under the
//! condition that it is what it believes; the new agent finds that as drift.

use livedata_filesystem::{Attributes, Condition, ErrorKind, Result, Target, TargetPath};
use tokio::sync::watch;

use super::patience::{Side, persist};
use super::view::View;

/// How often a folder may come back between its removal and the file in its place.
const TRIES: u32 = 20;

/// Ends the publications of all epochs before `epoch` (they count from 1). `staging` holds a folder for each.
pub async fn revoke_before(
    epoch: u64,
    target: &dyn Target,
    staging: &TargetPath,
    views: &watch::Sender<View>,
) -> Result<()> {
    for earlier in 1..epoch {
        revoke(earlier, target, staging, views).await?;
    }
    Ok(())
}

async fn revoke(
    epoch: u64,
    target: &dyn Target,
    staging: &TargetPath,
    views: &watch::Sender<View>,
) -> Result<()> {
    let folder = staging.join(&epoch.to_string());
    let mut tries = 0;
    loop {
        tries += 1;
        let there = persist(views, Side::Target, || target.properties(&folder)).await?;
        match there {
            Some(there) if !there.is_directory => return Ok(()),
            Some(_) => {
                let away = staging.join(&format!("revoked-{epoch}-{}", uuid::Uuid::new_v4().simple()));
                let moved =
                    persist(views, Side::Target, || target.rename(&folder, &away, &Condition::Absent, None));
                match moved.await {
                    Err(error) if error.kind() != ErrorKind::Gone => return Err(error),
                    _ => tracing::info!(
                        epoch,
                        "an earlier agent of this migrator can publish nothing any more"
                    ),
                }
                // It is in nobody's way.
                let _ = target.delete(&away, true, &Condition::Any).await;
            }
            None => {}
        }
        let plain = Attributes::default();
        let put = persist(views, Side::Target, || target.create_file(&folder, &plain, &Condition::Absent));
        match put.await {
            Ok(_) => return Ok(()),
            // The earlier agent has made its folder again.
            Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}
