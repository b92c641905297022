//! Rules 59 to 71: GET, lists, actions.

use super::*;

pub const FAULTS: &[Fault] = &[
    (
        59,
        "GET of what is absent is 204",
        told!(|request, response| if request.is("GET") && response.status == 404 {
            response = Response::new(204, None)
        }),
    ),
    (
        60,
        "not in the list of the subscription",
        told!(|request, response| if !request.path.contains("resourceGroups")
            && let Some(body) = &mut response.body
            && body["value"].is_array()
        {
            body["value"] = json!([])
        }),
    ),
    (
        61,
        "a count",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["value"].is_array()
        {
            body["count"] = 1.into()
        }),
    ),
    (
        62,
        "an empty nextLink",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["value"].is_array()
            && body.get("nextLink").is_none()
        {
            body["nextLink"] = "".into()
        }),
    ),
    (
        63,
        "nextLink of the provider's own",
        asked!(|request| request.headers.retain(|(name, _)| name != "referer")),
    ),
    (
        63,
        "nextLink without the filter",
        told!(|_request, response| if let Some(link) =
            response.body.as_mut().and_then(|body| body.get_mut("nextLink"))
        {
            *link = link.as_str().unwrap().replace("%24filter", "filter").replace("$filter", "filter").into()
        }),
    ),
    (64, "$top is not taken", asked!(|request| request.query.retain(|(key, _)| key != "$top"))),
    (
        64,
        "a bad $skipToken begins anew",
        asked!(|request| request.query.retain(|(key, value)| key != "$skipToken" || value.starts_with('/'))),
    ),
    (65, "pages by position", |server, mut request| {
        // The token names how many were told: what is removed before it lets another slip through.
        let told = request
            .parameter("$skipToken")
            .and_then(|token| token.strip_prefix("/subscriptions/")?.parse::<usize>().ok());
        if let Some(told) = told {
            request.query.retain(|(key, _)| key != "$top" && key != "$skipToken");
            let mut response = answer(server, request);
            let items = response.body.as_mut().unwrap()["value"].as_array_mut().unwrap();
            items.drain(..(told + 1).min(items.len()));
            return response;
        }
        let mut response = answer(server, request);
        if let Some(link) = response.body.as_mut().and_then(|body| body.get_mut("nextLink")) {
            let before = link.as_str().unwrap().split("%24skipToken").next().unwrap().to_owned();
            *link = format!("{before}%24skipToken=%2Fsubscriptions%2F1").into();
        }
        response
    }),
    (
        66,
        "403 in an unknown subscription",
        told!(|request, response| if request.is("GET") && !request.path.contains("11111111") {
            response = error(403, "Forbidden")
        }),
    ),
    (
        67,
        "HEAD is always 200",
        told!(|request, response| if request.is("HEAD") {
            response.status = 200
        }),
    ),
    (
        68,
        "actions in one casing",
        told!(|request, response| if request.path.ends_with("/OPEN") {
            response = error(404, "NotFound")
        }),
    ),
    (
        68,
        "GET of an action",
        told!(|request, response| if request.is("GET") && request.path.ends_with("/open") {
            response = Response::new(200, Some(json!({})))
        }),
    ),
    (
        69,
        "POST makes",
        told!(|request, response| if request.is("POST") && request.path.ends_with("/boxes") {
            response = Response::new(201, Some(json!({})))
        }),
    ),
    (
        70,
        "202 without Location",
        told!(|request, response| if request.is("POST") {
            response.set("location", None)
        }),
    ),
    (
        71,
        "Conflict says nothing",
        told!(|_request, response| if let Some(body) = &mut response.body
            && body["error"]["code"] == "BoxIsEmpty"
        {
            body["error"]["code"] = "Conflict".into()
        }),
    ),
    (
        119,
        "skus are not there",
        told!(|request, response| if request.path.ends_with("/skus") {
            response = error(404, "NotFound")
        }),
    ),
];
