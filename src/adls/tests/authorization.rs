//! What a client shows of who it is: shared access signatures, and tokens of Entra ID, which a server of these tests gives out.

use std::process::Stdio;

use livedata_adls::{
    Config, CreateOptions, Credential, Filesystem, Identity, Network, ResourceKind, RetryBudget, Sas,
    SasToken, Secret,
};
use livedata_filesystem::{Condition, ErrorKind, TargetPath};
use livedata_pki::Authority;
use url::Url;

use crate::peers::{Request, Server};

const CREATED: (&str, &str) = ("201 Created\r\netag: \"0x1\"", "");

fn created() -> (&'static str, String) {
    (CREATED.0, CREATED.1.to_owned())
}

fn sas(text: &str) -> SasToken {
    SasToken::parse(text).unwrap()
}

/// A container at a server that speaks plain HTTP.
fn container(server: &Server, credential: Credential) -> Filesystem {
    let endpoint = format!("http://{}/account", server.address).parse().unwrap();
    Filesystem::new(Config::new(endpoint, "account", "container", credential)).unwrap()
}

#[tokio::test]
async fn a_signature_goes_with_every_request_and_with_the_source_of_a_rename() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Server::start(None, |_| created()).await;
    let token = Sas::new(sas("?sv=2023-11-03&sp=rw&sig=a%2Fb%3D"));
    let filesystem = container(&server, Credential::Sas(token));
    let (from, to) = (TargetPath::new("from ü"), TargetPath::new("to"));
    let etag = filesystem
        .create(&from, ResourceKind::File, &CreateOptions::default(), &Condition::Absent)
        .await
        .unwrap();
    filesystem.rename(&from, &to, &Condition::Absent, Some(&etag)).await.unwrap();
    let requests = server.take_requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.head.lines().next().unwrap()).collect();
    let signature = "sv=2023-11-03&sp=rw&sig=a%2Fb%3D";
    assert_eq!(
        lines,
        [
            format!("PUT /account/container/from%20%C3%BC?resource=file&{signature} HTTP/1.1"),
            format!("PUT /account/container/to?mode=legacy&{signature} HTTP/1.1"),
        ]
    );
    let source = requests[1].header("x-ms-rename-source").unwrap();
    assert_eq!(source, format!("/container/from%20%C3%BC?{signature}"));
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn a_renewed_signature_goes_with_the_next_try() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let token = Sas::new(sas("sv=1&sig=old"));
    let session = token.clone();
    let server = Server::start(None, move |request| {
        if request.head.contains("sig=new") {
            return created();
        }
        session.renew(sas("sv=1&sig=new"));
        ("503 Busy\r\nx-ms-error-code: ServerBusy\r\nretry-after: 0", String::new())
    })
    .await;
    let filesystem = container(&server, Credential::Sas(token));
    let (from, to) = (TargetPath::new("from"), TargetPath::new("to"));
    let etag = livedata_filesystem::Etag("\"0x1\"".to_owned());
    filesystem.rename(&from, &to, &Condition::Absent, Some(&etag)).await.unwrap();
    let requests = server.take_requests();
    assert_eq!(requests.len(), 2);
    let (line, source) = (requests[1].head.lines().next().unwrap(), requests[1].header("x-ms-rename-source"));
    assert_eq!(
        line, "PUT /account/container/to?mode=legacy&sv=1&sig=new HTTP/1.1",
        "one signature, the new one"
    );
    assert_eq!(source, Some("/container/from?sv=1&sig=new"));
}

