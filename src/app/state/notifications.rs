//! What is still to be reported about finished tasks.

use super::absence::Absence;
use crate::{
    app::notifications::{NotificationBatch, TerminalFocus},
    domain::task::TaskId,
};

/// Reports that wait for their time or for the user.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    pub(in crate::app) batch: Option<NotificationBatch>,
    pub(in crate::app) focus: TerminalFocus,
    pub(in crate::app) absence: Option<Absence>,
    /// Tasks just found to have finished before this run.
    pub(in crate::app) finished_earlier: Vec<TaskId>,
}
