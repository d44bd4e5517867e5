// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bech32 (BIP 173), as age uses it: read only, of any length.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Longest text. Bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Length of the checksum. Characters.
const CHECKSUM_LEN: usize = 6;

/// Decodes `text`, which must begin with `prefix` and `1` and be of the prefix's case, into `out`. Out: how many bytes it
/// holds, at most one more than `out` has.
pub(super) fn decode(prefix: &str, text: &str, out: &mut [u8]) -> Result<usize, &'static str> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is too long");
    }
    let lower = !prefix.bytes().any(|b| b.is_ascii_uppercase());
    if text.bytes().any(|b| if lower { b.is_ascii_uppercase() } else { b.is_ascii_lowercase() }) {
        return Err("it is not all of one case");
    }
    let (found, data) = text.rsplit_once('1').ok_or("it has no prefix")?;
    if found != prefix {
        return Err("its prefix is another one");
    }
    let mut check = 1_u32;
    let folded = |byte: u8| byte.to_ascii_lowercase();
    prefix.bytes().for_each(|byte| check = step(check, folded(byte) >> 5));
    check = step(check, 0);
    prefix.bytes().for_each(|byte| check = step(check, folded(byte) & 31));
    let body = data.len().checked_sub(CHECKSUM_LEN).ok_or("it is cut short")?;
    let (mut bits, mut held, mut length) = (0_u32, 0_u32, 0_usize);
    for (place, byte) in data.bytes().enumerate() {
        let value = ALPHABET.iter().position(|known| *known == folded(byte)).ok_or("it has a wrong character")?;
        let value = u8::try_from(value).map_err(|_| "it has a wrong character")?;
        check = step(check, value);
        if place >= body {
            continue;
        }
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            if let Some(slot) = out.get_mut(length) {
                *slot = u8::try_from((bits >> held) & 0xff).unwrap_or(0);
            }
            length += 1;
            bits &= (1 << held) - 1;
        }
    }
    if check != 1 {
        return Err("a character is wrong or missing");
    }
    if held >= 5 || bits != 0 {
        return Err("its last bits are not zero");
    }
    Ok(length)
}

/// One step of the checksum.
fn step(check: u32, value: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = check >> 25;
    let next = ((check & 0x01ff_ffff) << 5) ^ u32::from(value);
    GENERATOR.iter().enumerate().fold(next, |next, (bit, word)| if (top >> bit) & 1 == 1 { next ^ word } else { next })
}
