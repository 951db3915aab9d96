//! Writes one JSON object, fast: for the records that every request leaves behind.
//!
//! A general serializer escapes every key anew and asks every value what it is; on the hot path that costs more than
//! the decision about the request. Here keys are literals, and a value that needs no escaping is copied.

/// A JSON object being written. Keys must be literals without characters that JSON escapes.
#[derive(Debug)]
pub struct Line {
    out: Vec<u8>,
    /// Where its first member is, or will be.
    first: usize,
}

impl Line {
    /// An empty object with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::behind(Vec::with_capacity(bytes))
    }

    /// An empty object behind what was written before, so that it is not copied there.
    pub fn behind(mut out: Vec<u8>) -> Self {
        out.push(b'{');
        Self { first: out.len(), out }
    }

    /// A member with a string.
    #[inline(always)]
    pub fn text(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key);
        push_string(&mut self.out, value);
        self
    }

    /// A member with a string, where there is one.
    #[inline(always)]
    pub fn optional(&mut self, key: &'static str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// A member with a number.
    #[inline(always)]
    pub fn number(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.json(key, itoa::Buffer::new().format(value))
    }

    /// A member with a truth value.
    #[inline(always)]
    pub fn flag(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.json(key, if value { "true" } else { "false" })
    }

    /// A member whose value is JSON already.
    #[inline(always)]
    pub fn json(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    /// A member with an object.
    pub fn object(&mut self, key: &'static str, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.key(key);
        self.nested(write);
        self
    }

    /// A member with a list of objects, one for each item.
    pub fn objects<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.key(key);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.nested(|object| write(object, item));
        }
        self.out.push(b']');
        self
    }

    /// The object, closed, behind what was there before it.
    pub fn finish(self) -> Vec<u8> {
        let mut out = self.out;
        out.push(b'}');
        out
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self)) {
        let mut object = Self::behind(std::mem::take(&mut self.out));
        write(&mut object);
        self.out = object.finish();
    }

    /// Always inlined, as all that calls it is: of a key that is known, a few stores are left.
    #[inline(always)]
    fn key(&mut self, key: &'static str) {
        let comma: &[u8] = if self.out.len() > self.first { b",\"" } else { b"\"" };
        self.out.extend_from_slice(comma);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn push_string(out: &mut Vec<u8>, value: &str) {
    if !needs_escape(value.as_bytes()) {
        out.reserve(value.len() + 2);
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else if let Ok(escaped) = serde_json::to_vec(value) {
        // Strings always serialize.
        out.extend_from_slice(&escaped);
    }
}

/// Whether JSON escapes any of the bytes. Eight of them are looked at at once.
fn needs_escape(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of the lowest byte below `limit`, which is at most 128, is set; that of bytes before it is not.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let marks = |word| below(word, 0x20) | is(word, b'"') | is(word, b'\\');
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [b' '; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    words.iter().fold(marks(u64::from_le_bytes(last)), |any, word| any | marks(u64::from_le_bytes(*word)))
        != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(value: &str) -> serde_json::Value {
        let mut line = Line::with_capacity(16);
        line.text("text", value).optional("none", None).optional("some", Some("x"));
        line.number("number", u64::MAX).flag("flag", true).json("json", "[1,null]");
        serde_json::from_slice(&line.finish()).unwrap()
    }

    #[test]
    fn every_kind_of_member_is_json() {
        let expected = r#"{"text":"a","some":"x","number":18446744073709551615,"flag":true,"json":[1,null]}"#;
        assert_eq!(line("a"), serde_json::from_str::<serde_json::Value>(expected).unwrap());
        assert_eq!(Line::with_capacity(0).finish(), b"{}");
    }

    #[test]
    fn objects_stand_in_objects_and_in_lists() {
        let mut line = Line::behind(b"before ".to_vec());
        line.object("none", |_| ()).object("one", |one| {
            one.flag("a", true).object("b", |_| ());
        });
        line.objects("empty", [] as [u64; 0], |_, _| ());
        line.objects("list", [1, 2], |object, item| {
            object.number("item", item);
        })
        .flag("last", true);
        let expected = r#"before {"none":{},"one":{"a":true,"b":{}},"empty":[],"list":[{"item":1},{"item":2}],"last":true}"#;
        assert_eq!(String::from_utf8(line.finish()).unwrap(), expected);
    }

    /// Attack I5: values that would break out of their string, or out of their line.
    #[test]
    fn i05_values_stay_one_string_on_one_line() {
        for value in ["\"}", "a\nb", "\r\n", "\u{1b}[31m", "\0", "\u{2028}", "\\", "\u{7f}", "{\"a\":1}"] {
            assert_eq!(line(value)["text"], value);
            let mut one = Line::with_capacity(16);
            one.text("text", value);
            assert!(!one.finish().contains(&b'\n'));
        }
    }

    /// Each byte at each place, alone and beside others.
    #[test]
    fn every_byte_is_looked_at() {
        for byte in 0..=255 {
            let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
            for (length, at) in (1..20).flat_map(|length| (0..length).map(move |at| (length, at))) {
                for around in [b'a', 0x20, 0x7f, 0x80, 0xff] {
                    let mut text = vec![around; length];
                    text[at] = byte;
                    assert_eq!(needs_escape(&text), expected, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_string_comes_back(value in any::<String>()) {
            prop_assert_eq!(&line(&value)["text"], &serde_json::Value::String(value.clone()));
        }
    }
}
