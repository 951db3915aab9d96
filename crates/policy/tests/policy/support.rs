//! A small world: one account with a key, its principals, a stranger, and documents to try on them.

use claviger_policy::{
    Context, Decision, Document, Grant, Kind, Policies, Principal, Reason, Request, ResourceSide, Values,
    decide,
};

pub(crate) const HOME: &str = "111122223333";
pub(crate) const AWAY: &str = "444455556666";
pub(crate) const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
pub(crate) const ROOT: Principal<'_> = Principal::Root { account: HOME };
pub(crate) const BOB: Principal<'_> =
    Principal::User { arn: "arn:aws:iam::111122223333:user/bob", id: "AIDABOBBOBBOBBOBBOBB", account: HOME };
pub(crate) const SESSION: Principal<'_> = Principal::RoleSession {
    role_arn: "arn:aws:iam::111122223333:role/ops/admin",
    role_id: "AROAADMINADMINADMIN1",
    session_arn: "arn:aws:sts::111122223333:assumed-role/admin/s1",
    account: HOME,
};
pub(crate) const FEDERATED: Principal<'_> = Principal::FederatedUser {
    arn: "arn:aws:sts::111122223333:federated-user/fed",
    user_arn: "arn:aws:iam::111122223333:user/bob",
    user_id: "AIDABOBBOBBOBBOBBOBB",
    account: HOME,
};
pub(crate) const EVE: Principal<'_> =
    Principal::User { arn: "arn:aws:iam::444455556666:user/eve", id: "AIDAEVEEVEEVEEVEEVE1", account: AWAY };
pub(crate) const SERVICE: Principal<'_> = Principal::Service { name: "ec2.amazonaws.com" };

/// Condition keys by their names in lower case.
#[derive(Clone, Default)]
pub(crate) struct Keys(pub(crate) Vec<(String, Values<'static>)>);

impl Keys {
    pub(crate) fn one(key: &str, value: &'static str) -> Self {
        Self(vec![(key.to_owned(), Values::One(value.into()))])
    }

    pub(crate) fn set(key: &str, values: &[&'static str]) -> Self {
        let values = values.iter().map(|it| (*it).into()).collect();
        Self(vec![(key.to_owned(), Values::Set(values))])
    }

    pub(crate) fn conflicting(key: &str, values: &[&'static str]) -> Self {
        let values = values.iter().map(|it| (*it).into()).collect();
        Self(vec![(key.to_owned(), Values::Conflicting(values))])
    }
}

impl Context for Keys {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        assert_eq!(key, key.to_ascii_lowercase(), "keys are asked for in lower case");
        self.0.iter().find(|(name, _)| name == key).map(|(_, values)| values.clone())
    }
}

pub(crate) fn document(kind: Kind, statements: &str) -> Document {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    Document::parse(&text, kind).unwrap_or_else(|cause| panic!("{text}: {cause}"))
}

pub(crate) fn key_policy(statements: &str) -> Document {
    document(Kind::Key, statements)
}

pub(crate) fn identity(statements: &str) -> Document {
    document(Kind::Identity, statements)
}

/// `{"Effect": .., "Principal": {"AWS": ..}, "Action": "kms:*", "Resource": "*"}`
pub(crate) fn grants(effect: &str, principal: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Principal":{{"AWS":"{principal}"}},"Action":"kms:*","Resource":"*"}}"#)
}

pub(crate) const ALLOW_ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
pub(crate) const DENY_ALL: &str = r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#;
pub(crate) const ALLOW_OTHER: &str = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;

pub(crate) fn bare(resource: ResourceSide<'_>) -> Policies<'_> {
    Policies { resource, grant: Grant::None, identity: &[], boundary: None, session: None, endpoint: None }
}

pub(crate) fn guarded(policy: &Document) -> Policies<'_> {
    bare(ResourceSide::Guarded { policy, account: HOME })
}

/// Whether the key policy of these statements alone allows the caller to encrypt.
pub(crate) fn allows(statements: &str, caller: Principal<'_>, keys: &Keys) -> bool {
    let policy = key_policy(statements);
    let request = Request { principal: caller, action: "kms:Encrypt", resource: KEY, context: keys };
    decide(&request, &guarded(&policy)).is_allow()
}

/// A decision in a few words: `allow`, `deny explicit Identity`, `deny implicit Resource`..
pub(crate) fn words(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allow(_) => "allow".to_owned(),
        Decision::Deny(Reason::Explicit(statement)) => format!("deny explicit {:?}", statement.layer),
        Decision::Deny(Reason::Implicit(layer)) => format!("deny implicit {layer:?}"),
    }
}
