//! The operations of IAM: one file each. Generated from this folder by `cargo xtask codegen`; do not edit.

use crate::operation::Entry;

pub mod add_client_id_to_open_id_connect_provider;
pub mod add_user_to_group;
pub mod attach_group_policy;
pub mod attach_role_policy;
pub mod attach_user_policy;
pub mod change_password;
pub mod create_access_key;
pub mod create_group;
pub mod create_login_profile;
pub mod create_open_id_connect_provider;
pub mod create_policy;
pub mod create_policy_version;
pub mod create_role;
pub mod create_user;
pub mod create_virtual_mfa_device;
pub mod deactivate_mfa_device;
pub mod delete_access_key;
pub mod delete_account_password_policy;
pub mod delete_group;
pub mod delete_group_policy;
pub mod delete_login_profile;
pub mod delete_open_id_connect_provider;
pub mod delete_policy;
pub mod delete_policy_version;
pub mod delete_role;
pub mod delete_role_permissions_boundary;
pub mod delete_role_policy;
pub mod delete_user;
pub mod delete_user_permissions_boundary;
pub mod delete_user_policy;
pub mod delete_virtual_mfa_device;
pub mod detach_group_policy;
pub mod detach_role_policy;
pub mod detach_user_policy;
pub mod enable_mfa_device;
pub mod get_access_key_last_used;
pub mod get_account_password_policy;
pub mod get_account_summary;
pub mod get_group;
pub mod get_group_policy;
pub mod get_login_profile;
pub mod get_open_id_connect_provider;
pub mod get_policy;
pub mod get_policy_version;
pub mod get_role;
pub mod get_role_policy;
pub mod get_user;
pub mod get_user_policy;
pub mod list_access_keys;
pub mod list_account_aliases;
pub mod list_attached_group_policies;
pub mod list_attached_role_policies;
pub mod list_attached_user_policies;
pub mod list_entities_for_policy;
pub mod list_group_policies;
pub mod list_groups;
pub mod list_groups_for_user;
pub mod list_instance_profiles_for_role;
pub mod list_mfa_devices;
pub mod list_open_id_connect_provider_tags;
pub mod list_open_id_connect_providers;
pub mod list_policies;
pub mod list_policy_tags;
pub mod list_policy_versions;
pub mod list_role_policies;
pub mod list_role_tags;
pub mod list_roles;
pub mod list_user_policies;
pub mod list_user_tags;
pub mod list_users;
pub mod list_virtual_mfa_devices;
pub mod put_group_policy;
pub mod put_role_permissions_boundary;
pub mod put_role_policy;
pub mod put_user_permissions_boundary;
pub mod put_user_policy;
pub mod remove_client_id_from_open_id_connect_provider;
pub mod remove_user_from_group;
pub mod resync_mfa_device;
pub mod set_default_policy_version;
pub mod simulate_custom_policy;
pub mod simulate_principal_policy;
pub mod tag_open_id_connect_provider;
pub mod tag_policy;
pub mod tag_role;
pub mod tag_user;
pub mod untag_open_id_connect_provider;
pub mod untag_policy;
pub mod untag_role;
pub mod untag_user;
pub mod update_access_key;
pub mod update_account_password_policy;
pub mod update_assume_role_policy;
pub mod update_group;
pub mod update_login_profile;
pub mod update_open_id_connect_provider_thumbprint;
pub mod update_role;
pub mod update_role_description;
pub mod update_user;

