//! The PROXY protocol, version 2, in which a load balancer says whose connection it passes on ("The PROXY protocol",
//! HAProxy, section 2.2; for the id of a VPC endpoint "Proxy protocol", Network Load Balancers User Guide).
//!
//! Version 1 is not spoken: it is text, and cannot name an endpoint.

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader, Tlv};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the signature, the command, the address family and the length.
const FIXED_LEN: usize = 16;
/// Longest header in bytes. Addresses take up to 216, a VPC endpoint's id under 30, a certificate's name some hundreds.
const MAX_LEN: usize = 4096;
/// `PP2_TYPE_AWS`: AWS's own extension.
const AWS_EXTENSION: u8 = 0xea;
/// `PP2_SUBTYPE_AWS_VPCE_ID`, the first byte of its value.
const VPC_ENDPOINT_ID: u8 = 0x01;
const VERSION_2: ParseConfig = ParseConfig { include_tlvs: true, allow_v1: false, allow_v2: true };

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// `LOCAL`: the load balancer connects for itself, for instance to see whether anyone answers.
    Local,
    /// `PROXY`: it passes a client's connection on.
    Proxied {
        /// The client's address.
        source: IpAddr,
        /// Id of the VPC endpoint that the client used.
        endpoint: Option<String>,
    },
}

/// Why a header is not taken. The texts stand in the security log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The connection ended before its header did.
    Cut,
    /// It is not one of version 2.
    Malformed,
    /// It is longer than 4,096 bytes.
    TooLong,
    /// It names no IP address, or no connection of TCP: there is nothing that `aws:SourceIp` could be.
    NoAddress,
}

impl Unusable {
    /// What the security log calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "ProxyHeaderMissing",
            Self::Malformed => "ProxyHeaderMalformed",
            Self::TooLong => "ProxyHeaderTooLong",
            Self::NoAddress => "ProxyHeaderWithoutAddress",
        }
    }
}

/// Reads the header that a connection begins with, and nothing of what follows it.
///
/// # Errors
/// [`Unusable`].
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Said, Unusable> {
    let mut header = vec![0; FIXED_LEN];
    stream.read_exact(&mut header).await.map_err(|_| Unusable::Cut)?;
    // What is no header at all is refused now, before it can make this wait for more.
    let rest = match ProxyHeader::parse(&header, VERSION_2) {
        Ok(_) => 0,
        Err(Error::BufferTooShort) => rest_len(&header),
        Err(_) => return Err(Unusable::Malformed),
    };
    let whole = FIXED_LEN + rest;
    if whole > MAX_LEN {
        return Err(Unusable::TooLong);
    }
    header.resize(whole, 0);
    let rest = header.get_mut(FIXED_LEN..).unwrap_or_default();
    stream.read_exact(rest).await.map_err(|_| Unusable::Cut)?;
    parse(&header)
}

/// How many bytes follow the fixed part.
fn rest_len(header: &[u8]) -> usize {
    let len = header.get(14..FIXED_LEN).and_then(|len| len.try_into().ok());
    len.map_or(0, |len| usize::from(u16::from_be_bytes(len)))
}

/// Reads a whole header.
///
/// # Errors
/// [`Unusable`].
pub fn parse(bytes: &[u8]) -> Result<Said, Unusable> {
    let (header, len) = ProxyHeader::parse(bytes, VERSION_2).map_err(|_| Unusable::Malformed)?;
    if len != bytes.len() {
        return Err(Unusable::Malformed);
    }
    // `LOCAL` carries addresses at most to be skipped ("the receiver must use the real connection endpoints").
    if bytes.get(12).is_some_and(|command| command & 0x0f == 0) {
        return Ok(Said::Local);
    }
    let endpoint = endpoint(&header)?;
    let address = header.proxied_address().filter(|address| address.protocol == Protocol::Stream);
    // Without an address of the client, the load balancer's own must not stand in for it: it may be one that is allowed.
    let address = address.ok_or(Unusable::NoAddress)?;
    Ok(Said::Proxied { source: address.source.ip().to_canonical(), endpoint })
}

