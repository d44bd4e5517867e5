// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root key in the desktop's Secret Service: GNOME Keyring, KeePassXC, KWallet.
//!
//! In: where the session's bus is. Out: root keys, whose random bytes lie in an item of the default collection.
//!
//! **Invariant:** the bytes cross the bus only in an encrypted session; everything together ends at one deadline; an item
//! is found by its exact attributes and by the slot's mark, never by a likeness; nothing is unlocked and no dialogue is
//! opened here: what is locked is said to be locked.

mod session;

use std::path::Path;
use std::time::Duration;

use self::session::{ALGORITHM, Offer, Sealed, SessionError, SessionKey};
use super::bus::wire::{Method, Value};
use super::bus::{BusError, Connection, Place, session_places, words};
use super::kept::{Kept, new_name};
use super::{PROBE_TIMEOUT, Probe};
use crate::locked::Locked;
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SOURCE_TIMEOUT, SlotData, StoreId};

/// Its name as a source.
pub const SECRET_SERVICE: &str = "secret-service";
/// Most items with the same attributes that are looked at.
const ITEMS_MAX: usize = 8;
const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const UNLOCK: &str =
    "unlock it: log in to the desktop again, or open its keyring program (Passwords and Keys, KeePassXC)";
const DISMISS: &str = "the service wants to ask a person first; unlock its default collection and try again";

/// The Secret Service as a source.
#[derive(Clone, Debug)]
pub struct SecretServiceSource {
    places: Vec<Place>,
    timeout: Duration,
}

/// A connection on which a session was opened.
struct Service {
    bus: Connection,
    session: String,
    key: SessionKey,
}

fn refused(error: BusError, timeout: Duration) -> RootKeyError {
    let source_name = SECRET_SERVICE;
    match error {
        BusError::Absent(message) => RootKeyError::Absent {
            source_name,
            message: format!("{message}; log in to a desktop session, or choose another backend"),
        },
        BusError::Slow => RootKeyError::Slow { source_name, waited: timeout },
        BusError::Broken(message) => RootKeyError::Broken { source_name, message },
        BusError::Refused { name, words } => match name.as_str() {
            "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner" => {
                let message = "no program on the session bus offers one; start gnome-keyring or KeePassXC, or choose another backend";
                RootKeyError::Absent { source_name, message: message.to_owned() }
            }
            "org.freedesktop.Secret.Error.IsLocked" => locked(),
            "org.freedesktop.DBus.Error.NoReply" | "org.freedesktop.DBus.Error.Timeout" => {
                RootKeyError::Slow { source_name, waited: timeout }
            }
            _ => RootKeyError::Broken { source_name, message: format!("it answers {name}: {words}") },
        },
    }
}

fn locked() -> RootKeyError {
    RootKeyError::Locked { source_name: SECRET_SERVICE, message: UNLOCK.to_owned() }
}

fn broken(message: &str) -> RootKeyError {
    RootKeyError::Broken { source_name: SECRET_SERVICE, message: message.to_owned() }
}

fn session_fault(error: SessionError) -> RootKeyError {
    match error {
        SessionError::Protocol(message) => broken(&format!("the encrypted session failed: {message}")),
        SessionError::Memory(error) => RootKeyError::Memory(error),
    }
}

const fn method<'a>(path: &'a str, interface: &'a str, member: &'a str) -> Method<'a> {
    Method { destination: SERVICE, path, interface, member }
}

const fn service_method(member: &str) -> Method<'_> {
    method(SERVICE_PATH, "org.freedesktop.Secret.Service", member)
}

/// The attributes of an item, as text and text.
fn attributes(store: StoreId, name: &str) -> Value {
    let entries = [("application", "ringfort".to_owned()), ("store", store.to_string()), ("slot", name.to_owned())];
    Value::dict("s", entries.map(|(key, value)| (key.to_owned(), Value::Text(value))))
}

impl SecretServiceSource {
    /// The Secret Service of the session bus that `address` (`DBUS_SESSION_BUS_ADDRESS`) names, else of the bus in
    /// `runtime_dir` (`XDG_RUNTIME_DIR`). Nothing is connected yet.
    pub fn new(address: Option<&str>, runtime_dir: Option<&Path>) -> Self {
        Self { places: session_places(address, runtime_dir), timeout: SOURCE_TIMEOUT }
    }

