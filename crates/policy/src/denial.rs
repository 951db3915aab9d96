//! The words of a refusal.

use crate::decide::{Layer, Reason};

/// The message of `AccessDeniedException`, in AWS's words.
///
/// `principal` is the caller's ARN (of the session, for a role), `action` has its service prefix, `resource` is an ARN
/// or `*`, or nothing for what is yet to be made and has no name. Between accounts the text is the same whatever the
/// reason, so that a stranger cannot learn whether a key exists.
pub fn denial_text(
    principal: &str,
    action: &str,
    resource: Option<&str>,
    reason: &Reason<'_>,
    cross_account: bool,
) -> String {
    let who = format!("User: {principal} is not authorized to perform: {action}");
    if cross_account {
        return format!(
            "{who} on this resource because the resource does not exist in this Region, no resource-based policies \
             allow access, or a resource-based policy explicitly denies access"
        );
    }
    let on = resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
    match reason {
        Reason::Implicit(layer) => {
            format!("{who}{on} because no {} allows the {action} action", name(*layer))
        }
        Reason::Explicit(statement) => {
            let name = name(statement.layer);
            let article = if statement.layer == Layer::Identity { "an" } else { "a" };
            format!("{who}{on} with an explicit deny in {article} {name}")
        }
    }
}

fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Endpoint => "VPC endpoint policy",
        Layer::Resource => "resource-based policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Identity => "identity-based policy",
    }
}

#[cfg(test)]
mod tests {
    use super::denial_text;
    use crate::decide::{Layer, Reason, StatementRef};

    const BOB: &str = "arn:aws:iam::111122223333:user/bob";
    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1";
    const WHO: &str =
        "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: kms:Encrypt on ";

    fn check(layer: Layer, implicit: &str, explicit: &str) {
        let whole = |suffix: &str| format!("{WHO}resource: {KEY} {suffix}");
        let statement = StatementRef { layer, document: 0, statement: 0, sid: None };
        assert_eq!(
            denial_text(BOB, "kms:Encrypt", Some(KEY), &Reason::Implicit(layer), false),
            whole(implicit)
        );
        assert_eq!(
            denial_text(BOB, "kms:Encrypt", Some(KEY), &Reason::Explicit(statement), false),
            whole(explicit)
        );
    }

    #[test]
    fn each_layer_has_its_words() {
        check(
            Layer::Identity,
            "because no identity-based policy allows the kms:Encrypt action",
            "with an explicit deny in an identity-based policy",
        );
        check(
            Layer::Resource,
            "because no resource-based policy allows the kms:Encrypt action",
            "with an explicit deny in a resource-based policy",
        );
        check(
            Layer::Boundary,
            "because no permissions boundary allows the kms:Encrypt action",
            "with an explicit deny in a permissions boundary",
        );
        check(
            Layer::Session,
            "because no session policy allows the kms:Encrypt action",
            "with an explicit deny in a session policy",
        );
        check(
            Layer::Endpoint,
            "because no VPC endpoint policy allows the kms:Encrypt action",
            "with an explicit deny in a VPC endpoint policy",
        );
    }

    /// Seen of AWS, of tags that a key is to be made with.
    #[test]
    fn what_is_not_made_yet_has_no_name() {
        let text = denial_text(BOB, "kms:TagResource", None, &Reason::Implicit(Layer::Identity), false);
        let expected = "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: kms:TagResource because no \
                        identity-based policy allows the kms:TagResource action";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_stranger_learns_nothing() {
        let expected = format!(
            "{WHO}this resource because the resource does not exist in this Region, no resource-based policies allow \
             access, or a resource-based policy explicitly denies access"
        );
        for layer in [Layer::Identity, Layer::Resource, Layer::Boundary, Layer::Session, Layer::Endpoint] {
            let statement = StatementRef { layer, document: 0, statement: 0, sid: None };
            for reason in [Reason::Implicit(layer), Reason::Explicit(statement)] {
                assert_eq!(denial_text(BOB, "kms:Encrypt", Some(KEY), &reason, true), expected);
            }
        }
    }
}
