//! What a commit must be before any engine spends memory on it.

use std::collections::HashSet;

use crate::{
    Commit, Error, MAX_COMMIT_LEN, MAX_COMMIT_PARTS, MAX_NAME_LEN, MAX_VALUE_LEN, Precondition, Write,
};

/// Checks the limits of this crate, and that no name is written twice.
pub(crate) fn check(commit: &Commit) -> Result<(), Error> {
    let parts = commit.preconditions.len().saturating_add(commit.writes.len());
    let named = |name: &Vec<u8>| name.len() <= MAX_NAME_LEN;
    let small = parts <= MAX_COMMIT_PARTS
        && commit.preconditions.iter().all(|precondition| named(precondition.name()))
        && commit.writes.iter().all(|write| named(write.name()) && write.value_len() <= MAX_VALUE_LEN)
        && len(commit) <= MAX_COMMIT_LEN;
    if !small {
        return Err(Error::TooLarge);
    }

    let mut names = HashSet::with_capacity(commit.writes.len());
    if commit.writes.iter().all(|write| names.insert(write.name())) { Ok(()) } else { Err(Error::Repeated) }
}

/// Bytes of all names and values of a commit.
pub(crate) fn len(commit: &Commit) -> usize {
    let preconditions = commit.preconditions.iter().map(|precondition| precondition.name().len());
    let writes = commit.writes.iter().map(|write| write.name().len().saturating_add(write.value_len()));
    preconditions.chain(writes).fold(0, usize::saturating_add)
}

impl Precondition {
    /// The record it is about.
    pub(crate) fn name(&self) -> &Vec<u8> {
        match self {
            Self::Unchanged { name, .. } | Self::Absent(name) => name,
        }
    }

    /// Whether it holds for a record last written at `found`, or absent.
    pub(crate) fn holds(&self, found: Option<crate::Revision>) -> bool {
        match self {
            Self::Unchanged { revision, .. } => found == Some(*revision),
            Self::Absent(_) => found.is_none(),
        }
    }
}

impl Write {
    /// The record it is about.
    pub(crate) fn name(&self) -> &Vec<u8> {
        match self {
            Self::Put { name, .. } | Self::Delete(name) => name,
        }
    }

    fn value_len(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete(_) => 0,
        }
    }
}
