//! The message line of the dashboard.
