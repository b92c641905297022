//! Path - Update, action setAccessControlRecursive: a directory and all below it, in steps that give other writers their
//! turn. Whoever is no superuser changes only what it owns.
//!
//! A path that cannot be changed is told of. Unless the caller wants to go on then (`forceFlag`), the walk ends before it, with a
//! continuation that begins with it again.

use std::sync::Arc;

use actix_web::HttpResponse;
use serde::Serialize;

use super::account::{decode_token, encode_token};
use super::{Context, Place};
use crate::authorization::Authority;
use crate::index::{self, Node, NodeKind, Writing};
use crate::permissions::AclChange;
use crate::service_error::ServiceError;

/// What the service does in one call at most, also when it is told nothing or more.
const MAX_RECORDS: u64 = 2000;
/// Changed in one transaction at most.
const STEP: usize = 200;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tally {
    directories_successful: u64,
    files_successful: u64,
    failure_count: u64,
    failed_entries: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_message: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// How far the walk has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    Beginning,
    /// Goes on with this path, relative to where the walk began; empty for the first path below that place, which is done.
    From(String),
    End,
}

impl Position {
    fn of_token(token: Option<&str>) -> Result<Self, ServiceError> {
        match decode_token(token, "continuation")? {
            None => Ok(Self::Beginning),
            // The mark keeps the place itself apart from no token at all.
            Some(text) => match text.strip_prefix(':') {
                Some(path) => Ok(Self::From(path.to_owned())),
                None => Err(ServiceError::invalid_query("continuation", "it is of another operation")),
            },
        }
    }

    fn token(&self) -> Option<String> {
        match self {
            Self::From(path) => Some(encode_token(&format!(":{path}"))),
            Self::Beginning | Self::End => None,
        }
    }
}

pub(super) async fn set_access_control_recursive(context: &Context) -> Result<HttpResponse, ServiceError> {
    let (call, query) = (&context.call, &context.call.query);
    let mode = query.get("mode").ok_or_else(|| ServiceError::missing_query("mode"))?;
    let acl = call.header("x-ms-acl").ok_or_else(|| ServiceError::missing_header("x-ms-acl"))?;
    let change = Arc::new(AclChange::parse(mode, acl)?);
    let go_on = query.flag("forceFlag")?;
    let records = match query.number("maxRecords")? {
        Some(0) => return Err(ServiceError::query_out_of_range()),
        records => records.unwrap_or(MAX_RECORDS).min(MAX_RECORDS),
    };
    let authority = Arc::new(Authority::of(context).await?);
    let mut position = Position::of_token(query.get("continuation"))?;
    let (mut left, mut tally) = (usize::try_from(records).unwrap_or(STEP), Tally::default());
    while left > 0 && position != Position::End && (go_on || tally.failure_count == 0) {
        let (place, change, authority) = (context.place()?, change.clone(), authority.clone());
        let step = move |writing: &mut Writing<'_>| {
            Step { change: &change, authority: &authority, go_on, tally }.run(
                writing,
                &place,
                position,
                left.min(STEP),
            )
        };
        let done;
        (tally, position, done) = context.service.index.write(step).await?;
        left = left.saturating_sub(done);
    }
    let mut response = HttpResponse::Ok();
    if let Some(token) = position.token() {
        response.insert_header(("x-ms-continuation", token));
    }
    Ok(response.json(tally))
}

struct Step<'a> {
    change: &'a AclChange,
    authority: &'a Authority,
    /// Whether a path that cannot be changed is passed over.
    go_on: bool,
    tally: Tally,
}

impl Step<'_> {
    /// Also tells how many paths were looked at.
    fn run(
        mut self,
        writing: &mut Writing<'_>,
        place: &Place,
        position: Position,
        limit: usize,
    ) -> Result<(Tally, Position, usize), ServiceError> {
        let top = place.node(writing.connection)?;
        let (directory, mut done) = (top.id, 0);
        let from = match position {
            Position::End => return Ok((self.tally, Position::End, 0)),
            Position::From(path) => path,
            Position::Beginning => {
                let kind = top.kind;
                done = 1;
                if !self.apply(writing, place, "", top)? {
                    return Ok((self.tally, Position::Beginning, done));
                }
                if kind == NodeKind::File {
                    return Ok((self.tally, Position::End, done));
                }
                String::new()
            }
        };
        if done == limit {
            return Ok((self.tally, Position::From(from), done));
        }
        let page = index::list_paths(writing.connection, directory, "", true, &from, limit - done)?;
        for (path, node) in page.entries {
            done += 1;
            if !self.apply(writing, place, &path, node)? {
                return Ok((self.tally, Position::From(path), done));
            }
        }
        Ok((self.tally, page.next.map_or(Position::End, Position::From), done))
    }

    /// Answers whether to go on.
    fn apply(
        &mut self,
        writing: &mut Writing<'_>,
        place: &Place,
        below: &str,
        mut node: Node,
    ) -> Result<bool, ServiceError> {
        let is_directory = node.kind.is_directory();
        let changed =
            self.authority.check(&node).and_then(|()| self.change.apply_to(&mut node.access, is_directory));
        match changed {
            Ok(()) => {
                index::update_node(writing, &mut node, false)?;
                let count = match is_directory {
                    true => &mut self.tally.directories_successful,
                    false => &mut self.tally.files_successful,
                };
                *count += 1;
                Ok(true)
            }
            Err(error) => {
                let mut names = place.path.clone();
                names.extend((!below.is_empty()).then(|| below.to_owned()));
                self.tally.failure_count += 1;
                self.tally.failed_entries.push(Failure {
                    error_message: error.message.into_owned(),
                    name: names.join("/"),
                    kind: if is_directory { "DIRECTORY" } else { "FILE" },
                });
                Ok(self.go_on)
            }
        }
    }
}
