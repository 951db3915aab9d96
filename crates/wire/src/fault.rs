//! The error envelope: the only place where an error becomes AWS's name, status and body.

use serde::Serialize;

/// What went wrong, as a caller's program tells errors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller may not do this.
    AccessDenied,
    /// The alias exists.
    AlreadyExists,
    /// Something of the same kind is in progress or about to begin.
    Conflict,
    /// The key is disabled.
    Disabled,
    /// The call would have succeeded.
    DryRunOperation,
    /// The import token is too old.
    ExpiredImportToken,
    /// Temporary credentials have expired.
    ExpiredToken,
    /// Authentication is incomplete.
    IncompleteSignature,
    /// The ciphertext was made by another key than the one named.
    IncorrectKey,
    /// The key material is not that of the key, or not of its spec.
    IncorrectKeyMaterial,
    /// The alias name is not valid.
    InvalidAliasName,
    /// The ARN is not valid, or an alias stands where only a key may.
    InvalidArn,
    /// The ciphertext does not open.
    InvalidCiphertext,
    /// The text is no id of a grant.
    InvalidGrantId,
    /// The grant token is not one of this installation.
    InvalidGrantToken,
    /// The import token is not one that was made for this key.
    InvalidImportToken,
    /// The key's usage or spec does not fit the call.
    InvalidKeyUsage,
    /// The pagination marker is not one that was given for this list and caller.
    InvalidMarker,
    /// The signature is not valid.
    InvalidSignature,
    /// The server failed.
    KmsInternal,
    /// The message authentication code is not that of the message.
    KmsInvalidMac,
    /// The signature is not one of the message.
    KmsInvalidSignature,
    /// The key's state does not allow the call.
    KmsInvalidState,
    /// A part the call depends on did not answer in time.
    DependencyTimeout,
    /// A quota is used up.
    LimitExceeded,
    /// The policy is not valid.
    MalformedPolicyDocument,
    /// The request carries no authentication.
    MissingAuthenticationToken,
    /// The alias name is reserved.
    NotAuthorized,
    /// There is no such thing.
    NotFound,
    /// The body cannot be read, or a member has the wrong type.
    Serialization,
    /// A tag is not valid.
    Tag,
    /// There were too many requests in too short a time.
    Throttling,
    /// There is no such operation, or it is not served.
    UnknownOperation,
    /// The access key or session is not known.
    UnrecognizedClient,
    /// The key's kind does not allow the call.
    UnsupportedOperation,
    /// A member violates its constraints.
    Validation,
    /// The query protocol's name for an operation it does not know.
    InvalidAction,
    /// There is no such user, role, policy.. (IAM).
    NoSuchEntity,
    /// The name is taken (IAM).
    EntityAlreadyExists,
    /// Something hangs on what is to be deleted (IAM).
    DeleteConflict,
    /// A value that the service does not take, although the model allows it (IAM).
    InvalidInput,
    /// A value that the service does not take, although the model allows it (STS).
    InvalidParameterValue,
    /// Session policies and tags are too large together (STS).
    PackedPolicyTooLarge,
    /// The token of an identity provider is not valid (STS).
    InvalidIdentityToken,
    /// The token of an identity provider has expired (STS).
    ExpiredIdentityToken,
    /// What an identity provider says cannot be used (STS).
    IdpRejectedClaim,
    /// An identity provider cannot be reached (STS).
    IdpCommunicationError,
    /// There is no such encoded message (STS).
    InvalidAuthorizationMessage,
    /// A code of a device is wrong (IAM).
    InvalidAuthenticationCode,
    /// The password is too weak for the account's policy (IAM).
    PasswordPolicyViolation,
    /// The caller is no user (IAM).
    InvalidUserType,
}