/// Every operation that is served, by name.
pub const ALL: &[Entry] = &[
    Entry::query::<add_client_id_to_open_id_connect_provider::AddClientIdToOpenIdConnectProvider>(),
    Entry::query::<add_user_to_group::AddUserToGroup>(),
    Entry::query::<attach_group_policy::AttachGroupPolicy>(),
    Entry::query::<attach_role_policy::AttachRolePolicy>(),
    Entry::query::<attach_user_policy::AttachUserPolicy>(),
    Entry::query::<change_password::ChangePassword>(),
    Entry::query::<create_access_key::CreateAccessKey>(),
    Entry::query::<create_group::CreateGroup>(),
    Entry::query::<create_login_profile::CreateLoginProfile>(),
    Entry::query::<create_open_id_connect_provider::CreateOpenIdConnectProvider>(),
    Entry::query::<create_policy::CreatePolicy>(),
    Entry::query::<create_policy_version::CreatePolicyVersion>(),
    Entry::query::<create_role::CreateRole>(),
    Entry::query::<create_user::CreateUser>(),
    Entry::query::<create_virtual_mfa_device::CreateVirtualMfaDevice>(),
    Entry::query::<deactivate_mfa_device::DeactivateMfaDevice>(),
    Entry::query::<delete_access_key::DeleteAccessKey>(),
    Entry::query::<delete_account_password_policy::DeleteAccountPasswordPolicy>(),
    Entry::query::<delete_group::DeleteGroup>(),
    Entry::query::<delete_group_policy::DeleteGroupPolicy>(),
    Entry::query::<delete_login_profile::DeleteLoginProfile>(),
    Entry::query::<delete_open_id_connect_provider::DeleteOpenIdConnectProvider>(),
    Entry::query::<delete_policy::DeletePolicy>(),
    Entry::query::<delete_policy_version::DeletePolicyVersion>(),
    Entry::query::<delete_role::DeleteRole>(),
    Entry::query::<delete_role_permissions_boundary::DeleteRolePermissionsBoundary>(),
    Entry::query::<delete_role_policy::DeleteRolePolicy>(),
    Entry::query::<delete_user::DeleteUser>(),
    Entry::query::<delete_user_permissions_boundary::DeleteUserPermissionsBoundary>(),
    Entry::query::<delete_user_policy::DeleteUserPolicy>(),
    Entry::query::<delete_virtual_mfa_device::DeleteVirtualMfaDevice>(),
    Entry::query::<detach_group_policy::DetachGroupPolicy>(),
    Entry::query::<detach_role_policy::DetachRolePolicy>(),
    Entry::query::<detach_user_policy::DetachUserPolicy>(),
    Entry::query::<enable_mfa_device::EnableMfaDevice>(),
    Entry::query::<get_access_key_last_used::GetAccessKeyLastUsed>(),
    Entry::query::<get_account_password_policy::GetAccountPasswordPolicy>(),
    Entry::query::<get_account_summary::GetAccountSummary>(),
    Entry::query::<get_group::GetGroup>(),
    Entry::query::<get_group_policy::GetGroupPolicy>(),
    Entry::query::<get_login_profile::GetLoginProfile>(),
    Entry::query::<get_open_id_connect_provider::GetOpenIdConnectProvider>(),
    Entry::query::<get_policy::GetPolicy>(),
    Entry::query::<get_policy_version::GetPolicyVersion>(),
    Entry::query::<get_role::GetRole>(),
    Entry::query::<get_role_policy::GetRolePolicy>(),
    Entry::query::<get_user::GetUser>(),
    Entry::query::<get_user_policy::GetUserPolicy>(),
    Entry::query::<list_access_keys::ListAccessKeys>(),
    Entry::query::<list_account_aliases::ListAccountAliases>(),
    Entry::query::<list_attached_group_policies::ListAttachedGroupPolicies>(),
    Entry::query::<list_attached_role_policies::ListAttachedRolePolicies>(),
    Entry::query::<list_attached_user_policies::ListAttachedUserPolicies>(),
    Entry::query::<list_entities_for_policy::ListEntitiesForPolicy>(),
    Entry::query::<list_group_policies::ListGroupPolicies>(),
    Entry::query::<list_groups::ListGroups>(),
    Entry::query::<list_groups_for_user::ListGroupsForUser>(),
    Entry::query::<list_instance_profiles_for_role::ListInstanceProfilesForRole>(),
    Entry::query::<list_mfa_devices::ListMfaDevices>(),
    Entry::query::<list_open_id_connect_provider_tags::ListOpenIdConnectProviderTags>(),
    Entry::query::<list_open_id_connect_providers::ListOpenIdConnectProviders>(),
    Entry::query::<list_policies::ListPolicies>(),
    Entry::query::<list_policy_tags::ListPolicyTags>(),
    Entry::query::<list_policy_versions::ListPolicyVersions>(),
    Entry::query::<list_role_policies::ListRolePolicies>(),
    Entry::query::<list_role_tags::ListRoleTags>(),
    Entry::query::<list_roles::ListRoles>(),
    Entry::query::<list_user_policies::ListUserPolicies>(),
    Entry::query::<list_user_tags::ListUserTags>(),
    Entry::query::<list_users::ListUsers>(),
    Entry::query::<list_virtual_mfa_devices::ListVirtualMfaDevices>(),
    Entry::query::<put_group_policy::PutGroupPolicy>(),
    Entry::query::<put_role_permissions_boundary::PutRolePermissionsBoundary>(),
    Entry::query::<put_role_policy::PutRolePolicy>(),
    Entry::query::<put_user_permissions_boundary::PutUserPermissionsBoundary>(),
    Entry::query::<put_user_policy::PutUserPolicy>(),
    Entry::query::<remove_client_id_from_open_id_connect_provider::RemoveClientIdFromOpenIdConnectProvider>(),
    Entry::query::<remove_user_from_group::RemoveUserFromGroup>(),
    Entry::query::<resync_mfa_device::ResyncMfaDevice>(),
    Entry::query::<set_default_policy_version::SetDefaultPolicyVersion>(),
    Entry::query::<simulate_custom_policy::SimulateCustomPolicy>(),
    Entry::query::<simulate_principal_policy::SimulatePrincipalPolicy>(),
    Entry::query::<tag_open_id_connect_provider::TagOpenIdConnectProvider>(),
    Entry::query::<tag_policy::TagPolicy>(),
    Entry::query::<tag_role::TagRole>(),
    Entry::query::<tag_user::TagUser>(),
    Entry::query::<untag_open_id_connect_provider::UntagOpenIdConnectProvider>(),
    Entry::query::<untag_policy::UntagPolicy>(),
    Entry::query::<untag_role::UntagRole>(),
    Entry::query::<untag_user::UntagUser>(),
    Entry::query::<update_access_key::UpdateAccessKey>(),
    Entry::query::<update_account_password_policy::UpdateAccountPasswordPolicy>(),
    Entry::query::<update_assume_role_policy::UpdateAssumeRolePolicy>(),
    Entry::query::<update_group::UpdateGroup>(),
    Entry::query::<update_login_profile::UpdateLoginProfile>(),
    Entry::query::<update_open_id_connect_provider_thumbprint::UpdateOpenIdConnectProviderThumbprint>(),
    Entry::query::<update_role::UpdateRole>(),
    Entry::query::<update_role_description::UpdateRoleDescription>(),
    Entry::query::<update_user::UpdateUser>(),
];
