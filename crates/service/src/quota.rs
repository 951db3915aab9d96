//! Quotas of an account in a Region: how fast it may call, and how much it may have (AWS KMS Developer Guide, "Quotas").
//!
//! Requests are counted by each host for itself, in memory. Nothing is counted while request quotas are off.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use claviger_wire::arn;
use claviger_wire::fault::Code;
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Bounded;

use crate::error::Error;
use crate::moment::Stopwatch;

pub(crate) mod bucket;
mod rate;

pub(crate) use bucket::{Bucket, Rule};
use rate::Cell;
pub use rate::Rate;

/// Most KMS keys of an account in a Region.
const MAX_KEYS: u64 = 100_000;
/// Most aliases of one key.
const MAX_ALIASES: usize = 50;
/// Most aliases that may be allowed for one key: making one looks at all that there are.
pub(crate) const ALIASES_LIMIT: usize = 1000;
/// Most accounts and Regions whose requests are counted at a time, 1.5 KiB each. Those that were not heard of for longest
/// are forgotten first; a bucket that was not used for its second is full, with or without being remembered.
const MAX_PLACES: usize = 16_384;

/// Most source addresses whose failures are counted at a time.
const MAX_SOURCES: usize = 65_536;

/// What differs from the defaults, for every account or for one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allowance {
    keys: Option<u64>,
    aliases_per_key: Option<usize>,
    rates: Vec<(Bucket, Rate)>,
}

impl Allowance {
    /// An allowance of so many keys in a Region, so many aliases of a key, and so many requests a second for buckets of
    /// these names; the defaults for what is not given.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn new<'n>(
        keys: Option<u64>,
        aliases_per_key: Option<usize>,
        rates: impl IntoIterator<Item = (&'n str, f64)>,
    ) -> Result<Self, String> {
        if aliases_per_key.is_some_and(|aliases| aliases > ALIASES_LIMIT) {
            return Err(format!("`aliases_per_key` must be at most {ALIASES_LIMIT}"));
        }
        let rate = |(name, per_second): (&str, f64)| {
            let bucket =
                Bucket::named(name).ok_or_else(|| format!("`{name}` is not a bucket of requests"))?;
            let rate = Rate::per_second(per_second);
            let rate = rate.ok_or_else(|| {
                format!(
                    "the rate of `{name}` must be between {} and {} requests a second",
                    Rate::MIN,
                    Rate::MAX
                )
            })?;
            Ok::<_, String>((bucket, rate))
        };
        let rates: Vec<_> = rates.into_iter().map(rate).collect::<Result<_, _>>()?;
        Ok(Self { keys, aliases_per_key, rates })
    }

    fn rate(&self, bucket: Bucket) -> Option<Rate> {
        self.rates.iter().find(|(known, _)| *known == bucket).map(|(_, rate)| *rate)
    }
}

/// What an installation allows its accounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allowances {
    /// Every account.
    pub usual: Allowance,
    /// Single accounts, by their id; what they do not say is as usual.
    pub accounts: HashMap<String, Allowance>,
}

impl Allowances {
    /// Checks the ids of accounts.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn check(&self) -> Result<(), String> {
        match self.accounts.keys().find(|account| !arn::is_account(account)) {
            Some(wrong) => Err(format!("`{wrong}` is not an account: twelve digits")),
            None => Ok(()),
        }
    }

    /// What one account is allowed, the most particular first.
    fn of(&self, account: &str) -> impl Iterator<Item = &Allowance> {
        self.accounts.get(account).into_iter().chain([&self.usual])
    }

    fn rate(&self, account: &str, region: &str, bucket: Bucket) -> Rate {
        self.of(account).find_map(|it| it.rate(bucket)).unwrap_or_else(|| bucket.usual(region))
    }
}

/// An account in a Region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    account: String,
    region: String,
}

/// A [`Place`] that borrows. Hashes the same: fields in the same order.
#[derive(Hash)]
struct PlaceRef<'a> {
    account: &'a str,
    region: &'a str,
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.account == place.account && self.region == place.region
    }
}

