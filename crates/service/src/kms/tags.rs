//! Rules of tags.

use claviger_wire::fault::Code;

use crate::error::{Error, Result};
use crate::kms::shapes::{Tag, TagKey};

/// Most tags of one key (quota).
pub(crate) const MAX_TAGS: usize = 50;

/// Checks the tags of a request: characters, reserved prefix, duplicates, number.
///
/// # Errors
/// `TagException` with AWS's texts.
pub(crate) fn check(tags: &[Tag]) -> Result<()> {
    for tag in tags {
        check_key(&tag.key)?;
        if !tag.value.chars().all(allowed) {
            return Err(Error::new(Code::Tag, "Invalid tag"));
        }
    }
    let mut keys: Vec<&str> = tags.iter().map(|tag| &*tag.key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
        return Err(Error::new(Code::Tag, "Duplicate tag keys"));
    }
    if tags.len() > MAX_TAGS {
        return Err(Error::new(Code::Tag, "Too many tags"));
    }
    Ok(())
}

/// Checks one tag key.
///
/// # Errors
/// `TagException`.
pub(crate) fn check_key(key: &TagKey) -> Result<()> {
    if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
        return Err(Error::new(Code::Tag, "Tags beginning with aws: are reserved"));
    }
    if key.chars().all(allowed) { Ok(()) } else { Err(Error::new(Code::Tag, "Invalid tag")) }
}

/// Adds tags, replacing the values of keys that exist.
///
/// # Errors
/// `TagException` when the key would have more than [`MAX_TAGS`].
pub(crate) fn upsert(existing: &mut Vec<(String, String)>, tags: &[Tag]) -> Result<()> {
    for tag in tags {
        match existing.iter_mut().find(|(key, _)| *key == *tag.key) {
            Some((_, value)) => *value = tag.value.to_string(),
            None => existing.push((tag.key.to_string(), tag.value.to_string())),
        }
    }
    if existing.len() > MAX_TAGS { Err(Error::new(Code::Tag, "Too many tags")) } else { Ok(()) }
}

/// Letters, digits, spaces that are no control characters, and `_ . / = + - : @`.
fn allowed(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_./=+-:@".contains(c)
}
