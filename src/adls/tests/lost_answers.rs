//! What the client makes of answers that never arrive, of refusals for a while and of damage on the way.

use livedata_adls::{Access, AccessControlChange, AdlsTarget, AfterAppend, CreateOptions, ResourceKind};
use livedata_filesystem::{Attributes, Condition, ErrorKind, Flush, Target as _, TargetPath, Upload};

use crate::emulator::{Service, read_all};
use crate::lossy_proxy::Spoil;

fn count(requests: &[String], method: &str) -> usize {
    requests.iter().filter(|line| line.starts_with(method)).count()
}

fn upload(position: u64, data: &'static [u8]) -> Upload {
    Upload { position, data: data.into() }
}

async fn new_file(service: &Service, path: &TargetPath) -> livedata_filesystem::Etag {
    let options = CreateOptions::default();
    service.filesystem.create(path, ResourceKind::File, &options, &Condition::Absent).await.unwrap()
}

#[tokio::test]
async fn a_small_file_takes_two_requests() {
    let service = Service::start().await;
    let path = TargetPath::new("small");
    service.proxy.take_requests();
    new_file(&service, &path).await;
    service.filesystem.append(&path, upload(0, b"content"), AfterAppend::FlushAndClose).await.unwrap();
    let requests = service.proxy.take_requests();
    assert_eq!(
        (requests.len(), count(&requests, "PUT"), count(&requests, "PATCH")),
        (2, 1, 1),
        "{requests:?}"
    );
    assert_eq!(read_all(&service.filesystem, &path).await, b"content");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_finds_its_own_file() {
    let service = Service::start().await;
    let path = TargetPath::new("created");
    service.proxy.spoil("resource=file", Spoil::LoseAnswer);
    let options =
        CreateOptions { properties: [("id".to_owned(), "1".to_owned())].into(), ..Default::default() };
    let etag =
        service.filesystem.create(&path, ResourceKind::File, &options, &Condition::Absent).await.unwrap();
    let requests = service.proxy.take_requests();
    assert_eq!(count(&requests, "HEAD"), 1, "a look decided: {requests:?}");
    let found = service.filesystem.properties(&path).await.unwrap().unwrap();
    assert_eq!(found.etag, etag);
}

#[tokio::test]
async fn a_lost_create_does_not_claim_somebody_elses_file() {
    let service = Service::start().await;
    let path = TargetPath::new("theirs");
    new_file(&service, &path).await;
    service.filesystem.append(&path, upload(0, b"theirs"), AfterAppend::FlushAndClose).await.unwrap();
    service.proxy.spoil("resource=file", Spoil::LoseAnswer);
    let options = CreateOptions::default();
    let error =
        service.filesystem.create(&path, ResourceKind::File, &options, &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(read_all(&service.filesystem, &path).await, b"theirs");
}

#[tokio::test]
async fn an_append_with_flush_whose_answer_was_lost_succeeds_once() {
    let service = Service::start().await;
    let path = TargetPath::new("appended");
    new_file(&service, &path).await;
    service.proxy.spoil("action=append", Spoil::LoseAnswer);
    let etag =
        service.filesystem.append(&path, upload(0, b"content"), AfterAppend::FlushAndClose).await.unwrap();
    service.proxy.take_requests();
    let found = service.filesystem.properties(&path).await.unwrap().unwrap();
    assert_eq!((Some(found.etag), found.length_bytes), (etag, 7));
    assert_eq!(read_all(&service.filesystem, &path).await, b"content");
}

#[tokio::test]
async fn an_append_and_a_flush_whose_answers_were_lost_succeed_once() {
    let service = Service::start().await;
    let path = TargetPath::new("flushed");
    new_file(&service, &path).await;
    service.proxy.spoil("action=append", Spoil::LoseAnswer);
    service.proxy.spoil("action=flush", Spoil::LoseAnswer);
    service.filesystem.append(&path, upload(0, b"con"), AfterAppend::Wait).await.unwrap();
    service.filesystem.append(&path, upload(3, b"tent"), AfterAppend::Wait).await.unwrap();
    let etag = service.filesystem.flush(&path, 7, Flush::Complete).await.unwrap();
    service.proxy.take_requests();
    let found = service.filesystem.properties(&path).await.unwrap().unwrap();
    assert_eq!(found.etag, etag);
    assert_eq!(read_all(&service.filesystem, &path).await, b"content");
}

#[tokio::test]
async fn a_rename_whose_answer_was_lost_is_recognised_by_its_etag() {
    let service = Service::start().await;
    let (from, to) = (TargetPath::new("staged"), TargetPath::new("final"));
    let etag = new_file(&service, &from).await;
    service.proxy.spoil("PUT", Spoil::LoseAnswer);
    service.filesystem.rename(&from, &to, &Condition::Absent, Some(&etag)).await.unwrap();
    let requests = service.proxy.take_requests();
    assert_eq!(count(&requests, "HEAD"), 1, "{requests:?}");
    assert_eq!(service.filesystem.properties(&from).await.unwrap(), None);
    assert_eq!(service.filesystem.properties(&to).await.unwrap().unwrap().etag, etag);
}

#[tokio::test]
async fn a_lost_rename_is_not_taken_for_somebody_elses_file() {
    let service = Service::start().await;
    let (from, to) = (TargetPath::new("staged"), TargetPath::new("final"));
    let etag = new_file(&service, &from).await;
    let theirs = new_file(&service, &to).await;
    service.proxy.spoil("PUT", Spoil::LoseAnswer);
    let error = service.filesystem.rename(&from, &to, &Condition::Absent, Some(&etag)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(service.filesystem.properties(&to).await.unwrap().unwrap().etag, theirs);
    assert!(service.filesystem.properties(&from).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lost_directory_rename_without_an_etag_is_recognised_too() {
    let service = Service::start().await;
    let (from, to) = (TargetPath::new("from"), TargetPath::new("to"));
    new_file(&service, &from.join("file")).await;
    service.proxy.spoil("PUT", Spoil::LoseAnswer);
    service.filesystem.rename(&from, &to, &Condition::Absent, None).await.unwrap();
    service.proxy.take_requests();
    assert!(service.filesystem.properties(&to.join("file")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_is_done() {
    let service = Service::start().await;
    let path = TargetPath::new("deleted");
    let etag = new_file(&service, &path).await;
    service.proxy.spoil("DELETE", Spoil::LoseAnswer);
    service.filesystem.delete(&path, false, &Condition::Unchanged(etag)).await.unwrap();
    assert_eq!(count(&service.proxy.take_requests(), "DELETE"), 2);
    assert_eq!(service.filesystem.properties(&path).await.unwrap(), None);
}

#[tokio::test]
async fn attributes_whose_answers_were_lost_are_set_under_their_condition() {
    let service = Service::start().await;
    let path = TargetPath::new("attributes");
    let etag = new_file(&service, &path).await;
    for pattern in ["setAccessControl", "setAccessControl", "setProperties"] {
        service.proxy.spoil(pattern, Spoil::LoseAnswer);
    }
    let attributes = Attributes {
        permissions: Some(0o1711),
        properties: [("id".to_owned(), "1".to_owned())].into(),
        ..Attributes::default()
    };
    let target = AdlsTarget::new(service.filesystem.clone());
    // Of the first request both the answer and the refusal of the second try.
    let etag = target.set_attributes(&path, &attributes, &Condition::Unchanged(etag)).await.unwrap();
    service.proxy.take_requests();
    let found = service.filesystem.properties(&path).await.unwrap().unwrap();
    assert_eq!((found.etag, found.properties), (etag, attributes.properties));
    assert_eq!(found.permissions.as_deref(), Some("rwx--x--t"));
}

#[tokio::test]
async fn lost_attributes_do_not_hide_that_somebody_else_was_first() {
    let service = Service::start().await;
    let path = TargetPath::new("attributes");
    let stale = Condition::Unchanged(new_file(&service, &path).await);
    let change = |bits| AccessControlChange { access: Some(Access::Permissions(bits)), ..Default::default() };
    let theirs = service.filesystem.set_access_control(&path, &change(0o600), &stale).await.unwrap();
    service.proxy.spoil("setAccessControl", Spoil::LoseAnswer);
    let error = service.filesystem.set_access_control(&path, &change(0o711), &stale).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    service.proxy.spoil("setProperties", Spoil::Drop);
    let properties = [("id".to_owned(), "1".to_owned())].into();
    let error = service.filesystem.set_properties(&path, &properties, &stale).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let found = service.filesystem.access_control(&path).await.unwrap();
    assert_eq!((found.etag, found.permissions.as_deref()), (Some(theirs), Some("rw-------")));
}

#[tokio::test]
async fn a_busy_account_gets_less_at_a_time() {
    let service = Service::start().await;
    let concurrency = std::sync::Arc::new(livedata_adls::Concurrency::new(16.try_into().unwrap()));
    let filesystem = service.with(|config| config.concurrency = std::sync::Arc::clone(&concurrency));
    let look_at = async |many: usize| {
        let paths: Vec<_> = (0..many).map(|name| TargetPath::new(&name.to_string())).collect();
        for looked in futures::future::join_all(paths.iter().map(|path| filesystem.properties(path))).await {
            looked.unwrap();
        }
    };
    look_at(64).await;
    assert_eq!(concurrency.limit(), 16, "nobody was refused");
    let busy = Spoil::AnswerInstead("503 Busy\r\nx-ms-error-code: ServerBusy\r\nretry-after: 0");
    service.proxy.spoil("HEAD", busy);
    look_at(16).await;
    assert!(concurrency.limit() < 16, "{}", concurrency.limit());
    service.proxy.take_requests();
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let service = Service::start().await;
    let path = TargetPath::new("busy");
    let busy = Spoil::AnswerInstead("503 Busy\r\nx-ms-error-code: ServerBusy\r\nretry-after: 0");
    service.proxy.spoil("resource=file", busy);
    service.proxy.spoil("resource=file", busy);
    new_file(&service, &path).await;
    let requests = service.proxy.take_requests();
    assert_eq!(requests.iter().filter(|line| line.contains("resource=file ")).count(), 3, "{requests:?}");
}

#[tokio::test]
async fn a_service_that_stays_busy_ends_with_tries_and_time() {
    let service = Service::start().await;
    for _ in 0..crate::emulator::TRIES {
        service.proxy.spoil("HEAD", Spoil::AnswerInstead("503 Busy\r\nx-ms-error-code: ServerBusy"));
    }
    let error = service.filesystem.properties(&TargetPath::new("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled { retry_after: None });
    assert!(error.to_string().contains("gave up after 4 tries in "), "{error}");
}

#[tokio::test]
async fn damage_on_the_way_is_noticed_and_repaired() {
    let service = Service::start().await;
    let path = TargetPath::new("damaged");
    new_file(&service, &path).await;
    service.proxy.take_requests();
    service.proxy.spoil("action=append", Spoil::DamageBody);
    service.filesystem.append(&path, upload(0, b"content"), AfterAppend::FlushAndClose).await.unwrap();
    assert_eq!(count(&service.proxy.take_requests(), "PATCH"), 2, "the service refused the first one");
    assert_eq!(read_all(&service.filesystem, &path).await, b"content");
}