/// The id of the VPC endpoint, which stands once or not at all. Every extension must be whole, whatever it says.
fn endpoint(header: &ProxyHeader<'_>) -> Result<Option<String>, Unusable> {
    let mut found = None;
    for tlv in header.tlvs() {
        let Tlv::Custom(AWS_EXTENSION, value) = tlv.map_err(|_| Unusable::Malformed)? else { continue };
        let Some((&VPC_ENDPOINT_ID, id)) = value.split_first() else { continue };
        let id = String::from_utf8(id.to_vec()).map_err(|_| Unusable::Malformed)?;
        if found.replace(id).is_some() {
            return Err(Unusable::Malformed);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const VPCE: &str = "vpce-0123456789abcdef0";

    /// A header of this command and family, with this behind the fixed part.
    fn header(command: u8, family: u8, parts: &[&[u8]]) -> Vec<u8> {
        let rest = parts.concat();
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &len, &rest].concat()
    }

    fn ipv4(source: [u8; 4]) -> Vec<u8> {
        [&source[..], &[10, 0, 0, 1], &[0x30, 0x39, 0x01, 0xbb]].concat()
    }

    fn extension(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn of_endpoint(id: &str) -> Vec<u8> {
        extension(AWS_EXTENSION, &[&[VPC_ENDPOINT_ID], id.as_bytes()].concat())
    }

    fn check(bytes: &[u8], expected: Result<Said, Unusable>) {
        assert_eq!(parse(bytes), expected, "{bytes:x?}");
        // Reading stops where the header ends, wherever the bytes come from.
        let stream = [bytes, b"POST / HTTP/1.1\r\n"].concat();
        let mut rest = &stream[..];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(read(&mut rest)), expected, "{bytes:x?}");
        assert!(expected.is_err() || rest == b"POST / HTTP/1.1\r\n");
    }

    fn proxied(source: &str, endpoint: Option<&str>) -> Result<Said, Unusable> {
        Ok(Said::Proxied { source: source.parse().unwrap(), endpoint: endpoint.map(str::to_owned) })
    }

    #[test]
    fn a_header_says_who_connects_and_through_which_endpoint() {
        let ipv4 = ipv4([192, 0, 2, 7]);
        check(&header(0x21, 0x11, &[&ipv4]), proxied("192.0.2.7", None));
        check(&header(0x21, 0x11, &[&ipv4, &of_endpoint(VPCE)]), proxied("192.0.2.7", Some(VPCE)));
        let mut ipv6 = [0; 36];
        ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        check(&header(0x21, 0x21, &[&ipv6]), proxied("2001:db8::", None));
        // An IPv4 address in IPv6 form is the IPv4 address.
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 7]);
        check(&header(0x21, 0x21, &[&mapped]), proxied("192.0.2.7", None));
        // Extensions of others, and other kinds of AWS's, are passed over.
        let others = [extension(0x04, &[0; 5]), extension(0x02, b"kms"), extension(AWS_EXTENSION, &[2, 9])];
        check(
            &header(0x21, 0x11, &[&ipv4, &others.concat(), &of_endpoint(VPCE)]),
            proxied("192.0.2.7", Some(VPCE)),
        );
    }

    #[test]
    fn the_load_balancer_may_connect_for_itself() {
        check(&header(0x20, 0x00, &[]), Ok(Said::Local));
        check(&header(0x20, 0x00, &[&of_endpoint(VPCE)]), Ok(Said::Local));
        check(&header(0x20, 0x11, &[&ipv4([192, 0, 2, 7])]), Ok(Said::Local));
    }

    /// The load balancer's address never stands in for one that its header does not give.
    #[test]
    fn b19_a_connection_that_is_passed_on_has_an_ip_address() {
        check(&header(0x21, 0x00, &[]), Err(Unusable::NoAddress));
        check(&header(0x21, 0x00, &[&of_endpoint(VPCE)]), Err(Unusable::NoAddress));
        check(&header(0x21, 0x31, &[&[b'a'; 216]]), Err(Unusable::NoAddress));
        check(&header(0x21, 0x12, &[&ipv4([192, 0, 2, 7])]), Err(Unusable::NoAddress));
    }

    #[test]
    fn what_is_not_whole_and_of_version_2_is_refused() {
        let good = header(0x21, 0x11, &[&ipv4([192, 0, 2, 7]), &of_endpoint(VPCE)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for len in 0..good.len() {
            assert_eq!(runtime.block_on(read(&mut &good[..len])), Err(Unusable::Cut), "{len} bytes");
            assert_eq!(parse(&good[..len]), Err(Unusable::Malformed), "{len} bytes");
        }
        check(b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n", Err(Unusable::Malformed));
        check(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", Err(Unusable::Malformed));
        for (place, byte) in [(0, b'X'), (11, 0), (12, 0x11), (12, 0x31), (12, 0x22), (13, 0x41), (13, 0x13)]
        {
            let mut bad = good.clone();
            bad[place] = byte;
            check(&bad, Err(Unusable::Malformed));
        }
        // Addresses and extensions that are longer than what is there, bytes that are none, two ids.
        check(&header(0x21, 0x11, &[&[0; 11]]), Err(Unusable::Malformed));
        check(&header(0x21, 0x31, &[&[0; 215]]), Err(Unusable::Malformed));
        let ipv4 = ipv4([192, 0, 2, 7]);
        check(&header(0x21, 0x11, &[&ipv4, &[0xea, 0, 9, 1]]), Err(Unusable::Malformed));
        check(&header(0x21, 0x11, &[&ipv4, &[0xea, 0]]), Err(Unusable::Malformed));
        check(
            &header(0x21, 0x11, &[&ipv4, &extension(AWS_EXTENSION, b"\x01\xff")]),
            Err(Unusable::Malformed),
        );
        let two = [of_endpoint(VPCE), of_endpoint(VPCE)].concat();
        check(&header(0x21, 0x11, &[&ipv4, &two]), Err(Unusable::Malformed));
    }

    /// Every value of every byte, whatever the library makes of it: an answer, and never a fault.
    #[test]
    fn no_header_brings_the_server_down() {
        let ssl = extension(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S', b'v', b'1', b'.', b'3']);
        let more = [ssl, extension(0x03, &[0; 4]), of_endpoint(VPCE)].concat();
        let good = header(0x21, 0x11, &[&ipv4([192, 0, 2, 7]), &more]);
        assert_eq!(parse(&good), proxied("192.0.2.7", Some(VPCE)));
        for place in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut altered = good.clone();
                altered[place] = byte;
                let source = match parse(&altered) {
                    Ok(Said::Proxied { source, .. }) => source.to_string(),
                    _ => continue,
                };
                // Only the four bytes of the source are the source.
                assert!((16..20).contains(&place) || source == "192.0.2.7", "byte {place}: {source}");
            }
        }
    }

    #[test]
    fn a_long_header_is_refused_before_it_is_read() {
        let padding = |len: usize| extension(0x04, &vec![0; len - 3]);
        let ipv4 = ipv4([192, 0, 2, 7]);
        let longest = header(0x21, 0x11, &[&ipv4, &padding(MAX_LEN - FIXED_LEN - ipv4.len())]);
        assert_eq!(longest.len(), MAX_LEN);
        check(&longest, proxied("192.0.2.7", None));
        let longer = header(0x21, 0x11, &[&ipv4, &padding(MAX_LEN - FIXED_LEN - ipv4.len() + 1)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(read(&mut &longer[..FIXED_LEN])), Err(Unusable::TooLong));
    }
}
