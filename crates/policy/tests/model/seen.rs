//! What a run met: agreement means nothing where nothing happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// How often each thing was met, and how often it came out false and true.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    counts: RefCell<BTreeMap<String, [u64; 2]>>,
}

impl Seen {
    /// Notes how something came out; gives it back.
    pub(crate) fn note(&self, what: &str, came_out: bool) -> bool {
        let mut counts = self.counts.borrow_mut();
        match counts.get_mut(what) {
            Some(count) => count[usize::from(came_out)] += 1,
            None => {
                let count = if came_out { [0, 1] } else { [1, 0] };
                counts.insert(what.to_owned(), count);
            }
        }
        came_out
    }

    /// How often it came out false and true.
    pub(crate) fn count(&self, what: &str) -> [u64; 2] {
        self.counts.borrow().get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, [no, yes]) in &*self.counts.borrow() {
            writeln!(out, "{what:<44}{no:>12} no {yes:>12} yes")?;
        }
        Ok(())
    }
}
