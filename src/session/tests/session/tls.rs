//! Who gets through the handshake and who does not.

use std::sync::Arc;

use livedata_model::message::{Echo, Message};
use livedata_session::tls::{accept_as_agent, open_as_provider};
use livedata_session::{AgentName, Error, Kind};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::{World, name};

fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(16 * 1024)
}

fn echo() -> Message {
    Message::Echo(Echo { sent_ms: 1, clock_ms: 2 })
}

fn crypto() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[tokio::test]
async fn provider_and_agent_talk_over_memory() {
    let (near, far) = pipe();
    let (mut provider, mut agent) = World::new().channels(near, far).await;
    provider.send(&echo()).await.unwrap();
    assert_eq!(agent.recv().await.unwrap(), Some(echo()));
    agent.send(&echo()).await.unwrap();
    assert_eq!(provider.recv().await.unwrap(), Some(echo()));
    provider.split().1.close().await.unwrap();
    assert_eq!(agent.recv().await.unwrap(), None);
}

#[tokio::test]
async fn provider_and_agent_talk_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let (mut provider, mut agent) = World::new().channels(near, far).await;
    agent.send(&echo()).await.unwrap();
    assert_eq!(provider.recv().await.unwrap(), Some(echo()));
}

#[tokio::test]
async fn a_stream_that_the_relay_cuts_is_an_error_not_an_end() {
    let (near, far) = pipe();
    let (provider, mut agent) = World::new().channels(near, far).await;
    drop(provider);
    let error = agent.recv().await.unwrap_err();
    assert!(matches!(error, Error::Connection(_)));
    assert_eq!(error.kind(), Kind::Retryable);
}

#[tokio::test]
async fn an_agent_of_another_migrator_or_instance_is_refused() {
    let world = World::new();
    let expected = name("one");
    for other in [name("two"), AgentName::new("another-migrator", "one").unwrap()] {
        let (near, far) = pipe();
        let agent = world.agent(&other);
        let (provider, agent) =
            tokio::join!(open_as_provider(near, &world.provider, &expected), accept_as_agent(far, &agent));
        match provider.map(|_| ()).unwrap_err() {
            Error::WrongAgent { expected: named, presented } => {
                assert_eq!((named, presented), (expected.to_string(), vec![other.to_string()]));
            }
            error => panic!("{error:?}"),
        }
        assert_eq!(agent.map(|_| ()).unwrap_err().kind(), Kind::Denied);
    }
}

#[tokio::test]
async fn an_agent_of_another_authority_is_refused() {
    let (world, strangers) = (World::new(), World::new());
    let (near, far) = pipe();
    let name = name("one");
    let agent = strangers.agent(&name);
    let (provider, agent) =
        tokio::join!(open_as_provider(near, &world.provider, &name), accept_as_agent(far, &agent));
    assert!(matches!(provider.map(|_| ()), Err(Error::Tls(rustls::Error::InvalidCertificate(_)))));
    assert!(agent.is_err());
}

#[tokio::test]
async fn a_provider_of_another_authority_is_refused_by_the_agent() {
    let (world, strangers) = (World::new(), World::new());
    let (near, far) = pipe();
    // The stranger trusts the agent's authority, but has no certificate of it.
    let config = strangers
        .agent_certificate(&name("x"))
        .client_config_for(world.authority.certificate_pem(), &name("one").to_string())
        .unwrap();
    let agent = world.agent(&name("one"));
    let connector = TlsConnector::from(Arc::new(config));
    let (_, agent) =
        tokio::join!(connector.connect("any".try_into().unwrap(), near), accept_as_agent(far, &agent));
    assert!(matches!(agent.map(|_| ()), Err(Error::Tls(rustls::Error::InvalidCertificate(_)))));
}

#[tokio::test]
async fn an_agent_that_plays_the_provider_is_refused() {
    let world = World::new();
    let (near, far) = pipe();
    let impostor = world
        .agent_certificate(&name("two"))
        .client_config_for(world.authority.certificate_pem(), &name("one").to_string())
        .unwrap();
    let agent = world.agent(&name("one"));
    let connector = TlsConnector::from(Arc::new(impostor));
    let (_, agent) =
        tokio::join!(connector.connect("any".try_into().unwrap(), near), accept_as_agent(far, &agent));
    match agent.map(|_| ()).unwrap_err() {
        Error::WrongProvider { presented } => assert_eq!(presented, [name("two").to_string()]),
        error => panic!("{error:?}"),
    }
}

/// Shows no certificate although it was asked for one.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_caller_without_certificate_is_refused() {
    let world = World::new();
    let (near, far) = pipe();
    let mut config = world
        .agent_certificate(&name("two"))
        .client_config_for(world.authority.certificate_pem(), &name("one").to_string())
        .unwrap();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    let agent = world.agent(&name("one"));
    let connector = TlsConnector::from(Arc::new(config));
    let (_, agent) =
        tokio::join!(connector.connect("any".try_into().unwrap(), near), accept_as_agent(far, &agent));
    assert!(matches!(agent.map(|_| ()), Err(Error::Tls(rustls::Error::NoCertificatesPresented))));
}

#[tokio::test]
async fn a_caller_that_speaks_only_tls_1_2_is_refused() {
    let world = World::new();
    let (near, far) = pipe();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.authority.certificate_pem().as_bytes()).unwrap()).unwrap();
    let (chain, key) = parts(&world.agent_certificate(&name("two")));
    let config = ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let agent = world.agent(&name("one"));
    let connector = TlsConnector::from(Arc::new(config));
    let (client, agent) =
        tokio::join!(connector.connect("any".try_into().unwrap(), near), accept_as_agent(far, &agent));
    assert!(client.is_err());
    assert!(matches!(agent.map(|_| ()), Err(Error::Tls(rustls::Error::PeerIncompatible(_)))));
}

#[tokio::test]
async fn an_agent_that_speaks_only_tls_1_2_is_refused() {
    let world = World::new();
    let (near, far) = pipe();
    let name = name("one");
    let (chain, key) = parts(&world.agent_certificate(&name));
    let config = ServerConfig::builder_with_provider(crypto())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (provider, agent) = tokio::join!(
        open_as_provider(near, &world.provider, &name),
        TlsAcceptor::from(Arc::new(config)).accept(far)
    );
    assert!(agent.is_err());
    assert!(matches!(provider.map(|_| ()), Err(Error::Tls(_))));
}

fn parts(identity: &livedata_pki::Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_chain_pem().as_bytes());
    (
        chain.collect::<Result<_, _>>().unwrap(),
        PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap(),
    )
}
