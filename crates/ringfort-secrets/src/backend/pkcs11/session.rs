// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session with one token: finding it, logging in, its objects.
//!
//! In: which token, its PIN. Out: a session that is logged in, objects that are what they should be.
//!
//! **Invariant:** a PIN that was refused is not sent again, and none is sent when one try is left; an object counts only
//! if it is the only one of its id. The session is closed, and with it the login, when the work is done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use sha2::{Digest as _, Sha256};

use super::fault::{LOCKED, TokenError};
use super::module::{self, Module, Wanted};
use crate::locked::Locked;

/// Length of the id of an object. Bytes.
pub(super) const ID: usize = 16;

/// Which token, by which module, and its PIN.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// The module: an absolute path.
    pub module: PathBuf,
    /// The token's label; any if nothing is said.
    pub label: Option<String>,
    /// The token's serial number; any if nothing is said.
    pub serial: Option<String>,
    /// Its user PIN. Without one a token with a pad of its own is asked to take it there.
    pub pin: Option<Arc<Locked>>,
    /// Longest that one operation may take.
    pub timeout: Duration,
}

/// A token that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSeen {
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// What it says of its PIN: `locked`, `one try left`, `few tries left`, `not set`; empty if all is well.
    pub pin: &'static str,
}

impl TokenSeen {
    fn of(info: &TokenInfo) -> Self {
        let pin = if info.user_pin_locked() {
            "locked"
        } else if info.user_pin_final_try() {
            "one try left"
        } else if info.user_pin_count_low() {
            "few tries left"
        } else if info.login_required() && !info.user_pin_initialized() {
            "not set"
        } else {
            ""
        };
        Self { label: info.label().to_owned(), serial: info.serial_number().to_owned(), pin }
    }
}

/// The tokens that the module shows. No PIN is used.
///
/// # Errors
///
/// [`TokenError`]: the module cannot be asked.
pub fn tokens(options: &TokenOptions) -> Result<Vec<TokenSeen>, TokenError> {
    module::with(&options.module, options.timeout, |_, context, _| {
        Ok(found(context)?.iter().map(|(_, info)| TokenSeen::of(info)).collect())
    })
}

/// Whether the token takes the PIN of `options`: it is logged in once, and nothing else is done.
///
/// # Errors
///
/// [`TokenError`]; [`TokenError::Pin`] if it does not.
pub fn log_in(options: &TokenOptions) -> Result<(), TokenError> {
    options.with_token(None, |_| Ok(()))
}

/// A token, logged in.
pub(super) struct Token {
    /// The session; it may write.
    pub(super) session: Session,
    /// The token's serial number.
    pub(super) serial: String,
    /// What it can do.
    pub(super) mechanisms: Vec<MechanismType>,
    wanted: Wanted,
    timeout: Duration,
}

impl TokenOptions {
    /// Does `work` with the token, logged in; with `serial` only if it is this one.
    pub(super) fn with_token<T: Send + 'static>(
        &self,
        serial: Option<String>,
        work: impl FnOnce(&Token) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, TokenError> {
        let options = self.clone();
        module::with(&self.module, self.timeout, move |module, context, wanted| {
            let (slot, info) = options.choose(context, serial.as_deref())?;
            let session = context.open_rw_session(slot)?;
            if info.login_required() {
                options.login(module, context, (slot, &info), &session)?;
            }
            let mechanisms = context.get_mechanism_list(slot)?;
            let serial = info.serial_number().to_owned();
            let token = Token { session, serial, mechanisms, wanted, timeout: options.timeout };
            let done = work(&token);
            // Closing the last session of this process logs out; an explicit logout does not depend on that.
            token.session.logout().or_else(|error| match error {
                Error::Pkcs11(RvError::UserNotLoggedIn, _) => Ok(()),
                other if done.is_ok() => Err(other),
                _ => Ok(()),
            })?;
            done
        })
    }

    fn choose(&self, context: &Pkcs11, serial: Option<&str>) -> Result<(Slot, TokenInfo), TokenError> {
        let all = found(context)?;
        let seen = all.iter().map(|(_, info)| format!("`{}` ({})", info.label(), info.serial_number()));
        let seen = seen.collect::<Vec<_>>().join(", ");
        let chosen = |info: &TokenInfo| {
            self.label.as_deref().is_none_or(|label| label == info.label())
                && self.serial.as_deref().is_none_or(|serial| serial == info.serial_number())
        };
        let mut matching = all.into_iter().filter(|(_, info)| chosen(info));
        match (matching.next(), matching.next()) {
            (Some(one), None) if serial.is_none_or(|serial| serial == one.1.serial_number()) => Ok(one),
            (Some((_, info)), None) => Err(TokenError::Wrong(format!(
                "this is another token than the one that made the key: {}",
                info.label()
            ))),
            (Some(one), Some(other)) => {
                // The one that made the key, if it is among them.
                let mut all = [one, other].into_iter().chain(matching);
                serial.and_then(|serial| all.find(|(_, info)| info.serial_number() == serial)).ok_or_else(|| {
                    TokenError::Absent(format!("several tokens match; say which by its serial number: {seen}"))
                })
            }
            (None, _) if seen.is_empty() => Err(TokenError::Absent("no token is there; put it in".to_owned())),
            (None, _) => {
                Err(TokenError::Absent(format!("the token that is configured is not there; there are {seen}")))
            }
        }
    }

