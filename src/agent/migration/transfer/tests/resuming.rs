//! How much is sent again after an interruption, counted by the emulator itself: between it and the copy is only our client.

use reqwest::Method;
use serde_json::{Value, json};

use super::*;

/// Holds what is read from some position on.
struct Held {
    inner: LocalSource,
    from: u64,
}

#[async_trait]
impl Source for Held {
    async fn resolve(&self, path: &str) -> Result<Entry> {
        self.inner.resolve(path).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        self.inner.list(directory, after).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        self.inner.look_up(directory, name).await
    }

    async fn extras(&self, _: &Entry, _: &NodeId) -> Result<Extras> {
        Ok(Extras::default())
    }

    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>> {
        self.inner.is_alive(node).await
    }

    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        if offset >= self.from {
            std::future::pending::<()>().await;
        }
        self.inner.open(file, at, offset, length_bytes).await
    }
}

impl World {
    async fn admin(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("http://{}{path}", self.emulator.admin_address());
        let request = reqwest::Client::new().request(method, url).bearer_auth("admin");
        let reply = request.body(body.to_string()).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&reply).unwrap()
    }

    /// What the emulator received: bytes of bodies, and files that were made.
    async fn received(&self) -> (u64, u64) {
        let counters = self.admin(Method::GET, "/counters", &Value::Null).await;
        let lake = &counters["accounts"]["lake"];
        (lake["ingress_bytes"].as_u64().unwrap(), lake["requests"]["PathCreate"].as_u64().unwrap_or(0))
    }

    fn client(&self) -> AdlsTarget {
        AdlsTarget::new(self.target.inner.filesystem().clone())
    }

    /// Of the one file that is being copied.
    async fn flushed(&self) -> u64 {
        let staging = TargetPath::new(".livedata/test/staging");
        let page = self.client().list(&staging, None).await.unwrap();
        page.entries.iter().map(|(_, entry)| entry.length_bytes).max().unwrap_or(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_from_what_the_service_has_flushed() {
    let length = 2 * UNFLUSHED_BYTES;
    let held = FLUSH_EVERY_BYTES + STRIPE_BYTES;
    let world = World::new(length, Hold::Nothing).await;
    let source = Arc::new(Held { inner: LocalSource::new(world.lake()), from: held });
    let migration = world.start_between(source, Arc::new(world.client()));
    let mut view = migration.view();
    let settled = async {
        view.wait_for(|view| view.bytes_in_flight >= FLUSH_EVERY_BYTES).await.unwrap();
        while world.received().await.0 < held {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), settled).await.unwrap();
    migration.stop().await;
    let flushed = world.flushed().await;
    assert!(flushed >= FLUSH_EVERY_BYTES, "{flushed}");
    let (before, created) = world.received().await;
    assert_eq!(before, held, "nothing was sent twice so far");
    assert!(before - flushed <= LANES as u64 * APPEND_BYTES, "{before} bytes received, {flushed} flushed");

    world.finish(world.start_with(Arc::new(world.client()), None)).await;
    let (after, created_after) = world.received().await;
    assert_eq!(after - before, length - flushed, "exactly what was missing");
    assert_eq!(created_after, created, "it did not begin anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_costs_no_more_than_its_append() {
    const CUTS: u64 = 5;
    let length = 12 * APPEND_BYTES;
    let world = World::new(length, Hold::Nothing).await;
    let rule = json!({
        "selector": { "operation": "PathAppend" }, "count": CUTS,
        "effect": { "reset": { "requestBody": { "afterBytes": APPEND_BYTES / 2 } } },
    });
    world.admin(Method::PUT, "/faults/cut", &rule).await;
    world.finish(world.start_with(Arc::new(world.client()), None)).await;
    assert_eq!(world.admin(Method::GET, "/faults/cut", &Value::Null).await["struck"], CUTS);
    let (received, created) = world.received().await;
    assert!(received > length, "{received}");
    assert!(received <= length + CUTS * APPEND_BYTES, "{received} bytes for a file of {length}");
    assert_eq!(created, 2, "the directory and the file, and nothing anew");
}
