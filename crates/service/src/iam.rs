//! Identity and Access Management: users, groups, roles, and their policies.

mod access_key;
pub(crate) mod document;
pub(crate) mod effective;
pub(crate) mod hashing;
mod holder;
pub(crate) mod identity;
pub(crate) mod lifecycle;
mod listing;
pub(crate) mod load;
mod login;
pub(crate) mod managed;
mod membership;
pub(crate) mod mfa;
pub mod ops;
pub(crate) mod password;
pub(crate) mod provider;
mod role;
pub mod shapes;
mod simulate;
mod tags;
mod versions;
mod views;

use crate::query::Api;

/// The API as the query protocol serves it.
pub static API: Api = Api {
    service: "iam",
    version: "2010-05-08",
    namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    event_source: "iam.amazonaws.com",
    entries: ops::ALL,
    not_served: NOT_SERVED,
};

/// Actions of IAM that this version does not serve. They answer an error that says so.
const NOT_SERVED: &[&str] = &[
    "AcceptDelegationRequest",
    "AcquireRole",
    "AddRoleToInstanceProfile",
    "AssociateDelegationRequest",
    "CreateAccountAlias",
    "CreateDelegationRequest",
    "CreateInstanceProfile",
    "CreateSAMLProvider",
    "CreateServiceLinkedRole",
    "CreateServiceSpecificCredential",
    "DeleteAccountAlias",
    "DeleteInstanceProfile",
    "DeleteSAMLProvider",
    "DeleteSSHPublicKey",
    "DeleteServerCertificate",
    "DeleteServiceLinkedRole",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions",
    "DisableOutboundWebIdentityFederation",
    "EnableOrganizationsRootCredentialsManagement",
    "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation",
    "GenerateCredentialReport",
    "GenerateOrganizationsAccessReport",
    "GenerateServiceLastAccessedDetails",
    "GetAccountAuthorizationDetails",
    "GetAccountProperties",
    "GetContextKeysForCustomPolicy",
    "GetContextKeysForPrincipalPolicy",
    "GetCredentialReport",
    "GetDelegationRequest",
    "GetHumanReadableSummary",
    "GetInstanceProfile",
    "GetMFADevice",
    "GetOrganizationsAccessReport",
    "GetOutboundWebIdentityFederationInfo",
    "GetRoleTemplateVersion",
    "GetSAMLProvider",
    "GetSSHPublicKey",
    "GetServerCertificate",
    "GetServiceLastAccessedDetails",
    "GetServiceLastAccessedDetailsWithEntities",
    "GetServiceLinkedRoleDeletionStatus",
    "ListDelegationRequests",
    "ListInstanceProfileTags",
    "ListInstanceProfiles",
    "ListMFADeviceTags",
    "ListOrganizationsFeatures",
    "ListPoliciesGrantingServiceAccess",
    "ListSAMLProviderTags",
    "ListSAMLProviders",
    "ListSSHPublicKeys",
    "ListServerCertificateTags",
    "ListServerCertificates",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "PutAccountProperties",
    "RejectDelegationRequest",
    "RemoveRoleFromInstanceProfile",
    "ResetServiceSpecificCredential",
    "SendDelegationToken",
    "SetSecurityTokenServicePreferences",
    "TagInstanceProfile",
    "TagMFADevice",
    "TagSAMLProvider",
    "TagServerCertificate",
    "UntagInstanceProfile",
    "UntagMFADevice",
    "UntagSAMLProvider",
    "UntagServerCertificate",
    "UpdateDelegationRequest",
    "UpdateOpenIDConnectProvider",
    "UpdateSAMLProvider",
    "UpdateSSHPublicKey",
    "UpdateServerCertificate",
    "UpdateServiceSpecificCredential",
    "UpdateSigningCertificate",
    "UploadSSHPublicKey",
    "UploadServerCertificate",
    "UploadSigningCertificate",
];
