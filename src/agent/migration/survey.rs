//! What the target has before the first run: listed page by page, each thing asked where it came from.

use futures::{StreamExt as _, TryStreamExt as _};
use livedata_engine::{Place, Survey, There};
use livedata_filesystem::{ErrorKind, Result, TargetEntry, TargetPath};
use livedata_model::path::RESERVED;

use super::executor::Context;
use super::origin::{is_of, origin};
use super::patience::{Side, persist};

/// Requests at a time for one page: a listing does not carry properties.
const LOOKS: usize = 16;

impl Context {
    /// One page of a directory of the tree, or of the trash. `None`: there is none.
    pub(super) async fn survey(&self, place: &Place, after: Option<&str>) -> Result<Option<Survey>> {
        let at = self.place(place);
        match place {
            Place::Trash(_) => self.page(&at, after, |_, entry| async move { Ok(there(entry, None)) }).await,
            Place::Tree(path) => {
                if path.is_empty() && after.is_none() {
                    self.remove_leftovers().await;
                }
                let Some(tree) = self.tree().await? else { return Ok(None) };
                if path.is_empty() && !self.is_directory(&at).await? {
                    return Ok(None);
                }
                let look = |path: TargetPath, listed: TargetEntry| async move {
                    let found = self.look_at(&path).await?;
                    // What vanishes between the two requests is of nobody.
                    Ok(there(found.unwrap_or(listed), Some(tree)))
                };
                self.page(&at, after, look).await
            }
        }
    }

    async fn page<'a, F>(
        &'a self,
        at: &TargetPath,
        after: Option<&str>,
        look: impl Fn(TargetPath, TargetEntry) -> F,
    ) -> Result<Option<Survey>>
    where
        F: Future<Output = Result<There>> + 'a,
    {
        let target = &self.plan.target;
        let page = match persist(&self.views, Side::Target, || target.list(at, after)).await {
            Ok(page) => page,
            Err(error) if error.kind() == ErrorKind::Gone => return Ok(None),
            Err(error) => return Err(error),
        };
        let theirs = page.entries.into_iter().filter(|(name, _)| !at.is_root() || name != RESERVED);
        let looks = theirs.map(|(name, entry)| {
            let look = look(at.join(&name), entry);
            async move { look.await.map(|there| (name, there)) }
        });
        let found = futures::stream::iter(looks).buffered(LOOKS).try_collect().await?;
        Ok(Some(Survey { found, next: page.next }))
    }

    async fn is_directory(&self, at: &TargetPath) -> Result<bool> {
        Ok(at.is_root() || self.look_at(at).await?.is_some_and(|found| found.is_directory))
    }

    async fn look_at(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        persist(&self.views, Side::Target, || self.plan.target.properties(path)).await
    }

    /// Nothing is half made yet by whom this journal knows.
    async fn remove_leftovers(&self) {
        let _ = self.delete(&self.plan.leftovers, true).await;
    }
}

/// Only what says of which tree it is, is ours.
fn there(entry: TargetEntry, tree: Option<&str>) -> There {
    let ours = tree.is_some_and(|tree| is_of(&entry.properties, tree));
    let (node, version) = if ours { origin(&entry.properties, tree) } else { (None, None) };
    There {
        is_directory: entry.is_directory,
        etag: entry.etag.0,
        length_bytes: entry.length_bytes,
        node,
        version,
    }
}
