// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of TPM commands and responses (TPM 2.0 Library, parts 2 and 3): big-endian fields, sized buffers.
//!
//! In: fields, or a response. Out: a command in locked memory, or the response's fields.
//!
//! **Invariant:** nothing is longer than [`FRAME_MAX`] and nothing is read past its end; commands and responses may hold
//! secrets and are never in ordinary memory.

use crate::backend::tpm2::TpmError;
use crate::locked::Locked;

/// Longest command or response. Bytes; what the kernel's own driver takes.
pub(super) const FRAME_MAX: usize = 4096;
/// Length of the header of commands and responses. Bytes.
pub(super) const HEADER: usize = 10;

/// `TPM_ST_NO_SESSIONS`, `TPM_ST_SESSIONS`, `TPM_ST_HASHCHECK`.
pub(super) const ST_NO_SESSIONS: u16 = 0x8001;
pub(super) const ST_SESSIONS: u16 = 0x8002;
pub(super) const ST_HASHCHECK: u16 = 0x8024;

/// `TPM_ALG_*`.
pub(super) const ALG_HMAC: u16 = 0x0005;
pub(super) const ALG_AES: u16 = 0x0006;
pub(super) const ALG_KEYEDHASH: u16 = 0x0008;
pub(super) const ALG_XOR: u16 = 0x000A;
pub(super) const ALG_SHA256: u16 = 0x000B;
pub(super) const ALG_NULL: u16 = 0x0010;
pub(super) const ALG_ECDSA: u16 = 0x0018;
pub(super) const ALG_ECC: u16 = 0x0023;
pub(super) const ALG_CFB: u16 = 0x0043;
/// `TPM_ECC_NIST_P256`.
pub(super) const ECC_P256: u16 = 0x0003;

/// `TPM_RH_*` and `TPM_RS_PW`.
pub(super) const RH_OWNER: u32 = 0x4000_0001;
pub(super) const RH_NULL: u32 = 0x4000_0007;
pub(super) const RS_PW: u32 = 0x4000_0009;

/// `TPM_CC_*`.
pub(super) const CC_NV_UNDEFINE_SPACE: u32 = 0x122;
pub(super) const CC_NV_DEFINE_SPACE: u32 = 0x12A;
pub(super) const CC_CREATE_PRIMARY: u32 = 0x131;
pub(super) const CC_NV_INCREMENT: u32 = 0x134;
pub(super) const CC_SEQUENCE_COMPLETE: u32 = 0x13E;
pub(super) const CC_NV_READ: u32 = 0x14E;
pub(super) const CC_CREATE: u32 = 0x153;
pub(super) const CC_HMAC: u32 = 0x155;
pub(super) const CC_LOAD: u32 = 0x157;
pub(super) const CC_HMAC_START: u32 = 0x15B;
pub(super) const CC_SEQUENCE_UPDATE: u32 = 0x15C;
pub(super) const CC_SIGN: u32 = 0x15D;
pub(super) const CC_UNSEAL: u32 = 0x15E;
pub(super) const CC_FLUSH_CONTEXT: u32 = 0x165;
pub(super) const CC_NV_READ_PUBLIC: u32 = 0x169;
pub(super) const CC_POLICY_AUTH_VALUE: u32 = 0x16B;
pub(super) const CC_START_AUTH_SESSION: u32 = 0x176;
pub(super) const CC_GET_CAPABILITY: u32 = 0x17A;
pub(super) const CC_PCR_READ: u32 = 0x17E;
pub(super) const CC_POLICY_PCR: u32 = 0x17F;

/// Bytes that are being written, in locked memory. Writing too much is remembered and refused by [`Buffer::bytes`].
pub(super) struct Buffer {
    pages: Locked,
    length: usize,
    overflow: bool,
}

impl Buffer {
    /// An empty one.
    pub(super) fn new() -> Result<Self, TpmError> {
        Ok(Self { pages: Locked::zeroed(FRAME_MAX)?, length: 0, overflow: false })
    }