/// The buckets of an account in a Region.
type Cells = Arc<[(Rate, Cell)]>;

/// Counts requests.
struct Requests {
    stopwatch: Arc<dyn Stopwatch>,
    places: Bounded<Place, Cells>,
    sources: Bounded<IpAddr, Arc<Cell>>,
}

impl Requests {
    fn new(stopwatch: Arc<dyn Stopwatch>) -> Self {
        Self { stopwatch, places: Bounded::new(MAX_PLACES), sources: Bounded::new(MAX_SOURCES) }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.stopwatch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Who is behind an address: of IPv6, whoever has the network of 64 bits, in which addresses cost nothing (RFC 4291).
pub fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The error of a request that is one too many, in the words of KMS or of the query protocol.
pub(crate) fn exceeded(is_kms: bool) -> Error {
    let of_kms = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.";
    Error::new(Code::Throttling, if is_kms { of_kms } else { "Rate exceeded" })
}

/// The quotas of an installation. The default counts no requests, and keys and aliases as AWS does.
#[derive(Default)]
pub struct Quotas {
    allowances: Allowances,
    requests: Option<Requests>,
}

impl Quotas {
    /// Quotas of keys and aliases alone.
    pub fn of_resources(allowances: Allowances) -> Self {
        Self { allowances, requests: None }
    }

    /// Quotas of requests too.
    pub fn of_requests(allowances: Allowances, stopwatch: Arc<dyn Stopwatch>) -> Self {
        Self { allowances, requests: Some(Requests::new(stopwatch)) }
    }

    /// Most KMS keys of an account in a Region.
    pub(crate) fn max_keys(&self, account: &str) -> u64 {
        self.allowances.of(account).find_map(|it| it.keys).unwrap_or(MAX_KEYS)
    }

    /// Most aliases of a key of an account.
    pub(crate) fn max_aliases(&self, account: &str) -> usize {
        self.allowances.of(account).find_map(|it| it.aliases_per_key).unwrap_or(MAX_ALIASES)
    }

    /// Whether so many requests of an account in a Region are let through together. Counts them if they are.
    pub(crate) fn admits(&self, account: &str, region: &str, bucket: Bucket, count: u64) -> bool {
        let Some(requests) = &self.requests else { return true };
        let cells = match requests.places.get(&PlaceRef { account, region }) {
            Some(cells) => cells,
            None => self.remember(requests, account, region),
        };
        let now_ns = requests.now_ns();
        cells.get(bucket.place()).is_none_or(|(rate, cell)| cell.admits(*rate, count, now_ns))
    }

    /// Whether one more request that authenticates nobody, or that no role lets in by its token, is taken from an address.
    /// What is signed as it should be is never asked about, so that nobody shuts others out who share the address.
    pub(crate) fn admits_stranger(&self, peer: IpAddr) -> bool {
        let Some(requests) = &self.requests else { return true };
        let rate = self.allowances.rate("", "", bucket::strangers());
        let full = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(cell) = requests.sources.get_or_insert_with(&source(peer), full);
        cell.admits(rate, 1, requests.now_ns())
    }

    /// Full buckets. Whoever else asks for the same meanwhile gets the same.
    fn remember(&self, requests: &Requests, account: &str, region: &str) -> Cells {
        let rates = bucket::all().map(|bucket| self.allowances.rate(account, region, bucket));
        let full = || rates.map(|rate| (rate, Cell::default())).collect::<Cells>();
        let place = Place { account: account.to_owned(), region: region.to_owned() };
        let Ok(cells) =
            requests.places.get_or_insert_with(&place, || Ok::<_, std::convert::Infallible>(full()));
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A stopwatch that stands still.
    struct Still;

    impl Stopwatch for Still {
        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn allowance(rates: &[(&str, f64)]) -> Allowance {
        Allowance::new(None, None, rates.iter().copied()).unwrap()
    }

    #[test]
    fn the_most_particular_allowance_counts() {
        let one = Allowance::new(Some(7), None, [("CreateKey", 2.0)]).unwrap();
        let usual = Allowance::new(Some(9), Some(3), [("CreateKey", 1.0), ("DescribeKey", 3.0)]).unwrap();
        let accounts = HashMap::from([("111122223333".to_owned(), one)]);
        let quotas = Quotas::of_requests(Allowances { usual, accounts }, Arc::new(Still));
        assert_eq!((quotas.max_keys("111122223333"), quotas.max_aliases("111122223333")), (7, 3));
        assert_eq!((quotas.max_keys("444455556666"), quotas.max_aliases("444455556666")), (9, 3));
        let check = |account: &str, name: &str, at_once: usize| {
            let bucket = Bucket::named(name).unwrap();
            let admitted = (0..20).filter(|_| quotas.admits(account, "eu-west-1", bucket, 1)).count();
            assert_eq!(admitted, at_once, "{name} of {account}");
        };
        check("111122223333", "CreateKey", 2);
        check("111122223333", "DescribeKey", 3);
        check("444455556666", "CreateKey", 1);
        check("444455556666", "DescribeKey", 3);
        check("444455556666", "TagResource", 10);
    }

    #[test]
    fn accounts_and_regions_are_counted_apart() {
        let usual = allowance(&[("CreateKey", 1.0)]);
        let quotas = Quotas::of_requests(Allowances { usual, accounts: HashMap::new() }, Arc::new(Still));
        let bucket = Bucket::named("CreateKey").unwrap();
        for (account, region) in [("1", "a"), ("1", "b"), ("2", "a")] {
            assert!(quotas.admits(account, region, bucket, 1));
            assert!(!quotas.admits(account, region, bucket, 1));
        }
    }

    #[test]
    fn nothing_is_counted_while_requests_are_off() {
        let quotas = Quotas::of_resources(Allowances::default());
        let bucket = Bucket::named("GetParametersForImport").unwrap();
        assert!((0..1000).all(|_| quotas.admits("1", "a", bucket, 1)));
        assert_eq!((quotas.max_keys("1"), quotas.max_aliases("1")), (100_000, 50));
    }

    #[test]
    fn addresses_are_counted_by_who_has_them() {
        let check = |peer: &str, expected: &str| {
            assert_eq!(source(peer.parse().unwrap()).to_string(), expected);
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        let quotas = Quotas::of_requests(Allowances::default(), Arc::new(Still));
        let admitted = |peer: &str| (0..50).filter(|_| quotas.admits_stranger(peer.parse().unwrap())).count();
        assert_eq!((admitted("192.0.2.7"), admitted("192.0.2.8")), (10, 10));
        assert_eq!((admitted("2001:db8::1"), admitted("2001:db8::2")), (10, 0));
    }

    #[test]
    fn memory_is_bounded() {
        let quotas = Quotas::of_requests(Allowances::default(), Arc::new(Still));
        let bucket = Bucket::named("CreateKey").unwrap();
        for account in 0..MAX_PLACES + 1000 {
            quotas.admits(&account.to_string(), "a", bucket, 1);
        }
        for address in 0..MAX_SOURCES + 1000 {
            quotas.admits_stranger(std::net::Ipv4Addr::from_bits(u32::try_from(address).unwrap()).into());
        }
        let requests = quotas.requests.unwrap();
        assert!(requests.places.len() <= MAX_PLACES && requests.sources.len() <= MAX_SOURCES);
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        let check = |outcome: Result<Allowance, String>, expected: &str| {
            let error = outcome.unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(Allowance::new(None, None, [("CreateKeys", 1.0)]), "`CreateKeys` is not a bucket");
        check(Allowance::new(None, None, [("CreateKey", 0.0)]), "between 0.001 and 1000000");
        check(Allowance::new(None, Some(1001), []), "at most 1000");
        let accounts = HashMap::from([("11112222333".to_owned(), Allowance::default())]);
        let wrong = Allowances { accounts, ..Allowances::default() }.check();
        assert_eq!(wrong, Err("`11112222333` is not an account: twelve digits".to_owned()));
    }
}
