//! Six ports and, for the custom-provider dialect, the one that follows them, chosen once and kept: what was printed, stored or configured at clients stays true after a restart.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;

const DEFAULT: u16 = 8443;
/// Below the range from which systems take the ports of outgoing connections, so that a restart finds them free.
const RANGE: std::ops::Range<u16> = 20_000..32_000;
const TRIES: usize = 200;

/// Which ports a new environment takes. One that exists keeps its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// Six in a row, from this one.
    From(u16),
    /// Six in a row from [`DEFAULT`].
    Any,
    /// Six in a row that nobody uses now.
    Free,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ports {
    pub front_door: u16,
    pub provider: u16,
    pub enrolment: u16,
    pub relay: u16,
    pub storage: u16,
    pub storage_admin: u16,
}

impl Ports {
    pub(super) const FILE: &str = "ports.json";

    /// To be kept ([`Ports::keep`]) when they have proved good.
    pub fn load_or_choose(folder: &Path, choice: Choice) -> Result<Self, Error> {
        let kept: Option<Self> = super::read_json(&folder.join(Self::FILE))?;
        match (kept, choice) {
            (Some(kept), Choice::From(first)) if kept.front_door != first => {
                Err(Error::OtherPorts { folder: folder.to_owned(), kept: kept.front_door, wanted: first })
            }
            (Some(kept), _) => Ok(kept),
            (None, Choice::From(first)) => Self::from(first),
            (None, Choice::Any) => Self::from(DEFAULT),
            (None, Choice::Free) => free(),
        }
    }

    pub fn keep(self, folder: &Path) -> Result<(), Error> {
        super::write_json(&folder.join(Self::FILE), &self)
    }

    fn from(first: u16) -> Result<Self, Error> {
        if first == 0 || first > u16::MAX - 6 {
            return Err(Error::NoSuchPorts { first });
        }
        let port = |offset| first + offset;
        Ok(Self {
            front_door: port(0),
            provider: port(1),
            enrolment: port(2),
            relay: port(3),
            storage: port(4),
            storage_admin: port(5),
        })
    }

    /// Of the custom-provider dialect, where it is wanted.
    pub fn custom_provider(self) -> u16 {
        self.front_door + 6
    }

    fn all(self) -> [u16; 6] {
        [self.front_door, self.provider, self.enrolment, self.relay, self.storage, self.storage_admin]
    }
}

/// On this machine only.
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn free() -> Result<Ports, Error> {
    for _ in 0..TRIES {
        let random = uuid::Uuid::new_v4().as_u128() as u16;
        let first = RANGE.start + random % (RANGE.end - RANGE.start);
        let ports = Ports::from(first)?;
        let all = ports.all().into_iter().chain([ports.custom_provider()]);
        let taken: Vec<_> = all.map(|port| TcpListener::bind(loopback(port))).collect();
        if taken.iter().all(Result::is_ok) {
            return Ok(ports);
        }
    }
    Err(Error::NoPorts { from: RANGE.start, to: RANGE.end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_once_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ports::load_or_choose(folder.path(), Choice::Free).unwrap();
        first.keep(folder.path()).unwrap();
        for choice in [Choice::Free, Choice::Any, Choice::From(first.front_door)] {
            assert_eq!(Ports::load_or_choose(folder.path(), choice).unwrap(), first);
        }
        let other = Ports::load_or_choose(folder.path(), Choice::From(first.front_door + 1));
        assert!(matches!(other, Err(Error::OtherPorts { .. })));
        let empty = tempfile::tempdir().unwrap();
        let fixed = Ports::load_or_choose(empty.path(), Choice::Any).unwrap();
        assert_eq!(fixed.all(), [8443, 8444, 8445, 8446, 8447, 8448]);
        assert!(Ports::load_or_choose(empty.path(), Choice::From(65_531)).is_err());
    }
}
