//! Rules of tags.

use claviger_wire::fault::Code;

use crate::error::{Error, Result};
use crate::iam::shapes::{Tag, TagKey};

/// Most tags of an entity (quota).
const MAX_TAGS: usize = 50;

/// The tags of a request, checked.
///
/// # Errors
/// `InvalidInput` for a reserved key, and for keys that differ in case only: they are one condition key.
pub(crate) fn checked(tags: Option<&[Tag]>) -> Result<Vec<(String, String)>> {
    let mut checked: Vec<(String, String)> = Vec::new();
    for tag in tags.unwrap_or_default() {
        if tag.key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err(Error::new(Code::InvalidInput, "The tag key prefix aws: is reserved."));
        }
        if checked.iter().any(|(key, _)| key.eq_ignore_ascii_case(&tag.key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Error::new(Code::InvalidInput, message));
        }
        checked.push((tag.key.to_string(), tag.value.to_string()));
    }
    Ok(checked)
}

/// Adds tags, replacing those of the same key.
///
/// # Errors
/// `LimitExceeded`.
pub(crate) fn add(existing: &mut Vec<(String, String)>, tags: &[(String, String)]) -> Result<()> {
    for (key, value) in tags {
        existing.retain(|(known, _)| !known.eq_ignore_ascii_case(key));
        existing.push((key.clone(), value.clone()));
    }
    if existing.len() > MAX_TAGS {
        let message = format!("Cannot exceed quota for TagsPerResource: {MAX_TAGS}");
        return Err(Error::new(Code::LimitExceeded, message));
    }
    Ok(())
}

/// Takes tags away.
pub(crate) fn remove(existing: &mut Vec<(String, String)>, keys: &[TagKey]) {
    existing.retain(|(known, _)| !keys.iter().any(|key| known.eq_ignore_ascii_case(key)));
}
