//! Grants: that a principal may do with a key what the grant says, whatever the policies allow. A grant never denies, and
//! a policy that denies wins ("Grants in AWS KMS" of the Developer Guide).

pub(crate) mod constraints;
pub(crate) mod decision;
pub(crate) mod listing;
pub(crate) mod party;
pub(crate) mod place;
pub(crate) mod token;
pub(crate) mod wanted;

use aws_lc_rs::digest;
use claviger_policy as policy;
use claviger_store::{Precondition, Record, Revision, Write};
use claviger_wire::fault::Code;

use crate::attestation::hex;
use crate::authn::{Caller, Principal};
use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::key::Key;
use crate::kms::shapes::{GrantConstraints, GrantOperation};
use crate::moment::Moment;
use crate::record::{
    self,
    grant::{GrantRecord, Place, PointerRecord},
};
use party::Party;

/// A grant, as the operations see it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) account: String,
    pub(crate) region: String,
    /// Id of the key.
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) created: Moment,
    /// Whom it is for.
    pub(crate) grantee: Party,
    /// Who may retire it.
    pub(crate) retiring: Option<Party>,
    /// Account of who made it.
    pub(crate) issuer: String,
    /// What it allows, each once.
    pub(crate) operations: Vec<GrantOperation>,
    pub(crate) constraints: GrantConstraints,
    /// The commit that wrote it.
    pub(crate) revision: Revision,
}

impl Key {
    /// Under what its grants are found.
    pub(crate) fn place(&self) -> Place<'_> {
        (&self.account, &self.region, self.id())
    }
}

impl Grant {
    /// Reads a record.
    pub(crate) fn decode(found: &Record) -> Result<Self> {
        let read: GrantRecord = record::decode(found)?;
        let operations = read.operations.iter().map(|name| {
            GrantOperation::from_str_exact(name)
                .ok_or_else(|| Error::internal(format!("grant {} allows an unknown {name}", read.id)))
        });
        let grant = Self {
            operations: operations.collect::<Result<_>>()?,
            constraints: read.constraints.map(GrantConstraints::stored).unwrap_or_default(),
            grantee: Party::stored(read.grantee),
            retiring: read.retiring.map(Party::stored),
            created: Moment(read.created_ms),
            account: read.account,
            region: read.region,
            key: read.key,
            id: read.id,
            name: read.name,
            issuer: read.issuer,
            revision: found.revision,
        };
        // A row that was copied over another must not stand for it (invariant I7).
        if found.name == grant.record_name() {
            return Ok(grant);
        }
        let name = String::from_utf8_lossy(&found.name);
        Err(Error::internal(format!("record `{name}` holds another grant, {}", grant.id)))
    }

    fn encode(&self) -> Result<Vec<u8>> {
        record::encode(&GrantRecord {
            account: self.account.clone(),
            region: self.region.clone(),
            key: self.key.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            created_ms: self.created.0,
            grantee: self.grantee.record(),
            retiring: self.retiring.as_ref().map(Party::record),
            issuer: self.issuer.clone(),
            operations: self.operations.iter().map(|operation| operation.as_str().to_owned()).collect(),
            constraints: self.constraints.record(),
        })
    }

    fn place(&self) -> Place<'_> {
        (&self.account, &self.region, &self.key)
    }

    /// Name of its record.
    pub(crate) fn record_name(&self) -> Vec<u8> {
        record::grant::grant(self.place(), self.grantee.id(), &self.power(), &self.id)
    }

    /// That it is as it was read.
    pub(crate) fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { name: self.record_name(), revision: self.revision }
    }

    /// A digest of what it gives: operations and constraints.
    fn power(&self) -> String {
        let mut operations: Vec<&str> = self.operations.iter().map(|operation| operation.as_str()).collect();
        operations.sort_unstable();
        let GrantConstraints { source_arn, .. } = &self.constraints;
        let kind = self.constraints.kind().unwrap_or_default().as_bytes();
        let source = source_arn.as_deref().unwrap_or_default().as_bytes();
        let context = EncryptionContext::encode(self.constraints.context());
        let mut text = digest_of(&[operations.join(" ").as_bytes(), kind, &context, source]);
        text.truncate(32);
        text
    }

    /// A digest of the request that made it, where that gave it a name: the same request makes it once.
    pub(crate) fn request(&self) -> Option<String> {
        let retiring = self.retiring.as_ref().map_or("", Party::id);
        let name = self.name.as_ref()?;
        let (grantee, power) = (self.grantee.id(), self.power());
        let parts = [name.as_str(), grantee, retiring, &self.issuer, &power];
        Some(digest_of(&parts.map(str::as_bytes)))
    }

    /// Names of the records that say where it stands.
    fn pointers(&self) -> impl Iterator<Item = Vec<u8>> {
        let place = self.place();
        let by_name = self.request().map(|digest| record::grant::grant_name(place, &digest));
        let by_retiring =
            self.retiring.as_ref().map(|retiring| record::grant::retirable(retiring.id(), place, &self.id));
        [record::grant::grant_id(place, &self.id)].into_iter().chain(by_name).chain(by_retiring)
    }

    /// Names of all its records.
    pub(crate) fn records(&self) -> impl Iterator<Item = Vec<u8>> {
        self.pointers().chain([self.record_name()])
    }

    /// What makes it.
    pub(crate) fn made(&self) -> Result<(Vec<Precondition>, Vec<Write>)> {
        let name = self.record_name();
        let pointer = record::encode(&PointerRecord { name: name.clone() })?;
        let mut writes: Vec<Write> =
            self.pointers().map(|name| Write::Put { name, value: pointer.clone() }).collect();
        let preconditions = self.records().map(Precondition::Absent).collect();
        writes.push(Write::Put { name, value: self.encode()? });
        Ok((preconditions, writes))
    }

    /// What right a caller has to retire it ("Retiring and revoking grants"): the retiring principal, and the grantee
    /// where the grant says so. The account that made it and the account of the key have it too, and delegate it to
    /// their principals by identity policies.
    pub(crate) fn right_to_retire(&self, caller: &Caller) -> policy::Grant {
        let grantee_may = self.operations.contains(&GrantOperation::RetireGrant);
        let grantee = Some(&self.grantee).filter(|_| grantee_may);
        let named: Vec<&str> = grantee.into_iter().chain(&self.retiring).map(Party::id).collect();
        let rights = party::ids_of(caller).into_iter();
        let right = rights.filter(|(id, _)| named.contains(&id.as_str())).map(|(_, right)| right).next();
        right.unwrap_or_else(|| right_of_account(caller, &[&self.issuer, &self.account]))
    }
}

/// The right of a caller whose account is one of these.
pub(crate) fn right_of_account(caller: &Caller, accounts: &[&str]) -> policy::Grant {
    // A service is of no account.
    match accounts.contains(&caller.account()) && caller.principal() != Principal::Service {
        true => policy::Grant::ToAccount,
        false => policy::Grant::None,
    }
}

/// Checks that a text has the form of a grant's id.
///
/// # Errors
/// `InvalidGrantIdException`.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match id.len() == 64 && id.bytes().all(hex) {
        true => Ok(()),
        false => Err(Error::bare(Code::InvalidGrantId)),
    }
}

/// The error of a grant that a key does not have.
pub(crate) fn not_found(id: &str) -> Error {
    Error::new(Code::NotFound, format!("Grant ID {id} not found"))
}

/// SHA-256 of parts, each with its length in front, in hexadecimal.
fn digest_of(parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    hex(context.finish().as_ref())
}
