//! User delegation keys: `POST /?restype=service&comp=userdelegationkey`.
//!
//! A key is computed from what it is for and a secret of the data folder, so none is kept, and whoever signs with one is
//! known from the signature's own parameters.

use actix_web::{HttpResponse, web};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use time::{Duration, OffsetDateTime};

use super::Caller;
use crate::clock;
use crate::operations::{Context, read_text};
use crate::service_error::ServiceError;

/// The service's limit for the life of such a key.
const LONGEST: Duration = Duration::days(7);
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// What a key is for; each part stands in the signature's parameters again.
pub(super) struct Delegation<'a> {
    pub account: &'a str,
    pub object_id: &'a str,
    pub tenant_id: &'a str,
    pub start: &'a str,
    pub expiry: &'a str,
    pub service: &'a str,
    pub version: &'a str,
    /// Tenant of the one user who may use signatures made with it; empty: anybody's.
    pub user_tenant_id: &'a str,
}

impl Delegation<'_> {
    pub(super) fn key(&self, secret: &[u8]) -> Vec<u8> {
        let parts = [
            self.account,
            self.object_id,
            self.tenant_id,
            self.start,
            self.expiry,
            self.service,
            self.version,
            self.user_tenant_id,
        ];
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::sign(&key, parts.join("\n").as_bytes()).as_ref().to_vec()
    }
}

pub(crate) async fn user_delegation_key(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let Caller::Identity(identity) = &context.caller else {
        return Err(ServiceError::authorization_failure());
    };
    let asked = KeyInfo::parse(&read_text(payload, MAX_REQUEST_BYTES).await?)?;
    let (start, expiry) = asked.life()?;
    let version = context.call.header("x-ms-version").unwrap_or("2018-11-09");
    let delegation = Delegation {
        account: &context.account.name,
        object_id: &identity.object_id,
        tenant_id: &identity.tenant_id,
        start: &start,
        expiry: &expiry,
        service: "b",
        version,
        user_tenant_id: &asked.user_tenant_id,
    };
    let value = BASE64.encode(delegation.key(&context.service.delegation_secret));
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey>".to_owned();
    for (element, text) in [
        ("SignedOid", delegation.object_id),
        ("SignedTid", delegation.tenant_id),
        ("SignedStart", delegation.start),
        ("SignedExpiry", delegation.expiry),
        ("SignedService", delegation.service),
        ("SignedVersion", delegation.version),
        ("SignedDelegatedUserTid", delegation.user_tenant_id),
        ("Value", &value),
    ] {
        if !text.is_empty() {
            xml.push_str(&format!("<{element}>{}</{element}>", escape(text)));
        }
    }
    xml.push_str("</UserDelegationKey>");
    Ok(HttpResponse::Ok().content_type("application/xml").body(xml))
}

#[derive(Default)]
struct KeyInfo {
    start: String,
    expiry: String,
    user_tenant_id: String,
}

impl KeyInfo {
    fn parse(xml: &str) -> Result<Self, ServiceError> {
        let mut reader = Reader::from_str(xml);
        let (mut info, mut open) = (Self::default(), Vec::new());
        loop {
            match reader.read_event().map_err(|_| ServiceError::invalid_xml())? {
                Event::Start(element) => open.push(element.name().as_ref().to_owned()),
                Event::End(_) => drop(open.pop()),
                Event::Text(text) if open.len() == 2 => {
                    let text = text.trim().to_owned();
                    match open.last().map(String::as_str) {
                        Some("Start") => info.start = text,
                        Some("Expiry") => info.expiry = text,
                        Some("DelegatedUserTid") => info.user_tenant_id = text,
                        _ => {}
                    }
                }
                Event::Eof if open.is_empty() => return Ok(info),
                Event::Eof => return Err(ServiceError::invalid_xml()),
                _ => {}
            }
        }
    }

    /// As the answer writes them. Without a start the key counts from now.
    fn life(&self) -> Result<(String, String), ServiceError> {
        let invalid = |reason: &str| ServiceError::invalid_xml_value("KeyInfo", reason);
        let time = |text: &str| clock::parse_iso(text).ok_or_else(|| invalid("not a time in UTC"));
        let now = OffsetDateTime::from(clock::now());
        let start = if self.start.is_empty() { now } else { time(&self.start)? };
        let expiry = time(&self.expiry)?;
        if expiry <= start || expiry <= now {
            return Err(invalid("the key would end before it begins or has ended already"));
        }
        if expiry - now > LONGEST {
            return Err(invalid("the key would live longer than 7 days"));
        }
        Ok((clock::iso_seconds(start), clock::iso_seconds(expiry)))
    }
}
