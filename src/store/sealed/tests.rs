use std::os::unix::fs::PermissionsExt;

use super::key::Key;
use super::{BARE, SealingKeys};
use crate::Error;

fn damaged<T: std::fmt::Debug>(result: crate::Result<T>) -> bool {
    matches!(result, Err(Error::Damaged(_)))
}

fn reason<T: std::fmt::Debug>(result: crate::Result<T>) -> String {
    result.unwrap_err().to_string()
}

fn add_next(keys: &SealingKeys) -> crate::Result<super::KeyId> {
    futures::executor::block_on(keys.add_next())
}

/// A key that seals from now on.
fn renew(keys: &SealingKeys) -> super::KeyId {
    let id = add_next(keys).unwrap();
    keys.promote(id).unwrap();
    id
}

/// What was sealed before there were envelopes.
fn bare(file: &std::path::Path, context: &str, plain: &[u8]) -> Vec<u8> {
    let key = Key::new(std::fs::read(file).unwrap().try_into().unwrap());
    [&[BARE][..], &key.seal(context.as_bytes(), plain)].concat()
}

#[test]
fn opens_what_it_sealed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    for plain in [&b""[..], b"secret", &[7; 100_000]] {
        for sealed in [keys.seal("accounts/a", plain).unwrap(), bare(&path, "accounts/a", plain)] {
            let opened = SealingKeys::load_or_create(&path).unwrap().open("accounts/a", &sealed).unwrap();
            assert_eq!(opened, plain);
            assert!(damaged(keys.open("accounts/b", &sealed)), "another context");
            let last = sealed.len() - 1;
            for position in (0..last.min(100)).chain([last]) {
                let mut tampered = sealed.clone();
                tampered[position] ^= 1;
                assert!(damaged(keys.open("accounts/a", &tampered)), "byte {position}");
            }
            for length in (0..last.min(100)).chain([last]) {
                assert!(damaged(keys.open("accounts/a", &sealed[..length])), "cut to {length}");
            }
        }
    }
    let other = SealingKeys::load_or_create(folder.path().join("other.key")).unwrap();
    for sealed in [keys.seal("accounts/a", b"secret").unwrap(), bare(&path, "accounts/a", b"secret")] {
        assert!(damaged(other.open("accounts/a", &sealed)), "another key");
    }
}

/// Made by another implementation of AES-256-GCM (Python's cryptography), after the table at the head of the module.
#[test]
fn what_others_have_sealed_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    std::fs::write(&path, (0..32).collect::<Vec<u8>>()).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let keys = SealingKeys::load(&path).unwrap();
    assert_eq!(keys.ids()[0].to_string(), "49127140dea18700");
    for sealed in [
        "010102030405060708090a0b0c768f39a789e0cf7cae8f615ac46f97173c5f780a5dd7",
        "0249127140dea187001415161718191a1b1c1d1e1f5ebbd47c7606913beaca645e453563538572517e6ce5066d95ed872faba631ac\
         469c7abc30f46d3379fab5b42b1ff41128292a2b2c2d2e2f303132334382e4e763e9bae3e59b869743585c0d7c199bf0b29f",
    ] {
        let byte = |at: usize| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap();
        let sealed: Vec<u8> = (0..sealed.len()).step_by(2).map(byte).collect();
        assert_eq!(keys.open("account key of target 1", &sealed).unwrap(), b"secret");
    }
}

#[test]
fn the_same_secret_never_looks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let keys = SealingKeys::load_or_create(folder.path().join("seal.key")).unwrap();
    let sealed = keys.seal("c", b"secret").unwrap();
    let other = keys.seal("c", b"secret").unwrap();
    // Behind format and id, which are the same.
    for (one, other) in sealed[9..].chunks(12).zip(other[9..].chunks(12)) {
        assert_ne!(one, other);
    }
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
}

#[test]
fn the_newest_key_seals_and_older_ones_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    let first = keys.ids()[0];
    let (bare, sealed) = (bare(&path, "c", b"bare"), keys.seal("c", b"secret").unwrap());
    let second = renew(&keys);
    assert_eq!(keys.ids(), [first, second]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let reread = SealingKeys::load(&path).unwrap();
    for keys in [&keys, &reread] {
        assert_eq!(keys.ids(), [first, second]);
        assert_eq!(keys.open("c", &bare).unwrap(), b"bare");
        assert_eq!(keys.open("c", &sealed).unwrap(), b"secret");
        assert_eq!((keys.needed("c", &bare).unwrap(), keys.needed("c", &sealed).unwrap()), (first, first));
        assert_eq!(keys.needed("c", &keys.seal("c", b"new").unwrap()).unwrap(), second);
    }
}

#[test]
fn rewrapped_secrets_need_the_newest_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    let first = keys.ids()[0];
    let old = [bare(&path, "c", b"secret"), keys.seal("c", b"secret").unwrap()];
    let second = renew(&keys);
    let new = old.each_ref().map(|sealed| keys.rewrap("c", sealed).unwrap().unwrap());
    // The body of an envelope is not sealed again.
    assert_eq!(new[1][69..], old[1][69..]);
    keys.remove(first).unwrap();
    assert_eq!(keys.ids(), [second]);
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(keys.open("c", new).unwrap(), b"secret");
        assert_eq!(keys.rewrap("c", new).unwrap(), None, "once is enough");
        assert!(damaged(keys.open("d", new)), "another context");
        assert!(damaged(keys.open("c", old)));
    }
}

