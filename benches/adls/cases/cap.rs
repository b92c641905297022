//! A bandwidth cap, at the other end: what the emulator takes from its sockets.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use livedata_adls::Throttle;
use livedata_filesystem::throttle::Bandwidth;
use livedata_filesystem::{Attributes, Condition, Flush, Target as _, TargetPath};
use tokio::time::Instant;

use super::{Plan, measured};
use crate::client;
use crate::emulator::Storage;
use crate::table::{Row, Table};

/// Bytes a second.
const CAPS: [u64; 3] = [10_000_000, 50_000_000, 200_000_000];
const TIME: Duration = Duration::from_secs(20);
const PIECE_BYTES: u64 = 1 << 20;
const CONNECTIONS: usize = 8;

pub async fn run(plan: &Plan, storage: Storage, table: &mut Table) -> Result<()> {
    let emulator = plan.emulator(storage).await?;
    for cap in CAPS {
        let throttle = Throttle::new(Arc::new(Bandwidth::new(Some(cap))), Instant::now());
        let target = client::open(&emulator, &format!("at-{cap}"), Some(throttle)).await?;
        let path = TargetPath::new("file");
        target.create_file(&path, &Attributes::default(), &Condition::Absent).await?;
        emulator.peak_bytes_per_second().await?;
        let pieces = plan.scaled(cap * TIME.as_secs() / PIECE_BYTES);
        let content = Bytes::from(vec![7; PIECE_BYTES as usize]);
        let append = |piece| client::append(Arc::clone(&target), path.clone(), piece, content.clone());
        let taken = measured(plan, &emulator, || client::wait(client::spread(pieces, CONNECTIONS, append)))?;
        let peak = emulator.peak_bytes_per_second().await?;
        target.flush(&path, pieces * PIECE_BYTES, Flush::Complete).await?;
        let mean = (pieces * PIECE_BYTES) as f64 / taken.elapsed.as_secs_f64();
        let above = |rate: f64| (rate / cap as f64 - 1.0) * 100.0;
        let figure = format!(
            "mean {:.2} MB/s ({:+.2} %), any second at most {:.2} MB/s ({:+.2} %)",
            mean / 1e6,
            above(mean),
            peak as f64 / 1e6,
            above(peak as f64)
        );
        let what = format!("cap of {} MB/s, our client, {CONNECTIONS} at once", cap / 1_000_000);
        table.add(Row::new("cap", storage, what, figure, pieces, "MiB", &taken));
    }
    Ok(())
}
