//! One large file.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use livedata_filesystem::{Attributes, Condition, Flush, Target as _, TargetPath};

use super::{Plan, measured};
use crate::client;
use crate::emulator::{Emulator, Storage};
use crate::loader::{self, Exchange};
use crate::signed::Signer;
use crate::table::{Row, Table};

const FILE_BYTES: u64 = 8 << 30;
const PIECE_BYTES: usize = 8 << 20;
const CONNECTIONS: usize = 4;

/// By the loader, then by our client, on an emulator of its own.
pub async fn run(plan: &Plan, storage: Storage, table: &mut Table) -> Result<()> {
    let most = raw(plan, &plan.emulator(storage).await?, table)?;
    ours(plan, &plan.emulator(storage).await?, most, table).await
}

/// Megabytes a second.
fn raw(plan: &Plan, emulator: &Emulator, table: &mut Table) -> Result<f64> {
    let pieces = plan.scaled(FILE_BYTES / PIECE_BYTES as u64);
    let bytes = pieces * PIECE_BYTES as u64;
    let signer = Signer::new(emulator);
    loader::ask(emulator, &signer.request("PUT", "lake?resource=filesystem", &[], 0), &[], 201)?;
    loader::ask(emulator, &signer.request("PUT", "lake/large?resource=file", &[], 0), &[], 201)?;
    let content: Vec<u8> = (0..PIECE_BYTES).map(|at| (at % 251) as u8).collect();
    let mut lanes: Vec<Vec<Exchange<'_>>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for piece in 0..pieces {
        let target = format!("lake/large?action=append&position={}", piece * PIECE_BYTES as u64);
        let request = signer.request("PATCH", &target, &[], PIECE_BYTES);
        lanes[piece as usize % CONNECTIONS].push(Exchange { request, body: &content, status: 202 });
    }
    let flush = signer.request("PATCH", &format!("lake/large?action=flush&position={bytes}"), &[], 0);
    let taken = measured(plan, emulator, || {
        loader::run(emulator, &lanes, CONNECTIONS)?;
        loader::ask(emulator, &flush, &[], 200).map(drop)
    })?;
    let rate = bytes as f64 / 1e6 / taken.elapsed.as_secs_f64();
    let figure = format!("{rate:.0} MB/s");
    let what = format!("1 file of {} MiB, {CONNECTIONS} connections", bytes >> 20);
    table.add(Row::new("large", emulator.storage, what, figure, bytes >> 20, "MiB", &taken));
    check(emulator, bytes)?;
    Ok(rate)
}

/// `most`: megabytes a second that the loader reached.
async fn ours(plan: &Plan, emulator: &Emulator, most: f64, table: &mut Table) -> Result<()> {
    let pieces = plan.scaled(FILE_BYTES / PIECE_BYTES as u64);
    let bytes = pieces * PIECE_BYTES as u64;
    let target = client::open(emulator, "lake", None).await?;
    let path = TargetPath::new("large");
    target.create_file(&path, &Attributes::default(), &Condition::Absent).await?;
    let content = Bytes::from(vec![7; PIECE_BYTES]);
    let append = |piece| client::append(Arc::clone(&target), path.clone(), piece, content.clone());
    let work = async {
        client::spread(pieces, CONNECTIONS, append).await?;
        target.flush(&path, bytes, Flush::Complete).await?;
        Ok(())
    };
    let taken = measured(plan, emulator, || client::wait(work))?;
    let rate = bytes as f64 / 1e6 / taken.elapsed.as_secs_f64();
    let figure = format!("{rate:.0} MB/s, {:.2} of the loader's", rate / most);
    let what = format!("1 file of {} MiB, our client, {CONNECTIONS} at once", bytes >> 20);
    table.add(Row::new("large", emulator.storage, what, figure, bytes >> 20, "MiB", &taken));
    check(emulator, bytes)
}

fn check(emulator: &Emulator, bytes: u64) -> Result<()> {
    let signer = Signer::new(emulator);
    let reply = loader::ask(emulator, &signer.request("HEAD", "lake/large", &[], 0), &[], 200)?;
    anyhow::ensure!(reply.header("content-length") == Some(bytes.to_string().as_str()), "the file is cut");
    Ok(())
}