#[test]
fn a_missing_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    let (id, bare, sealed) = (keys.ids()[0], bare(&path, "c", b"secret"), keys.seal("c", b"secret").unwrap());
    let other = SealingKeys::load_or_create(folder.path().join("other.key")).unwrap();
    let said = reason(other.open("c", &sealed));
    assert!(said.contains(&id.to_string()) && said.contains("other.key"), "{said}");
    let said = reason(other.needed("c", &bare));
    assert!(said.contains(&other.ids()[0].to_string()) && said.contains("other.key"), "{said}");
    assert_eq!(reason(other.rewrap("c", &sealed)), reason(other.open("c", &sealed)));
}

/// Two providers read one file.
#[test]
fn a_key_that_another_process_adds_is_used_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let (one, other) = (SealingKeys::load_or_create(&path).unwrap(), SealingKeys::load(&path).unwrap());
    let second = renew(&one);
    let sealed = one.seal("c", b"secret").unwrap();
    assert_eq!(other.open("c", &sealed).unwrap(), b"secret");
    let third = renew(&one);
    assert_eq!(other.needed("c", &other.seal("c", b"secret").unwrap()).unwrap(), third);
    assert_eq!(other.ids()[1..], [second, third]);
}

#[test]
fn the_next_key_opens_and_does_not_seal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    let first = keys.ids()[0];
    let next = add_next(&keys).unwrap();
    assert_eq!((keys.ids(), keys.next()), (vec![next, first], Some(next)));
    assert_eq!(add_next(&keys).unwrap(), next, "there is one at a time");
    let early = keys.seal("c", b"secret").unwrap();
    assert_eq!(keys.needed("c", &early).unwrap(), first);
    assert_eq!(keys.newest().unwrap().0, first);
    // Another one has the file, and another file; a version that takes the line for a remark still seals with the first.
    let other = SealingKeys::load(&path).unwrap();
    assert_eq!(other.next(), Some(next));
    let without: String = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("# next"))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(without.trim_end().lines().last().unwrap().starts_with(&first.to_string()));
    keys.promote(first).unwrap();
    assert_eq!(keys.next(), Some(next), "only the next one is promoted");
    keys.promote(next).unwrap();
    assert_eq!((keys.ids(), keys.next()), (vec![first, next], None));
    let late = keys.seal("c", b"secret").unwrap();
    assert_eq!(keys.needed("c", &late).unwrap(), next);
    for sealed in [&early, &late] {
        assert_eq!(other.open("c", sealed).unwrap(), b"secret");
    }
}

/// Of those who make the next key at the same time all get the same.
#[test]
fn there_is_one_next_key_whoever_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    SealingKeys::load_or_create(&path).unwrap();
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| add_next(&SealingKeys::load(&path).unwrap()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(SealingKeys::load(&path).unwrap().ids().len(), 2);
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
}

#[test]
fn the_key_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    assert!(!format!("{keys:?}").contains("Key("), "{keys:?}");

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(
        matches!(SealingKeys::load_or_create(&path), Err(Error::KeyUnavailable(reason)) if reason.contains("chmod 600"))
    );
}

#[test]
fn a_damaged_key_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    renew(&keys);
    let sealed = keys.seal("c", b"secret").unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let last = good.lines().last().unwrap();
    let digit = if last.starts_with('0') { '1' } else { '0' };
    let swapped = format!("{digit}{}", &last[1..]);
    for bad in ["short", "", "# none\n", &good.replace(last, "nonsense"), &good.replace(last, &swapped)] {
        std::fs::write(&path, bad).unwrap();
        assert!(damaged(SealingKeys::load_or_create(&path)), "{bad}");
        assert!(damaged(add_next(&keys)), "{bad}");
        assert_eq!(std::fs::read(&path).unwrap(), bad.as_bytes());
        // Who runs opens with what it has; what would be sealed now might not be opened by anybody later.
        assert_eq!(keys.open("c", &sealed).unwrap(), b"secret");
        assert!(damaged(keys.seal("c", b"secret")), "{bad}");
        assert!(damaged(keys.newest()), "{bad}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(keys.seal("c", b"secret"), Err(Error::KeyUnavailable(_))));
    assert_eq!(keys.open("c", &sealed).unwrap(), b"secret");
    assert!(reason(SealingKeys::load(folder.path().join("absent"))).contains("absent"));
}

#[test]
fn processes_that_start_together_get_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys: Vec<SealingKeys> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| SealingKeys::load_or_create(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sealed = keys[0].seal("c", b"secret").unwrap();
    assert!(keys.iter().all(|key| key.open("c", &sealed).is_ok()));
}

/// Who rotates is often not who runs the provider.
#[test]
fn the_key_file_keeps_its_owner_and_mode() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        std::os::unix::fs::chown(&path, Some(4321), Some(4322)).unwrap();
    }
    let of = |file: std::fs::Metadata| (file.uid(), file.gid(), file.mode() & 0o777);
    let before = of(std::fs::metadata(&path).unwrap());
    renew(&keys);
    assert_eq!(of(std::fs::metadata(&path).unwrap()), before);
    assert_eq!(before.2, 0o400);
    assert!(!is_root || before.0 == 4321);
}
