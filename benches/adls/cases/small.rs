//! Many small files, two requests each.

use std::sync::Arc;

use anyhow::Result;

use bytes::Bytes;
use livedata_adls::AdlsTarget;
use livedata_filesystem::{Attributes, Condition, Target as _, TargetPath, Upload};

use super::{Plan, measured};
use crate::client;
use crate::emulator::{Emulator, Storage};
use crate::loader::{self, Exchange};
use crate::signed::{Request, Signer};
use crate::table::{Row, Table};

const FILES: u64 = 100_000;
const FILE_BYTES: usize = 4096;
const DIRECTORIES: u64 = 100;

/// By the loader, then by our client, on an emulator of its own.
pub async fn run(plan: &Plan, storage: Storage, table: &mut Table) -> Result<()> {
    let most = raw(plan, &plan.emulator(storage).await?, table)?;
    ours(plan, &plan.emulator(storage).await?, most, table).await
}

/// Files a second.
fn raw(plan: &Plan, emulator: &Emulator, table: &mut Table) -> Result<f64> {
    let files = plan.scaled(FILES);
    let signer = Signer::new(emulator);
    loader::ask(emulator, &signer.request("PUT", "lake?resource=filesystem", &[], 0), &[], 201)?;
    // Directories are there before, as where a tree is copied.
    for directory in 0..DIRECTORIES {
        let target = format!("lake/d{directory}?resource=directory");
        loader::ask(emulator, &signer.request("PUT", &target, &[], 0), &[], 201)?;
    }
    let content = vec![7; FILE_BYTES];
    let mut lanes: Vec<Vec<Exchange<'_>>> = (0..plan.connections).map(|_| Vec::new()).collect();
    for file in 0..files {
        let path = format!("lake/d{}/f{file}", file % DIRECTORIES);
        let create = signer.request("PUT", &format!("{path}?resource=file"), &[], 0);
        let append = format!("{path}?action=append&position=0&flush=true");
        let append = signer.request("PATCH", &append, &[], FILE_BYTES);
        let lane = &mut lanes[file as usize % plan.connections];
        lane.push(Exchange { request: create, body: &[], status: 201 });
        lane.push(Exchange { request: append, body: &content, status: 202 });
    }
    let taken = measured(plan, emulator, || loader::run(emulator, &lanes, 1))?;
    let rate = files as f64 / taken.elapsed.as_secs_f64();
    let figure = format!("{rate:.0} files/s");
    let what = format!("{files} files of 4 KiB, {} connections", plan.connections);
    table.add(Row::new("small", emulator.storage, what, figure, files, "file", &taken));
    check(emulator, &signer, files)?;
    Ok(rate)
}

/// `most`: files a second that the loader reached.
async fn ours(plan: &Plan, emulator: &Emulator, most: f64, table: &mut Table) -> Result<()> {
    let files = plan.scaled(FILES);
    let target = client::open(emulator, "lake", None).await?;
    let (plain, absent) = (Attributes::default(), Condition::Absent);
    for directory in 0..DIRECTORIES {
        target.create_directory(&TargetPath::new(&format!("d{directory}")), &plain, &absent).await?;
    }
    let content = Bytes::from(vec![7; FILE_BYTES]);
    let make = |file| copy(Arc::clone(&target), file, content.clone());
    let taken = measured(plan, emulator, || client::wait(client::spread(files, plan.connections, make)))?;
    let rate = files as f64 / taken.elapsed.as_secs_f64();
    let figure = format!("{rate:.0} files/s, {:.2} of the loader's", rate / most);
    let what = format!("{files} files of 4 KiB, our client, {} at once", plan.connections);
    table.add(Row::new("small", emulator.storage, what, figure, files, "file", &taken));
    check(emulator, &Signer::new(emulator), files)
}

async fn copy(target: Arc<AdlsTarget>, file: u64, data: Bytes) -> Result<()> {
    let path = TargetPath::new(&format!("d{}/f{file}", file % DIRECTORIES));
    target.create_file(&path, &Attributes::default(), &Condition::Absent).await?;
    target.append(&path, Upload { position: 0, data }, true).await?;
    Ok(())
}

/// Who leaves something out is not fast.
fn check(emulator: &Emulator, signer: &Signer, files: u64) -> Result<()> {
    for file in [0, files / 2, files - 1] {
        let request: Request =
            signer.request("HEAD", &format!("lake/d{}/f{file}", file % DIRECTORIES), &[], 0);
        let reply = loader::ask(emulator, &request, &[], 200)?;
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        anyhow::ensure!(length == Some(FILE_BYTES), "file {file} has {length:?} bytes");
    }
    Ok(())
}
