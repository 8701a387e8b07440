//! Identity of the processes that own permits, and detection of those that have exited.
//!
//! A process has exited if no process has its PID, or only one that started at another time. A
//! process of another boot or another PID namespace (a container) is never taken for exited; its
//! permit expires instead.

use crate::domain::limiter::OwnerProcess;

#[cfg(target_os = "linux")]
pub(super) use linux::current_process;
#[cfg(target_os = "linux")]
use linux::has_exited_here;

/// Returns `None`: here, processes cannot be identified.
#[cfg(not(target_os = "linux"))]
pub(super) const fn current_process() -> Option<OwnerProcess> {
    None
}

/// Reports whether a process has certainly exited, as far as this process can know.
pub(super) fn has_exited(owner: OwnerProcess, current_process: Option<OwnerProcess>) -> bool {
    current_process.is_some_and(|own| {
        own != owner && own.namespace == owner.namespace && has_exited_here(owner)
    })
}

#[cfg(not(target_os = "linux"))]
const fn has_exited_here(_: OwnerProcess) -> bool {
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        hash::{DefaultHasher, Hash as _, Hasher as _},
    };

    use rustix::{
        io::Errno,
        process::{Pid, test_kill_process},
    };

    use crate::domain::limiter::OwnerProcess;

    /// Returns the identity of this process; `None` if it cannot be determined.
    pub(crate) fn current_process() -> Option<OwnerProcess> {
        let pid = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // `/proc` may belong to another PID namespace.
        let is_ours = stat.split(' ').next()?.parse() == Ok(pid);
        let (_, started_at) = state_and_start_time(&stat).filter(|_| is_ours)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let mut hasher = DefaultHasher::new();
        (boot, namespace).hash(&mut hasher);
        Some(OwnerProcess {
            namespace: hasher.finish(),
            pid,
            started_at,
        })
    }

    /// Reports whether a process of our namespace has exited. Sends signal 0 first, because the
    /// system may hide the `/proc` entry of a live process.
    pub(super) fn has_exited_here(owner: OwnerProcess) -> bool {
        let pid = i32::try_from(owner.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return true };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", owner.pid)).ok();
        // A zombie keeps its entry until its parent waits for it.
        stat.as_deref()
            .and_then(state_and_start_time)
            .is_some_and(|(state, started_at)| {
                state == "Z" || state == "X" || started_at != owner.started_at
            })
    }

    /// Parses state and start time from `/proc/PID/stat`.
    fn state_and_start_time(stat: &str) -> Option<(&str, u64)> {
        // The name, in parentheses, may contain anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some((fields.next()?, fields.nth(18)?.parse().ok()?))
    }

    #[cfg(test)]
    mod tests {
        use std::process::Command;

        use super::{super::has_exited, *};

        #[test]
        fn live_processes_are_told_from_dead_ones() {
            let current_process = current_process().unwrap();
            let is_exited = |owner| has_exited(owner, Some(current_process));
            assert!(!is_exited(current_process));

            let mut child = Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let other = OwnerProcess {
                pid: child.id(),
                started_at: state_and_start_time(&stat).unwrap().1,
                ..current_process
            };
            assert!(!is_exited(other));
            let earlier = OwnerProcess {
                started_at: other.started_at - 1,
                ..other
            };
            assert!(is_exited(earlier), "another process had its PID");
            let foreign = OwnerProcess {
                namespace: current_process.namespace ^ 1,
                ..earlier
            };
            assert!(!is_exited(foreign), "another namespace");

            child.kill().unwrap();
            while !is_exited(other) {
                std::thread::yield_now();
            }
            child.wait().unwrap();
            assert!(is_exited(other));
            assert!(
                !super::super::has_exited(other, None),
                "our own identity is unknown"
            );
        }

        #[test]
        fn process_names_may_contain_anything() {
            let rest = "R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
            let stat = format!("7 (a) Z 9 (b) {rest}");
            assert_eq!(state_and_start_time(&stat), Some(("R", 4242)));
            assert_eq!(state_and_start_time("7 (a"), None);
            assert_eq!(state_and_start_time("7 (a) R 1"), None);
        }
    }
}
