//! A running emulator with one account, and signed requests to it.

use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use livedata_adls_emulator::{AccountKey, Emulator, Options, Running, Storage};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

pub const ACCOUNT: &str = "testaccount";
pub const ADMIN_TOKEN: &str = "the admin token of the tests";
pub const KEY: &[u8] = b"not a secret: the key of the tests";

pub struct Fixture {
    pub running: Running,
    pub client: Client,
    pub folder: tempfile::TempDir,
}

pub struct Client {
    http: reqwest::Client,
    pub url: String,
    pub admin_url: String,
    pub key: Vec<u8>,
    pub date: SystemTime,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub async fn start_in(folder: &Path) -> Running {
    Emulator::start(options(Storage::Folder(folder.to_owned()))).await.unwrap()
}

/// With the account of the tests.
pub fn options(storage: Storage) -> Options {
    Options {
        storage,
        admin_token: ADMIN_TOKEN.to_owned(),
        accounts: vec![AccountKey { name: ACCOUNT.to_owned(), key: KEY.to_vec() }],
        ..Options::default()
    }
}

impl Fixture {
    /// With the filesystem `lake`, on disk.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options(Storage::Folder(folder.path().to_owned()));
        Self::start_with(options, folder).await
    }

    /// With the filesystem `lake`, in memory.
    pub async fn in_memory() -> Self {
        Self::start_with(options(Storage::Memory), tempfile::tempdir().unwrap()).await
    }

    pub async fn start_with(options: Options, folder: tempfile::TempDir) -> Self {
        let running = Emulator::start(options).await.unwrap();
        let client = Client::to(&running);
        client.put("lake?resource=filesystem", &[]).await.expect(201);
        Self { running, client, folder }
    }

    pub async fn restart(self) -> Self {
        self.running.stop().await.unwrap();
        let running = start_in(self.folder.path()).await;
        let client = Client::to(&running);
        Self { running, client, folder: self.folder }
    }
}

impl Client {
    pub fn to(running: &Running) -> Self {
        Self::at(running.storage_url(), &format!("http://{}", running.admin_address()))
    }

