//! One large file.

use anyhow::Result;

use super::{Plan, measured};
use crate::emulator::Emulator;
use crate::loader::{self, Exchange};
use crate::signed::Signer;
use crate::table::{Row, Table};

const FILE_BYTES: u64 = 8 << 30;
const PIECE_BYTES: usize = 8 << 20;
const CONNECTIONS: usize = 4;

pub fn run(plan: &Plan, emulator: &Emulator, table: &mut Table) -> Result<()> {
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
    let figure = format!("{:.0} MB/s", bytes as f64 / 1e6 / taken.elapsed.as_secs_f64());
    let what = format!("1 file of {} MiB, {CONNECTIONS} connections", bytes >> 20);
    table.add(Row::new("large", emulator.storage, what, figure, bytes >> 20, "MiB", &taken));
    let reply = loader::ask(emulator, &signer.request("HEAD", "lake/large", &[], 0), &[], 200)?;
    anyhow::ensure!(reply.header("content-length") == Some(bytes.to_string().as_str()), "the file is cut");
    Ok(())
}
