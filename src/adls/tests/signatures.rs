//! Shared access signatures at the emulator, signed here as an owner of the account's key signs them.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livedata_adls::{AdlsTarget, AfterAppend, Credential, Filesystem, Sas, SasToken};
use livedata_filesystem::{ErrorKind, TargetPath, Upload, conformance};
use tokio::sync::watch;
use url::form_urlencoded;

use crate::emulator::{KEY, Service, Subject, read_all, write};

const VERSION: &str = "2023-11-03";
const FUTURE: &str = "2100-01-01T00:00:00Z";
const PAST: &str = "2020-01-01T00:00:00Z";

fn token(text: &str, parts: &[(&str, &str)]) -> SasToken {
    token_by(KEY, text, parts)
}

fn token_by(key: &str, text: &str, parts: &[(&str, &str)]) -> SasToken {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts).append_pair("sig", &signature);
    SasToken::parse(&query.finish()).unwrap()
}

/// For everything in the account.
fn of_account(letters: &str, ends: &str) -> SasToken {
    of_account_by(KEY, letters, ends)
}

fn of_account_by(key: &str, letters: &str, ends: &str) -> SasToken {
    let (services, types) = ("b", "sco");
    let text = format!("account\n{letters}\n{services}\n{types}\n\n{ends}\n\n\n{VERSION}\n\n");
    token_by(key, &text, &[("sv", VERSION), ("ss", services), ("srt", types), ("sp", letters), ("se", ends)])
}

/// For a directory with everything below it, or, without one, for the container.
fn of_directory(directory: Option<&str>, letters: &str) -> SasToken {
    let resource = if directory.is_some() { "d" } else { "c" };
    let below = directory.map(|path| format!("/{path}")).unwrap_or_default();
    let place = format!("/blob/account/container{below}");
    let text = format!("{letters}\n\n{FUTURE}\n{place}\n\n\n\n{VERSION}\n{resource}\n\n\n\n\n\n\n");
    let depth = directory.map(|path| path.split('/').count().to_string());
    let mut parts = vec![("sv", VERSION), ("sr", resource), ("sp", letters), ("se", FUTURE)];
    parts.extend(depth.as_deref().map(|depth| ("sdd", depth)));
    token(&text, &parts)
}

#[tokio::test]
async fn the_client_conforms_with_signatures_too() {
    let service = Service::start().await;
    for (name, token) in [
        ("account", of_account("rwdlacmeopx", FUTURE)),
        ("container", of_directory(None, "racwdlmeop")),
        ("directory", of_directory(Some("directory"), "racwdlmeop")),
    ] {
        let credential = Credential::Sas(Sas::new(token));
        let filesystem = service.with(|config| config.credential = credential);
        let subject = Subject(AdlsTarget::new(filesystem));
        conformance::target(&subject, &TargetPath::new("directory").join(name)).await;
    }
}

#[tokio::test]
async fn a_signature_that_is_over_holds_everything_until_it_is_renewed() {
    let service = Service::start().await;
    let sas = Sas::new(of_account("rwdlacmeopx", PAST));
    let filesystem = service.with(|config| config.credential = Credential::Sas(sas.clone()));
    let path = TargetPath::new("file");
    let error = filesystem.properties(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable, "{error}");
    assert!(error.to_string().contains("the SAS is wrong or over"), "{error}");
    sas.renew(of_account("rwdlacmeopx", FUTURE));
    write(&filesystem, &path, b"content").await;
    assert_eq!(read_all(&filesystem, &path).await, b"content");
}

#[tokio::test]
async fn what_a_signature_does_not_allow_is_denied() {
    let service = Service::start().await;
    let path = TargetPath::new("file");
    write(&service.filesystem, &path, b"content").await;
    let reader =
        service.with(|config| config.credential = Credential::Sas(Sas::new(of_account("rl", FUTURE))));
    assert_eq!(read_all(&reader, &path).await, b"content");
    let error = reader.delete(&path, false, &livedata_filesystem::Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("the SAS lacks a permission"), "{error}");
}

/// One who goes on appending, a byte at a time, and tells how many there are.
async fn append_bytes(filesystem: Filesystem, path: TargetPath, told: watch::Sender<u64>) {
    write(&filesystem, &path, b"0").await;
    while !told.is_closed() {
        let position = *told.borrow() + 1;
        let upload = Upload { position, data: b"x"[..].into() };
        filesystem.append(&path, upload, AfterAppend::FlushAndClose).await.unwrap();
        told.send_replace(position);
    }
}

#[tokio::test]
async fn a_signature_is_renewed_under_writers_that_are_at_work() {
    let service = Service::start().await;
    // Signed with the first key, which ends with it, and then with the second.
    let [_, second] = service.regenerate_first_key().await;
    let [first, second_still] = service.regenerate_first_key().await;
    assert_eq!(second, second_still);
    let sas = Sas::new(of_account_by(&first, "rwdlacmeopx", FUTURE));
    let filesystem = service.with(|config| config.credential = Credential::Sas(sas.clone()));
    let (mut writers, mut watched) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let (told, seen) = watch::channel(0);
        let path = TargetPath::new(&format!("file{number}"));
        writers.push(tokio::spawn(append_bytes(filesystem.clone(), path, told)));
        watched.push(seen);
    }
    let further = async |watched: &mut Vec<watch::Receiver<u64>>| {
        for seen in watched {
            let now = *seen.borrow();
            seen.wait_for(|position| *position >= now + 3).await.unwrap();
        }
    };
    further(&mut watched).await;
    sas.renew(of_account_by(&second, "rwdlacmeopx", FUTURE));
    // No request is under way any more that carries the old one.
    further(&mut watched).await;
    service.regenerate_first_key().await;
    further(&mut watched).await;
    drop(watched);
    for writer in writers {
        writer.await.unwrap();
    }
    let old = service.with(|config| {
        config.credential = Credential::Sas(Sas::new(of_account_by(&first, "rl", FUTURE)));
    });
    let error = old.properties(&TargetPath::new("file0")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable, "{error}");
}
