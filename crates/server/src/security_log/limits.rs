//! How much of the security log is of one source: so many lines in a second, and a part of each file.
//!
//! Always on, whatever the quotas of requests: those say who is answered, these whose traces are kept.

use std::collections::HashMap;
use std::net::IpAddr;

use claviger_service::Moment;
use claviger_service::quota::source;
use serde::Serialize;

use super::MAX_FILE;

/// Most lines of one source in a second.
const MAX_LINES: u32 = 20;
/// Most lines of all sources in a second. Bounds the table of a second, too.
const MAX_LINES_OF_ALL: u32 = 500;
/// Most bytes of one source in a file. What the table of a file holds is bounded by the file: each source in it has a line.
const MAX_SHARE: u64 = MAX_FILE / 8;
/// How often a source that has had its part of a file has a line more, in milliseconds: it is seen to go on. Less than
/// half a MiB in a day.
const SLOW_MS: i64 = 60 * 1000;
/// How often it is said how many lines were left out, in milliseconds.
const REPORT_MS: i64 = 60 * 1000;

/// What was written of one source in a file.
#[derive(Debug, Clone, Copy)]
struct Share {
    bytes: u64,
    last: Moment,
}

/// How many lines were left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    /// When the first was.
    #[serde(serialize_with = "super::iso")]
    time: Moment,
    /// When the last was.
    #[serde(serialize_with = "super::iso")]
    until: Moment,
    /// How many.
    left_out: u64,
}

/// What was written, of whom. Sources are addresses, of IPv6 networks of 64 bits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    second: i64,
    lines: HashMap<IpAddr, u32>,
    lines_of_all: u32,
    shares: HashMap<IpAddr, Share>,
    left_out: Option<LeftOut>,
}

impl Limits {
    /// Whether a line of this source may be written now. Counts it if not.
    pub(super) fn admits(&mut self, peer: IpAddr, now: Moment) -> bool {
        let (peer, second) = (source(peer), now.0.div_euclid(1000));
        // Also where the clock was set back.
        if second != self.second {
            self.second = second;
            self.lines.clear();
            self.lines_of_all = 0;
        }
        let has_share = self.shares.get(&peer).is_none_or(|share| {
            share.bytes < MAX_SHARE || !(0..SLOW_MS).contains(&now.0.saturating_sub(share.last.0))
        });
        let few = self.lines.get(&peer).is_none_or(|lines| *lines < MAX_LINES);
        if !(has_share && few && self.lines_of_all < MAX_LINES_OF_ALL) {
            let left_out = self.left_out.get_or_insert(LeftOut { time: now, until: now, left_out: 0 });
            left_out.until = now;
            left_out.left_out = left_out.left_out.saturating_add(1);
            return false;
        }
        self.lines_of_all = self.lines_of_all.saturating_add(1);
        let lines = self.lines.entry(peer).or_default();
        *lines = lines.saturating_add(1);
        true
    }

    /// A line of this source was written.
    pub(super) fn wrote(&mut self, peer: IpAddr, length: u64, now: Moment) {
        let share = self.shares.entry(source(peer)).or_insert(Share { bytes: 0, last: now });
        *share = Share { bytes: share.bytes.saturating_add(length), last: now };
    }

    /// A new file was begun.
    pub(super) fn begin_file(&mut self) {
        self.shares.clear();
    }

    /// How many lines were left out, where it is time to say so.
    pub(super) fn left_out(&mut self, now: Moment) -> Option<LeftOut> {
        self.left_out.take_if(|it| !(0..REPORT_MS).contains(&now.0.saturating_sub(it.time.0)))
    }

    /// How many lines were left out and not told of.
    pub(super) fn rest(&mut self) -> Option<LeftOut> {
        self.left_out.take()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn admitted(limits: &mut Limits, peers: impl IntoIterator<Item = IpAddr>, now_ms: i64) -> usize {
        peers.into_iter().filter(|peer| limits.admits(*peer, Moment(now_ms))).count()
    }

    #[test]
    fn a_source_has_few_lines_in_a_second_and_all_together_have_more() {
        let mut limits = Limits::default();
        let one = std::iter::repeat_n(IpAddr::from([192, 0, 2, 1]), 1000);
        assert_eq!(admitted(&mut limits, one.clone(), 1000), 20);
        assert_eq!(admitted(&mut limits, [IpAddr::from([192, 0, 2, 2])], 1999), 1, "another has its own");
        assert_eq!(admitted(&mut limits, one.clone(), 1999), 0);
        assert_eq!(admitted(&mut limits, one.clone(), 2000), 20);
        assert_eq!(admitted(&mut limits, one, 1000), 20, "the clock was set back");
        let many = |bits: u32| (0..10_000_u128).map(move |it| Ipv6Addr::from_bits(it << bits).into());
        assert_eq!(admitted(&mut limits, many(0), 5000), 20, "one network of 64 bits");
        assert_eq!(admitted(&mut limits, many(64), 6000), 500);
        assert_eq!(limits.lines.len(), 500);
    }

    #[test]
    fn what_is_left_out_is_told_of_once_a_minute() {
        let mut limits = Limits::default();
        let flood = std::iter::repeat_n(IpAddr::from([192, 0, 2, 1]), 100);
        assert_eq!(admitted(&mut limits, flood.clone(), 1500), 20);
        assert_eq!(limits.left_out(Moment(2000)), None);
        assert_eq!(admitted(&mut limits, flood, 2500), 20);
        assert_eq!(limits.left_out(Moment(61_499)), None);
        let expected = LeftOut { time: Moment(1500), until: Moment(2500), left_out: 160 };
        assert_eq!(limits.left_out(Moment(61_500)), Some(expected));
        assert_eq!(limits.left_out(Moment(99_999_999)), None);
        assert_eq!(limits.rest(), None);
    }

    #[test]
    fn a_source_that_had_its_part_of_a_file_has_a_line_a_minute() {
        let (mut limits, peer) = (Limits::default(), IpAddr::from([192, 0, 2, 1]));
        limits.wrote(peer, MAX_SHARE - 1, Moment(0));
        assert_eq!(admitted(&mut limits, [peer], 0), 1);
        limits.wrote(peer, 1, Moment(0));
        assert_eq!(admitted(&mut limits, [peer], 59_999), 0);
        assert_eq!(admitted(&mut limits, [peer], 60_000), 1);
        limits.begin_file();
        assert_eq!(admitted(&mut limits, [peer], 59_999), 1);
    }
}
