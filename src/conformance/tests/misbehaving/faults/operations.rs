//! Rules 72 to 91: long-running operations.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        72,
        "terminal at once",
        told!(|request, response| if request.is("PUT") {
            edit_told(&mut response, |body| body["properties"]["provisioningState"] = "Succeeded".into())
        }),
    ),
    (
        73,
        "Cancelled",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &mut response.body
            && body["status"] == "Failed"
        {
            body["status"] = "failed".into()
        }),
    ),
    (
        74,
        "no provisioningState in GET",
        told!(|request, response| if request.is("GET") {
            edit_told(&mut response, |body| remove(&mut body["properties"], "provisioningState"))
        }),
    ),
    (
        75,
        "the old state meanwhile",
        told!(|_request, response| edit_told(&mut response, |body| {
            if body["properties"]["provisioningState"] == "Updating" {
                body["properties"]["size"] = 2.into()
            }
        })),
    ),
    (
        76,
        "202 with a body",
        told!(|_request, response| if response.status == 202 {
            response.body = Some(json!({}))
        }),
    ),
    (
        77,
        "202 without Location",
        told!(|_request, response| if response.status == 202 {
            response.set("location", None)
        }),
    ),
    (
        78,
        "links of the provider's own",
        told!(|_request, response| if let Some(link) = response
            .header("azure-asyncoperation")
            .map(|link| link.replace("arm.conformance.example", "provider.internal"))
        {
            response.set("azure-asyncoperation", Some(&link))
        }),
    ),
    (
        78,
        "links without api-version",
        told!(|_request, response| if let Some(link) =
            response.header("location").map(|link| link.replace("api-version", "v"))
        {
            response.set("location", Some(&link))
        }),
    ),
    (
        79,
        "Retry-After of 1 s",
        told!(|_request, response| if response.header("retry-after").is_some() {
            response.set("retry-after", Some("1"))
        }),
    ),
    (
        80,
        "a result of PATCH without body",
        told!(|request, response| if request.path.contains("operationResults") && response.status == 200 {
            response = Response::new(204, None)
        }),
    ),
    (
        81,
        "the status of a failure is a failure",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &response.body
            && body["status"] == "Failed"
        {
            response.status = 500
        }),
    ),
    (
        82,
        "progress in words",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &mut response.body
            && body.get("status").is_some()
        {
            body["percentComplete"] = "all".into()
        }),
    ),
    (
        82,
        "a name of its own",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &mut response.body
            && body.get("status").is_some()
        {
            body["name"] = "mine".into()
        }),
    ),
    (
        83,
        "a failure without error",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &mut response.body
        {
            remove(body, "error")
        }),
    ),
    (
        84,
        "operations beneath the resource",
        told!(|_request, response| for name in ["location", "azure-asyncoperation"] {
            if let Some(link) =
                response.header(name).map(|link| link.replace("/providers/", "/resourceGroups/g/providers/"))
            {
                response.set(name, Some(&link))
            }
        }),
    ),
    (
        85,
        "ids by number",
        told!(|_request, response| if let Some((before, _)) =
            response.header("azure-asyncoperation").and_then(|link| link.rsplit_once('/'))
        {
            let link =
                format!("{before}/00000000-0000-0000-0000-000000000001?api-version=2026-01-01-preview");
            response.set("azure-asyncoperation", Some(&link))
        }),
    ),
    (
        86,
        "operations of all subscriptions",
        asked!(|request| if is_operation(&request) {
            let mut parts: Vec<&str> = request.path.split('/').collect();
            parts[2] = "11111111-2222-4333-8444-555555555555";
            request.path = parts.join("/")
        }),
    ),
    (89, "the last writer wins", |server, request| {
        if request.is("PUT")
            && let Some(thing) = server.things.get_mut(&request.path.to_lowercase())
        {
            thing.state = "Succeeded";
        }
        let is_operation = is_operation(&request);
        let mut response = answer(server, request);
        if let Some(body) = response.body.as_mut().filter(|_| is_operation) {
            body["status"] = "InProgress".into();
        }
        response
    }),
    (
        91,
        "cancelled operations fail",
        told!(|request, response| if is_operation(&request)
            && let Some(body) = &mut response.body
            && body["status"] == "Canceled"
        {
            body["status"] = "Failed".into()
        }),
    ),
];
