//! Records of grants, and the indexes over them.
//!
//! A grant stands under its key, whom it is for, and what it gives, so that a decision reads what is for the caller and
//! nothing else, however many grants the key has. The other ways to a grant are records that say where it stands.

use minicbor::{Decode, Encode};

use super::iam::BoundRecord;
use super::join;

/// Account, Region and id of a key.
pub(crate) type Place<'a> = (&'a str, &'a str, &'a str);

/// A grant, by whom it is for, a digest of what it gives, and its id.
pub(crate) fn grant((account, region, key): Place<'_>, grantee: &str, power: &str, id: &str) -> Vec<u8> {
    join(&["grant", account, region, key, grantee, power, id])
}

/// All grants on a key.
pub(crate) fn grants_on((account, region, key): Place<'_>) -> Vec<u8> {
    join(&["grant", account, region, key, ""])
}

/// All grants on a key that are for one grantee.
pub(crate) fn grants_to((account, region, key): Place<'_>, grantee: &str) -> Vec<u8> {
    join(&["grant", account, region, key, grantee, ""])
}

/// [`grants_to`] of the grantee of a grant, by the grant's name: without the last two parts.
pub(crate) fn grants_beside(name: &[u8]) -> &[u8] {
    let mut slashes = name.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    let end = slashes.nth(1).map_or(0, |(place, _)| place + 1);
    name.split_at_checked(end).map_or(name, |(prefix, _)| prefix)
}

/// The name of a grant without its id: what is in it, is for the same grantee and gives the same.
pub(crate) fn alike(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte == b'/').map_or(name.len(), |place| place + 1);
    name.split_at_checked(end).map_or(name, |(prefix, _)| prefix)
}

/// After all grants to the same grantee that give the same as this one, by its name.
pub(crate) fn after_alike(name: &[u8]) -> Vec<u8> {
    // Ids are hexadecimal digits.
    [alike(name), b"~"].concat()
}

/// Where the grant of an id stands.
pub(crate) fn grant_id((account, region, key): Place<'_>, id: &str) -> Vec<u8> {
    join(&["grant-id", account, region, key, id])
}

/// Where the grant stands that was made by a request with a name, by a digest of the request.
pub(crate) fn grant_name((account, region, key): Place<'_>, digest: &str) -> Vec<u8> {
    join(&["grant-name", account, region, key, digest])
}

/// How many grants a key has; there is none where it has none.
pub(crate) fn grant_count((account, region, key): Place<'_>) -> Vec<u8> {
    join(&["grant-count", account, region, key])
}

/// Where a grant stands, by who may retire it.
pub(crate) fn retirable(retiring: &str, (account, region, key): Place<'_>, id: &str) -> Vec<u8> {
    join(&["retirable", region, retiring, account, key, id])
}

/// All grants in a Region that someone may retire.
pub(crate) fn retirables(region: &str, retiring: &str) -> Vec<u8> {
    join(&["retirable", region, retiring, ""])
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GrantRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) region: String,
    /// Id of the key.
    #[n(2)]
    pub(crate) key: String,
    #[n(3)]
    pub(crate) id: String,
    #[n(4)]
    pub(crate) name: Option<String>,
    #[n(5)]
    pub(crate) created_ms: i64,
    /// Whom it is for: as it was named, and whom that meant.
    #[n(6)]
    pub(crate) grantee: BoundRecord,
    /// Who may retire it.
    #[n(7)]
    pub(crate) retiring: Option<BoundRecord>,
    /// Account of who made it.
    #[n(8)]
    pub(crate) issuer: String,
    /// As the API spells them.
    #[n(9)]
    pub(crate) operations: Vec<String>,
    #[n(10)]
    pub(crate) constraints: Option<ConstraintsRecord>,
}

/// When a grant allows what it does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ConstraintsRecord {
    /// Pairs that the encryption context must be.
    #[n(0)]
    pub(crate) equals: Option<Vec<(String, String)>>,
    /// Pairs that it must have.
    #[n(1)]
    pub(crate) subset: Option<Vec<(String, String)>>,
    /// For which resource a service must call.
    #[n(2)]
    pub(crate) source_arn: Option<String>,
}

/// Where a grant stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PointerRecord {
    /// The grant's name.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) name: Vec<u8>,
}

/// How many grants a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CountRecord {
    #[n(0)]
    pub(crate) count: u32,
}

/// What a grant token says, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TokenRecord {
    #[n(0)]
    pub(crate) account: String,
    #[n(1)]
    pub(crate) region: String,
    /// Id of the key.
    #[n(2)]
    pub(crate) key: String,
    /// Id of the grant.
    #[n(3)]
    pub(crate) grant: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_stands_beside_those_of_its_grantee() {
        let place = ("111122223333", "us-east-1", "k");
        let name = grant(place, "AIDA", "p", "0f");
        assert_eq!(grants_beside(&name), grants_to(place, "AIDA"));
        assert!(grants_to(place, "AIDA").starts_with(&grants_on(place)));
        let after = after_alike(&name);
        assert!(after > grant(place, "AIDA", "p", "ff") && after < grant(place, "AIDA", "q", "00"));
        assert_eq!(grants_beside(b"grant"), b"");
    }
}
