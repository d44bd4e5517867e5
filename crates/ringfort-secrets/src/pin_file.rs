// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PIN of a device from a file, for commands without a person.
//!
//! In: a file of this user alone. Out: a source of root keys that reads it when it is used.
//!
//! **Invariant:** a file that others could have read gives no PIN. A PIN that the device refused is not sent again, by no
//! process, until the file is written anew: a device locks itself after a few wrong ones, and a command may run often.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::locked::Locked;
use crate::owned::{OwnedError, OwnedFile};
use crate::root::{RootKeyError, RootKeySource, SlotData, StoreId};

/// Longest PIN. Bytes.
pub const PIN_BYTES_MAX: usize = 256;
/// Longest mark of a refused file. Bytes.
const MARK_BYTES_MAX: usize = 256;

/// A file with a PIN.
#[derive(Clone, Debug)]
pub struct PinFile {
    path: PathBuf,
    mark: PathBuf,
    device: &'static str,
}

/// Which state of the file a PIN was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(String);

impl PinFile {
    /// The file `path` with the PIN of `device`. That a PIN of it was refused is noted in the file `mark`, whose folder
    /// is this user's and exists.
    pub fn new(path: impl Into<PathBuf>, mark: impl Into<PathBuf>, device: &'static str) -> Self {
        Self { path: path.into(), mark: mark.into(), device }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The PIN, without one line end, and what [`PinFile::refused`] needs.
    ///
    /// # Errors
    ///
    /// [`RootKeyError`]: there is no such file, others could have read it, it is empty or too long, or its PIN was refused
    /// before. Nothing was sent to the device.
    pub fn read(&self) -> Result<(Locked, Stamp), RootKeyError> {
        let broken = |message: String| RootKeyError::Broken { source_name: self.device, message };
        let file = || format!("the file of its PIN, `{}`,", self.path.display());
        // Before the content: what is written in between is read and not marked, never the other way about.
        let stamp = self.stamp().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                RootKeyError::Absent { source_name: self.device, message: format!("{} does not exist", file()) }
            }
            _ => broken(format!("{} cannot be looked at: {error}", file())),
        })?;
        let noted = OwnedFile::at(&self.mark).and_then(|mark| mark.read(MARK_BYTES_MAX));
        match noted {
            Err(OwnedError::Absent { .. }) => {}
            Ok(noted) if !noted.equals(stamp.0.as_bytes()) => {}
            Ok(_) => {
                let message = format!("{} was refused and is not sent again; write the right one into it", file());
                return Err(RootKeyError::Locked { source_name: self.device, message });
            }
            Err(error) => return Err(broken(format!("whether its PIN was refused before cannot be told: {error}"))),
        }
        // One byte for a line end.
        let pin = OwnedFile::at(&self.path).and_then(|file| file.read(PIN_BYTES_MAX + 1));
        let mut pin = pin.map_err(|error| match error {
            OwnedError::Memory(error) => RootKeyError::Memory(error),
            error => broken(format!("the file of its PIN is not used: {error}")),
        })?;
        pin.trim_line_end();
        match pin.len() {
            0 => Err(broken(format!("{} is empty", file()))),
            1..=PIN_BYTES_MAX => Ok((pin, stamp)),
            _ => Err(broken(format!("{} has more than {PIN_BYTES_MAX} bytes", file()))),
        }
    }

    /// Notes that the device refused the PIN that was read at `stamp`.
    ///
    /// # Errors
    ///
    /// [`OwnedError`]: it is not noted.
    pub fn refused(&self, stamp: &Stamp) -> Result<(), OwnedError> {
        OwnedFile::at(&self.mark)?.replace(stamp.0.as_bytes())
    }

    /// Which file it is, and when it was written: nothing that its content could be guessed from.
    fn stamp(&self) -> std::io::Result<Stamp> {
        let seen = std::fs::symlink_metadata(&self.path)?;
        let (written, changed) = ((seen.mtime(), seen.mtime_nsec()), (seen.ctime(), seen.ctime_nsec()));
        Ok(Stamp(format!(
            "{}:{} {} {}.{:09} {}.{:09}",
            seen.dev(),
            seen.ino(),
            seen.len(),
            written.0,
            written.1,
            changed.0,
            changed.1
        )))
    }
}

/// Makes the source of a device, with a PIN or without one.
pub type WithPin = Box<dyn Fn(Option<Locked>) -> Box<dyn RootKeySource> + Send + Sync>;

/// A source whose PIN is in a file.
pub struct PinFileSource {
    file: PinFile,
    with: WithPin,
    needs: fn(&SlotData) -> bool,
    bare: Box<dyn RootKeySource>,
}

impl PinFileSource {
    /// The source that `with` makes, with the PIN of `file` for new keys and for each slot that `needs` one.
    pub fn new(file: PinFile, with: WithPin, needs: fn(&SlotData) -> bool) -> Self {
        let bare = with(None);
        Self { file, with, needs, bare }
    }

