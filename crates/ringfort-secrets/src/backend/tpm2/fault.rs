// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with a TPM, by name.
//!
//! In: a response code (TPM 2.0 Library, part 2, section 6.6), or what the transport saw. Out: a [`TpmError`], and what it
//! means for a root key or a signing key.
//!
//! **Invariant:** a failure is never a value; a code that is not known here stays an error with its number.

use std::io;
use std::time::Duration;

use crate::keys::KeyError;
use crate::locked::LockedError;
use crate::root::RootKeyError;

/// The name under which TPMs appear in errors and slots.
pub(super) const NAME: &str = "tpm2";

/// Why a TPM refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The authorization value is another one.
    #[error("the PIN or password is not the right one")]
    Auth,
    /// The policy is not fulfilled: a PCR has another value.
    #[error("the policy is not fulfilled")]
    Policy,
    /// A PCR was changed while the policy was checked.
    #[error("a PCR was changed in the middle of the operation; try again")]
    PcrChanged,
    /// The blob was not made by this parent, or it was changed.
    #[error("the sealed blob was made by another TPM or was changed")]
    Integrity,
    /// Too many wrong authorizations: the TPM waits.
    #[error("the TPM is locked after too many wrong PINs; wait, or reset the lockout as its owner")]
    Lockout,
    /// No memory for another object or session.
    #[error("the TPM has no room for another object or session; another program holds them")]
    Memory,
    /// A handle or an index that is not there.
    #[error("the TPM holds no such object")]
    Handle,
    /// The NV index exists.
    #[error("the NV index is in use")]
    NvDefined,
    /// The NV index was never written.
    #[error("the NV index was never written")]
    NvUnwritten,
    /// There is no NV memory left.
    #[error("the TPM has no NV memory left")]
    NvSpace,
    /// It asks to come back later.
    #[error("the TPM is busy")]
    Busy,
    /// The owner hierarchy is switched off.
    #[error("the owner hierarchy of the TPM is switched off (firmware settings)")]
    Hierarchy,
    /// It was not started.
    #[error("the TPM was not started (TPM2_Startup)")]
    NotStarted,
    /// It is in failure mode.
    #[error("the TPM is in failure mode; restart the machine")]
    Failure,
    /// It does not know the command or the algorithm.
    #[error("the TPM lacks the command or the algorithm")]
    Unsupported,
    /// Another code.
    #[error("response code 0x{0:03x}")]
    Other(u32),
}

impl Fault {
    /// The fault behind a response code that is not success.
    pub(super) const fn of(code: u32) -> Self {
        // The resource manager of the kernel marks its own codes in the upper half.
        let code = code & 0xFFFF;
        if code & 0x80 != 0 {
            // Format one: the lower six bits name the fault; the others say which handle or parameter.
            return match code & 0x3F {
                0x0E | 0x22 => Self::Auth,
                0x1D => Self::Policy,
                0x1F => Self::Integrity,
                0x05 => Self::Hierarchy,
                0x0B => Self::Handle,
                0x01 | 0x02 | 0x03 | 0x12 | 0x16 | 0x26 => Self::Unsupported,
                _ => Self::Other(code),
            };
        }
        match code {
            0x100 => Self::NotStarted,
            0x101 => Self::Failure,
            0x128 => Self::PcrChanged,
            0x143 => Self::Unsupported,
            0x14A => Self::NvUnwritten,
            0x14B => Self::NvSpace,
            0x14C => Self::NvDefined,
            0x902..=0x906 => Self::Memory,
            0x910..=0x916 => Self::Handle,
            0x908 | 0x90A | 0x920 | 0x922 | 0x923 => Self::Busy,
            0x921 => Self::Lockout,
            _ => Self::Other(code),
        }
    }
}

