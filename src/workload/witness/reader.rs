//! Looks at everything that is new at the target, round after round.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::proof::{self, Proof, Voucher};
use crate::compare::{Error, TargetSide};

/// The most that the service lists at a time.
const PAGE: u32 = 5_000;
/// Directories of logs: what is in them vouches for what is in the directory above.
const LOGS: [&str; 3] = ["_delta_log", "metadata", ".hoodie"];
/// Between looks: whoever serves them has others to serve.
const PAUSE: Duration = Duration::from_millis(200);
/// More are counted and not kept.
const MOST_KEPT: usize = 20;

/// What was seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Witnessed {
    pub rounds: u64,
    /// Versions of files that were read.
    pub versions: u64,
    /// Files that were vouched for, looked at when what vouches was first seen.
    pub vouched: u64,
    pub violation_count: u64,
    /// The first ones.
    pub violations: Vec<String>,
}

impl fmt::Display for Witnessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, versions, vouched, violation_count, violations } = self;
        write!(
            f,
            "{rounds} looks at the target: {versions} versions read, {vouched} files vouched for, {violation_count} violations"
        )?;
        violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

pub struct Reader {
    target: TargetSide,
    /// Paths with etags that need not be read again.
    seen: HashSet<(String, String)>,
    witnessed: Witnessed,
}

impl Reader {
    /// Of a directory that [`write`](super::write) writes the source of.
    pub fn new(target: TargetSide) -> Self {
        Self { target, seen: HashSet::new(), witnessed: Witnessed::default() }
    }

    /// Until told to stop, and once more.
    pub async fn watch(mut self, stop: Arc<AtomicBool>) -> Result<Witnessed, Error> {
        loop {
            let last = stop.load(Ordering::Relaxed);
            self.look().await?;
            if last {
                return Ok(self.witnessed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        self.witnessed.rounds += 1;
        for (path, etag) in self.target.files(PAGE).await? {
            if !self.seen.insert((path.clone(), etag)) {
                continue;
            }
            let Some(content) = self.target.content(&path).await? else { continue };
            self.witnessed.versions += 1;
            match proof::check(&content) {
                Err(reason) => self.violation(format!("{path}: {reason}")),
                Ok(proof) => self.follow(&path, &content, &proof).await?,
            }
        }
        Ok(())
    }

    /// Everything that this file vouches for is there, now that it is.
    async fn follow(&mut self, path: &str, content: &[u8], proof: &Proof) -> Result<(), Error> {
        let table = table_of(path);
        for voucher in proof::vouchers(&proof.payload) {
            self.witnessed.vouched += 1;
            let place = format!("{table}{}", voucher.path);
            let found = self.target.content(&place).await?;
            let Some(wrong) = judge(&voucher, found.as_deref()) else { continue };
            // A table that moved away meanwhile has taken both with it; one that is replaced vouches for other files.
            if self.target.content(path).await?.as_deref() == Some(content) {
                self.violation(format!("{path} vouches for {place}, which {wrong}"));
            }
        }
        Ok(())
    }

    fn violation(&mut self, violation: String) {
        self.witnessed.violation_count += 1;
        if self.witnessed.violations.len() < MOST_KEPT {
            self.witnessed.violations.push(violation);
        }
    }
}

/// What is wrong with a file that is vouched for.
fn judge(voucher: &Voucher, found: Option<&[u8]>) -> Option<String> {
    let Some(content) = found else { return Some("is not there".to_owned()) };
    match proof::check(content) {
        Err(reason) => Some(format!("is no whole version: {reason}")),
        Ok(proof) if proof.identity != voucher.identity => Some("is another file".to_owned()),
        Ok(proof) if proof.version < voucher.version => {
            Some(format!("is of version {} and not {}", proof.version, voucher.version))
        }
        Ok(_) => None,
    }
}

/// The directory, with a slash behind it, that a vouching file's paths are below.
fn table_of(path: &str) -> &str {
    let above = |path: &str| path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    let directory = &path[..above(path)];
    let name = &directory[above(directory)..];
    if LOGS.contains(&name.trim_end_matches('/')) { &directory[..above(directory)] } else { directory }
}
