use reqwest::Method;
use serde_json::json;

use crate::provider::NAMESPACE;
use crate::world::{SUBSCRIPTION, World, read};

#[tokio::test]
async fn a_group_lives_under_any_casing_and_slashes() {
    let world = World::new().await;
    let body = json!({"location": "West Europe", "tags": {"a": "b"}});
    let made = world.send(Method::PUT, "/resourcegroups/Lake", &body).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.body["id"], format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/Lake"));
    assert_eq!(made.body["properties"]["provisioningState"], "Succeeded");
    for path in ["/resourceGroups/lake", "/RESOURCEGROUPS/LAKE", "//resourcegroups//Lake/"] {
        let shown = world.get(path).await;
        assert_eq!((shown.status, &shown.body["name"]), (200, &json!("Lake")), "{path}");
    }
    let again = world.send(Method::PUT, "/resourceGroups/LAKE", &json!({"location": "westeurope"})).await;
    assert_eq!((again.status, &again.body["name"], &again.body["tags"]), (200, &json!("Lake"), &json!({})));
    let tagged = world.send(Method::PATCH, "/resourceGroups/lake", &json!({"tags": {"c": "d"}})).await;
    assert_eq!((tagged.status, &tagged.body["tags"]), (200, &json!({"c": "d"})));
    assert_eq!(world.get("/resourcegroups").await.body["value"].as_array().unwrap().len(), 1);
    let filtered =
        world.get("/resourcegroups?$filter=tagName%20eq%20%27c%27%20and%20tagValue%20eq%20%27x%27").await;
    assert_eq!(filtered.body["value"], json!([]));

    let head = |name: &str| world.request(Method::HEAD, &format!("/resourcegroups/{name}")).send();
    assert_eq!(head("lake").await.unwrap().status(), 204);
    let deleted = world.delete("/resourcegroups/lake").await;
    assert_eq!((deleted.status, deleted.header("retry-after")), (202, Some("1")));
    assert_eq!(world.settle(deleted.header("location").unwrap()).await.status, 200);
    assert_eq!(head("lake").await.unwrap().status(), 404);
    let gone = world.get("/resourceGroups/lake").await;
    assert_eq!((gone.status, gone.code()), (404, "ResourceGroupNotFound"));
    assert_eq!(world.delete("/resourceGroups/lake").await.status, 404);
}

#[tokio::test]
async fn bad_groups_are_refused() {
    let world = World::new().await;
    world.make_group("here").await;
    let put = async |name: &str, body: serde_json::Value| {
        let answer = world.send(Method::PUT, &format!("/resourcegroups/{name}"), &body).await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(
        put("here", json!({"location": "eastus"})).await,
        (409, "InvalidResourceGroupLocation".to_owned())
    );
    assert_eq!(put("new", json!({})).await, (400, "LocationRequired".to_owned()));
    assert_eq!(put("new", json!([])).await, (400, "InvalidRequestContent".to_owned()));
    assert_eq!(put("ends.", json!({"location": "x"})).await, (400, "InvalidResourceGroupName".to_owned()));
    assert_eq!(put("a%20b", json!({"location": "x"})).await, (400, "InvalidResourceGroupName".to_owned()));
    let url = format!("{}/subscriptions/someone-else/resourcegroups?api-version=2024-11-01", world.url());
    let other = read(world.client.get(url).bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!((other.status, other.code()), (404, "SubscriptionNotFound"));
    let wrong = world.post("/resourcegroups/here").await;
    assert_eq!((wrong.status, wrong.code()), (405, "MethodNotAllowed"));
}

#[tokio::test]
async fn deleting_a_group_deletes_what_is_in_it_and_nothing_else() {
    let world = World::new().await;
    world.register().await;
    for group in ["first", "second"] {
        world.make_group(group).await;
        for thing in ["one", "two"] {
            let path = format!("/resourceGroups/{group}/providers/{NAMESPACE}/things/{thing}");
            assert_eq!(world.send(Method::PUT, &path, &json!({"location": "westeurope"})).await.status, 201);
        }
        let path = format!("/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/lake{group}");
        assert_eq!(world.send(Method::PUT, &path, &json!({"location": "westeurope"})).await.status, 200);
    }
    let deleted = world.delete("/resourceGroups/first").await;
    assert_eq!(world.settle(deleted.header("location").unwrap()).await.status, 200);
    let left = world.get("/resources").await;
    let mut names: Vec<&str> =
        left.body["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["lakesecond", "one", "two"]);
    assert!(left.body["value"][0]["id"].as_str().unwrap().contains("/resourceGroups/second/"));
}

#[tokio::test]
async fn a_deletion_goes_on_after_a_restart() {
    let mut world = World::new().await;
    world.register().await;
    world.make_group("held").await;
    let thing = format!("/resourceGroups/held/providers/{NAMESPACE}/things/one");
    assert_eq!(world.send(Method::PUT, &thing, &json!({"location": "westeurope"})).await.status, 201);
    *world.provider.state.holds.lock().unwrap() = true;
    let deleted = world.delete("/resourceGroups/held").await;
    let location = deleted.header("location").unwrap().strip_prefix(&world.url()).unwrap().to_owned();
    let again = world.delete("/resourceGroups/held").await;
    assert_eq!(again.header("location").unwrap().strip_prefix(&world.url()).unwrap(), location);
    assert_eq!(world.get("/resourceGroups/held").await.body["properties"]["provisioningState"], "Deleting");
    let refused = world.send(Method::PUT, &thing, &json!({"location": "westeurope"})).await;
    assert_eq!((refused.status, refused.code()), (409, "ResourceGroupBeingDeleted"));
    world.close().await;

    *world.provider.state.holds.lock().unwrap() = false;
    world.open().await;
    assert_eq!(world.settle(&format!("{}{location}", world.url())).await.status, 200);
    assert_eq!(world.get("/resourceGroups/held").await.status, 404);
}
