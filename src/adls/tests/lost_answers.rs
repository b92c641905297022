//! What the client makes of answers that never arrive, of refusals for a while and of damage on the way.

use livedata_adls::{AfterAppend, CreateOptions, ResourceKind};
use livedata_filesystem::{Condition, ErrorKind, Flush, TargetPath, Upload};

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
