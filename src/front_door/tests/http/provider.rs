//! A small resource provider behind mutual TLS that remembers what it was asked.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use livedata_pki::Authority;
use serde_json::{Value, json};
use url::Url;

pub const NAMESPACE: &str = "Contoso.Test";
pub const VERSION: &str = "2024-01-01-preview";

#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

#[derive(Default)]
pub struct State {
    seen: Mutex<Vec<Seen>>,
    /// By id in lower case.
    things: Mutex<BTreeMap<String, Value>>,
    /// While true, DELETE is refused as when another resource still needs this one.
    pub holds: Mutex<bool>,
}

pub struct Running {
    pub state: Arc<State>,
    handle: ServerHandle,
    port: u16,
}

impl Running {
    pub fn endpoint(&self) -> Url {
        format!("https://localhost:{}", self.port).parse().unwrap()
    }

    pub fn last(&self) -> Seen {
        self.state.seen.lock().unwrap().last().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

pub async fn start(authority: &Authority) -> Running {
    let tls = authority
        .issue_server(&["localhost"], &[])
        .unwrap()
        .server_config(Some(authority.certificate_pem()))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let state = Arc::new(State::default());
    let served = Arc::clone(&state);
    let (ready, started) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let data = web::Data::from(served);
            let server =
                HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)))
                    .workers(1)
                    .disable_signals()
                    .listen_rustls_0_23(listener, tls)
                    .unwrap()
                    .run();
            assert!(ready.send(server.handle()).is_ok());
            server.await.unwrap();
        });
    });
    Running { state, handle: started.await.unwrap(), port }
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
        .collect();
    // ARM's word about the subscription is not about a resource.
    if request.method() == "PUT" && request.path().split('/').count() == 3 {
        return HttpResponse::Ok().finish();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let seen = Seen { target: request.uri().to_string(), headers, body: body.clone() };
    state.seen.lock().unwrap().push(seen);

    let id = request.path().to_owned();
    let key = id.to_lowercase();
    let mut things = state.things.lock().unwrap();
    match request.method().as_str() {
        "GET" if key.ends_with("/things") => {
            let scope = key.strip_suffix("/providers/contoso.test/things").unwrap();
            let found = things.iter().filter(|(one, _)| one.starts_with(&format!("{scope}/")));
            list(&request, found.map(|(_, thing)| thing.clone()).collect())
        }
        "GET" => match things.get(&key) {
            Some(thing) => HttpResponse::Ok().insert_header(("etag", "\"1\"")).json(thing),
            None => {
                HttpResponse::NotFound().json(json!({"error": {"code": "ResourceNotFound", "message": id}}))
            }
        },
        "PUT" => {
            let mut thing = body;
            thing["id"] = id.clone().into();
            thing["name"] = id.rsplit('/').next().into();
            thing["type"] = format!("{NAMESPACE}/things").into();
            thing["properties"]["provisioningState"] = "Succeeded".into();
            things.insert(key, thing.clone());
            let mut reply = HttpResponse::Created();
            if thing["properties"]["long"] == true {
                reply
                    .insert_header(("azure-asyncoperation", "https://localhost/operation"))
                    .insert_header(("location", "https://localhost/result"))
                    .insert_header(("retry-after", "7"));
            }
            reply
                .insert_header(("x-ms-request-id", "provider-request"))
                .insert_header(("x-ms-custom", "kept"))
                .insert_header(("set-cookie", "a=b"))
                .json(thing)
        }
        "DELETE" if *state.holds.lock().unwrap() => {
            HttpResponse::Conflict().json(json!({"error": {"code": "InUse", "message": "still needed"}}))
        }
        "DELETE" if things.remove(&key).is_some() => HttpResponse::Ok().finish(),
        "DELETE" => HttpResponse::NoContent().finish(),
        _ => HttpResponse::Ok().json(json!({})),
    }
}

/// One resource on a page, so that every list of two follows `nextLink`, which is made from the referer as ARM's
/// contract says.
fn list(request: &HttpRequest, found: Vec<Value>) -> HttpResponse {
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let at: usize = query.get("$skipToken").map_or(0, |token| token.parse().unwrap());
    let mut page = json!({"value": found.get(at).into_iter().collect::<Vec<_>>()});
    if at + 1 < found.len() {
        let referer = request.headers().get("referer").unwrap().to_str().unwrap();
        let mut next = Url::parse(referer).unwrap();
        next.set_query(Some(&format!("api-version={VERSION}&$skipToken={}", at + 1)));
        page["nextLink"] = next.as_str().into();
    }
    HttpResponse::Ok().json(page)
}
