// SPDX-License-Identifier: MIT OR Apache-2.0
//! Modules: foreign libraries that are loaded into this process, each with a thread of its own.
//!
//! In: a path, work. Out: what the work gave, or that the module is too slow.
//!
//! **Invariant:** a module is touched by its own thread only, one piece of work after the other; work whose caller gave up
//! is not begun; a file that others can write is not loaded. A thread that hangs stays until the process ends, and there is
//! at most one for each module.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

use super::fault::TokenError;

/// Most modules that are loaded at once.
const MODULES_MAX: usize = 4;
/// How much work may wait for a module that is busy.
const QUEUE_MAX: usize = 8;

/// What the thread of a module has.
#[derive(Default)]
pub(super) struct Module {
    loaded: Option<Pkcs11>,
    /// Digests of token and PIN, where the token refused the PIN.
    pub(super) refused: BTreeSet<[u8; 32]>,
}

impl Module {
    /// The module, loaded and initialised.
    fn context(&mut self, path: &Path) -> Result<Pkcs11, TokenError> {
        if let Some(loaded) = &self.loaded {
            return Ok(loaded.clone());
        }
        let loaded = Pkcs11::new(path)?;
        match loaded.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => {
                return Err(TokenError::Broken(format!("the module does not start: {}", TokenError::from(error))));
            }
        }
        self.loaded = Some(loaded.clone());
        Ok(loaded)
    }
}

/// Whether somebody still waits for the work.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Whether somebody does.
    pub(super) fn still(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

type Job = Box<dyn FnOnce(&mut Module) + Send>;

static THREADS: LazyLock<Mutex<BTreeMap<PathBuf, SyncSender<Job>>>> = LazyLock::new(Mutex::default);

/// Does `work` with the module at `path`, on its thread.
///
/// # Errors
///
/// [`TokenError`]: of the module or of the work; [`TokenError::Slow`] after `timeout`, when the work may still be under
/// way but nobody takes its result.
pub(super) fn with<T: Send + 'static>(
    path: &Path,
    timeout: Duration,
    work: impl FnOnce(&mut Module, &Pkcs11, Wanted) -> Result<T, TokenError> + Send + 'static,
) -> Result<T, TokenError> {
    let path = trusted(path)?;
    let thread = thread_of(&path)?;
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    let (answer, answered) = sync_channel(1);
    let (inside, file) = (wanted.clone(), path.clone());
    let job: Job = Box::new(move |module| {
        if inside.still() {
            let done = module.context(&file).and_then(|context| work(module, &context, inside));
            // Nobody may be waiting any more.
            answer.send(done).ok();
        }
    });
    let slow = || TokenError::Slow { waited: timeout };
    thread.try_send(job).map_err(|_| slow())?;
    answered.recv_timeout(timeout).unwrap_or_else(|error| {
        wanted.0.store(false, Ordering::SeqCst);
        match error {
            RecvTimeoutError::Timeout => Err(slow()),
            RecvTimeoutError::Disconnected => {
                THREADS.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
                Err(TokenError::Broken("the thread of the module ended".to_owned()))
            }
        }
    })
}

fn thread_of(path: &Path) -> Result<SyncSender<Job>, TokenError> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(thread) = threads.get(path) {
        return Ok(thread.clone());
    }
    if threads.len() >= MODULES_MAX {
        return Err(TokenError::Broken(format!("more than {MODULES_MAX} modules are in use")));
    }
    let (sender, jobs): (_, Receiver<Job>) = sync_channel(QUEUE_MAX);
    let spawned = std::thread::Builder::new().name("pkcs11".to_owned()).spawn(move || {
        let mut module = Module::default();
        jobs.into_iter().for_each(|job| job(&mut module));
    });
    spawned.map_err(|error| TokenError::Broken(format!("no thread for the module: {error}")))?;
    threads.insert(path.to_owned(), sender.clone());
    Ok(sender)
}

/// The file that is really loaded, if only this user and root can change it.
fn trusted(path: &Path) -> Result<PathBuf, TokenError> {
    if !path.is_absolute() {
        return Err(TokenError::Absent(format!("the path of a module is absolute; `{}` is not", path.display())));
    }
    let real = fs::canonicalize(path)
        .map_err(|error| TokenError::Absent(format!("there is no module `{}` ({error})", path.display())))?;
    let own = rustix::process::geteuid().as_raw();
    for (depth, step) in real.ancestors().enumerate() {
        let found = fs::symlink_metadata(step)
            .map_err(|error| TokenError::Absent(format!("`{}` cannot be looked at ({error})", step.display())))?;
        if depth == 0 && !found.is_file() {
            return Err(TokenError::Broken(format!("the module `{}` is no file", step.display())));
        }
        // In a folder with the sticky bit nobody replaces the files of others.
        let sticky = depth > 0 && found.mode() & 0o1000 != 0;
        let writable = found.mode() & 0o022 != 0 && !sticky;
        if writable || (found.uid() != 0 && found.uid() != own) {
            let message = "can be changed by other users; a module is code that runs with your keys";
            return Err(TokenError::Broken(format!("`{}` {message}", step.display())));
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn deny_modules_that_others_can_change_or_that_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("module.so");
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set(&file, 0o644);
        assert_eq!(trusted(&file).unwrap(), fs::canonicalize(&file).unwrap());
        for mode in [0o664, 0o646, 0o666] {
            set(&file, mode);
            assert!(matches!(trusted(&file), Err(TokenError::Broken(_))), "{mode:o}");
        }
        set(&file, 0o644);
        set(folder.path(), 0o777);
        assert!(matches!(trusted(&file), Err(TokenError::Broken(_))), "a folder that others can write");
        set(folder.path(), 0o700);
        assert!(matches!(trusted(folder.path()), Err(TokenError::Broken(_))), "a folder");
        assert!(matches!(trusted(Path::new("libsofthsm2.so")), Err(TokenError::Absent(_))), "a relative path");
        assert!(matches!(trusted(Path::new("/no/such.so")), Err(TokenError::Absent(_))));
    }
}