/// Why an operation of a TPM did not happen. Nothing that was asked for exists, and no handle is left in the TPM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// There is no TPM, or it may not be opened.
    #[error("{message}")]
    Absent {
        /// What was looked for, and what to do.
        message: String,
    },
    /// The connection to it failed.
    #[error("the connection to the TPM failed")]
    Io(#[from] io::Error),
    /// It did not answer in time.
    #[error("the TPM did not answer within {} s", waited.as_secs())]
    Slow {
        /// How long it was waited for.
        waited: Duration,
    },
    /// It refused.
    #[error("{operation}: {fault}")]
    Refused {
        /// What was asked of it.
        operation: &'static str,
        /// Why it refused.
        fault: Fault,
    },
    /// What it answered is no answer.
    #[error("the TPM answered nonsense: {what}")]
    Malformed {
        /// What was found.
        what: &'static str,
    },
    /// The answer was not authenticated by the TPM: somebody changes what passes on the way to it.
    #[error("the answer is not from the TPM that the session was started with; something sits between")]
    Forged,
    /// The owner hierarchy has a password that was not given, or another one.
    #[error("the owner hierarchy of the TPM has a password, and the one that is configured is none or another one")]
    Owner,
    /// The primary key is another one than when the blob was made.
    #[error("this is another TPM than the one that made it, or its owner hierarchy was cleared since")]
    AnotherTpm,
    /// A PCR has another value than when the key was sealed.
    #[error("the machine is in another state than when the key was sealed: {0}")]
    AnotherState(String),
    /// What was kept beside the store is not what this version writes.
    #[error("the kept data of the TPM cannot be read: {0}")]
    Kept(String),
    /// The choice cannot be honoured.
    #[error("{0}")]
    Choice(String),
    /// A command would be longer than a TPM takes.
    #[error("the command is longer than a TPM takes")]
    TooLong,
    /// There is no memory for a key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

impl TpmError {
    /// The fault with which the TPM refused, if it did.
    pub(super) const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    /// The message with the message of the cause, where there is one.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Io(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl From<TpmError> for RootKeyError {
    fn from(error: TpmError) -> Self {
        let message = error.message();
        match error {
            TpmError::Absent { .. } => Self::Absent { source_name: NAME, message },
            TpmError::Slow { waited } => Self::Slow { source_name: NAME, waited },
            TpmError::Memory(source) => Self::Memory(source),
            TpmError::AnotherTpm | TpmError::AnotherState(_) | TpmError::Kept(_) => {
                Self::Wrong { source_name: NAME, message }
            }
            TpmError::Owner | TpmError::Refused { fault: Fault::Lockout, .. } => {
                Self::Locked { source_name: NAME, message }
            }
            TpmError::Refused { fault: Fault::Auth, .. } => Self::WrongPin { source_name: NAME, message },
            TpmError::Refused { fault: Fault::Policy | Fault::Integrity, .. } => {
                Self::Wrong { source_name: NAME, message }
            }
            _ => Self::Broken { source_name: NAME, message },
        }
    }
}

impl TpmError {
    /// The error of a key operation.
    pub(super) fn for_key(self, operation: &'static str) -> KeyError {
        match self {
            Self::Absent { message } => KeyError::Absent { provider: NAME, message },
            Self::Memory(source) => KeyError::Memory(source),
            other => KeyError::Broken { provider: NAME, operation, message: other.message() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_codes_are_named() {
        for (code, fault) in [
            (0x98E, Fault::Auth),      // session 1, TPM_RC_AUTH_FAIL
            (0x9A2, Fault::Auth),      // session 1, TPM_RC_BAD_AUTH
            (0x99D, Fault::Policy),    // session 1, TPM_RC_POLICY_FAIL
            (0x1DF, Fault::Integrity), // parameter 1, TPM_RC_INTEGRITY
            (0x18B, Fault::Handle),    // handle 1, TPM_RC_HANDLE
            (0x902, Fault::Memory),
            (0x910, Fault::Handle), // TPM_RC_REFERENCE_H0
            (0x921, Fault::Lockout),
            (0x922, Fault::Busy),
            (0x14C, Fault::NvDefined),
            (0x000B_0143, Fault::Unsupported), // from the kernel's resource manager
            (0x185, Fault::Hierarchy),
            (0x7FF, Fault::Other(0x7FF)),
            (0x17F, Fault::Other(0x17F)),
        ] {
            assert_eq!(Fault::of(code), fault, "0x{code:x}");
        }
    }

    #[test]
    fn errors_keep_their_sort() {
        let refused = |fault| TpmError::Refused { operation: "unseal", fault };
        assert!(matches!(RootKeyError::from(refused(Fault::Policy)), RootKeyError::Wrong { .. }));
        assert!(matches!(RootKeyError::from(refused(Fault::Lockout)), RootKeyError::Locked { .. }));
        assert!(matches!(RootKeyError::from(refused(Fault::Auth)), RootKeyError::WrongPin { .. }));
        assert!(matches!(RootKeyError::from(refused(Fault::Memory)), RootKeyError::Broken { .. }));
        assert!(matches!(RootKeyError::from(TpmError::AnotherTpm), RootKeyError::Wrong { .. }));
        assert!(matches!(RootKeyError::from(TpmError::Forged), RootKeyError::Broken { .. }));
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        let RootKeyError::Broken { message, .. } = TpmError::Io(gone).into() else { panic!("another sort") };
        assert!(message.contains("broken pipe"), "{message}");
    }
}
