//! The configuration of `claviger serve`: one TOML file, in which an unknown key is an error.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use claviger_service::attestation::Roots;
use claviger_service::{Endpoint, Endpoints};
use claviger_wire::arn;
use serde::Deserialize;

use crate::entrance::{EndpointConfig, ProxyConfig};
use crate::oidc::{Https, Reach};
use crate::quotas::QuotasConfig;
use crate::services::ServiceConfig;
use crate::tls::PostQuantum;
use crate::{attestation, ledger};

/// The whole file.
///
/// ```
/// let config: claviger_server::config::Config = toml::from_str(r#"
///     account = "111122223333"
///     regions = ["eu-central-1"]
///     data_dir = "/var/lib/claviger"
///
///     [[listener]]
///     address = "0.0.0.0:7443"
///     tls = { certificate = "/etc/claviger/server.pem", key = "/etc/claviger/server-key.pem" }
///
///     [hsm]
///     socket = "/run/claviger/hsm.sock"
/// "#).unwrap();
/// config.check().unwrap();
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Account whose root user is made at the first start, 12 digits.
    pub account: String,
    /// Regions that are served.
    pub regions: Vec<String>,
    /// Folder of the store, the ledger and the security log.
    pub data_dir: PathBuf,
    /// Where requests come in.
    #[serde(rename = "listener")]
    pub listeners: Vec<ListenerConfig>,
    /// VPC endpoints that load balancers name, or that several listeners are.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<EndpointConfig>,
    /// Services that may call on behalf of users.
    #[serde(default, rename = "service")]
    pub services: Vec<ServiceConfig>,
    /// The HSM.
    pub hsm: HsmConfig,
    /// The root user's credentials.
    #[serde(default)]
    pub root: RootConfig,
    /// The audit ledger.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Who may vouch for enclaves.
    #[serde(default)]
    pub attestation: AttestationConfig,
    /// How fast accounts may call, and how much they may have.
    #[serde(default)]
    pub quotas: QuotasConfig,
    /// The servers of identity providers.
    #[serde(default)]
    pub oidc: OidcConfig,
    /// Metrics and health.
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// Threads that carry out requests; as many as there are cores when absent.
    #[serde(default)]
    pub threads: Option<usize>,
    /// How often what is noted in memory is written (last uses of keys, how far the ledger is), in seconds;
    /// [`claviger_service::writeback::WRITE_SECONDS`] when absent.
    pub last_use_seconds: Option<u32>,
}

/// One listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS. Without it the address must be a loopback address.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Id of the VPC endpoint that this listener is, `vpce-..`: of one that `vpc` declares here, or of an `[[endpoint]]`.
    #[serde(default)]
    pub vpce: Option<String>,
    /// The VPC that it is in, `vpc-..`.
    #[serde(default)]
    pub vpc: Option<String>,
    /// See [`EndpointConfig::account`].
    #[serde(default)]
    pub endpoint_account: Option<String>,
    /// See [`EndpointConfig::policy`].
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// The load balancers before it. Where there are, no connection comes in but from them, with their header.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyConfig>,
}

/// TLS of a listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain, PEM, the server's first.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// `prefer` (default) or `require` hybrid post-quantum key exchange.
    #[serde(default)]
    pub post_quantum: PostQuantum,
}

/// Where the HSM is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmConfig {
    /// Unix socket of a `claviger-hsm` that runs as a service of its own.
    pub socket: PathBuf,
    /// Days from one domain key to the next, [`claviger_service::schedule::PERIOD_DAYS`] when absent; 0 makes none.
    #[serde(default)]
    pub domain_key_days: Option<u16>,
}

/// The root user's credentials at the first start. They may also stand in the environment variables
/// `CLAVIGER_ROOT_ACCESS_KEY_ID` and `CLAVIGER_ROOT_SECRET_ACCESS_KEY`. When neither is given, new ones are made and
/// written to `root-credentials` in the data folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootConfig {
    /// Access key id.
    pub access_key_id: Option<String>,
    /// File that holds the secret access key, readable by this user alone.
    pub secret_access_key_file: Option<PathBuf>,
}

