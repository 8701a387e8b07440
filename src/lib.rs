//! `kietop`: `top` for video tasks at kie.ai. This page is the map of the code.
//!
//! # Data flow
//!
//! [`app::state::State`] has one owner, the event loop in [`runtime`]. It changes only in
//! [`app::update::update`], which takes a message and the time and returns effects as data. Views
//! ([`ui`]) are functions of the state and the time. Network, disk and desktop are traits
//! ([`ports`]) with their implementations in [`adapters`].
//!
//! ```text
//! HTTP ─ adapters ─> PollResult ─> Msg ─> update ─> State ─> ui ─> terminal
//! keys ─ runtime::input ────────────^        └────> Effect ─> runtime::effects ─> ports
//! ```
//!
//! # Modules, lowest first
//!
//! | module | job | must not know |
//! |---|---|---|
//! | [`domain`] | tasks, poll results, schedule, limiter, filters | I/O, clocks, terminals |
//! | [`messages`] | the sentences that people read | where they are shown |
//! | [`ports`] | traits for network, disk and desktop | HTTP, SQL |
//! | [`app`] | key bindings, messages, effects, state, `update` | ports, screen, limits |
//! | [`ui`] | drawing, glyphs, themes | the terminal crate, the network |
//! | [`adapters`] | API client, list file, downloads, browser, log | the app, the screen |
//! | [`simulator`] | a simulated kie.ai server | its clients |
//! | [`config`] | file, environment and options as one checked value | the use of the settings |
//! | [`cli`] | the command line, one file for each command | the event loop |
//! | [`runtime`] | event loop, effects, input, terminal, previews | HTTP, SQL |
//!
//! `tests/core/layering.rs` checks this table against the source.
//!
//! # Where a change goes
//!
//! | change | file |
//! |---|---|
//! | a key | the row in `app/keymap/table.rs`, its arm in `app/update/keys.rs` |
//! | a message, an error, a journal line | `messages/`, by where it appears |
//! | a status word | `messages/tasks.rs`; when a task has it: [`domain::status`] |
//! | the glyph and colour of a status, a theme | `ui/theme.rs`; `app/palette.rs` |
//! | a column of the list | `ui/list/row.rs`; to sort by it: `domain/query/order.rs` |
//! | a field of the details | `ui/detail/info.rs`, `ui/detail/links.rs` |
//! | a dialog | `ui/overlay/` with `app/state/` |
//! | poll intervals, retries | [`domain::schedule`]; of the account: `domain/limiter.rs` |
//! | retries of downloads | [`domain::download`] |
//! | a column on disk | `adapters/store/schema.rs` (migration), `adapters/store/rows.rs` |
//! | a family of tasks | [`domain::task::Family`], a decoder like `adapters/kie/luma_modify.rs` |
//! | a clipboard tool, a browser | `adapters/clipboard.rs`, `adapters/desktop.rs` |
//! | a setting | `config/settings.rs`, `config/check.rs`, `assets/config.toml` and its schema |
//! | a command | its file in `cli/`, the enum in `cli/args.rs`, its arm in `main.rs` |
//!
//! # Invariants
//!
//! - Each effect is answered by exactly one message, except those that [`app::msg::Effect`] lists.
//!   A check without an answer is [lost](domain::schedule::LOST_AFTER) after a while and repeated.
//! - A task is checked by one request at a time. At most
//!   [four](domain::schedule::MAX_IN_FLIGHT) requests are in flight and at most
//!   [five](domain::schedule::MAX_PER_SECOND) start in a second, over all instances on one list:
//!   they share a [limiter](domain::limiter::RequestLimiter) in a file beside it. Without that file
//!   each instance keeps its own limits.
//! - A failed check never changes a task's state, and a finished task never becomes unfinished
//!   ([`domain::task::Task::merge`]).
//! - Selection, first visible row and marks are kept by task id. An action applies to
//!   [`State::targets`](app::state::State::targets): the marked tasks, else the selected one.
//! - The visible rows are updated one at a time, and always equal the list filtered and sorted from
//!   scratch ([`domain::query::ListView`]); `tests/core/properties.rs` compares both after
//!   each message.
//! - Text from outside is [sanitised](domain::text::CleanText) where it enters.
//! - Unusual answers are counted by kind. The start of the last one is kept in memory only, without
//!   the API key ([`domain::response_notes`]).
//! - A change that the user made is on disk before the screen shows it as done.
//! - A saved file gets its final name only when it is complete and a video
//!   ([`adapters::download`]).
//! - A link from the API is never opened as a file. The only `file:` address opened is the
//!   comparison page that we write ([`adapters::compare`]), and ffmpeg reads local files only
//!   ([`adapters::frames`]).
//! - Pixels stay in the runtime. One preview is made at a time, and a late one is recognised by its
//!   [id](domain::preview::PreviewId).
//! - An idle event loop wakes once a minute, to update ages; with an empty list it never wakes. The
//!   folder of the list is also checked every five seconds (macOS: every second), because
//!   unmounting a disk sends no event ([`adapters::store::watch`]).
//!
//! # Where this differs from what you would expect, and why
//!
//! - **No serde for the config file.** Serde stops at the first error; `config::toml_reader`
//!   reports all of them, each with its line and the nearest known name.
//! - **Own key names, not crokey's.** Crokey uses the terminal crate's types, which `app` must not
//!   know.
//! - **Own input decoder and output.** A paste must never act as keys, and a terminal that has
//!   stopped reading must stop neither checks nor keys (`runtime::input`, `runtime::terminal`).
//! - **`draw` reports how far its text can scroll**, since the state cannot know how text wraps.
//! - **Session before list.** Tab, filter, sort order and undo steps are read first
//!   (`Effect::LoadSession`), so the first screen is the right one. They are stored in the list
//!   file, which already has a safe way of writing.
//! - **The list is opened after the first frame**, on its own thread, and a stored key is read at
//!   the first check: no disk and no key command delays the first frame.
//! - **The theme `auto` does not wait** for the terminal's background colour. The first frame uses
//!   colours that read on both; on a light background darker ones follow.
//! - **Frames from ffmpeg are plain pixel maps**, not PNG: the number of bytes read limits their
//!   size.
//! - **The terminal is asked for its graphics support** when the first preview is requested, and
//!   its reply is read with the keys, so no key is lost and no start waits. `ratatui-image` draws;
//!   its own query is not used.
//! - **A clock that counts suspend.** `Instant` stands still on Linux while the machine sleeps; the
//!   schedule does not. Checks that became due during sleep are spread, not sent at once.
//! - **No leader among instances.** The instance that got the last answer continues to check a
//!   task, and the others wait a little longer. A leader's lock would leave the list unchecked
//!   while the leader is paused or offline.
//! - **Retries and link renewals count in the limiter** like any check
//!   ([`adapters::limited_client`]), and five requests are counted over
//!   [slightly more](domain::schedule::RATE_WINDOW) than a second, because evenly sent requests do
//!   not arrive evenly.
//! - **Offline, the network is tried at least once a minute.** After an hour of other errors, the
//!   wait grows to at most ten minutes. Only a rate limit (429 and similar codes) cannot be retried
//!   with `r`.
//! - **A refused certificate is tried again every five minutes**, since someone else usually fixes
//!   it. The key is never sent over such a connection.
//! - **A failed generation (code 501) is not checked again**: the state is final, so a second
//!   answer could change nothing.

pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod messages;
pub mod ports;
pub mod runtime;
pub mod simulator;
pub mod ui;

#[cfg(not(unix))]
compile_error!("kietop runs on Linux and macOS. On Windows, build it inside WSL.");
