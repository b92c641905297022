//! Wrong answers, each with the rule that it breaks.

use serde_json::{Value, json};

use crate::http::{Answer, Request, Response};
use crate::server::{Server, answer};

/// The answer to a request that was changed on its way.
macro_rules! asked {
    (|$request:ident| $change:expr) => {
        |server: &mut Server, mut $request: Request| {
            $change;
            answer(server, $request)
        }
    };
}
/// The answer, changed on its way back.
macro_rules! told {
    (|$request:ident, $response:ident| $change:expr) => {
        |server: &mut Server, $request: Request| {
            let mut $response = answer(server, $request.clone());
            $change;
            $response
        }
    };
}

fn edit_sent(request: &mut Request, edit: impl Fn(&mut Value)) {
    let mut body = request.json();
    if body.is_object() {
        edit(&mut body);
        request.body = body.to_string().into_bytes();
    }
}

/// Every resource in an answer.
fn edit_told(response: &mut Response, edit: impl Fn(&mut Value)) {
    let Some(body) = &mut response.body else { return };
    if body.get("systemData").is_some() {
        edit(body);
    }
    body.get_mut("value").and_then(Value::as_array_mut).into_iter().flatten().for_each(|item| {
        if item.get("systemData").is_some() {
            edit(item);
        }
    });
}

fn remove(value: &mut Value, member: &str) {
    value.as_object_mut().map(|members| members.remove(member));
}

fn is_item(body: &Value) -> bool {
    body["type"].as_str().is_some_and(|kind| kind.ends_with("items"))
}

fn is_operation(request: &Request) -> bool {
    request.path.contains("/locations/here/")
}

fn error(status: u16, code: &str) -> Response {
    let body = json!({"error": {"code": code, "message": "It is wrong."}});
    Response::new(status, Some(body)).with("x-ms-error-code", code).with("content-type", "application/json")
}

/// The path with its last segment in lower case.
fn lower_name(path: &str) -> String {
    path.rsplit_once('/')
        .map(|(before, last)| format!("{before}/{}", last.to_lowercase()))
        .unwrap_or_default()
}

fn not_there(request: &mut Request) {
    request.path.push_str("gone");
}

/// The number of the rule, what is wrong, and how.
pub type Fault = (u16, &'static str, Answer);

#[path = "faults/addresses.rs"]
mod addresses;
#[path = "faults/conditions.rs"]
mod conditions;
#[path = "faults/documents.rs"]
mod documents;
#[path = "faults/errors.rs"]
mod errors;
#[path = "faults/lists.rs"]
mod lists;
#[path = "faults/operations.rs"]
mod operations;
#[path = "faults/writes.rs"]
mod writes;

pub fn all() -> impl Iterator<Item = &'static Fault> {
    [
        addresses::FAULTS,
        documents::FAULTS,
        writes::FAULTS,
        lists::FAULTS,
        operations::FAULTS,
        errors::FAULTS,
        conditions::FAULTS,
    ]
    .into_iter()
    .flatten()
}
