//! A relay with a certificate authority of its own, and clients that trust it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use livedata_relay::{Backoff, Endpoint, Grant, Listener, Listening, Token};
use livedata_relay_server::{Key, Limits, Options, RelayServer, Right, Rule, Rules, Running};
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::watch;
use url::Url;

pub mod raw;

pub const KEY: &str = "the key of this test";

pub struct Fixture {
    pub authority: Authority,
    /// Tokens that were made for [`Fixture::listening`].
    pub minted: watch::Sender<u32>,
    url: Url,
    running: Option<Running>,
}

pub struct Authority {
    pub client: Arc<rustls::ClientConfig>,
    pub server: Arc<rustls::ServerConfig>,
}

impl Authority {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, authority_key);

        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();

        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Self { client: Arc::new(client), server: Arc::new(server) }
    }
}

pub fn limits() -> Limits {
    Limits { upgrade_burst: 1_000_000, ..Limits::default() }
}

pub fn options(authority: &Authority, port: u16, limits: Limits) -> Options {
    let rule = |name: &str, right| Rule {
        name: name.to_owned(),
        primary_key: Key("an older key".to_owned()),
        secondary_key: Some(Key(KEY.to_owned())),
        rights: vec![right],
        scope_path: None,
    };
    Options {
        listen: ([127, 0, 0, 1], port).into(),
        public_url: Url::parse("wss://localhost:0").unwrap(),
        tls: Arc::clone(&authority.server),
        rules: Rules(vec![rule("listen", Right::Listen), rule("send", Right::Send)]),
        limits,
    }
}

impl Fixture {
    pub async fn start() -> Self {
        Self::start_with(limits()).await
    }

    pub async fn start_with(limits: Limits) -> Self {
        let authority = Authority::new();
        let running = RelayServer::start(options(&authority, 0, limits)).await.unwrap();
        let url = running.public_url().clone();
        Self { authority, minted: watch::Sender::new(0), url, running: Some(running) }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await.unwrap();
    }

    pub async fn restart(&mut self, options: Options) {
        self.running = Some(RelayServer::start(options).await.unwrap());
    }

    pub fn endpoint(&self, path: &str) -> Endpoint {
        Endpoint::new(self.url.clone(), path, Arc::clone(&self.authority.client))
    }

    pub fn token(&self, rule: &str, key: &str, lifetime_seconds: u64) -> Token {
        mint(&self.endpoint("").resource(), rule, key, lifetime_seconds)
    }

    pub fn listen_token(&self) -> Token {
        self.token("listen", KEY, 600)
    }

    pub fn send_token(&self) -> Token {
        self.token("send", KEY, 600)
    }

    pub async fn listen(&self, path: &str) -> Listener {
        Listener::connect(self.endpoint(path), &self.listen_token()).await.unwrap()
    }

    pub fn listening(&self, path: &str, lifetime: Duration) -> Listening {
        let endpoint = self.endpoint(path);
        let resource = endpoint.resource();
        let minted = self.minted.clone();
        let tokens = move || {
            minted.send_modify(|count| *count += 1);
            let token = mint(&resource, "listen", KEY, lifetime.as_secs());
            async move { Ok(Grant { token, lifetime }) }
        };
        let backoff = Backoff { first: Duration::from_millis(10), ..Backoff::default() };
        Listening::new(endpoint, tokens, backoff)
    }
}

fn mint(resource: &str, rule: &str, key: &str, lifetime_seconds: u64) -> Token {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Token::sign(resource, rule, key, now + lifetime_seconds)
}
