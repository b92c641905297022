//! Relay addresses: `wss://{host}[:port]/$hc/{path}[/suffix][?application query&]sb-hc-…`.
//!
//! A path may contain `/`, is compared without regard to case, and its end cannot be told from the beginning of a suffix
//! by looking at it: the relay resolves it by the longest path that somebody listens on.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

pub const ACTION: &str = "sb-hc-action";
pub const ID: &str = "sb-hc-id";
pub const TOKEN: &str = "sb-hc-token";
pub const STATUS_CODE: &str = "sb-hc-statusCode";
pub const STATUS_DESCRIPTION: &str = "sb-hc-statusDescription";
/// The single-use secret in the rendezvous addresses of our own relay. Listeners treat the address as opaque.
pub const RENDEZVOUS: &str = "sb-hc-rendezvous";
/// The header that carries a token; the relay never forwards it.
pub const TOKEN_HEADER: &str = "ServiceBusAuthorization";
/// The first path segment of every WebSocket address.
pub const PREFIX: &str = "$hc";

const RESERVED_PREFIX: &str = "sb-hc-";
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Host and path in the one form in which they are compared: lower case, decoded, no scheme, port, `$hc` or query, no
/// slash at either end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    pub host: String,
    pub path: String,
}

impl Resource {
    /// From a host with or without port, and a path that may still be escaped.
    pub fn new(authority: &str, path: &str) -> Self {
        Self { host: without_port(authority).to_lowercase(), path: normal_path(path) }
    }

    /// From the URI inside a token. `None` when it has no host.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        (!authority.is_empty()).then(|| Self::new(authority, path))
    }

    /// Whether a right to `self` includes `other`: the same host, and `self` ends where a segment of `other` ends.
    pub fn covers(&self, other: &Self) -> bool {
        self.host == other.host && path_covers(&self.path, &other.path)
    }
}

/// Whether normal path `outer` is `inner` or an ancestor of it.
pub fn path_covers(outer: &str, inner: &str) -> bool {
    outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The form in which paths are compared.
pub fn normal_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let trimmed = decoded.trim_matches('/');
    let inner = match trimmed.split_once('/') {
        Some((first, rest)) if first == PREFIX => rest,
        None if trimmed == PREFIX => "",
        _ => trimmed,
    };
    inner.trim_matches('/').to_lowercase()
}

fn without_port(authority: &str) -> &str {
    if let Some(end) = authority.starts_with('[').then(|| authority.find(']')).flatten() {
        return &authority[..=end];
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

/// The URI to sign for `path` at the relay `base`: what the .NET client signs, `http://{host}/{path}/`.
pub fn resource_uri(base: &Url, path: &str) -> String {
    let host = base.host_str().unwrap_or_default();
    match escape_path(path) {
        path if path.is_empty() => format!("http://{host}/"),
        path => format!("http://{host}/{path}/"),
    }
}

/// What a WebSocket request to a relay asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Listen,
    Connect,
    Accept,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Connect => "connect",
            Self::Accept => "accept",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Listen, Self::Connect, Self::Accept]
            .into_iter()
            .find(|action| action.as_str().eq_ignore_ascii_case(text))
    }
}

/// The address to open for `listen` or `connect`. `suffix` is empty for a listener.
pub fn open_address(base: &Url, path: &str, suffix: &str, action: Action, id: &str) -> Url {
    let mut url = base.clone();
    let escaped = [escape_path(path), escape_path(suffix)];
    let joined: Vec<&str> = escaped.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    url.set_path(&format!("/{PREFIX}/{}", joined.join("/")));
    url.set_query(Some(&format!("{ACTION}={}&{ID}={}", action.as_str(), utf8_percent_encode(id, ESCAPED))));
    url
}

/// The rendezvous address turned into a refusal.
pub fn reject_address(rendezvous: &Url, status: u16, description: &str) -> Url {
    let mut url = rendezvous.clone();
    let refusal =
        format!("{STATUS_CODE}={status}&{STATUS_DESCRIPTION}={}", utf8_percent_encode(description, ESCAPED));
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{refusal}"),
        _ => refusal,
    };
    url.set_query(Some(&query));
    url
}

fn escape_path(path: &str) -> String {
    let segments: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|segment| utf8_percent_encode(segment, ESCAPED).to_string())
        .collect();
    segments.join("/")
}

/// A request target as the relay reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As sent, without `/$hc/`.
    pub raw_path: String,
    pub action: Action,
    pub id: Option<String>,
    pub token: Option<String>,
    pub rendezvous: Option<String>,
    /// Present when a listener refuses.
    pub refusal: Option<(u16, String)>,
    /// The query without any `sb-hc-` parameter, as sent.
    pub application_query: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error("the path does not begin with /$hc/")]
    NotHybridConnection,
    #[error("sb-hc-action must be listen, connect or accept")]
    UnknownAction,
}

