//! Our own client at the storage service over TLS, with an identity that signs in at the front door, and with signatures made
//! with that identity's user delegation key.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::TryStreamExt as _;
use livedata_adls::{
    AfterAppend, Config, CreateOptions, Credential, Filesystem, Identity, Network, ResourceKind, Sas,
    SasToken, Secret,
};
use livedata_filesystem::{Condition, ErrorKind, TargetPath, Upload};
use reqwest::Method;
use serde_json::json;
use url::form_urlencoded;

use crate::world::{CLIENT_ID, CLIENT_SECRET, TENANT, World};

struct Lake {
    world: World,
    network: Network,
}

impl Lake {
    /// With the account `lake` and its container `data`.
    async fn new() -> Self {
        let world = World::new().await;
        world.make_group("g").await;
        let path = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/lake";
        let body = json!({"location": "westeurope", "properties": {"isHnsEnabled": true}});
        assert_eq!(world.send(Method::PUT, path, &body).await.status, 200);
        let authorities_pem = Some(world.authority.certificate_pem().to_owned());
        let lake = Self { world, network: Network { authorities_pem, ..Network::default() } };
        lake.container(lake.application(CLIENT_SECRET)).create_filesystem().await.unwrap();
        lake
    }

    fn application(&self, secret: &'static str) -> Credential {
        let identity = Identity::ClientSecret {
            tenant_id: TENANT.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            secret: Secret::new(secret),
        };
        identity.credential(&self.network, Some(&self.world.url().parse().unwrap())).unwrap()
    }

    fn container(&self, credential: Credential) -> Filesystem {
        let endpoint = format!("{}/lake", self.world.emulator.storage_url()).parse().unwrap();
        let mut config = Config::new(endpoint, "lake", "data", credential);
        config.network = self.network.clone();
        config.retry.tries = 2;
        Filesystem::new(config).unwrap()
    }

    /// Letters for the container, signed with a new user delegation key of the application.
    async fn delegated(&self, letters: &str) -> SasToken {
        const VERSION: &str = "2023-11-03";
        let end = "2099-01-01T00:00:00Z";
        let scope = "https://storage.azure.com/.default";
        let granted = self.world.token_request(TENANT, CLIENT_ID, CLIENT_SECRET, scope).await;
        let token = granted.body["access_token"].as_str().unwrap();
        let expiry = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap() + time::Duration::HOUR;
        let expiry = expiry.format(&time::format_description::well_known::Rfc3339).unwrap();
        let url =
            format!("{}/lake/?restype=service&comp=userdelegationkey", self.world.emulator.storage_url());
        let body = format!("<KeyInfo><Start></Start><Expiry>{expiry}</Expiry></KeyInfo>");
        let asked = self.world.client.post(url).bearer_auth(token).header("x-ms-version", VERSION).body(body);
        let reply = asked.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let xml = reply.text().await.unwrap();
        let element = |name: &str| {
            let (_, after) = xml.split_once(&format!("<{name}>")).unwrap();
            after.split('<').next().unwrap().to_owned()
        };
        let names =
            ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion"];
        let parts = names.map(element);
        let text = format!(
            "{letters}\n\n{end}\n/blob/lake/data\n{}\n\n\n\n\n\n{VERSION}\nc\n\n\n\n\n\n\n",
            parts.join("\n")
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(element("Value")).unwrap());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("sv", VERSION), ("sr", "c"), ("sp", letters), ("se", end)]);
        query.extend_pairs(["skoid", "sktid", "skt", "ske", "sks", "skv"].iter().zip(&parts));
        query.append_pair("sig", &BASE64.encode(hmac::sign(&key, text.as_bytes())));
        SasToken::parse(&query.finish()).unwrap()
    }
}

async fn write(filesystem: &Filesystem, path: &str, data: &'static [u8]) -> livedata_filesystem::Result<()> {
    let path = TargetPath::new(path);
    let options = CreateOptions::default();
    filesystem.create(&path, ResourceKind::File, &options, &Condition::Absent).await?;
    filesystem.append(&path, Upload { position: 0, data: data.into() }, AfterAppend::FlushAndClose).await?;
    Ok(())
}

async fn read(filesystem: &Filesystem, path: &str) -> Vec<u8> {
    let content = filesystem.read(&TargetPath::new(path), None, &Condition::Any).await.unwrap();
    let pieces: Vec<_> = content.bytes.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn an_application_signs_in_here_and_writes_and_reads_there() {
    let lake = Lake::new().await;
    let filesystem = lake.container(lake.application(CLIENT_SECRET));
    write(&filesystem, "directory/file", b"content").await.unwrap();
    assert_eq!(read(&filesystem, "directory/file").await, b"content");
    let (from, to) = (TargetPath::new("directory/file"), TargetPath::new("moved"));
    filesystem.rename(&from, &to, &Condition::Absent, None).await.unwrap();
    assert_eq!(read(&filesystem, "moved").await, b"content");
    filesystem.delete(&to, false, &Condition::Any).await.unwrap();
    assert!(filesystem.properties(&to).await.unwrap().is_none());

    let error = lake.container(lake.application("another secret")).properties(&from).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable, "{error}");
}

#[tokio::test]
async fn a_signature_by_user_delegation_is_renewed_while_in_use() {
    let lake = Lake::new().await;
    let sas = Sas::new(lake.delegated("rl").await);
    let filesystem = lake.container(Credential::Sas(sas.clone()));
    let error = write(&filesystem, "file", b"content").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    sas.renew(lake.delegated("rwcdlm").await);
    write(&filesystem, "file", b"content").await.unwrap();
    let (from, to) = (TargetPath::new("file"), TargetPath::new("moved"));
    filesystem.rename(&from, &to, &Condition::Absent, None).await.unwrap();
    sas.renew(lake.delegated("r").await);
    assert_eq!(read(&filesystem, "moved").await, b"content");
    let error = filesystem.delete(&to, false, &Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn a_container_is_told_of_once_it_is_there() {
    let Lake { world, .. } = Lake::new().await;
    let account = "/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/lake";
    let container = |name: &str| format!("{account}/blobServices/default/containers/{name}");
    let found = world.get(&container("data")).await;
    assert_eq!(found.status, 200, "{}", found.body);
    let known: azure_mgmt_storage::package_2023_05::models::BlobContainer =
        serde_json::from_value(found.body).unwrap();
    assert!(known.properties.unwrap().last_modified_time.is_some());
    let missing = world.get(&container("missing")).await;
    assert_eq!((missing.status, missing.code()), (404, "ContainerNotFound"));
    let unknown = world.get(&format!("{account}no/blobServices/default/containers/data")).await;
    assert_eq!((unknown.status, unknown.code()), (404, "ResourceNotFound"));
}
