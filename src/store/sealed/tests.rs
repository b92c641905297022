use std::os::unix::fs::PermissionsExt;

use super::SealingKey;
use crate::Error;

fn damaged(result: crate::Result<Vec<u8>>) -> bool {
    matches!(result, Err(Error::Damaged(_)))
}

#[test]
fn opens_what_it_sealed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let key = SealingKey::load_or_create(&path).unwrap();
    for plain in [&b""[..], b"secret", &[7; 100_000]] {
        let sealed = key.seal("accounts/a", plain);
        assert_eq!(SealingKey::load_or_create(&path).unwrap().open("accounts/a", &sealed).unwrap(), plain);
        assert!(damaged(key.open("accounts/b", &sealed)), "another context");
        for position in [0, 1, 12, 13, sealed.len() - 1] {
            let mut tampered = sealed.clone();
            tampered[position] ^= 1;
            assert!(damaged(key.open("accounts/a", &tampered)), "byte {position}");
        }
        for length in [0, 1, 12, 13, 28, sealed.len() - 1] {
            assert!(
                damaged(key.open("accounts/a", &sealed[..length.min(sealed.len() - 1)])),
                "cut to {length}"
            );
        }
    }
    let other = SealingKey::load_or_create(folder.path().join("other.key")).unwrap();
    assert!(damaged(other.open("accounts/a", &key.seal("accounts/a", b"secret"))), "another key");
}

#[test]
fn the_same_secret_never_looks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let key = SealingKey::load_or_create(folder.path().join("seal.key")).unwrap();
    let sealed = key.seal("c", b"secret");
    assert_ne!(sealed, key.seal("c", b"secret"));
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
}

#[test]
fn the_key_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    SealingKey::load_or_create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(
        matches!(SealingKey::load_or_create(&path), Err(Error::Unavailable(reason)) if reason.contains("chmod 600"))
    );
}

#[test]
fn a_damaged_key_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    SealingKey::load_or_create(&path).unwrap();
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(SealingKey::load_or_create(&path), Err(Error::Damaged(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"short");
}

#[test]
fn processes_that_start_together_get_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys: Vec<SealingKey> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| SealingKey::load_or_create(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sealed = keys[0].seal("c", b"secret");
    assert!(keys.iter().all(|key| key.open("c", &sealed).is_ok()));
}