/// The audit ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Length of one segment in bytes; 64 MiB when absent.
    pub segment_bytes: u64,
    /// Oldest segments are removed beyond this many bytes; 0 (when absent) keeps everything.
    pub keep_bytes: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { segment_bytes: ledger::DEFAULT_SEGMENT_LEN, keep_bytes: 0 }
    }
}

/// Whose signature makes an attestation document true. Only what is listed is trusted: a section that lists nothing but
/// `roots` does not trust AWS. Without any list, AWS's root for Nitro Enclaves and NitroTPM is trusted, and nobody else.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationConfig {
    /// Files with root certificates, PEM.
    #[serde(default)]
    pub roots: Option<Vec<PathBuf>>,
    /// SHA-256 fingerprints of root certificates that come with each document, 64 hexadecimal digits.
    #[serde(default)]
    pub root_fingerprints: Option<Vec<String>>,
}

impl AttestationConfig {
    /// Reads the files.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn read(&self) -> Result<Roots, String> {
        attestation::roots(self.roots.as_deref(), self.root_fingerprints.as_deref())
            .map_err(|error| format!("`attestation`: {error}"))
    }
}

/// Whose word is taken for the servers of identity providers (`iam:CreateOpenIDConnectProvider`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// Files with certificates of authorities, PEM, that are trusted beside the machine's.
    pub authorities: Vec<PathBuf>,
    /// Whether such a server may be on this machine's loopback addresses.
    pub loopback: bool,
    /// Whether such a server may be in a private network.
    pub private_networks: bool,
}

impl OidcConfig {
    /// Reads the files.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn read(&self) -> Result<Https, String> {
        let reach = Reach { loopback: self.loopback, private_networks: self.private_networks };
        Https::new(&self.authorities, reach).map_err(|error| format!("`oidc`: {error}"))
    }
}

/// Metrics and health.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address and port of `/metrics` and `/healthz`.
    pub address: SocketAddr,
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Filter of the rare lines, such as `info`.
    pub filter: String,
    /// Whether each request gets a line.
    pub requests: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), requests: true }
    }
}

impl Config {
    /// Reads and checks a file, and the files of certificates and endpoint policies that it names.
    ///
    /// # Errors
    /// What to tell the operator: the place and the reason.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        let config: Self = toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
        config.check().map_err(|error| format!("{shown}: {error}"))?;
        config.attestation.read().map_err(|error| format!("{shown}: {error}"))?;
        config.endpoints().map_err(|error| format!("{shown}: {error}"))?;
        config.services().map_err(|error| format!("{shown}: {error}"))?;
        config.oidc.read().map_err(|error| format!("{shown}: {error}"))?;
        Ok(config)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn check(&self) -> Result<(), String> {
        if !arn::is_account(&self.account) {
            return Err("`account` must be twelve digits".to_owned());
        }
        if self.regions.is_empty() {
            return Err("`regions` must name at least one Region".to_owned());
        }
        if let Some(region) = self.regions.iter().find(|region| !arn::is_region(region)) {
            return Err(format!("`regions`: `{region}` is not a Region name"));
        }
        check_partition(&self.regions).map_err(|cause| format!("`regions`: {cause}"))?;
        if self.listeners.is_empty() {
            return Err("there must be at least one `[[listener]]`".to_owned());
        }
        for listener in &self.listeners {
            if listener.tls.is_none() && !listener.address.ip().is_loopback() {
                return Err(format!(
                    "listener {} needs `tls`: it is not a loopback address",
                    listener.address
                ));
            }
        }
        if self.audit.segment_bytes < ledger::MIN_SEGMENT_LEN {
            return Err(format!("`audit.segment_bytes` must be at least {}", ledger::MIN_SEGMENT_LEN));
        }
        if self.threads == Some(0) {
            return Err("`threads` must be at least 1".to_owned());
        }
        if self.last_use_seconds == Some(0) {
            return Err("`last_use_seconds` must be at least 1".to_owned());
        }
        self.quotas.read().map(drop)
    }

