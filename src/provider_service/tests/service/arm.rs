//! Who may call the ARM listener of a provider that runs from its folder, with ARM's list on a real HTTPS server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livedata_pki::{Authority, Identity, PublishedCertificates, file, trust};
use livedata_provider_service::arm_certificates::{ArmCertificates, FetchError, Pace, fetch};
use livedata_provider_service::{Error, FRONT_DOOR_URI, start};
use tempfile::TempDir;
use url::Url;

/// What ARM's server answers: a list, or a status.
type Answer = Result<Vec<Identity>, u16>;

#[derive(Default)]
struct Published {
    answer: Mutex<Option<Answer>>,
    asked: AtomicUsize,
}

struct Site {
    folder: TempDir,
    servers: Authority,
    callers: Authority,
    published: Arc<Published>,
    arm: Url,
}

async fn list(published: web::Data<Published>) -> HttpResponse {
    published.asked.fetch_add(1, Ordering::SeqCst);
    match published.answer.lock().unwrap().as_ref().unwrap() {
        Ok(identities) => {
            let entry = |identity: &Identity| {
                let der = identity.certificate().unwrap();
                serde_json::json!({ "thumbprint": "0", "certificate": STANDARD.encode(&der) })
            };
            let entries: Vec<_> = identities.iter().map(entry).collect();
            HttpResponse::Ok().json(serde_json::json!({ "clientCertificates": entries }))
        }
        Err(302) => HttpResponse::Found().insert_header(("location", "/elsewhere")).finish(),
        Err(status) => HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).finish(),
    }
}

