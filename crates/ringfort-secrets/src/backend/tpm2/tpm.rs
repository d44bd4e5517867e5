// SPDX-License-Identifier: MIT OR Apache-2.0
//! One conversation with a TPM: commands, sessions, and handles that are given back.
//!
//! In: a command's handles and parameters. Out: the response's, checked.
//!
//! **Invariant:** every handle that was taken is flushed on every path ([`Tpm::holding`]); a command under a session
//! counts only when the response's HMAC is right.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::fault::{Fault, TpmError};
use super::object::{Parent, put_point};
use super::session::{AuthAnswer, Cover, DIGEST, Salt, Session};
use super::transport::{Deadline, TpmDevice, Transport};
use super::wire::{
    ALG_NULL, ALG_SHA256, ALG_XOR, Buffer, CC_FLUSH_CONTEXT, CC_GET_CAPABILITY, CC_POLICY_AUTH_VALUE, CC_POLICY_PCR,
    CC_START_AUTH_SESSION, HEADER, RH_NULL, RS_PW, Reader, ST_NO_SESSIONS, ST_SESSIONS,
};
use crate::locked::Locked;

/// How often a TPM that says it is busy is asked again, at most.
const BUSY_MAX: u32 = 200;
/// How long a busy TPM is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// `TPM_CAP_HANDLES`, and the handles of transient objects, loaded sessions and saved ones.
const CAP_HANDLES: u32 = 1;
const FIRST_HANDLES: [u32; 2] = [0x8000_0000, 0x0200_0000];
/// How many handles are asked for at once.
const HANDLES_MAX: u32 = 64;

/// `TPM_SE_*`: what a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Authorizes by an authorization value.
    Value,
    /// Authorizes by a policy.
    Policy,
}

/// Something that a command names: its handle, and the name that is authenticated.
#[derive(Clone, Copy)]
pub(super) struct Entity<'a> {
    /// Its handle.
    pub(super) handle: u32,
    /// Its name.
    pub(super) name: &'a [u8],
}

/// How the first entity of a command is authorized.
pub(super) enum Auth<'a> {
    /// Not at all: the command needs none.
    Nothing,
    /// By a password in the clear.
    Password(&'a [u8]),
    /// By a session, with the entity's authorization value.
    Session(&'a mut Session, &'a [u8], Cover),
}

/// One command.
pub(super) struct Command<'a> {
    /// `TPM_CC_*`.
    pub(super) code: u32,
    /// What it is called in errors.
    pub(super) operation: &'static str,
    /// What it names.
    pub(super) entities: &'a [Entity<'a>],
    /// Its parameters.
    pub(super) parameters: Buffer,
    /// Whether its response begins with a handle.
    pub(super) gives_handle: bool,
}

/// What a command was answered with: its handle, if it gives one, and its parameters.
pub(super) struct Answer {
    /// The handle; 0 without one.
    pub(super) handle: u32,
    frame: Buffer,
    start: usize,
    end: usize,
}

impl Answer {
    /// The parameters.
    pub(super) fn parameters(&self) -> Result<Reader<'_>, TpmError> {
        let bytes = self.frame.bytes()?.get(self.start..self.end);
        Ok(Reader::new(bytes.ok_or(TpmError::Malformed { what: "a short response" })?))
    }
}

/// An open TPM.
pub(super) struct Tpm {
    transport: Transport,
    deadline: Deadline,
    /// The handles that this conversation has taken and not given back.
    held: Vec<u32>,
}

impl Tpm {
    /// Opens `device` for one operation that may take `timeout`.
    pub(super) fn open(device: &TpmDevice, timeout: Duration) -> Result<Self, TpmError> {
        let deadline = Deadline::after(timeout);
        Ok(Self { transport: Transport::open(device, deadline)?, deadline, held: Vec::new() })
    }

    /// Does `work` while `handle` is held, and flushes it whatever comes of it.
    pub(super) fn holding<T>(
        &mut self,
        handle: u32,
        work: impl FnOnce(&mut Self) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let done = self.while_held(handle, work);
        let flushed = self.flush(handle);
        let value = done?;
        flushed.map(|()| value)
    }

