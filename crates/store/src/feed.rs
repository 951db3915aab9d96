//! The newest changes, in memory: what [`Store::changes`](crate::Store::changes) answers from.

use std::collections::VecDeque;

use crate::{Changes, Revision};

/// Most names kept.
const MAX_NAMES: usize = 65_536;
/// Most bytes of names kept.
const MAX_NAME_BYTES: usize = 8 * 1024 * 1024;

/// A bounded queue of the names that were written, oldest first.
#[derive(Debug)]
pub(crate) struct Feed {
    names: VecDeque<(Revision, Vec<u8>)>,
    name_bytes: usize,
    /// Every change after this revision is in `names`.
    floor: Revision,
    /// The newest revision published.
    newest: Revision,
    /// The newest revision that a reader may have seen: `newest`, or that of the batch being made durable.
    staged: Revision,
}

impl Feed {
    /// A feed that knows nothing of what happened up to `revision`.
    pub(crate) fn starting_at(revision: Revision) -> Self {
        Self { names: VecDeque::new(), name_bytes: 0, floor: revision, newest: revision, staged: revision }
    }

    /// Says that readers may soon see `revision`, before they can.
    pub(crate) fn stage(&mut self, revision: Revision) {
        self.staged = revision;
    }

    /// Takes back [`Feed::stage`]: the batch came to nothing.
    pub(crate) fn unstage(&mut self) {
        self.staged = self.newest;
    }

    /// Adds what one commit wrote.
    pub(crate) fn publish(&mut self, revision: Revision, names: impl IntoIterator<Item = Vec<u8>>) {
        for name in names {
            self.name_bytes = self.name_bytes.saturating_add(name.len());
            self.names.push_back((revision, name));
        }
        self.newest = revision;
        self.staged = self.staged.max(revision);
        while self.names.len() > MAX_NAMES || self.name_bytes > MAX_NAME_BYTES {
            self.forget_oldest();
        }
    }

    /// The newest revision published.
    pub(crate) fn newest(&self) -> Revision {
        self.newest
    }

    /// What was written after `from`.
    pub(crate) fn since(&self, from: Revision) -> Changes {
        if from < self.floor || from > self.staged {
            return Changes::Forgotten { revision: self.newest };
        }
        // A reader can be ahead of the feed for the moment between a batch becoming visible and its publication; then
        // nothing was written after what it saw.
        let start = self.names.partition_point(|(revision, _)| *revision <= from);
        let names = self.names.range(start..).map(|(_, name)| name.clone()).collect();
        Changes::Names { revision: self.newest.max(from), names }
    }

    /// Drops all of the oldest commit: half of one would be a gap.
    fn forget_oldest(&mut self) {
        let Some((oldest, _)) = self.names.front() else { return };
        self.floor = *oldest;
        while let Some((_, name)) = self.names.pop_front_if(|(revision, _)| *revision == self.floor) {
            self.name_bytes = self.name_bytes.saturating_sub(name.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(changes: Changes) -> (Revision, Vec<Vec<u8>>) {
        match changes {
            Changes::Names { revision, names } => (revision, names),
            Changes::Forgotten { revision } => panic!("forgotten at {revision}"),
        }
    }

    #[test]
    fn gives_what_came_after() {
        let mut feed = Feed::starting_at(3);
        feed.publish(4, [b"a".to_vec(), b"b".to_vec()]);
        feed.publish(5, [b"a".to_vec()]);
        assert_eq!(names(feed.since(3)), (5, vec![b"a".to_vec(), b"b".to_vec(), b"a".to_vec()]));
        assert_eq!(names(feed.since(4)), (5, vec![b"a".to_vec()]));
        assert_eq!(names(feed.since(5)), (5, vec![]));
        for unknown in [0, 2, 6] {
            assert_eq!(feed.since(unknown), Changes::Forgotten { revision: 5 });
        }
    }

    #[test]
    fn a_reader_ahead_of_publication_misses_nothing() {
        let mut feed = Feed::starting_at(3);
        feed.stage(5);
        assert_eq!(names(feed.since(5)), (5, vec![]));
        feed.unstage();
        assert_eq!(feed.since(5), Changes::Forgotten { revision: 3 });
    }

    #[test]
    fn forgets_whole_commits() {
        let mut feed = Feed::starting_at(0);
        let full = u64::try_from(MAX_NAMES / 2).unwrap();
        for revision in 1..=full {
            feed.publish(revision, [b"a".to_vec(), b"b".to_vec()]);
        }
        assert_eq!(names(feed.since(0)).1.len(), MAX_NAMES);
        feed.publish(full + 1, [b"c".to_vec()]);
        assert!(matches!(feed.since(0), Changes::Forgotten { .. }));
        assert_eq!(names(feed.since(1)).1.len(), MAX_NAMES - 1);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut feed = Feed::starting_at(0);
        for revision in 1..=20_000 {
            feed.publish(revision, [vec![0; 1024]]);
        }
        assert!(feed.name_bytes <= MAX_NAME_BYTES);
        assert!(matches!(feed.since(1), Changes::Forgotten { .. }));
    }
}
