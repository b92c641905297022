//! Suites in Python, run by pytest.

use std::time::Duration;

use tokio::process::Command;

use super::emulator::{ACCOUNT, Emulator, KEY};

/// The longest takes half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(900);

async fn pytest(suite: &str, variables: &[(&str, String)]) {
    let emulator = Emulator::start().await;
    let running = Command::new(super::tool("LIVEDATA_JUDGE_PYTHON"))
        .args(["-m", "pytest", "--quiet", "--tb=short", "-p", "no:cacheprovider", "--durations=5"])
        .args(["--override-ini", "xfail_strict=true", "--strict-markers"])
        .arg(super::file(suite))
        .env("LIVEDATA_JUDGE_ENDPOINT", emulator.endpoint())
        .env("LIVEDATA_JUDGE_ACCOUNT", ACCOUNT)
        .env("LIVEDATA_JUDGE_KEY", KEY)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    let output = output.unwrap_or_else(|_| panic!("{suite} does not end")).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{suite}: {}", output.status);
    // A test that is skipped would be one that nobody misses.
    assert!(said.contains(" passed") && !said.contains(" skipped") && !said.contains(" xfailed"));
}

/// Every public operation of both packages that is not excluded with a reason, synchronous and asynchronous.
#[tokio::test(flavor = "multi_thread")]
async fn sdk() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority").display().to_string();
    let made = Command::new(super::tool("LIVEDATA_JUDGE_PYTHON"))
        .arg(super::file("python/authority.py"))
        .arg(&authority)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status();
    assert!(made.await.unwrap().success());
    let file = |name: &str| format!("{authority}/{name}");
    let (certificate, key, issuers) = (file("certificate.pem"), file("key.pem"), file("issuers.json"));
    let secure = Emulator::start_with(&[
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--token-issuers",
        &issuers,
    ])
    .await;
    let variables = [
        ("LIVEDATA_JUDGE_TLS_ENDPOINT", secure.endpoint()),
        ("LIVEDATA_JUDGE_TLS_ADMIN", secure.admin()),
        ("LIVEDATA_JUDGE_AUTHORITY", authority.clone()),
    ];
    pytest("python", &variables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opendal() {
    pytest("opendal", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adlfs() {
    pytest("adlfs", &[]).await;
}
