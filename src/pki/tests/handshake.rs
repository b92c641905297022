//! Real handshakes between the configurations that this crate makes, over memory.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::io::ErrorKind;
use std::sync::Arc;

use livedata_pki::{Authority, Clients, PublishedCertificates, Stale, WrongPeer, inspect, trust};
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

const DAY: u64 = 24 * 3600;

fn now() -> u64 {
    rustls_pki_types::UnixTime::now().as_secs()
}

#[test]
fn a_published_certificate_opens_the_door_and_no_other_does_also_of_the_same_authority() {
    let (ours, callers) = (authority(), authority());
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let (known, twin) =
        (callers.issue_client("arm", "urn:arm").unwrap(), callers.issue_client("arm", "urn:arm").unwrap());
    let list = Arc::new(PublishedCertificates::new(std::time::Duration::from_secs(DAY)));
    let call = |caller: &livedata_pki::Identity| {
        let clients = Clients::published(Arc::clone(&list));
        let client = caller.client_config(ours.certificate_pem()).unwrap();
        handshake(client, server.server_config_of(clients).unwrap(), "localhost")
    };
    let refused = call(&known).unwrap_err();
    assert_eq!(Stale::in_error(&refused), Some(&Stale { age: None }), "nothing was fetched: {refused}");

    list.replace(vec![known.certificate().unwrap()], now());
    call(&known).unwrap();
    let refused = call(&twin).unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer"), "{refused}");
    let nobody = handshake(
        trust::only(ours.certificate_pem()).unwrap(),
        server.server_config_of(Clients::published(Arc::clone(&list))).unwrap(),
        "localhost",
    );
    nobody.unwrap_err();

    // What is published is the whole list.
    list.replace(vec![twin.certificate().unwrap()], now());
    call(&known).unwrap_err();
    call(&twin).unwrap();

    // As it was a day ago and a minute.
    list.replace(vec![twin.certificate().unwrap()], now() - DAY - 60);
    let refused = call(&twin).unwrap_err();
    let stale = Stale::in_error(&refused).expect("the reason");
    assert!(stale.to_string().contains("1441 minutes ago"), "{stale}");
    list.check_current(now()).unwrap_err();
    list.check_current(now() - 120).unwrap();
}

#[test]
fn front_doors_and_published_clients_may_both_come() {
    let (ours, doors, callers) = (authority(), authority(), authority());
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let list = Arc::new(PublishedCertificates::new(std::time::Duration::from_secs(DAY)));
    let arm = callers.issue_client("arm", "urn:arm").unwrap();
    let call = |caller: &livedata_pki::Identity| {
        let clients = Clients::certified(doors.certificate_pem(), "urn:door")
            .unwrap()
            .or(Clients::published(Arc::clone(&list)));
        let client = caller.client_config(ours.certificate_pem()).unwrap();
        handshake(client, server.server_config_of(clients).unwrap(), "localhost")
    };
    let door = doors.issue_client("door", "urn:door").unwrap();
    call(&door).unwrap();
    call(&arm).unwrap_err();
    list.replace(vec![arm.certificate().unwrap()], now());
    call(&arm).unwrap();
    call(&door).unwrap();
    call(&doors.issue_client("window", "urn:window").unwrap()).unwrap_err();
    call(&callers.issue_client("arm", "urn:door").unwrap()).unwrap_err();
}

/// Of what is published, too, only what is valid.
#[test]
fn an_expired_or_future_certificate_is_refused_although_it_is_published() {
    let ours = authority();
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let self_signed = |from: i64, to: i64| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let at = |seconds: i64| {
            time::OffsetDateTime::from_unix_timestamp(now() as i64).unwrap()
                + time::Duration::seconds(seconds)
        };
        (params.not_before, params.not_after) = (at(from), at(to));
        let certificate = params.self_signed(&key).unwrap();
        livedata_pki::Identity::from_pem(certificate.pem(), key.serialize_pem()).unwrap()
    };
    for (from, to, wanted) in [(-60, 60, None), (-60, -30, Some("Expired")), (30, 60, Some("NotValidYet"))] {
        let caller = self_signed(from, to);
        let list = Arc::new(PublishedCertificates::new(std::time::Duration::from_secs(DAY)));
        list.replace(vec![caller.certificate().unwrap()], now());
        let client = caller.client_config(ours.certificate_pem()).unwrap();
        let answer =
            handshake(client, server.server_config_of(Clients::published(list)).unwrap(), "localhost");
        match (answer, wanted) {
            (Ok(()), None) => {}
            (Err(error), Some(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (answer, wanted) => panic!("{answer:?} instead of {wanted:?}"),
        }
    }
}

/// As `Authority` makes them, but for a time of the test's choosing.
fn front_door_until(
    authority_key: &rcgen::KeyPair,
    authority: &rcgen::Certificate,
    end: i64,
) -> livedata_pki::Identity {
    let now = time::OffsetDateTime::from_unix_timestamp(now() as i64).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI("urn:door".try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) =
        (now - time::Duration::minutes(10), now + time::Duration::seconds(end));
    let key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(authority.der(), authority_key).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    livedata_pki::Identity::from_pem(certificate.pem(), key.serialize_pem()).unwrap()
}

#[test]
fn a_front_door_whose_certificate_has_expired_is_refused() {
    let ours = authority();
    let server = ours.issue_server(&["localhost"], &[]).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let doors = params.self_signed(&key).unwrap();
    for (end, comes_in) in [(60, true), (-60, false)] {
        let door = front_door_until(&key, &doors, end);
        let clients = Clients::certified(&doors.pem(), "urn:door").unwrap();
        let client = door.client_config(ours.certificate_pem()).unwrap();
        let answer = handshake(client, server.server_config_of(clients).unwrap(), "localhost");
        assert_eq!(answer.is_ok(), comes_in, "{answer:?}");
    }
}
