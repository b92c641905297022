//! Enrolment over real HTTPS: the client against a small server around the provider's pure checks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use livedata_model::spec::Secret;
use livedata_pki::Authority;
use livedata_session::AgentAuthority;
use livedata_session::enrolment::client::{Error, Kind, enrol, renew_token};
use livedata_session::enrolment::{
    ENROL_PATH, Enrolled, InstallKey, IssuedKey, Rejection, RelayAccess, TOKEN_PATH, check_token_request,
    issue,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::world::{World, name};

const NOW: i64 = 1_000;
const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// What a provider keeps for enrolment.
struct Enrolment {
    agents: AgentAuthority,
    key: Mutex<Option<IssuedKey>>,
}

impl Enrolment {
    fn answer(&self, path: &str, body: &[u8]) -> Result<serde_json::Value, Rejection> {
        let malformed = |error: serde_json::Error| Rejection::BadRequest(error.to_string());
        match path {
            ENROL_PATH => {
                let request = serde_json::from_slice(body).map_err(malformed)?;
                let mut stored = self.key.lock().unwrap();
                let key = stored.as_mut().ok_or(Rejection::InstallKeyInvalid)?;
                key.spent_by = Some(key.admit(&request, NOW)?);
                Ok(serde_json::to_value(issue(&self.agents, &request, GUID, relay("first"))?).unwrap())
            }
            TOKEN_PATH => {
                let request: livedata_session::enrolment::TokenRequest =
                    serde_json::from_slice(body).map_err(malformed)?;
                let agent = check_token_request(&request, &self.agents, request.issued_at)?;
                assert_eq!(agent.migrator_guid(), GUID);
                Ok(serde_json::to_value(relay("second")).unwrap())
            }
            other => panic!("{other}"),
        }
    }
}

fn relay(token: &str) -> RelayAccess {
    RelayAccess {
        url: "wss://relay.example".into(),
        ca_pem: None,
        path: format!("agents/{GUID}"),
        listen_token: Secret(token.into()),
        listen_token_expires_at: NOW + 3600,
    }
}

/// HTTP/1.1 over TLS, one request to a connection; refused handshakes are the client's affair.
async fn serve(web: &Authority, enrolment: Arc<Enrolment>) -> SocketAddr {
    let identity = web.issue_server(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(None).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let (path, body) = read_request(&mut stream).await;
            let (status, json) = match enrolment.answer(&path, &body) {
                Ok(json) => (200, json),
                Err(rejection) => (rejection.http_status(), serde_json::to_value(rejection.reply()).unwrap()),
            };
            let json = json.to_string();
            let head =
                format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", json.len());
            stream.write_all((head + &json).as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address
}

async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length == Some(body.len()) {
            return (head.split(' ').nth(1).unwrap().to_owned(), body.as_bytes().to_vec());
        }
    }
}

struct Listener {
    web: Authority,
    enrolment: Arc<Enrolment>,
    address: SocketAddr,
}

impl Listener {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = Authority::load_or_create(&folder.path().join("web"), "web").unwrap();
        let agents = AgentAuthority::load_or_create(&folder.path().join("agents")).unwrap();
        let enrolment = Arc::new(Enrolment { agents, key: Mutex::new(None) });
        let address = serve(&web, Arc::clone(&enrolment)).await;
        Self { web, enrolment, address }
    }

    fn mint(&self, fingerprint: String) -> InstallKey {
        let url = format!("https://{}", self.address).parse().unwrap();
        let key = InstallKey::mint(url, fingerprint, "wss://relay.example".parse().unwrap(), "guid".into())
            .unwrap();
        let stored = IssuedKey { verifier: key.verifier(), expires_at: NOW + 3600, spent_by: None };
        *self.enrolment.key.lock().unwrap() = Some(stored);
        // As the operator carries it.
        InstallKey::from_text(&key.to_text()).unwrap()
    }
}

