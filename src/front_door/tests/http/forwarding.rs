use reqwest::Method;
use serde_json::{Value, json};

use crate::provider::{NAMESPACE, VERSION};
use crate::world::{CLIENT_ID, SUBSCRIPTION, TENANT, World, read};

async fn ready() -> World {
    let world = World::new().await;
    world.make_group("g").await;
    world.register().await;
    world
}

fn thing(name: &str) -> String {
    format!("/resourceGroups/g/providers/{NAMESPACE}/things/{name}")
}

#[tokio::test]
async fn the_provider_gets_arms_headers_and_nothing_that_a_client_made_up() {
    let world = ready().await;
    let path = format!("/resourcegroups/g/providers/{NAMESPACE}//things/One/");
    let correlation = "0f0f0f0f-0000-4000-8000-000000000000";
    let body = json!({"location": "westeurope", "properties": {"long": true}});
    let request = world
        .request(Method::PUT, &path)
        .json(&body)
        .header("x-ms-arm-resource-system-data", "{\"createdBy\":\"mallory\"}")
        .header("x-ms-arm-anything", "mallory")
        .header("x-ms-home-tenant-id", "mallory")
        .header("x-ms-client-tenant-id", "mallory")
        .header("x-ms-client-object-id", "mallory")
        .header("referer", "https://mallory.example")
        .header("cookie", "mallory=1")
        .header("x-ms-correlation-request-id", correlation)
        .header("x-ms-client-request-id", "client-7")
        .header("x-ms-return-client-request-id", "true")
        .header("if-match", "*");
    let answer = read(request.send().await.unwrap()).await;
    assert_eq!(answer.status, 201);

    let seen = world.provider.last();
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    assert!(!format!("{seen:?}").contains("mallory"), "{seen:?}");
    assert_eq!(header("authorization"), None);
    assert_eq!(header("if-match"), Some("*"));
    assert_eq!(
        seen.target,
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourcegroups/g/providers/{NAMESPACE}/things/One?api-version={VERSION}"
        )
    );
    let sent = format!("{}/subscriptions/{SUBSCRIPTION}{path}?api-version={VERSION}", world.url());
    assert_eq!(header("referer"), Some(sent.as_str()));
    assert_eq!(header("x-ms-correlation-request-id"), Some(correlation));
    assert_eq!(header("x-ms-client-request-id"), Some("client-7"));
    assert_eq!(header("x-ms-home-tenant-id"), Some(TENANT));
    assert_eq!(header("x-ms-client-tenant-id"), Some(TENANT));
    let system_data: Value = serde_json::from_str(header("x-ms-arm-resource-system-data").unwrap()).unwrap();
    assert_eq!(
        (&system_data["createdBy"], &system_data["createdByType"]),
        (&json!(CLIENT_ID), &json!("Application"))
    );
    assert!(system_data["lastModifiedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(seen.body, body);

    assert_eq!(answer.header("azure-asyncoperation"), Some("https://localhost/operation"));
    assert_eq!(answer.header("location"), Some("https://localhost/result"));
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("x-ms-request-id"), Some("provider-request"));
    assert_eq!(answer.header("x-ms-custom"), Some("kept"));
    assert_eq!(answer.header("x-ms-correlation-request-id"), Some(correlation));
    assert_eq!(answer.header("x-ms-client-request-id"), Some("client-7"));
    assert_eq!(answer.header("set-cookie"), None);
    let shown = world.get(&thing("one")).await;
    assert_eq!((shown.status, shown.header("etag")), (200, Some("\"1\"")));
    assert!(!world.provider.last().headers.contains_key("x-ms-arm-resource-system-data"));
}

