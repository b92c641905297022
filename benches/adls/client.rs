//! Our client, as an agent uses it, on the same work as the raw loader: every answer is read, every append carries a CRC-64.

use std::future::Future;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use livedata_adls::{AccountKey, AdlsTarget, Config, Credential, Filesystem, Throttle};
use livedata_filesystem::{Target as _, TargetPath, Upload};

use crate::emulator::{ACCOUNT, Emulator};

/// In a new container. `throttle` holds its bodies to a rate.
pub async fn open(
    emulator: &Emulator,
    container: &str,
    throttle: Option<Throttle>,
) -> Result<Arc<AdlsTarget>> {
    // Needed whatever the scheme is; a second one changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let endpoint = format!("http://{}/{ACCOUNT}", emulator.address).parse()?;
    let key = AccountKey::from_base64(Emulator::key()).context("the key is no base64")?;
    let mut config = Config::new(endpoint, ACCOUNT, container, Credential::SharedKey(key));
    config.throttle = throttle;
    let filesystem = Filesystem::new(config)?;
    filesystem.create_filesystem().await?;
    Ok(Arc::new(AdlsTarget::new(filesystem)))
}

/// Runs async work where the caller measures something that blocks.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

/// `count` pieces of work, `at_once` of them under way, spread over the cores.
pub async fn spread<F>(count: u64, at_once: usize, work: impl Fn(u64) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let running = futures::stream::iter(0..count).map(|number| tokio::spawn(work(number)));
    running.buffer_unordered(at_once).map(|joined| joined?).try_for_each(|()| async { Ok(()) }).await
}

/// The same bytes again and again, at their positions.
pub async fn append(target: Arc<AdlsTarget>, path: TargetPath, piece: u64, data: Bytes) -> Result<()> {
    let position = piece * data.len() as u64;
    target.append(&path, Upload { position, data }, false).await?;
    Ok(())
}
