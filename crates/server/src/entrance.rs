//! What a listener knows of the connections that come in at it: TLS, the VPC endpoint, the load balancers before it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use claviger_service::{Endpoint, Endpoints};
use ipnet::IpNet;
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::config::ListenerConfig;
use crate::listen::HANDSHAKE_TIMEOUT;
use crate::proxy::{self, Said};

/// A VPC endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Its id, `vpce-` and 8 or 17 hexadecimal digits.
    pub vpce: String,
    /// The VPC that it is in, `vpc-` and 8 or 17 hexadecimal digits.
    pub vpc: String,
    /// The account that owns it; the installation's first when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// File with its policy. Without one, everything may be asked through it.
    #[serde(default)]
    pub policy: Option<PathBuf>,
}

impl EndpointConfig {
    /// Reads the policy. `account` owns the endpoint where nothing else is said.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn read(&self, account: &str) -> Result<Endpoint, String> {
        let policy =
            match &self.policy {
                None => None,
                Some(path) => {
                    let text = std::fs::read_to_string(path);
                    Some(text.map_err(|error| {
                        format!("the policy of {}: {}: {error}", self.vpce, path.display())
                    })?)
                }
            };
        let account = self.account.as_deref().unwrap_or(account);
        Endpoint::new(&self.vpce, &self.vpc, account, policy.as_deref())
    }
}

/// The load balancers before a listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Their addresses: networks such as `10.0.0.0/24`, or single ones.
    pub trusted: Vec<String>,
}

impl ProxyConfig {
    fn networks(&self) -> Result<Vec<IpNet>, String> {
        if self.trusted.is_empty() {
            return Err("`proxy_protocol.trusted` must name at least one load balancer".to_owned());
        }
        let network = |text: &String| {
            let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            let network = network
                .map_err(|_| format!("`proxy_protocol.trusted`: `{text}` is no address and no network"))?;
            match network.prefix_len() {
                // Whoever can connect could claim to be anyone.
                0 => Err(format!("`proxy_protocol.trusted`: `{text}` is everyone")),
                _ => Ok(network),
            }
        };
        self.trusted.iter().map(network).collect()
    }
}

impl ListenerConfig {
    /// The endpoint that it declares.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn declares(&self) -> Result<Option<EndpointConfig>, String> {
        let (account, policy) = (self.endpoint_account.clone(), self.policy.clone());
        match (&self.vpce, &self.vpc) {
            (Some(vpce), Some(vpc)) => {
                Ok(Some(EndpointConfig { vpce: vpce.clone(), vpc: vpc.clone(), account, policy }))
            }
            (_, None) if account.is_none() && policy.is_none() => Ok(None),
            _ => Err(format!("listener {}: a VPC endpoint is declared by `vpce` and `vpc`", self.address)),
        }
    }

    /// What it knows of connections.
    ///
    /// # Errors
    /// What to tell the operator.
    pub fn entrance(&self, tls: Option<Arc<ServerConfig>>, known: &Endpoints) -> Result<Entrance, String> {
        let endpoint = self.vpce.as_deref().map(|vpce| {
            known.ids().find(|id| ***id == *vpce).map(Arc::clone).ok_or_else(|| {
                format!("listener {}: there is no `[[endpoint]]` with `vpce` {vpce}", self.address)
            })
        });
        let proxies = match &self.proxy_protocol {
            None => None,
            Some(proxies) => Some(Proxies {
                trusted: proxies.networks().map_err(|error| format!("listener {}: {error}", self.address))?,
                endpoints: known.ids().map(Arc::clone).collect(),
            }),
        };
        Ok(Entrance { tls, endpoint: endpoint.transpose()?, proxies })
    }
}

/// One way in.
#[derive(Debug, Default)]
pub struct Entrance {
    /// TLS, if it is spoken here.
    pub tls: Option<Arc<ServerConfig>>,
    /// The VPC endpoint that this listener is.
    pub endpoint: Option<Arc<str>>,
    /// The load balancers that connections must come through.
    pub proxies: Option<Proxies>,
}

/// Load balancers that are believed.
#[derive(Debug)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<IpNet>,
    /// The VPC endpoints that they may name.
    pub endpoints: HashSet<Arc<str>>,
}

/// Where a connection comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Whence {
    /// Address of the client.
    pub peer: IpAddr,
    /// VPC endpoint that it came through.
    pub endpoint: Option<Arc<str>>,
}

/// Why a connection is closed before anything is said; stands in the security log.
pub type TurnedAway = &'static str;

