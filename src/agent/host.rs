//! What the one who installed the agent allows it on this machine. Migrations come from afar; this does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use livedata_adls::Address;
use livedata_filesystem::chaos::Rates;

pub struct Host {
    /// The agent's own folder: no migration ever reads there.
    pub folder: PathBuf,
    /// Who reads at HDFS, where a migrator names nobody.
    pub hadoop_user: String,
    /// What is read where a migrator names no source.
    pub default_source: Option<String>,
    /// Directories that migrations may read, with everything below them.
    pub local_directories: Vec<PathBuf>,
    pub storage: StorageAccess,
    /// For proofs.
    pub target_chaos: Option<TargetChaos>,
}

/// How storage accounts are reached from this machine. Proxies are those of the environment.
#[derive(Clone, Debug, Default)]
pub struct StorageAccess {
    /// Certificate authorities to trust besides those of the platform.
    pub authorities_pem: Option<String>,
    /// By account: where its private endpoint is, if its name does not lead there.
    pub addresses: BTreeMap<String, Address>,
}

/// `ACCOUNT=HOST[:PORT]`
#[derive(Clone, Debug)]
pub struct AddressOfAccount(pub String, pub Address);

impl FromStr for AddressOfAccount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text.split_once('=').filter(|(account, _)| !account.is_empty());
        let (account, address) =
            named.ok_or("an account and its address are expected, as in lake=10.1.2.3")?;
        Ok(Self(account.to_owned(), address.parse()?))
    }
}

/// How targets are to fail, the same for a seed and the same calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetChaos {
    pub seed: u64,
    pub rates: Rates,
}

impl FromStr for TargetChaos {
    type Err = &'static str;

    /// `SEED:UNREACHABLE:LOST_REPLIES:THROTTLED`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "a seed and three shares of all calls are expected, as in 1:0.01:0.01:0.01";
        let mut parts = text.split(':');
        let seed = parts.next().and_then(|seed| seed.parse().ok()).ok_or(EXPECTED)?;
        let mut share = || parts.next().and_then(|share| share.parse().ok()).ok_or(EXPECTED);
        let rates = Rates { unreachable: share()?, lost_replies: share()?, throttled: share()? };
        if parts.next().is_some() { Err(EXPECTED) } else { Ok(Self { seed, rates }) }
    }
}

impl Host {
    /// Whether a migration may read `directory`; the error is a sentence for the operator.
    pub fn check_readable(&self, directory: &Path) -> Result<(), String> {
        // A directory that is not there yet is judged by its name.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (wanted, own) = (real(directory), real(&self.folder));
        if own.starts_with(&wanted) || wanted.starts_with(&own) {
            return Err(format!("the agent's own folder {} is never migrated", own.display()));
        }
        if self.local_directories.iter().any(|allowed| wanted.starts_with(real(allowed))) {
            return Ok(());
        }
        Err(format!(
            "this agent may not read {}; start it with --local-directory {} to allow it",
            wanted.display(),
            wanted.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_an_address() {
        let AddressOfAccount(account, address) = "lake=10.1.2.3:8443".parse().unwrap();
        assert_eq!((account.as_str(), address.host.as_str(), address.port), ("lake", "10.1.2.3", Some(8443)));
        for bad in ["lake", "=10.1.2.3", "lake=", "lake=https://10.1.2.3"] {
            assert!(bad.parse::<AddressOfAccount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_read_that_was_not_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["agent", "lake", "lake/inner", "other"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::os::unix::fs::symlink(path("other"), path("lake/link")).unwrap();
        let host = |allowed: &str| Host {
            folder: path("agent"),
            hadoop_user: String::new(),
            default_source: None,
            local_directories: vec![path(allowed)],
            storage: StorageAccess::default(),
            target_chaos: None,
        };
        for good in ["lake", "lake/inner", "lake/not-there"] {
            assert_eq!(host("lake").check_readable(&path(good)), Ok(()), "{good}");
        }
        for bad in ["other", "lake/link", "lake/../other", ""] {
            assert!(host("lake").check_readable(&path(bad)).is_err(), "{bad}");
        }
        // Not even where everything is allowed.
        for own in ["", "agent", "agent/inner"] {
            assert!(host("").check_readable(&path(own)).unwrap_err().contains("own folder"), "{own}");
        }
    }
}