impl Site {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let authority = |name: &str| Authority::load_or_create(&folder.path().join(name), name).unwrap();
        let (servers, callers) = (authority("servers"), authority("callers"));
        let published = Arc::<Published>::default();
        let tls = servers.issue_server(&["localhost"], &[]).unwrap().server_config(None).unwrap();
        let state = web::Data::from(Arc::clone(&published));
        let (address, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(state.clone())
                        .route("/metadata/authentication", web::get().to(list))
                        .route("/elsewhere", web::get().to(list))
                })
                .workers(1)
                .disable_signals()
                .bind_rustls_0_23(("127.0.0.1", 0), tls)
                .unwrap();
                address.send(server.addrs()[0].port()).unwrap();
                server.run().await.unwrap();
            });
        });
        let arm = Url::parse(&format!("https://localhost:{}/", told.recv().unwrap())).unwrap();
        Self { folder, servers, callers, published, arm }
    }

    fn caller(&self) -> Identity {
        self.callers.issue_client("arm", "urn:arm").unwrap()
    }

    fn publish(&self, answer: Answer) {
        *self.published.answer.lock().unwrap() = Some(answer);
    }

    /// Until this caller is let in: the list is fetched while the provider serves.
    async fn let_in(&self, caller: &Identity, port: u16) {
        let asked = async {
            while self.call(caller, port).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap();
    }

    /// Until an answer that was asked for from now on has been taken: the next one is asked for after that.
    async fn asked_again(&self) {
        let asked = || self.published.asked.load(Ordering::SeqCst);
        let before = asked();
        while asked() < before + 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A provider's folder.
    fn provider(&self, certificates_from: Option<Url>) -> std::path::PathBuf {
        let folder = self.folder.path().join("provider");
        crate::config(certificates_from).save(&folder).unwrap();
        self.servers.issue_server(&["localhost"], &[]).unwrap().save(&folder, "server").unwrap();
        file::write(&folder.join("authorities.pem"), self.servers.certificate_pem(), file::PUBLIC).unwrap();
        folder
    }

    /// The status of a list of operations, or why there was none.
    async fn call(&self, caller: &Identity, port: u16) -> Result<u16, reqwest::Error> {
        let tls = caller.client_config(self.servers.certificate_pem()).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        let path = "providers/LiveData.Platform/operations?api-version=2026-11-01-preview";
        Ok(http.get(format!("https://localhost:{port}/{path}")).send().await?.status().as_u16())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_121_arm_calls_with_a_published_certificate_and_nobody_else_does() {
    let site = Site::new();
    let (arm, twin) = (site.caller(), site.caller());
    site.publish(Ok(vec![arm.clone()]));
    let folder = site.provider(Some(site.arm.clone()));
    let running = start(&folder).await.unwrap();
    let port = running.provider.arm_address.port();
    site.let_in(&arm, port).await;
    assert_eq!(site.call(&arm, port).await.unwrap(), 200);
    site.call(&twin, port).await.unwrap_err();
    let door = site.callers.issue_client("door", FRONT_DOOR_URI).unwrap();
    site.call(&door, port).await.unwrap_err();
    running.stop().await;

    // With a registered front door both come in, and what the folder holds is all that is needed again.
    file::write(&folder.join("front-doors.pem"), site.callers.certificate_pem(), file::PUBLIC).unwrap();
    let running = start(&folder).await.unwrap();
    let port = running.provider.arm_address.port();
    site.let_in(&arm, port).await;
    assert_eq!(site.call(&arm, port).await.unwrap(), 200);
    assert_eq!(site.call(&door, port).await.unwrap(), 200);
    site.call(&twin, port).await.unwrap_err();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_list_the_provider_starts_and_refuses_arm() {
    let site = Site::new();
    let arm = site.caller();
    site.publish(Err(503));
    let running = start(&site.provider(Some(site.arm.clone()))).await.unwrap();
    while site.published.asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.call(&arm, running.provider.arm_address.port()).await.unwrap_err();
    running.stop().await;
    let plain = site.arm.as_str().replace("https://", "http://").parse().unwrap();
    match start(&site.provider(Some(plain))).await.map(|_| ()) {
        Err(Error::Config(told)) => assert!(told.contains("https"), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_nobody_could_call_does_not_start() {
    let site = Site::new();
    match start(&site.provider(None)).await.map(|_| ()) {
        Err(Error::Config(told)) => assert!(told.contains("nobody could call"), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_121_the_list_is_kept_fresh_and_outlives_failures() {
    let site = Site::new();
    let (old, new) = (site.caller(), site.caller());
    site.publish(Ok(vec![old.clone()]));
    let list = Arc::new(PublishedCertificates::new(Duration::from_secs(3600)));
    let tls = trust::only(site.servers.certificate_pem()).unwrap();
    let often = Pace { refresh: Duration::from_millis(20), retry: Duration::from_millis(10) };
    let kept = ArmCertificates::start(site.arm.clone(), tls, Arc::clone(&list), often).unwrap();
    let lets_in = |caller: &Identity| {
        use rustls::server::danger::ClientCertVerifier as _;
        let clients = livedata_pki::Clients::published(Arc::clone(&list));
        let now = rustls::pki_types::UnixTime::now();
        clients.verify_client_cert(&caller.certificate().unwrap(), &[], now).is_ok()
    };
    site.asked_again().await;
    assert!(lets_in(&old) && !lets_in(&new));

    // A list that cannot be had, or is empty, changes nothing.
    for failure in [Err(500), Err(302), Ok(Vec::new())] {
        site.publish(failure);
        site.asked_again().await;
        assert!(lets_in(&old));
    }
    site.publish(Ok(vec![new.clone()]));
    let replaced = async {
        while !lets_in(&new) || lets_in(&old) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), replaced).await.unwrap();
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_a_list_cannot_be_had_is_told() {
    let site = Site::new();
    let client = |authority: &Authority| {
        let tls = trust::only(authority.certificate_pem()).unwrap();
        let redirects = reqwest::redirect::Policy::none();
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirects)
            .no_proxy()
            .build()
            .unwrap()
    };
    let http = client(&site.servers);
    for status in [302, 404, 500] {
        site.publish(Err(status));
        let told = fetch(&http, &site.arm).await.unwrap_err();
        assert!(matches!(told, FetchError::Status(answered) if answered == status), "{told}");
    }
    site.publish(Ok(Vec::new()));
    assert!(matches!(fetch(&http, &site.arm).await, Err(FetchError::Empty)));
    site.publish(Ok(vec![site.caller()]));
    assert_eq!(fetch(&http, &site.arm).await.unwrap().len(), 1);
    // A server that nobody vouches for.
    assert!(matches!(fetch(&client(&site.callers), &site.arm).await, Err(FetchError::Unavailable(_))));
}
