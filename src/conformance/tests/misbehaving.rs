//! The suite against a small provider that keeps the contract, and against the same with one wrong answer at a time: each
//! must make the rule fail that it breaks.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "misbehaving/documents.rs"]
mod documents;
#[path = "misbehaving/faults.rs"]
mod faults;
#[path = "misbehaving/http.rs"]
mod http;
#[path = "misbehaving/server.rs"]
mod server;

use livedata_conformance::client::{Client, Connection, Credential};
use livedata_conformance::command::secrets_of;
use livedata_conformance::profile::Profile;
use livedata_conformance::report::Score;
use livedata_conformance::suite;
use livedata_conformance::trial::Trial;
use livedata_conformance::verdict::Verdict;

use crate::http::{Answer, serve};

const PROFILE: &str = r#"
speaks = "provider"
namespace = "Test.Things"
api-version = "2026-01-01-preview"
subscription = "11111111-2222-4333-8444-555555555555"
resource-group = "Group"
location = "westeurope"
other-location = "northeurope"
other-resource-group = "Other"
operation-limit-seconds = 20
cancellation = "cancel"

[[types]]
path = "boxes"
tracked = true
body = { location = "${location}", kind = "Wooden", sku = { name = "S1" }, properties = { size = 2, label = "${name}", color = "red", marks = ["fragile"] } }
invalid-body = { location = "${location}", properties = { size = "large", label = "x" } }
failing-body = { location = "${location}", properties = { size = 13, label = "x" } }
patch = { properties = { size = 3 } }
required = ["/properties/size", "/properties/label"]
optional = "/properties/color"
array = "/properties/marks"
on-premises = true
skus = true
actions = [{ name = "open" }, { name = "shake", long-running = true }, { name = "seal", wrong-state = true }]

[[types]]
path = "boxes/items"
verbs = ["get", "put", "patch", "delete", "list"]
body = { properties = { text = "hello", password = "open sesame 7", partner = "${parent}" } }
patch = { properties = { text = "goodbye" } }
required = ["/properties/text"]
secrets = ["/properties/password"]
references = ["/properties/partner"]

[[types]]
path = "boxes/lids"
verbs = ["get", "put", "patch", "delete", "list"]
body = { properties = { item = "${boxes/items}" } }

[[deviations]]
rules = [55]
reason = "for a test"
"#;

fn profile() -> Profile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.toml");
    std::fs::write(&path, PROFILE).unwrap();
    Profile::read(&path, &[]).unwrap()
}

async fn score(answer: Answer, rules: &[u16]) -> Score {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let profile = profile();
    let connection = Connection {
        endpoint: serve(answer).await.parse().unwrap(),
        credential: Credential::Bearer(server::TOKEN.to_owned()),
        authority_pem: None,
        speaks: profile.speaks,
        api_version: profile.api_version.clone(),
        secrets: secrets_of(&profile),
    };
    let trial = Trial::new(Client::new(connection, None).unwrap(), profile);
    suite::run(&trial, rules, &|_, _| {}).await.score
}

fn numbers(score: &Score, is: impl Fn(&Verdict) -> bool) -> Vec<u16> {
    score.0.iter().filter(|line| is(&line.verdict)).map(|line| line.rule.number).collect()
}

#[tokio::test]
async fn a_provider_that_keeps_the_contract_passes() {
    let score = score(server::answer, &[]).await;
    let failed: Vec<u16> = numbers(&score, |verdict| matches!(verdict, Verdict::Failed(_)));
    assert_eq!(failed, Vec::<u16>::new(), "{score}");
    let skipped = numbers(&score, |verdict| matches!(verdict, Verdict::NotApplicable(_)));
    // Tracked children, front doors only, throttling, mutual TLS.
    assert_eq!(skipped, [42, 46, 102, 121, 124], "{score}");
}

#[tokio::test]
async fn each_wrong_answer_fails_its_rule() {
    let mut unseen = Vec::new();
    for (rule, what, answer) in faults::all() {
        let score = score(*answer, &[*rule]).await;
        // Not because something that the check needs could not be made.
        let seen = |verdict: &Verdict| matches!(verdict, Verdict::Failed(finding) if !finding.wanted.contains("not reached"));
        if numbers(&score, seen) != [*rule] {
            unseen.push(format!("rule {rule}, {what}: {score}"));
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

/// Nearly every rule that can be seen from outside has a wrong answer in the table.
#[test]
fn the_table_of_wrong_answers_is_whole() {
    use livedata_conformance::rules::{Check, all};
    // Checks that this server gives nothing to, and 101, which takes a minute to break.
    const WITHOUT: [u16; 6] = [42, 46, 101, 102, 121, 124];
    let faulty = |number: u16| faults::all().any(|(rule, ..)| *rule == number);
    let checked = all().into_iter().filter(|rule| !matches!(rule.check, Check::NotFromOutside(_)));
    let missing: Vec<u16> =
        checked.map(|rule| rule.number).filter(|rule| !faulty(*rule) && !WITHOUT.contains(rule)).collect();
    assert_eq!(missing, Vec::<u16>::new());
}

#[tokio::test]
async fn a_failure_says_what_was_sent_what_came_back_and_what_is_wanted_without_secrets() {
    let told = |server: &mut server::Server, request: http::Request| {
        let mut response = server::answer(server, request);
        if let Some(properties) = response.body.as_mut().and_then(|body| body.pointer_mut("/properties")) {
            properties["password"] = "open sesame 7".into();
        }
        response
    };
    let score = score(told, &[28]).await;
    let Verdict::Failed(finding) = &score.0[0].verdict else { panic!("{score}") };
    assert!(
        finding.sent.starts_with("PUT /subscriptions/") && finding.sent.contains("\"text\":\"hello\""),
        "{score}"
    );
    assert!(finding.came_back.starts_with("201 ") && finding.wanted.contains("no secret"), "{score}");
    assert!(!score.to_string().contains("sesame") && !score.json().to_string().contains("sesame"), "{score}");
}

#[tokio::test]
async fn deviations_of_the_profile_are_no_failures_of_the_run() {
    let deleting_nothing = |server: &mut server::Server, request: http::Request| match request.method.as_str()
    {
        "DELETE" => http::Response::new(409, None),
        _ => server::answer(server, request),
    };
    let one = score(deleting_nothing, &[55]).await;
    assert!(one.is_good() && one.failed().count() == 1 && one.to_string().contains("for a test"), "{one}");
    let two = score(deleting_nothing, &[54, 55]).await;
    assert!(!two.is_good() && two.failed().count() == 2, "{two}");
}
