//! VPC endpoints: which there are, and what may be asked through each (AWS PrivateLink Guide, "Control access to VPC
//! endpoints using endpoint policies").

use std::collections::HashMap;
use std::sync::Arc;

use claviger_policy::{Document, Kind, Malformed};
use claviger_wire::arn;
use claviger_wire::incoming::Origin;

use crate::decided::Fingerprint;
use crate::error::{Error, Result};

/// A VPC endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    id: Arc<str>,
    vpc: Box<str>,
    account: Box<str>,
    /// `None` is AWS's default: everything may be asked through it.
    policy: Option<(Document, Fingerprint)>,
}

impl Endpoint {
    /// An endpoint `vpce-..` in a network `vpc-..` of an account, with the text of its policy.
    ///
    /// # Errors
    /// What to tell the operator: ids that are none, or why the policy is malformed.
    pub fn new(
        id: &str,
        vpc: &str,
        account: &str,
        policy: Option<&str>,
    ) -> std::result::Result<Self, String> {
        if !is_id(id, "vpce-") {
            return Err(format!("`{id}` is not the id of a VPC endpoint (`vpce-0123456789abcdef0`)"));
        }
        if !is_id(vpc, "vpc-") {
            return Err(format!("`{vpc}` is not the id of a VPC (`vpc-0123456789abcdef0`)"));
        }
        if !arn::is_account(account) {
            return Err(format!("`{account}` is not an account: it must be twelve digits"));
        }
        let parse = |text| Ok((Document::parse(text, Kind::Endpoint)?, Fingerprint::of(text)));
        let policy: std::result::Result<_, Malformed> = policy.map(parse).transpose();
        let policy = policy.map_err(|malformed| format!("the policy of {id} is malformed: {malformed}"))?;
        Ok(Self { id: id.into(), vpc: vpc.into(), account: account.into(), policy })
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn vpc(&self) -> &str {
        &self.vpc
    }

    /// The account that owns it.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn policy(&self) -> Option<&Document> {
        self.policy.as_ref().map(|(document, _)| document)
    }

    /// What tells the text of its policy from others.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.policy.as_ref().map(|(_, fingerprint)| *fingerprint)
    }
}

/// Ids of AWS are 8 or 17 hexadecimal digits behind their prefix.
fn is_id(text: &str, prefix: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix(prefix).is_some_and(|rest| matches!(rest.len(), 8 | 17) && rest.bytes().all(is_digit))
}

/// The endpoints of an installation by their ids.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(HashMap<Arc<str>, Endpoint>);

impl Endpoints {
    /// Puts them together.
    ///
    /// # Errors
    /// What to tell the operator: an id that stands twice.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> std::result::Result<Self, String> {
        let mut known = HashMap::new();
        for endpoint in endpoints {
            if let Some(twice) = known.insert(Arc::clone(&endpoint.id), endpoint) {
                return Err(format!("the VPC endpoint {} is declared twice", twice.id));
            }
        }
        Ok(Self(known))
    }

    /// The ids.
    pub fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// The endpoint that a request came through. A listener names none that is not here; if it did, nothing is served.
    pub(crate) fn of(&self, origin: &Origin) -> Result<Option<&Endpoint>> {
        let Some(id) = &origin.endpoint else { return Ok(None) };
        let known = self.0.get(id).map(Some);
        known.ok_or_else(|| Error::internal("a listener named a VPC endpoint that is not configured"))
    }
}

#[cfg(test)]
mod tests {
    use claviger_wire::incoming::Peer;

    use super::*;

    fn check_refused(id: &str, vpc: &str, account: &str, policy: Option<&str>, expected: &str) {
        let error = Endpoint::new(id, vpc, account, policy).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        const ID: &str = "vpce-0123456789abcdef0";
        const VPC: &str = "vpc-0123abcd";
        const ACCOUNT: &str = "111122223333";
        Endpoint::new(ID, VPC, ACCOUNT, None).unwrap();
        for id in ["", "vpce-", "vpce-0123456789ABCDEF0", "vpc-0123456789abcdef0", "vpce-0123456789abcdef"] {
            check_refused(id, VPC, ACCOUNT, None, "id of a VPC endpoint");
        }
        check_refused(ID, "vpce-0123abcd", ACCOUNT, None, "id of a VPC ");
        check_refused(ID, VPC, "11112222333", None, "twelve digits");
        check_refused(ID, VPC, ACCOUNT, Some("{}"), "malformed");
        let without_principal = r#"{"Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
        check_refused(ID, VPC, ACCOUNT, Some(without_principal), "malformed");
        let too_long = format!("{}{}", " ".repeat(20_480), without_principal);
        check_refused(ID, VPC, ACCOUNT, Some(&too_long), "malformed");
        let one = || Endpoint::new(ID, VPC, ACCOUNT, None).unwrap();
        assert!(Endpoints::new([one(), one()]).unwrap_err().contains("twice"));
    }

    #[test]
    fn an_endpoint_that_is_not_configured_serves_nothing() {
        let peer = Peer::from(std::net::Ipv4Addr::LOCALHOST);
        let mut origin = Origin { peer, tls: None, endpoint: None };
        assert!(Endpoints::default().of(&origin).unwrap().is_none());
        origin.endpoint = Some("vpce-0123abcd".into());
        assert!(Endpoints::default().of(&origin).is_err());
    }
}
