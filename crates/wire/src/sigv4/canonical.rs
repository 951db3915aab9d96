//! The canonical request: the one spelling of a request that both sides hash.
//!
//! Source: "Create a signed AWS API request" (IAM User Guide), for services other than Amazon S3: the path is
//! normalised and encoded once more than it was sent, and the hash of the body is always in.

use std::borrow::Cow;

use aws_lc_rs::digest;
use http::Method;
use http::header::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::presented::Parameters;
use super::refusal::Refusal;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What the canonical request takes beside the parts that are measured, in bytes; a guess that spares reallocation.
const ROOM_PER_HEADER: usize = 64;

/// What a signature covers.
pub(super) struct Canonical<'a> {
    pub(super) method: &'a Method,
    /// As sent, still percent-encoded.
    pub(super) path: &'a str,
    /// Decoded; without the signature.
    pub(super) parameters: &'a Parameters<'a>,
    pub(super) headers: &'a SignedHeaders<'a>,
    pub(super) body_hash: &'a Hash,
}

impl Canonical<'_> {
    /// The hash of the canonical request.
    pub(super) fn hash(&self) -> Hash {
        let headers = self.headers;
        let room = 2 * (self.path.len() + headers.list.len()) + ROOM_PER_HEADER * (headers.fields.len() + 2);
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b'\n');
        write_path(&mut out, self.path);
        out.push(b'\n');
        write_parameters(&mut out, self.parameters);
        out.push(b'\n');
        headers.fields.iter().for_each(|field| write_header(&mut out, field, headers.all));
        out.push(b'\n');
        out.extend_from_slice(headers.list.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(self.body_hash.as_str().as_bytes());
        Hash::of(&out)
    }
}

/// The headers that a signature covers: lower-case names in ascending order, each once, all of them there.
pub(super) struct SignedHeaders<'a> {
    list: &'a str,
    fields: Vec<Field<'a>>,
    all: &'a HeaderMap,
}

struct Field<'a> {
    name: &'a str,
    /// The first value; `None` only while the request's headers are being sought.
    value: Option<&'a HeaderValue>,
    repeated: bool,
}

impl<'a> SignedHeaders<'a> {
    /// Reads a list such as `host;x-amz-date` and finds what it names.
    ///
    /// Refuses a request in which anything that steers it is unsigned or stands twice, or anything signed is absent.
    pub(super) fn find(list: &'a str, headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut fields = parse_list(list)?;
        if fields.binary_search_by(|field| field.name.cmp("host")).is_err() {
            return Err(Refusal::unsigned("host"));
        }
        // One walk over the headers is several times cheaper than a look-up for each name.
        for (name, value) in headers {
            let name = name.as_str();
            let field =
                fields.binary_search_by(|field| field.name.cmp(name)).ok().and_then(|at| fields.get_mut(at));
            match field {
                None if must_be_signed(name) => return Err(Refusal::unsigned(name)),
                None => {}
                Some(field) if field.value.is_none() => field.value = Some(value),
                Some(_) if must_be_signed(name) => return Err(Refusal::repeated(name)),
                Some(field) => field.repeated = true,
            }
        }
        match fields.iter().all(|field| field.value.is_some()) {
            true => Ok(Self { list, fields, all: headers }),
            false => Err(Refusal::mismatch()),
        }
    }
}

fn parse_list(list: &str) -> Result<Vec<Field<'_>>, Refusal> {
    let names = list.split(';').map(|name| Field { name, value: None, repeated: false });
    let fields: Vec<Field<'_>> = names.collect();
    let lower = !list.bytes().any(|byte| byte.is_ascii_uppercase());
    let named = fields.first().is_some_and(|first| !first.name.is_empty());
    // Ascending and not empty at the start, so nowhere empty.
    if lower && named && fields.is_sorted_by(|a, b| a.name < b.name) {
        return Ok(fields);
    }
    // AWS answers a mismatch here; saying what is wrong costs nothing. The text is ours.
    Err(Refusal::Incomplete(
        "'SignedHeaders' must be lower-case header names in ascending order, each once, separated by ';'."
            .to_owned(),
    ))
}

/// Headers that name the operation, the session, the time or the recipient, or say how the body is read.
pub(super) fn must_be_signed(name: &str) -> bool {
    name.starts_with("x-amz-") || name == "host" || name == "content-type"
}

/// A SHA-256 or HMAC-SHA-256 in lower-case hexadecimal.
pub(super) struct Hash([u8; 64]);

impl Hash {
    /// The SHA-256 of some data.
    pub(super) fn of(data: &[u8]) -> Self {
        Self::show(digest::digest(&digest::SHA256, data).as_ref())
    }

    /// Writes down the first 32 bytes of a hash.
    pub(super) fn show(bytes: &[u8]) -> Self {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        let mut out = [b'0'; 64];
        for ([high, low], byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
        Self(out)
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Reads exactly 64 lower-case hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    let mut out = [0; 32];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(out)
}

/// RFC 3986 section 5.2.4 without empty segments, then one more encoding.
fn write_path(out: &mut Vec<u8>, path: &str) {
    if path == "/" {
        return out.push(b'/');
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    for segment in &kept {
        out.push(b'/');
        utf8_percent_encode(segment, RESERVED).for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    }
    let directory = matches!(path.rsplit('/').next(), None | Some("" | "." | ".."));
    if kept.is_empty() || directory {
        out.push(b'/');
    }
}

/// Encoded, then sorted by name and value.
fn write_parameters(out: &mut Vec<u8>, parameters: &Parameters<'_>) {
    let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let signed = parameters.iter().filter(|(name, _)| name != "X-Amz-Signature");
    let mut encoded: Vec<(String, String)> =
        signed.map(|(name, value)| (encode(name), encode(value))).collect();
    encoded.sort_unstable();
    for (index, (name, value)) in encoded.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// `name:value,value\n`.
fn write_header(out: &mut Vec<u8>, field: &Field<'_>, all: &HeaderMap) {
    out.extend_from_slice(field.name.as_bytes());
    out.push(b':');
    if field.repeated {
        for (index, value) in all.get_all(field.name).iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_folded(out, value.as_bytes());
        }
    } else if let Some(value) = field.value {
        write_folded(out, value.as_bytes());
    }
    out.push(b'\n');
}

/// Without white space at the ends, and with one space for each run inside. Tabs count as spaces, as in AWS's own
/// signers for Java, Python, JavaScript and C.
fn write_folded(out: &mut Vec<u8>, value: &[u8]) {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t');
    if !value.iter().any(space) {
        return out.extend_from_slice(value);
    }
    let mut words = value.split(space).filter(|word| !word.is_empty());
    out.extend_from_slice(words.next().unwrap_or_default());
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// A query as names and values: `+` and `%XX` decoded, empty pieces dropped.
pub(super) fn parameters(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes()).collect()
}