    fn login(
        &self,
        module: &mut Module,
        context: &Pkcs11,
        (slot, info): (Slot, &TokenInfo),
        session: &Session,
    ) -> Result<(), TokenError> {
        if info.user_pin_locked() {
            return Err(TokenError::Locked(LOCKED.to_owned()));
        }
        if !info.user_pin_initialized() {
            return Err(TokenError::Locked("it has no user PIN yet; set one with the token's own tool".to_owned()));
        }
        let Some(pin) = &self.pin else {
            if info.protected_authentication_path() {
                return session.login(UserType::User, None).map_err(refused_at_pad);
            }
            return Err(TokenError::Locked("its PIN is needed".to_owned()));
        };
        if info.user_pin_final_try() {
            let message = "one wrong PIN more would lock it, so none is sent; log in once with the token's own tool";
            return Err(TokenError::Locked(message.to_owned()));
        }
        let tried = Sha256::new().chain_update(info.serial_number()).chain_update([0]).chain_update(pin.expose());
        let tried = tried.finalize().into();
        if module.refused.contains(&tried) {
            return Err(TokenError::Pin("it refused this PIN before; the PIN was not sent again".to_owned()));
        }
        let value = RawAuthPin::new(Box::new(pin.expose().to_vec()));
        let mut result = session.login_with_raw(UserType::User, &value);
        if matches!(result, Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _))) {
            // A login of somebody else in this process must not stand in for a PIN.
            session.logout()?;
            result = session.login_with_raw(UserType::User, &value);
        }
        match result {
            Ok(()) => Ok(()),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                module.refused.insert(tried);
                let now = context.get_token_info(slot).map(|info| TokenSeen::of(&info).pin).unwrap_or_default();
                let left = if now.is_empty() { String::new() } else { format!("; its PIN: {now}") };
                Err(TokenError::Pin(format!("its PIN is another one{left}")))
            }
            Err(Error::Pkcs11(RvError::PinExpired, _)) => {
                Err(TokenError::Locked("its PIN has expired; change it with the token's own tool".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn refused_at_pad(error: Error) -> TokenError {
    match error {
        Error::Pkcs11(RvError::PinIncorrect | RvError::FunctionCanceled | RvError::FunctionRejected, _) => {
            TokenError::Pin("the PIN that was given at the token is another one, or none was given".to_owned())
        }
        other => other.into(),
    }
}

/// The tokens that are there and set up.
fn found(context: &Pkcs11) -> Result<Vec<(Slot, TokenInfo)>, TokenError> {
    let mut all = Vec::new();
    for slot in context.get_slots_with_token()? {
        let info = context.get_token_info(slot)?;
        if info.token_initialized() {
            all.push((slot, info));
        }
    }
    Ok(all)
}

impl Token {
    /// That the token can do all of `needed`.
    pub(super) fn can(&self, needed: &[MechanismType]) -> Result<(), TokenError> {
        match needed.iter().find(|mechanism| !self.mechanisms.contains(mechanism)) {
            Some(missing) => Err(TokenError::Broken(format!("this token cannot do {missing}"))),
            None => Ok(()),
        }
    }

    /// The only object of this class and id; `None` if there is none.
    pub(super) fn find(&self, class: ObjectClass, id: &[u8]) -> Result<Option<ObjectHandle>, TokenError> {
        let wanted = [Attribute::Token(true), Attribute::Class(class), Attribute::Id(id.to_vec())];
        match self.session.find_objects(&wanted)?.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(TokenError::Wrong("it holds several keys with the same id; one of them is not ours".to_owned())),
        }
    }

    /// The key of this class and id, which cannot be read out.
    pub(super) fn key(&self, class: ObjectClass, id: &[u8]) -> Result<ObjectHandle, TokenError> {
        let missing = || TokenError::Wrong("the key is not in this token any more".to_owned());
        let key = self.find(class, id)?.ok_or_else(missing)?;
        self.check(key)?;
        Ok(key)
    }

    /// That a key cannot be read out.
    pub(super) fn check(&self, key: ObjectHandle) -> Result<(), TokenError> {
        let attributes = self.session.get_attributes(key, &[AttributeType::Sensitive, AttributeType::Extractable])?;
        let closed =
            |attribute: &Attribute| matches!(attribute, Attribute::Sensitive(true) | Attribute::Extractable(false));
        if attributes.len() == 2 && attributes.iter().all(closed) {
            return Ok(());
        }
        Err(TokenError::Wrong("the key in the token can be read out, so it is not used".to_owned()))
    }

    /// What came of making the key `id`. If it failed, or nobody waits for it any more, the key is removed again.
    pub(super) fn keep<T>(&self, id: &[u8], made: Result<T, TokenError>) -> Result<T, TokenError> {
        if made.is_ok() && self.wanted.still() {
            return made;
        }
        self.remove(id)?;
        made.and(Err(TokenError::Slow { waited: self.timeout }))
    }

    /// Removes every object of this id; that there is none is fine.
    pub(super) fn remove(&self, id: &[u8]) -> Result<(), TokenError> {
        for object in self.session.find_objects(&[Attribute::Token(true), Attribute::Id(id.to_vec())])? {
            self.session.destroy_object(object)?;
        }
        Ok(())
    }
}
