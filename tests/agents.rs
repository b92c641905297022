//! Who may be the agent of a migrator, tried with the real program.

use serde_json::Value;

use crate::site::{Site, directory, has_condition};

#[tokio::test(flavor = "multi_thread")]
async fn an_install_key_works_once_and_junk_never() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    let key = site.install_key(&migrator).await;
    site.enrol("first", &key).await.unwrap();
    // The same installation may repeat itself: a reply may have been lost.
    site.enrol("first", &key).await.unwrap();
    let refused = site.enrol("second", &key).await.unwrap_err();
    assert!(refused.contains("InstallKeyUsed") && refused.contains("listInstallKey"), "{refused}");
    let junk = site.enrol("third", "ldk1_junk").await.unwrap_err();
    assert!(junk.contains("this is not an install key"), "{junk}");
    let not_enrolled = site.run_agent("second").finish().await;
    assert!(!not_enrolled.0.success() && not_enrolled.1.contains("not enrolled"), "{}", not_enrolled.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_one_migrators_agent_does_not_become_anothers() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let one = site.make_migrator("one", directory(&site.beside("source")), None).await;
    let two = site.make_migrator("two", directory(&site.beside("source")), None).await;
    site.enrol("agent", &site.install_key(&one).await).await.unwrap();
    let refused = site.enrol("agent", &site.install_key(&two).await).await.unwrap_err();
    assert!(refused.contains("a folder of its own"), "{refused}");
    let _agent = site.run_agent("agent");
    site.wait(&one, "Up", |status| status["phase"] == "Up").await;
    let second = site.run_agent("agent").finish().await;
    assert!(!second.0.success() && second.1.contains("another agent is running"), "{}", second.1);
}

/// The agent of `two` listens where that of `one` should be, as whoever owns the relay could arrange it.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_another_migrators_agent_is_refused() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let one = site.make_migrator("one", directory(&site.beside("source")), None).await;
    let two = site.make_migrator("two", directory(&site.beside("source")), None).await;
    for (migrator, folder) in [(&one, "one"), (&two, "two")] {
        site.enrol(folder, &site.install_key(migrator).await).await.unwrap();
    }
    let path = |folder: &str| site.beside(folder).join("enrolment.json");
    let read =
        |folder: &str| -> Value { serde_json::from_slice(&std::fs::read(path(folder)).unwrap()).unwrap() };
    let mut imposter = read("two");
    imposter["relay"] = read("one")["relay"].clone();
    std::fs::write(path("two"), imposter.to_string()).unwrap();
    let agent = site.run_agent("two");
    let status = site
        .wait(&one, "called and refused", |status| {
            has_condition(status, "AgentUnreachable") && status["conditions"][0]["reason"] == "WrongAgent"
        })
        .await;
    assert_eq!(status["phase"], "Connecting", "{status:#}");
    assert!(!agent.said().contains("desired state changed"), "{}", agent.said());
}
