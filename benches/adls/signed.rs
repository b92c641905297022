//! Requests, written out and signed with SharedKey.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::emulator::{ACCOUNT, Emulator};

/// All of it but the body.
pub struct Request {
    pub head: Vec<u8>,
}

pub struct Signer {
    host: String,
    key: hmac::Key,
    /// Good for a quarter of an hour.
    date: String,
}

impl Signer {
    pub fn new(emulator: &Emulator) -> Self {
        let key = BASE64.decode(Emulator::key()).unwrap_or_default();
        Self {
            host: emulator.address.to_string(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            date: httpdate::fmt_http_date(SystemTime::now()),
        }
    }

    /// `target` is what follows the account; it is plain ASCII and nothing in it is encoded.
    pub fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: usize) -> Request {
        let mut headers: Vec<(&str, &str)> = headers.to_vec();
        headers.extend([("x-ms-date", self.date.as_str()), ("x-ms-version", "2023-11-03")]);
        headers.sort_unstable();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut parameters: Vec<(String, &str)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        parameters.sort_unstable();
        let length = if body == 0 { String::new() } else { body.to_string() };
        let mut text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n");
        for (name, value) in &headers {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(&format!("/{ACCOUNT}/{ACCOUNT}/{path}"));
        for (name, value) in parameters {
            text.push_str(&format!("\n{name}:{value}"));
        }
        let signature = BASE64.encode(hmac::sign(&self.key, text.as_bytes()));
        let mut head = format!("{method} /{ACCOUNT}/{target} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "content-length: {body}\r\nauthorization: SharedKey {ACCOUNT}:{signature}\r\n\r\n"
        ));
        Request { head: head.into_bytes() }
    }
}
