//! The domain with real parts in one process: a store, the HSM's engine, a ledger, a clock that is moved by hand.

#[cfg(test)]
#[path = "service/abac.rs"]
mod abac;
#[cfg(test)]
#[path = "service/accounts.rs"]
mod accounts;
#[cfg(test)]
#[path = "service/actor.rs"]
mod actor;
#[cfg(test)]
#[path = "service/agreement.rs"]
mod agreement;
#[cfg(test)]
#[path = "service/aliases.rs"]
mod aliases;
#[cfg(test)]
#[path = "service/asymmetric.rs"]
mod asymmetric;
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
#[path = "service/clock.rs"]
mod clock;
#[cfg(test)]
#[path = "service/condition_keys.rs"]
mod condition_keys;
#[cfg(test)]
#[path = "service/condition_values.rs"]
mod condition_values;
#[cfg(test)]
#[path = "service/corpus.rs"]
mod corpus;
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
#[path = "service/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "service/domain_keys.rs"]
mod domain_keys;
#[cfg(test)]
#[path = "service/dry_runs.rs"]
mod dry_runs;
#[cfg(test)]
#[path = "service/durability.rs"]
mod durability;
#[cfg(test)]
#[path = "service/each_of_many.rs"]
mod each_of_many;
#[cfg(test)]
#[path = "service/enclave.rs"]
mod enclave;
#[cfg(test)]
#[path = "service/enclave_requests.rs"]
mod enclave_requests;
#[cfg(test)]
#[path = "service/endpoints.rs"]
mod endpoints;
#[cfg(test)]
#[path = "service/explanations.rs"]
mod explanations;
#[cfg(test)]
#[path = "service/federation.rs"]
mod federation;
#[cfg(test)]
#[path = "service/front.rs"]
mod front;
#[cfg(test)]
#[path = "service/grants.rs"]
mod grants;
#[cfg(test)]
#[path = "service/grants_attacks.rs"]
mod grants_attacks;
#[cfg(test)]
#[path = "service/grants_keys.rs"]
mod grants_keys;
#[cfg(test)]
#[path = "service/grants_store.rs"]
mod grants_store;
#[cfg(test)]
#[path = "service/grants_tokens.rs"]
mod grants_tokens;
#[cfg(test)]
#[path = "service/heavy_policies.rs"]
mod heavy_policies;
#[cfg(test)]
#[path = "service/history.rs"]
mod history;
#[cfg(test)]
#[path = "service/iam.rs"]
mod iam;
#[cfg(test)]
#[path = "service/iam_matrix.rs"]
mod iam_matrix;
#[cfg(test)]
#[path = "service/iam_texts.rs"]
mod iam_texts;
#[cfg(test)]
#[path = "service/identifiers.rs"]
mod identifiers;
#[cfg(test)]
#[path = "service/imports.rs"]
mod imports;
#[cfg(test)]
#[path = "service/issuer.rs"]
mod issuer;
#[cfg(test)]
#[path = "service/keys.rs"]
mod keys;
#[cfg(test)]
#[path = "service/kinds.rs"]
mod kinds;
#[cfg(test)]
#[path = "service/ledger.rs"]
mod ledger;
#[cfg(test)]
#[path = "service/linearizability.rs"]
mod linearizability;
#[cfg(test)]
#[path = "service/lists.rs"]
mod lists;
#[cfg(test)]
#[path = "service/material.rs"]
mod material;
#[cfg(test)]
#[path = "service/model.rs"]
mod model;
#[cfg(test)]
#[path = "service/multi_region.rs"]
mod multi_region;
#[cfg(test)]
#[path = "service/multi_region_deletion.rs"]
mod multi_region_deletion;
#[cfg(test)]
#[path = "service/multi_region_material.rs"]
mod multi_region_material;
#[cfg(test)]
#[path = "service/multi_region_tampering.rs"]
mod multi_region_tampering;
#[cfg(test)]
#[path = "service/oracle.rs"]
mod oracle;
#[cfg(test)]
#[path = "service/overtaken.rs"]
mod overtaken;
#[cfg(test)]
#[path = "service/passwords.rs"]
mod passwords;
#[cfg(test)]
#[path = "service/permission_matrix.rs"]
mod permission_matrix;
#[cfg(test)]
#[path = "service/policies.rs"]
mod policies;
#[cfg(test)]
#[path = "service/principals.rs"]
mod principals;
#[cfg(test)]
#[path = "service/providers.rs"]
mod providers;
#[cfg(test)]
#[path = "service/query_oracle.rs"]
mod query_oracle;
#[cfg(test)]
#[path = "service/quotas.rs"]
mod quotas;
#[cfg(test)]
#[path = "service/racing.rs"]
mod racing;
#[cfg(test)]
#[path = "service/recipients.rs"]
mod recipients;
#[cfg(test)]
#[path = "service/revocation.rs"]
mod revocation;
#[cfg(test)]
#[path = "service/rotations.rs"]
mod rotations;
#[cfg(test)]
#[path = "service/scenarios.rs"]
mod scenarios;
#[cfg(test)]
#[path = "service/schedule.rs"]
mod schedule;
#[cfg(test)]
#[path = "service/services.rs"]
mod services;
#[cfg(test)]
#[path = "service/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "service/shown.rs"]
mod shown;
#[cfg(test)]
#[path = "service/signatures.rs"]
mod signatures;
#[cfg(test)]
#[path = "service/spellings.rs"]
mod spellings;
#[cfg(test)]
#[path = "service/state_kinds.rs"]
mod state_kinds;
#[cfg(test)]
#[path = "service/state_matrix.rs"]
mod state_matrix;
#[cfg(test)]
#[path = "service/sts_matrix.rs"]
mod sts_matrix;
#[cfg(test)]
#[path = "service/tags.rs"]
mod tags;
#[cfg(test)]
#[path = "service/usage.rs"]
mod usage;
#[cfg(test)]
#[path = "service/vault.rs"]
mod vault;
#[cfg(test)]
#[path = "service/world.rs"]
mod world;
