use azure_mgmt_storage::package_2023_05::models::{
    StorageAccount, StorageAccountListKeysResult, storage_account,
};
use reqwest::Method;
use serde_json::json;

use crate::world::{CLIENT_ID, CLIENT_SECRET, TENANT, World, read};

const PATH: &str = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/lake";

async fn ready() -> World {
    let world = World::new().await;
    world.make_group("g").await;
    world
}

#[tokio::test]
async fn an_account_is_made_in_the_emulator_and_read_by_the_management_library() {
    let world = ready().await;
    let body = json!({
        "location": "West Europe", "kind": "StorageV2", "sku": {"name": "Standard_GRS"}, "tags": {"a": "b"},
        "properties": {"isHnsEnabled": true, "minimumTlsVersion": "TLS1_2", "provisioningState": "Succeeded"},
    });
    let made = world.send(Method::PUT, PATH, &body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let shown = world.get(&PATH.to_uppercase()).await;
    assert_eq!(shown.body, made.body);
    let account: StorageAccount = serde_json::from_value(shown.body).unwrap();
    assert_eq!(account.kind, Some(storage_account::Kind::StorageV2));
    let properties = account.properties.unwrap();
    assert_eq!(properties.is_hns_enabled, Some(true));
    let endpoint = format!("{}/lake/", world.emulator.storage_url());
    assert_eq!(properties.primary_endpoints.unwrap().dfs, Some(endpoint.clone()));
    assert!(properties.creation_time.is_some() && properties.key_creation_time.unwrap().key1.is_some());

    // The emulator knows the account: an unsigned request to it fails for want of a signature, not of the account.
    let known = world.client.get(format!("{endpoint}?resource=account")).send().await.unwrap();
    let unknown = format!("{}/nolake/?resource=account", world.emulator.storage_url());
    let unknown = world.client.get(unknown).send().await.unwrap();
    assert!(known.status().is_client_error());
    assert_ne!(known.headers().get("x-ms-error-code"), unknown.headers().get("x-ms-error-code"));

    assert_eq!(world.send(Method::PUT, PATH, &body).await.status, 200);
    let patched = world.send(Method::PATCH, PATH, &json!({"tags": {"c": "d"}})).await;
    assert_eq!(
        (&patched.body["tags"], &patched.body["sku"]["name"]),
        (&json!({"c": "d"}), &json!("Standard_GRS"))
    );
    let listed = world.get("/providers/Microsoft.Storage/storageAccounts").await;
    assert_eq!(listed.body["value"][0]["name"], "lake");
    assert_eq!(world.delete(PATH).await.status, 200);
    assert_eq!(world.delete(PATH).await.status, 204);
    let gone = world.get(PATH).await;
    assert_eq!((gone.status, gone.code()), (404, "ResourceNotFound"));
}

#[tokio::test]
async fn keys_are_listed_and_made_anew_one_at_a_time() {
    let world = ready().await;
    world.send(Method::PUT, PATH, &json!({"location": "westeurope"})).await;
    let keys = async |path: String, body: serde_json::Value| {
        let answer = world.send(Method::POST, &path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let keys: StorageAccountListKeysResult = serde_json::from_value(answer.body).unwrap();
        let names: Vec<String> = keys.keys.iter().map(|key| key.key_name.clone().unwrap()).collect();
        assert_eq!(names, ["key1", "key2"]);
        keys.keys.into_iter().map(|key| key.value.unwrap()).collect::<Vec<String>>()
    };
    let first = keys(format!("{PATH}/listKeys"), json!({})).await;
    assert_eq!(first, keys(format!("{PATH}/LISTKEYS"), json!({})).await);
    let second = keys(format!("{PATH}/regenerateKey"), json!({"keyName": "key2"})).await;
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_eq!(second, keys(format!("{PATH}/listKeys"), json!({})).await);
    let bad = world.send(Method::POST, &format!("{PATH}/regenerateKey"), &json!({"keyName": "key3"})).await;
    assert_eq!((bad.status, bad.code()), (400, "InvalidKeyName"));
    assert!(!world.get(PATH).await.body.to_string().contains(&first[0]));
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused() {
    let world = ready().await;
    world.make_group("other").await;
    world.send(Method::PUT, PATH, &json!({"location": "westeurope"})).await;
    for (path, body, status, code) in [
        (PATH.replace("lake", "NewLake"), json!({"location": "westeurope"}), 400, "AccountNameInvalid"),
        (
            PATH.replace("/g/", "/other/"),
            json!({"location": "westeurope"}),
            409,
            "StorageAccountAlreadyTaken",
        ),
        (PATH.to_owned(), json!({"location": "eastus"}), 409, "InvalidResourceLocation"),
        (PATH.to_owned(), json!({"properties": {"isHnsEnabled": true}}), 409, "PropertyCannotBeChanged"),
        (PATH.to_owned(), json!({"kind": "BlobStorage"}), 409, "PropertyCannotBeChanged"),
        (PATH.to_owned(), json!({"properties": {"isHnsEnabled": "yes"}}), 400, "InvalidRequestContent"),
        (PATH.replace("lake", "newlake"), json!({}), 400, "LocationRequired"),
        (
            PATH.replace("lake", "newlake"),
            json!({"location": "x", "kind": "Tape"}),
            400,
            "InvalidAccountKind",
        ),
        (
            PATH.replace("lake", "newlake"),
            json!({"location": "x", "kind": "BlobStorage", "properties": {"isHnsEnabled": true}}),
            400,
            "InvalidAccountKind",
        ),
        (PATH.replace("storageAccounts", "disks"), json!({}), 404, "InvalidResourceType"),
    ] {
        let answer = world.send(Method::PUT, &path, &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}");
    }
    let list = world.get("/providers/Microsoft.Storage/storageAccounts").await;
    assert_eq!(list.body["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_can_be_asked_for_before_it_is_taken() {
    let world = ready().await;
    let ask = async |name: &str| {
        let path = "/providers/Microsoft.Storage/checkNameAvailability";
        let body = json!({"name": name, "type": "Microsoft.Storage/storageAccounts"});
        let answer = world.send(Method::POST, path, &body).await;
        assert_eq!(answer.status, 200);
        answer.body["reason"].as_str().unwrap_or("Available").to_owned()
    };
    assert_eq!(ask("lake").await, "Available");
    world.send(Method::PUT, PATH, &json!({"location": "westeurope"})).await;
    assert_eq!(ask("lake").await, "AlreadyExists");
    assert_eq!(ask("My Lake").await, "AccountNameInvalid");
}

#[tokio::test]
async fn a_token_for_storage_opens_the_account_and_not_the_cloud() {
    let world = ready().await;
    world
        .send(Method::PUT, PATH, &json!({"location": "westeurope", "properties": {"isHnsEnabled": true}}))
        .await;
    let token = async |scope: &str| {
        let granted = world.token_request(TENANT, CLIENT_ID, CLIENT_SECRET, scope).await;
        assert_eq!(granted.status, 200, "{}", granted.body);
        granted.body["access_token"].as_str().unwrap().to_owned()
    };
    let storage = token("https://storage.azure.com/.default").await;
    let container = format!("{}/lake/data?resource=filesystem", world.emulator.storage_url());
    let make = async |token: &str| {
        let request = world.client.put(&container).header("content-length", "0").bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    let cloud = token(&format!("{}/.default", world.url())).await;
    assert_eq!(make(&cloud).await, 401);
    assert_eq!(make(&storage).await, 201);
    let subscriptions = format!("{}/subscriptions?api-version=2022-12-01", world.url());
    let groups = world.client.get(subscriptions).bearer_auth(&storage);
    assert_eq!(read(groups.send().await.unwrap()).await.status, 401);
}
