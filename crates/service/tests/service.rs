//! The domain with real parts in one process: a store, the HSM's engine, a ledger, a clock that is moved by hand.

#[cfg(test)]
#[path = "service/actor.rs"]
mod actor;
#[cfg(test)]
#[path = "service/aliases.rs"]
mod aliases;
#[cfg(test)]
#[path = "service/attestation.rs"]
mod attestation;
#[cfg(test)]
#[path = "service/audit.rs"]
mod audit;
#[cfg(test)]
#[path = "service/authorization.rs"]
mod authorization;
#[cfg(test)]
#[path = "service/crypto.rs"]
mod crypto;
#[cfg(test)]
#[path = "service/damage.rs"]
mod damage;
#[cfg(test)]
#[path = "service/deletion.rs"]
mod deletion;
#[cfg(test)]
#[path = "service/durability.rs"]
mod durability;
#[cfg(test)]
#[path = "service/enclave.rs"]
mod enclave;
#[cfg(test)]
#[path = "service/front.rs"]
mod front;
#[cfg(test)]
#[path = "service/iam.rs"]
mod iam;
#[cfg(test)]
#[path = "service/identifiers.rs"]
mod identifiers;
#[cfg(test)]
#[path = "service/keys.rs"]
mod keys;
#[cfg(test)]
#[path = "service/ledger.rs"]
mod ledger;
#[cfg(test)]
#[path = "service/lists.rs"]
mod lists;
#[cfg(test)]
#[path = "service/model.rs"]
mod model;
#[cfg(test)]
#[path = "service/oracle.rs"]
mod oracle;
#[cfg(test)]
#[path = "service/policies.rs"]
mod policies;
#[cfg(test)]
#[path = "service/principals.rs"]
mod principals;
#[cfg(test)]
#[path = "service/query_oracle.rs"]
mod query_oracle;
#[cfg(test)]
#[path = "service/revocation.rs"]
mod revocation;
#[cfg(test)]
#[path = "service/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "service/states.rs"]
mod states;
#[cfg(test)]
#[path = "service/tags.rs"]
mod tags;
#[cfg(test)]
#[path = "service/vault.rs"]
mod vault;
#[cfg(test)]
#[path = "service/world.rs"]
mod world;
