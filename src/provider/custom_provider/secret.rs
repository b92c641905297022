//! The path that lets callers in.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// 128 bits in hexadecimal.
const LEAST_CHARACTERS: usize = 32;

/// At least 32 letters, digits, `-` or `_`, drawn at random.
#[derive(Clone)]
pub struct PathSecret(String);

#[derive(Debug, thiserror::Error)]
#[error(
    "the secret path of the custom-provider listener has to have {LEAST_CHARACTERS} or more letters, digits, '-' or '_', drawn at random"
)]
pub struct WeakSecret;

impl PathSecret {
    pub fn new(text: &str) -> Result<Self, WeakSecret> {
        let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if letters && text.len() >= LEAST_CHARACTERS { Ok(Self(text.to_owned())) } else { Err(WeakSecret) }
    }

    /// Whether this is the path; how much of it is right does not show in the time that it takes.
    pub fn opens(&self, path: &str) -> bool {
        let given = path.strip_prefix('/').unwrap_or(path);
        let given = given.strip_suffix('/').unwrap_or(given);
        verify_slices_are_equal(given.as_bytes(), self.0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for PathSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PathSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_path_opens_and_short_secrets_are_refused() {
        let secret = PathSecret::new("0123456789abcdef0123456789abcdef").unwrap();
        assert!(secret.opens("/0123456789abcdef0123456789abcdef"));
        assert!(secret.opens("/0123456789abcdef0123456789abcdef/"));
        for wrong in [
            "",
            "/",
            "/0123456789abcdef0123456789abcde",
            "/0123456789abcdef0123456789abcdefa",
            "/0123456789ABCDEF0123456789ABCDEF",
            "/0123456789abcdef0123456789abcdef/migrators",
        ] {
            assert!(!secret.opens(wrong), "{wrong}");
        }
        assert!(!format!("{secret:?}").contains("0123"));
        for weak in ["", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcde/"] {
            assert!(PathSecret::new(weak).is_err(), "{weak}");
        }
    }
}
