//! The file of a backup, format 1.
//!
//! | what | bytes |
//! |---|---|
//! | `livedata-backup 1` and a line feed | 18 |
//! | for each record, in ascending order of collection and key: | |
//! | – 1 | 1 |
//! | – lengths of collection, key and body; version; integers are big-endian | 4, 4, 4, 8 |
//! | – collection and key (UTF-8), body | as said |
//! | 0, number of records | 1, 8 |
//! | SHA-256 of everything before | 32 |
//!
//! Both sides hold one record at a time.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};

use super::{Error, Result};
use crate::Record;

const MAGIC: &str = "livedata-backup ";
pub const FORMAT: u32 = 1;
const RECORD: u8 = 1;
const END: u8 = 0;
/// Of the first line.
const LONGEST_HEAD: usize = 32;

/// What is in a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contents {
    pub records: u64,
    /// SHA-256, hexadecimal.
    pub checksum: String,
}

pub struct Entry {
    pub collection: String,
    pub record: Record,
}

pub struct Writer {
    output: BufWriter<File>,
    digest: Context,
    records: u64,
}

impl Writer {
    pub async fn begin(file: File) -> std::io::Result<Self> {
        let mut writer = Self { output: BufWriter::new(file), digest: Context::new(&SHA256), records: 0 };
        writer.write(format!("{MAGIC}{FORMAT}\n").as_bytes()).await?;
        Ok(writer)
    }

    pub async fn record(&mut self, collection: &str, record: &Record) -> std::io::Result<()> {
        let Record { key, version, body } = record;
        self.write(&[RECORD]).await?;
        for length in [collection.len(), key.len(), body.len()] {
            let length = u32::try_from(length).map_err(std::io::Error::other)?;
            self.write(&length.to_be_bytes()).await?;
        }
        self.write(&version.to_be_bytes()).await?;
        for part in [collection.as_bytes(), key.as_bytes(), body] {
            self.write(part).await?;
        }
        self.records += 1;
        Ok(())
    }

    /// On disk when it returns.
    pub async fn end(mut self) -> std::io::Result<Contents> {
        self.write(&[END]).await?;
        self.write(&self.records.to_be_bytes()).await?;
        let checksum = self.digest.finish();
        self.output.write_all(checksum.as_ref()).await?;
        self.output.flush().await?;
        self.output.get_ref().sync_all().await?;
        Ok(Contents { records: self.records, checksum: hexadecimal(checksum.as_ref()) })
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.digest.update(bytes);
        self.output.write_all(bytes).await
    }
}

/// Gives the records one by one; that there are no more is said only when the checksum is right.
pub struct Reader {
    path: PathBuf,
    input: BufReader<File>,
    digest: Context,
    records: u64,
    checksum: String,
    last: Option<(String, String)>,
}

impl Reader {
    pub async fn begin(path: &Path) -> Result<Self> {
        let file = File::open(path).await.map_err(|source| unreadable(path, source))?;
        let mut reader = Self {
            path: path.to_owned(),
            input: BufReader::new(file),
            digest: Context::new(&SHA256),
            records: 0,
            checksum: String::new(),
            last: None,
        };
        reader.head().await?;
        Ok(reader)
    }

    async fn head(&mut self) -> Result<()> {
        let none = "it does not begin like one";
        let mut head = Vec::new();
        while !head.ends_with(b"\n") {
            if head.len() == LONGEST_HEAD {
                return Err(self.damaged(none));
            }
            head.extend(self.bytes(1).await.map_err(|_| self.damaged(none))?);
        }
        let format = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix(MAGIC));
        match format.and_then(|format| format.trim_end().parse::<u32>().ok()) {
            Some(FORMAT) => Ok(()),
            Some(format) if format > FORMAT => {
                Err(Error::NewerFormat { path: self.path.clone(), format, known: FORMAT })
            }
            _ => Err(self.damaged(none)),
        }
    }

    pub async fn next(&mut self) -> Result<Option<Entry>> {
        match self.bytes(1).await?.as_slice() {
            [RECORD] => self.entry().await.map(Some),
            [END] => self.end().await.map(|()| None),
            _ => Err(self.damaged("a record is damaged")),
        }
    }

    async fn entry(&mut self) -> Result<Entry> {
        let (collection, key, body) = (self.length().await?, self.length().await?, self.length().await?);
        let version = self.number().await?;
        let collection = self.text(collection).await?;
        let key = self.text(key).await?;
        let body = self.bytes(body).await?;
        if version == 0 || i64::try_from(version).is_err() {
            return Err(self.damaged("a record has an impossible version"));
        }
        let here = (collection.clone(), key.clone());
        if self.last.as_ref().is_some_and(|last| *last >= here) {
            return Err(self.damaged("its records are not in order"));
        }
        self.last = Some(here);
        self.records += 1;
        Ok(Entry { collection, record: Record { key, version, body } })
    }

    async fn end(&mut self) -> Result<()> {
        if self.number().await? != self.records {
            return Err(self.damaged("records are missing"));
        }
        let expected = self.digest.clone().finish();
        if self.bytes(expected.as_ref().len()).await? != expected.as_ref() {
            return Err(self.damaged("its checksum is wrong"));
        }
        self.checksum = hexadecimal(expected.as_ref());
        match self.input.read_u8().await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
            Ok(_) => Err(self.damaged("there is something behind its end")),
            Err(source) => Err(unreadable(&self.path, source)),
        }
    }

    async fn length(&mut self) -> Result<u64> {
        let bytes = self.bytes(4).await?;
        Ok(bytes.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)))
    }

    async fn number(&mut self) -> Result<u64> {
        let bytes = self.bytes(8).await?;
        Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    async fn text(&mut self, length: u64) -> Result<String> {
        let bytes = self.bytes(length).await?;
        String::from_utf8(bytes).map_err(|_| self.damaged("a name in it is not UTF-8"))
    }

    /// Takes no more memory than there are bytes, whatever a damaged length says.
    async fn bytes(&mut self, length: impl TryInto<u64>) -> Result<Vec<u8>> {
        let length = length.try_into().unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(length).read_to_end(&mut bytes).await;
        read.map_err(|source| unreadable(&self.path, source))?;
        if bytes.len() as u64 != length {
            return Err(self.damaged("it is cut short"));
        }
        self.digest.update(&bytes);
        Ok(bytes)
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }

    /// When the end was reached.
    pub fn contents(self) -> Contents {
        Contents { records: self.records, checksum: self.checksum }
    }
}

/// Reads all of it.
pub async fn verify(path: &Path) -> Result<()> {
    let mut reader = Reader::begin(path).await?;
    while reader.next().await?.is_some() {}
    Ok(())
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), verb: "read", source }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
