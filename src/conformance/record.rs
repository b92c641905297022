//! Exchanges as files for `oav validate-traffic`: one JSON document per call, addressed to `management.azure.com`. What a
//! published description of the API has is in `described`; in `odd` are requests that are wrong on purpose, and those that only ARM sends.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::exchange::{Exchange, Purpose};

const DESCRIBED: &str = "described";
const ODD: &str = "odd";
const ARM: &str = "https://management.azure.com";

/// Writes into a folder. What goes wrong is told at the end, so that no check suffers from a full disk.
pub struct Recorder {
    folder: PathBuf,
    failed: Mutex<Option<std::io::Error>>,
}

impl Recorder {
    pub fn into_folder(folder: &Path) -> std::io::Result<Self> {
        for part in [DESCRIBED, ODD] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        Ok(Self { folder: folder.to_owned(), failed: Mutex::default() })
    }

    pub fn record(&self, number: usize, exchange: &Exchange, redacted: &dyn Fn(&str) -> String) {
        if exchange.purpose == Purpose::Stranger {
            return;
        }
        let text = redacted(&format!("{:#}", document(exchange)));
        let file = format!("{number:05}-{}.json", exchange.method.to_lowercase());
        let part = if is_described(exchange) { DESCRIBED } else { ODD };
        if let Err(error) = std::fs::write(self.folder.join(part).join(file), text) {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    pub fn finish(&self) -> std::io::Result<()> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

fn is_described(exchange: &Exchange) -> bool {
    let between = !exchange.path().contains("/providers/") || exchange.path().ends_with("/preflight");
    // What is refused otherwise was wrong, or is nowhere.
    let taken = exchange.status < 400 || matches!(exchange.status, 409 | 412 | 429 | 503);
    taken && !between && !exchange.odd && exchange.method != "HEAD"
}

fn document(exchange: &Exchange) -> Value {
    let headers = |headers: &[(String, String)]| -> Map<String, Value> {
        headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    };
    let sent = exchange.sent_body.as_deref();
    let mut request = json!({
        "method": exchange.method,
        "url": format!("{ARM}{}", exchange.address),
        "headers": headers(&exchange.sent_headers),
    });
    if let (Some(body), Some(request)) = (sent, request.as_object_mut()) {
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        request.insert("body".into(), body);
    }
    let mut response = json!({
        "statusCode": exchange.status.to_string(),
        "headers": headers(&exchange.headers),
    });
    if let (false, Some(response)) = (exchange.json.is_null(), response.as_object_mut()) {
        response.insert("body".into(), exchange.json.clone());
    }
    json!({ "liveRequest": request, "liveResponse": response })
}