#[tokio::test]
async fn signatures_are_in_no_message() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Server::start(None, |_| ("204 No Content", String::new())).await;
    let mut filesystem = container(&server, Credential::Sas(Sas::new(sas("sv=1&sig=secret"))));
    let error = filesystem
        .create(&TargetPath::new("a"), ResourceKind::File, &CreateOptions::default(), &Condition::Any)
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{free}/account").parse().unwrap();
    let mut config =
        Config::new(endpoint, "account", "container", Credential::Sas(Sas::new(sas("sv=1&sig=secret"))));
    config.retry = RetryBudget { tries: 1, ..RetryBudget::default() };
    assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    filesystem = Filesystem::new(config).unwrap();
    let error = filesystem.properties(&TargetPath::new("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

/// Gives out tokens and is the service too, over TLS.
struct Tenant {
    server: Server,
    network: Network,
    _folder: tempfile::TempDir,
}

impl Tenant {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "authority of these tests").unwrap();
        let identity = authority.issue_server(&["localhost"], &[[127, 0, 0, 1].into()]).unwrap();
        let server = Server::start(Some(identity.server_config(None).unwrap()), Self::answer).await;
        let network =
            Network { authorities_pem: Some(authority.certificate_pem().to_owned()), ..Network::default() };
        Self { server, network, _folder: folder }
    }

    fn answer(request: &Request) -> (&'static str, String) {
        const JSON: &str = "200 OK\r\ncontent-type: application/json";
        if request.head.starts_with("GET /managed") {
            let expires = "4102444800";
            let body = format!(
                r#"{{"access_token":"managed","expires_on":"{expires}","resource":"r","token_type":"Bearer"}}"#
            );
            return (JSON, body);
        }
        if !request.head.starts_with("POST /tenant/oauth2/v2.0/token ") {
            return created();
        }
        let proven =
            request.body.contains("client_secret=right") || request.body.contains("client_assertion=signed");
        if !proven {
            let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}"#;
            return ("401 Unauthorized\r\ncontent-type: application/json", body.to_owned());
        }
        (
            JSON,
            r#"{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"token"}"#
                .to_owned(),
        )
    }

    fn url(&self) -> Url {
        format!("https://{}/", self.server.address).parse().unwrap()
    }

    fn container(&self, identity: Identity) -> Filesystem {
        let credential = identity.credential(&self.network, Some(&self.url())).unwrap();
        let endpoint = self.url().join("account").unwrap();
        let mut config = Config::new(endpoint, "account", "container", credential);
        config.network = self.network.clone();
        Filesystem::new(config).unwrap()
    }

    async fn create_two(&self, identity: Identity) -> Vec<Request> {
        let filesystem = self.container(identity);
        for name in ["one", "two"] {
            filesystem
                .create(
                    &TargetPath::new(name),
                    ResourceKind::File,
                    &CreateOptions::default(),
                    &Condition::Any,
                )
                .await
                .unwrap();
        }
        self.server.take_requests()
    }
}

fn client_secret(secret: &'static str) -> Identity {
    Identity::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "application".to_owned(),
        secret: Secret::new(secret),
    }
}

#[tokio::test]
async fn an_application_proves_itself_once_and_shows_its_token_each_time() {
    let tenant = Tenant::start().await;
    let requests = tenant.create_two(client_secret("right")).await;
    assert_eq!(requests.len(), 3, "{requests:?}");
    let asked = &requests[0];
    assert!(asked.body.contains("client_id=application"), "{asked:?}");
    assert!(asked.body.contains("scope=https%3A%2F%2Fstorage.azure.com%2F.default"), "{asked:?}");
    for request in &requests[1..] {
        assert_eq!(request.header("authorization"), Some("Bearer token"));
    }
}

#[tokio::test]
async fn who_gets_no_token_learns_why() {
    let tenant = Tenant::start().await;
    let filesystem = tenant.container(client_secret("wrong"));
    let error = filesystem.properties(&TargetPath::new("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable, "{error}");
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
    assert!(tenant.server.take_requests().iter().all(|request| request.head.starts_with("POST /tenant/")));
}

#[tokio::test]
async fn tokens_are_sent_over_tls_only() {
    let tenant = Tenant::start().await;
    let credential = client_secret("right").credential(&tenant.network, None).unwrap();
    let endpoint = "http://127.0.0.1:1/account".parse().unwrap();
    let error = Filesystem::new(Config::new(endpoint, "account", "container", credential)).unwrap_err();
    assert!(error.to_string().contains("only sent over https"), "{error}");
}

#[tokio::test]
async fn a_service_account_of_kubernetes_shows_the_token_in_its_file() {
    let tenant = Tenant::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "signed").unwrap();
    let identity = Identity::Workload {
        tenant_id: Some("tenant".to_owned()),
        client_id: Some("application".to_owned()),
        token_file: Some(file),
    };
    let requests = tenant.create_two(identity).await;
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[0].body.contains("client_assertion=signed"), "{:?}", requests[0]);
    assert_eq!(requests[2].header("authorization"), Some("Bearer token"));
}

/// Where the tokens of a managed identity come from stands in the environment, which a process gets when it starts: this
/// test starts itself.
#[tokio::test]
async fn a_managed_identity_is_that_of_its_environment() {
    let tenant = Tenant::start().await;
    if std::env::var_os("IDENTITY_HEADER").is_some() {
        let requests =
            tenant.create_two(Identity::Managed { client_id: Some("one of ours".to_owned()) }).await;
        assert_eq!(requests.len(), 2, "its tokens come from elsewhere");
        assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer managed")));
        return;
    }
    let machine = Server::start(None, Tenant::answer).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "authorization::a_managed_identity_is_that_of_its_environment", "--nocapture"]);
    child.env("IDENTITY_ENDPOINT", format!("http://{}/managed", machine.address));
    child.env("IDENTITY_HEADER", "header of these tests");
    let ended =
        child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && told.contains("1 passed"), "{told}");
    let requests = machine.take_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let line = requests[0].head.lines().next().unwrap();
    assert!(
        line.contains("client_id=one") && line.contains("resource=https%3A%2F%2Fstorage.azure.com"),
        "{line}"
    );
    assert_eq!(requests[0].header("x-identity-header"), Some("header of these tests"));
}