    /// Does `work`, with which the TPM itself drops `handle`; flushes it if that did not come to its end.
    pub(super) fn holding_until_done<T>(
        &mut self,
        handle: u32,
        work: impl FnOnce(&mut Self) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let done = self.while_held(handle, work);
        if done.is_err() {
            // The first error is the one that counts.
            self.flush(handle).ok();
        }
        done
    }

    /// Does `work` with `handle` on the list of those that are given back whatever happens.
    fn while_held<T>(
        &mut self,
        handle: u32,
        work: impl FnOnce(&mut Self) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        self.held.push(handle);
        let done = work(self);
        self.held.retain(|held| *held != handle);
        done
    }

    /// Does `work` with a session that is salted by `parent`.
    pub(super) fn with_session<T>(
        &mut self,
        parent: &Parent,
        purpose: Purpose,
        work: impl FnOnce(&mut Self, &mut Session) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let salt = Salt::new(&parent.point)?;
        let mut point = Buffer::new()?;
        put_point(&mut point, salt.point());
        let mut parameters = Buffer::new()?;
        parameters.sized(salt.nonce()).sized(point.bytes()?);
        parameters.u8(if purpose == Purpose::Policy { 0x01 } else { 0x00 });
        parameters.u16(ALG_XOR).u16(ALG_SHA256).u16(ALG_SHA256);
        let entities = [parent.entity(), Entity { handle: RH_NULL, name: &[] }];
        let operation = "start a session";
        let answer = self.run(
            Command { code: CC_START_AUTH_SESSION, operation, entities: &entities, parameters, gives_handle: true },
            Auth::Nothing,
        )?;
        self.holding(answer.handle, |tpm| {
            let mut reader = answer.parameters()?;
            let nonce = reader.sized()?;
            reader.end()?;
            let mut session = salt.session(answer.handle, nonce)?;
            work(tpm, &mut session)
        })
    }

    /// Ties a policy session to the present values of the PCRs of `selection`.
    pub(super) fn policy_pcr(&mut self, session: &Session, selection: &[u8]) -> Result<(), TpmError> {
        let mut parameters = Buffer::new()?;
        // An empty digest: what the values must be is in the policy of the object.
        parameters.sized(&[]).raw(selection);
        let entities = [Entity { handle: session.handle, name: &[] }];
        let operation = "check the PCRs";
        let command = Command { code: CC_POLICY_PCR, operation, entities: &entities, parameters, gives_handle: false };
        self.run(command, Auth::Nothing).map(drop)
    }

    /// Ties a policy session to the authorization value of the object.
    pub(super) fn policy_auth_value(&mut self, session: &Session) -> Result<(), TpmError> {
        let entities = [Entity { handle: session.handle, name: &[] }];
        let operation = "ask for the PIN";
        let parameters = Buffer::new()?;
        let command =
            Command { code: CC_POLICY_AUTH_VALUE, operation, entities: &entities, parameters, gives_handle: false };
        self.run(command, Auth::Nothing).map(drop)
    }

    /// Runs a command. A TPM that is busy is asked again until the deadline; one without room is emptied first, if
    /// nobody else can be using it.
    pub(super) fn run(&mut self, mut command: Command<'_>, mut auth: Auth<'_>) -> Result<Answer, TpmError> {
        let mut emptied = false;
        for _ in 0..BUSY_MAX {
            let answer = self.once(&mut command, &mut auth);
            match answer.as_ref().err().and_then(TpmError::fault) {
                Some(Fault::Busy) => {
                    std::thread::sleep(BUSY_PAUSE.min(self.deadline.left()?));
                }
                Some(Fault::Memory) if !self.transport.managed && !emptied => {
                    emptied = true;
                    self.empty()?;
                }
                _ => return answer,
            }
        }
        Err(self.deadline.passed())
    }

    fn once(&mut self, command: &mut Command<'_>, auth: &mut Auth<'_>) -> Result<Answer, TpmError> {
        let frame = build(command, auth)?;
        let response = self.transport.exchange(frame.bytes()?, self.deadline)?;
        understand(command, auth, response)
    }

    /// Gives a handle back.
    fn flush(&mut self, handle: u32) -> Result<(), TpmError> {
        let mut parameters = Buffer::new()?;
        parameters.u32(handle);
        let mut command = Command {
            code: CC_FLUSH_CONTEXT,
            operation: "flush a handle",
            entities: &[],
            parameters,
            gives_handle: false,
        };
        self.once(&mut command, &mut Auth::Nothing).map(drop)
    }

