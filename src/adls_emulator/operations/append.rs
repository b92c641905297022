//! Path - Update, action append: any position, any order, several at a time.
//!
//! Data that would begin below the committed length is taken and dropped: nothing changes what is committed, and a client that
//! repeats an append whose answer it lost must not fail because a flush came between. That the service answers such an append
//! with success, and the flush of the committed length as well, is what the tests of Hadoop's driver expect of it (two writers
//! of one file, `ITestAzureBlobFileSystemLease`). With `flush=true` the position after the data has to be the length that the
//! file has already.
//!
//! An append blob is appended to at its end, and what it takes is there at once, as if each append had `flush=true`. Another position
//! is refused with 400 `InvalidQueryParameterValue`: Hadoop's driver looks at the length then, and takes an append that it
//! repeated for done if the file is long enough (`AbfsClient.appendSuccessCheckOp`).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rusqlite::Connection;

use super::body::{self, Announced, Body, Checksums};
use super::flush::Flush;
use super::{Context, Place, append_block, reply};
use crate::clock;
use crate::content::{Appending, CHUNK_BYTES, Content, Digests, Spool};
use crate::index::{self, NewExtent, Node, Writing};
use crate::properties::ContentSettings;
use crate::request::{Call, LeaseUse};
use crate::service_error::ServiceError;

pub(super) async fn append(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let position = call.query.number("position")?;
    let position = position.ok_or_else(|| ServiceError::missing_query("position"))?;
    refuse_what_flushes_take(call)?;
    let announced = body_announced(call)?;
    let past = position.checked_add(announced.length).filter(|past| i64::try_from(*past).is_ok());
    let past = past.ok_or_else(|| ServiceError::invalid_query("position", "it is too large"))?;
    let checksums = Checksums::of(call)?;
    let flushes = call.query.flag("flush")?;
    let lease = LeaseUse::of_append(call, flushes)?;
    let target = Target {
        place: context.place()?,
        position,
        past,
        lease,
        flush: Flush::of(call, past)?,
        flushes,
        content: context.service.content.clone(),
    };
    let (node, Sums { crc64, md5 }) = match announced.length <= CHUNK_BYTES as u64 {
        true => target.append_small(context, payload, &announced, &checksums).await?,
        false => target.append_large(context, payload, &announced, &checksums).await?,
    };
    let mut response = reply::changed(StatusCode::ACCEPTED, &node);
    reply::insert(&mut response, "x-ms-content-crc64", &BASE64.encode(crc64));
    if let Some(md5) = md5 {
        reply::insert(&mut response, "content-md5", &BASE64.encode(md5));
    }
    announced.confirm(&mut response);
    if lease.renews() {
        reply::insert(&mut response, "x-ms-lease-renewed", "true");
    }
    Ok(response)
}

/// Conditions and content settings: the specification has them for a flush and says that they are not valid for an append,
/// also not for one that flushes. The code for the settings is not documented.
fn refuse_what_flushes_take(call: &Call) -> Result<(), ServiceError> {
    if ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]
        .iter()
        .any(|name| call.header(name).is_some())
    {
        return Err(ServiceError::condition_headers_not_supported());
    }
    for name in [
        "x-ms-cache-control",
        "x-ms-content-disposition",
        "x-ms-content-encoding",
        "x-ms-content-language",
        "x-ms-content-md5",
        "x-ms-content-type",
    ] {
        if call.header(name).is_some() {
            return Err(ServiceError::unsupported_header(name, "an append takes no content settings"));
        }
    }
    Ok(())
}

fn body_announced(call: &Call) -> Result<Announced, ServiceError> {
    match Announced::of(call)? {
        Announced { length: 0, .. } => {
            Err(ServiceError::invalid_header("Content-Length", "an append needs at least one byte"))
        }
        announced => Ok(announced),
    }
}

/// Where a body goes.
struct Target {
    place: Place,
    position: u64,
    past: u64,
    lease: LeaseUse,
    flush: Flush,
    /// Asked for.
    flushes: bool,
    content: Arc<Content>,
}

/// Of the body.
struct Sums {
    crc64: [u8; 8],
    /// Where the client sent one: it costs too much to be computed for nobody.
    md5: Option<[u8; 16]>,
}

impl Sums {
    fn of(digests: &Digests) -> Self {
        Self { crc64: digests.crc64(), md5: digests.md5() }
    }
}

