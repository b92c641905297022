//! Rules 1 to 18: addresses and versions.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        1,
        "PUT of a collection is taken",
        told!(|request, response| if request.is("PUT") && response.status == 405 {
            response = Response::new(200, Some(json!({})))
        }),
    ),
    (
        2,
        "types in PascalCase",
        told!(|_request, response| edit_told(&mut response, |body| body["type"] = "Test.Things/Boxes".into())),
    ),
    (
        3,
        "a reserved word",
        told!(|_request, response| edit_told(&mut response, |body| body["type"] =
            "Test.Things/templates".into())),
    ),
    (4, "any group name", asked!(|request| request.path = request.path.replace(&"g".repeat(91), "g"))),
    (5, "long names", asked!(|request| request.path = request.path.replace(&"n".repeat(261), "n"))),
    (5, "control characters in names", asked!(|request| request.path = request.path.replace("%01", "x"))),
    (
        6,
        "a default api-version",
        asked!(|request| if request.parameter("api-version").is_none() {
            request.query.push(("api-version".into(), "2026-01-01-preview".into()))
        }),
    ),
    (
        7,
        "any api-version that begins well",
        asked!(|request| for (_, value) in &mut request.query {
            if value.ends_with("-nothing") {
                *value = "2026-01-01-preview".into()
            }
        }),
    ),
    (
        8,
        "unknown versions without the list",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["error"]["code"] == "InvalidApiVersionParameter"
        {
            body["error"]["message"] = "No.".into()
        }),
    ),
    (
        9,
        "a type without a version",
        told!(|request, response| if request.path.contains("/items/")
            && let Some(body) = &mut response.body
            && body["error"]["code"] == "InvalidApiVersionParameter"
        {
            body["error"]["message"] = "2020-01-01".into()
        }),
    ),
    (
        10,
        "literals in one casing",
        asked!(|request| if request.path.contains("PrOvIdErS") {
            not_there(&mut request)
        }),
    ),
    (
        10,
        "api-version in one casing",
        asked!(|request| request
            .query
            .retain(|(key, _)| !key.eq_ignore_ascii_case("api-version") || key == "api-version")),
    ),
    (
        11,
        "names in one casing",
        asked!(|request| if request.path.contains("CnF") {
            not_there(&mut request)
        }),
    ),
    (12, "names in lower case", asked!(|request| request.path = lower_name(&request.path))),
    (12, "the casing of the first PUT", |server, mut request| {
        let stored = server.things.get(&request.path.to_lowercase()).map(|thing| thing.id.clone());
        request.path = stored.unwrap_or(request.path);
        answer(server, request)
    }),
    (
        13,
        "the body's name decides",
        asked!(|request| if request.is("PUT")
            && let Some(name) = request.json()["name"].as_str()
        {
            request.path = format!("{}/{name}", request.path.rsplit_once('/').unwrap().0)
        }),
    ),
    (
        15,
        "subscriptionId decides",
        asked!(|request| if request.parameter("subscriptionId").is_some() {
            not_there(&mut request)
        }),
    ),
    (
        16,
        "404 for a wrong method",
        told!(|_request, response| if response.status == 405 {
            response = error(404, "NotFound")
        }),
    ),
    (
        16,
        "an empty 404",
        told!(|_request, response| if response.status == 404 {
            response.body = None
        }),
    ),
    (
        17,
        "four types deep",
        told!(|_request, response| if let Some(first) =
            response.body.as_mut().and_then(|body| body.pointer_mut("/value/0/name"))
        {
            *first = "Test.Things/a/b/c/d/write".into()
        }),
    ),
    (
        18,
        "types beneath no subscription",
        told!(|request, response| if request.path.starts_with("/providers/") && response.status == 404 {
            response = Response::new(200, Some(json!({"value": []})))
        }),
    ),
];