    pub fn at(storage_url: &str, admin_url: &str) -> Self {
        // Fails when an earlier test of this process installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            url: storage_url.to_owned(),
            admin_url: admin_url.to_owned(),
            key: KEY.to_vec(),
            date: SystemTime::now(),
        }
    }

    pub async fn put(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::PUT, target, headers, Vec::new()).await
    }

    pub async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, target, headers, Vec::new()).await
    }

    pub async fn head(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::HEAD, target, headers, Vec::new()).await
    }

    pub async fn patch(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(Method::PATCH, target, headers, body.to_vec()).await
    }

    pub async fn delete(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::DELETE, target, headers, Vec::new()).await
    }

    /// Makes a file with this content.
    pub async fn write(&self, path: &str, content: &[u8]) -> Reply {
        self.put(&format!("{path}?resource=file"), &[]).await.expect(201);
        if content.is_empty() {
            return self.patch(&format!("{path}?action=flush&position=0"), &[], b"").await.expect(200);
        }
        self.patch(&format!("{path}?action=append&position=0&flush=true"), &[], content).await.expect(202)
    }

    /// `target` is what follows the account in path style.
    pub async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        self.send_path_and_query(method, &format!("/{ACCOUNT}/{target}"), headers, body).await
    }

    pub async fn send_path_and_query(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let headers = self.signed(&method, target, headers, body.len());
        self.send_unsigned(method, target, &headers, body).await
    }

    fn signed(
        &self,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect();
        if !headers.iter().any(|(name, _)| name == "x-ms-version") {
            headers.push(("x-ms-version".to_owned(), "2026-10-06".to_owned()));
        }
        self.sign(method, target, &mut headers, length);
        headers
    }

    fn sign(&self, method: &Method, target: &str, headers: &mut Vec<(String, String)>, length: usize) {
        headers.push(("x-ms-date".to_owned(), httpdate::fmt_http_date(self.date)));
        headers.push(("content-length".to_owned(), length.to_string()));
        let text = string_to_sign(method, target, headers);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), text.as_bytes());
        headers
            .push(("authorization".to_owned(), format!("SharedKey {ACCOUNT}:{}", BASE64.encode(signature))));
    }

    /// The head of an HTTP/1.1 request, for tests that write to the socket themselves.
    pub fn signed_head(&self, method: &str, target: &str, length: usize) -> String {
        self.signed_head_with(method, target, &[], length)
    }

    pub fn signed_head_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> String {
        let target = format!("/{ACCOUNT}/{target}");
        let headers = self.signed(&method.parse().unwrap(), &target, headers, length);
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n{lines}\r\n")
    }

    /// As it stands in a batch, signed by itself. The version is the batch's.
    pub fn signed_part(&self, id: usize, method: &str, target: &str, headers: &[(&str, &str)]) -> String {
        let target = format!("/{ACCOUNT}/{target}");
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect();
        self.sign(&method.parse().unwrap(), &target, &mut headers, 0);
        part(id, method, &target, &headers)
    }

    pub async fn send_unsigned(
        &self,
        method: Method,
        target: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Reply {
        self.attempt_unsigned(method, target, headers, body).await.unwrap()
    }

    /// As `send`, where the connection may break.
    pub async fn attempt(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<Reply> {
        let target = format!("/{ACCOUNT}/{target}");
        let headers = self.signed(&method, &target, headers, body.len());
        self.attempt_unsigned(method, &target, &headers, body).await
    }

    async fn attempt_unsigned(
        &self,
        method: Method,
        target: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> reqwest::Result<Reply> {
        let mut request = self.http.request(method, format!("{}{target}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        Reply::of(request.send().await?).await
    }

    /// With this token instead of a signature.
    pub async fn send_as(
        &self,
        token: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        headers.push(("x-ms-version".to_owned(), "2026-10-06".to_owned()));
        self.send_unsigned(method, &format!("/{ACCOUNT}/{target}"), &headers, body.to_vec()).await
    }

    /// With a shared access signature, which is put into the query.
    pub async fn send_with(
        &self,
        signature: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mark = if target.contains('?') { '&' } else { '?' };
        let mut headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        headers.push(("x-ms-version".to_owned(), "2026-10-06".to_owned()));
        let target = format!("/{ACCOUNT}/{target}{mark}{signature}");
        self.send_unsigned(method, &target, &headers, body.to_vec()).await
    }

    pub async fn admin(&self, method: Method, path: &str, token: &str, body: &str) -> Reply {
        let request = self.http.request(method, format!("{}{path}", self.admin_url)).bearer_auth(token);
        Reply::of(request.body(body.to_owned()).send().await.unwrap()).await.unwrap()
    }

    /// Puts a rule of this emulator's faults.
    pub async fn fault(&self, id: &str, rule: serde_json::Value) {
        self.admin(Method::PUT, &format!("/faults/{id}"), ADMIN_TOKEN, &rule.to_string()).await.expect(200);
    }
}

/// One request of a batch.
pub fn part(id: usize, method: &str, target: &str, headers: &[(String, String)]) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "--boundary\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {id}\r\n\r\n\
         {method} {target} HTTP/1.1\r\n{lines}\r\n"
    )
}

fn string_to_sign(method: &Method, target: &str, headers: &[(String, String)]) -> String {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| name != "content-length" || *value != "0").unwrap_or("").to_owned()
    };
    let mut lines = vec![method.to_string()];
    for name in ["content-encoding", "content-language", "content-length", "content-md5", "content-type"] {
        lines.push(header(name));
    }
    lines.push(String::new());
    for name in ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"] {
        lines.push(header(name));
    }
    let mut service_headers: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
    service_headers.sort();
    lines.extend(service_headers.iter().map(|(name, value)| format!("{name}:{value}")));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    lines.push(format!("/{ACCOUNT}{path}"));
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}:{}", name.to_lowercase(), percent_decode_str(value).decode_utf8().unwrap())
        })
        .collect();
    pairs.sort();
    lines.extend(pairs);
    lines.join("\n")
}

impl Reply {
    async fn of(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await?.to_vec() })
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:?} {}", self.headers, self.text());
        self
    }

    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.header("x-ms-error-code"), code, "{}", reply.text());
        reply
    }

    /// Empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> &str {
        let etag = self.header("etag");
        assert!(etag.starts_with("\"0x") && etag.ends_with('"'), "{etag}");
        etag
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
