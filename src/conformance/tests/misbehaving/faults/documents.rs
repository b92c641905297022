//! Rules 19 to 36: documents.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        19,
        "an id with the host",
        told!(|_request, response| edit_told(&mut response, |body| body["id"] =
            format!("https://here{}", body["id"].as_str().unwrap()).into())),
    ),
    (
        19,
        "items of a list without type",
        told!(|_request, response| if let Some(items) =
            response.body.as_mut().and_then(|body| body["value"].as_array_mut())
        {
            items.iter_mut().for_each(|item| remove(item, "type"))
        }),
    ),
    (
        20,
        "own members at the top",
        told!(|_request, response| edit_told(&mut response, |body| body["guid"] = "x".into())),
    ),
    (
        20,
        "tags in properties",
        told!(|_request, response| edit_told(&mut response, |body| body["properties"]["tags"] = json!({}))),
    ),
    (
        21,
        "a location of proxies",
        told!(|_request, response| edit_told(&mut response, |body| if is_item(body) {
            body["location"] = "here".into()
        })),
    ),
    (
        21,
        "location is optional",
        asked!(|request| if request.is("PUT") && !request.path.contains("/items/") {
            edit_sent(&mut request, |body| {
                if body.get("location").is_none() {
                    body["location"] = "westeurope".into()
                }
            })
        }),
    ),
    (
        22,
        "locations as texts",
        told!(|request, response| if request.is("PUT")
            && request.json()["location"].as_str().is_some_and(|given| given.contains(' '))
        {
            response = error(400, "PropertyChangeNotAllowed")
        }),
    ),
    (
        22,
        "another location",
        asked!(|request| edit_sent(&mut request, |body| if body.get("location").is_some() {
            body["location"] = "westeurope".into()
        })),
    ),
    (
        23,
        "tags in lower case",
        told!(|_request, response| edit_told(&mut response, |body| if !body["tags"].is_null() {
            body["tags"] = serde_json::from_str(&body["tags"].to_string().to_lowercase()).unwrap()
        })),
    ),
    (
        23,
        "any name of a tag",
        asked!(|request| edit_sent(&mut request, |body| if body["tags"]["a<b"].is_string() {
            remove(body, "tags")
        })),
    ),
    (
        25,
        "sku in properties",
        told!(|_request, response| edit_told(&mut response, |body| body["properties"]["sku"] =
            json!({"name": "big"}))),
    ),
    (
        26,
        "unknown properties are dropped at one type",
        asked!(|request| if request.path.contains("/items/") {
            edit_sent(&mut request, |body| remove(&mut body["properties"], "conformanceUnknown"))
        }),
    ),
    (
        26,
        "no target",
        told!(|_request, response| if let Some(body) = &mut response.body {
            remove(&mut body["error"], "target")
        }),
    ),
    (
        27,
        "any text as a reference",
        asked!(|request| edit_sent(&mut request, |body| if body["properties"].get("partner").is_some() {
            remove(&mut body["properties"], "partner")
        })),
    ),
    (
        28,
        "a secret in a list",
        told!(|request, response| if !request.path.contains("/items/") {
            edit_told(&mut response, |body| {
                if is_item(body) {
                    body["properties"]["password"] = "open sesame 7".into()
                }
            })
        }),
    ),
    (
        29,
        "children in their parent",
        told!(|_request, response| edit_told(&mut response, |body| if !is_item(body) {
            body["properties"]["items"] = json!([{"id": format!("{}/items/x", body["id"].as_str().unwrap())}])
        })),
    ),
    (
        30,
        "systemData from the body",
        told!(|_request, response| edit_told(&mut response, |body| body["systemData"]["createdBy"] =
            "forged".into())),
    ),
    (
        30,
        "no systemData",
        told!(|_request, response| if let Some(body) = &mut response.body {
            remove(body, "systemData")
        }),
    ),
    (31, "a child's change", |server, request| {
        if request.is("PUT") && request.path.contains("/items/") {
            let mut parent = request.clone();
            parent.path = request.path.split("/items/").next().unwrap().to_owned();
            parent.body = json!({"location": "westeurope", "properties": {"size": 2, "label": "x"}})
                .to_string()
                .into_bytes();
            answer(server, parent);
        }
        answer(server, request)
    }),
    (
        32,
        "another systemData after a failure",
        told!(|_request, response| edit_told(&mut response, |body| {
            if body["properties"]["provisioningState"] == "Failed" {
                body["systemData"]["lastModifiedBy"] = "system".into()
            }
        })),
    ),
    (
        33,
        "known types only",
        told!(|_request, response| edit_told(&mut response, |body| body["systemData"]["createdByType"] =
            "User".into())),
    ),
    (
        35,
        "the header is required",
        told!(|request, response| if request.is("PUT")
            && request.header("x-ms-arm-resource-system-data").is_none()
        {
            response = error(400, "MissingHeader")
        }),
    ),
    (
        36,
        "no locationData",
        asked!(|request| edit_sent(&mut request, |body| remove(&mut body["properties"], "locationData"))),
    ),
    (
        24,
        "any kind",
        asked!(|request| edit_sent(&mut request, |body| if body["kind"] == "no such kind" {
            body["kind"] = "Wooden".into()
        })),
    ),
];
