//! The operations of KMS: one file each. Generated from this folder by `cargo xtask codegen`; do not edit.

use crate::operation::Entry;

pub mod cancel_key_deletion;
pub mod create_alias;
pub mod create_grant;
pub mod create_key;
pub mod decapsulate;
pub mod decrypt;
pub mod delete_alias;
pub mod delete_imported_key_material;
pub mod derive_shared_secret;
pub mod describe_key;
pub mod disable_key;
pub mod disable_key_rotation;
pub mod enable_key;
pub mod enable_key_rotation;
pub mod encapsulate;
pub mod encrypt;
pub mod generate_data_key;
pub mod generate_data_key_pair;
pub mod generate_data_key_pair_without_plaintext;
pub mod generate_data_key_without_plaintext;
pub mod generate_mac;
pub mod generate_random;
pub mod get_key_last_usage;
pub mod get_key_policy;
pub mod get_key_rotation_status;
pub mod get_parameters_for_import;
pub mod get_public_key;
pub mod import_key_material;
pub mod list_aliases;
pub mod list_grants;
pub mod list_key_policies;
pub mod list_key_rotations;
pub mod list_keys;
pub mod list_resource_tags;
pub mod list_retirable_grants;
pub mod put_key_policy;
pub mod re_encrypt;
pub mod replicate_key;
pub mod retire_grant;
pub mod revoke_grant;
pub mod rotate_key_on_demand;
pub mod schedule_key_deletion;
pub mod sign;
pub mod tag_resource;
pub mod untag_resource;
pub mod update_alias;
pub mod update_key_description;
pub mod update_primary_region;
pub mod verify;
pub mod verify_mac;

/// Every operation that is served, by name.
pub const ALL: &[Entry] = &[
    Entry::of::<cancel_key_deletion::CancelKeyDeletion>(),
    Entry::of::<create_alias::CreateAlias>(),
    Entry::of::<create_grant::CreateGrant>(),
    Entry::of::<create_key::CreateKey>(),
    Entry::of::<decapsulate::Decapsulate>(),
    Entry::of::<decrypt::Decrypt>(),
    Entry::of::<delete_alias::DeleteAlias>(),
    Entry::of::<delete_imported_key_material::DeleteImportedKeyMaterial>(),
    Entry::of::<derive_shared_secret::DeriveSharedSecret>(),
    Entry::of::<describe_key::DescribeKey>(),
    Entry::of::<disable_key::DisableKey>(),
    Entry::of::<disable_key_rotation::DisableKeyRotation>(),
    Entry::of::<enable_key::EnableKey>(),
    Entry::of::<enable_key_rotation::EnableKeyRotation>(),
    Entry::of::<encapsulate::Encapsulate>(),
    Entry::of::<encrypt::Encrypt>(),
    Entry::of::<generate_data_key::GenerateDataKey>(),
    Entry::of::<generate_data_key_pair::GenerateDataKeyPair>(),
    Entry::of::<generate_data_key_pair_without_plaintext::GenerateDataKeyPairWithoutPlaintext>(),
    Entry::of::<generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext>(),
    Entry::of::<generate_mac::GenerateMac>(),
    Entry::of::<generate_random::GenerateRandom>(),
    Entry::of::<get_key_last_usage::GetKeyLastUsage>(),
    Entry::of::<get_key_policy::GetKeyPolicy>(),
    Entry::of::<get_key_rotation_status::GetKeyRotationStatus>(),
    Entry::of::<get_parameters_for_import::GetParametersForImport>(),
    Entry::of::<get_public_key::GetPublicKey>(),
    Entry::of::<import_key_material::ImportKeyMaterial>(),
    Entry::of::<list_aliases::ListAliases>(),
    Entry::of::<list_grants::ListGrants>(),
    Entry::of::<list_key_policies::ListKeyPolicies>(),
    Entry::of::<list_key_rotations::ListKeyRotations>(),
    Entry::of::<list_keys::ListKeys>(),
    Entry::of::<list_resource_tags::ListResourceTags>(),
    Entry::of::<list_retirable_grants::ListRetirableGrants>(),
    Entry::of::<put_key_policy::PutKeyPolicy>(),
    Entry::of::<re_encrypt::ReEncrypt>(),
    Entry::of::<replicate_key::ReplicateKey>(),
    Entry::of::<retire_grant::RetireGrant>(),
    Entry::of::<revoke_grant::RevokeGrant>(),
    Entry::of::<rotate_key_on_demand::RotateKeyOnDemand>(),
    Entry::of::<schedule_key_deletion::ScheduleKeyDeletion>(),
    Entry::of::<sign::Sign>(),
    Entry::of::<tag_resource::TagResource>(),
    Entry::of::<untag_resource::UntagResource>(),
    Entry::of::<update_alias::UpdateAlias>(),
    Entry::of::<update_key_description::UpdateKeyDescription>(),
    Entry::of::<update_primary_region::UpdatePrimaryRegion>(),
    Entry::of::<verify::Verify>(),
    Entry::of::<verify_mac::VerifyMac>(),
];
