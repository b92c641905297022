//! `Microsoft.CustomProviders`: custom providers, and an endpoint that remembers what it was asked.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use livedata_pki::Authority;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, SUBSCRIPTION, World, read};

const PROVIDER: &str = "/resourceGroups/g/providers/Microsoft.CustomProviders/resourceProviders/Lake";
const JSON: &str = "application/json; charset=utf-8";

#[derive(Clone, Debug)]
struct Seen {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What the endpoint says next.
#[derive(Clone)]
struct Says {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Says {
    fn object(status: u16, body: &Value) -> Self {
        Self { status, headers: vec![("content-type", JSON)], body: body.to_string() }
    }

    fn nothing(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }
}

struct State {
    seen: Mutex<Vec<Seen>>,
    says: Mutex<Says>,
}

struct Endpoint {
    state: Arc<State>,
    handle: ServerHandle,
    url: String,
}

impl Endpoint {
    async fn start(authority: &Authority) -> Self {
        let tls = authority.issue_server(&["localhost"], &[]).unwrap().server_config(None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/secret", listener.local_addr().unwrap().port());
        let state =
            Arc::new(State { seen: Mutex::default(), says: Mutex::new(Says::object(200, &json!({}))) });
        let served = Arc::clone(&state);
        let (ready, started) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let data = web::Data::from(served);
                let server = HttpServer::new(move || {
                    App::new().app_data(data.clone()).default_service(web::to(answer))
                })
                .workers(1)
                .disable_signals()
                .listen_rustls_0_23(listener, tls)
                .unwrap()
                .run();
                assert!(ready.send(server.handle()).is_ok());
                server.await.unwrap();
            });
        });
        Self { state, handle: started.await.unwrap(), url }
    }

    fn says(&self, says: Says) {
        *self.state.says.lock().unwrap() = says;
    }

    fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    #[track_caller]
    fn last(&self) -> Seen {
        self.state.seen.lock().unwrap().last().unwrap().clone()
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    state.seen.lock().unwrap().push(Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let says = state.says.lock().unwrap().clone();
    let mut response = HttpResponse::build(StatusCode::from_u16(says.status).unwrap());
    for header in says.headers {
        response.insert_header(header);
    }
    response.body(says.body)
}

fn document(endpoint: &str) -> Value {
    json!({
        "location": "West Europe",
        "tags": {"team": "lake"},
        "properties": {
            "resourceTypes": [{"name": "things", "routingType": "Proxy", "endpoint": endpoint}],
            "actions": [
                {"name": "ping", "endpoint": format!("{endpoint}/{{requestPath}}?code=key")},
                {"name": "things/turn", "routingType": "Proxy", "endpoint": endpoint},
            ],
            "validations": [{"validationType": "Swagger", "specification": "https://example.org/swagger.json"}],
        },
    })
}

async fn ready() -> (World, Endpoint) {
    let world = World::new().await;
    world.make_group("g").await;
    let endpoint = Endpoint::start(&world.authority).await;
    let made = world.send(Method::PUT, PROVIDER, &document(&endpoint.url)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    (world, endpoint)
}

fn id(rest: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}{PROVIDER}{rest}")
}

#[tokio::test]
async fn custom_providers_are_resources_like_others() {
    let (mut world, endpoint) = ready().await;
    world.close().await;
    world.open().await;
    let shown = world
        .get(&PROVIDER.to_lowercase().replace("microsoft.customproviders/", "Microsoft.CustomProviders/"))
        .await;
    let mut expected = document(&endpoint.url);
    expected["id"] = id("").into();
    expected["name"] = "Lake".into();
    expected["type"] = "Microsoft.CustomProviders/resourceProviders".into();
    expected["properties"]["provisioningState"] = "Succeeded".into();
    expected["properties"]["actions"][0]["routingType"] = "Proxy".into();
    assert_eq!((shown.status, &shown.body), (200, &expected));
    // What was shown may be sent.
    let again = world.send(Method::PUT, PROVIDER, &shown.body).await;
    assert_eq!((again.status, &again.body), (200, &expected));

    let patched = world.send(Method::PATCH, PROVIDER, &json!({"tags": {"a": "b"}})).await;
    assert_eq!((patched.status, &patched.body["tags"]), (200, &json!({"a": "b"})));
    assert_eq!(patched.body["properties"], expected["properties"]);
    let more = json!({"tags": {}, "properties": {"actions": []}});
    let refused = world.send(Method::PATCH, PROVIDER, &more).await;
    assert_eq!((refused.status, refused.code()), (400, "PropertyCannotBeChanged"));

    world.make_group("g2").await;
    let elsewhere = PROVIDER.replace("/g/", "/g2/");
    assert_eq!(world.send(Method::PUT, &elsewhere, &document(&endpoint.url)).await.status, 201);
    let all = "/providers/Microsoft.CustomProviders/resourceProviders";
    for (scope, count) in [("", 2), ("/resourceGroups/g", 1), ("/resourceGroups/G2", 1)] {
        let listed = world.get(&format!("{scope}{all}")).await;
        assert_eq!(listed.body["value"].as_array().map(Vec::len), Some(count), "{}", listed.body);
    }
    let filter = "$filter=resourceType%20eq%20%27Microsoft.CustomProviders%2FresourceProviders%27";
    let generic = world.get(&format!("/resources?{filter}")).await;
    assert_eq!(generic.body["value"][0]["id"], id(""), "{}", generic.body);
    assert!(generic.body["value"][0].get("properties").is_none());
    let manifest = world.get("/providers/microsoft.customproviders").await;
    assert_eq!(manifest.body["registrationState"], "Registered");
    assert_eq!(manifest.body["resourceTypes"][0]["apiVersions"], json!(["2018-09-01-preview"]));

    assert_eq!(world.delete(&elsewhere).await.status, 200);
    assert_eq!(world.delete(&elsewhere).await.status, 204);
    assert_eq!(world.get(&elsewhere).await.code(), "ResourceNotFound");
    let begun = world.delete("/resourceGroups/g").await;
    assert_eq!(world.settle(begun.header("location").unwrap()).await.status, 200);
    assert_eq!(world.get(all).await.body, json!({"value": []}));
    assert_eq!(endpoint.count(), 0, "nobody asked for a custom resource");
}

#[tokio::test]
async fn what_no_custom_provider_can_be_is_refused() {
    let (world, endpoint) = ready().await;
    let other = PROVIDER.replace("Lake", "other");
    let changed = |pointer: &str, value: Value| {
        let mut document = document(&endpoint.url);
        *document.pointer_mut(pointer).unwrap() = value;
        document
    };
    let types = "/properties/resourceTypes/0";
    for (document, target, said) in [
        (
            changed(&format!("{types}/routingType"), json!("Proxy, Cache")),
            "properties.resourceTypes[0].routingType",
            "only 'Proxy'",
        ),
        (
            changed(&format!("{types}/endpoint"), json!("http://localhost/secret")),
            "properties.resourceTypes[0].endpoint",
            "https://",
        ),
        (
            changed(&format!("{types}/endpoint"), json!("https://")),
            "properties.resourceTypes[0].endpoint",
            "https://",
        ),
        (changed(&format!("{types}/name"), json!("a/b")), "properties.resourceTypes[0].name", "'a/b'"),
        (
            changed(&format!("{types}/name"), json!("associations")),
            "properties.resourceTypes[0].name",
            "not served",
        ),
        (changed("/properties/actions/1/name", json!("PING")), "properties.actions[1].name", "twice"),
        (
            changed("/properties/validations/0/specification", json!("file:///a")),
            "properties.validations[0].specification",
            "https://",
        ),
    ] {
        let refused = world.send(Method::PUT, &other, &document).await;
        assert_eq!((refused.status, refused.code()), (400, "InvalidPropertyValue"), "{}", refused.body);
        assert_eq!(refused.body["error"]["target"], target);
        assert!(refused.body["error"]["message"].as_str().unwrap().contains(said), "{}", refused.body);
    }
    let good = document(&endpoint.url);
    for (path, document, status, code) in [
        (other.as_str(), changed("/location", Value::Null), 400, "LocationRequired"),
        (other.as_str(), json!([]), 400, "InvalidRequestContent"),
        (&PROVIDER.replace("Lake", "ab"), good.clone(), 400, "InvalidResourceName"),
        (&PROVIDER.replace("/g/", "/nowhere/"), good.clone(), 404, "ResourceGroupNotFound"),
        (PROVIDER, changed("/location", json!("East US")), 409, "InvalidResourceLocation"),
    ] {
        let refused = world.send(Method::PUT, path, &document).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{path}: {}", refused.body);
    }
    let url = format!("{}{}?api-version=2021-01-01", world.url(), id(""));
    let wrong = read(world.client.get(url).bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!((wrong.status, wrong.code()), (400, "InvalidApiVersionParameter"));
    assert_eq!(world.get(&other).await.status, 404, "nothing was made");
}

#[tokio::test]
async fn an_endpoint_gets_the_path_and_nothing_of_who_asked() {
    let (world, endpoint) = ready().await;
    let thing =
        json!({"id": id("/things/One"), "name": "One", "properties": {"provisioningState": "Accepted"}});
    endpoint.says(
        Says::object(201, &thing)
            .with("retry-after", "7")
            .with("location", "https://mallory.example/follow")
            .with("azure-asyncoperation", "https://mallory.example/follow")
            .with("set-cookie", "a=b"),
    );
    // As `az resource create` writes it.
    let path = format!(
        "{}//THINGS/One",
        PROVIDER.replace("resourceGroups", "resourcegroups").replace("/Lake", "/lake")
    );
    let request = world
        .request(Method::PUT, &path)
        .json(&json!({"properties": {"a": 1}}))
        .header("x-ms-customproviders-requestpath", "/mallory")
        .header("cookie", "mallory=1")
        .header("x-ms-client-request-id", "client-7");
    let made = read(request.send().await.unwrap()).await;
    assert_eq!((made.status, &made.body), (201, &thing));
    assert_eq!((made.header("content-type"), made.header("retry-after")), (Some(JSON), Some("7")));
    for kept in ["location", "azure-asyncoperation", "set-cookie"] {
        assert_eq!(made.header(kept), None, "the client would show its token there");
    }
    let seen = endpoint.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("PUT", "/secret?api-version=2018-09-01-preview")
    );
    assert_eq!(seen.body, r#"{"properties":{"a":1}}"#);
    assert_eq!(seen.headers["x-ms-customproviders-requestpath"], id("/things/One"));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert_eq!(seen.headers["x-ms-client-request-id"], "client-7");
    assert!(seen.headers["referer"].starts_with(&world.url()));
    assert!(
        !format!("{seen:?}").contains("mallory") && !format!("{seen:?}").contains(&world.token),
        "{seen:?}"
    );
    assert!(!seen.headers.contains_key("authorization"));

    endpoint.says(Says::object(200, &thing));
    assert_eq!(world.get(&format!("{PROVIDER}/things/a%20b")).await.status, 200);
    assert_eq!(endpoint.last().headers["x-ms-customproviders-requestpath"], id("/things/a%20b"));
    endpoint.says(Says::object(200, &json!({"value": [thing]})));
    let listed = world.get(&format!("{PROVIDER}/things?$skipToken=x%26y")).await;
    assert_eq!(listed.body, json!({"value": [thing]}));
    let seen = endpoint.last();
    assert_eq!(
        (seen.method.as_str(), &*seen.headers["x-ms-customproviders-requestpath"]),
        ("GET", &*id("/things"))
    );
    assert_eq!(seen.target, "/secret?api-version=2018-09-01-preview&%24skipToken=x%26y");
    endpoint.says(Says::object(200, &json!({"turned": true})));
    let turned = world.send(Method::POST, &format!("{PROVIDER}/things/One/TURN"), &json!({"by": 90})).await;
    assert_eq!((turned.status, &turned.body), (200, &json!({"turned": true})));
    let seen = endpoint.last();
    assert_eq!(seen.headers["x-ms-customproviders-requestpath"], id("/things/One/turn"));
    assert_eq!(seen.body, r#"{"by":90}"#);
    assert_eq!(world.post(&format!("{PROVIDER}/ping")).await.status, 200);
    let seen = endpoint.last();
    assert_eq!(seen.headers["x-ms-customproviders-requestpath"], id("/ping"));
    assert_eq!(seen.target, format!("/secret{}?code=key&api-version=2018-09-01-preview", id("/ping")));
    for status in [200, 202, 204] {
        endpoint.says(Says::nothing(status));
        assert_eq!(world.delete(&format!("{PROVIDER}/things/One")).await.status, status);
        assert_eq!(endpoint.last().method, "DELETE");
    }

    // What is not declared, and without a token, reaches nobody.
    let asked = endpoint.count();
    let refusals: [(Answer, u16, &str); 6] = [
        (world.get(&format!("{PROVIDER}/others")).await, 404, "InvalidResourceType"),
        (world.post(&format!("{PROVIDER}/pong")).await, 404, "InvalidResourceType"),
        (world.post(&format!("{PROVIDER}/things/One/ping")).await, 404, "InvalidResourceType"),
        (
            world.send(Method::PATCH, &format!("{PROVIDER}/things/One"), &json!({})).await,
            405,
            "MethodNotAllowed",
        ),
        (world.get(&format!("{PROVIDER}/things/One/parts/p")).await, 404, "NotFound"),
        (
            world.get(&format!("{}/things/One", PROVIDER.replace("Lake", "absent"))).await,
            404,
            "ResourceNotFound",
        ),
    ];
    for (answer, status, code) in refusals {
        assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
    }
    let url = format!("{}{}?api-version=2018-09-01-preview", world.url(), id("/things/One"));
    assert_eq!(world.client.get(url).send().await.unwrap().status(), 401);
    assert_eq!(endpoint.count(), asked);
}

#[tokio::test]
async fn an_endpoints_refusals_come_through_and_its_mistakes_are_said_to_be_such() {
    let (world, endpoint) = ready().await;
    let (one, all) = (format!("{PROVIDER}/things/One"), format!("{PROVIDER}/things"));
    let error = json!({"error": {"code": "TargetInUse", "message": "still needed"}});
    endpoint.says(Says::object(409, &error).with("x-ms-error-code", "TargetInUse"));
    let refused = world.delete(&one).await;
    assert_eq!((refused.status, &refused.body), (409, &error));
    assert_eq!(refused.header("x-ms-error-code"), Some("TargetInUse"));

    for says in [
        Says::object(200, &json!({"value": 1})).with("content-type", "application/json"),
        Says::object(200, &json!({})).with("content-type", "text/html"),
        Says::object(200, &json!([])),
        Says { body: "{".to_owned(), ..Says::object(200, &json!({})) },
        Says::nothing(404),
        Says::nothing(500),
        Says::nothing(302).with("location", "https://localhost/elsewhere"),
        Says { body: "<html>".to_owned(), ..Says::nothing(403) },
    ] {
        let what = format!("{} {:?} {}", says.status, says.headers, says.body);
        endpoint.says(says);
        let answer = world.get(&one).await;
        assert_eq!((answer.status, answer.code()), (502, "ResourceProviderAnswerUnreadable"), "{what}");
        assert!(!answer.body.to_string().contains("/secret"), "{}", answer.body);
    }
    for says in [Says::object(200, &json!({"values": []})), Says::nothing(200)] {
        endpoint.says(says);
        assert_eq!(world.get(&all).await.code(), "ResourceProviderAnswerUnreadable");
    }
    endpoint.handle.stop(false).await;
    let down = world.get_when_down(&one).await;
    assert_eq!((down.status, down.code()), (503, "ResourceProviderUnavailable"));
    assert_eq!(down.header("retry-after"), Some("1"));
    assert!(!down.body.to_string().contains("/secret"), "{}", down.body);
    // A certificate of an authority that nobody named is as good as no endpoint.
    let strangers = Authority::load_or_create(&world.folder.path().join("strangers"), "Strangers").unwrap();
    let foreign = Endpoint::start(&strangers).await;
    assert_eq!(world.send(Method::PUT, PROVIDER, &document(&foreign.url)).await.status, 200);
    assert_eq!(world.get(&one).await.code(), "ResourceProviderUnavailable");
    assert_eq!(foreign.count(), 0);
}
