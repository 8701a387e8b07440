//! Who holds a turn: this process as others can tell it, and whether one that held a turn is gone.
//!
//! A process is gone when the host knows none of its number, or only one that began at another time. Nothing is concluded
//! of a process of another start of the host or of another space of numbers (a container), nor where the host does not
//! tell: its turn ends by itself.

use crate::domain::turns::Holder;

#[cfg(target_os = "linux")]
use linux::is_gone_here;
#[cfg(target_os = "linux")]
pub(super) use linux::own;

/// Returns this process; `None` where it cannot be told apart from others.
#[cfg(not(target_os = "linux"))]
pub(super) const fn own() -> Option<Holder> {
    None
}

/// Reports whether it is certain that a process is gone, as far as this one can tell.
pub(super) fn is_gone(holder: Holder, own: Option<Holder>) -> bool {
    own.is_some_and(|own| own.world == holder.world && is_gone_here(holder))
}

#[cfg(not(target_os = "linux"))]
const fn is_gone_here(_: Holder) -> bool {
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

    use super::Holder;

    /// Returns this process; `None` where it cannot be told apart from others.
    pub(in super::super) fn own() -> Option<Holder> {
        let process = std::process::id();
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // What is mounted there may count another space's numbers.
        let is_ours = stat.split(' ').next()?.parse() == Ok(process);
        let (_, begun) = state_and_begin(&stat).filter(|_| is_ours)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = fs::read_link("/proc/self/ns/pid").ok()?;
        let mut hasher = DefaultHasher::new();
        (boot, space).hash(&mut hasher);
        Some(Holder {
            world: hasher.finish(),
            process,
            begun,
        })
    }

    /// Reports whether a process of our own space is gone. That it can be sent a signal is asked first: a host may hide
    /// what it tells of a process that is there.
    pub(super) fn is_gone_here(holder: Holder) -> bool {
        let number = i32::try_from(holder.process).ok().and_then(Pid::from_raw);
        let Some(number) = number else { return true };
        if test_kill_process(number) == Err(Errno::SRCH) {
            return true;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", holder.process)).ok();
        // Dead ones are told of until their parent has heard of it.
        stat.as_deref()
            .and_then(state_and_begin)
            .is_some_and(|(state, begun)| state == "Z" || state == "X" || begun != holder.begun)
    }

    /// Returns a process's state, and when it began.
    fn state_and_begin(stat: &str) -> Option<(&str, u64)> {
        // The name, in parentheses, may hold anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some((fields.next()?, fields.nth(18)?.parse().ok()?))
    }

    #[cfg(test)]
    mod tests {
        use std::process::Command;

        use super::{super::is_gone, *};

        #[test]
        fn who_is_there_is_not_gone_and_who_ended_is() {
            let own = own().unwrap();
            let is_gone = |holder| is_gone(holder, Some(own));
            assert!(!is_gone(own));

            let mut child = Command::new("cat")
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let other = Holder {
                process: child.id(),
                begun: state_and_begin(&stat).unwrap().1,
                ..own
            };
            assert!(!is_gone(other));
            let earlier = Holder {
                begun: other.begun - 1,
                ..other
            };
            assert!(is_gone(earlier), "another one had its number");
            let foreign = Holder {
                world: own.world ^ 1,
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
                !super::super::is_gone(other, None),
                "nor can one who does not know itself"
            );
        }

        #[test]
        fn the_name_of_a_program_may_hold_anything() {
            let rest = "R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
            let stat = format!("7 (a) Z 9 (b) {rest}");
            assert_eq!(state_and_begin(&stat), Some(("R", 4242)));
            assert_eq!(state_and_begin("7 (a"), None);
            assert_eq!(state_and_begin("7 (a) R 1"), None);
        }
    }
}
