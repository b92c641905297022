//! What a data transfer agent must satisfy by itself.

use livedata_model::spec::Secret;

use super::DataTransferAgentInput;
use super::model::Given;
use crate::errors;
use crate::wire::Findings;

const MOST_FILES: i64 = 10_000;
const MOST_BYTES_PER_SECOND: u64 = 1 << 50;

pub fn check(given: Given, findings: &Findings) -> Option<DataTransferAgentInput> {
    let wrong =
        |target: &str, message: String| findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    if let Some(host) = &given.host
        && !is_host(host)
    {
        wrong("properties.host", format!("'{host}' is not a host name or an address."));
    }
    let port = given.port.map(|port| u16::try_from(port).ok().filter(|port| *port > 0).ok_or(port));
    if let Some(Err(port)) = port {
        wrong("properties.port", format!("{port} is not a port: use 1 to 65535."));
    }
    let within = |most: i64| u64::try_from(most).ok().filter(|most| *most <= MOST_BYTES_PER_SECOND);
    let most = given.max_bytes_per_second.map(|most| within(most).ok_or(most));
    if let Some(Err(most)) = most {
        wrong(
            given.bandwidth_target,
            format!("{most} is not a number of bytes per second from 0 to {MOST_BYTES_PER_SECOND}."),
        );
    }
    let capacity = given.capacity.map(|capacity| {
        u32::try_from(capacity).ok().filter(|_| (1..=MOST_FILES).contains(&capacity)).ok_or(capacity)
    });
    if let Some(Err(capacity)) = capacity {
        wrong("properties.capacity", format!("{capacity} is not a number of files from 1 to {MOST_FILES}."));
    }
    Some(DataTransferAgentInput {
        host: given.host,
        port: port.and_then(Result::ok),
        access_token: given.access_token.map(Secret),
        // 0 is no limit.
        max_bytes_per_second: most.and_then(Result::ok).filter(|most| *most > 0),
        capacity: capacity.and_then(Result::ok),
    })
}

/// RFC 1123, or an address of either family.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["copier-1.example.com", "10.0.0.1", "::1", "a"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "-a", "a..b", "https://a", "a/b"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
