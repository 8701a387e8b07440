//! `kietop`: `top` for video tasks at kie.ai. This page is the map of the house.
//!
//! # The idea
//!
//! One owner: [`app::state::State`] lives in the loop of [`runtime`]. One door: it changes only in
//! [`app::update::update`], which takes a message and the time and returns orders as data. Views ([`ui`]) are functions
//! of the state and the time. The outside is behind [`ports`]; its real forms are [`adapters`]. Data flows one way:
//!
//! ```text
//! wire ─ adapters ─> domain reports ─> Msg ─> update ─> State ─> ui ─> terminal
//! keys ─ runtime::input ───────────────^         └────> Effect ─> runtime::effects ─> ports
//! ```
//!
//! # The rooms, from the ground up
//!
//! | module | its one job | must not know |
//! |---|---|---|
//! | [`domain`] | tasks, answers, schedule, estimates, the watch list | I/O, clocks, terminals |
//! | [`ports`] | the outside as traits, in words of the domain | HTTP, SQL |
//! | [`app`] | keymap, messages, effects, state, `update` | the ports, the screen |
//! | [`ui`] | `draw`, formats, themes | the terminal's crate, the network |
//! | [`adapters`] | the API's client, the list on disk, browser and clocks, the log | the core, the screen |
//! | [`simulator`] | the API as a server of our own | the client it is asked by |
//! | [`cli`] | the command line, a file a headless command | the loop |
//! | [`runtime`] | the loop, effects, input, terminal | HTTP, SQL |
//!
//! `tests/layering.rs` holds this table against the source.
//!
//! # Invariants
//!
//! - Every effect but redraw and quit is answered by exactly one message; a question never answered is
//!   [lost](domain::schedule::LOST_AFTER) and asked again.
//! - A task is in flight at most once; at most [four](domain::schedule::MOST_IN_FLIGHT) are, and at most
//!   [five](domain::schedule::MOST_PER_SECOND) start in a second.
//! - A failed check never changes a state; a final state is never demoted ([`domain::task::Task::absorb`]).
//! - Selection and first visible row are kept by id.
//! - Text from outside is [clean](domain::text::CleanText) from the door on.
//! - What a person asked for is on the disk before it is shown as done.
//! - At rest the loop wakes once a minute, and only because ages on the screen would lie otherwise; with an empty list
//!   it does not wake at all.
//!
//! # Where this differs from the first design, and why
//!
//! - `CleanText`, the two times and the row's status have files of their own (`domain::text`, `time`, `status`):
//!   `task` had grown four jobs.
//! - A screen below and an optional box above it (`Screen`, `Overlay`) in place of one `Mode`: closing a box then needs
//!   no memory of where it was opened.
//! - `draw` reports how far its text can scroll, and the core is told: it cannot know how a text wraps.
//! - The list is opened on its own thread after the first frame, so that no disk delays the first paint.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod domain;
pub mod ports;
pub mod runtime;
pub mod simulator;
pub mod ui;