    /// The VPC endpoints, with their policies, which are read now.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn endpoints(&self) -> Result<Endpoints, String> {
        let mut declared = self.endpoints.clone();
        for listener in &self.listeners {
            declared.extend(listener.declares()?);
        }
        let read = |endpoint: &EndpointConfig| endpoint.read(&self.account);
        let endpoints = Endpoints::new(declared.iter().map(read).collect::<Result<Vec<Endpoint>, _>>()?)?;
        for listener in &self.listeners {
            listener.entrance(None, &endpoints)?;
        }
        Ok(endpoints)
    }

    /// Whether any listener can be reached from other machines.
    pub fn is_exposed(&self) -> bool {
        self.listeners.iter().any(|listener| is_exposed(listener.address.ip()))
    }
}

/// Whether an address can be reached from other machines.
pub fn is_exposed(address: IpAddr) -> bool {
    !address.is_loopback()
}

/// Regions that are served together are of one partition: an ARN of a user or role names its partition, so a policy that
/// denies something to one would not hold in the other.
///
/// # Errors
/// What to tell the operator.
pub fn check_partition(regions: &[String]) -> Result<(), String> {
    let Some(first) = regions.first() else { return Ok(()) };
    match regions.iter().find(|region| arn::partition(region) != arn::partition(first)) {
        Some(other) => Err(format!("`{other}` is of another partition than `{first}`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        account = "111122223333"
        regions = ["eu-central-1"]
        data_dir = "/var/lib/claviger"
        [[listener]]
        address = "127.0.0.1:7080"
        [hsm]
        socket = "/run/hsm.sock"
    "#;

    fn check_refused(from: &str, to: &str, expected: &str) {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "nothing was replaced");
        let outcome =
            toml::from_str::<Config>(&text).map_err(|error| error.to_string()).and_then(|c| c.check());
        let error = outcome.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_good_file_is_read() {
        let config: Config = toml::from_str(GOOD).unwrap();
        config.check().unwrap();
        assert!(!config.is_exposed());
        assert!(config.log.requests);
    }

    /// Attack L10: typing errors must not silently mean the default.
    #[test]
    fn l10_unknown_keys_and_bad_values_are_refused() {
        check_refused("data_dir", "datadir", "datadir");
        check_refused("[hsm]", "[hsm]\ntimeout = 1", "timeout");
        check_refused("[hsm]", "[hsm]\ndomain_key_days = -1", "domain_key_days");
        check_refused("111122223333", "11112222333", "twelve digits");
        check_refused("eu-central-1", "Europe", "not a Region");
        check_refused("[\"eu-central-1\"]", "[]", "at least one Region");
        check_refused("[\"eu-central-1\"]", "[\"eu-central-1\", \"cn-north-1\"]", "another partition");
        check_refused("127.0.0.1", "0.0.0.0", "needs `tls`");
        check_refused("[hsm]", "[audit]\nsegment_bytes = 10\n[hsm]", "segment_bytes");
        check_refused("account", "threads = 0\naccount", "threads");
        check_refused("account", "last_use_seconds = 0\naccount", "last_use_seconds");
        check_refused("[hsm]", "[quotas]\nkey = 1\n[hsm]", "key");
        check_refused("[hsm]", "[quotas]\nrates = { Sign = 1 }\n[hsm]", "requests");
        check_refused("[hsm]", "[oidc]\nauthority = []\n[hsm]", "authority");
        check_refused("[hsm]", "[attestation]\nroot = \"root.pem\"\n[hsm]", "root");
        check_refused("[hsm]", "[attestation]\nroots = \"root.pem\"\n[hsm]", "roots");
    }

    /// Reads a file whose listener has more members, and which goes on behind `---`.
    fn check_endpoints(more: &str, expected: Option<&str>) {
        let (listener, rest) = more.split_once("---").unwrap_or((more, ""));
        let text = GOOD.replace("127.0.0.1:7080\"", &format!("127.0.0.1:7080\"\n{listener}"));
        let text = format!("{text}\n{rest}");
        let read = toml::from_str::<Config>(&text).map_err(|error| error.to_string());
        match (read.and_then(|config| config.endpoints()), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{more}: {error}"),
            (outcome, _) => panic!("{more}: {outcome:?}"),
        }
    }

    /// Part of attack L10: a listener that was to be an endpoint, and is not, would let everything through.
    #[test]
    fn vpc_endpoints_and_load_balancers_are_declared_whole() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy.json");
        let here = policy.display();
        let (vpce, vpc) = ("vpce = \"vpce-0123456789abcdef0\"", "vpc = \"vpc-0123abcd\"");
        let (alone, whole) = (format!("---[[endpoint]]\n{vpce}"), format!("---[[endpoint]]\n{vpce}\n{vpc}"));
        check_endpoints(&format!("{vpce}\n{vpc}"), None);
        check_endpoints(&format!("{vpce}\n{vpc}\nendpoint_account = \"444455556666\""), None);
        check_endpoints(&format!("{vpce}{whole}"), None);
        check_endpoints(vpce, Some("no `[[endpoint]]`"));
        check_endpoints(vpc, Some("declared by"));
        check_endpoints(&format!("policy = \"{here}\""), Some("declared by"));
        check_endpoints(&format!("{vpce}\n{vpc}{whole}"), Some("declared twice"));
        check_endpoints(&alone, Some("vpc"));
        check_endpoints(&format!("{whole}\nprincipal = \"x\""), Some("principal"));
        check_endpoints(&format!("{whole}\naccount = \"1\""), Some("twelve digits"));
        check_endpoints(&whole.replace("vpc-", "net-"), Some("id of a VPC "));
        check_endpoints(&format!("{whole}\npolicy = \"{here}\""), Some("policy.json"));
        std::fs::write(&policy, "{\"Statement\": []}").unwrap();
        check_endpoints(&format!("{whole}\npolicy = \"{here}\""), Some("malformed"));
        std::fs::write(
            &policy,
            "{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"*\", \"Resource\": \"*\"}}",
        )
        .unwrap();
        check_endpoints(&format!("{whole}\npolicy = \"{here}\""), None);

        let trusted = |list: &str| format!("proxy_protocol = {{ trusted = [{list}] }}");
        check_endpoints(&trusted("\"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\""), None);
        check_endpoints(&trusted(""), Some("at least one"));
        for wrong in
            ["\"10.0.0.0/33\"", "\"010.0.0.1\"", "\"localhost\"", "\"10.0.0.1:443\"", "\"fe80::1%1\""]
        {
            check_endpoints(&trusted(wrong), Some("no network"));
        }
        check_endpoints(&trusted("\"0.0.0.0/0\""), Some("everyone"));
        check_endpoints(&trusted("\"::/0\""), Some("everyone"));
        check_endpoints("proxy_protocol = {}", Some("trusted"));
    }

    /// What a file says of attestation is read with it, so that `--check-config` finds what is wrong.
    #[test]
    fn attestation_roots_are_read_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("claviger.toml");
        let check = |section: &str, expected: Option<&str>| {
            std::fs::write(&file, format!("{GOOD}\n{section}")).unwrap();
            match (Config::read(&file), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
                (outcome, _) => panic!("{section}: {outcome:?}"),
            }
        };
        let g1 = "641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B";
        check("", None);
        check("[attestation]", None);
        check("[attestation]\nroot_fingerprints = []", None);
        check(&format!("[attestation]\nroot_fingerprints = [\"{g1}\"]"), None);
        check(
            &format!("[attestation]\nroot_fingerprints = [\"{}\"]", g1.replacen('6', "", 1)),
            Some("fingerprint"),
        );
        check("[attestation]\nroots = [\"/nowhere/root.pem\"]", Some("/nowhere/root.pem"));
    }
}