impl Target {
    /// Parses the path and the query of a request.
    pub fn parse(path: &str, query: &str) -> Result<Self, BadTarget> {
        let raw_path = path
            .strip_prefix("/$hc/")
            .or_else(|| path.strip_prefix("/%24hc/"))
            .ok_or(BadTarget::NotHybridConnection)?
            .to_owned();
        let mut application = Vec::new();
        let (mut action, mut id, mut token, mut rendezvous) = (None, None, None, None);
        let (mut status, mut description) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || percent_decode_str(&value.replace('+', "%20")).decode_utf8_lossy().into_owned();
            match name {
                ACTION => action = Some(value()),
                ID => id = Some(value()),
                TOKEN => token = Some(value()),
                RENDEZVOUS => rendezvous = Some(value()),
                // The published JavaScript clients send the names without their prefix.
                STATUS_CODE | "statusCode" => status = value().parse().ok(),
                STATUS_DESCRIPTION | "statusDescription" => description = Some(value()),
                other if other.starts_with(RESERVED_PREFIX) => {}
                _ => application.push(pair),
            }
        }
        Ok(Self {
            raw_path,
            action: action.as_deref().and_then(Action::parse).ok_or(BadTarget::UnknownAction)?,
            id,
            token,
            rendezvous,
            refusal: status.map(|status| (status, description.unwrap_or_default())),
            application_query: application.join("&"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_compare_without_scheme_port_prefix_query_and_case() {
        let expected = Resource::new("ns.example", "hyco/sub");
        for uri in [
            "http://ns.example/hyco/sub",
            "https://NS.example:443/HyCo/sub/",
            "sb://ns.example/hyco/sub?x=1",
            "wss://ns.example:9000/$hc/hyco/sub",
            "ns.example/hyco/sub",
            "http://ns.example/hyco%2Fsub",
        ] {
            assert_eq!(Resource::from_uri(uri), Some(expected.clone()), "{uri}");
        }
        assert_eq!(Resource::from_uri("http:///hyco"), None);
        assert_eq!(Resource::new("[::1]:9000", "a").host, "[::1]");
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let right = Resource::new("h", "agents/one");
        assert!(right.covers(&Resource::new("h", "agents/one")));
        assert!(right.covers(&Resource::new("h", "agents/one/session/v1")));
        assert!(!right.covers(&Resource::new("h", "agents/one2")));
        assert!(!right.covers(&Resource::new("h", "agents")));
        assert!(!right.covers(&Resource::new("other", "agents/one")));
        assert!(Resource::new("h", "").covers(&Resource::new("h", "anything")));
    }

    #[test]
    fn an_open_address_reads_back() {
        let base = Url::parse("wss://localhost:9443").unwrap();
        let url = open_address(&base, "agents/one two", "session/v1", Action::Connect, "id-1");
        let target = Target::parse(url.path(), url.query().unwrap()).unwrap();
        assert_eq!(target.raw_path, "agents/one%20two/session/v1");
        assert_eq!(target.action, Action::Connect);
        assert_eq!(target.id.as_deref(), Some("id-1"));
        assert_eq!(normal_path(&target.raw_path), "agents/one two/session/v1");
    }

    #[test]
    fn a_refusal_reads_back_and_keeps_the_address() {
        let rendezvous = Url::parse("wss://h/$hc/p?a=b&sb-hc-action=accept&sb-hc-rendezvous=s").unwrap();
        let url = reject_address(&rendezvous, 421, "wrong instance & more");
        let target = Target::parse(url.path(), url.query().unwrap()).unwrap();
        assert_eq!(target.refusal, Some((421, "wrong instance & more".to_owned())));
        assert_eq!(target.rendezvous.as_deref(), Some("s"));
        assert_eq!(target.application_query, "a=b");
    }

    #[test]
    fn relay_parameters_are_taken_out_of_the_application_query() {
        let query = "x=1&sb-hc-action=connect&sb-hc-token=a%2Bb+c&y=%20&sb-hc-unknown=1";
        let target = Target::parse("/$hc/p", query).unwrap();
        assert_eq!(target.application_query, "x=1&y=%20");
        assert_eq!(target.token.as_deref(), Some("a+b c"));
        assert_eq!(Target::parse("/p", query), Err(BadTarget::NotHybridConnection));
        assert_eq!(Target::parse("/$hc/p", "sb-hc-action=request"), Err(BadTarget::UnknownAction));
    }

    #[test]
    fn the_resource_to_sign_has_no_port() {
        let base = Url::parse("wss://localhost:9443").unwrap();
        assert_eq!(resource_uri(&base, "agents/one"), "http://localhost/agents/one/");
        assert_eq!(resource_uri(&base, ""), "http://localhost/");
    }
}
