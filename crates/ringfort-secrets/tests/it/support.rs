// SPDX-License-Identifier: MIT OR Apache-2.0
//! A store in a folder of its own, with a root key that never changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_secrets::id::SecretId;
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};
use ringfort_secrets::store::{Change, FILE_NAME, StoreError, Vault};

/// A root key of one repeated byte.
pub(crate) struct Fixed(pub(crate) u8);

impl RootKeySource for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn key_source(&self) -> String {
        format!("fixed:{}", self.0)
    }

    fn create(&self, _: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let data = serde_json::json!({ "byte": self.0 });
        Ok((SlotData { source: "fixed".to_owned(), data }, Locked::copy_of(&[self.0; KEY_LEN])?))
    }

    fn open(&self, _: StoreId, _: &SlotData) -> Result<Locked, RootKeyError> {
        Ok(Locked::copy_of(&[self.0; KEY_LEN])?)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

pub(crate) const NOW: Timestamp = Timestamp(1_795_194_000_000);

/// The root key of every store here.
pub(crate) const ROOT: Fixed = Fixed(0x5a);

pub(crate) fn id(text: &str) -> SecretId {
    text.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the length of a test is set from outside")]
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The folder of these tests: `RINGFORT_TEST_SECRETS`, where another user runs them who may not reach this one.
#[expect(clippy::disallowed_methods, reason = "the test script says where the files of the tests are")]
pub(crate) fn tests() -> PathBuf {
    let elsewhere = std::env::var_os("RINGFORT_TEST_SECRETS").map(PathBuf::from);
    elsewhere.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
}

/// The folder of a store in a folder of its own.
pub(crate) struct Place {
    pub(crate) temp: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secrets");
        Self { temp, path }
    }

    pub(crate) fn create(&self) -> Vault {
        Vault::create(&self.path, &ROOT, &Noon).unwrap()
    }

    pub(crate) fn open(&self) -> Result<Vault, StoreError> {
        Vault::open(&self.path, &ROOT)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// The record of the newest generation.
    pub(crate) fn record(&self) -> PathBuf {
        self.temp.path().join("secrets.generation")
    }

    /// Puts back what `contents` returned; what is not in it goes.
    pub(crate) fn put(&self, contents: &Contents) {
        if self.path.exists() {
            fs::remove_dir_all(&self.path).unwrap();
        }
        fs::remove_file(self.record()).unwrap_or_default();
        fs::DirBuilder::new().mode(0o700).create(&self.path).unwrap();
        for (path, bytes) in contents {
            write(&self.temp.path().join(path), bytes);
        }
    }

    /// Every file in and beside the store's folder, by its path in the place. Sockets and pipes are not read.
    pub(crate) fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        for folder in [self.temp.path(), &self.path] {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.metadata().unwrap().is_file() {
                    let path = entry.path().strip_prefix(self.temp.path()).unwrap().to_owned();
                    contents.insert(path, fs::read(entry.path()).unwrap());
                }
            }
        }
        contents
    }
}

/// Files by their path.
pub(crate) type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Writes a file that is ours alone.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::remove_file(path).unwrap_or_default();
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// A store with entries that have labels, two versions, and nothing at all.
pub(crate) fn filled(place: &Place) -> Vault {
    let mut vault = place.create();
    let labels = BTreeMap::from([("team".to_owned(), "billing".to_owned())]);
    let change = Change { labels: Some(labels), hosts: Some(vec!["api.example".to_owned()]), ..Change::at(NOW) };
    vault.set(&id("models.providers.example.apiKey"), b"first value", &change).unwrap();
    vault.set(&id("gateway.auth.password"), b"second value", &Change::at(NOW)).unwrap();
    vault.set(&id("channels.example.token"), b"third value", &Change::at(NOW)).unwrap();
    vault.rotate(&id("gateway.auth.password"), b"second value, anew", NOW).unwrap();
    vault
}