impl Code {
    /// The exception's name in AWS JSON.
    pub const fn json_name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::AlreadyExists => "AlreadyExistsException",
            Self::Conflict => "ConflictException",
            Self::Disabled => "DisabledException",
            Self::DryRunOperation => "DryRunOperationException",
            Self::ExpiredImportToken => "ExpiredImportTokenException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::IncorrectKeyMaterial => "IncorrectKeyMaterialException",
            Self::InvalidAliasName => "InvalidAliasNameException",
            Self::InvalidArn => "InvalidArnException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::InvalidGrantId => "InvalidGrantIdException",
            Self::InvalidGrantToken => "InvalidGrantTokenException",
            Self::InvalidImportToken => "InvalidImportTokenException",
            Self::InvalidKeyUsage => "InvalidKeyUsageException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::KmsInternal => "KMSInternalException",
            Self::KmsInvalidMac => "KMSInvalidMacException",
            Self::KmsInvalidSignature => "KMSInvalidSignatureException",
            Self::KmsInvalidState => "KMSInvalidStateException",
            Self::DependencyTimeout => "DependencyTimeoutException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::NotAuthorized => "NotAuthorizedException",
            Self::NotFound => "NotFoundException",
            Self::Serialization => "SerializationException",
            Self::Tag => "TagException",
            Self::Throttling => "ThrottlingException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::UnsupportedOperation => "UnsupportedOperationException",
            Self::Validation => "ValidationException",
            Self::InvalidAction => "InvalidAction",
            Self::NoSuchEntity => "NoSuchEntityException",
            Self::EntityAlreadyExists => "EntityAlreadyExistsException",
            Self::DeleteConflict => "DeleteConflictException",
            Self::InvalidInput => "InvalidInputException",
            Self::InvalidParameterValue => "InvalidParameterValueException",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLargeException",
            Self::InvalidIdentityToken => "InvalidIdentityTokenException",
            Self::ExpiredIdentityToken => "ExpiredTokenException",
            Self::IdpRejectedClaim => "IDPRejectedClaimException",
            Self::IdpCommunicationError => "IDPCommunicationErrorException",
            Self::InvalidAuthorizationMessage => "InvalidAuthorizationMessageException",
            Self::InvalidAuthenticationCode => "InvalidAuthenticationCodeException",
            Self::PasswordPolicyViolation => "PasswordPolicyViolationException",
            Self::InvalidUserType => "InvalidUserTypeException",
        }
    }

    /// The error's name and HTTP status in the query protocol of IAM and STS.
    pub const fn query_name(self) -> (&'static str, u16) {
        match self {
            Self::AccessDenied => ("AccessDenied", 403),
            Self::ExpiredToken => ("ExpiredToken", 403),
            Self::IncompleteSignature => ("IncompleteSignature", 400),
            Self::InvalidSignature => ("SignatureDoesNotMatch", 403),
            Self::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            Self::UnrecognizedClient => ("InvalidClientTokenId", 403),
            Self::UnknownOperation | Self::InvalidAction => ("InvalidAction", 400),
            Self::Validation | Self::Serialization => ("ValidationError", 400),
            Self::Throttling => ("Throttling", 400),
            Self::KmsInternal => ("InternalFailure", 500),
            Self::DependencyTimeout => ("ServiceUnavailable", 503),
            Self::NoSuchEntity => ("NoSuchEntity", 404),
            Self::EntityAlreadyExists => ("EntityAlreadyExists", 409),
            Self::DeleteConflict => ("DeleteConflict", 409),
            Self::LimitExceeded => ("LimitExceeded", 409),
            Self::InvalidInput => ("InvalidInput", 400),
            Self::MalformedPolicyDocument => ("MalformedPolicyDocument", 400),
            Self::InvalidParameterValue => ("InvalidParameterValue", 400),
            Self::PackedPolicyTooLarge => ("PackedPolicyTooLarge", 400),
            Self::InvalidIdentityToken => ("InvalidIdentityToken", 400),
            Self::IdpRejectedClaim => ("IDPRejectedClaim", 403),
            Self::IdpCommunicationError => ("IDPCommunicationError", 400),
            Self::InvalidAuthenticationCode => ("InvalidAuthenticationCode", 403),
            Self::PasswordPolicyViolation => ("PasswordPolicyViolation", 400),
            Self::InvalidUserType => ("InvalidUserType", 400),
            other => (other.json_name(), 400),
        }
    }

    /// HTTP status in AWS JSON.
    pub const fn json_status(self) -> u16 {
        match self {
            Self::KmsInternal | Self::DependencyTimeout => 500,
            _ => 400,
        }
    }

    /// The name under which CloudTrail records the error.
    pub const fn audit_name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            _ => self.json_name(),
        }
    }

    /// AWS writes the message of these two with a capital letter.
    const fn capital_message(self) -> bool {
        matches!(self, Self::AccessDenied | Self::Serialization)
    }
}

#[derive(Serialize)]
struct JsonEnvelope<'a> {
    #[serde(rename = "__type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    capital_message: Option<&'a str>,
}

/// The body of an error in AWS JSON.
pub fn json_body(code: Code, message: Option<&str>) -> Vec<u8> {
    let (lower, capital) = if code.capital_message() { (None, message) } else { (message, None) };
    let envelope = JsonEnvelope { kind: code.json_name(), message: lower, capital_message: capital };
    // Strings always serialize; an empty body would still carry the status.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Code, message: Option<&str>, expected: &str) {
        assert_eq!(String::from_utf8(json_body(code, message)).unwrap(), expected);
    }

    #[test]
    fn bodies_are_awss() {
        check(Code::NotFound, Some("x \"y\""), r#"{"__type":"NotFoundException","message":"x \"y\""}"#);
        check(Code::InvalidCiphertext, None, r#"{"__type":"InvalidCiphertextException"}"#);
        check(Code::AccessDenied, Some("no"), r#"{"__type":"AccessDeniedException","Message":"no"}"#);
        check(Code::Serialization, Some("no"), r#"{"__type":"SerializationException","Message":"no"}"#);
    }

    #[test]
    fn only_internal_faults_are_the_servers() {
        assert_eq!(Code::KmsInternal.json_status(), 500);
        assert_eq!(Code::DependencyTimeout.json_status(), 500);
        assert_eq!(Code::NotFound.json_status(), 400);
        assert_eq!(Code::InvalidSignature.query_name(), ("SignatureDoesNotMatch", 403));
    }
}
