// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM that answers what a fuzzer wrote, and what is asked of it.
//!
//! In: any bytes: which operation, and the answers to its commands. Out: whether what must hold held.
//!
//! **Invariant:** answers are authenticated and masked as the TPM that holds the storage key would do it, so that the
//! fields behind them are reached; answers as they stand (the first byte above 127) never open anything, for whoever
//! wrote them knew no session.

use std::io;
use std::time::Duration;

use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};

use super::counter::{TpmCounter, TpmCounterSlot};
use super::fault::{Fault, NAME, TpmError};
use super::keys::TpmKeys;
use super::object::{Point, name_of, storage_template, text_of};
use super::pcr::hexadecimal;
use super::session::{DIGEST, ENCRYPT, Session};
use super::source::{TpmOptions, TpmSource};
use super::tpm::first_sized;
use super::transport::TpmDevice;
use super::wire::{
    Buffer, CC_CREATE_PRIMARY, CC_FLUSH_CONTEXT, CC_HMAC_START, CC_LOAD, CC_NV_DEFINE_SPACE, CC_NV_INCREMENT,
    CC_NV_READ, CC_NV_UNDEFINE_SPACE, CC_POLICY_AUTH_VALUE, CC_POLICY_PCR, CC_START_AUTH_SESSION, FRAME_MAX, HEADER,
    RS_PW, Reader, ST_NO_SESSIONS, ST_SESSIONS,
};
use crate::keys::{KeyHandle, KeyKind, KeyProvider as _};
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeySource as _, SlotData, StoreId};

const STORE: StoreId = StoreId([7; 16]);
/// What is kept of every object here.
const PUBLIC: &[u8] = &[1, 2];
/// The index of the counter, what its steps are authorized by, and to what it is bound.
const INDEX: u32 = 0x0180_0000;
const COUNTER_AUTH: [u8; 16] = [7; 16];
const BINDING: [u8; DIGEST] = [9; DIGEST];

/// One answer: to which command, whether it is a refusal, and its bytes.
struct Record {
    code: u8,
    refuses: bool,
    bytes: Vec<u8>,
}

/// What is answered.
pub(super) struct Script {
    /// Answers as they stand, one after the other.
    frames: Option<Vec<u8>>,
    records: Vec<Record>,
    sessions: Vec<(u32, Session)>,
    counter_auth: Vec<u8>,
    spoken: u8,
}

fn ended() -> TpmError {
    TpmError::Io(io::ErrorKind::UnexpectedEof.into())
}

/// The public half of the storage key: the base point, so that its private half is 1.
fn parent() -> Point {
    let point = p256::AffinePoint::GENERATOR.to_sec1_point(false);
    let coordinate = |bytes: Option<&p256::FieldBytes>| bytes.map_or([0; DIGEST], |bytes| (*bytes).into());
    Point { x: coordinate(point.x()), y: coordinate(point.y()) }
}

/// The public part of the storage key.
fn parent_public() -> Result<Vec<u8>, TpmError> {
    let template = storage_template()?;
    let fixed = template.bytes()?;
    let fixed = fixed.get(..fixed.len().saturating_sub(2 * (2 + DIGEST))).unwrap_or_default();
    let (point, length) = (parent(), [0, 32]);
    Ok([fixed, &length, &point.x, &length, &point.y].concat())
}

