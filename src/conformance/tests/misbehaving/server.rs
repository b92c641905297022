//! A small resource provider in memory that keeps the contract: `Test.Things/boxes` with `items`, and `lids` that need
//! an item. An operation goes on
//! until somebody looks at it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::documents::{checked, merge, operations};
use crate::http::{Request, Response};

pub const VERSION: &str = "2026-01-01-preview";
pub const TOKEN: &str = "head.claims.signature";
pub const NAMESPACE: &str = "Test.Things";

#[derive(Default)]
pub struct Server {
    /// By id in lower case.
    pub things: BTreeMap<String, Thing>,
    operations: BTreeMap<String, Operation>,
    subscriptions: BTreeMap<String, String>,
}

#[derive(Clone)]
pub struct Thing {
    pub id: String,
    /// `location`, `tags`, `properties` as they were sent.
    pub body: Value,
    system_data: Value,
    pub revision: u64,
    pub state: &'static str,
    operation: String,
}

struct Operation {
    subscription: String,
    verb: &'static str,
    thing: String,
    state: &'static str,
}

pub type Refusal = (u16, &'static str, String, Option<String>);

fn refuse<T>(status: u16, code: &'static str, message: &str) -> Result<T, Refusal> {
    Err((status, code, message.to_owned(), None))
}

fn random() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Everything that the contract wants of every answer.
pub fn answer(server: &mut Server, request: Request) -> Response {
    let known = request.header("authorization") == Some(&format!("Bearer {TOKEN}"));
    let routed = if known { server.route(&request) } else { refuse(401, "InvalidToken", "Who are you?") };
    let mut response = match routed {
        Ok(response) => response,
        Err((status, code, message, details)) => {
            let mut error = json!({"code": code, "message": message});
            if let Some(targets) = details {
                let detail = |target: &str| json!({"code": "InvalidProperty", "message": "It is wrong.", "target": target});
                let details: Vec<Value> = targets.split(',').map(detail).collect();
                error["target"] = details[0]["target"].clone();
                if details.len() > 1 {
                    error["details"] = details.into();
                }
            }
            Response::new(status, Some(json!({ "error": error }))).with("x-ms-error-code", code)
        }
    };
    if response.body.is_some() {
        response.set("content-type", Some("application/json; charset=utf-8"));
    }
    if request.header("x-ms-return-client-request-id") == Some("true") {
        response.set("x-ms-client-request-id", request.header("x-ms-client-request-id"));
    }
    response.with("x-ms-request-id", random()).with("date", "Thu, 26 Nov 2026 12:00:00 GMT")
}

impl Server {
    fn route(&mut self, request: &Request) -> Result<Response, Refusal> {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> =
            request.path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        if let ["subscriptions", subscription] = lower.as_slice() {
            let state = request.json()["state"].as_str().unwrap_or_default().to_owned();
            if state == "Deleted" {
                self.things.retain(|key, _| !key.contains(subscription));
            }
            self.subscriptions.insert((*subscription).to_owned(), state);
            return Ok(Response::new(200, Some(request.json())));
        }
        match request.parameter("api-version") {
            None => return refuse(400, "MissingApiVersionParameter", "It is required."),
            Some(VERSION) => {}
            Some(_) => return refuse(400, "InvalidApiVersionParameter", &format!("Served are: {VERSION}.")),
        }
        let get_only = |response: Response| match request.method.as_str() {
            "GET" | "HEAD" => Ok(response),
            _ => refuse(405, "MethodNotAllowed", "Only GET."),
        };
        match lower.as_slice() {
            ["providers", "test.things", "operations"] => get_only(operations()),
            ["subscriptions", s, "providers", "test.things", "boxes"] => {
                get_only(self.list(request, "boxes", |key| key.contains(s))?)
            }
            ["subscriptions", _, "providers", "test.things", .., "checknameavailability"] => {
                let name = request.json()["name"].as_str().unwrap_or_default().to_owned();
                let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
                Ok(Response::new(
                    200,
                    Some(match good {
                        true => json!({"nameAvailable": true}),
                        false => {
                            json!({"nameAvailable": false, "reason": "Invalid", "message": "Letters and digits."})
                        }
                    }),
                ))
            }
            ["subscriptions", s, "providers", "test.things", "locations", _, kind, id] => {
                self.operation(request, s, kind, id)
            }
            [
                "subscriptions",
                _,
                "providers",
                "test.things",
                "locations",
                _,
                "operationstatuses",
                id,
                "cancel",
            ] => self.cancel(id),
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                action @ ("moveresources" | "validatemoveresources"),
            ] => self.relocate(request, *action == "moveresources"),
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "test.things",
                "deployments",
                _,
                "preflight",
            ] => {
                let failed = request.json()["resources"][0]["properties"]["size"] == "large";
                Ok(Response::new(
                    200,
                    Some(match failed {
                        true => {
                            json!({"status": "Failed", "error": {"code": "InvalidProperty", "message": "size"}})
                        }
                        false => json!({"status": "Succeeded"}),
                    }),
                ))
            }
            ["subscriptions", s, "resourcegroups", group, "providers", "test.things", rest @ ..] => {
                if group.len() > 90 || group.ends_with('.') || group.contains(['*', '<']) {
                    return refuse(400, "InvalidResourceGroupName", "It is not allowed.");
                }
                let prefix = format!("/{}/providers/{NAMESPACE}", segments[..4].join("/"));
                self.in_group(request, s, &prefix, &segments[6..], rest)
            }
            _ => refuse(404, "RouteNotFound", "There is nothing here."),
        }
    }

    fn in_group(
        &mut self,
        request: &Request,
        subscription: &str,
        prefix: &str,
        given: &[String],
        lower: &[&str],
    ) -> Result<Response, Refusal> {
        let types: Vec<&str> = lower.iter().step_by(2).copied().collect();
        let names: Vec<&String> = given.iter().skip(1).step_by(2).collect();
        for name in &names {
            let bad = name.len() > 260
                || name.contains(|letter: char| "<>%&:\\?/".contains(letter) || letter.is_control());
            if bad {
                return refuse(400, "InvalidResourceName", "It is not allowed.");
            }
        }
        let pairs = types.iter().zip(&names).map(|(kind, name)| format!("/{kind}/{name}"));
        let id = format!("{prefix}{}", pairs.collect::<String>());
        let parent_missing = match types.as_slice() {
            ["boxes"] => false,
            ["boxes", "items" | "lids"] => {
                !self.things.contains_key(&id_of_parent(&id, names.len() == 2).to_lowercase())
            }
            ["boxes", _] if names.len() == 1 => return self.act(request, subscription, &id, types[1]),
            _ => return refuse(404, "InvalidResourceType", "There is no such type."),
        };
        if types.len() > names.len() {
            if !matches!(request.method.as_str(), "GET" | "HEAD") {
                return refuse(405, "MethodNotAllowed", "Only GET.");
            }
            if parent_missing {
                return refuse(404, "ParentResourceNotFound", "There is no such box.");
            }
            let below = format!("{}/{}/", id.to_lowercase(), types[types.len() - 1]);
            return self.list(request, &types.join("/"), |key| key.starts_with(&below));
        }
        let kind = types.join("/");
        match request.method.as_str() {
            "GET" | "HEAD" => match self.things.get(&id.to_lowercase()) {
                Some(thing) => Ok(shown(thing, 200)),
                None => refuse(404, "ResourceNotFound", "It is not there."),
            },
            "PUT" | "PATCH" | "DELETE" => {
                let state = self.subscriptions.get(subscription).map(String::as_str);
                match (state, request.is("DELETE")) {
                    (Some("Registered"), _) | (Some("Warned" | "Suspended"), true) => {}
                    (Some("Warned" | "Suspended"), false) => {
                        return refuse(409, "InvalidSubscriptionState", "It sleeps.");
                    }
                    _ => return refuse(400, "InvalidSubscriptionState", "It is not registered."),
                }
                self.change(request, subscription, &id, &kind, parent_missing)
            }
            _ => refuse(405, "MethodNotAllowed", "PUT, PATCH, GET, DELETE."),
        }
    }

    fn change(
        &mut self,
        request: &Request,
        subscription: &str,
        id: &str,
        kind: &str,
        parent_missing: bool,
    ) -> Result<Response, Refusal> {
        let key = id.to_lowercase();
        let stored = self.things.get(&key).cloned();
        let etag = stored.as_ref().map(etag_of);
        let (matching, none_matching) = (request.header("if-match"), request.header("if-none-match"));
        let failed = refuse(412, "PreconditionFailed", "It has another etag.");
        let holds = |wanted: &str| etag.as_ref().is_some_and(|etag| wanted == "*" || wanted == etag);
        match (request.method.as_str(), &stored) {
            ("PATCH", None) => return refuse(404, "ResourceNotFound", "It is not there."),
            ("DELETE", None) => return Ok(Response::new(204, None)),
            _ if matching.is_some_and(|wanted| !holds(wanted)) => return failed,
            _ if none_matching.is_some_and(holds) => return failed,
            _ => {}
        }
        let pending = stored.as_ref().is_some_and(|thing| !is_terminal(thing.state));
        let needed =
            |lid: &Thing| lid.body["properties"]["item"].as_str().is_some_and(|id| id.to_lowercase() == key);
        if request.is("DELETE") && self.things.values().any(needed) {
            return refuse(409, "ItemInUse", "A lid needs it.");
        }
        if request.is("DELETE") {
            let guid = self.begin(subscription, "DELETE", &key);
            if let Some(thing) = self.things.get_mut(&key) {
                thing.state = "Deleting";
                thing.operation = guid.clone();
            }
            return Ok(follow(request, Response::new(202, None), subscription, &guid));
        }
        if parent_missing {
            return refuse(404, "ParentResourceNotFound", "There is no such box.");
        }
        if !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
            return refuse(415, "UnsupportedMediaType", "Send JSON.");
        }
        if request.body.len() > 4 << 20 {
            return refuse(413, "RequestBodyTooLarge", "It is too long.");
        }
        let Ok(Value::Object(sent)) = serde_json::from_slice::<Value>(&request.body) else {
            return refuse(400, "InvalidRequestContent", "Send a JSON object.");
        };
        let sent = Value::Object(sent);
        let body = match (&stored, request.is("PATCH")) {
            (Some(stored), true) => {
                if sent.get("name").or(sent.get("type")).is_some() {
                    return refuse(400, "PropertyChangeNotAllowed", "It is fixed.");
                }
                let mut merged = merge(&stored.body, &sent);
                if let Some(tags) = sent.get("tags") {
                    merged["tags"] = tags.clone();
                }
                merged
            }
            _ => sent,
        };
        let body = checked(kind, &body, stored.as_ref())?;
        if pending {
            return refuse(409, "AnotherOperationInProgress", "Wait for it.");
        }
        let given =
            request.header("x-ms-arm-resource-system-data").and_then(|text| serde_json::from_str(text).ok());
        let given: Value = given.filter(Value::is_object).unwrap_or(json!({"createdBy": "somebody"}));
        let created = stored.is_none();
        let thing = match stored {
            None => Thing {
                id: id.to_owned(),
                body,
                system_data: given,
                revision: 1,
                state: "Accepted",
                operation: String::new(),
            },
            Some(stored) => {
                let mut system_data = stored.system_data.clone();
                for member in ["lastModifiedBy", "lastModifiedByType", "lastModifiedAt"] {
                    system_data[member] = given[member].clone();
                }
                let revision = stored.revision + u64::from(stored.body != body);
                Thing {
                    id: id.to_owned(),
                    body,
                    system_data,
                    revision,
                    state: "Updating",
                    operation: String::new(),
                }
            }
        };
        let guid = self.begin(subscription, if request.is("PUT") { "PUT" } else { "PATCH" }, &key);
        let thing = Thing { operation: guid.clone(), ..thing };
        self.things.insert(key, thing.clone());
        let response = match (request.is("PATCH"), created) {
            (true, _) => Response::new(202, None),
            (false, true) => shown(&thing, 201),
            (false, false) => shown(&thing, 200),
        };
        Ok(follow(request, response, subscription, &guid))
    }

    fn act(
        &mut self,
        request: &Request,
        subscription: &str,
        id: &str,
        action: &str,
    ) -> Result<Response, Refusal> {
        if action == "skus" && request.is("GET") {
            return Ok(Response::new(200, Some(json!({"value": []}))));
        }
        if !matches!(action, "open" | "shake" | "seal") {
            return refuse(404, "InvalidResourceType", "There is no such type or action.");
        }
        if !request.is("POST") {
            return refuse(405, "MethodNotAllowed", "Only POST.");
        }
        let key = id.to_lowercase();
        match (self.things.contains_key(&key), action) {
            (false, _) => refuse(404, "ResourceNotFound", "It is not there."),
            (true, "seal") => refuse(409, "BoxIsEmpty", "There is nothing to be sealed."),
            (true, "open") => Ok(Response::new(200, Some(json!({"smell": "cedar"})))),
            (true, _) => {
                let guid = self.begin(subscription, "POST", &key);
                Ok(follow(request, Response::new(202, None), subscription, &guid))
            }
        }
    }

    fn begin(&mut self, subscription: &str, verb: &'static str, key: &str) -> String {
        let guid = random();
        let subscription = subscription.to_owned();
        self.operations.insert(
            guid.clone(),
            Operation { subscription, verb, thing: key.to_owned(), state: "InProgress" },
        );
        guid
    }

    /// Looking at an operation ends it.
    fn operation(
        &mut self,
        request: &Request,
        subscription: &str,
        kind: &str,
        guid: &str,
    ) -> Result<Response, Refusal> {
        let found = self.operations.get_mut(guid).filter(|operation| operation.subscription == subscription);
        let Some(operation) = found else {
            return refuse(404, "OperationNotFound", "There is no such operation.");
        };
        let fails = |thing: &Thing| thing.body["properties"]["size"] == 13;
        if operation.state == "InProgress" {
            let thing = self.things.get_mut(&operation.thing).filter(|thing| thing.operation == guid);
            operation.state =
                if thing.as_ref().is_some_and(|thing| operation.verb != "DELETE" && fails(thing)) {
                    "Failed"
                } else {
                    "Succeeded"
                };
            match thing {
                Some(thing) if operation.verb != "DELETE" => thing.state = operation.state,
                Some(_) => {
                    let below = format!("{}/", operation.thing);
                    self.things.retain(|key, _| *key != operation.thing && !key.starts_with(&below));
                }
                None => {}
            }
        }
        if kind == "operationresults" {
            return Ok(match (operation.verb, self.things.get(&operation.thing)) {
                ("PUT" | "PATCH", Some(thing)) => shown(thing, 200),
                _ => Response::new(204, None),
            });
        }
        let mut status = json!({
            "id": request.path, "name": guid, "status": operation.state,
            "startTime": "2026-11-26T12:00:00Z", "endTime": "2026-11-26T12:00:01Z", "percentComplete": 100
        });
        if operation.state == "Canceled" {
            status["error"] = json!({"code": "OperationCanceled", "message": "It was asked for."});
        }
        if operation.state == "Failed" {
            status["error"] = json!({"code": "BadLuck", "message": "Thirteen is too many."});
        }
        Ok(Response::new(200, Some(status)))
    }

    fn cancel(&mut self, guid: &str) -> Result<Response, Refusal> {
        let going = self.operations.get_mut(guid).filter(|operation| operation.state == "InProgress");
        let Some(operation) = going else { return refuse(409, "OperationEnded", "It is too late.") };
        operation.state = "Canceled";
        if let Some(thing) = self.things.get_mut(&operation.thing) {
            thing.state = "Canceled";
        }
        Ok(Response::new(200, Some(json!({"status": "Canceled"}))))
    }

    fn relocate(&mut self, request: &Request, really: bool) -> Result<Response, Refusal> {
        let body = request.json();
        let id = body["resources"][0].as_str().unwrap_or_default().to_owned();
        let to = body["targetResourceGroup"].as_str().unwrap_or_default().to_owned();
        let from = id.split("/providers/").next().unwrap_or_default().to_owned();
        if from.eq_ignore_ascii_case(&to) {
            return refuse(400, "SameGroup", "It is there already.");
        }
        if self.things.contains_key(&id.replace(&from, &to).to_lowercase()) {
            return refuse(409, "NameTaken", "Another is there.");
        }
        if !really {
            return Ok(Response::new(204, None));
        }
        let (key, below) = (id.to_lowercase(), format!("{}/", id.to_lowercase()));
        let moves = |other: &str| other == key || other.starts_with(&below);
        let (moving, staying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.things).into_iter().partition(|(other, _)| moves(other));
        self.things = staying.into_iter().collect();
        for (_, thing) in moving {
            let id = thing.id.replace(&from, &to);
            self.things.insert(id.to_lowercase(), Thing { id, ..thing });
        }
        Ok(Response::new(200, None))
    }

    fn list(&self, request: &Request, kind: &str, is_in: impl Fn(&str) -> bool) -> Result<Response, Refusal> {
        let top = match request.parameter("$top").map(str::parse::<usize>) {
            None => 100,
            Some(Ok(top)) if top > 0 => top,
            Some(_) => return refuse(400, "InvalidQueryParameter", "$top"),
        };
        let after = match request.parameter("$skipToken") {
            None => "",
            Some(token) if token.starts_with("/subscriptions/") => token,
            Some(_) => return refuse(400, "InvalidQueryParameter", "$skipToken"),
        };
        let here = |key: &&String| is_in(key) && type_of(key) == kind && key.as_str() > after;
        let found: Vec<_> = self.things.iter().filter(|(key, _)| here(key)).take(top + 1).collect();
        let page = &found[..found.len().min(top)];
        let value: Vec<Value> = page.iter().map(|(_, thing)| document(thing)).collect();
        let mut body = json!({ "value": value });
        if let (true, Some((last, _))) = (found.len() > top, page.last()) {
            let mut link = url::Url::parse(&origin(request)).unwrap();
            link.set_path(&request.path);
            let kept = request.query.iter().filter(|(key, _)| key != "$skipToken");
            link.query_pairs_mut().extend_pairs(kept).append_pair("$skipToken", last);
            body["nextLink"] = link.to_string().into();
        }
        Ok(Response::new(200, Some(body)))
    }
}