    /// Flushes what programs that died left in a TPM that has no resource manager: a connection of that sort is the only
    /// one. What this conversation holds stays.
    fn empty(&mut self) -> Result<(), TpmError> {
        for first in FIRST_HANDLES {
            for handle in self.handles(first)? {
                if !self.held.contains(&handle) {
                    self.flush(handle)?;
                }
            }
        }
        Ok(())
    }

    /// The handles of the sort of `first`, from that one on; at most [`HANDLES_MAX`].
    pub(super) fn handles(&mut self, first: u32) -> Result<Vec<u32>, TpmError> {
        let mut parameters = Buffer::new()?;
        parameters.u32(CAP_HANDLES).u32(first).u32(HANDLES_MAX);
        let operation = "list handles";
        let mut ask = Command { code: CC_GET_CAPABILITY, operation, entities: &[], parameters, gives_handle: false };
        let answer = self.once(&mut ask, &mut Auth::Nothing)?;
        let mut reader = answer.parameters()?;
        let (_more, _capability) = (reader.u8()?, reader.u32()?);
        (0..reader.u32()?.min(HANDLES_MAX)).map(|_| reader.u32()).collect()
    }
}

/// The bytes of a command. The parameters of a command under a session are masked in the copy, never in the command, so
/// that it can be built again with new nonces.
fn build(command: &Command<'_>, auth: &mut Auth<'_>) -> Result<Buffer, TpmError> {
    let mut parameters = Buffer::new()?;
    parameters.raw(command.parameters.bytes()?);
    let mut authorization = Buffer::new()?;
    match auth {
        Auth::Nothing => {}
        Auth::Password(value) => {
            authorization.u32(RS_PW).sized(&[]).u8(0).sized(value);
        }
        Auth::Session(session, value, cover) => {
            session.next()?;
            if matches!(cover, Cover::In | Cover::Both) {
                session.mask_command(value, first_sized(parameters.bytes_mut()?)?)?;
            }
            let mut digest = Sha256::new();
            digest.update(command.code.to_be_bytes());
            command.entities.iter().for_each(|entity| digest.update(entity.name));
            digest.update(parameters.bytes()?);
            let hmac = session.authorize(value, &digest.finalize(), cover.attributes())?;
            authorization.u32(session.handle).sized(session.nonce()).u8(cover.attributes()).sized(&hmac);
        }
    }
    let (authorization, parameters) = (authorization.bytes()?, parameters.bytes()?);
    let with_sessions = !authorization.is_empty();
    let length = HEADER
        + 4 * command.entities.len()
        + if with_sessions { 4 + authorization.len() } else { 0 }
        + parameters.len();
    let mut frame = Buffer::new()?;
    frame.u16(if with_sessions { ST_SESSIONS } else { ST_NO_SESSIONS });
    frame.u32(u32::try_from(length).map_err(|_| TpmError::TooLong)?).u32(command.code);
    command.entities.iter().for_each(|entity| {
        frame.u32(entity.handle);
    });
    if with_sessions {
        frame.u32(u32::try_from(authorization.len()).map_err(|_| TpmError::TooLong)?).raw(authorization);
    }
    frame.raw(parameters);
    Ok(frame)
}

/// Reads a response, checks its authorization and lifts the mask of its first parameter.
fn understand(command: &Command<'_>, auth: &mut Auth<'_>, mut frame: Buffer) -> Result<Answer, TpmError> {
    let length = frame.bytes()?.len();
    let mut reader = Reader::new(frame.bytes()?);
    let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
    if usize::try_from(size) != Ok(length) {
        return Err(TpmError::Malformed { what: "a response that is longer or shorter than it says" });
    }
    if code != 0 {
        return Err(TpmError::Refused { operation: command.operation, fault: Fault::of(code) });
    }
    let with_sessions = !matches!(auth, Auth::Nothing);
    if tag != if with_sessions { ST_SESSIONS } else { ST_NO_SESSIONS } {
        return Err(TpmError::Malformed { what: "a response of another sort" });
    }
    let handle = if command.gives_handle { reader.u32()? } else { 0 };
    let mut start = HEADER + if command.gives_handle { 4 } else { 0 };
    let mut end = length;
    if with_sessions {
        let count = usize::try_from(reader.u32()?).map_err(|_| TpmError::TooLong)?;
        start += 4;
        end = start.saturating_add(count);
        let parameters = reader.take(count)?;
        let answer = AuthAnswer { nonce: reader.sized()?, attributes: reader.u8()?, hmac: reader.sized()? };
        reader.end()?;
        if let Auth::Session(session, value, _) = auth {
            let mut digest = Sha256::new();
            digest.update(0_u32.to_be_bytes());
            digest.update(command.code.to_be_bytes());
            digest.update(parameters);
            session.check(value, &digest.finalize(), &answer)?;
        }
    }
    if let Auth::Session(session, value, Cover::Out | Cover::Both) = auth {
        let parameters = frame.bytes_mut()?.get_mut(start..end);
        let parameters = parameters.ok_or(TpmError::Malformed { what: "a short response" })?;
        session.mask_response(value, first_sized(parameters)?)?;
    }
    Ok(Answer { handle, frame, start, end })
}

