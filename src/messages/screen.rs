//! The details, banners, dialogs and empty screens of the dashboard.
