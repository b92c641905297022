//! Rules 105 to 124: etags, subscriptions, names, callers.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        105,
        "another etag in the header",
        told!(|_request, response| if response.header("etag").is_some() {
            response.set("etag", Some("\"other\""))
        }),
    ),
    (
        106,
        "If-Match is not looked at",
        asked!(|request| request.headers.retain(|(name, _)| name != "if-match")),
    ),
    (
        107,
        "If-None-Match is not looked at",
        asked!(|request| request.headers.retain(|(name, _)| name != "if-none-match")),
    ),
    (
        107,
        "If-Match: * is an etag",
        told!(|request, response| if request.is("PUT") && request.header("if-match") == Some("*") {
            response = error(412, "PreconditionFailed")
        }),
    ),
    (
        108,
        "412 for PATCH of what is absent",
        told!(|request, response| if request.is("PATCH") && response.status == 404 {
            response = error(412, "PreconditionFailed")
        }),
    ),
    (
        108,
        "DELETE without condition",
        asked!(|request| if request.is("DELETE") {
            request.headers.retain(|(name, _)| name != "if-match")
        }),
    ),
    (109, "every writer wins", |server, mut request| {
        request.headers.retain(|(name, _)| name != "if-match");
        if request.is("PUT")
            && let Some(thing) = server.things.get_mut(&request.path.to_lowercase())
        {
            thing.state = "Succeeded";
        }
        answer(server, request)
    }),
    (
        110,
        "no subscription is Warned",
        told!(|request, response| if request.json()["state"] == "Warned" {
            response = error(400, "UnknownState")
        }),
    ),
    (
        111,
        "Suspended means nothing",
        asked!(|request| edit_sent(&mut request, |body| if body["state"] == "Suspended" {
            body["state"] = "Registered".into()
        })),
    ),
    (112, "nobody has to register", |server, request| {
        let subscription = request.path.split('/').nth(2).unwrap_or_default().to_owned();
        if request.is("PUT") && request.path.contains("/boxes/") && !subscription.starts_with("11111111") {
            let registration = Request {
                path: format!("/subscriptions/{subscription}"),
                body: br#"{"state": "Registered"}"#.to_vec(),
                ..request.clone()
            };
            answer(server, registration);
        }
        answer(server, request)
    }),
    (
        113,
        "an action is missing",
        told!(|_request, response| if let Some(items) =
            response.body.as_mut().and_then(|body| body["value"].as_array_mut())
        {
            items.retain(|item| item["name"] != "Test.Things/boxes/open/action")
        }),
    ),
    (
        114,
        "no description",
        told!(|_request, response| if let Some(display) =
            response.body.as_mut().and_then(|body| body.pointer_mut("/value/0/display"))
        {
            remove(display, "description")
        }),
    ),
    (
        115,
        "any name",
        told!(|request, response| if request.path.ends_with("checkNameAvailability") {
            response.body = Some(json!({"nameAvailable": true}))
        }),
    ),
    (
        117,
        "preflight fails by status",
        told!(|request, response| if request.path.ends_with("/preflight")
            && response.body.as_ref().unwrap()["status"] == "Failed"
        {
            response.status = 400
        }),
    ),
    (116, "children stay behind", |server, request| {
        let kept = server.things.clone();
        let moves = request.path.ends_with("/moveResources");
        let response = answer(server, request);
        if moves {
            server.things.retain(|key, _| kept.contains_key(key) || !key.contains("/items/"));
        }
        response
    }),
    (
        116,
        "a move into the same group",
        told!(|request, response| if request.path.ends_with("MoveResources") && response.status == 400 {
            response = Response::new(204, None)
        }),
    ),
    (
        123,
        "signatures are not looked at",
        asked!(|request| if request.header("authorization").is_some() {
            request.headers.retain(|(name, _)| name != "authorization");
            request.headers.push(("authorization".into(), format!("Bearer {}", crate::server::TOKEN)))
        }),
    ),
];
