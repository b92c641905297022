//! The database is gone for a while: the connections of a control plane break, and new ones are refused. Once because the network is
//! cut, once because the server itself is stopped as a crash would, and recovers.

use std::path::PathBuf;
use std::sync::Arc;

use livedata_store::{Record, Store};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::{database, open};
use crate::site::{Site, until};

/// The way to the server.
struct Wire {
    port: u16,
    server: Arc<str>,
    open: Option<JoinHandle<()>>,
}

impl Wire {
    async fn to(url: &Url) -> Self {
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut wire = Self { port: 0, server: server.into(), open: None };
        wire.mend().await;
        wire
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let server = Arc::clone(&self.server);
        self.open = Some(tokio::spawn(async move {
            // All of them end with the task.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(&*server).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        }));
    }

    async fn cut(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        assert!(open.await.unwrap_err().is_cancelled());
    }
}

fn migrator(tag: &str) -> Value {
    let source = json!({"kind": "LocalDirectory", "uri": "file:///srv"});
    json!({"location": "westeurope", "tags": {"t": tag}, "properties": {"source": source}})
}

/// A server of its own, which may be stopped.
struct Server {
    control: PathBuf,
}

impl Server {
    async fn control(&self, what: &str) {
        let done = tokio::process::Command::new(&self.control).arg(what).status().await.unwrap();
        assert!(done.success(), "{what}: {done}");
    }
}

/// What is cut and mended.
enum Way {
    Network(Wire),
    Server(Server),
}

impl Way {
    async fn cut(&mut self) {
        match self {
            Self::Network(wire) => wire.cut().await,
            Self::Server(server) => server.control("stop").await,
        }
    }

    async fn mend(&mut self) {
        match self {
            Self::Network(wire) => wire.mend().await,
            Self::Server(server) => server.control("start").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_told_so_and_everything_goes_on_when_it_is_back() {
    let url = database().await;
    let wire = Wire::to(&url).await;
    let mut through = url.clone();
    through.set_port(Some(wire.port)).unwrap();
    goes_on_after(Way::Network(wire), &through, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_and_started_again_is_gone_on_with() {
    let variable =
        |name| std::env::var(name).unwrap_or_else(|_| panic!("{name}; `cargo xtask test postgres` sets it"));
    let url: Url = variable("LIVEDATA_POSTGRES_STOPPABLE").parse().unwrap();
    let control = variable("LIVEDATA_POSTGRES_CONTROL").into();
    goes_on_after(Way::Server(Server { control }), &url, &url).await;
}

async fn goes_on_after(mut way: Way, through: &Url, url: &Url) {
    let site = Site::start_with(&["--store", through.as_str()]).await;
    let mut made = Vec::new();
    for number in 0..20 {
        let id = site.migrator_id(&format!("m{number}"));
        site.arm().begin_put(&id, &migrator("before")).await.unwrap();
        made.push(id);
    }
    // Some of their operations are under way.
    way.cut().await;
    let id = site.migrator_id("late");
    let since = std::time::Instant::now();
    // Longer than a lease lasts.
    while since.elapsed() < std::time::Duration::from_secs(12) {
        let refused = site.arm().begin_put(&id, &migrator("late")).await.unwrap_err();
        assert_eq!(refused.code(), Some("ServiceUnavailable"), "{refused}");
    }
    way.mend().await;
    // Each broken connection of the pool costs one request more: they are repeated, as their answers say.
    until(async || site.arm().get(&made[0]).await.ok()).await.unwrap();
    until(async || site.arm().put(&id, &migrator("late")).await.ok()).await.unwrap();
    let store = open(url).await;
    let all_ended = until(async || {
        let operations = store.list("operations", "", None, 1000).await.unwrap();
        let open =
            |record: &Record| serde_json::from_slice::<Value>(&record.body).unwrap()["state"] == "InProgress";
        (!operations.iter().any(open)).then_some(operations.len())
    });
    assert!(all_ended.await.unwrap() >= 21);
    for id in &made {
        let found = site.arm().get(id).await.unwrap();
        assert_eq!(
            (&found["properties"]["provisioningState"], &found["tags"]["t"]),
            (&json!("Succeeded"), &json!("before"))
        );
    }
}
