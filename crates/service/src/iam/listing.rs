//! Lists a page at a time.

use claviger_store::{Read, Record};

use crate::call::Call;
use crate::call::iam::IamAsks;
use crate::dispatch::Service;
use crate::error::{Error, Result};
use crate::iam::identity::{self, Identity};
use crate::iam::shapes::{Marker, MaxItems};
use crate::kms::marker::Scope;
use crate::record;

/// Entries of a page unless the request says otherwise.
const DEFAULT_ITEMS: u32 = 100;

/// A page of the account's users, groups or roles (`word` says which) whose paths begin with `prefix`; all where it is
/// absent.
///
/// # Errors
/// `AccessDenied`; what [`Cursor::read`] refuses.
pub(crate) async fn identities(
    service: &Service,
    call: &mut Call<'_>,
    (action, word): (&'static str, &str),
    prefix: Option<&str>,
    (marker, max): (Option<&Marker>, Option<MaxItems>),
) -> Result<Page<Identity>> {
    let (account, prefix) = (call.caller().account(), prefix.unwrap_or("/"));
    call.authorize_iam(action, &resource(call.region(), account, word, prefix), IamAsks::default())?;
    let page = Cursor::read(service, call, prefix, marker, max)?
        .records(&record::iam::identities(word, account))
        .await?;
    let items: Result<Vec<_>> = page.items.iter().map(Identity::decode).collect();
    let items = items?.into_iter().filter(|identity| identity.path.starts_with(prefix)).collect();
    Ok(Page { items, marker: page.marker })
}

/// What a list of entities is decided about.
pub(crate) fn resource(region: &str, account: &str, word: &str, prefix: &str) -> String {
    identity::arn(region, account, word, prefix, "")
}

/// Where a list goes on and how far.
pub(crate) struct Cursor<'a> {
    service: &'a Service,
    scope: Scope<'a>,
    after: Option<String>,
    size: usize,
}

/// A part of a list.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where it goes on, unless this is its end.
    pub(crate) marker: Option<String>,
}

impl<'a> Cursor<'a> {
    /// Reads what a request says. `filter` is what else the list depends on.
    ///
    /// # Errors
    /// `ValidationError` for a marker that was not given for this list and caller.
    pub(crate) fn read(
        service: &'a Service,
        call: &'a Call<'_>,
        filter: &'a str,
        marker: Option<&Marker>,
        max: Option<MaxItems>,
    ) -> Result<Self> {
        let caller = call.caller();
        let scope =
            Scope { operation: call.subject.event_name, principal: caller.arn(), region: "iam", filter };
        let after = match marker {
            Some(marker) => {
                let after = service.installation.markers.resume(scope, marker);
                Some(after.ok_or_else(|| Error::validation("Invalid Marker."))?)
            }
            None => None,
        };
        let size = usize::try_from(max.map_or(DEFAULT_ITEMS, |max| max.0)).unwrap_or(usize::MAX);
        Ok(Self { service, scope, after, size })
    }

    /// The page of the records that stand under a prefix, by the rest of their names.
    pub(crate) async fn records(&self, prefix: &[u8]) -> Result<Page<Record>> {
        let after = self.after.as_ref().map(|after| [prefix, after.as_bytes()].concat());
        let read = Read::Range { prefix: prefix.to_vec(), after, limit: self.size.saturating_add(1) };
        let found = self.service.installation.store.read(vec![read]).await?.found;
        let entries: Vec<Record> = found.into_iter().flatten().collect();
        let marker = |entry: &Record| record::rest(&entry.name, prefix).to_owned();
        Ok(self.cut(entries, marker))
    }

    /// The page of a list that is at hand, sorted by its names.
    pub(crate) fn page<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> String) -> Page<T> {
        items.sort_by_key(|item| name(item));
        let after = self.after.as_deref();
        items.retain(|item| after.is_none_or(|after| *name(item) > *after));
        self.cut(items, name)
    }

    /// The numbers of the page of a list of so many items that keeps its order: they need not be made to be counted.
    pub(crate) fn numbers(&self, count: usize) -> Page<usize> {
        let last = self.after.as_deref().map(|after| after.parse().unwrap_or(usize::MAX));
        let first = last.map_or(0, |last: usize| last.saturating_add(1));
        let items = (first..count).take(self.size.saturating_add(1)).collect();
        self.cut(items, |number| format!("{number:010}"))
    }

    fn cut<T>(&self, mut items: Vec<T>, name: impl Fn(&T) -> String) -> Page<T> {
        let truncated = items.len() > self.size;
        items.truncate(self.size);
        let last = items.last().filter(|_| truncated);
        let marker = last.map(|last| self.service.installation.markers.make(self.scope, &name(last)));
        Page { items, marker }
    }
}
