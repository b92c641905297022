//! Who may be the agent of a migrator, tried with the real program.

use livedata_workload::lake::{self, Shape};
use serde_json::Value;

use crate::site::{Site, directory, has_condition, progress, until};

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
    let key = site.install_key(&two).await;
    let refused = site.enrol("agent", &key).await.unwrap_err();
    assert!(refused.contains("a folder of its own"), "{refused}");
    // The key was not spent by that.
    site.enrol("other", &key).await.unwrap();
    let agent = site.run_agent("agent");
    site.wait(&one, "Up", |status| status["phase"] == "Up").await;
    let second = site.run_agent("agent").finish().await;
    assert!(!second.0.success() && second.1.contains("another agent is running"), "{}", second.1);
    let (status, said) = agent.terminate().await;
    assert!(status.success() && said.contains("stopped"), "{said}");
}

/// What may be read on the agent's machine is for those who installed it there to say, not for those who write to ARM.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_agent_was_not_allowed_to_read_is_not_read() {
    let site = Site::start().await;
    let migrator = site.make_migrator("m", directory(&site.data()), None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "x", "/").await;
    let status = site.wait(&migration, "refused", |status| has_condition(status, "SourceUnreachable")).await;
    assert!(status["lastError"].as_str().unwrap().contains("--local-directory"), "{status:#}");
    assert_eq!(site.listing().await, Vec::<String>::new());
}

/// Another agent takes the migrator over, and in the end the migrator is deleted: who has lost it stops, at once when it is
/// connected, and otherwise when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lost_its_migrator_stops_copying() {
    let site = Site::start().await;
    let shape = Shape { files: 40, directories: 4, total_bytes: 64 << 20, largest_bytes: 32 << 20, seed: 5 };
    let lake = lake::make(&site.beside("source").join("lake"), &shape).unwrap();
    let source = directory(&site.beside("source"));
    let migrator = site.make_migrator("m", source, Some(1 << 20)).await;
    let first = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;
    site.wait(&migration, "under way", |status| progress(status, "bytesMigrated") > 0).await;
    first.kill().await;

    site.enrol("second", &site.install_key(&migrator).await).await.unwrap();
    let first = site.run_agent("m");
    first.wait_until_said("its migrations stop").await;
    // A copy at this rate shows within a tenth of the time.
    let (mut sent, mut looks) = (0, 0);
    let quiet = until(async || {
        let now = site.ingress_bytes().await;
        looks = if now == sent { looks + 1 } else { 0 };
        sent = now;
        (looks == 10).then_some(now)
    });
    assert!(quiet.await.unwrap() < lake.bytes / 2, "it came to rest because it was done");
    drop(first);

    let second = site.run_agent("second");
    second.wait_until_said("running").await;
    site.enrol("third", &site.install_key(&migrator).await).await.unwrap();
    second.wait_until_said("removed").await;
    let third = site.run_agent("third");
    third.wait_until_said("running").await;
    site.arm().delete(&migrator).await.unwrap();
    third.wait_until_said("removed").await;
}

/// As after an exchange of the relay's keys while the agent was down.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_stored_relay_token_is_worthless_gets_another_from_the_provider() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    site.enrol("m", &site.install_key(&migrator).await).await.unwrap();
    let file = site.beside("m").join("enrolment.json");
    let mut enrolment: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let token = enrolment["relay"]["listenToken"].as_str().unwrap().replace("sig=", "sig=AAAA");
    enrolment["relay"]["listenToken"] = token.as_str().into();
    std::fs::write(&file, enrolment.to_string()).unwrap();
    let agent = site.run_agent("m");
    site.wait(&migrator, "Up", |status| status["phase"] == "Up").await;
    assert!(!agent.said().contains(&token), "the token is in the log");
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
    // It would ask for its own place otherwise.
    imposter["server"]["url"] = "https://localhost:1/".into();
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