impl Entrance {
    /// Over plain HTTP or TLS, without more.
    pub fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        Self { tls, ..Self::default() }
    }

    /// Finds out where a connection comes from, by its socket and by the PROXY protocol's header where that is spoken.
    ///
    /// # Errors
    /// [`TurnedAway`].
    pub async fn whence(&self, stream: &mut TcpStream, socket: IpAddr) -> Result<Whence, TurnedAway> {
        let socket = socket.to_canonical();
        let Some(proxies) = &self.proxies else { return self.direct(socket) };
        if !proxies.trusts(socket) {
            return Err("ProxyNotTrusted");
        }
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, proxy::read(stream)).await {
            Ok(Ok(said)) => self.told(proxies, socket, said),
            Ok(Err(unusable)) => Err(unusable.name()),
            Err(_) => Err("ProxyHeaderTimeout"),
        }
    }

    fn direct(&self, socket: IpAddr) -> Result<Whence, TurnedAway> {
        Ok(Whence { peer: socket, endpoint: self.endpoint.clone() })
    }

    /// What a trusted header makes of a connection. An endpoint that is not configured has no policy to go by, and on a
    /// listener that is an endpoint itself no other can be meant: both are turned away.
    fn told(&self, proxies: &Proxies, socket: IpAddr, said: Said) -> Result<Whence, TurnedAway> {
        let (peer, named) = match said {
            Said::Local => return self.direct(socket),
            Said::Proxied { source, endpoint } => (source, endpoint),
        };
        let named = match &named {
            None => None,
            Some(id) => Some(proxies.endpoints.get(id.as_str()).ok_or("UnknownVpcEndpoint")?),
        };
        match (&self.endpoint, named) {
            (Some(own), Some(named)) if own != named => Err("UnknownVpcEndpoint"),
            (own, named) => Ok(Whence { peer, endpoint: own.as_ref().or(named).cloned() }),
        }
    }
}

impl Proxies {
    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "vpce-0123abcd";
    const OTHER: &str = "vpce-0123abce";

    fn entrance(endpoint: Option<&str>) -> Entrance {
        let proxies = Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            endpoints: [ONE, OTHER].map(Arc::from).into(),
        };
        Entrance { endpoint: endpoint.map(Arc::from), proxies: Some(proxies), tls: None }
    }

    fn check(own: Option<&str>, named: Option<&str>, expected: Result<Option<&str>, TurnedAway>) {
        let entrance = entrance(own);
        let source = "192.0.2.7".parse().unwrap();
        let said = Said::Proxied { source, endpoint: named.map(str::to_owned) };
        let proxies = entrance.proxies.as_ref().unwrap();
        let found = entrance.told(proxies, "10.0.0.1".parse().unwrap(), said);
        let expected = expected.map(|id| Whence { peer: source, endpoint: id.map(Arc::from) });
        assert_eq!(found, expected, "{own:?} {named:?}");
    }

    #[test]
    fn an_endpoint_is_the_listeners_or_the_one_that_is_named() {
        check(None, None, Ok(None));
        check(None, Some(ONE), Ok(Some(ONE)));
        check(Some(ONE), None, Ok(Some(ONE)));
        check(Some(ONE), Some(ONE), Ok(Some(ONE)));
        check(Some(ONE), Some(OTHER), Err("UnknownVpcEndpoint"));
        check(None, Some("vpce-99999999"), Err("UnknownVpcEndpoint"));
        check(None, Some(""), Err("UnknownVpcEndpoint"));
    }

    #[test]
    fn the_load_balancers_own_connections_are_its_own() {
        let (entrance, socket) = (entrance(Some(ONE)), "10.0.0.1".parse().unwrap());
        let found = entrance.told(entrance.proxies.as_ref().unwrap(), socket, Said::Local).unwrap();
        assert_eq!(found, Whence { peer: socket, endpoint: Some(ONE.into()) });
    }

    #[test]
    fn b19_only_the_addresses_that_are_named_are_trusted() {
        let entrance = entrance(None);
        let trusts = |text: &str| {
            entrance.proxies.as_ref().unwrap().trusts(text.parse::<IpAddr>().unwrap().to_canonical())
        };
        for peer in ["10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1", "2001:db8::1"] {
            assert!(trusts(peer), "{peer}");
        }
        for peer in ["11.0.0.1", "9.255.255.255", "127.0.0.1", "2001:db9::1", "::ffff:11.0.0.1", "::a00:1"] {
            assert!(!trusts(peer), "{peer}");
        }
    }
}