#[tokio::test]
async fn a_providers_errors_come_through_as_they_are() {
    let world = ready().await;
    let missing = world.get(&thing("none")).await;
    assert_eq!((missing.status, missing.code()), (404, "ResourceNotFound"));
    assert_eq!(world.delete(&thing("none")).await.status, 204);
    let head = world.request(Method::HEAD, &thing("none")).send().await.unwrap();
    assert_eq!(head.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_meant_for_a_provider_never_reaches_it() {
    let world = ready().await;
    let before = world.provider.count();
    let no_group = world.get(&format!("/resourceGroups/none/providers/{NAMESPACE}/things/a")).await;
    assert_eq!((no_group.status, no_group.code()), (404, "ResourceGroupNotFound"));
    let nobody = world.get("/resourceGroups/g/providers/No.Body/things/a").await;
    assert_eq!((nobody.status, nobody.code()), (404, "InvalidResourceNamespace"));
    let slash = world.get(&thing("a%2fb")).await;
    assert_eq!((slash.status, slash.code()), (400, "InvalidRequestUri"));
    let url = format!("{}/subscriptions/{SUBSCRIPTION}{}", world.url(), thing("a"));
    let unversioned = read(world.client.get(&url).bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!((unversioned.status, unversioned.code()), (400, "MissingApiVersionParameter"));
    let oddly = world.client.get(format!("{url}?api-version=latest")).bearer_auth(&world.token);
    assert_eq!(read(oddly.send().await.unwrap()).await.code(), "InvalidApiVersionParameter");
    let long = world.request(Method::PUT, &thing("a")).body(vec![b' '; 4 * 1024 * 1024 + 1]);
    let long = read(long.send().await.unwrap()).await;
    assert_eq!((long.status, long.code()), (413, "RequestEntityTooLarge"));
    assert_eq!(world.provider.count(), before);
}

#[tokio::test]
async fn a_provider_that_is_down_is_503() {
    let world = ready().await;
    world.provider.stop().await;
    let answer = world.get_when_down(&thing("a")).await;
    assert_eq!((answer.status, answer.code()), (503, "ResourceProviderUnavailable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(world.get("/resources").await.status, 503);
}

#[tokio::test]
async fn lists_and_operations_of_a_provider_are_reached_too() {
    let world = ready().await;
    assert_eq!(world.send(Method::PUT, &thing("a"), &json!({"location": "westeurope"})).await.status, 201);
    let listed = world.get(&format!("/providers/{NAMESPACE}/things")).await;
    assert_eq!(listed.body["value"][0]["name"], "a");
    let url = format!("{}/providers/{NAMESPACE}/operations?api-version={VERSION}", world.url());
    assert_ne!(world.client.get(&url).bearer_auth(&world.token).send().await.unwrap().status(), 401);
    assert_eq!(
        world.provider.last().target,
        format!("/providers/{NAMESPACE}/operations?api-version={VERSION}")
    );
    assert_eq!(world.client.get(&url).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_move_is_the_word_of_the_provider_in_its_own_version() {
    let world = ready().await;
    world.make_group("other").await;
    let group = |name: &str| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}");
    let one = format!("{}/providers/{NAMESPACE}/things/one", group("g"));
    let ask = async |action: &str, to: &str, resources: &[&str]| {
        let body = json!({"targetResourceGroup": to, "resources": resources});
        world.send(Method::POST, &format!("/resourceGroups/g/{action}"), &body).await
    };
    for action in ["validateMoveResources", "moveResources"] {
        assert_eq!(ask(action, &group("other"), &[&one]).await.status, 204);
        let seen = world.provider.last();
        let target = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/g/{action}?api-version={VERSION}");
        assert_eq!((seen.target.as_str(), &seen.body["resources"]), (target.as_str(), &json!([one])));
        assert!(seen.headers.contains_key("x-ms-arm-resource-system-data"));
    }
    let asked = world.provider.count();
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/lake", group("g"));
    for (to, resources, status, code) in [
        (group("missing"), vec![one.as_str()], 404, "ResourceGroupNotFound"),
        (
            "/subscriptions/another/resourceGroups/g".to_owned(),
            vec![one.as_str()],
            404,
            "SubscriptionNotFound",
        ),
        ("other".to_owned(), vec![one.as_str()], 400, "InvalidMoveRequest"),
        (group("other"), vec![], 400, "InvalidMoveRequest"),
        (group("other"), vec!["one"], 400, "InvalidMoveRequest"),
        (group("other"), vec![account.as_str()], 400, "InvalidMoveRequest"),
        (group("other"), vec![one.as_str(), account.as_str()], 400, "InvalidMoveRequest"),
    ] {
        let refused = ask("moveResources", &to, &resources).await;
        assert_eq!((refused.status, refused.code()), (status, code), "{resources:?} to {to}");
    }
    assert_eq!(world.provider.count(), asked, "the provider was not asked");
}
