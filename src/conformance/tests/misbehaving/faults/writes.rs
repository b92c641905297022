//! Rules 37 to 58: PUT, PATCH, DELETE.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        37,
        "200 for a creation",
        told!(|_request, response| if response.status == 201 {
            response.status = 200
        }),
    ),
    (
        37,
        "another schema in lists",
        told!(|_request, response| if let Some(items) =
            response.body.as_mut().and_then(|body| body["value"].as_array_mut())
        {
            items.iter_mut().for_each(|item| remove(item, "properties"))
        }),
    ),
    (38, "PUT merges", |server, mut request| {
        if request.is("PUT") && server.things.contains_key(&request.path.to_lowercase()) {
            request.method = "PATCH".into();
            let mut response = answer(server, request.clone());
            if response.status == 202 {
                let read = answer(server, Request { method: "GET".into(), ..request });
                response = Response { status: 200, body: read.body, ..response };
            }
            return response;
        }
        answer(server, request)
    }),
    (
        39,
        "an empty body is an empty document",
        told!(|request, response| if request.is("PUT") && request.body.is_empty() {
            response = Response::new(201, Some(json!({})))
        }),
    ),
    (40, "a new etag after the same PUT", |server, request| {
        if request.is("PUT")
            && let Some(thing) = server.things.get_mut(&request.path.to_lowercase())
        {
            thing.revision += 1;
        }
        answer(server, request)
    }),
    (
        41,
        "any provisioningState",
        asked!(|request| edit_sent(&mut request, |body| {
            if let Some(properties) = body.get_mut("properties") {
                remove(properties, "provisioningState")
            }
        })),
    ),
    (
        41,
        "read-only properties are refused",
        told!(|request, response| if request.is("PUT") && request.json().get("systemData").is_some() {
            response = error(400, "ReadOnlyProperty")
        }),
    ),
    (
        43,
        "another code",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["error"]["code"] == "ParentResourceNotFound"
        {
            body["error"]["code"] = "NotFound".into()
        }),
    ),
    (
        44,
        "an answer that is not whole",
        told!(|request, response| if request.is("PUT") {
            edit_told(&mut response, |body| remove(&mut body["properties"], "text"))
        }),
    ),
    (
        45,
        "403 for a bad body",
        told!(|request, response| if request.is("PUT") && response.status == 415 {
            response.status = 403
        }),
    ),
    (47, "tags are merged", |server, mut request| {
        if request.is("PATCH")
            && let Some(thing) = server.things.get(&request.path.to_lowercase())
        {
            let tags = thing.body["tags"].clone();
            edit_sent(&mut request, |body| {
                if let Some(Value::Object(more)) = body.get("tags").cloned() {
                    let mut all = tags.as_object().cloned().unwrap_or_default();
                    all.extend(more);
                    body["tags"] = Value::Object(all);
                }
            });
        }
        answer(server, request)
    }),
    (
        48,
        "null keeps",
        asked!(|request| if request.is("PATCH") {
            edit_sent(&mut request, |body| {
                if body["properties"]["color"].is_null() && body["properties"].get("color").is_some() {
                    remove(&mut body["properties"], "color")
                }
            })
        }),
    ),
    (
        48,
        "arrays are added to",
        asked!(|request| if request.is("PATCH") {
            edit_sent(&mut request, |body| {
                if body["properties"]["marks"] == json!([]) {
                    remove(&mut body["properties"], "marks")
                }
            })
        }),
    ),
    (
        49,
        "PATCH requires what PUT requires",
        told!(|request, response| if request.is("PATCH") && request.json().get("properties").is_none() {
            response = error(400, "MissingProperty")
        }),
    ),
    (
        49,
        "PATCH of a name is ignored",
        asked!(|request| if request.is("PATCH") {
            edit_sent(&mut request, |body| remove(body, "name"))
        }),
    ),
    (
        51,
        "PATCH makes",
        told!(|request, response| if request.is("PATCH") && response.status == 404 {
            response = Response::new(200, Some(json!({"id": "x"})))
        }),
    ),
    (
        52,
        "null is a default",
        asked!(|request| if request.is("PATCH") {
            edit_sent(&mut request, |body| {
                if body["properties"]["size"].is_null() && body["properties"].get("size").is_some() {
                    body["properties"]["size"] = 1.into()
                }
            })
        }),
    ),
    (
        54,
        "404 for what is absent",
        told!(|request, response| if request.is("DELETE") && response.status == 204 {
            response = error(404, "NotFound")
        }),
    ),
    (
        54,
        "a body",
        told!(|request, response| if request.is("DELETE") && response.status == 202 {
            response.body = Some(json!({"status": "Accepted"}))
        }),
    ),
    (55, "no DELETE while creating", |server, request| {
        let busy =
            server.things.get(&request.path.to_lowercase()).is_some_and(|thing| thing.state == "Accepted");
        if request.is("DELETE") && busy { error(409, "Busy") } else { answer(server, request) }
    }),
    (57, "children stay", |server, request| {
        let kept = server.things.clone();
        let response = answer(server, request);
        for (key, thing) in kept.into_iter().filter(|(key, _)| key.contains("/items/")) {
            server.things.entry(key).or_insert(thing);
        }
        response
    }),
    (
        58,
        "no Deleting",
        told!(|_request, response| edit_told(&mut response, |body| {
            if body["properties"]["provisioningState"] == "Deleting" {
                body["properties"]["provisioningState"] = "Succeeded".into()
            }
        })),
    ),
    (
        50,
        "sku is fixed",
        told!(|request, response| if request.is("PATCH") && request.json().get("sku").is_some() {
            response = error(400, "PropertyChangeNotAllowed")
        }),
    ),
    (
        56,
        "what is needed is said to be deleted",
        told!(|request, response| if request.is("DELETE") && response.status == 409 {
            response = Response::new(200, None)
        }),
    ),
];