    /// The same with another limit for everything that one use takes.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How it is found now: whether a service answers, and its default collection is unlocked. Takes
    /// [`PROBE_TIMEOUT`] at most and changes nothing.
    pub fn probe(&self) -> Probe {
        let looking = self.clone().within(self.timeout.min(PROBE_TIMEOUT));
        Probe::of(looking.connect().and_then(|mut bus| looking.default_collection(&mut bus)))
    }

    fn connect(&self) -> Result<Connection, RootKeyError> {
        Connection::open(&self.places, self.timeout).map_err(|error| refused(error, self.timeout))
    }

    fn call(&self, bus: &mut Connection, method: Method<'_>, body: &[Value]) -> Result<Vec<Value>, RootKeyError> {
        bus.call(method, body).map_err(|error| refused(error, self.timeout))
    }

    /// The default collection, which is there and unlocked.
    fn default_collection(&self, bus: &mut Connection) -> Result<String, RootKeyError> {
        let answer = self.call(bus, service_method("ReadAlias"), &[Value::text("default")])?;
        let [Value::Path(collection)] = answer.as_slice() else {
            return Err(broken("it answers ReadAlias with something else than a path"));
        };
        if collection == "/" {
            let message = "it has no default collection; create one with the desktop's keyring program".to_owned();
            return Err(RootKeyError::Absent { source_name: SECRET_SERVICE, message });
        }
        let property = [Value::text("org.freedesktop.Secret.Collection"), Value::text("Locked")];
        let answer = self.call(bus, method(collection, "org.freedesktop.DBus.Properties", "Get"), &property)?;
        match answer.as_slice() {
            [Value::Variant(value)] if **value == Value::Bool(false) => Ok(collection.clone()),
            [Value::Variant(value)] if **value == Value::Bool(true) => Err(locked()),
            _ => Err(broken("it does not say whether its default collection is locked")),
        }
    }

    fn service(&self) -> Result<Service, RootKeyError> {
        self.session(self.connect()?)
    }

    fn session(&self, mut bus: Connection) -> Result<Service, RootKeyError> {
        let offer = Offer::new().map_err(session_fault)?;
        let ours = Value::variant(Value::Bytes(offer.public().to_vec()));
        let answer = self.call(&mut bus, service_method("OpenSession"), &[Value::text(ALGORITHM), ours])?;
        let [Value::Variant(theirs), Value::Path(session)] = answer.as_slice() else {
            return Err(broken("it answers OpenSession with something else than a number and a path"));
        };
        let Value::Bytes(theirs) = theirs.as_ref() else {
            return Err(broken("it answers OpenSession without a public number"));
        };
        let key = offer.accept(theirs).map_err(session_fault)?;
        Ok(Service { bus, session: session.clone(), key })
    }

    /// The items with these attributes that are unlocked.
    fn items(&self, bus: &mut Connection, store: StoreId, name: &str) -> Result<Vec<String>, RootKeyError> {
        let answer = self.call(bus, service_method("SearchItems"), &[attributes(store, name)])?;
        let [Value::Array { items: unlocked, .. }, Value::Array { items: held, .. }] = answer.as_slice() else {
            return Err(broken("it answers SearchItems with something else than two lists"));
        };
        let paths = |items: &[Value]| {
            let path = |item: &Value| match item {
                Value::Path(path) => Ok(path.clone()),
                _ => Err(broken("it lists something else than items")),
            };
            items.iter().map(path).collect::<Result<Vec<_>, _>>()
        };
        if unlocked.len() + held.len() > ITEMS_MAX {
            return Err(broken(
                "it has too many items with the attributes of this store's key; remove the foreign ones",
            ));
        }
        let found = paths(unlocked)?;
        if found.is_empty() && !held.is_empty() { Err(locked()) } else { Ok(found) }
    }

    fn value(&self, service: &mut Service, item: &str) -> Result<Locked, RootKeyError> {
        let session = Value::path(&service.session);
        let get = method(item, "org.freedesktop.Secret.Item", "GetSecret");
        let answer = self.call(&mut service.bus, get, &[session])?;
        let [Value::Struct(members)] = answer.as_slice() else {
            return Err(broken("it answers GetSecret with something else than a secret"));
        };
        let [Value::Path(session), Value::Bytes(iv), Value::Bytes(value), Value::Text(_)] = members.as_slice() else {
            return Err(broken("it answers GetSecret with something else than a secret"));
        };
        if *session != service.session {
            return Err(broken("it answers GetSecret for another session"));
        }
        let sealed = Sealed { iv: iv.clone(), value: value.clone() };
        service.key.open(&sealed).map_err(session_fault)
    }

