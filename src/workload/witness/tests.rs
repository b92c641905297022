use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::proof::{self, Voucher, block, vouching};
use super::*;
use crate::churn::{FileSystem as _, Local};
use crate::compare::tests::Pair;

#[test]
fn a_file_is_a_whole_version_or_says_why_not() {
    let [first, second, foreign] = [block(7, 0, b"first"), block(7, 1, b""), block(8, 1, b"foreign")];
    let whole = [&first[..], &second].concat();
    let proof = proof::check(&whole).unwrap();
    assert_eq!((proof.identity, proof.version, &proof.payload[..]), (7, 1, &b""[..]));
    for end in 0..whole.len() {
        let is_version = end == first.len();
        assert_eq!(proof::check(&whole[..end]).is_ok(), is_version, "cut at {end}");
    }
    for at in 0..first.len() {
        let mut wrong = first.clone();
        wrong[at] ^= 1;
        assert!(proof::check(&wrong).is_err(), "changed at {at}");
    }
    for mixed in [[&first[..], &foreign].concat(), [&second[..], &first].concat(), second.repeat(2)] {
        assert!(proof::check(&mixed).is_err());
    }
}

#[test]
fn vouchers_come_back_as_they_went() {
    let vouchers = [
        Voucher { path: "data 1".to_owned(), identity: u64::MAX, version: 3 },
        Voucher { path: "metadata/x".to_owned(), identity: 0, version: 0 },
    ];
    assert_eq!(proof::vouchers(&vouching(&vouchers)), vouchers);
    assert_eq!(proof::vouchers(b"some data\nvoucher"), []);
}

async fn look(pair: &Pair) -> Witnessed {
    Reader::new(pair.target("t")).watch(Arc::new(AtomicBool::new(true))).await.unwrap()
}

#[tokio::test]
async fn what_is_half_written_or_vouched_for_too_early_is_seen() {
    let pair = Pair::start().await;
    let content = block(1, 2, b"content");
    pair.write("t/table/data", &block(1, 0, b"content"), 0o644).await;
    let voucher = |path: &str, version| Voucher { path: path.to_owned(), identity: 1, version };
    let names = block(5, 0, &vouching(&[voucher("data", 0)]));
    for vouching in ["_delta_log/0.json", "metadata/v0.metadata.json", ".hoodie/0.commit", "_SUCCESS"] {
        pair.write(&format!("t/table/{vouching}"), &names, 0o644).await;
    }
    let witnessed = look(&pair).await;
    assert_eq!((witnessed.violation_count, witnessed.versions, witnessed.vouched), (0, 5, 4), "{witnessed}");

    pair.write("t/torn", &content[..content.len() - 1], 0o644).await;
    let missing = block(6, 0, &vouching(&[voucher("absent", 0), voucher("data", 1)]));
    pair.write("t/table/_SUCCESS", &missing, 0o644).await;
    let witnessed = look(&pair).await;
    assert_eq!(witnessed.violation_count, 3, "{witnessed}");
    for part in ["t/torn", "absent, which is not there", "data, which is of version 0 and not 1"] {
        let part = part.trim_start_matches("t/");
        assert!(witnessed.violations.iter().any(|violation| violation.contains(part)), "{part}: {witnessed}");
    }
}

/// The writer keeps its own promises: a copy of what it left has no violation, and its files say which they are.
#[tokio::test]
async fn what_is_written_proves_itself() {
    let folder = tempfile::tempdir().unwrap();
    let scope = folder.path().join("witness").to_str().unwrap().to_owned();
    let (stop, renames) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let writing = write(&Local, &scope, 3, Duration::ZERO, (Arc::clone(&stop), renames));
    let enough = async {
        // Until each kind was written.
        while !folder.path().join("witness/logs/log-1").exists() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(writing, enough);
    let written = written.unwrap();
    assert!(written.vouching > 10 && written.tables_renamed > 0, "{written:?}");
    let mut vouched = 0;
    for found in Local.walk(&scope).await.unwrap().into_iter().filter(|found| !found.is_directory) {
        let proof = proof::check(&std::fs::read(&found.path).unwrap()).unwrap();
        vouched += proof::vouchers(&proof.payload).len();
    }
    assert!(vouched as u64 >= written.vouching, "{vouched}");
}
