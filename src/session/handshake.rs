//! The first exchange: which protocol version, and whether the session is newer than every earlier one.

use livedata_model::message::{Hello, PROTOCOL, Refused, Welcome};

use crate::Error;

/// The highest version that both sides speak.
pub(crate) fn negotiate(hello: &Hello) -> Result<u16, Refused> {
    let (lowest, highest) = PROTOCOL;
    let chosen = highest.min(hello.protocol_max);
    if chosen >= lowest.max(hello.protocol_min) {
        return Ok(chosen);
    }
    Err(Refused {
        code: "UnsupportedProtocol".into(),
        message: format!(
            "This provider speaks protocol versions {lowest} to {highest}, agent {} speaks {} to {}; upgrade the older side.",
            hello.agent_version, hello.protocol_min, hello.protocol_max
        ),
    })
}

/// The agent's judgement. An epoch that is not higher than every earlier one comes from a provider that does not know
/// about a later session: obeying it would undo what the later one said.
pub(crate) fn check_welcome(hello: &Hello, welcome: &Welcome) -> Result<(), Error> {
    if !(hello.protocol_min..=hello.protocol_max).contains(&welcome.protocol) {
        return Err(Error::Protocol { chosen: welcome.protocol });
    }
    if welcome.session_epoch <= hello.session_epoch {
        return Err(Error::OldEpoch { offered: welcome.session_epoch, seen: hello.session_epoch });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(protocol_min: u16, protocol_max: u16) -> Hello {
        Hello {
            protocol_min,
            protocol_max,
            agent_version: "1".into(),
            instance_id: "i".into(),
            boot_id: "b".into(),
            known: vec![],
            clock_ms: 0,
            session_epoch: 7,
        }
    }

    fn welcome(protocol: u16, session_epoch: u64) -> Welcome {
        Welcome { protocol, session_epoch, coordinator_epoch: 1, clock_ms: 0 }
    }

    #[test]
    fn the_highest_common_version_is_chosen() {
        assert_eq!(negotiate(&hello(1, 9)), Ok(PROTOCOL.1));
        assert_eq!(negotiate(&hello(8, 9)).unwrap_err().code, "UnsupportedProtocol");
        assert!(negotiate(&hello(0, 0)).is_err());
    }

    #[test]
    fn only_a_higher_epoch_is_obeyed() {
        assert!(check_welcome(&hello(1, 1), &welcome(1, 8)).is_ok());
        for epoch in [0, 6, 7] {
            assert!(matches!(
                check_welcome(&hello(1, 1), &welcome(1, epoch)),
                Err(Error::OldEpoch { offered, seen: 7 }) if offered == epoch
            ));
        }
        assert!(matches!(check_welcome(&hello(1, 1), &welcome(2, 8)), Err(Error::Protocol { chosen: 2 })));
    }
}
