//! The limiter, shared by all instances on one list through a file, or kept in memory.
//!
//! If the file cannot be used (full disk, no permission, a disk that hangs), only the limits of
//! this process apply.

#![expect(
    clippy::disallowed_types,
    reason = "locked on the blocking pool and on drop, never across an await"
)]

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    limiter_file::{LimiterFile, LockWait, to_millis},
    process_identity,
};
use crate::domain::{
    account_hash::AccountHash,
    limiter::{OwnerProcess, Permit, RequestLimiter, RequestOutcome},
    poll_request::{Backoff, Denied, PollTrigger},
    task::TaskId,
    time::Mono,
};

/// A limiter for all requests of this process. Its calls block.
#[derive(Debug)]
pub struct SharedLimiter {
    clock: fn() -> Mono,
    /// Used without a file, and while the file cannot be used.
    memory: Mutex<RequestLimiter>,
    file: Option<Mutex<LimiterFile>>,
    /// Whether a call has not returned from the file yet, and others do not wait for it.
    is_file_suspended: AtomicBool,
    /// Owner of the permits acquired here.
    own_process: Option<OwnerProcess>,
}

impl SharedLimiter {
    /// Returns a limiter for this process alone.
    pub fn in_memory(clock: fn() -> Mono) -> Self {
        Self {
            clock,
            memory: Mutex::default(),
            file: None,
            is_file_suspended: AtomicBool::new(false),
            own_process: None,
        }
    }

    /// Returns the limiter beside a list. All processes on the host must share the clock.
    pub fn for_list(list: PathBuf, clock: fn() -> Mono) -> Self {
        Self {
            file: Some(Mutex::new(LimiterFile::for_list(list))),
            own_process: process_identity::current_process(),
            ..Self::in_memory(clock)
        }
    }

    pub(super) fn uses_file(&self) -> bool {
        self.file.is_some() && !self.is_file_suspended.load(Ordering::Relaxed)
    }

    /// Goes on in memory until the call that uses the file now returns.
    pub(super) fn suspend_file(&self) {
        self.is_file_suspended.store(true, Ordering::Relaxed);
    }

    /// Acquires a permit to check a task now. Permits of exited processes are looked for only if
    /// none can be had otherwise.
    pub fn acquire(
        &self,
        task: &TaskId,
        account: AccountHash,
        trigger: PollTrigger,
    ) -> Result<Permit, Denied> {
        self.update(LockWait::Patient, |limiter, salt, now| {
            let permit = Permit {
                task: task.clone(),
                account: account.salted(salt),
                since: now,
                owner: self.own_process,
            };
            let has_exited = |owner| process_identity::has_exited(owner, self.own_process);
            let mut result = limiter.acquire(&permit, trigger);
            if result.is_err() && limiter.release_dead(has_exited) {
                result = limiter.acquire(&permit, trigger);
            }
            result.map(|()| permit)
        })
    }

    /// Counts a second request on the same permit, or returns how long it must wait.
    pub fn count_request(&self) -> Result<(), Duration> {
        self.update(LockWait::Patient, |limiter, _, now| {
            limiter.count_request(now)
        })
    }

    /// Releases a permit with the outcome of its request, for all instances; returns the account's
    /// backoff.
    pub fn release(&self, permit: &Permit, outcome: &RequestOutcome) -> Option<Backoff> {
        self.update(LockWait::Patient, |limiter, _, now| {
            limiter.release(permit, outcome, now);
            limiter.backoff(permit.account, now)
        })
    }

    /// Releases the permit of a request that nobody waits for any more. Does not wait for the
    /// file: if another process has locked it, the permit expires.
    pub(super) fn abandon(&self, permit: &Permit) {
        self.update(LockWait::Never, |limiter, _, now| {
            limiter.release(permit, &RequestOutcome::NoAnswer, now);
        });
    }

    /// Runs `work` on the limiter, with the salt of its accounts and the time.
    fn update<T>(
        &self,
        lock_wait: LockWait,
        work: impl Fn(&mut RequestLimiter, u64, Mono) -> T,
    ) -> T {
        // In the file's precision, so that a permit equals its stored copy.
        let now = || {
            let since_start = (self.clock)().since_start();
            Mono::at(Duration::from_millis(to_millis(since_start)))
        };
        let file = self.file.as_ref().filter(|_| self.uses_file());
        if let Some(mut file) = file.and_then(|file| match lock_wait {
            LockWait::Patient => Some(lock(file)),
            LockWait::Never => file.try_lock().ok(),
        }) {
            let result = file.update(lock_wait, |limiter, salt| work(limiter, salt, now()));
            self.is_file_suspended.store(false, Ordering::Relaxed);
            match result {
                Ok(result) => return result,
                Err(error) => tracing::debug!(%error, "the shared limiter cannot be used"),
            }
        }
        work(&mut lock(&self.memory), 0, now())
    }
}

/// Locks a mutex. After a panic its value is still valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
