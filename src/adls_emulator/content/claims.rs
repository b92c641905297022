//! Which ranges of which contents requests are writing right now.
//!
//! Two requests never write the same bytes of a content: the second one finds the range claimed and goes to a spool. A flush revokes claims on what it commits, so a slow writer cannot change committed bytes.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Handle;

type ByNode = Mutex<HashMap<i64, Vec<Arc<ClaimState>>>>;

#[derive(Default)]
pub(crate) struct Claims {
    by_node: Arc<ByNode>,
}

struct ClaimState {
    range: Range<u64>,
    /// Held during each write, so that a revocation waits for a write that has begun.
    revoked: Mutex<bool>,
}

/// Held until the written range is recorded in the index, also by work that outlives its request.
pub(crate) struct Claim {
    node: i64,
    state: Arc<ClaimState>,
    by_node: Arc<ByNode>,
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

impl Claims {
    /// `None` when another request holds a part of the range.
    pub(crate) fn claim(&self, node: i64, range: Range<u64>) -> Option<Claim> {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        let held = by_node.entry(node).or_default();
        if held.iter().any(|state| overlap(&state.range, &range)) {
            return None;
        }
        let state = Arc::new(ClaimState { range, revoked: Mutex::new(false) });
        held.push(state.clone());
        Some(Claim { node, state, by_node: self.by_node.clone() })
    }

    pub(crate) fn revoke(&self, node: i64, range: Range<u64>) {
        let by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        for state in by_node.get(&node).into_iter().flatten().filter(|state| overlap(&state.range, &range)) {
            *state.revoked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
    }
}

impl Claim {
    /// `Ok(false)` when the claim was revoked; nothing was written then.
    pub(crate) fn write(&self, file: &Handle, data: Bytes, position: u64) -> io::Result<bool> {
        let revoked = self.state.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if *revoked {
            return Ok(false);
        }
        file.write(data, position)?;
        Ok(true)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = by_node.get_mut(&self.node) {
            held.retain(|state| !Arc::ptr_eq(state, &self.state));
            if held.is_empty() {
                by_node.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_claims_are_refused_until_dropped() {
        let claims = Claims::default();
        let first = claims.claim(1, 0..10).unwrap();
        assert!(claims.claim(1, 9..12).is_none());
        assert!(claims.claim(1, 10..12).is_some());
        assert!(claims.claim(2, 0..10).is_some());
        drop(first);
        assert!(claims.claim(1, 0..10).is_some());
    }

    #[test]
    fn a_revoked_claim_writes_nothing() {
        let file = Handle::File(Arc::new(tempfile::tempfile().unwrap()));
        let claims = Claims::default();
        let claim = claims.claim(1, 0..10).unwrap();
        assert!(claim.write(&file, Bytes::from_static(b"ab"), 0).unwrap());
        claims.revoke(1, 5..6);
        assert!(!claim.write(&file, Bytes::from_static(b"xy"), 0).unwrap());
        assert_eq!(&file.read(0..2).unwrap()[..], b"ab");
    }
}
