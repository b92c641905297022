//! Real handshakes between the configurations that this crate makes, over memory.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::io::ErrorKind;
use std::sync::Arc;

use livedata_pki::{Authority, WrongPeer, inspect, trust};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

/// Drives both ends until they are connected; the error of whoever refuses.
fn handshake(client: ClientConfig, server: ServerConfig, name: &str) -> Result<(), rustls::Error> {
    let mut client = ClientConnection::new(Arc::new(client), name.to_owned().try_into().unwrap())?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(&mut server, &wire)?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(&mut client, &wire)?;
    }
    Ok(())
}

fn feed<Side>(
    connection: &mut (impl std::ops::DerefMut<Target = rustls::ConnectionCommon<Side>> + ?Sized),
    mut wire: &[u8],
) -> Result<(), rustls::Error> {
    while !wire.is_empty() {
        match connection.read_tls(&mut wire) {
            Ok(_) => connection.process_new_packets().map(|_| ())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
    }
    Ok(())
}

fn authority() -> Authority {
    let folder = tempfile::tempdir().unwrap();
    Authority::load_or_create(folder.path(), "Test").unwrap()
}

#[test]
fn a_server_is_trusted_through_its_authority_only() {
    let (ours, other) = (authority(), authority());
    let server = ours.issue_server(&["localhost"], &["127.0.0.1".parse().unwrap()]).unwrap();
    let config = || server.server_config(None).unwrap();
    handshake(trust::only(ours.certificate_pem()).unwrap(), config(), "localhost").unwrap();
    handshake(trust::only(ours.certificate_pem()).unwrap(), config(), "127.0.0.1").unwrap();
    handshake(trust::only(ours.certificate_pem()).unwrap(), config(), "elsewhere").unwrap_err();
    handshake(trust::only(other.certificate_pem()).unwrap(), config(), "localhost").unwrap_err();
}

#[test]
fn a_pinned_authority_is_found_by_its_digest_and_names_still_count() {
    let (ours, other) = (authority(), authority());
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let config = || server.server_config(None).unwrap();
    handshake(trust::pinned(&ours.fingerprint().to_uppercase()).unwrap(), config(), "localhost").unwrap();
    handshake(trust::pinned(&ours.fingerprint()).unwrap(), config(), "elsewhere").unwrap_err();
    handshake(trust::pinned(&other.fingerprint()).unwrap(), config(), "localhost").unwrap_err();

    // Sending the right authority along does not help whom it did not certify.
    let stranger = other.issue_server(&["localhost"], &[]).unwrap();
    let mixed = stranger.certificate_chain_pem().to_owned() + ours.certificate_pem();
    let mixed = livedata_pki::Identity::from_pem(mixed, stranger.key_pem().to_owned()).unwrap();
    handshake(trust::pinned(&ours.fingerprint()).unwrap(), mixed.server_config(None).unwrap(), "localhost")
        .unwrap_err();
}

#[test]
fn a_server_that_asks_for_certificates_gets_them_from_its_authority() {
    let (ours, other) = (authority(), authority());
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let config = || server.server_config(Some(ours.certificate_pem())).unwrap();
    let known = ours.issue_client("front door", "urn:known").unwrap();
    handshake(known.client_config(ours.certificate_pem()).unwrap(), config(), "localhost").unwrap();
    let stranger = other.issue_client("front door", "urn:known").unwrap();
    handshake(stranger.client_config(ours.certificate_pem()).unwrap(), config(), "localhost").unwrap_err();
    handshake(trust::only(ours.certificate_pem()).unwrap(), config(), "localhost").unwrap_err();
}

#[test]
fn peers_known_by_uri_are_told_apart_in_both_directions() {
    let ours = authority();
    let agent = livedata_pki::IdentityRequest::load_or_create(&tempfile::tempdir().unwrap().path().join("a"))
        .unwrap();
    let chain = ours.sign_request(agent.der(), "agent", "urn:agent").unwrap();
    let agent = agent.complete(chain).unwrap();
    let (provider, client) =
        (ours.issue_client("p", "urn:provider").unwrap(), ours.issue_client("c", "urn:other").unwrap());
    let authority = ours.certificate_pem();
    let server = || agent.server_config_for(authority, "urn:provider").unwrap();

    handshake(provider.client_config_for(authority, "urn:agent").unwrap(), server(), "any").unwrap();

    let error = handshake(provider.client_config_for(authority, "urn:another").unwrap(), server(), "any")
        .unwrap_err();
    let wrong = WrongPeer { expected: "urn:another".into(), presented: vec!["urn:agent".into()] };
    assert_eq!(WrongPeer::in_error(&error), Some(&wrong));

    let error =
        handshake(client.client_config_for(authority, "urn:agent").unwrap(), server(), "any").unwrap_err();
    assert_eq!(WrongPeer::in_error(&error).unwrap().presented, ["urn:other"]);
}

#[test]
fn issue_is_checked_with_the_role() {
    let (ours, other) = (authority(), authority());
    let server = ours.issue_server(&["localhost"], &[]).unwrap().certificate().unwrap();
    inspect::check_issued(&server, ours.certificate_pem(), inspect::Role::Server).unwrap();
    inspect::check_issued(&server, ours.certificate_pem(), inspect::Role::Client).unwrap_err();
    inspect::check_issued(&server, other.certificate_pem(), inspect::Role::Server).unwrap_err();
}
