//! What lies between this machine and a service: proxies, private endpoints, certificate authorities of one's own.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How connections are made, and whom they trust.
#[derive(Clone, Debug, Default)]
pub struct Network {
    pub route: Route,
    /// Certificate authorities to trust besides those of the platform, as PEM: of a proxy that opens TLS, of a service that is
    /// not public.
    pub authorities_pem: Option<String>,
}

/// Where the connection goes that is to end at the service.
#[derive(Clone, Debug, Default)]
pub enum Route {
    /// Where the service's name leads.
    #[default]
    Direct,
    Proxy(Proxy),
    /// Somewhere else, without a proxy: to a private endpoint whose name this machine does not resolve. Requests, signatures
    /// and certificates still name the service.
    Address(Address),
}

/// An HTTP proxy. TLS passes through it (CONNECT); plain HTTP it reads.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    except: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// `None`: that of the service. Another one is only possible where the endpoint names none.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = &'static str;

    /// `host`, `host:port`; an IPv6 address with a port is in brackets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a name or an IP address is expected, with or without a port";
        let is_whole = text.ends_with(']') || text.parse::<IpAddr>().is_ok();
        let (host, port) = match text.rsplit_once(':').filter(|_| !is_whole) {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| EXPECTED)?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if Host::parse(host).is_err() && bare.parse::<IpAddr>().is_err() {
            return Err(EXPECTED);
        }
        Ok(Self { host: bare.to_owned(), port })
    }
}

impl Proxy {
    /// `except` is of the form of the variable `NO_PROXY`: names with all below them, addresses, networks, or `*`.
    pub fn new(url: Url, except: &str) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("a proxy must be an http or https URL".to_owned());
        }
        Ok(Self { url, except: except.to_owned() })
    }

    fn build(&self) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())?;
        Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&self.except)))
    }
}

impl std::fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut url = self.url.clone();
        // Both fail only for URLs that have no room for them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        f.debug_struct("Proxy").field("url", &url.as_str()).field("except", &self.except).finish()
    }
}

impl Route {
    /// As the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in lower case too, for an endpoint of
    /// this scheme. A proxy may be written without `http://`.
    pub fn from_environment(scheme: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let find = |name: &str| {
            let found = variable(name).or_else(|| variable(&name.to_lowercase()));
            found
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
                .map(|value| (name.to_owned(), value))
        };
        let own = format!("{}_PROXY", scheme.to_uppercase());
        let Some((name, value)) = find(&own).or_else(|| find("ALL_PROXY")) else { return Ok(Self::Direct) };
        let text = if value.contains("://") { value } else { format!("http://{value}") };
        let url = Url::parse(&text).map_err(|error| format!("the variable {name} is not a URL: {error}"))?;
        let except = find("NO_PROXY").map(|(_, value)| value).unwrap_or_default();
        let proxy = Proxy::new(url, &except).map_err(|error| format!("the variable {name}: {error}"))?;
        Ok(Self::Proxy(proxy))
    }
}

impl Network {
    /// The same way out, for another service than the one whose address may be given.
    pub(crate) fn elsewhere(&self) -> Self {
        let route = match &self.route {
            Route::Address(_) => Route::Direct,
            route => route.clone(),
        };
        Self { route, authorities_pem: self.authorities_pem.clone() }
    }

    /// Why it cannot work for this endpoint.
    pub(crate) fn check(&self, endpoint: &Url) -> Result<(), &'static str> {
        let Route::Address(address) = &self.route else { return Ok(()) };
        if !matches!(endpoint.host(), Some(Host::Domain(_))) {
            return Err("another address to connect to needs an endpoint with a name");
        }
        if endpoint.port().is_some() && address.port.is_some() && endpoint.port() != address.port {
            return Err("another port to connect to needs an endpoint without one");
        }
        Ok(())
    }

    pub(crate) fn apply(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, Error> {
        // Nothing is taken from the environment behind the caller's back.
        let builder = match &self.route {
            Route::Direct => builder.no_proxy(),
            // reqwest takes it for names only.
            Route::Proxy(proxy) if proxy.except.split(',').any(|except| except.trim() == "*") => {
                builder.no_proxy()
            }
            Route::Proxy(proxy) => builder.proxy(proxy.build()?),
            Route::Address(address) => builder.no_proxy().dns_resolver(Elsewhere(address.clone())),
        };
        let Some(pem) = &self.authorities_pem else { return Ok(builder) };
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes())?;
        if authorities.is_empty() {
            return Err("there is no certificate among the authorities to trust".into());
        }
        Ok(builder.tls_certs_merge(authorities))
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Answers with one address, whatever the name.
struct Elsewhere(Address);

impl Resolve for Elsewhere {
    fn resolve(&self, _: Name) -> Resolving {
        let Address { host, port } = self.0.clone();
        Box::pin(async move {
            // Port 0 stands for the service's own.
            let found = tokio::net::lookup_host((host.as_str(), port.unwrap_or(0))).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        Route::from_environment("https", variable).map(|route| format!("{route:?}"))
    }

    #[test]
    fn the_environment_names_a_proxy_as_everywhere() {
        assert_eq!(route(&[]).unwrap(), "Direct");
        assert_eq!(route(&[("HTTP_PROXY", "http://other:1")]).unwrap(), "Direct", "of another scheme");
        assert_eq!(route(&[("HTTPS_PROXY", "")]).unwrap(), "Direct");
        let expected = r#"Proxy(Proxy { url: "http://proxy:3128/", except: "" })"#;
        for variables in
            [("HTTPS_PROXY", "http://proxy:3128"), ("https_proxy", "proxy:3128"), ("ALL_PROXY", "proxy:3128")]
        {
            assert_eq!(route(&[variables]).unwrap(), expected);
        }
        assert_eq!(
            route(&[("https_proxy", "http://me:secret@proxy:1"), ("NO_PROXY", ".internal,10.0.0.0/8")])
                .unwrap(),
            r#"Proxy(Proxy { url: "http://proxy:1/", except: ".internal,10.0.0.0/8" })"#,
            "a password is not printed"
        );
        for unusable in ["socks5://proxy:1", "http://"] {
            let error = route(&[("HTTPS_PROXY", unusable)]).unwrap_err();
            assert!(error.starts_with("the variable HTTPS_PROXY"), "{error}");
        }
    }

    #[test]
    fn addresses_are_names_or_numbers() {
        let parse = |text: &str| text.parse::<Address>().map(|Address { host, port }| (host, port));
        for (text, host, port) in [
            ("10.1.2.3", "10.1.2.3", None),
            ("10.1.2.3:8443", "10.1.2.3", Some(8443)),
            ("lake.privatelink.dfs.core.windows.net", "lake.privatelink.dfs.core.windows.net", None),
            ("lake:443", "lake", Some(443)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:443", "::1", Some(443)),
        ] {
            assert_eq!(parse(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", "a b", "lake:", "lake:x", "https://lake", ":443"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_address_is_for_names() {
        let network = |port| Network {
            route: Route::Address(Address { host: "10.1.2.3".to_owned(), port }),
            ..Network::default()
        };
        let check = |port, endpoint: &str| network(port).check(&endpoint.parse().unwrap()).is_ok();
        assert!(check(Some(8443), "https://lake.dfs.core.windows.net"));
        assert!(check(None, "https://lake.dfs.core.windows.net:8443"));
        assert!(!check(Some(1), "https://lake.dfs.core.windows.net:8443"));
        assert!(!check(None, "https://10.0.0.1"));
    }
}
