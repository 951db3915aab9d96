//! The keys that share their material: a key and its replicas in other Regions.

use std::sync::Arc;

use crate::kms::key::Key;

/// The members of a key's set, itself included: all that a new generation of material, an import or a deletion of
/// material that waits for its rotation changes together, in one commit.
///
/// A key that is not multi-Region is its own set.
pub(crate) fn of(key: &Arc<Key>) -> Vec<Arc<Key>> {
    vec![Arc::clone(key)]
}
