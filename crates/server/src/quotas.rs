//! `[quotas]` of the configuration: how fast accounts may call, and how much they may have.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use claviger_service::quota::{Allowance, Allowances, Quotas};
use serde::Deserialize;

use crate::shell::Started;

/// Whether requests are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requests {
    /// They are not.
    #[default]
    Off,
    /// They are, against AWS's quotas where nothing else is said.
    Aws,
}

/// Quotas. Those that are not given are AWS's.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotasConfig {
    /// Whether requests are counted.
    pub requests: Requests,
    /// Most KMS keys of an account in a Region.
    pub keys: Option<u64>,
    /// Most aliases of a key.
    pub aliases_per_key: Option<usize>,
    /// Requests a second, by the name of their bucket.
    pub rates: BTreeMap<String, f64>,
    /// What single accounts are allowed, by their id.
    pub accounts: HashMap<String, AccountConfig>,
}

/// What one account is allowed; what is not given is as for every account.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountConfig {
    /// Most KMS keys in a Region.
    pub keys: Option<u64>,
    /// Most aliases of a key.
    pub aliases_per_key: Option<usize>,
    /// Requests a second, by the name of their bucket.
    pub rates: BTreeMap<String, f64>,
}

impl QuotasConfig {
    /// The quotas that it says.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn read(&self) -> Result<Quotas, String> {
        let has_rates = |rates: &BTreeMap<String, f64>| !rates.is_empty();
        let given = has_rates(&self.rates) || self.accounts.values().any(|account| has_rates(&account.rates));
        if given && self.requests == Requests::Off {
            return Err("`quotas`: `rates` count for nothing without `requests = \"aws\"`".to_owned());
        }
        let allowances = self.allowances().map_err(|error| format!("`quotas`: {error}"))?;
        Ok(match self.requests {
            Requests::Off => Quotas::of_resources(allowances),
            Requests::Aws => Quotas::of_requests(allowances, Arc::new(Started::now())),
        })
    }

    fn allowances(&self) -> Result<Allowances, String> {
        let accounts = self.accounts.iter().map(|(account, it)| {
            Ok::<_, String>((account.clone(), allowance(it.keys, it.aliases_per_key, &it.rates)?))
        });
        let accounts = accounts.collect::<Result<_, _>>()?;
        let allowances =
            Allowances { usual: allowance(self.keys, self.aliases_per_key, &self.rates)?, accounts };
        allowances.check()?;
        Ok(allowances)
    }
}

fn allowance(
    keys: Option<u64>,
    aliases_per_key: Option<usize>,
    rates: &BTreeMap<String, f64>,
) -> Result<Allowance, String> {
    Allowance::new(keys, aliases_per_key, rates.iter().map(|(name, rate)| (name.as_str(), *rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Quotas, String> {
        toml::from_str::<QuotasConfig>(text).map_err(|error| error.to_string()).and_then(|it| it.read())
    }

    #[test]
    fn good_sections_are_read() {
        let check = |text: &str| drop(read(text).unwrap());
        check("");
        check("requests = \"off\"\nkeys = 10");
        check("requests = \"aws\"");
        check(
            "requests = \"aws\"\nkeys = 200000\naliases_per_key = 10\n[rates]\nCreateKey = 20\n\
             GenerateDataKeyPair-RSA_4096 = 0.5\n[accounts.111122223333]\nkeys = 5\n\
             [accounts.111122223333.rates]\nSTS = 10",
        );
    }

    /// Attack L10: typing errors must not silently mean the default.
    #[test]
    fn l10_what_would_count_for_nothing_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = read(text).err().unwrap();
            assert!(error.contains(expected), "{error}");
        };
        check("request = \"aws\"", "request");
        check("requests = \"on\"", "on");
        check("requests = true", "requests");
        check("[rates]\nCreateKey = 20", "`requests = \"aws\"`");
        check("[accounts.111122223333.rates]\nCreateKey = 20", "`requests = \"aws\"`");
        check("requests = \"aws\"\n[rates]\nCreateKeys = 20", "`CreateKeys` is not a bucket");
        check("requests = \"aws\"\n[rates]\nCreateKey = 0", "`CreateKey` must be between");
        check("aliases_per_key = 1001", "at most 1000");
        check("keys = -1", "keys");
        check("[accounts.11112222333]\nkeys = 5", "twelve digits");
        check("[accounts.111122223333]\nkey = 5", "key");
    }
}