    fn found(&self, service: &mut Service, store: StoreId, kept: &Kept) -> Result<Locked, RootKeyError> {
        let items = self.items(&mut service.bus, store, &kept.name)?;
        for item in &items {
            let bytes = self.value(service, item)?;
            if let Some(key) = kept.root_key(SECRET_SERVICE, &bytes, store)? {
                return Ok(key);
            }
        }
        if items.is_empty() {
            let message =
                "its keyring has no key for this store; it was removed, or lies in another account's keyring. \
                           Open the store with another key slot"
                    .to_owned();
            return Err(RootKeyError::Absent { source_name: SECRET_SERVICE, message });
        }
        let message = "the item in its keyring has another value than the store was made with".to_owned();
        Err(RootKeyError::Wrong { source_name: SECRET_SERVICE, message })
    }

    fn remove(&self, bus: &mut Connection, store: StoreId, name: &str) -> Result<(), RootKeyError> {
        for item in self.items(bus, store, name)? {
            let answer = self.call(bus, method(&item, "org.freedesktop.Secret.Item", "Delete"), &[])?;
            no_prompt(answer.first())?;
        }
        Ok(())
    }

    fn put(&self, service: &mut Service, store: StoreId, name: &str, bytes: &Locked) -> Result<(), RootKeyError> {
        let collection = self.default_collection(&mut service.bus)?;
        let sealed = service.key.seal(bytes).map_err(session_fault)?;
        let label = format!("Ringfort: key of the secret store {store}");
        let properties = Value::dict(
            "v",
            [
                ("org.freedesktop.Secret.Item.Label".to_owned(), Value::variant(Value::Text(label))),
                ("org.freedesktop.Secret.Item.Attributes".to_owned(), Value::variant(attributes(store, name))),
            ],
        );
        let secret = Value::Struct(vec![
            Value::path(&service.session),
            Value::Bytes(sealed.iv),
            Value::Bytes(sealed.value),
            Value::text("application/octet-stream"),
        ]);
        let create = method(&collection, "org.freedesktop.Secret.Collection", "CreateItem");
        let answer = self.call(&mut service.bus, create, &[properties, secret, Value::Bool(false)])?;
        no_prompt(answer.get(1))?;
        match answer.first() {
            Some(Value::Path(item)) if item != "/" => Ok(()),
            _ => Err(broken("it does not say which item it made")),
        }
    }
}

/// Where a method would ask a person, it names a prompt instead of doing what it was asked for.
fn no_prompt(answer: Option<&Value>) -> Result<(), RootKeyError> {
    match answer {
        Some(Value::Path(prompt)) if prompt == "/" => Ok(()),
        Some(Value::Path(_)) => Err(RootKeyError::Locked { source_name: SECRET_SERVICE, message: DISMISS.to_owned() }),
        other => {
            let sort = other.map(Value::signature).unwrap_or_default();
            Err(broken(&format!("it answers `{}` where it should name a prompt", words(&sort))))
        }
    }
}

impl RootKeySource for SecretServiceSource {
    fn name(&self) -> &'static str {
        SECRET_SERVICE
    }

    fn key_source(&self) -> String {
        SECRET_SERVICE.to_owned()
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let mut service = self.service()?;
        let bytes = Locked::random(KEY_LEN)?;
        let kept = Kept::new(SECRET_SERVICE, new_name(SECRET_SERVICE)?, &bytes, store)?;
        self.put(&mut service, store, &kept.name, &bytes)?;
        // What it does not give back now would be missing when the store is to be opened.
        let outcome = self.found(&mut service, store, &kept).and_then(|key| Ok((kept.slot(SECRET_SERVICE)?, key)));
        outcome.inspect_err(|_| {
            self.remove(&mut service.bus, store, &kept.name).ok();
        })
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        let kept = Kept::of(SECRET_SERVICE, slot)?;
        let mut service = self.service()?;
        self.found(&mut service, store, &kept)
    }

    fn forget(&self, store: StoreId, slot: &SlotData) -> Result<(), RootKeyError> {
        let kept = Kept::of(SECRET_SERVICE, slot)?;
        let mut bus = self.connect()?;
        self.remove(&mut bus, store, &kept.name)
    }
}

#[cfg(feature = "fuzz")]
pub(super) mod scripted;

#[cfg(test)]
mod tests;
