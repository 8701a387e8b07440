//! `kietop`: `top` for video tasks at kie.ai.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod domain;
pub mod ports;
pub mod runtime;
pub mod simulator;
pub mod ui;
