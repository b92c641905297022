//! Path - Update, action flush: what was appended becomes the file.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::create::check_no_body;
use super::{Context, reply};
use crate::content::Content;
use crate::index::{self, NewExtent, Node, Writing};
use crate::properties::ContentSettings;
use crate::request::{Call, Conditions, LeaseUse};
use crate::service_error::ServiceError;

/// Also what an append with `flush=true` does at its end.
pub(super) struct Flush {
    position: u64,
    retain: bool,
    /// What of the content settings the request sets.
    settings: ContentSettings,
}

impl Flush {
    pub(super) fn of(call: &Call, position: u64) -> Result<Self, ServiceError> {
        // `close` only marks the event that the service would raise, and there are no events here.
        call.query.flag("close")?;
        let retain = call.query.flag("retainUncommittedData")?;
        let mut settings = ContentSettings::default();
        settings.update_from(&call.headers, "x-ms-");
        Ok(Self { position, retain, settings })
    }

    fn apply(
        &self,
        writing: &mut Writing<'_>,
        content: &Content,
        node: &mut Node,
    ) -> Result<(), ServiceError> {
        index::commit_up_to(writing, content, node, self.position, self.retain)?;
        self.finish(writing, node)
    }

    /// The flush at the end of an append.
    pub(super) fn apply_with(
        &self,
        writing: &mut Writing<'_>,
        content: &Content,
        node: &mut Node,
        appended: NewExtent,
    ) -> Result<(), ServiceError> {
        index::add_and_commit(writing, content, node, appended, self.retain)?;
        self.finish(writing, node)
    }

    fn finish(&self, writing: &mut Writing<'_>, node: &mut Node) -> Result<(), ServiceError> {
        // The MD5 is that of the content: one that the request does not bring goes. The other settings stay then.
        let mut settings = ContentSettings { content_md5: None, ..ContentSettings::stored(&node.settings) };
        settings.take_over(&self.settings);
        node.settings = settings.to_text();
        index::update_node(writing, node, true)
    }
}

pub(super) async fn flush(context: &Context) -> Result<HttpResponse, ServiceError> {
    let call = &context.call;
    let position = call.query.number("position")?;
    let position = position.ok_or_else(|| ServiceError::missing_query("position"))?;
    check_no_body(call)?;
    let flush = Flush::of(call, position)?;
    let (place, conditions) = (context.place()?, Conditions::of(call)?);
    let lease = LeaseUse::of_append(call, true)?;
    let content = context.service.content.clone();
    let apply = move |writing: &mut Writing<'_>| {
        let mut node = place.node(writing.connection)?;
        conditions.check(&node)?;
        if node.kind.is_directory() {
            return Err(ServiceError::path_conflict().about(node.kind));
        }
        if !ContentSettings::stored(&node.settings).of_path_create {
            return Err(ServiceError::invalid_flush_operation());
        }
        lease.begin(&mut node.lease, writing.now_ms)?;
        lease.finish(&mut node.lease, writing.now_ms)?;
        flush.apply(writing, &content, &mut node)?;
        Ok(node)
    };
    let node = context.service.index.write(apply).await?;
    let mut response = reply::changed(StatusCode::OK, &node);
    if lease.renews() {
        reply::insert(&mut response, "x-ms-lease-renewed", "true");
    }
    Ok(response)
}