/// The bytes of the sized buffer at the beginning of `parameters`.
pub(super) fn first_sized(parameters: &mut [u8]) -> Result<&mut [u8], TpmError> {
    let length = Reader::new(parameters).sized()?.len();
    parameters.get_mut(2..2 + length).ok_or(TpmError::Malformed { what: "a short response" })
}

/// A copy of `bytes` in locked memory, that must be a digest long.
pub(super) fn digest_of(bytes: &[u8], what: &'static str) -> Result<Locked, TpmError> {
    if bytes.len() == DIGEST { Ok(Locked::copy_of(bytes)?) } else { Err(TpmError::Malformed { what }) }
}

/// No symmetric algorithm, no scheme.
pub(super) const NOTHING: u16 = ALG_NULL;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::tpm2::object::Blob;

    fn frame(bytes: &[u8]) -> Buffer {
        let mut frame = Buffer::new().unwrap();
        frame.raw(bytes);
        frame
    }

    fn command(gives_handle: bool) -> Command<'static> {
        let parameters = Buffer::new().unwrap();
        Command { code: CC_FLUSH_CONTEXT, operation: "test", entities: &[], parameters, gives_handle }
    }

    #[test]
    fn deny_responses_that_are_not_what_they_say() {
        let good = [0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 1, 2, 3, 4];
        let answer = understand(&command(true), &mut Auth::Nothing, frame(&good)).unwrap();
        assert_eq!(answer.handle, 0x0102_0304);
        answer.parameters().unwrap().end().unwrap();
        for (at, value, name) in [(1, 2, "sessions where none are"), (5, 13, "shorter than it says"), (5, 15, "longer")]
        {
            let mut bad = good;
            bad[at] = value;
            assert!(understand(&command(true), &mut Auth::Nothing, frame(&bad)).is_err(), "{name}");
        }
        let refused = understand(&command(false), &mut Auth::Nothing, frame(&[0x80, 1, 0, 0, 0, 10, 0, 0, 9, 2]));
        assert_eq!(refused.err().and_then(|error| error.fault()), Some(Fault::Memory));
    }

    proptest! {
        /// Whatever a TPM, or somebody in its place, answers: an error or fields, never a panic, never a success without
        /// a right HMAC.
        #[test]
        fn deny_any_bytes_under_a_session(head in any::<bool>(), rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = if head {
                let length = u32::try_from(HEADER + rest.len()).unwrap().to_be_bytes();
                [&ST_SESSIONS.to_be_bytes()[..], &length, &[0; 4], &rest].concat()
            } else {
                rest
            };
            for gives_handle in [false, true] {
                let password = understand(&command(gives_handle), &mut Auth::Password(b""), frame(&bytes));
                if let Ok(answer) = password {
                    prop_assert!(answer.parameters().is_ok());
                }
                let mut session = Session::for_tests();
                let mut auth = Auth::Session(&mut session, b"", Cover::Both);
                prop_assert!(understand(&command(gives_handle), &mut auth, frame(&bytes)).is_err());
            }
        }

        #[test]
        fn kept_blobs_of_any_shape_are_read_or_refused(public in prop::collection::vec(any::<u8>(), 0..200)) {
            let kept = serde_json::json!({"parent": "", "public": crate::backend::tpm2::object::text_of(&public), "private": ""});
            let blob: Blob = serde_json::from_value(kept).unwrap();
            blob.point().ok();
        }
    }
}
