//! Who holds a turn: this process as others can tell it, and whether one that held a turn is gone.
//!
//! A process is gone when the host knows none of its number, or only one that began at another
//! time. Nothing is concluded of a process of another start of the host or of another space of
//! numbers (a container), nor where the host does not tell: its turn ends by itself.

use crate::domain::limiter::OwnerProcess;

#[cfg(target_os = "linux")]
pub(super) use linux::current_process;
#[cfg(target_os = "linux")]
use linux::has_exited_here;

/// Returns this process; `None` where it cannot be told apart from others.
#[cfg(not(target_os = "linux"))]
pub(super) const fn current_process() -> Option<OwnerProcess> {
    None
}

/// Reports whether it is certain that a process is gone, as far as this one can tell.
pub(super) fn has_exited(holder: OwnerProcess, current_process: Option<OwnerProcess>) -> bool {
    current_process.is_some_and(|own| own.namespace == holder.namespace && has_exited_here(holder))
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

    use super::OwnerProcess;

    /// Returns this process; `None` where it cannot be told apart from others.
    pub(in super::super) fn current_process() -> Option<OwnerProcess> {
        let process = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // What is mounted there may count another space's numbers.
        let is_ours = stat.split(' ').next()?.parse() == Ok(process);
        let (_, begun) = state_and_start_time(&stat).filter(|_| is_ours)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        let mut hasher = DefaultHasher::new();
        (boot, space).hash(&mut hasher);
        Some(OwnerProcess {
            namespace: hasher.finish(),
            pid: process,
            started_at: begun,
        })
    }

    /// Reports whether a process of our namespace is gone. That it can be sent a signal
    /// is asked first: a host may hide what it tells of a process that is there.
    pub(super) fn has_exited_here(holder: OwnerProcess) -> bool {
        let number = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
        let Some(number) = number else { return true };
        if test_kill_process(number) == Err(Errno::SRCH) {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", holder.pid)).ok();
        // Dead ones are told of until their parent has heard of it.
        stat.as_deref()
            .and_then(state_and_start_time)
            .is_some_and(|(state, begun)| {
                state == "Z" || state == "X" || begun != holder.started_at
            })
    }

    /// Returns a process's state, and when it began.
    fn state_and_start_time(stat: &str) -> Option<(&str, u64)> {
        // The name, in parentheses, may hold anything.
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
            let is_gone = |holder| has_exited(holder, Some(current_process));
            assert!(!is_gone(current_process));

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
            assert!(!is_gone(other));
            let earlier = OwnerProcess {
                started_at: other.started_at - 1,
                ..other
            };
            assert!(is_gone(earlier), "another one had its number");
            let foreign = OwnerProcess {
                namespace: current_process.namespace ^ 1,
                ..earlier
            };
            assert!(!is_gone(foreign), "who can tell");

            child.kill().unwrap();
            while !is_gone(other) {
                std::thread::yield_now();
            }
            child.wait().unwrap();
            assert!(is_gone(other));
            assert!(
                !super::super::has_exited(other, None),
                "nor can one who does not know itself"
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
