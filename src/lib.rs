//! `kietop`: `top` for video tasks at kie.ai. This page is the map of the house.
//!
//! # The idea
//!
//! One owner: [`app::state::State`] lives in the loop of [`runtime`]. One door: it changes only in
//! [`app::update::update`], which takes a message and the time and returns orders as data. Views
//! ([`ui`]) are functions of the state and the time. The outside is behind [`ports`]; its real
//! forms are [`adapters`]. Data flows one way:
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
//! | [`adapters`] | API client, list file, browser, clipboard, notifications, ffmpeg, log | the core, the screen |
//! | [`simulator`] | the API as a server of our own | the client it is asked by |
//! | [`config`] | file, environment and options as one checked value | the settings' use |
//! | [`cli`] | the command line, a file a headless command | the loop |
//! | [`runtime`] | the loop, effects, input, terminal, pictures | HTTP, SQL |
//!
//! `tests/layering.rs` holds this table against the source.
//!
//! # Invariants
//!
//! - Every effect is answered by exactly one message, but those for which nothing waits
//!   ([`app::msg::Effect`] names them); a question never answered is
//!   [lost](domain::schedule::LOST_AFTER) and asked again.
//! - A task is in flight at most once; at most [four](domain::schedule::MAX_IN_FLIGHT) are, and at
//!   most [five](domain::schedule::MAX_PER_SECOND) start in a second. The same holds over all
//!   instances on a list, by the [limiter](domain::limiter::Limiter) beside it; where that cannot
//!   be had, each keeps its own limits.
//! - A failed check never changes a state; a final state is never demoted
//!   ([`domain::task::Task::merge`]).
//! - Selection, first visible row and marks are kept by id. What a key acts on is
//!   [`State::targets`](app::state::State::targets): the marked tasks, else the selected one.
//! - The rows shown equal the list looked at afresh through the [view](domain::query::ListView),
//!   though one answer moves one row: `tests/properties.rs` compares the two after every message.
//! - Text from outside is [clean](domain::text::CleanText) from the door on.
//! - Of an odd answer the kind is counted and the beginning kept, without the key and in memory
//!   only ([`domain::response_notes`]).
//! - What a person asked for is on the disk before it is shown as done.
//! - A saved file carries its final name only when it is whole and a video
//!   ([`adapters::download`]).
//! - A link of the API is never a file: the one `file:` address that is opened is a page we wrote
//!   ([`adapters::compare`]). ffmpeg is given files on this disk and never a link
//!   ([`adapters::frames`]).
//! - Pixels stay in the runtime; the core knows that there are pictures, the screen where they go.
//!   One pair is made at a time, and one that comes late is not taken for another task's
//!   ([`domain::preview::PreviewId`]).
//! - At rest the loop wakes once a minute, and only because ages on the screen would lie otherwise;
//!   with an empty list it does not wake at all. Beside the loop, the list's folder is checked
//!   every five seconds, as unmounting a disk sends no event ([`adapters::store::watch`]).
//!
//! # Where this differs from the first design, and why
//!
//! - `CleanText`, the two times, links and the row's status have files of their own
//!   (`domain::text`, `time`, `link`, `status`): `task` had grown five jobs; so has what we keep of
//!   a task beside it (`domain::watched`).
//! - A screen below and an optional box above it (`Screen`, `Overlay`) in place of one `Mode`:
//!   closing a box then needs no memory of where it was opened.
//! - Filter and order grew from one file to a folder (`domain::query`), with the matcher's crate
//!   behind `domain::fuzzy`.
//! - How the list was looked at, and the removals to undo, are read before the list
//!   (`Effect::Recall`), so that the first screenful is the right one; they are in the list file,
//!   which needs no second way of writing safely.
//! - `draw` reports how far its text can scroll, and the core is told: it cannot know how a text
//!   wraps.
//! - The config file is walked by hand over the parsed table, not read by serde, which stops at the
//!   first fault: every fault is named with its place, and a key is known exactly when something
//!   asks for it.
//! - Keys are parsed by our own table, not by crokey: that speaks in the terminal's types, which
//!   the core must not know.
//! - The theme `auto` asks the terminal for its ground and draws the first frame without waiting:
//!   in colours that read on both grounds. Only where the answer is a light one are there darker
//!   colours, once, from the next frame on.
//! - A frame comes from ffmpeg as a plain pixel map, not as a PNG: nothing is unpacked, so its size
//!   is bounded by what is read of it.
//! - The terminal is asked what it shows when the first picture is ordered, and its answers are
//!   read with the keys: no key can be lost to them, no start waits for them, and a terminal that
//!   shows no picture is never asked. `ratatui-image` draws, but its own query is not used.
//! - A stored key is read at the first question and not at the start, so that no command delays the
//!   first paint.
//! - A frame goes out by an outlet that never waits (`runtime::terminal`): what the terminal does
//!   not take at once is sent later, and no new frame is drawn meanwhile, so that a frozen terminal
//!   stops neither checks nor keys.
//! - The one repetition of a question whose connection broke, and asking for a fresh link, count in
//!   the limiter like any question ([`adapters::file_limiter::limited_client`]).
//! - Five questions are counted over a [little more](domain::schedule::RATE_WINDOW) than a second:
//!   what is sent evenly does not arrive so.
//! - The list is opened on its own thread after the first frame, so that no disk delays the first
//!   paint.
//! - Schedules run on a clock that counts the machine's sleep (not on `Instant`, which stands still
//!   on Linux): after hours of sleep what is shown is old and asked after within seconds. That it
//!   is no burst is the core's doing: what came due in a sleep, or while the program was stopped,
//!   is spread.
//! - No instance leads: whoever was answered for a task goes on asking after it, and the others
//!   wait a little longer than it could. A leader by lock would leave a list unasked when it is
//!   paused, stopped or held by its own network.
//! - A task whose generation failed (code 501) is not asked after once more to confirm it: an end
//!   is never demoted, so a second answer could change nothing.
//! - A certificate that is not trusted is tried again every five minutes and not only on `r`: it is
//!   mended elsewhere, often with nobody at the keyboard, and the key is never sent over it.
//! - Clocks apart and odd answers have a box of their own (`M`), not a place on the screen: they
//!   matter when something is looked into. Of an odd answer the last one is kept, cut and clean, in
//!   memory alone.
//! - No network is tried again within a minute however long it lasts; other trouble waits up to ten
//!   minutes after an hour of it. A limit (429 and its kin) is the only hold that a person's `r`
//!   does not end.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod ports;
pub mod runtime;
pub mod simulator;
pub mod ui;

#[cfg(not(unix))]
compile_error!("kietop runs on Linux and macOS. On Windows, build it inside WSL.");
