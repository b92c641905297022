//! Names and things that the target does not take, turning up in a migration that follows its source: each is a finding of
//! its path, and the rest goes on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;

use livedata_model::command::CommandKind;
use livedata_model::report::{FailureKind, MigrationReport};
use livedata_model::spec::RunState;
use livedata_model::state::MigrationState;
use livedata_testkit::{World, live_migration};
use livedata_workload::SourceSide;

fn caught_up(report: &MigrationReport) -> bool {
    report.state == MigrationState::Live && report.lag.is_some_and(|lag| lag.transactions == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_does_not_take_is_named_with_its_kind_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    std::fs::create_dir_all(lake.join("table")).unwrap();
    std::fs::write(lake.join("before"), "b").unwrap();
    let world = World::new(url::Url::from_directory_path(folder.path()).unwrap().to_string(), "nobody").await;
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(1, None),
        world.target(),
        live_migration(1, "/lake", RunState::Running, 1),
    ]);
    agent.wait("caught up", caught_up).await;

    std::fs::write(lake.join("dot."), "d").unwrap();
    for name in [b"bad\xff", b"bad\xfe"] {
        std::fs::write(lake.join(OsStr::from_bytes(name)), "u").unwrap();
    }
    let _socket = UnixListener::bind(lake.join("socket")).unwrap();
    std::fs::write(lake.join("table/part."), "p").unwrap();
    std::fs::write(lake.join("table/_SUCCESS"), "").unwrap();
    std::fs::write(lake.join("after"), "a").unwrap();
    let mut failed = agent.given_up(6).await;
    failed.sort_by(|one, other| one.path.cmp(&other.path));
    let kinds: Vec<_> = failed.iter().map(|failed| (failed.path.as_str(), failed.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("/lake/bad\u{fffd}fe", FailureKind::NameRefused),
            ("/lake/bad\u{fffd}ff", FailureKind::NameRefused),
            ("/lake/dot.", FailureKind::NameRefused),
            ("/lake/socket", FailureKind::NotSupported),
            ("/lake/table/_SUCCESS", FailureKind::VouchesForFailed),
            ("/lake/table/part.", FailureKind::NameRefused),
        ],
        "{failed:?}"
    );
    assert!(failed[0].reason.contains("UTF-8") && failed[2].reason.contains("dot"), "{failed:?}");
    let report = agent.wait("counted", |report| report.progress.files_failed == 6).await;
    assert_eq!(report.state, MigrationState::Live, "{report:?}");
    agent.wait("the rest has arrived", caught_up).await;
    agent.stop().await;

    // They outlive the process, with their kinds; and what is put right follows.
    let mut agent = world.start_agent();
    let mut again = agent.given_up(6).await;
    again.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!(
        again.iter().map(|failed| failed.kind).collect::<Vec<_>>(),
        [
            FailureKind::NameRefused,
            FailureKind::NameRefused,
            FailureKind::NameRefused,
            FailureKind::NotSupported,
            FailureKind::VouchesForFailed,
            FailureKind::NameRefused,
        ]
    );
    for (bad, good) in [("dot.", "dot"), ("table/part.", "table/part")] {
        std::fs::rename(lake.join(bad), lake.join(good)).unwrap();
    }
    std::fs::rename(lake.join(OsStr::from_bytes(b"bad\xff")), lake.join("bad")).unwrap();
    std::fs::rename(lake.join(OsStr::from_bytes(b"bad\xfe")), lake.join("worse")).unwrap();
    std::fs::remove_file(lake.join("socket")).unwrap();
    agent.wait("live again", |report| report.state == MigrationState::Live).await;
    agent.command("/migration", CommandKind::RetryFailed);
    agent.wait("nothing is given up", |report| report.progress.files_failed == 0 && caught_up(report)).await;
    let compared = world.compare(SourceSide::Directory(lake), "lake").await;
    assert!(compared.equal() && compared.files == 7, "{compared}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_deep_for_the_target_is_a_finding_of_its_directory_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let deep = (0..62).fold(lake.clone(), |above, _| above.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("file"), "deep").unwrap();
    std::fs::write(lake.join("before"), "b").unwrap();
    let world = World::new(url::Url::from_directory_path(folder.path()).unwrap().to_string(), "nobody").await;
    let mut agent = world.start_agent();
    agent.desire(vec![
        world.migrator(1, None),
        world.target(),
        live_migration(1, "/lake", RunState::Running, 1),
    ]);
    let failed = agent.given_up(1).await;
    assert_eq!(failed[0].kind, FailureKind::NameRefused, "{failed:?}");
    assert!(failed[0].reason.contains("PathIsTooDeep"), "{failed:?}");
    agent.wait("the rest has arrived", caught_up).await;
    std::fs::write(lake.join("after"), "a").unwrap();
    std::fs::remove_dir_all(lake.join("d")).unwrap();
    agent.wait("put right", |report| report.progress.files_failed == 0 && caught_up(report)).await;
    let compared = world.compare(SourceSide::Directory(lake), "lake").await;
    assert!(compared.equal() && compared.files == 2, "{compared}");
    agent.stop().await;
}
