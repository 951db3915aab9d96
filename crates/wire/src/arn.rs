//! Amazon Resource Names: `arn:partition:service:region:account:resource`.

/// An ARN split into its six parts. Nothing but the shape is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws`.
    pub partition: &'a str,
    /// Such as `kms`.
    pub service: &'a str,
    /// Such as `us-east-1`; empty for global services.
    pub region: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN; `None` where the text does not have six parts or does not start with `arn`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

/// How the names of Regions begin that are of another partition than `aws`.
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

/// The partition a Region belongs to (AWS General Reference, "Amazon Resource Names").
pub fn partition(region: &str) -> &'static str {
    let of = |(start, partition): &(&str, &'static str)| region.starts_with(start).then_some(*partition);
    PARTITIONS.iter().find_map(of).unwrap_or("aws")
}

/// The Region of a partition whose endpoint serves what is global in it, such as IAM (IAM User Guide, "AWS Identity and
/// Access Management endpoints"), by any Region of the partition.
pub fn global_region(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-eusc" => "eusc-de-east-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        _ => "us-east-1",
    }
}

/// Whether the text has the form of a Region name: the API model's `^([a-z]+-){2,3}\d+$`, at most 32 characters.
pub fn is_region(text: &str) -> bool {
    let mut parts = text.split('-').rev();
    let digits =
        parts.next().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    let mut words = 0;
    let lower = parts.all(|word| {
        words += 1;
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())
    });
    text.len() <= 32 && digits && lower && (2..=3).contains(&words)
}

/// Whether the text is an account id: twelve ASCII digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_split_at_five_colons() {
        let arn = Arn::parse("arn:aws:kms:us-east-1:111122223333:alias/a:b").unwrap();
        assert_eq!((arn.service, arn.region, arn.resource), ("kms", "us-east-1", "alias/a:b"));
        for text in ["", "arn", "arn:aws:kms:us-east-1:111122223333", "ARN:aws:kms:r:a:key/x", "x:a:b:c:d:e"]
        {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn regions_have_a_form() {
        for text in ["us-east-1", "us-gov-west-1", "ap-southeast-12", "eusc-de-east-1"] {
            assert!(is_region(text), "{text}");
        }
        for text in [
            "",
            "us-1",
            "us-east-",
            "us-east-1a",
            "US-EAST-1",
            "us--1",
            "a-b-c-d-1",
            "us-east-١",
            "us-east-1 ",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }

    /// Attack B28: digits that are not ASCII.
    #[test]
    fn b28_accounts_are_twelve_ascii_digits() {
        assert!(is_account("011122223333"));
        for text in ["11122223333", "1111222233334", "11112222333a", "１１１１２２２２３３３３", "١١١١٢٢"]
        {
            assert!(!is_account(text), "{text}");
        }
    }

    #[test]
    fn partitions_follow_regions() {
        for (region, expected, global) in [
            ("eu-west-1", "aws", "us-east-1"),
            ("cn-northwest-1", "aws-cn", "cn-north-1"),
            ("us-gov-east-1", "aws-us-gov", "us-gov-west-1"),
            ("eusc-de-east-1", "aws-eusc", "eusc-de-east-1"),
            ("us-iso-west-1", "aws-iso", "us-iso-east-1"),
            ("us-isob-west-1", "aws-iso-b", "us-isob-east-1"),
            ("eu-isoe-west-1", "aws-iso-e", "eu-isoe-west-1"),
            ("us-isof-east-1", "aws-iso-f", "us-isof-south-1"),
        ] {
            assert_eq!((partition(region), global_region(region)), (expected, global));
            assert_eq!(partition(global), expected);
        }
    }
}
