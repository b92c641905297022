//! Thousands of changes by several writers, followed while they happen.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::follower::{Follower, see};
use crate::local::feed::{FeedOptions, LocalFeed};

struct Writer {
    state: u64,
    inside: PathBuf,
    outside: PathBuf,
    held: Vec<File>,
}

impl Writer {
    /// SplitMix64.
    fn next(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    /// Few names, so that they meet again and again.
    fn name(&mut self) -> String {
        format!("n{}", self.next(6))
    }

    fn directory(&mut self) -> PathBuf {
        let mut at = self.inside.clone();
        for _ in 0..self.next(4) {
            let below = at.join(self.name());
            // Not through links, which lead outside.
            if fs::symlink_metadata(&below).is_ok_and(|found| found.is_dir()) {
                at = below;
            }
        }
        at
    }

    fn place(&mut self) -> PathBuf {
        let directory = self.directory();
        directory.join(self.name())
    }

    fn outside(&mut self) -> PathBuf {
        let name = self.name();
        self.outside.join(name)
    }

    /// What fails because of the other writers fails.
    fn change(&mut self) -> io::Result<()> {
        match self.next(20) {
            0..=3 => fs::write(self.place(), vec![b'x'; self.next(64) as usize]),
            4 => {
                let mut file = OpenOptions::new().append(true).open(self.place())?;
                file.write_all(b"appended")?;
                self.held.push(file);
                Ok(())
            }
            5 => {
                let index = self.next(4) as usize;
                self.held.get_mut(index).map_or(Ok(()), |file| file.write_all(b"held"))?;
                if self.held.len() > 4 {
                    self.held.remove(index);
                }
                Ok(())
            }
            6..=8 => fs::create_dir_all(self.place().join(self.name())),
            9 => {
                let place = self.place();
                match fs::symlink_metadata(&place)?.is_symlink() {
                    true => Ok(()),
                    false => fs::set_permissions(place, Permissions::from_mode(0o700 + self.next(8) as u32)),
                }
            }
            10..=13 => fs::rename(self.place(), self.place()),
            14 => {
                // While it is being filled.
                let (from, to) = (self.place(), self.place());
                fs::create_dir_all(from.join("filled/deep"))?;
                fs::write(from.join("filled/deep/one"), "1")?;
                fs::rename(&from, &to)?;
                fs::write(to.join("filled/deep/two"), "2")
            }
            15 => fs::remove_file(self.place()),
            16 => fs::remove_dir_all(self.place()),
            17 => fs::rename(self.place(), self.outside()),
            18 => {
                let (from, to) = (self.outside(), self.place());
                fs::create_dir_all(from.join("brought/along"))?;
                fs::rename(&from, &to)?;
                fs::write(to.join("brought/along/file"), "3")
            }
            _ => match self.next(3) {
                0 => Ok(renameat_with(CWD, self.place(), CWD, self.place(), RenameFlags::EXCHANGE)?),
                1 => {
                    let place = self.place();
                    symlink(&self.outside, place)
                }
                _ => {
                    // A new version of a file takes its name.
                    let place = self.place();
                    let new = place.with_extension("new");
                    fs::write(&new, "new version")?;
                    fs::rename(new, place)
                }
            },
        }
    }
}

async fn follow(seed: u64, writers: u64, changes: usize, options: FeedOptions) -> Follower {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    let feed = Arc::new(LocalFeed::start(inside.clone(), options).await.unwrap());
    let mut follower = Follower::new(&inside, &feed).await;
    let threads: Vec<_> = (0..writers)
        .map(|number| {
            let mut writer = Writer {
                state: seed * 1000 + number,
                inside: inside.clone(),
                outside: outside.clone(),
                held: Vec::new(),
            };
            std::thread::spawn(move || (0..changes).filter(|_| writer.change().is_ok()).count())
        })
        .collect();
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        follower.step(&feed).await;
        tokio::task::yield_now().await;
    }
    let done: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(done > changes * writers as usize / 5, "seed {seed}: only {done} changes worked");
    follower.catch_up(&feed).await;
    assert_same(&follower, &inside, seed).await;
    follower
}

async fn assert_same(follower: &Follower, root: &Path, seed: u64) {
    let (known, there) = (follower.known(), see(root).await);
    let wrong: Vec<_> = known
        .iter()
        .filter(|(path, state)| there.get(*path) != Some(state))
        .map(|(path, state)| format!("known {path:?}: {state:?}"))
        .chain(
            there
                .iter()
                .filter(|(path, state)| known.get(*path) != Some(state))
                .map(|(path, state)| format!("there {path:?}: {state:?}")),
        )
        .collect();
    assert!(wrong.is_empty(), "seed {seed}, {} gaps: {wrong:#?}", follower.gaps);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_knows_everything_in_the_end() {
    for seed in 1..=6 {
        let follower = follow(seed, 3, 1500, FeedOptions::default()).await;
        assert!(follower.events > 1000, "seed {seed}: {} events", follower.events);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn also_when_changes_are_lost() {
    let mut gaps = 0;
    for seed in 11..=13 {
        let options = FeedOptions { queue_changes: 40, ..FeedOptions::default() };
        gaps += follow(seed, 3, 1500, options).await.gaps;
    }
    assert!(gaps > 3, "{gaps} gaps");
}
