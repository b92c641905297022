//! Content that proves itself: blocks with a head that says which file this is, which block, how long and with which sum.
//!
//! A file's version is a whole number of blocks of one identity, counted without a hole. So a file that was cut, mixed
//! of two versions or read half written shows it, unless it was cut exactly between blocks, which is a version.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

const MARK: &str = "witness";

/// What a file says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    pub identity: u64,
    /// Number of the last block.
    pub version: u32,
    /// Payload of the last block.
    pub payload: Vec<u8>,
}

pub fn block(identity: u64, version: u32, payload: &[u8]) -> Vec<u8> {
    let mut block =
        format!("{MARK} {identity:016x} {version} {} {}\n", payload.len(), sum(identity, version, payload))
            .into_bytes();
    block.extend_from_slice(payload);
    block
}

/// `Err` says what is wrong with it.
pub fn check(content: &[u8]) -> Result<Proof, String> {
    let mut rest = content;
    let mut proof: Option<Proof> = None;
    while !rest.is_empty() {
        let at = content.len() - rest.len();
        let (head, behind) = split_line(rest).ok_or_else(|| format!("cut in the head at {at}"))?;
        let (identity, version, length, expected) =
            parse(head).ok_or_else(|| format!("no head of a block at {at}"))?;
        let payload = behind
            .get(..length)
            .ok_or_else(|| format!("block {version} at {at} has {} of {length} bytes", behind.len()))?;
        if sum(identity, version, payload) != expected {
            return Err(format!("block {version} at {at} has another content than its sum says"));
        }
        if let Some(before) = &proof
            && (before.identity, before.version + 1) != (identity, version)
        {
            return Err(format!(
                "block {version} of {identity:x} at {at} follows block {} of {:x}",
                before.version, before.identity
            ));
        }
        proof = Some(Proof { identity, version, payload: payload.to_vec() });
        rest = &behind[length..];
    }
    proof.ok_or_else(|| "it is empty".to_owned())
}

fn split_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

fn parse(head: &str) -> Option<(u64, u32, usize, &str)> {
    let mut words = head.split(' ');
    let marked = words.next()? == MARK;
    let identity = u64::from_str_radix(words.next()?, 16).ok()?;
    let (version, length, sum) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
    (marked && words.next().is_none()).then_some((identity, version, length, sum))
}

/// Of a block, its head included.
fn sum(identity: u64, version: u32, payload: &[u8]) -> String {
    let whole = [&identity.to_be_bytes()[..], &version.to_be_bytes(), payload].concat();
    let mut text = String::new();
    for byte in &digest(&SHA256, &whole).as_ref()[..16] {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// That a file is at a place below the table's directory, in this version or a later one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Voucher {
    pub path: String,
    pub identity: u64,
    pub version: u32,
}

/// The payload of a file that vouches for others.
pub fn vouching(vouchers: &[Voucher]) -> Vec<u8> {
    let mut text = String::new();
    for Voucher { path, identity, version } in vouchers {
        let _ = writeln!(text, "voucher {identity:016x} {version} {path}");
    }
    text.into_bytes()
}

/// What a payload vouches for; nothing if it is data.
pub fn vouchers(payload: &[u8]) -> Vec<Voucher> {
    let Ok(text) = std::str::from_utf8(payload) else { return Vec::new() };
    let voucher = |line: &str| {
        let mut words = line.strip_prefix("voucher ")?.splitn(3, ' ');
        let identity = u64::from_str_radix(words.next()?, 16).ok()?;
        Some(Voucher { identity, version: words.next()?.parse().ok()?, path: words.next()?.to_owned() })
    };
    text.lines().filter_map(voucher).collect()
}
