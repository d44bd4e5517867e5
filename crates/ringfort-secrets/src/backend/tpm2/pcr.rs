// SPDX-License-Identifier: MIT OR Apache-2.0
//! Platform configuration registers: what the machine measured while it started.
//!
//! In: a list of PCRs (SHA-256 bank). Out: their values, and the digest of a policy that needs these values.
//!
//! **Invariant:** the list is what was asked for: sorted, each once, each in the bank; a bank that is not there is an error.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fault::TpmError;
use super::session::DIGEST;
use super::tpm::{Auth, Command, Tpm, digest_of};
use super::wire::{ALG_SHA256, Buffer, CC_PCR_READ, CC_POLICY_AUTH_VALUE, CC_POLICY_PCR};

/// Number of PCRs in a bank.
const PCR_COUNT: u8 = 24;

/// One PCR and its value when a key was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pcr {
    /// Its number.
    pub(super) index: u8,
    /// Its value, in hexadecimal.
    pub(super) value: String,
}

/// The list as it is used: sorted, each once.
pub(super) fn checked(list: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match sorted.iter().find(|index| **index >= PCR_COUNT) {
        Some(index) => Err(TpmError::Choice(format!("there is no PCR {index}; they are 0 to {}", PCR_COUNT - 1))),
        None if sorted.len() != list.len() => Err(TpmError::Choice("a PCR is listed twice".to_owned())),
        None => Ok(sorted),
    }
}

/// `TPML_PCR_SELECTION` of the SHA-256 bank.
pub(super) fn selection(list: &[u8]) -> Vec<u8> {
    let bits = list.iter().filter(|index| **index < PCR_COUNT).fold(0_u32, |bits, index| bits | 1 << index);
    let [a, b, c, _] = bits.to_le_bytes();
    [&1_u32.to_be_bytes()[..], &ALG_SHA256.to_be_bytes(), &[3, a, b, c]].concat()
}

/// The digest of the policy: these PCRs with these values, then the authorization value if `with_pin`.
pub(super) fn policy(list: &[u8], values: &[[u8; DIGEST]], with_pin: bool) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    if !list.is_empty() {
        let all = values.iter().fold(Sha256::new(), |hash, value| hash.chain_update(value)).finalize();
        let hash = Sha256::new().chain_update(digest).chain_update(CC_POLICY_PCR.to_be_bytes());
        digest = hash.chain_update(selection(list)).chain_update(all).finalize().into();
    }
    if with_pin {
        digest = Sha256::new().chain_update(digest).chain_update(CC_POLICY_AUTH_VALUE.to_be_bytes()).finalize().into();
    }
    digest
}

impl Tpm {
    /// The present values of the PCRs of `list`.
    pub(super) fn read_pcrs(&mut self, list: &[u8]) -> Result<Vec<[u8; DIGEST]>, TpmError> {
        list.iter().map(|index| self.read_pcr(*index)).collect()
    }

    fn read_pcr(&mut self, index: u8) -> Result<[u8; DIGEST], TpmError> {
        let mut parameters = Buffer::new()?;
        parameters.raw(&selection(&[index]));
        let operation = "read a PCR";
        let command = Command { code: CC_PCR_READ, operation, entities: &[], parameters, gives_handle: false };
        let answer = self.run(command, Auth::Nothing)?;
        let mut reader = answer.parameters()?;
        let (_updates, banks) = (reader.u32()?, reader.u32()?);
        for _ in 0..banks.min(1) {
            let (_hash, length) = (reader.u16()?, reader.u8()?);
            reader.take(length.into())?;
        }
        if banks > 1 {
            return Err(TpmError::Malformed { what: "PCRs of another bank" });
        }
        if reader.u32()? != 1 {
            return Err(TpmError::Choice(format!("PCR {index} is not in the SHA-256 bank of this TPM")));
        }
        let value = digest_of(reader.sized()?, "a PCR of another length")?;
        value.expose().try_into().map_err(|_| TpmError::Malformed { what: "a PCR of another length" })
    }
}

/// Which of `then` differ from `now`, in words; empty if none does.
pub(super) fn differing(then: &[Pcr], now: &[[u8; DIGEST]]) -> String {
    let differs = |(then, now): (&Pcr, &[u8; DIGEST])| (then.value != hexadecimal(now)).then(|| then.index.to_string());
    then.iter().zip(now).filter_map(differs).collect::<Vec<_>>().join(", ")
}

/// Bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_checked() {
        assert_eq!(checked(&[7, 0, 23]).unwrap(), [0, 7, 23]);
        assert!(matches!(checked(&[24]), Err(TpmError::Choice(_))));
        assert!(matches!(checked(&[7, 7]), Err(TpmError::Choice(_))));
        assert_eq!(selection(&[0, 7, 8, 23]), [0, 0, 0, 1, 0, 0x0B, 3, 0x81, 0x01, 0x80]);
    }

    #[test]
    fn policies_differ_by_list_values_and_pin() {
        let one = [[1; DIGEST]];
        let all = [
            policy(&[7], &one, false),
            policy(&[7], &one, true),
            policy(&[8], &one, false),
            policy(&[7], &[[2; DIGEST]], false),
            policy(&[], &[], true),
        ];
        for (at, digest) in all.iter().enumerate() {
            assert!(!all[..at].contains(digest));
        }
        assert_eq!(policy(&[], &[], false), [0; DIGEST]);
        // The digest that the TPM itself computes for PolicyAuthValue alone.
        assert_eq!(
            hexadecimal(&policy(&[], &[], true)),
            "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e"
        );
    }

    #[test]
    fn the_pcrs_that_differ_are_named() {
        let then = [Pcr { index: 0, value: hexadecimal(&[1; 32]) }, Pcr { index: 7, value: hexadecimal(&[2; 32]) }];
        assert_eq!(differing(&then, &[[1; 32], [2; 32]]), "");
        assert_eq!(differing(&then, &[[1; 32], [3; 32]]), "7");
        assert_eq!(differing(&then, &[[0; 32], [3; 32]]), "0, 7");
    }
}
