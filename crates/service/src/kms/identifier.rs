//! Which key or alias a request names.

use claviger_wire::arn::{self, Arn};
use claviger_wire::fault::Code;

use crate::error::{Error, Result};

/// What an identifier says, before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identifier<'a> {
    /// A key of `account`.
    Key {
        /// Account that owns the key.
        account: &'a str,
        /// Key id.
        id: &'a str,
        /// Whether the account was named by an ARN.
        by_arn: bool,
    },
    /// An alias of `account`.
    Alias {
        /// Account that owns the alias.
        account: &'a str,
        /// Alias name without `alias/`.
        name: &'a str,
        /// Whether the account was named by an ARN.
        by_arn: bool,
    },
}

/// Which forms an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// Key id or key ARN.
    KeyOnly,
    /// Also alias name and alias ARN.
    KeyOrAlias,
}

/// Reads an identifier for a caller of `account` in `region`.
///
/// # Errors
/// `NotFoundException` and `InvalidArnException` with the texts that AWS gives for each malformation.
pub fn parse<'a>(text: &'a str, account: &'a str, region: &str, forms: Forms) -> Result<Identifier<'a>> {
    if text.starts_with("arn:") {
        return parse_arn(text, region, forms);
    }
    if let Some(name) = text.strip_prefix("alias/") {
        return match forms {
            Forms::KeyOrAlias => Ok(Identifier::Alias { account, name, by_arn: false }),
            Forms::KeyOnly => Err(Error::new(Code::NotFound, format!("Invalid keyId {text}"))),
        };
    }
    if is_key_id(text) {
        return Ok(Identifier::Key { account, id: text, by_arn: false });
    }
    Err(Error::new(Code::NotFound, format!("Invalid keyId '{}'", shown(text))))
}

fn parse_arn<'a>(text: &'a str, region: &str, forms: Forms) -> Result<Identifier<'a>> {
    let invalid = || Error::new(Code::InvalidArn, format!("Invalid arn {}", shown(text)));
    let parsed = Arn::parse(text).ok_or_else(invalid)?;
    if parsed.service != "kms" || !arn::is_account(parsed.account) || !arn::is_region(parsed.region) {
        return Err(invalid());
    }
    if parsed.region != region || parsed.partition != arn::partition(region) {
        return Err(Error::new(Code::NotFound, format!("Invalid arn {}", parsed.region)));
    }
    let account = parsed.account;
    match parsed.resource.split_once('/') {
        Some(("key", id)) if is_key_id(id) => Ok(Identifier::Key { account, id, by_arn: true }),
        Some(("alias", name)) if !name.is_empty() => match forms {
            Forms::KeyOrAlias => Ok(Identifier::Alias { account, name, by_arn: true }),
            Forms::KeyOnly => {
                Err(Error::new(Code::InvalidArn, "Key Aliases are not supported for this operation."))
            }
        },
        _ => Err(invalid()),
    }
}

/// At most 256 characters of what was sent, for a message.
fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(256)).unwrap_or_default()
}

/// Whether the text has the form of a key id: a lower-case UUID, or `mrk-` and 32 hexadecimal digits.
pub fn is_key_id(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if let Some(digits) = text.strip_prefix("mrk-") {
        return digits.len() == 32 && digits.bytes().all(hex);
    }
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => hex(byte),
        })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn check(text: &str, forms: Forms, expected: &Expect) {
        let outcome = match parse(text, "111122223333", "us-east-1", forms) {
            Ok(Identifier::Key { account, id, by_arn }) => format!("key {account} {id} {by_arn}"),
            Ok(Identifier::Alias { account, name, by_arn }) => format!("alias {account} {name} {by_arn}"),
            Err(error) => format!("{} {}", error.code.json_name(), error.message.unwrap()),
        };
        expected.assert_eq(&outcome);
    }

    #[test]
    fn all_forms_are_read() {
        check(ID, Forms::KeyOnly, &expect!["key 111122223333 1234abcd-12ab-34cd-56ef-1234567890ab false"]);
        check(
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            Forms::KeyOnly,
            &expect!["key 111122223333 mrk-1234abcd12ab34cd56ef1234567890ab false"],
        );
        check(
            &format!("arn:aws:kms:us-east-1:444455556666:key/{ID}"),
            Forms::KeyOnly,
            &expect!["key 444455556666 1234abcd-12ab-34cd-56ef-1234567890ab true"],
        );
        check("alias/a/b", Forms::KeyOrAlias, &expect!["alias 111122223333 a/b false"]);
        check(
            "arn:aws:kms:us-east-1:111122223333:alias/app",
            Forms::KeyOrAlias,
            &expect!["alias 111122223333 app true"],
        );
    }

    #[test]
    fn malformed_identifiers_get_awss_texts() {
        check("fake-key-id", Forms::KeyOrAlias, &expect!["NotFoundException Invalid keyId 'fake-key-id'"]);
        check(
            "1234ABCD-12ab-34cd-56ef-1234567890ab",
            Forms::KeyOnly,
            &expect!["NotFoundException Invalid keyId '1234ABCD-12ab-34cd-56ef-1234567890ab'"],
        );
        check(
            "mrk-fake-key-id",
            Forms::KeyOnly,
            &expect!["NotFoundException Invalid keyId 'mrk-fake-key-id'"],
        );
        check("alias/aws/sqs", Forms::KeyOnly, &expect!["NotFoundException Invalid keyId alias/aws/sqs"]);
        check(
            "arn:aws:kms:us-east-1:111122223333:alias/app",
            Forms::KeyOnly,
            &expect!["InvalidArnException Key Aliases are not supported for this operation."],
        );
        check(
            &format!("arn:aws:kms:eu-west-1:111122223333:key/{ID}"),
            Forms::KeyOnly,
            &expect!["NotFoundException Invalid arn eu-west-1"],
        );
        check(
            "arn:aws:s3:::bucket",
            Forms::KeyOnly,
            &expect!["InvalidArnException Invalid arn arn:aws:s3:::bucket"],
        );
        check(
            "arn:aws:kms:us-east-1:111122223333:key/nope",
            Forms::KeyOnly,
            &expect!["InvalidArnException Invalid arn arn:aws:kms:us-east-1:111122223333:key/nope"],
        );
    }
}
