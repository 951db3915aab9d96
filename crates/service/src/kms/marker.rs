//! Pagination markers: where a list goes on, for this caller, this list and this installation only.

use aws_lc_rs::hmac;
use claviger_wire::fault::Code;

use crate::error::{Error, Result};
use crate::kms::shapes::{Limit, Marker};

/// Length of the authentication tag in bytes. HMAC-SHA-256 truncated to 128 bits (NIST SP 800-107).
const TAG_LEN: usize = 16;

/// Makes and reads markers. The key is derived by the HSM, the same at every start.
pub(crate) struct Markers(hmac::Key);

/// What a marker is bound to. A marker of another caller, operation or filter is not accepted.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) operation: &'a str,
    pub(crate) principal: &'a str,
    pub(crate) region: &'a str,
    /// What the list is filtered by.
    pub(crate) filter: &'a str,
}

impl Markers {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The marker that goes on after `last`.
    pub(crate) fn make(&self, scope: Scope<'_>, last: &str) -> String {
        let tag = self.tag(scope, last);
        let bytes = [tag.as_ref().get(..TAG_LEN).unwrap_or_default(), last.as_bytes()].concat();
        base64_simd::STANDARD.encode_to_string(&bytes)
    }

    /// Where to go on, or `None` at the start of the list.
    ///
    /// # Errors
    /// `InvalidMarkerException` for everything that [`Markers::make`] did not make for this scope.
    pub(crate) fn read(&self, scope: Scope<'_>, marker: Option<&Marker>) -> Result<Option<String>> {
        let Some(marker) = marker else { return Ok(None) };
        let opened = self.resume(scope, marker);
        let message = || format!("Invalid Marker passed in {} operation.", scope.operation);
        opened.map(Some).ok_or_else(|| Error::new(Code::InvalidMarker, message()))
    }

    /// Where a marker goes on; `None` for everything that [`Markers::make`] did not make for this scope.
    pub(crate) fn resume(&self, scope: Scope<'_>, marker: &str) -> Option<String> {
        let bytes = base64_simd::STANDARD.decode_to_vec(marker.as_bytes()).ok()?;
        let (tag, last) = bytes.split_at_checked(TAG_LEN)?;
        let last = String::from_utf8(last.to_vec()).ok()?;
        let expected = self.tag(scope, &last);
        let expected = expected.as_ref().get(..TAG_LEN)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, expected).ok().map(|()| last)
    }

    fn tag(&self, scope: Scope<'_>, last: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [scope.operation, scope.principal, scope.region, scope.filter, last] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

/// How many entries a page has: what was asked, at most the operation's maximum.
pub(crate) fn page_size(limit: Option<Limit>, default: u16, maximum: u16) -> usize {
    usize::from(limit.map_or(default, |limit| limit.0).min(maximum))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope<'static> = Scope {
        operation: "ListKeys",
        principal: "arn:aws:iam::111122223333:root",
        region: "us-east-1",
        filter: "",
    };

    fn check_refused(markers: &Markers, scope: Scope<'_>, marker: &str) {
        let error = markers.read(scope, Some(&Marker(marker.to_owned()))).unwrap_err();
        assert_eq!(error.code, Code::InvalidMarker, "{marker}");
    }

    /// Attack C18: markers that are forged, altered, or given to someone else.
    #[test]
    fn c18_only_own_markers_are_read() {
        let markers = Markers::new(&[7; 32]);
        let marker = markers.make(SCOPE, "key-1");
        assert_eq!(markers.read(SCOPE, Some(&Marker(marker.clone()))).unwrap().as_deref(), Some("key-1"));
        assert_eq!(markers.read(SCOPE, None).unwrap(), None);
        for scope in [
            Scope { operation: "ListAliases", ..SCOPE },
            Scope { principal: "arn:aws:iam::444455556666:root", ..SCOPE },
            Scope { region: "us-east-2", ..SCOPE },
            Scope { filter: "x", ..SCOPE },
        ] {
            check_refused(&markers, scope, &marker);
        }
        check_refused(&Markers::new(&[8; 32]), SCOPE, &marker);
        for forged in
            ["", "AAAA", "x", "eyJhIjoiYiJ9", marker.split_at(marker.len() - 4).0, &format!("{marker}AAAA")]
        {
            check_refused(&markers, SCOPE, forged);
        }
        let bytes = base64_simd::STANDARD.decode_to_vec(marker.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_refused(&markers, SCOPE, &base64_simd::STANDARD.encode_to_string(&flipped));
        }
    }
}
