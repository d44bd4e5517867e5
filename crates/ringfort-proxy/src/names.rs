// SPDX-License-Identifier: MIT OR Apache-2.0
//! The synthetic addresses that names have, for one cage.
//!
//! In: names that the DNS answerer may answer. Out: an address each, and the name of an address.
//!
//! **Invariant:** an address is given to another name only after every other address of the range was given, so one
//! that a program kept does not lead to another name soon. The least recently used name goes first.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use crate::address::{SYNTHETIC_COUNT, synthetic, synthetic_number};
use crate::limits::NAMES_MAX;

#[derive(Debug)]
struct Known {
    number: u32,
    used: u64,
}

/// Names and their synthetic addresses.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: HashMap<String, Known>,
    by_number: HashMap<u32, String>,
    by_use: BTreeMap<u64, u32>,
    next: u32,
    uses: u64,
}

impl Names {
    /// The address of a name; the same one as long as the name is known.
    pub(crate) fn address(&mut self, name: &str) -> Ipv4Addr {
        if let Some(known) = self.by_name.get(name) {
            let number = known.number;
            self.touch(name);
            return synthetic(number);
        }
        if self.by_name.len() >= NAMES_MAX
            && let Some((_, oldest)) = self.by_use.pop_first()
            && let Some(name) = self.by_number.remove(&oldest)
        {
            self.by_name.remove(&name);
        }
        let number = self.free();
        self.uses += 1;
        self.by_name.insert(name.to_owned(), Known { number, used: self.uses });
        self.by_number.insert(number, name.to_owned());
        self.by_use.insert(self.uses, number);
        synthetic(number)
    }

    /// The name of an address; `None` if it has none (any more) or is not synthetic.
    pub(crate) fn name(&mut self, address: IpAddr) -> Option<String> {
        let name = self.by_number.get(&synthetic_number(address)?)?.clone();
        self.touch(&name);
        Some(name)
    }

    fn touch(&mut self, name: &str) {
        let Some(known) = self.by_name.get_mut(name) else { return };
        self.uses += 1;
        self.by_use.remove(&known.used);
        known.used = self.uses;
        self.by_use.insert(self.uses, known.number);
    }

    /// The next number that no name has. Some programs take a final 0 or 255 for a broadcast.
    fn free(&mut self) -> u32 {
        loop {
            self.next = (self.next + 1) % SYNTHETIC_COUNT;
            if !matches!(self.next & 0xff, 0 | 0xff) && !self.by_number.contains_key(&self.next) {
                return self.next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address() {
        let mut names = Names::default();
        let a = names.address("a.example");
        let b = names.address("b.example");
        assert_eq!((a.to_string().as_str(), b.to_string().as_str()), ("198.18.0.1", "198.18.0.2"));
        assert_eq!(names.address("a.example"), a);
        assert_eq!(names.name(IpAddr::V4(b)).as_deref(), Some("b.example"));
    }

    #[test]
    fn deny_addresses_without_a_name() {
        let mut names = Names::default();
        names.address("a.example");
        for address in ["198.18.0.2", "198.18.0.0", "127.0.0.1", "8.8.8.8", "::1"] {
            assert_eq!(names.name(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_what_is_not_used() {
        let mut names = Names::default();
        let first = names.address("kept.example");
        let second = names.address("lost.example");
        for number in 0..NAMES_MAX * 40 {
            let address = names.address(&format!("n{number}.example"));
            assert!(!matches!(address.octets()[3], 0 | 255));
            assert_ne!(address, first);
            assert_eq!(names.name(IpAddr::V4(first)).as_deref(), Some("kept.example"));
        }
        assert!(
            names.by_name.len() == NAMES_MAX && names.by_number.len() == NAMES_MAX && names.by_use.len() == NAMES_MAX
        );
        assert_ne!(names.name(IpAddr::V4(second)).as_deref(), Some("lost.example"));
    }
}