    fn with_pin<T>(&self, work: impl FnOnce(&dyn RootKeySource) -> Result<T, RootKeyError>) -> Result<T, RootKeyError> {
        let (pin, stamp) = self.file.read()?;
        let done = work((self.with)(Some(pin)).as_ref());
        if let Err(RootKeyError::WrongPin { source_name, message }) = done {
            let (path, unnoted) = (self.file.path.display(), self.file.refused(&stamp).err());
            let unnoted = unnoted.map_or_else(String::new, |error| format!("; it will be sent again: {error}"));
            let message = format!("{message} (of the file `{path}`{unnoted})");
            return Err(RootKeyError::WrongPin { source_name, message });
        }
        done
    }
}

impl RootKeySource for PinFileSource {
    fn name(&self) -> &'static str {
        self.bare.name()
    }

    fn key_source(&self) -> String {
        self.bare.key_source()
    }

    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        self.with_pin(|source| source.create(store))
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        if (self.needs)(slot) { self.with_pin(|source| source.open(store, slot)) } else { self.bare.open(store, slot) }
    }

    fn forget(&self, store: StoreId, slot: &SlotData) -> Result<(), RootKeyError> {
        if (self.needs)(slot) {
            self.with_pin(|source| source.forget(store, slot))
        } else {
            self.bare.forget(store, slot)
        }
    }
}

impl std::fmt::Debug for PinFileSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PinFileSource").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    const STORE: StoreId = StoreId([7; 16]);

    /// A device whose PIN is 2409.
    struct Device(Option<Locked>);

    impl RootKeySource for Device {
        fn name(&self) -> &'static str {
            "device"
        }

        fn key_source(&self) -> String {
            "device".to_owned()
        }

        fn create(&self, _store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
            let slot = SlotData { source: "device".to_owned(), data: self.0.is_some().into() };
            Ok((slot.clone(), self.open(STORE, &slot)?))
        }

        fn open(&self, _store: StoreId, _slot: &SlotData) -> Result<Locked, RootKeyError> {
            match &self.0 {
                Some(pin) if pin.equals(b"2409") => Ok(Locked::zeroed(32)?),
                Some(_) => Err(RootKeyError::WrongPin { source_name: "device", message: "no".to_owned() }),
                None => Err(RootKeyError::Locked { source_name: "device", message: "its PIN is needed".to_owned() }),
            }
        }

        fn forget(&self, _store: StoreId, _slot: &SlotData) -> Result<(), RootKeyError> {
            Ok(())
        }
    }

    fn place(content: &[u8], mode: u32) -> (TempDir, PinFileSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        put(&path, content, mode);
        let file = PinFile::new(path, folder.path().join("refused"), "device");
        (folder, PinFileSource::new(file, Box::new(|pin| Box::new(Device(pin))), |slot| slot.data == true))
    }

    fn put(path: &Path, content: &[u8], mode: u32) {
        fs::remove_file(path).ok();
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_pin_is_read_when_it_is_needed() {
        for content in [&b"2409"[..], b"2409\n", b"2409\r\n"] {
            let (_folder, source) = place(content, 0o600);
            let (slot, key) = source.create(STORE).unwrap();
            assert!(source.open(STORE, &slot).unwrap().equals(key.expose()), "{content:?}");
        }
        let (folder, source) = place(b"2409", 0o600);
        fs::remove_file(folder.path().join("pin")).unwrap();
        let without = SlotData { source: "device".to_owned(), data: false.into() };
        let error = source.open(STORE, &without).unwrap_err();
        assert!(matches!(error, RootKeyError::Locked { .. }), "the file was not looked at: {error}");
        assert!(matches!(source.create(STORE), Err(RootKeyError::Absent { .. })));
    }

    #[test]
    fn deny_a_file_that_others_could_have_read_or_that_holds_no_pin() {
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let error = place(b"2409", mode).1.create(STORE).unwrap_err();
            assert!(matches!(&error, RootKeyError::Broken { .. }) && error.to_string().contains("mode"), "{error}");
        }
        for content in [vec![], b"\n".to_vec(), vec![b'1'; PIN_BYTES_MAX + 1], vec![b'1'; PIN_BYTES_MAX + 2]] {
            let error = place(&content, 0o600).1.create(STORE).unwrap_err();
            assert!(matches!(error, RootKeyError::Broken { .. }), "{error}");
        }
        let (folder, source) = place(b"2409", 0o600);
        fs::rename(folder.path().join("pin"), folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.path().join("pin")).unwrap();
        let error = source.create(STORE).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }

    #[test]
    fn deny_a_refused_pin_a_second_time_until_the_file_is_written_anew() {
        let (folder, source) = place(b"1111", 0o600);
        let path = folder.path().join("pin");
        let slot = SlotData { source: "device".to_owned(), data: true.into() };
        let error = source.open(STORE, &slot).unwrap_err();
        assert!(matches!(error, RootKeyError::WrongPin { .. }), "{error}");
        for _ in 0..3 {
            let error = source.open(STORE, &slot).unwrap_err();
            assert!(matches!(error, RootKeyError::Locked { .. }), "{error}");
        }
        put(&path, b"2222", 0o600);
        assert!(matches!(source.open(STORE, &slot), Err(RootKeyError::WrongPin { .. })));
        put(&path, b"2409", 0o600);
        source.open(STORE, &slot).unwrap();
        // Whoever can write the mark can only have a PIN refused.
        fs::set_permissions(folder.path().join("refused"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(source.open(STORE, &slot), Err(RootKeyError::Broken { .. })));
    }
}
