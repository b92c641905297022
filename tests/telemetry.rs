//! What the programs export, received as a collector receives it.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{Site, directory, until};

/// All that has come by OTLP over HTTP.
#[derive(Default)]
struct Received {
    /// With the name of the service that sent it.
    spans: Vec<(String, Span)>,
    /// Names of instruments, with the service.
    instruments: Vec<(String, String)>,
}

struct Collector {
    received: Arc<Mutex<Received>>,
    endpoint: String,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Received>>::default();
        let all = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all)));
            }
        });
        Self { received, endpoint }
    }

    /// Waits until this finds what it looks for in what has come.
    async fn wait<T>(&self, what: &str, find: impl Fn(&Received) -> Option<T>) -> T {
        match until(async || find(&self.received.lock().unwrap())).await {
            Some(found) => found,
            None => {
                let received = self.received.lock().unwrap();
                let spans: Vec<_> = received.spans.iter().map(|(of, span)| (of, &span.name)).collect();
                panic!("{what} never came, but: {spans:?} {:?}", received.instruments);
            }
        }
    }
}

/// Requests of one connection, as HTTP/1.1 has them.
async fn serve(stream: TcpStream, received: Arc<Mutex<Received>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            match line.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().ok()?,
                Some(("content-type", value)) => assert_eq!(value.trim(), "application/x-protobuf"),
                _ if path.is_empty() => path = line.split(' ').nth(1)?.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        take(&path, &body, &mut received.lock().unwrap());
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).await.ok()?;
    }
}

fn take(path: &str, body: &[u8], received: &mut Received) {
    match path {
        "/v1/traces" => {
            for of in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                let service = text(&of.resource.unwrap().attributes, "service.name").unwrap();
                let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
                received.spans.extend(spans.map(|span| (service.clone(), span)));
            }
        }
        "/v1/metrics" => {
            for of in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
                let service = text(&of.resource.unwrap().attributes, "service.name").unwrap();
                let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                received.instruments.extend(metrics.map(|metric| (service.clone(), metric.name)));
            }
        }
        other => panic!("{other} is no address of OTLP"),
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    match value {
        AnyValue { value: Some(any_value::Value::StringValue(text)) } => Some(text),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_through_front_door_provider_and_agent() {
    let collector = Collector::start().await;
    let site = Site::start_with_variables(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone()),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500".to_owned()),
    ])
    .await;
    let source = site.beside("source");
    std::fs::create_dir_all(source.join("lake")).unwrap();
    let m = site.make_migrator("m", directory(&source), None).await;
    let agent = site.install_agent(&m).await;
    let live = serde_json::json!({"mode": "Live"});
    let migration = site.start_migration_with(&m, "x", "/lake", live).await;
    let command = format!("{migration}/rescan");
    let migration = migration.to_lowercase();

    // What the agent was told of the migration last is part of the trace of the request that said so.
    let of_one_trace = |kind: &'static str| {
        let id = migration.clone();
        move |received: &Received| -> Option<[Span; 3]> {
            let find = |service: &str, name: &str, of: &dyn Fn(&Span) -> bool| {
                let found = received
                    .spans
                    .iter()
                    .find(|(from, span)| from == service && span.name == name && of(span));
                found.map(|(_, span)| span.clone())
            };
            let mine = |span: &Span| text(&span.attributes, "id").as_deref() == Some(&id);
            let agents = find("livedata-agent", kind, &mine)?;
            let parent_of = |child: &Span| {
                let (trace, parent) = (child.trace_id.clone(), child.parent_span_id.clone());
                move |span: &Span| span.trace_id == trace && span.span_id == parent
            };
            let providers = find("livedata", "request", &parent_of(&agents))?;
            let front_doors = find("livedata", "arm", &parent_of(&providers))?;
            Some([front_doors, providers, agents])
        }
    };
    let [front_door, provider, _] = collector.wait("a trace", of_one_trace("apply")).await;
    assert_eq!(
        text(&front_door.attributes, "method").as_deref(),
        text(&provider.attributes, "method").as_deref()
    );
    let path = text(&provider.attributes, "path").unwrap().to_lowercase();
    assert!(path == migration || path == format!("{migration}/start"), "{path}");
    // A command is part of the trace of its own request.
    site.wait(&migration, "Live", |status| status["state"] == "Live").await;
    site.arm().post(&command).await.unwrap();
    let [_, provider, _] = collector.wait("the command's trace", of_one_trace("take")).await;
    assert!(text(&provider.attributes, "path").unwrap().ends_with("/rescan"));
    for (service, name) in [
        ("livedata-provider", "http.server.request.duration"),
        ("livedata-provider", "livedata.store.call.duration"),
        ("livedata-provider", "livedata.agent.session"),
    ] {
        let wanted = (service.to_owned(), name.to_owned());
        collector.wait(name, |received| received.instruments.contains(&wanted).then_some(())).await;
    }
    drop(agent);
}

/// A collector that does not answer does not hold up the work.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_collector_everything_works() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = Site::start_with_variables(vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr().unwrap())),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
    ])
    .await;
    let m = site.make_migrator("m", directory(&site.beside("source")), None).await;
    assert_eq!(site.status(&m).await["phase"], "NotInstalled");
    drop(silent);
}
