//! The operations of STS: one file each. Generated from this folder by `cargo xtask codegen`; do not edit.

use crate::operation::Entry;

pub mod assume_role;
pub mod assume_role_with_web_identity;
pub mod decode_authorization_message;
pub mod get_access_key_info;
pub mod get_caller_identity;
pub mod get_federation_token;
pub mod get_session_token;

/// Every operation that is served, by name.
pub const ALL: &[Entry] = &[
    Entry::query::<assume_role::AssumeRole>(),
    Entry::query::<assume_role_with_web_identity::AssumeRoleWithWebIdentity>(),
    Entry::query::<decode_authorization_message::DecodeAuthorizationMessage>(),
    Entry::query::<get_access_key_info::GetAccessKeyInfo>(),
    Entry::query::<get_caller_identity::GetCallerIdentity>(),
    Entry::query::<get_federation_token::GetFederationToken>(),
    Entry::query::<get_session_token::GetSessionToken>(),
];