fn rejected(result: Result<Enrolled, Error>) -> (u16, String) {
    match result.map(|_| ()).unwrap_err() {
        Error::Rejected { status, code, .. } => (status, code),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_agent_enrols_keeps_its_identity_and_renews_its_token() {
    let listener = Listener::start().await;
    let key = listener.mint(listener.web.fingerprint());
    let folder = tempfile::tempdir().unwrap();
    assert!(Enrolled::load(folder.path()).unwrap().is_none());
    let enrolled = enrol(&key, folder.path(), "one", "0.1.0").await.unwrap();
    assert_eq!(enrolled.name, name("one"));
    assert_eq!(enrolled.relay.listen_token.0, "first");

    let mut again = Enrolled::load(folder.path()).unwrap().unwrap();
    again.relay = renew_token(&again).await.unwrap();
    again.save(folder.path()).unwrap();
    let again = Enrolled::load(folder.path()).unwrap().unwrap();
    assert_eq!((again.relay.listen_token.0.as_str(), again.relay.path), ("second", format!("agents/{GUID}")));

    // The identity is one that opens sessions with the provider's.
    let provider = listener.enrolment.agents.provider_identity().unwrap();
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (near, far) = tokio::join!(
        livedata_session::tls::open_as_provider(near, &provider, &again.name),
        livedata_session::tls::accept_as_agent(far, &again.identity)
    );
    near.unwrap();
    far.unwrap();
}

#[tokio::test]
async fn a_key_enrols_one_agent_but_may_be_sent_again_by_it() {
    let listener = Listener::start().await;
    let key = listener.mint(listener.web.fingerprint());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    enrol(&key, one.path(), "one", "0.1.0").await.unwrap();
    // As after a crash before the reply was written down.
    std::fs::remove_file(one.path().join("enrolment.json")).unwrap();
    enrol(&key, one.path(), "one", "0.1.0").await.unwrap();
    assert_eq!(rejected(enrol(&key, other.path(), "two", "0.1.0").await), (409, "InstallKeyUsed".into()));
}

#[tokio::test]
async fn wrong_and_expired_keys_are_told_apart() {
    let listener = Listener::start().await;
    let forgotten = listener.mint(listener.web.fingerprint());
    let key = listener.mint(listener.web.fingerprint());
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        rejected(enrol(&forgotten, folder.path(), "one", "0.1.0").await),
        (401, "InstallKeyInvalid".into())
    );
    listener.enrolment.key.lock().unwrap().as_mut().unwrap().expires_at = NOW;
    let error = enrol(&key, folder.path(), "one", "0.1.0").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(rejected(Err(error)), (410, "InstallKeyExpired".into()));
    assert!(Enrolled::load(folder.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_server_of_another_authority_gets_nothing() {
    let listener = Listener::start().await;
    let key = listener.mint("ab".repeat(32));
    let folder = tempfile::tempdir().unwrap();
    let error = enrol(&key, folder.path(), "one", "0.1.0").await.unwrap_err();
    assert!(matches!(error, Error::WrongServer { .. }), "{error:?}");
    assert!(listener.enrolment.key.lock().unwrap().as_ref().unwrap().spent_by.is_none());
}

#[tokio::test]
async fn nobody_at_the_address_is_worth_another_try() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listener = Listener::start().await;
    let mut key = listener.mint("ab".repeat(32));
    key.url = format!("https://{gone}").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = enrol(&key, folder.path(), "one", "0.1.0").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
}

#[tokio::test]
async fn a_certificate_of_another_provider_gets_no_token() {
    let listener = Listener::start().await;
    let key = listener.mint(listener.web.fingerprint());
    let folder = tempfile::tempdir().unwrap();
    let enrolled = enrol(&key, folder.path(), "one", "0.1.0").await.unwrap();
    let strangers = World::new();
    let stranger = Enrolled { identity: strangers.agent(&name("one")), ..enrolled };
    assert!(matches!(renew_token(&stranger).await, Err(Error::Rejected { status: 401, .. })));
}

#[tokio::test]
async fn a_damaged_enrolment_is_not_taken_for_none() {
    let listener = Listener::start().await;
    let key = listener.mint(listener.web.fingerprint());
    let folder = tempfile::tempdir().unwrap();
    enrol(&key, folder.path(), "one", "0.1.0").await.unwrap();
    std::fs::remove_file(folder.path().join("agent.pem")).unwrap();
    let damaged = |error| matches!(error, livedata_session::Error::EnrolmentDamaged { .. });
    assert!(damaged(Enrolled::load(folder.path()).unwrap_err()));
    std::fs::write(folder.path().join("enrolment.json"), "{").unwrap();
    assert!(damaged(Enrolled::load(folder.path()).unwrap_err()));
}
