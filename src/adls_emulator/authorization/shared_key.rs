//! SharedKey authentication: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
//!
//! The string to sign is built from what arrived; in path style the path begins with the account name, which therefore stands
//! twice in the canonical resource.

use std::cmp::Ordering;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::account::Account;
use crate::clock;
use crate::request::Call;
use crate::service_error::ServiceError;

const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

const SIGNED_HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// `credential`: what follows the scheme in the Authorization header.
pub(super) fn authenticate(call: &Call, account: &Account, credential: &str) -> Result<(), ServiceError> {
    let failed = |detail: &str| ServiceError::authentication_failed(detail.to_owned());
    let (name, signature) = credential.split_once(':').ok_or_else(|| {
        let detail = "The Authorization header is not 'SharedKey account:signature'.";
        ServiceError::malformed_authorization(detail.to_owned())
    })?;
    if name != account.name {
        return Err(failed(
            "The account name in the Authorization header is not the account that is addressed.",
        ));
    }
    check_date(call)?;
    let signature_bytes = BASE64
        .decode(signature)
        .map_err(|_| failed("The signature in the Authorization header is not base64."))?;
    let signs = |text: &str| {
        account.keys.iter().any(|key| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::verify(&key, text.as_bytes(), &signature_bytes).is_ok()
        })
    };
    let used = string_to_sign(call, account, str::cmp);
    if signs(&used) || signs(&string_to_sign(call, account, word_order)) {
        return Ok(());
    }
    Err(ServiceError::authentication_failed(format!(
        "The MAC signature found in the HTTP request '{signature}' is not the same as any computed signature. Server used following string to sign: '{used}'."
    )))
}

fn check_date(call: &Call) -> Result<(), ServiceError> {
    let failed = |detail: String| Err(ServiceError::authentication_failed(detail));
    let Some(text) = call.header("x-ms-date").or_else(|| call.header("date")) else {
        return failed("Neither x-ms-date nor Date is present.".to_owned());
    };
    let Ok(date) = httpdate::parse_http_date(text) else {
        return failed(format!("Request date header not valid: '{text}' is not an HTTP date."));
    };
    let now = clock::now();
    let skew = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or(Duration::MAX);
    if skew > MAX_SKEW {
        return failed(format!(
            "Request date header too old or too new: '{text}' is more than 15 minutes from the server's time {}.",
            clock::iso_now()
        ));
    }
    Ok(())
}

fn string_to_sign(call: &Call, account: &Account, order: fn(&str, &str) -> Ordering) -> String {
    let mut text = format!("{}\n", call.sent_method);
    let dated = call.header("x-ms-date").is_some();
    for name in SIGNED_HEADERS {
        let value = match (name, call.header(name)) {
            ("content-length", Some("0")) => "",
            ("date", _) if dated => "",
            (_, value) => value.unwrap_or(""),
        };
        text.push_str(value);
        text.push('\n');
    }
    let mut service_headers: Vec<(&str, String)> = Vec::new();
    for (name, value) in &call.headers {
        if name.as_str().starts_with("x-ms-") {
            service_headers
                .push((name.as_str(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned()));
        }
    }
    service_headers.sort_by(|(a, _), (b, _)| order(a, b));
    for (name, value) in service_headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{}{}", account.name, call.raw_path));
    for (name, value) in call.query.canonical() {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}

/// The order that the service really uses and some SDKs imitate: hyphens count only between names that are equal otherwise.
fn word_order(a: &str, b: &str) -> Ordering {
    let letters = |name: &str| name.replace('-', "");
    letters(a).cmp(&letters(b)).then_with(|| a.cmp(b))
}
