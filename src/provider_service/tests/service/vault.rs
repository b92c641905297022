//! A vault on loopback that answers as the REST reference of Key Vault says, with RSA keys of its own: challenge, token, wrap,
//! unwrap, refusals. (No emulator of Key Vault comes from the registries that tests may use.)

use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livedata_pki::Authority;
use serde_json::{Value, json};
use url::Url;

pub const TENANT: &str = "3f1f2a5c-4e5e-4a3a-9d5d-0a4a2b1c6d7e";
const TOKEN: &str = "a token of the vault";

#[derive(Default)]
struct State {
    /// The newest is the last; a version is its place.
    versions: Vec<PrivateDecryptingKey>,
    /// What it answers instead.
    refusal: Option<(u16, &'static str)>,
    refuses_unwrap: bool,
    counts: Counts,
}

/// What it was asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    pub requests: usize,
    /// Requests that showed a token.
    pub with_token: usize,
    pub wrapped: usize,
    pub unwrapped: usize,
}

#[derive(Clone)]
pub struct Vault {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Vault {
    pub fn start(authority: &Authority) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let tls = authority.issue_server(&["localhost"], &[]).unwrap().server_config(None).unwrap();
        let (address, told) = std::sync::mpsc::channel();
        let shared = web::Data::from(Arc::clone(&state));
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(shared.clone())
                        .route(&format!("/{TENANT}/oauth2/v2.0/token"), web::post().to(token))
                        .route("/keys/{name}/{version:[^/]*}/{operation}", web::post().to(operate))
                })
                .workers(1)
                .disable_signals()
                .bind_rustls_0_23(("127.0.0.1", 0), tls)
                .unwrap();
                address.send(server.addrs()[0].port()).unwrap();
                server.run().await.unwrap();
            });
        });
        let vault = Self { state, port: told.recv().unwrap() };
        vault.renew();
        vault
    }

    /// A new version of its key.
    pub fn renew(&self) {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        self.state.lock().unwrap().versions.push(key);
    }

    pub fn refuse(&self, refusal: Option<(u16, &'static str)>) {
        self.state.lock().unwrap().refusal = refusal;
    }

    /// As to who may wrap only.
    pub fn refuse_unwrap(&self, refuse: bool) {
        self.state.lock().unwrap().refuses_unwrap = refuse;
    }

    pub fn counts(&self) -> Counts {
        self.state.lock().unwrap().counts
    }

    pub fn address(&self) -> Url {
        Url::parse(&format!("https://localhost:{}/", self.port)).unwrap()
    }

    pub fn key(&self) -> Url {
        self.address().join("keys/livedata").unwrap()
    }
}

async fn token(form: String) -> HttpResponse {
    assert!(form.contains("scope=https%3A%2F%2Fvault.azure.net%2F.default"), "{form}");
    HttpResponse::Ok().json(json!({"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN}))
}

fn refused(status: u16, code: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap();
    HttpResponse::build(status).json(json!({"error": {"code": code, "message": "told by the vault"}}))
}

async fn operate(
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    body: String,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    let mut state = state.lock().unwrap();
    state.counts.requests += 1;
    match request.headers().get("authorization") {
        None => {
            let challenge = format!(
                "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"https://vault.azure.net\""
            );
            return HttpResponse::Unauthorized().insert_header(("www-authenticate", challenge)).finish();
        }
        Some(shown) => {
            state.counts.with_token += 1;
            assert_eq!(shown, &format!("Bearer {TOKEN}"));
        }
    }
    if let Some((status, code)) = state.refusal {
        return refused(status, code);
    }
    let (name, version, operation) = path.into_inner();
    if operation == "unwrapkey" && state.refuses_unwrap {
        return refused(403, "Forbidden");
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["alg"], "RSA-OAEP-256");
    let value = URL_SAFE_NO_PAD.decode(body["value"].as_str().unwrap()).unwrap();
    let newest = state.versions.len() - 1;
    let version = if version.is_empty() { newest } else { version.parse().unwrap() };
    let Some(key) = state.versions.get(version).filter(|_| name == "livedata") else {
        return refused(404, "KeyNotFound");
    };
    let mut out = vec![0; 256];
    let done = match operation.as_str() {
        "wrapkey" => {
            let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            let public = PublicEncryptingKey::from_der(public.as_ref()).unwrap();
            let public = OaepPublicEncryptingKey::new(public).unwrap();
            public.encrypt(&OAEP_SHA256_MGF1SHA256, &value, &mut out, None).map(|done| done.to_vec())
        }
        "unwrapkey" => {
            let private = OaepPrivateDecryptingKey::new(key.clone()).unwrap();
            private.decrypt(&OAEP_SHA256_MGF1SHA256, &value, &mut out, None).map(|done| done.to_vec())
        }
        _ => return refused(404, "NotFound"),
    };
    let Ok(done) = done else { return refused(400, "BadParameter") };
    if operation == "wrapkey" {
        state.counts.wrapped += 1;
    } else {
        state.counts.unwrapped += 1;
    }
    let host = request.connection_info().host().to_owned();
    let kid = format!("https://{host}/keys/{name}/{version}");
    HttpResponse::Ok().json(json!({"kid": kid, "value": URL_SAFE_NO_PAD.encode(done)}))
}
