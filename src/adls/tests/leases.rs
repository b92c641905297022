//! Leases at the emulator.

use std::time::Duration;

use livedata_adls::{AfterAppend, CreateOptions, Filesystem, LeaseDuration, ResourceKind};
use livedata_filesystem::{Condition, ErrorKind, Result, TargetPath, Upload};

use crate::emulator::{Service, read_all, write};
use crate::lossy_proxy::Spoil;

const LONGEST: LeaseDuration = LeaseDuration::Seconds(60);

async fn append(filesystem: &Filesystem, path: &TargetPath, position: u64) -> Result<()> {
    let upload = Upload { position, data: b"more"[..].into() };
    filesystem.append(path, upload, AfterAppend::FlushAndClose).await.map(|_| ())
}

fn kind<T>(answer: Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

#[tokio::test]
async fn only_the_holder_writes_moves_and_deletes() {
    let service = Service::start().await;
    let (path, moved) = (TargetPath::new("leased"), TargetPath::new("moved"));
    write(&service.filesystem, &path, b"content").await;
    let lease = service.filesystem.acquire_lease(&path, LONGEST).await.unwrap();
    assert_eq!(lease.path(), &path);
    let error = append(&service.filesystem, &path, 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("somebody has a lease on it"), "{error}");
    let conflict = Some(ErrorKind::Conflict);
    let (any, here) = (Condition::Any, &service.filesystem);
    assert_eq!(kind(here.acquire_lease(&path, LONGEST).await), conflict);
    assert_eq!(kind(here.delete(&path, false, &any).await), conflict);
    assert_eq!(kind(here.rename(&path, &moved, &any, None).await), conflict);
    assert_eq!(read_all(here, &path).await, b"content", "everybody reads");

    let holder = here.holding(&lease);
    append(&holder, &path, 7).await.unwrap();
    holder.renew_lease(&lease).await.unwrap();
    let other = TargetPath::new("other");
    holder.create(&other, ResourceKind::File, &CreateOptions::default(), &any).await.unwrap();
    holder.rename(&path, &moved, &any, None).await.unwrap();
    assert_eq!(read_all(here, &moved).await, b"contentmore");
}

#[tokio::test]
async fn what_is_released_anybody_writes() {
    let service = Service::start().await;
    let path = TargetPath::new("leased");
    write(&service.filesystem, &path, b"content").await;
    let lease = service.filesystem.acquire_lease(&path, LeaseDuration::Infinite).await.unwrap();
    service.filesystem.release_lease(&lease).await.unwrap();
    append(&service.filesystem, &path, 7).await.unwrap();
    assert_eq!(kind(service.filesystem.release_lease(&lease).await), Some(ErrorKind::Conflict), "only once");
    assert_eq!(kind(service.filesystem.renew_lease(&lease).await), Some(ErrorKind::Conflict));
}

#[tokio::test]
async fn a_lease_is_broken_by_anybody() {
    let service = Service::start().await;
    let path = TargetPath::new("leased");
    write(&service.filesystem, &path, b"content").await;
    assert_eq!(
        kind(service.filesystem.break_lease(&path, None).await),
        Some(ErrorKind::Conflict),
        "there is none"
    );
    service.filesystem.acquire_lease(&path, LONGEST).await.unwrap();
    let left = service.filesystem.break_lease(&path, Some(Duration::from_secs(30))).await.unwrap();
    assert!((1..=30).contains(&left.as_secs()), "{left:?}");
    assert_eq!(service.filesystem.break_lease(&path, Some(Duration::ZERO)).await.unwrap(), Duration::ZERO);
    append(&service.filesystem, &path, 7).await.unwrap();
    let missing = TargetPath::new("missing");
    assert_eq!(kind(service.filesystem.acquire_lease(&missing, LONGEST).await), Some(ErrorKind::Gone));
}

#[tokio::test]
async fn answers_that_are_lost_change_nothing_about_a_lease() {
    let service = Service::start().await;
    let path = TargetPath::new("leased");
    write(&service.filesystem, &path, b"content").await;
    service.proxy.spoil("POST", Spoil::LoseAnswer);
    let lease = service.filesystem.acquire_lease(&path, LONGEST).await.unwrap();
    append(&service.filesystem.holding(&lease), &path, 7).await.unwrap();
    service.proxy.spoil("POST", Spoil::LoseAnswer);
    service.filesystem.release_lease(&lease).await.unwrap();
    append(&service.filesystem, &path, 11).await.unwrap();
    service.proxy.take_requests();
}
