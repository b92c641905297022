use reqwest::Method;
use serde_json::json;

use crate::provider::NAMESPACE;
use crate::world::World;

#[tokio::test]
async fn resources_are_found_by_the_filters_that_az_sends() {
    let world = World::new().await;
    world.register().await;
    for (group, name) in [("g1", "one"), ("g1", "two"), ("g2", "one")] {
        if name == "one" {
            world.make_group(group).await;
        }
        let path = format!("/resourceGroups/{group}/providers/{NAMESPACE}/things/{name}");
        let body = json!({"location": "westeurope", "properties": {"secret": 1}});
        assert_eq!(world.send(Method::PUT, &path, &body).await.status, 201);
    }
    let account = "/resourceGroups/g2/providers/Microsoft.Storage/storageAccounts/lake";
    assert_eq!(world.send(Method::PUT, account, &json!({"location": "westeurope"})).await.status, 200);

    for (path, expected) in [
        ("/resources", vec!["g1/one", "g1/two", "g2/one", "g2/lake"]),
        ("/resources?$filter=resourceGroup%20eq%20%27G1%27", vec!["g1/one", "g1/two"]),
        ("/resources?$filter=name+eq+%27ONE%27", vec!["g1/one", "g2/one"]),
        ("/resources?$filter=resourceGroup%20eq%20%27g1%27%20and%20name%20eq%20%27two%27", vec!["g1/two"]),
        (
            "/resources?%24filter=resourceType%20eq%20%27contoso.test%2FTHINGS%27",
            vec!["g1/one", "g1/two", "g2/one"],
        ),
        ("/resources?$filter=resourceType%20eq%20%27Microsoft.Storage%2FstorageAccounts%27", vec!["g2/lake"]),
        ("/resourceGroups/g2/resources", vec!["g2/one", "g2/lake"]),
        ("/resourceGroups/g2/resources?$filter=name%20eq%20%27one%27", vec!["g2/one"]),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let found: Vec<String> = answer.body["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let id: Vec<&str> = one["id"].as_str().unwrap().split('/').collect();
                format!("{}/{}", id[4], id[8])
            })
            .collect();
        assert_eq!(found, expected, "{path}");
        assert!(!answer.body.to_string().contains("secret"));
    }
    let expanded =
        world.get("/resources?$filter=name%20eq%20%27two%27&$expand=createdTime,provisioningState").await;
    assert_eq!(expanded.body["value"][0]["provisioningState"], "Succeeded");
    let bad = world.get("/resources?$filter=startswith(name,%27o%27)").await;
    assert_eq!((bad.status, bad.code()), (400, "InvalidFilterInQueryString"));
    assert_eq!(world.get("/resourceGroups/none/resources").await.status, 404);

    let before = world.provider.count();
    for name in ["none", "..%2F..%2Fx", "a%3Fb", "a%20b"] {
        let answer = world.get(&format!("/resources?$filter=resourceGroup%20eq%20%27{name}%27")).await;
        assert_eq!((answer.status, &answer.body["value"]), (200, &json!([])), "{name}");
    }
    assert_eq!(world.provider.count(), before);
}

#[tokio::test]
async fn a_namespace_that_is_not_registered_is_not_asked() {
    let world = World::new().await;
    assert_eq!(world.get("/resources").await.body["value"], json!([]));
    assert_eq!(world.provider.count(), 0);
}
