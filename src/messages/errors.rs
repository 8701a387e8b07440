//! Failed checks, downloads and responses: one sentence each, with what to do.
