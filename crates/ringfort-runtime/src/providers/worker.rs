// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a provider on a worker thread, with a deadline.
//!
//! In: a provider that may panic, hang or err. Out: its answer in time, or what went wrong instead.
//!
//! **Invariant:** a panic, a missed deadline or a worker that cannot start is a [`Fault`], and the pipeline turns
//! every fault into a denial. At most [`STUCK_WORKERS_MAX`] threads are left hanging; then the provider is not asked
//! again and every answer is a fault.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ringfort_core::provider::SecurityProvider;

/// Most threads that may hang in a provider at the same time.
pub const STUCK_WORKERS_MAX: usize = 4;

/// Why a provider gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It panicked.
    #[error("panicked")]
    Panicked,
    /// It did not answer in time.
    #[error("did not answer in time")]
    Late,
    /// Too many of its threads hang already.
    #[error("hangs, and is not asked any more")]
    Stuck,
    /// Its thread could not be started.
    #[error("could not be asked: no thread")]
    NoThread,
}

type Job = Box<dyn FnOnce(&dyn SecurityProvider) + Send>;

/// The way to one thread; `abandoned` is set when the thread was late.
struct Queue {
    jobs: Sender<Job>,
    abandoned: Arc<AtomicBool>,
}

/// A provider behind a thread and a deadline.
pub struct Worker {
    provider: Arc<dyn SecurityProvider>,
    deadline: Duration,
    queue: Mutex<Option<Queue>>,
    stuck: Arc<AtomicUsize>,
}

impl Worker {
    /// Asks `provider` and waits at most `deadline` for each answer.
    pub fn new(provider: Arc<dyn SecurityProvider>, deadline: Duration) -> Self {
        Self { provider, deadline, queue: Mutex::new(None), stuck: Arc::new(AtomicUsize::new(0)) }
    }

    /// The provider's name.
    pub fn name(&self) -> &'static str {
        self.provider.name()
    }

    /// Lets the provider answer one question.
    ///
    /// # Errors
    ///
    /// [`Fault`]: there is no answer. What the provider did besides is unknown; its thread may still run.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn SecurityProvider) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        if self.stuck.load(Ordering::Acquire) >= STUCK_WORKERS_MAX {
            return Err(Fault::Stuck);
        }
        let (reply, answer): (SyncSender<Result<T, Fault>>, _) = sync_channel(1);
        let job: Job = Box::new(move |provider| {
            let result = catch_unwind(AssertUnwindSafe(|| question(provider))).map_err(|_panic| Fault::Panicked);
            // The asker may have gone away after its deadline; then nobody needs the answer.
            drop(reply.send(result));
        });
        // One question at a time: a second asker waits here instead of counting the first one's time as its own.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.enqueue(&mut queue, job)?;
        match answer.recv_timeout(self.deadline) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                // Abandon the thread: dropping its queue ends it once it comes back.
                self.stuck.fetch_add(1, Ordering::AcqRel);
                if let Some(late) = queue.take() {
                    late.abandoned.store(true, Ordering::Release);
                }
                Err(Fault::Late)
            }
            Err(RecvTimeoutError::Disconnected) => {
                *queue = None;
                Err(Fault::Panicked)
            }
        }
    }

    fn enqueue(&self, queue: &mut Option<Queue>, job: Job) -> Result<(), Fault> {
        if let Some(queue) = queue.as_ref() {
            return queue.jobs.send(job).map_err(|_gone| Fault::Panicked);
        }
        let (sender, jobs) = channel::<Job>();
        let abandoned = Arc::new(AtomicBool::new(false));
        let provider = Arc::clone(&self.provider);
        let (stuck, late) = (Arc::clone(&self.stuck), Arc::clone(&abandoned));
        thread::Builder::new()
            .name(format!("provider-{}", provider.name()))
            .spawn(move || serve(provider.as_ref(), &jobs, &stuck, &late))
            .map_err(|_error| Fault::NoThread)?;
        sender.send(job).map_err(|_gone| Fault::Panicked)?;
        *queue = Some(Queue { jobs: sender, abandoned });
        Ok(())
    }
}

fn serve(provider: &dyn SecurityProvider, jobs: &Receiver<Job>, stuck: &AtomicUsize, abandoned: &AtomicBool) {
    while let Ok(job) = jobs.recv() {
        job(provider);
    }
    // The queue was dropped: at the end of the session, or because this thread was late and has come back after all.
    if abandoned.load(Ordering::Acquire) {
        stuck.fetch_sub(1, Ordering::AcqRel);
    }
}