    /// Appends bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length.saturating_add(bytes.len());
        match self.pages.expose_mut().get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.overflow = true,
        }
        self
    }

    /// Appends one byte.
    pub(super) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends 16 bits.
    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends 32 bits.
    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// Appends a sized buffer (`TPM2B`): 16 bits of length, then the bytes.
    pub(super) fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        match u16::try_from(bytes.len()) {
            Ok(length) => self.u16(length).raw(bytes),
            Err(_) => {
                self.overflow = true;
                self
            }
        }
    }

    /// What was written.
    pub(super) fn bytes(&self) -> Result<&[u8], TpmError> {
        if self.overflow {
            return Err(TpmError::TooLong);
        }
        self.pages.expose().get(..self.length).ok_or(TpmError::TooLong)
    }

    /// What was written, to be changed in place.
    pub(super) fn bytes_mut(&mut self) -> Result<&mut [u8], TpmError> {
        if self.overflow {
            return Err(TpmError::TooLong);
        }
        self.pages.expose_mut().get_mut(..self.length).ok_or(TpmError::TooLong)
    }

    /// The whole frame, for a transport to receive into; [`Buffer::received`] says how much it was.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.pages.expose_mut()
    }

    /// Says how many bytes were received into [`Buffer::room`].
    pub(super) fn received(&mut self, length: usize) {
        self.length = length.min(FRAME_MAX);
        self.overflow = length > FRAME_MAX;
    }
}

/// Fields that are read one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their beginning.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], TpmError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(TpmError::Malformed { what: "a short response" })?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TpmError> {
        self.take(N)?.try_into().map_err(|_| TpmError::Malformed { what: "a short response" })
    }

    /// One byte.
    pub(super) fn u8(&mut self) -> Result<u8, TpmError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// 16 bits.
    pub(super) fn u16(&mut self) -> Result<u16, TpmError> {
        self.array().map(u16::from_be_bytes)
    }

    /// 32 bits.
    pub(super) fn u32(&mut self) -> Result<u32, TpmError> {
        self.array().map(u32::from_be_bytes)
    }

    /// 64 bits.
    pub(super) fn u64(&mut self) -> Result<u64, TpmError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A sized buffer (`TPM2B`).
    pub(super) fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// That nothing is left.
    pub(super) fn end(self) -> Result<(), TpmError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(TpmError::Malformed { what: "bytes after the end of a response" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_and_read_back() {
        let mut buffer = Buffer::new().unwrap();
        buffer.u8(1).u16(0x0203).u32(0x0405_0607).sized(b"abc").raw(&[8; 8]);
        let bytes = buffer.bytes().unwrap();
        assert_eq!(bytes, b"\x01\x02\x03\x04\x05\x06\x07\x00\x03abc\x08\x08\x08\x08\x08\x08\x08\x08");
        let mut reader = Reader::new(bytes);
        assert_eq!((reader.u8().unwrap(), reader.u16().unwrap(), reader.u32().unwrap()), (1, 0x0203, 0x0405_0607));
        assert_eq!(reader.sized().unwrap(), b"abc");
        assert!(reader.end().is_err());
        assert_eq!(reader.u64().unwrap(), 0x0808_0808_0808_0808);
        reader.end().unwrap();
    }

    #[test]
    fn deny_more_than_a_frame_and_reading_past_the_end() {
        let mut buffer = Buffer::new().unwrap();
        buffer.raw(&[0; FRAME_MAX]);
        assert_eq!(buffer.bytes().unwrap().len(), FRAME_MAX);
        buffer.u8(0);
        assert!(matches!(buffer.bytes(), Err(TpmError::TooLong)));
        assert!(matches!(Buffer::new().unwrap().sized(&[0; 70_000]).bytes(), Err(TpmError::TooLong)));
        for short in [&b""[..], b"\x00", b"\x00\x05abcd"] {
            assert!(Reader::new(short).sized().is_err(), "{short:?}");
        }
        assert!(Reader::new(&[0; 7]).u64().is_err());
    }
}
