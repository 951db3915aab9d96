//! What a dry run may leave out.

use crate::error::{Error, Result};
use crate::kms::shapes::DryRunModifiers;

/// The ciphertext to work with: `None` only in a dry run that ignores it.
///
/// # Errors
/// `ValidationException` for a missing ciphertext, and for modifiers outside a dry run.
pub(crate) fn ciphertext<'a>(
    blob: Option<&'a [u8]>,
    dry_run: Option<bool>,
    modifiers: Option<&DryRunModifiers>,
) -> Result<Option<&'a [u8]>> {
    let ignores = modifiers.is_some_and(|modifiers| !modifiers.0.is_empty());
    match (ignores, dry_run, blob) {
        (true, Some(true), _) => Ok(None),
        (true, _, _) => Err(Error::validation("DryRunModifiers needs DryRun to be true.")),
        (false, _, Some(blob)) => Ok(Some(blob)),
        (false, _, None) => Err(Error::validation(
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must \
             not be null",
        )),
    }
}