fn id_of_parent(id: &str, of_item: bool) -> &str {
    if of_item { id.rsplitn(3, '/').last().unwrap_or(id) } else { id }
}

fn type_of(key: &str) -> &'static str {
    match key {
        key if key.contains("/items/") => "boxes/items",
        key if key.contains("/lids/") => "boxes/lids",
        _ => "boxes",
    }
}

fn is_terminal(state: &str) -> bool {
    matches!(state, "Succeeded" | "Failed" | "Canceled")
}

fn etag_of(thing: &Thing) -> String {
    format!("\"{}\"", thing.revision)
}

/// Scheme and host that the client used.
fn origin(request: &Request) -> String {
    let referer = request.header("referer").and_then(|text| url::Url::parse(text).ok());
    let host = request.header("host").unwrap_or_default();
    referer.map_or_else(|| format!("http://{host}"), |url| url.origin().ascii_serialization())
}

fn follow(request: &Request, response: Response, subscription: &str, guid: &str) -> Response {
    let address = |kind: &str| {
        let origin = origin(request);
        format!(
            "{origin}/subscriptions/{subscription}/providers/{NAMESPACE}/locations/here/{kind}/{guid}?api-version={VERSION}"
        )
    };
    let response =
        response.with("azure-asyncoperation", address("operationStatuses")).with("retry-after", "10");
    if response.status == 202 { response.with("location", address("operationResults")) } else { response }
}

fn shown(thing: &Thing, status: u16) -> Response {
    Response::new(status, Some(document(thing))).with("etag", etag_of(thing))
}

fn document(thing: &Thing) -> Value {
    let mut document = thing.body.clone();
    let kind = type_of(&thing.id.to_lowercase());
    document["id"] = thing.id.as_str().into();
    document["name"] = thing.id.rsplit('/').next().into();
    document["type"] = format!("{NAMESPACE}/{kind}").into();
    document["etag"] = etag_of(thing).into();
    document["systemData"] = thing.system_data.clone();
    if document["systemData"]["createdAt"].is_null() {
        document["systemData"]["createdAt"] = "2026-11-26T12:00:00Z".into();
    }
    document["properties"]["provisioningState"] = thing.state.into();
    if let Some(properties) = document["properties"].as_object_mut() {
        properties.remove("password");
    }
    document
}
