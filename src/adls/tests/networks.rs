//! The ways to a service that speaks TLS with a certificate of an authority of one's own: straight, through a proxy, and to
//! another address than its name leads to.

use livedata_adls::{Address, Filesystem, Network, Proxy, Route};
use livedata_filesystem::{ErrorKind, TargetPath};
use livedata_pki::Authority;

use crate::emulator::{HOST, Service, read_all, write};
use crate::peers::ConnectProxy;

struct Site {
    service: Service,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "authority of these tests").unwrap();
        let service = Service::start_with(Some(&authority)).await;
        Self { service, authority, _folder: folder }
    }

    /// To the service by its name, which leads nowhere.
    fn by_name(&self, route: Route) -> Filesystem {
        self.service.with(|config| {
            config.endpoint = format!("https://{HOST}").parse().unwrap();
            config.network.route = route;
            config.retry.tries = 2;
        })
    }

    fn proxy(&self, proxy: &ConnectProxy, except: &str) -> Route {
        let url = format!("http://user:p%40ss@{}", proxy.address).parse().unwrap();
        Route::Proxy(Proxy::new(url, except).unwrap())
    }
}

async fn works(filesystem: &Filesystem) {
    let path = TargetPath::new("directory/file");
    write(filesystem, &path, b"content").await;
    assert_eq!(read_all(filesystem, &path).await, b"content");
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let site = Site::start().await;
    works(&site.service.filesystem).await;
    let stranger = tempfile::tempdir().unwrap();
    let stranger = Authority::load_or_create(stranger.path(), "somebody else").unwrap();
    let without = Network::default();
    let other =
        Network { authorities_pem: Some(stranger.certificate_pem().to_owned()), ..Network::default() };
    for network in [without, other] {
        let filesystem = site.service.with(|config| (config.network, config.retry.tries) = (network, 2));
        let error = filesystem.properties(&TargetPath::new("directory")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("check its address, DNS, proxy and TLS"), "{error}");
    }
    let both = format!("{}{}", stranger.certificate_pem(), site.authority.certificate_pem());
    works(&site.service.with(|config| config.network.authorities_pem = Some(both))).await;
}

#[tokio::test]
async fn authorities_that_are_none_are_a_mistake() {
    let site = Site::start().await;
    for pem in ["", "no certificate"] {
        let network = Network { authorities_pem: Some(pem.to_owned()), ..Network::default() };
        let error = site.service.try_with(|config| config.network = network).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fatal);
        assert!(error.to_string().contains("no certificate among the authorities"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_leads_to_the_service_and_sees_nothing_of_it() {
    let site = Site::start().await;
    let proxy = ConnectProxy::start(site.service.address(), None).await;
    works(&site.by_name(site.proxy(&proxy, "other.test"))).await;
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "the tunnel is used again: {heads:?}");
    assert!(heads[0].starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")), "{}", heads[0]);
    // "user:p@ss"
    assert!(heads[0].to_lowercase().contains("proxy-authorization: basic"), "{}", heads[0]);
    assert!(heads[0].contains("dXNlcjpwQHNz"), "{}", heads[0]);
}

#[tokio::test]
async fn who_is_excepted_is_not_asked_for_through_the_proxy() {
    let site = Site::start().await;
    for (except, asked) in [("", true), ("127.0.0.0/8", false), ("10.0.0.0/8,other.test", true), ("*", false)]
    {
        let proxy = ConnectProxy::start(site.service.address(), None).await;
        works(&site.service.with(|config| config.network.route = site.proxy(&proxy, except))).await;
        assert_eq!(!proxy.heads().is_empty(), asked, "{except:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let site = Site::start().await;
    let proxy = ConnectProxy::start(site.service.address(), Some("407 Proxy Authentication Required")).await;
    let filesystem = site.by_name(site.proxy(&proxy, ""));
    let error = filesystem.properties(&TargetPath::new("directory")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("proxy"), "{error}");
    assert!(!format!("{error:?}").contains("p%40ss"), "{error:?}");
    assert_eq!(proxy.heads().len(), 2, "as often as tries are allowed");
}

#[tokio::test]
async fn another_address_serves_under_the_services_name() {
    let site = Site::start().await;
    for host in ["127.0.0.1", "localhost"] {
        let port = Some(site.service.address().port());
        works(&site.by_name(Route::Address(Address { host: host.to_owned(), port }))).await;
    }
    let nobody = Route::Address(Address { host: "127.0.0.1".to_owned(), port: Some(1) });
    let error = site.by_name(nobody).properties(&TargetPath::new("directory")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}
