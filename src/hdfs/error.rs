//! What can go wrong between us and a NameNode, and which [`ErrorKind`] that is.

use livedata_filesystem::ErrorKind;

/// The outcome of one try of one call. `Clone`, because a lost connection fails every call that waited on it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    #[error(
        "cannot connect to the NameNode at {address}: {reason}; check the address, its RPC port and the firewall"
    )]
    Connect { address: String, reason: String },
    #[error("the connection to the NameNode ended: {reason}")]
    Lost { reason: String },
    #[error("the NameNode did not answer within {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("the NameNode answered {class}: {message}")]
    Remote { class: String, message: String },
    #[error("{0}")]
    Malformed(String),
}

impl RpcError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Lost { .. } | Self::TimedOut { .. } => ErrorKind::Unreachable,
            Self::Remote { class, message } => kind_of_exception(class, message),
            Self::Malformed(_) => ErrorKind::Fatal,
        }
    }
}

/// Java exception classes as Hadoop's NameNode sends them, by their last segment.
pub fn kind_of_exception(class: &str, message: &str) -> ErrorKind {
    match class.rsplit(['.', '$']).next().unwrap_or(class) {
        // An ancestor that is no directory (any more) means that there is nothing at the path.
        "FileNotFoundException" | "PathNotFoundException" | "ParentNotDirectoryException" => ErrorKind::Gone,
        // Who is not a superuser is told the same thing as a matter of permission.
        "AccessControlException" if message.contains("is not a directory") => ErrorKind::Gone,
        "AccessControlException" | "AuthorizationException" | "AccessDeniedException" => ErrorKind::Denied,
        // An overloaded NameNode sheds load with one of these and says so in words.
        "RetriableException" | "StandbyException" if message.to_ascii_lowercase().contains("too busy") => {
            ErrorKind::Throttled { retry_after: None }
        }
        "ServerTooBusyException" | "CallQueueOverflowException" => ErrorKind::Throttled { retry_after: None },
        // Standby, starting, stopping, in safe mode: another moment or another NameNode answers.
        "RetriableException"
        | "StandbyException"
        | "ObserverRetryOnActiveException"
        | "SafeModeException"
        | "ServerNotRunningException"
        | "ServerNotRunningYetException"
        | "NamenodeInRecoveryException" => ErrorKind::Unreachable,
        _ => ErrorKind::Fatal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_become_what_a_caller_can_do() {
        let cases = [
            ("java.io.FileNotFoundException", "", ErrorKind::Gone),
            ("org.apache.hadoop.security.AccessControlException", "Permission denied", ErrorKind::Denied),
            ("org.apache.hadoop.ipc.StandbyException", "state standby", ErrorKind::Unreachable),
            ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "", ErrorKind::Unreachable),
            (
                "org.apache.hadoop.ipc.RetriableException",
                "NameNode still not started",
                ErrorKind::Unreachable,
            ),
            (
                "org.apache.hadoop.ipc.RetriableException",
                "Server is too busy.",
                ErrorKind::Throttled { retry_after: None },
            ),
            ("org.apache.hadoop.ipc.RpcNoSuchMethodException", "Unknown method", ErrorKind::Fatal),
        ];
        for (class, message, kind) in cases {
            assert_eq!(kind_of_exception(class, message), kind, "{class}");
        }
    }
}
