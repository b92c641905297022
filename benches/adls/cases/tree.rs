//! One directory with very many files in it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Plan, measured};
use crate::emulator::{Emulator, Storage};
use crate::loader::{self, Exchange};
use crate::machine;
use crate::signed::Signer;
use crate::table::{Row, Table};

const ENTRIES: u64 = 1_000_000;
/// Requests that are written before the clock starts, to stop and write the next ones.
const AT_ONCE: u64 = 100_000;
const RENAMES: usize = 11;

pub async fn run(plan: &Plan, storage: Storage, table: &mut Table) -> Result<()> {
    let entries = plan.scaled(ENTRIES);
    let emulator = &plan.emulator(storage).await?;
    let signer = Signer::new(emulator);
    loader::ask(emulator, &signer.request("PUT", "lake?resource=filesystem", &[], 0), &[], 201)?;
    loader::ask(emulator, &signer.request("PUT", "lake/tree?resource=directory", &[], 0), &[], 201)?;
    make(plan, emulator, &signer, table, entries)?;
    // What the index still writes out is not the listing's.
    machine::settle(&[emulator.pid()]).await;
    let (memory, index) = (emulator.memory_bytes(), emulator.index_bytes());
    let what = format!("memory after {entries} files, beside an index of {} MB", index / 1_000_000);
    table.add(Row::bare("tree", emulator.storage, what, format!("{} MB", memory / 1_000_000)));
    list(plan, emulator, &signer, table, entries)?;
    rename(plan, emulator, &signer, table, entries)
}

fn make(plan: &Plan, emulator: &Emulator, signer: &Signer, table: &mut Table, entries: u64) -> Result<()> {
    let (mut elapsed, mut total) = (Duration::ZERO, None);
    for first in (0..entries).step_by(AT_ONCE as usize) {
        let mut lanes: Vec<Vec<Exchange<'_>>> = (0..plan.connections).map(|_| Vec::new()).collect();
        for file in first..entries.min(first + AT_ONCE) {
            let request = signer.request("PUT", &format!("lake/tree/f{file:07}?resource=file"), &[], 0);
            lanes[file as usize % plan.connections].push(Exchange { request, body: &[], status: 201 });
        }
        let taken = measured(plan, emulator, || loader::run(emulator, &lanes, 1))?;
        elapsed += taken.elapsed;
        total = Some(taken.after(total));
    }
    let taken = total.context("nothing was made")?;
    let figure = format!("{:.0} creates/s", entries as f64 / elapsed.as_secs_f64());
    let what = format!("{entries} creates in one directory, {} connections", plan.connections);
    table.add(Row::new("tree", emulator.storage, what, figure, entries, "create", &taken));
    Ok(())
}

fn list(plan: &Plan, emulator: &Emulator, signer: &Signer, table: &mut Table, entries: u64) -> Result<()> {
    let mut found = 0;
    let taken = measured(plan, emulator, || {
        let mut continuation: Option<String> = None;
        loop {
            let token = continuation.map_or(String::new(), |token| format!("&continuation={token}"));
            let target =
                format!("lake?resource=filesystem&recursive=true&directory=tree&maxResults=5000{token}");
            let reply = loader::ask(emulator, &signer.request("GET", &target, &[], 0), &[], 200)?;
            // One object around all, and one each; no name has a brace.
            found += reply.body.iter().filter(|byte| **byte == b'{').count() as u64 - 1;
            continuation = reply.header("x-ms-continuation").map(str::to_owned);
            if continuation.is_none() {
                return Ok(());
            }
        }
    })?;
    ensure!(found == entries, "the listing has {found} of {entries} entries");
    let figure = format!("{:.0} entries/s", entries as f64 / taken.elapsed.as_secs_f64());
    let what = format!("{entries} entries listed, 5000 a page");
    table.add(Row::new("tree", emulator.storage, what, figure, entries, "entry", &taken));
    Ok(())
}

fn rename(plan: &Plan, emulator: &Emulator, signer: &Signer, table: &mut Table, entries: u64) -> Result<()> {
    let mut times = Vec::new();
    let taken = measured(plan, emulator, || {
        for time in 0..RENAMES {
            let (from, to) = if time % 2 == 0 { ("tree", "moved") } else { ("moved", "tree") };
            let source = format!("/lake/{from}");
            let request = signer.request("PUT", &format!("lake/{to}"), &[("x-ms-rename-source", &source)], 0);
            let begun = Instant::now();
            loader::ask(emulator, &request, &[], 201)?;
            times.push(begun.elapsed());
        }
        Ok(())
    })?;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let figure =
        format!("{:.2} ms (median), {:.2} ms (most)", ms(times[RENAMES / 2]), ms(times[RENAMES - 1]));
    let what = format!("{RENAMES} renames of the directory of {entries}");
    table.add(Row::new("tree", emulator.storage, what, figure, RENAMES as u64, "rename", &taken));
    Ok(())
}
