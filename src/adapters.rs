//! Real forms of the ports: the API, and what else lies outside the program.

pub mod kie;
