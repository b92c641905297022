//! Structured messages (`x-ms-structured-body: XSM/1.0; properties=crc64`): a body cut into segments, each followed by its
//! CRC64, with one more over all of it at the end.
//!
//! All numbers are little-endian. Message: version (1 byte), length of the whole message (8), flags (2; 1 = CRC64), number
//! of segments (2), the segments, CRC64 of all content (8). Segment: its number from 1 (2), content length (8), the
//! content, CRC64 of it (8). Outside contract: what the storage SDKs send and read (`StructuredMessageEncodeStream` in the
//! Python SDK, `StructuredMessage` in the .NET one).

use bytes::{BufMut as _, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest as Crc};

use crate::service_error::ServiceError;

/// The one form of `x-ms-structured-body` that is served.
pub(crate) const FORM: &str = "XSM/1.0; properties=crc64";

const VERSION: u8 = 1;
const CRC64: u16 = 1;
const MESSAGE_HEADER_BYTES: usize = 1 + 8 + 2 + 2;
const SEGMENT_HEADER_BYTES: usize = 2 + 8;
const CRC_BYTES: usize = 8;
/// Content of each segment but the last, in what is written here.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

fn new_crc() -> Crc {
    Crc::new(CrcAlgorithm::Crc64Nvme)
}

/// The bytes on the wire for this much content.
pub(crate) fn message_length(content: u64) -> u64 {
    let per_segment = (SEGMENT_HEADER_BYTES + CRC_BYTES) as u64;
    MESSAGE_HEADER_BYTES as u64 + segments(content) * per_segment + content + CRC_BYTES as u64
}

fn segments(content: u64) -> u64 {
    content.div_ceil(SEGMENT_BYTES).max(1)
}

/// Takes a message apart while it arrives.
pub(crate) struct Decoder {
    message_length: u64,
    content_length: u64,
    part: Part,
    /// The beginning of a header or checksum whose rest has not arrived yet.
    partial: Vec<u8>,
    segments: u16,
    segment: u16,
    content: u64,
    segment_crc: Crc,
    message_crc: Crc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    MessageHeader,
    SegmentHeader,
    Content { left: u64 },
    SegmentCrc,
    MessageCrc,
    End,
}

impl Decoder {
    pub(crate) fn new(message_length: u64, content_length: u64) -> Self {
        Self {
            message_length,
            content_length,
            part: Part::MessageHeader,
            partial: Vec::with_capacity(MESSAGE_HEADER_BYTES),
            segments: 0,
            segment: 0,
            content: 0,
            segment_crc: new_crc(),
            message_crc: new_crc(),
        }
    }