impl Target {
    /// A body that fits into one chunk is taken in first; looking at the file, writing and recording are one step then.
    async fn append_small(
        self,
        context: &Context,
        payload: &mut web::Payload,
        announced: &Announced,
        checksums: &Checksums,
    ) -> Result<(Node, Sums), ServiceError> {
        let (mut body, mut digests, mut data) =
            (Body::new(context, payload, announced), checksums.digests(), Bytes::new());
        while let Some(chunk) = body.next().await? {
            data = chunk;
        }
        digests.update(&data);
        checksums.check(&digests)?;
        let sums = Sums::of(&digests);
        let append = move |writing: &mut Writing<'_>| {
            let node = self.look(writing.connection)?;
            let (mut appending, spool) = self.open(writing.connection, &node, digests)?;
            appending.store(data)?;
            let node = self.record(writing, node, &appending, spool)?;
            Ok((node, appending))
        };
        let (node, _claim) = context.service.index.write(append).await?;
        Ok((node, sums))
    }

    /// A larger one is written while it arrives.
    async fn append_large(
        self,
        context: &Context,
        payload: &mut web::Payload,
        announced: &Announced,
        checksums: &Checksums,
    ) -> Result<(Node, Sums), ServiceError> {
        let digests = checksums.digests();
        let open = move |connection: &Connection| {
            let node = self.look(connection)?;
            let (appending, spool) = self.open(connection, &node, digests)?;
            Ok((self, node.id, appending, spool))
        };
        let (target, node, appending, spool) = context.service.index.read(open).await?;
        let appending = body::receive(context, payload, appending, announced).await?;
        checksums.check(appending.digests())?;
        let sums = Sums::of(appending.digests());
        let record = move |writing: &mut Writing<'_>| {
            let node = index::node_by_id(writing.connection, node)?;
            let node = node.ok_or_else(ServiceError::path_not_found)?;
            let node = target.record(writing, node, &appending, spool)?;
            Ok((node, appending))
        };
        let (node, _claim) = context.service.index.write(record).await?;
        Ok((node, sums))
    }

    fn look(&self, connection: &Connection) -> Result<Node, ServiceError> {
        let node = self.place.node(connection)?;
        if node.kind.is_directory() {
            return Err(ServiceError::path_conflict().about(node.kind));
        }
        if !ContentSettings::stored(&node.settings).of_path_create {
            return Err(ServiceError::invalid_append_operation());
        }
        self.is_behind(&node)?;
        self.lease.check_write(&node.lease, clock::now_ms())?;
        Ok(node)
    }

    /// Whether the data begins below what is committed.
    fn is_behind(&self, node: &Node) -> Result<bool, ServiceError> {
        if is_append_blob(node) && self.position != node.length {
            return Err(ServiceError::invalid_query("position", "an append blob takes data only at its end"));
        }
        let behind = self.position < node.length;
        if behind && self.flushes && self.past != node.length {
            return Err(ServiceError::invalid_flush_position());
        }
        Ok(behind)
    }

    /// The spool is there when the body goes aside. The claim comes before the query: a range that another request recorded
    /// before it gave up its claim is seen.
    ///
    /// The claim is part of what is returned. It is given up only after the commit, whether or not the client still waits.
    fn open(
        &self,
        connection: &Connection,
        node: &Node,
        digests: Digests,
    ) -> Result<(Appending, Option<Spool>), ServiceError> {
        let claim = match self.is_behind(node)? {
            true => None,
            false => self.content.claims().claim(node.id, self.position..self.past),
        };
        let overlaps = index::overlaps_extents(connection, node.id, self.position, self.past)?;
        match claim {
            Some(claim) if !overlaps => {
                Ok((Appending::direct(&self.content, claim, node.id, self.position, digests)?, None))
            }
            _ => {
                let spool = Spool::new(&self.content);
                Ok((Appending::aside(&spool, self.position, digests)?, Some(spool)))
            }
        }
    }

    fn record(
        &self,
        writing: &mut Writing<'_>,
        mut node: Node,
        appending: &Appending,
        spool: Option<Spool>,
    ) -> Result<Node, ServiceError> {
        let name = spool.as_ref().map(|spool| spool.name().to_owned());
        let extent = NewExtent { first: self.position, past: self.past, spool: name };
        let before = node.lease.clone();
        self.lease.begin(&mut node.lease, writing.now_ms)?;
        self.lease.finish(&mut node.lease, writing.now_ms)?;
        let behind = self.is_behind(&node)?;
        if !behind && !appending.is_whole() {
            return Err(ServiceError::invalid_flush_position());
        }
        let at_once = is_append_blob(&node);
        let commits = self.flushes || at_once;
        if at_once {
            append_block::count_block(&mut node)?;
        }
        if commits && !behind {
            self.flush.apply_with(writing, &self.content, &mut node, extent)?;
        } else if !behind {
            index::add_extent(writing, &node, extent)?;
        }
        if (behind || !commits) && node.lease != before {
            index::save_lease(writing, node.id, &node.lease)?;
        }
        if let Some(spool) = spool.filter(|_| !behind) {
            writing.kept.push(spool.keep());
        }
        Ok(node)
    }
}

fn is_append_blob(node: &Node) -> bool {
    ContentSettings::stored(&node.settings).append_blob.is_some()
}
