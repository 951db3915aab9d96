//! Associated data of the encryption context.

/// Encodes an encryption context as associated data.
///
/// Layout: number of pairs (u32, big endian), then for each pair, sorted by the bytes of its key: length of the key
/// (u32), key, length of the value (u32), value. The encoding is injective: the lengths say where each part ends, and
/// keys are distinct, so different contexts never share an encoding and the order of the caller's pairs has no effect.
/// An empty context encodes as no pairs, which is also what an absent one means.
pub fn encode_context<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut sorted: Vec<(&str, &str)> = pairs.into_iter().collect();
    sorted.sort_unstable();
    let size: usize = sorted.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    let mut encoded = Vec::with_capacity(size + 4);
    push_length(&mut encoded, sorted.len());
    for (key, value) in sorted {
        push_length(&mut encoded, key.len());
        encoded.extend_from_slice(key.as_bytes());
        push_length(&mut encoded, value.len());
        encoded.extend_from_slice(value.as_bytes());
    }
    encoded
}

/// Lengths are far below 4 GiB here (a frame is at most 64 KiB); saturating keeps the function total.
fn push_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::encode_context;
    use proptest::prelude::*;

    fn encode(context: &BTreeMap<String, String>) -> Vec<u8> {
        encode_context(context.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    #[test]
    fn order_has_no_effect() {
        assert_eq!(encode_context([("a", "1"), ("b", "2")]), encode_context([("b", "2"), ("a", "1")]));
    }

    #[test]
    fn look_alikes_differ() {
        let contexts: &[&[(&str, &str)]] = &[
            &[],
            &[("a", "b,c")],
            &[("a", "b"), ("c", "")],
            &[("ab", "")],
            &[("a", "b")],
            &[("", "ab")],
            &[("a", "b"), ("", "")],
        ];
        for (i, left) in contexts.iter().enumerate() {
            for right in contexts.iter().skip(i + 1) {
                assert_ne!(encode_context(left.iter().copied()), encode_context(right.iter().copied()));
            }
        }
    }

    proptest! {
        /// Attack D1: no two contexts may share their associated data.
        #[test]
        fn distinct_contexts_encode_differently(
            left in proptest::collection::btree_map("[a-c,]{0,3}", "[a-c,]{0,3}", 0..4),
            right in proptest::collection::btree_map("[a-c,]{0,3}", "[a-c,]{0,3}", 0..4),
        ) {
            prop_assert_eq!(left == right, encode(&left) == encode(&right));
        }
    }
}
