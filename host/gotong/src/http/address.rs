//! Whose address a request comes from.
//!
//! The socket's, unless a proxy that the settings trust sits there: then what that proxy says, read from the right, up to
//! the first address that is no trusted proxy. What a client writes further left is never believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::{ForwardedBy, Network};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More proxies than that stand behind each other nowhere.
const MOST_HOPS: usize = 32;

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Who may say for whom they ask, and where they say it.
#[derive(Debug)]
pub struct Proxies {
    trusted: Vec<Network>,
    said_in: ForwardedBy,
}

impl Proxies {
    pub fn new(trusted: Vec<Network>, said_in: ForwardedBy) -> Self {
        Self { trusted, said_in }
    }

    /// The client's address. A list that cannot be read up to it counts as the last address that could.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        for hop in self.hops(headers).into_iter().rev().take(MOST_HOPS) {
            let Some(address) = hop else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The addresses as they stand there, the nearest last; `None` for what is not one.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let name = match self.said_in {
            ForwardedBy::XForwardedFor => X_FORWARDED_FOR,
            ForwardedBy::Forwarded => header::FORWARDED,
        };
        let parse = match self.said_in {
            ForwardedBy::XForwardedFor => address,
            ForwardedBy::Forwarded => forwarded_for,
        };
        let mut hops = Vec::new();
        for value in headers.get_all(name) {
            match value.to_str() {
                Ok(text) => hops.extend(text.split(',').map(parse)),
                Err(_) => hops.push(None),
            }
        }
        hops
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse()
        .or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()))
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// The `for` of one element (RFC 7239): `for=192.0.2.1;proto=https` or `for="[2001:db8::1]:80"`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let (_, node) = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

/// What is counted together: an address, or the network of 64 bits that one customer gets.
pub fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// A request without a peer: one that a test hands to the router itself.
pub const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;

    fn client(said_in: ForwardedBy, peer: &str, values: &[&str]) -> String {
        let trusted =
            ["10.0.0.0/8", "2001:db8::/32"].map(|text| Network::try_from(text.to_owned()).unwrap());
        let proxies = Proxies::new(trusted.to_vec(), said_in);
        let mut headers = HeaderMap::new();
        for value in values {
            let name = match said_in {
                ForwardedBy::XForwardedFor => X_FORWARDED_FOR,
                ForwardedBy::Forwarded => header::FORWARDED,
            };
            headers.append(name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_client_is_what_the_nearest_trusted_proxy_says() {
        let x = |peer, values: &[&str]| client(ForwardedBy::XForwardedFor, peer, values);
        assert_eq!(
            x("192.0.2.9", &["198.51.100.1"]),
            "192.0.2.9",
            "a stranger is not believed"
        );
        assert_eq!(x("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(x("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(x("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            x("10.0.0.1", &["203.0.113.1, 198.51.100.1"]),
            "198.51.100.1",
            "what is further left is the client's own"
        );
        assert_eq!(
            x("10.0.0.1", &["203.0.113.1, 198.51.100.1, 10.0.0.2"]),
            "198.51.100.1"
        );
        assert_eq!(
            x("10.0.0.1", &["203.0.113.1", "198.51.100.1:4711"]),
            "198.51.100.1"
        );
        assert_eq!(
            x("10.0.0.1", &["198.51.100.1, rubbish, 10.0.0.2"]),
            "10.0.0.2"
        );
        assert_eq!(x("2001:db8::1", &["[2001:db9::7]:80"]), "2001:db9::7");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_set() {
        let f = |values: &[&str]| client(ForwardedBy::Forwarded, "10.0.0.1", values);
        assert_eq!(
            f(&["for=203.0.113.1, For=\"[2001:db9::7]:80\";proto=https"]),
            "2001:db9::7"
        );
        assert_eq!(f(&["for=unknown"]), "10.0.0.1");
        assert_eq!(f(&["proto=https"]), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_customer_is_counted_once() {
        assert_eq!(
            counted("2001:db8:1:2:3:4:5:6".parse().unwrap()).to_string(),
            "2001:db8:1:2::"
        );
        assert_eq!(
            counted("192.0.2.1".parse().unwrap()).to_string(),
            "192.0.2.1"
        );
    }
}