impl Script {
    /// The answers in `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let (mode, mut rest) = bytes.split_first().map_or((0, &[][..]), |(mode, rest)| (*mode, rest));
        let frames = (mode >= 0x80).then(|| rest.to_vec());
        let mut records = Vec::new();
        while let (None, Some((&[code, flags, high, low], more))) = (&frames, rest.split_first_chunk()) {
            let length = usize::from(u16::from_be_bytes([high, low])).min(more.len()).min(FRAME_MAX / 2);
            let (bytes, more) = more.split_at(length);
            records.push(Record { code, refuses: flags & 1 == 1, bytes: bytes.to_vec() });
            rest = more;
        }
        Self { frames, records, sessions: Vec::new(), counter_auth: COUNTER_AUTH.to_vec(), spoken: 0 }
    }

    /// Answers one command.
    pub(super) fn answer(&mut self, command: &[u8], room: &mut [u8]) -> Result<usize, TpmError> {
        let frame = match &mut self.frames {
            Some(frames) => {
                let mut reader = Reader::new(frames);
                let frame = reader.sized().map_err(|_| ended())?.to_vec();
                frames.drain(..2 + frame.len());
                frame
            }
            None => self.composed(command)?,
        };
        let code = frame.get(6..HEADER).and_then(|code| code.try_into().ok()).map_or(0, u32::from_be_bytes);
        if code != 0 && Fault::of(code) == Fault::Busy {
            // It would be asked again, after a pause each time.
            return Err(ended());
        }
        let place = room.get_mut(..frame.len()).ok_or(TpmError::TooLong)?;
        place.copy_from_slice(&frame);
        Ok(frame.len())
    }

    fn composed(&mut self, command: &[u8]) -> Result<Vec<u8>, TpmError> {
        let mut reader = Reader::new(command);
        let (tag, _size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
        let [.., low] = code.to_be_bytes();
        let record = self.records.iter().position(|record| record.code == low).map(|at| self.records.remove(at));
        let entities = match code {
            CC_START_AUTH_SESSION | CC_NV_INCREMENT | CC_NV_READ | CC_NV_UNDEFINE_SPACE => 2,
            _ => 1,
        };
        let mut authorization = None;
        if tag == ST_SESSIONS {
            reader.take(4 * entities)?;
            let length = reader.u32()?;
            let mut part = Reader::new(reader.take(usize::try_from(length).map_err(|_| TpmError::TooLong)?)?);
            authorization = Some((part.u32()?, part.sized()?.to_vec(), part.u8()?));
        }
        let bytes = match record {
            Some(record) if record.refuses => {
                let code = Reader::new(&record.bytes).u16().unwrap_or(0x101).max(1);
                let mut frame = Buffer::new()?;
                frame.u16(ST_NO_SESSIONS).u32(10).u32(code.into());
                return Ok(frame.bytes()?.to_vec());
            }
            Some(record) => record.bytes,
            None => self.honest(code, reader)?,
        };
        let with_handle = matches!(code, CC_CREATE_PRIMARY | CC_LOAD | CC_START_AUTH_SESSION | CC_HMAC_START);
        let (handle, parameters) = bytes.split_at(if with_handle { bytes.len().min(4) } else { 0 });
        let mut parameters = parameters.to_vec();
        let tail = match authorization {
            Some((session, nonce, attributes)) => {
                self.authorize((code, reader), (session, &nonce, attributes), &mut parameters)?
            }
            None => Vec::new(),
        };
        let mut body = handle.to_vec();
        if tag == ST_SESSIONS {
            body.extend_from_slice(&u32::try_from(parameters.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        body.extend_from_slice(&parameters);
        body.extend_from_slice(&tail);
        let mut frame = Buffer::new()?;
        frame.u16(tag).u32(u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX)).u32(0).raw(&body);
        Ok(frame.bytes()?.to_vec())
    }

    /// What a good TPM answers where the script says nothing; `command` is at its parameters.
    fn honest(&mut self, code: u32, mut command: Reader<'_>) -> Result<Vec<u8>, TpmError> {
        let mut answer = Buffer::new()?;
        match code {
            CC_CREATE_PRIMARY => {
                answer.u32(0x8000_0000).sized(&parent_public()?);
            }
            CC_START_AUTH_SESSION => {
                command.take(8)?;
                let nonce_caller = command.sized()?;
                let mut point = Reader::new(command.sized()?);
                self.spoken = self.spoken.wrapping_add(1);
                let (handle, nonce) = (0x0200_0000 + u32::from(self.spoken), [self.spoken; DIGEST]);
                let session = Session::of_a_tpm(&parent(), point.sized()?, nonce_caller, nonce)?;
                self.sessions.push((handle, session));
                answer.u32(handle).sized(&nonce);
            }
            CC_FLUSH_CONTEXT | CC_POLICY_PCR | CC_POLICY_AUTH_VALUE | CC_NV_INCREMENT | CC_NV_UNDEFINE_SPACE
            | CC_NV_DEFINE_SPACE => {}
            _ => return Err(ended()),
        }
        Ok(answer.bytes()?.to_vec())
    }

    /// The authorization part of an answer; masks its first parameter. `command` is at its parameters.
    fn authorize(
        &mut self,
        (code, command): (u32, Reader<'_>),
        (handle, nonce, attributes): (u32, &[u8], u8),
        parameters: &mut [u8],
    ) -> Result<Vec<u8>, TpmError> {
        let mut tail = Buffer::new()?;
        if handle == RS_PW {
            tail.sized(&[]).u8(0).sized(&[]);
            return Ok(tail.bytes()?.to_vec());
        }
        let session = self.sessions.iter_mut().find(|(known, _)| *known == handle);
        let Some((_, session)) = session else { return Err(ended()) };
        session.hear(nonce)?;
        if code == CC_NV_DEFINE_SPACE {
            let mut command = command;
            let mut auth = command.sized()?.to_vec();
            session.mask_command(&[], &mut auth)?;
            self.counter_auth = auth;
        }
        let counts = matches!(code, CC_NV_INCREMENT | CC_NV_READ);
        let auth: &[u8] = if counts { &self.counter_auth } else { &[] };
        self.spoken = self.spoken.wrapping_add(1);
        let newer = [self.spoken; DIGEST];
        session.speak(newer);
        if attributes & ENCRYPT != 0
            && let Ok(first) = first_sized(parameters)
        {
            session.mask_response(auth, first)?;
        }
        let digest = Sha256::new().chain_update([0; 4]).chain_update(code.to_be_bytes());
        let hmac = session.vouch(auth, &digest.chain_update(parameters).finalize(), attributes)?;
        tail.sized(&newer).u8(attributes).sized(&hmac);
        Ok(tail.bytes()?.to_vec())
    }
}

/// A slot as [`TpmSource`] keeps it, without a PIN.
fn slot(with_pcr: bool) -> Option<SlotData> {
    let parent = hexadecimal(&name_of(&parent_public().ok()?));
    let blob = serde_json::json!({"parent": parent, "public": text_of(PUBLIC), "private": ""});
    let pcr = serde_json::json!({"index": 7, "value": "00"});
    let pcrs = if with_pcr { vec![pcr] } else { Vec::new() };
    let data = serde_json::json!({"version": 1, "blob": blob, "pcrs": pcrs, "pin": false, "policy": ""});
    Some(SlotData { source: NAME.to_owned(), data })
}

fn key(kind: KeyKind) -> Option<KeyHandle> {
    let blob = slot(false)?.data.get("blob")?.to_string();
    let public = parent().sec1();
    Some(KeyHandle { kind, public: Some(public), private: Locked::copy_of(blob.as_bytes()).ok()? })
}

fn counter(options: TpmOptions) -> Option<TpmCounter> {
    // The name of the public part that the script gives: index, SHA-256, no attributes, what it is bound to.
    let mut public = Buffer::new().ok()?;
    public.u32(INDEX).u16(super::wire::ALG_SHA256).u32(0).sized(&BINDING);
    let name = hexadecimal(&name_of(public.bytes().ok()?));
    let slot = serde_json::json!({"version": 1, "index": INDEX, "name": name, "auth": COUNTER_AUTH, "first": 3});
    TpmCounter::open(options, serde_json::from_value::<TpmCounterSlot>(slot).ok()?).ok()
}

/// Asks for one operation. Out: whether nothing was opened by answers that no session authenticated, and keys have their
/// length.
pub(in crate::backend) fn operate(bytes: &[u8]) -> bool {
    let mode = bytes.first().copied().unwrap_or_default();
    let (device, timeout) = (TpmDevice::Scripted(bytes.to_vec()), Duration::from_secs(30));
    let options = TpmOptions { device, timeout, owner_password: None };
    let source = |options, pcrs| TpmSource::new(options, pcrs, None);
    let length = |key: Option<Locked>| key.map(|key| key.len() == KEY_LEN);
    // `None`: it failed, as it must where nothing was authenticated.
    let done: Option<bool> = match mode & 0x7F {
        0 => length(source(options, vec![0, 7]).create(STORE).ok().map(|(_, key)| key)),
        1 => length(slot(false).and_then(|slot| source(options, Vec::new()).open(STORE, &slot).ok())),
        2 => length(slot(true).and_then(|slot| source(options, Vec::new()).open(STORE, &slot).ok())),
        3 => TpmKeys::new(options).generate(KeyKind::EcdsaP256, "").ok().map(|_| true),
        4 => key(KeyKind::EcdsaP256).and_then(|key| TpmKeys::new(options).sign(&key, b"message").ok()).map(|_| true),
        5 => length(key(KeyKind::HmacSha256).and_then(|key| TpmKeys::new(options).derive(&key, b"context").ok())),
        6 => key(KeyKind::HmacSha256)
            .and_then(|key| TpmKeys::new(options).verify(&key, &[5; 3000], &[0; 32]).ok())
            .map(|_| true),
        7 => TpmCounter::create(options, |_| BINDING).ok().map(|_| true),
        8 => counter(options).and_then(|counter| counter.read(&BINDING).ok()).map(|_| true),
        _ => counter(options).and_then(|counter| counter.raise(&BINDING, 5).ok()).map(|_| true),
    };
    done.unwrap_or(true) && (mode < 0x80 || done.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(code: u32, bytes: &[u8]) -> Vec<u8> {
        let [.., low] = code.to_be_bytes();
        [&[low, 0][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn loaded() -> Vec<u8> {
        record(CC_LOAD, &[&[0x80, 0, 0, 1, 0, 34][..], &name_of(PUBLIC)].concat())
    }

    fn options(bytes: &[u8]) -> TpmOptions {
        let (device, timeout) = (TpmDevice::Scripted(bytes.to_vec()), Duration::from_secs(30));
        TpmOptions { device, timeout, owner_password: None }
    }

    /// What the fuzzer starts from reaches the fields behind every authentication.
    #[test]
    fn a_script_is_answered_to_the_end() {
        let unsealed = record(super::super::wire::CC_UNSEAL, &[&[0, 32][..], &[0x5a; 32]].concat());
        for (mode, with_pcr) in [(1, false), (2, true)] {
            let script = [&[mode][..], &loaded(), &unsealed].concat();
            let source = TpmSource::new(options(&script), Vec::new(), None);
            let key = source.open(STORE, &slot(with_pcr).unwrap()).unwrap();
            assert!(key.equals(&[0x5a; 32]) && operate(&script));
        }
        let public = [&INDEX.to_be_bytes()[..], &[0, 0x0B, 0, 0, 0, 0, 0, 32], &BINDING].concat();
        let public = record(super::super::wire::CC_NV_READ_PUBLIC, &[&[0, 44][..], &public].concat());
        let value = record(CC_NV_READ, &[0, 8, 0, 0, 0, 0, 0, 0, 0, 4]);
        let script = [&[8][..], &public, &value].concat();
        assert_eq!(counter(options(&script)).unwrap().read(&BINDING).unwrap(), 4);
        let short = record(CC_NV_READ, &[0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert!(counter(options(&[&[8][..], &public, &short].concat())).unwrap().read(&BINDING).is_err());
    }
}
