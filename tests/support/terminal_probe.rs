//! A minimal program that uses the terminal like the dashboard: one loop with keys, interruptions
//! and frames. An environment variable selects its mode, and keys control it.

use std::convert::Infallible;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use std::pin::pin;

use futures_util::StreamExt as _;
use kietop::app::keymap::KeyChord;
use kietop::runtime::Display as _;
use kietop::runtime::input::{InputEvent, InputReader};
use kietop::runtime::terminal::{
    Interruption, SIGNAL_EXIT_BASE, ScreenOptions, TerminalScreen, exit_now, harden_process,
    sanitise_panics,
};
use ratatui::Frame;
use ratatui::style::{Style, Styled as _};
use tokio::sync::mpsc;

/// Makes the test binary run this program in the given mode.
pub(crate) const MODE_VAR: &str = "KIETOP_TEST_PROBE";
/// Part of every frame.
pub(crate) const READY_TEXT: &str = "ready";
/// The exit code after a panic in the loop, the same as Rust's own.
pub(crate) const PANIC_EXIT_CODE: u32 = 101;

const HANG_UP_EXIT_CODE: i32 = SIGNAL_EXIT_BASE + 1;

#[derive(Default)]
struct Probe {
    keys: usize,
    ticks: usize,
    message: String,
}

/// Panics like a command without a screen.
pub(crate) fn panic_without_screen() -> ! {
    sanitise_panics();
    panic!("panicked without a screen \x1b[2J\u{202e}\u{9b}2J");
}

pub(crate) fn run_probe(is_drawing: bool) -> ! {
    harden_process().expect("no core dumps");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("tokio");
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let _guard = runtime.enter();
        let (mut screen, interruptions) = TerminalScreen::enter(ScreenOptions {
            captures_mouse: true,
            assumed_size: (80, 24),
            ..ScreenOptions::default()
        })
        .expect("a terminal");
        let code = runtime.block_on(run_loop(&mut screen, interruptions, is_drawing));
        screen.leave();
        code
    }));
    runtime.shutdown_background();
    exit_now(result.unwrap_or_else(|_| PANIC_EXIT_CODE.cast_signed()))
}

async fn run_loop(
    screen: &mut TerminalScreen,
    mut interruptions: mpsc::Receiver<Interruption>,
    is_drawing: bool,
) -> i32 {
    let mut probe = Probe::default();
    let mut keys = pin!(
        InputReader::open(screen.query_times())
            .expect("a keyboard")
            .events()
    );
    let mut ticker = tokio::time::interval(Duration::from_millis(3));
    loop {
        if !screen.has_pending_output() {
            screen.set_title("kietop probe\x1b[31m").ok();
            if screen.draw(&mut |frame| probe.draw(frame)).is_err() {
                return HANG_UP_EXIT_CODE;
            }
        }
        let mut suspend = false;
        tokio::select! {
            biased;
            Some(interruption) = interruptions.recv() => match interruption {
                Interruption::Quit { signal } => {
                    return SIGNAL_EXIT_BASE + signal;
                }
                Interruption::HungUp => {
                    return HANG_UP_EXIT_CODE;
                }
                Interruption::Suspend => suspend = true,
                // A hang-up sends CONT as well, and may do so first.
                Interruption::Continued if screen.resume().is_err() => {
                    return HANG_UP_EXIT_CODE;
                }
                Interruption::TaskPanicked(text) => {
                    probe.message = text.lines().next_back().unwrap_or_default().into();
                }
                // The next iteration draws at the new size.
                Interruption::Continued | Interruption::Resized => {}
            },
            // The keys of a paste are counted too, so that a lost one is noticed.
            Some(input) = keys.next() => match input {
                Ok(InputEvent::Key { chord, .. }) => match chord.typed_char() {
                    Some('q') => {
                        return 0;
                    }
                    Some(key) => probe.handle_key(key, screen),
                    None if chord == KeyChord::ctrl('l') => screen.invalidate(),
                    None => suspend = chord == KeyChord::ctrl('z'),
                },
                Ok(InputEvent::Paste(text)) => probe.keys += text.matches('n').count(),
                Ok(InputEvent::Mouse(..) | InputEvent::Reply(_) | InputEvent::Focus(_)) => {}
                Err(_) => {
                    return HANG_UP_EXIT_CODE;
                }
            },
            result = screen.flush_pending() => {
                if result.is_err() {
                    return HANG_UP_EXIT_CODE;
                }
            }
            _ = ticker.tick(), if is_drawing => probe.ticks += 1,
        }
        if suspend && screen.suspend().is_err() {
            return HANG_UP_EXIT_CODE;
        }
    }
}

impl Probe {
    fn handle_key(&mut self, key: char, screen: &mut TerminalScreen) {
        match key {
            'n' => self.keys += 1,
            'p' => panic!("panicked in the loop \x1b[2J\u{202e}"),
            'b' => drop(std::thread::spawn(|| {
                panic!("panicked in a thread\u{202e}")
            })),
            't' => drop(tokio::spawn(async { panic!("panicked in a task") })),
            's' => {
                self.message = "stuck now".into();
                screen.draw(&mut |frame| self.draw(frame)).ok();
                let (_sender, never) = std::sync::mpsc::channel::<Infallible>();
                never.recv().ok();
            }
            _ => {}
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let lines = [
            format!("{READY_TEXT} {}×{}", area.width, area.height),
            format!("keys {} ticks {}", self.keys, self.ticks),
            self.message.clone(),
        ];
        for (line, row) in lines.iter().zip(area.rows()) {
            frame.render_widget(line.as_str().set_style(Style::new().bold().green()), row);
        }
        // Every cell changes, so that each frame has the maximum size.
        let filler = char::from(b'a' + u8::try_from(self.ticks % 26).unwrap_or_default());
        for row in area.rows().skip(lines.len()) {
            if self.ticks > 0 {
                frame.render_widget(filler.to_string().repeat(row.width.into()), row);
            }
        }
    }
}