/// The provider believes whatever a front door says about a caller, so nobody else may speak to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_providers_own_door_opens_to_the_front_door_only() {
    let site = Site::start().await;
    std::fs::create_dir(site.beside("source")).unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    site.enrol("m", &site.install_key(&migrator).await).await.unwrap();
    let read = |folder: std::path::PathBuf, name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let authority = read(site.data().join("servers"), "ca.pem");
    let (agent_pem, agent_key) = (read(site.beside("m"), "agent.pem"), read(site.beside("m"), "agent.key"));
    let agent = livedata_pki::Identity::from_pem(agent_pem, agent_key).unwrap();
    let servers = livedata_pki::Authority::load_or_create(&site.data().join("servers"), "").unwrap();
    let doors = livedata_pki::Authority::load_or_create(&site.data().join("front-doors"), "").unwrap();
    let issued = |authority: &livedata_pki::Authority, uri: &str| authority.issue_client("x", uri).unwrap();
    let ports: Value = serde_json::from_str(&read(site.data(), "ports.json")).unwrap();
    let url = format!("https://localhost:{}{migrator}?api-version=2026-11-01-preview", ports["provider"]);
    let ask = async |tls: rustls::ClientConfig| {
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build().unwrap();
        client.get(&url).send().await.map(|reply| reply.status().as_u16()).map_err(drop)
    };
    let door = "urn:livedata:front-door";
    assert_eq!(ask(issued(&doors, door).client_config(&authority).unwrap()).await, Ok(200));
    assert_eq!(ask(livedata_pki::trust::only(&authority).unwrap()).await, Err(()));
    assert_eq!(ask(agent.client_config(&authority).unwrap()).await, Err(()));
    assert_eq!(ask(issued(&servers, door).client_config(&authority).unwrap()).await, Err(()));
    assert_eq!(
        ask(issued(&doors, "urn:livedata:provider").client_config(&authority).unwrap()).await,
        Err(())
    );
}

/// What an agent cannot act on stands there, and disturbs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_cannot_act_on_it_says_of_each_and_copies_on() {
    let site = Site::start().await;
    let lake = site.beside("source").join("lake");
    std::fs::create_dir_all(&lake).unwrap();
    std::fs::write(lake.join("a"), "a").unwrap();
    let migrator = site.make_migrator("m", directory(&site.beside("source")), None).await;
    let agent = site.install_agent(&migrator).await;
    let urgent = serde_json::json!({"priority": "High"});
    let migration = site.start_migration_with(&migrator, "lake", "/lake", urgent).await;
    let unsupported = |status: &Value| has_condition(status, "NotSupportedByAgent");
    // A priority breaks no promise about data.
    let done = site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert!(unsupported(&done), "{done:#}");

    let put = async |path: &str, properties: Value| {
        let path = format!("{migrator}/{path}");
        site.arm().put(&path, &serde_json::json!({ "properties": properties })).await.unwrap();
        path
    };
    put(
        "exclusionTemplates/e",
        serde_json::json!({"exclusionKind": "FileSizeExclusion", "maxFileSizeBytes": 1}),
    )
    .await;
    let target = format!("{migrator}/targets/t");
    for (path, properties) in [
        ("pathMappings/p", serde_json::json!({"sourcePath": "/a", "targetId": target, "targetPath": "/x"})),
        ("dataTransferAgents/d", serde_json::json!({"host": "h", "port": 1, "accessToken": "sesame-agent"})),
        ("metadataMigrations/h", serde_json::json!({"dbNamePattern": "*", "tableNamePattern": "*"})),
        ("verifications/ver", serde_json::json!({"migrationId": migration})),
    ] {
        let path = put(path, properties).await;
        let status = site.wait(&path, "NotSupportedByAgent", unsupported).await;
        let message = status["conditions"][0]["message"].as_str().unwrap();
        assert!(message.contains("this agent cannot"), "{message}");
    }
    // A rule that would not be kept keeps the migration from running: nothing is copied that was to be left out.
    let ruled = serde_json::json!({"exclusions": [{"name": "e"}], "targetPath": "/ruled"});
    let ruled = site.start_migration_with(&migrator, "ruled", "/lake", ruled).await;
    let status = site.wait(&ruled, "NotSupportedByAgent", unsupported).await;
    assert_eq!(status["state"], "Scheduled", "{status:#}");
    assert!(site.listing().await.iter().all(|path| !path.contains("ruled")));
    // No secret of what is not acted on is on the agent's disk.
    let (status, _) = agent.terminate().await;
    assert!(status.success());
    for file in std::fs::read_dir(site.beside("m")).unwrap().flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(!bytes.windows(12).any(|part| part == b"sesame-agent"), "{}", file.path().display());
    }
}