    /// Appends to `content` what of `data` is content.
    pub(crate) fn feed(&mut self, mut data: &[u8], content: &mut BytesMut) -> Result<(), ServiceError> {
        while !data.is_empty() {
            if let Part::Content { left } = self.part {
                let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                let (now, later) = data.split_at(wanted);
                self.segment_crc.update(now);
                self.message_crc.update(now);
                content.extend_from_slice(now);
                self.content += now.len() as u64;
                data = later;
                self.part = self.after_content(left - now.len() as u64);
            } else {
                let wanted = self.fixed_bytes()?.saturating_sub(self.partial.len()).min(data.len());
                let (now, later) = data.split_at(wanted);
                self.partial.extend_from_slice(now);
                data = later;
                if self.partial.len() == self.fixed_bytes()? {
                    let bytes = std::mem::take(&mut self.partial);
                    self.part = self.fixed_part(&bytes)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), ServiceError> {
        match self.part {
            Part::End if self.content == self.content_length => Ok(()),
            _ => Err(ServiceError::malformed_structured_body()),
        }
    }

    fn fixed_bytes(&self) -> Result<usize, ServiceError> {
        match self.part {
            Part::MessageHeader => Ok(MESSAGE_HEADER_BYTES),
            Part::SegmentHeader => Ok(SEGMENT_HEADER_BYTES),
            Part::SegmentCrc | Part::MessageCrc => Ok(CRC_BYTES),
            // More bytes than the message has.
            Part::Content { .. } | Part::End => Err(ServiceError::malformed_structured_body()),
        }
    }

    fn after_content(&self, left: u64) -> Part {
        if left == 0 { Part::SegmentCrc } else { Part::Content { left } }
    }

    fn fixed_part(&mut self, bytes: &[u8]) -> Result<Part, ServiceError> {
        let malformed = ServiceError::malformed_structured_body;
        match self.part {
            Part::MessageHeader => {
                let mut numbers = Numbers(bytes);
                let (version, length) = (numbers.take::<1>()?, numbers.take::<8>()?);
                let (flags, segments) = (numbers.take::<2>()?, numbers.take::<2>()?);
                let known = version == u64::from(VERSION) && flags == u64::from(CRC64);
                if !known || length != self.message_length || segments == 0 {
                    return Err(malformed());
                }
                self.segments = u16::try_from(segments).map_err(|_| malformed())?;
                Ok(Part::SegmentHeader)
            }
            Part::SegmentHeader => {
                let mut numbers = Numbers(bytes);
                let (number, left) = (numbers.take::<2>()?, numbers.take::<8>()?);
                if number != u64::from(self.segment) + 1 || left > self.content_length - self.content {
                    return Err(malformed());
                }
                self.segment += 1;
                self.segment_crc = new_crc();
                Ok(self.after_content(left))
            }
            Part::SegmentCrc => {
                check(&self.segment_crc, bytes)?;
                Ok(if self.segment == self.segments { Part::MessageCrc } else { Part::SegmentHeader })
            }
            Part::MessageCrc => check(&self.message_crc, bytes).map(|()| Part::End),
            Part::Content { .. } | Part::End => Err(malformed()),
        }
    }
}

fn check(crc: &Crc, bytes: &[u8]) -> Result<(), ServiceError> {
    if crc.finalize().to_le_bytes() == bytes { Ok(()) } else { Err(ServiceError::crc64_mismatch()) }
}

struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn take<const BYTES: usize>(&mut self) -> Result<u64, ServiceError> {
        let (number, rest) =
            self.0.split_at_checked(BYTES).ok_or_else(ServiceError::malformed_structured_body)?;
        self.0 = rest;
        Ok(number.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

/// Makes a message of content that comes in chunks.
pub(crate) struct Encoder {
    content_length: u64,
    done: u64,
    segment: u16,
    segment_crc: Crc,
    message_crc: Crc,
}

impl Encoder {
    pub(crate) fn new(content_length: u64) -> Self {
        Self { content_length, done: 0, segment: 0, segment_crc: new_crc(), message_crc: new_crc() }
    }

    /// The next part of the message. Content of length zero is one empty chunk.
    pub(crate) fn push(&mut self, mut chunk: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(chunk.len() + 64);
        if self.done == 0 {
            out.put_u8(VERSION);
            out.put_u64_le(message_length(self.content_length));
            out.put_u16_le(CRC64);
            out.put_u16_le(u16::try_from(segments(self.content_length)).unwrap_or(u16::MAX));
            if chunk.is_empty() {
                self.begin_segment(&mut out, 0);
                self.end_segment(&mut out);
            }
        }
        while !chunk.is_empty() {
            let in_segment = self.done % SEGMENT_BYTES;
            if in_segment == 0 {
                let length = (self.content_length - self.done).min(SEGMENT_BYTES);
                self.begin_segment(&mut out, length);
            }
            let wanted = usize::try_from(SEGMENT_BYTES - in_segment).unwrap_or(usize::MAX).min(chunk.len());
            let (now, later) = chunk.split_at(wanted);
            self.segment_crc.update(now);
            self.message_crc.update(now);
            out.put_slice(now);
            self.done += now.len() as u64;
            chunk = later;
            if self.done.is_multiple_of(SEGMENT_BYTES) || self.done == self.content_length {
                self.end_segment(&mut out);
            }
        }
        out.freeze()
    }

    fn begin_segment(&mut self, out: &mut BytesMut, length: u64) {
        self.segment = self.segment.saturating_add(1);
        self.segment_crc = new_crc();
        out.put_u16_le(self.segment);
        out.put_u64_le(length);
    }

    fn end_segment(&mut self, out: &mut BytesMut) {
        out.put_u64_le(self.segment_crc.finalize());
        if self.done == self.content_length {
            out.put_u64_le(self.message_crc.finalize());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(content: &[u8], chunk: usize) -> Vec<u8> {
        let mut encoder = Encoder::new(content.len() as u64);
        if content.is_empty() {
            return encoder.push(&[]).to_vec();
        }
        content.chunks(chunk).flat_map(|chunk| encoder.push(chunk).to_vec()).collect()
    }

    fn decode(message: &[u8], content_length: usize, chunk: usize) -> Result<Vec<u8>, ServiceError> {
        let mut decoder = Decoder::new(message.len() as u64, content_length as u64);
        let mut content = BytesMut::new();
        for chunk in message.chunks(chunk) {
            decoder.feed(chunk, &mut content)?;
        }
        decoder.finish().map(|()| content.to_vec())
    }

    #[test]
    fn the_bytes_of_a_message() {
        let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, b"abc").to_le_bytes();
        let mut expected = vec![1];
        expected.extend(u64::to_le_bytes(13 + 10 + 3 + 8 + 8));
        expected.extend([1, 0, 1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(b"abc");
        expected.extend(crc);
        expected.extend(crc);
        assert_eq!(encode(b"abc", 2), expected);
        assert_eq!(message_length(3), expected.len() as u64);
    }

    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut() {
        let long: Vec<u8> = (0..SEGMENT_BYTES * 2 + 77).map(|at| (at % 251) as u8).collect();
        for content in [&b""[..], b"x", b"some content", &long] {
            for chunk in [1 << 18, SEGMENT_BYTES as usize + 5] {
                let message = encode(content, chunk);
                assert_eq!(message.len() as u64, message_length(content.len() as u64));
                assert!(decode(&message, content.len(), chunk).unwrap() == content);
                assert!(decode(&message, content.len(), 1009).unwrap() == content);
            }
        }
        assert_eq!(decode(&encode(b"some content", 5), 12, 1).unwrap(), b"some content");
    }

    #[test]
    fn no_damage_passes() {
        let message = encode(b"some content", 100);
        for place in 0..message.len() {
            let mut damaged = message.clone();
            damaged[place] ^= 0x40;
            assert!(decode(&damaged, 12, 7).is_err(), "byte {place}");
        }
        for length in 0..message.len() {
            assert!(decode(&message[..length], 12, 7).is_err(), "cut to {length}");
        }
        assert!(decode(&message, 11, 7).is_err());
        assert!(decode(&message, 13, 7).is_err());
        let mut longer = message.clone();
        longer.push(0);
        assert!(decode(&longer, 12, 7).is_err());
    }
}
