//! A task: its status, its journal and its result.
