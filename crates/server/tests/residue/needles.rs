//! What is searched for, in every shape in which it could have been left, and the search.

use std::collections::BTreeMap;

/// Shortest pattern, in bytes; the search looks at the first two of each.
const MIN_LEN: usize = 12;

/// Patterns, each with the name of what it would give away.
pub(crate) struct Needles {
    patterns: Vec<(String, Vec<u8>)>,
    /// Which patterns begin with these two bytes.
    by_start: BTreeMap<[u8; 2], Vec<usize>>,
    starts: Box<[bool; 1 << 16]>,
}

/// How often each thing was found.
pub(crate) type Hits = BTreeMap<String, u64>;

impl Needles {
    /// Searches for these secrets.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = (&'s str, &'s [u8])>) -> Self {
        let mut needles = Self {
            patterns: Vec::new(),
            by_start: BTreeMap::new(),
            starts: vec![false; 1 << 16].try_into().unwrap(),
        };
        for (name, secret) in secrets {
            shapes(secret)
                .into_iter()
                .for_each(|(shape, pattern)| needles.add(format!("{name} {shape}"), pattern));
        }
        needles
    }

    fn add(&mut self, name: String, pattern: Vec<u8>) {
        assert!(pattern.len() >= MIN_LEN, "{name} is too short to be told from chance");
        let start = [pattern[0], pattern[1]];
        self.starts[usize::from(u16::from_le_bytes(start))] = true;
        self.by_start.entry(start).or_default().push(self.patterns.len());
        self.patterns.push((name, pattern));
    }

    /// Length of the longest pattern in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.patterns.iter().map(|(_, pattern)| pattern.len()).max().unwrap()
    }

    /// Adds to `hits` what is found in a haystack.
    pub(crate) fn search(&self, haystack: &[u8], hits: &mut Hits) {
        for (at, start) in haystack.windows(2).enumerate() {
            let start = [start[0], start[1]];
            if !self.starts[usize::from(u16::from_le_bytes(start))] {
                continue;
            }
            for pattern in &self.by_start[&start] {
                let (name, pattern) = &self.patterns[*pattern];
                if haystack[at..].starts_with(pattern) {
                    *hits.entry(name.clone()).or_default() += 1;
                }
            }
        }
    }
}

/// A secret as it is, half of it, and as text. Base64 is looked for at each of the three places that a secret can have
/// inside something longer.
fn shapes(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, second) = secret.split_at(secret.len() / 2);
    let mut shapes = vec![
        ("first half".to_owned(), first.to_vec()),
        ("second half".to_owned(), second.to_vec()),
        ("HEX".to_owned(), hex.to_uppercase().into_bytes()),
        ("hex".to_owned(), hex.into_bytes()),
    ];
    for skipped in 0..3 {
        let rest = &secret[skipped..];
        let whole = &rest[..rest.len() - rest.len() % 3];
        let standard = base64_simd::STANDARD.encode_to_string(whole).into_bytes();
        let url = base64_simd::URL_SAFE_NO_PAD.encode_to_string(whole).into_bytes();
        if url != standard {
            shapes.push((format!("base64url {skipped}"), url));
        }
        shapes.push((format!("base64 {skipped}"), standard));
    }
    shapes
}

/// The search finds a secret in each shape, wherever it begins, and nothing else.
#[test]
fn every_shape_is_found_at_every_place() {
    let secret: [u8; 32] = std::array::from_fn(|place| 0xf0 ^ u8::try_from(place * 7).unwrap());
    let needles = Needles::new([("it", secret.as_slice())]);
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    for before in 0..6 {
        let embedded = [&vec![0x55; before][..], &secret, &[0x55; 5]].concat();
        let texts = [
            embedded.clone(),
            base64_simd::STANDARD.encode_to_string(&embedded).into_bytes(),
            base64_simd::URL_SAFE_NO_PAD.encode_to_string(&embedded).into_bytes(),
            format!("{}{hex}", "x".repeat(before)).into_bytes(),
            hex.to_uppercase().into_bytes(),
            secret[..16].to_vec(),
            secret[16..].to_vec(),
        ];
        for text in texts {
            let mut hits = Hits::new();
            needles.search(&text, &mut hits);
            assert!(!hits.is_empty(), "{}", text.escape_ascii());
        }
    }
    for (text, name) in [(hex.clone(), "it hex"), (hex.to_uppercase(), "it HEX")] {
        let mut hits = Hits::new();
        needles.search(text.as_bytes(), &mut hits);
        assert_eq!(hits, Hits::from([(name.to_owned(), 1)]));
    }
    let mut hits = Hits::new();
    needles.search(&vec![0x55; 10_000], &mut hits);
    needles.search(&secret[1..16], &mut hits);
    assert_eq!(hits, Hits::new());
}
