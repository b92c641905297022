//! Where downloads and build results live: outside every clone, so that a fresh clone finds them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command;

/// What a run from empty caches takes, with room to spare.
const NEEDED_BYTES: u64 = 8_000_000_000;

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `LIVEDATA_CACHE`, or `livedata` in the user's cache folder.
pub fn directory() -> Result<PathBuf> {
    let user_cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("LIVEDATA_CACHE")
        .or_else(|| Some(user_cache()?.join("livedata")))
        .context("neither LIVEDATA_CACHE, XDG_CACHE_HOME nor HOME is set: name a cache folder")
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target` in the cache folder.
pub fn target_directory() -> Result<PathBuf> {
    match set("CARGO_TARGET_DIR") {
        Some(directory) => std::path::absolute(&directory).context("CARGO_TARGET_DIR is no path"),
        None => Ok(directory()?.join("target")),
    }
}

/// Fails early and clearly instead of late and in the middle of a link.
pub fn ensure_room(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let listing = command::output(command::new("df").args(["-P", "-k"]).arg(directory))?;
    let free_bytes =
        free_bytes(&listing).with_context(|| format!("df says something unexpected: {listing}"))?;
    ensure!(
        free_bytes >= NEEDED_BYTES,
        "only {:.1} GB are free in {}, {} GB are needed: make room, or set LIVEDATA_CACHE and CARGO_TARGET_DIR to another disk",
        free_bytes as f64 / 1e9,
        directory.display(),
        NEEDED_BYTES / 1_000_000_000
    );
    Ok(())
}

/// From the POSIX format of `df`: the fourth column of the second line, in KiB.
fn free_bytes(listing: &str) -> Option<u64> {
    let kib: u64 = listing.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::free_bytes;

    #[test]
    fn reads_what_is_free() {
        let listing = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 100 40 60 40% /\n";
        assert_eq!(free_bytes(listing), Some(60 * 1024));
        assert_eq!(free_bytes("df: no such file"), None);
    }
}
