// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an address may be dialed for a host that was allowed.
//!
//! In: the host that was asked for, what its verdict says of addresses, an address that it resolved to, and this
//! machine's own. Out: the address to dial, or the rule that speaks against it.
//!
//! **Invariant:** an address is judged in its one spelling: what carries an IPv4 address is that address. A metadata
//! service is never reached under another name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfort_policy::egress::{Host, Reach, parse_host, reach};

use crate::judge::Addresses;

/// Why an address is not dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressFault {
    /// It is private, or no public host has it.
    Private,
    /// It is a metadata service.
    Metadata,
    /// It belongs to this machine.
    Own,
}

/// An address in its one spelling.
fn canonical(address: IpAddr) -> Host {
    match address {
        IpAddr::V4(v4) => Host::V4(v4),
        IpAddr::V6(v6) => parse_host(&format!("[{v6}]")).unwrap_or(Host::V6(v6)),
    }
}

/// Checks one address; what to dial if it is good.
pub(crate) fn check(
    host: &Host,
    addresses: Addresses,
    address: IpAddr,
    own: &[IpAddr],
) -> Result<IpAddr, AddressFault> {
    let canonical_address = canonical(address);
    let meant = addresses == Addresses::Private;
    match reach(&canonical_address) {
        Reach::Metadata if !(meant && reach(host) == Reach::Metadata) => return Err(AddressFault::Metadata),
        Reach::Private if !meant => return Err(AddressFault::Private),
        _ => {}
    }
    if !meant && own.iter().any(|mine| canonical(*mine) == canonical_address) {
        return Err(AddressFault::Own);
    }
    // A mapped address is dialed as the address that was judged. Others (NAT64, 6to4) need their way through IPv6.
    Ok(match (address, canonical_address) {
        (IpAddr::V6(v6), Host::V4(v4)) if is_mapped(v6) => IpAddr::V4(v4),
        _ => address,
    })
}

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// The first address of the range for synthetic addresses (RFC 2544, 198.18.0.0/15).
const SYNTHETIC_FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// Addresses in that range.
pub(crate) const SYNTHETIC_COUNT: u32 = 1 << 17;

/// The synthetic address of a number.
pub(crate) fn synthetic(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(SYNTHETIC_FIRST + number % SYNTHETIC_COUNT)
}

/// The number of a synthetic address; `None` for any other.
pub(crate) fn synthetic_number(address: IpAddr) -> Option<u32> {
    let IpAddr::V4(v4) = address.to_canonical() else { return None };
    u32::from(v4).checked_sub(SYNTHETIC_FIRST).filter(|number| *number < SYNTHETIC_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        parse_host(text).unwrap()
    }

    #[test]
    fn deny_addresses_that_a_public_name_leads_to() {
        use AddressFault::{Metadata, Own, Private};
        let own = ["93.184.216.34".parse().unwrap(), "2606:4700::5".parse().unwrap()];
        for (address, expected) in [
            ("127.0.0.1", Private),
            ("0.0.0.0", Private),
            ("10.1.2.3", Private),
            ("172.16.0.1", Private),
            ("192.168.0.1", Private),
            ("169.254.1.1", Private),
            ("169.254.169.254", Metadata),
            ("100.64.0.1", Private),
            ("100.100.100.200", Metadata),
            ("192.0.0.192", Metadata),
            ("192.0.2.1", Private),
            ("198.18.0.1", Private),
            ("198.51.100.1", Private),
            ("203.0.113.1", Private),
            ("224.0.0.1", Private),
            ("240.0.0.1", Private),
            ("255.255.255.255", Private),
            ("::", Private),
            ("::1", Private),
            ("::ffff:127.0.0.1", Private),
            ("::ffff:a9fe:a9fe", Metadata),
            ("::ffff:0:10.0.0.1", Private),
            ("::10.0.0.1", Private),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b:1::8.8.8.8", Private),
            ("2002:7f00:1::", Private),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2001::8.8.8.8", Private),
            ("2001:db8::1", Private),
            ("3fff::1", Private),
            ("fc00::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fe80::1", Private),
            ("fec0::1", Private),
            ("ff02::1", Private),
            ("100::1", Private),
            ("93.184.216.34", Own),
            ("::ffff:93.184.216.34", Own),
            ("2606:4700::5", Own),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(check(&host("example.com"), Addresses::Public, address, &own), Err(expected), "{address}");
        }
    }

    #[test]
    fn what_is_named_may_be_private_but_no_metadata_service() {
        let own = ["93.184.216.34".parse().unwrap()];
        for (name, address, expected) in [
            ("intranet.example", "10.0.0.1", Ok("10.0.0.1")),
            ("127.0.0.1", "127.0.0.1", Ok("127.0.0.1")),
            ("example.com", "93.184.216.34", Ok("93.184.216.34")),
            ("example.com", "::ffff:8.8.8.8", Ok("8.8.8.8")),
            ("example.com", "64:ff9b::8.8.8.8", Ok("64:ff9b::808:808")),
            ("169.254.169.254", "169.254.169.254", Ok("169.254.169.254")),
            ("metadata.google.internal", "169.254.169.254", Ok("169.254.169.254")),
            ("intranet.example", "169.254.169.254", Err(AddressFault::Metadata)),
            ("127.0.0.1", "fd00:ec2::254", Err(AddressFault::Metadata)),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let expected = expected.map(|to| to.parse().unwrap());
            assert_eq!(check(&host(name), Addresses::Private, address, &own), expected, "{name} {address}");
        }
    }

    #[test]
    fn synthetic_addresses_have_numbers() {
        assert_eq!(synthetic(1).to_string(), "198.18.0.1");
        assert_eq!(synthetic(SYNTHETIC_COUNT - 1).to_string(), "198.19.255.255");
        for (address, expected) in [
            ("198.18.0.0", Some(0)),
            ("198.19.0.1", Some(65_537)),
            ("198.20.0.0", None),
            ("198.17.255.255", None),
            ("::1", None),
        ] {
            assert_eq!(synthetic_number(address.parse().unwrap()), expected, "{address}");
        }
    }
}
