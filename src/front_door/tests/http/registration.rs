use reqwest::Method;
use serde_json::json;

use crate::provider::NAMESPACE;
use crate::world::World;

#[tokio::test]
async fn writing_needs_a_registered_namespace_and_says_which() {
    let world = World::new().await;
    world.make_group("g").await;
    let thing = format!("/resourceGroups/g/providers/{}//things/one", NAMESPACE);
    let refused = world.send(Method::PUT, &thing, &json!({"location": "westeurope"})).await;
    assert_eq!((refused.status, refused.code()), (409, "MissingSubscriptionRegistration"));
    // How the Python SDKs find the namespace: the text between the last two single quotes.
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert_eq!(message.rsplit('\'').nth(1), Some(NAMESPACE));
    assert_eq!(world.get(&thing).await.status, 404);

    let lower = NAMESPACE.to_lowercase();
    let registered = world.post(&format!("/providers/{lower}/register")).await;
    assert_eq!((registered.status, &registered.body["registrationState"]), (200, &json!("Registered")));
    assert_eq!(registered.body["namespace"], NAMESPACE);
    assert_eq!(world.send(Method::PUT, &thing, &json!({"location": "westeurope"})).await.status, 201);

    let refused = world.post(&format!("/providers/{NAMESPACE}/unregister")).await;
    assert_eq!((refused.status, refused.code()), (409, "Conflict"));
    assert_eq!(world.delete(&thing).await.status, 200);
    let unregistered = world.post(&format!("/providers/{NAMESPACE}/unregister")).await;
    assert_eq!(unregistered.body["registrationState"], "Unregistered");
    assert_eq!(world.send(Method::PUT, &thing, &json!({"location": "westeurope"})).await.status, 409);
}

#[tokio::test]
async fn providers_are_listed_with_their_types() {
    let mut world = World::new().await;
    let shown = world.get(&format!("/providers/{NAMESPACE}")).await;
    assert_eq!((shown.status, &shown.body["registrationState"]), (200, &json!("NotRegistered")));
    assert_eq!(shown.body["resourceTypes"][0]["resourceType"], "things");
    assert_eq!(shown.body["resourceTypes"][0]["apiVersions"][0], crate::provider::VERSION);
    let listed = world.get("/providers").await;
    let names: Vec<&str> = listed.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["namespace"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Microsoft.Resources", "Microsoft.Storage", "Microsoft.CustomProviders", NAMESPACE]);
    let unknown = world.get("/providers/No.Body").await;
    assert_eq!((unknown.status, unknown.code()), (404, "InvalidResourceNamespace"));
    assert_eq!(world.post("/providers/Microsoft.Resources/unregister").await.status, 409);

    world.register().await;
    world.close().await;
    world.open().await;
    assert_eq!(world.get(&format!("/providers/{NAMESPACE}")).await.body["registrationState"], "Registered");
}
