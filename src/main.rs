//! The program: reads the command line, puts the parts together, runs them, says what failed, and ends.

use std::{
    env, fmt, fs,
    hash::{BuildHasher as _, RandomState},
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::Parser as _;
use jiff::tz::TimeZone;
use kietop::{
    adapters::{
        clipboard::SystemClipboard,
        compare::ComparePages,
        desktop::{Browser, SystemClock},
        download::Reach,
        frames::Ffmpeg,
        headroom,
        helper::{self, Programs},
        inputs::InputCache,
        kie::{ApiKey, ApiOrigin, KieClient, Limits},
        log,
        notify::SystemNotifier,
        store::{self, Recovery, SqliteStore},
        surroundings::{assumed_size, is_set, path_variables, shows_unicode},
    },
    app::{
        state::{Settings, State},
        tidings::{NoticeSettings, NoticeWay},
    },
    cli::{
        self, Cli, Command, Failure, Global, World, exit, output, place, scribe::TaskScribe,
        signals::Signals, wait::Waiting,
    },
    config::{
        self, Ascii, Config,
        places::{self, BaseFolderError},
    },
    domain::{
        change::{Access, Change},
        path_text::unquoted,
        picture::{Preview, Way},
        schedule::Pace,
        task::{Family, TaskId},
        text::CleanText,
        time::Now,
        watched::LONGEST_LABEL,
    },
    ports::{Clock, ListStore, Turns},
    runtime::{
        self, Themes,
        effects::{ListNotice, OpenStore, OpenedStore, Outside},
        headless::{self, Ended},
        input::Keyboard,
        terminal::{
            Depth, Dialect, Mouse, Scheme, Screen, ScreenOptions, clean_panics, finish,
            harden_process, survive_file_size_limit,
        },
    },
    simulator::{self, SimulatedClock},
    ui::theme::{Palette, Theme},
};
use tokio::runtime::Runtime;

/// How long an idle thread for blocking work is kept: longer than any run.
const THREAD_KEEP_ALIVE: Duration = Duration::from_hours(24 * 365);

/// The variable that says how much is logged: error, warn, info, debug, trace.
const LOG_LEVEL: &str = "KIETOP_LOG";

fn main() {
    clean_panics();
    let cli = Cli::try_parse().unwrap_or_else(|answer| finish(output::not_run(&answer)));
    // A machine that does not let us switch core dumps off is no reason not to watch.
    harden_process().unwrap_or_default();
    survive_file_size_limit().unwrap_or_default();
    let outcome = start_runtime().and_then(|runtime| {
        let outcome = runtime.block_on(run(cli));
        // A hung name lookup must not delay the exit.
        runtime.shutdown_background();
        outcome
    });
    let code = outcome.unwrap_or_else(|failure| {
        output::talk(&format!("kietop: {failure}"));
        failure.code
    });
    helper::end_all();
    finish(place::exit_code(code))
}

/// Starts the runtime with one thread for blocking work, which it keeps.
fn start_runtime() -> Result<Runtime, Failure> {
    let failed =
        |why: &dyn fmt::Display| Failure::plain(format!("The program cannot start: {why}."));
    headroom::check_descriptors().map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .map_err(|error| failed(&error))?;
    headroom::start_thread(&runtime).map_err(|error| failed(&error))?;
    Ok(runtime)
}

async fn run(cli: Cli) -> Result<i32, Failure> {
    let Cli { command, global } = cli;
    places::check().map_err(|error| place::base_folder_failed(&error))?;
    match command {
        None => return dashboard(&global).await,
        Some(Command::Demo(world)) => return demo(&world, &global).await,
        Some(Command::Add(add)) => cli::add::run(&add, &global)?,
        Some(Command::Remove(remove)) => cli::remove::run(&remove, &global)?,
        Some(Command::List(list)) => cli::list::run(&list, &global).await?,
        Some(Command::Show(show)) => cli::list::show(&show, &global).await?,
        Some(Command::Wait(wait)) => return waits(&wait, &global).await,
        Some(Command::Open(open)) => cli::open::run(&open, &global)?,
        Some(Command::Save(save)) => cli::save::run(&save, &global).await?,
        Some(Command::Config(command)) => cli::config::run(command, &global)?,
        Some(Command::Simulate(simulate)) => {
            global.refuse_for_a_world("simulate")?;
            cli::simulate::run(&simulate).await?;
        }
        Some(Command::Completions(shell)) => cli::manual::completions(&shell)?,
        Some(Command::Man(man)) => cli::manual::man(&man)?,
    }
    Ok(0)
}

/// Watches the real thing.
async fn dashboard(global: &Global) -> Result<i32, Failure> {
    needs_terminal()?;
    let config = place::config(global)?;
    let file = place::list_file(&config)?;
    start_log();
    let access = place::access(global);
    let turns = place::turns(&config, access)?;
    let client = Arc::new(place::client(&config, &turns)?);
    let key = place::key_standing(&config)?;
    let secrets = place::known_secrets(&config)?;
    let Config {
        profile, settings, ..
    } = config;
    let state = Settings {
        name: profile.unwrap_or_default(),
        pace: settings.pace,
        retention: settings.retention.0,
        access,
        key,
        secrets,
        ..state_settings(&settings)?
    };
    let told: ReportRecovery = |notice, recovery| notice.recovered(recovery.to_string());
    let store = open_file(file, access, told, |store| Box::new(store));
    let outside = outside(client, SystemClock::start(), turns, &settings, store)?;
    show(state, &settings, outside).await
}

/// Waits until tasks have ended, with the dashboard's own core and no screen.
async fn waits(wait: &cli::Wait, global: &Global) -> Result<i32, Failure> {
    let config = place::config(global)?;
    let mut waiting = Waiting::new(wait, global, config.settings.retention.0)?;
    start_log();
    let file = place::list_file(&config)?;
    let access = place::access_to_read(&file, global);
    let store = open_file(
        file,
        access,
        |_, recovery| place::report(recovery),
        waiting.filter(),
    );
    let turns = place::turns(&config, access)?;
    let client = Arc::new(place::client(&config, &turns)?);
    let state = State::new(Settings {
        pace: config.settings.pace,
        retention: config.settings.retention.0,
        access,
        // A command that waits fetches nothing, and tells by its lines and its exit code.
        auto_save: false,
        notices: NoticeSettings::default(),
        ..state_settings(&config.settings)?
    });
    let outside = outside(client, SystemClock::start(), turns, &config.settings, store)?;
    let mut signals = Signals::listen();
    let until = async {
        let timeout = async {
            match &wait.timeout {
                Some(span) => tokio::time::sleep(span.0).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = signals.next() => Some(signal),
            () = timeout => None,
        }
    };
    match headless::follow(state, outside, until, |state, now| waiting.look(state, now)).await {
        Ended::Broke(outcome) => outcome,
        Ended::Until(Some(signal)) => Err(cli::wait::interrupted(signal)),
        Ended::Until(None) => Err(waiting.timed_out()),
    }
}

/// Returns the outside as it really is: the API of that client, the list, files and browser.
fn outside(
    client: Arc<KieClient>,
    clock: impl Clock + 'static,
    turns: Option<Arc<dyn Turns>>,
    config: &config::Settings,
    open_store: OpenStore,
) -> Result<Outside, Failure> {
    let inputs = InputCache::new(
        place::input_folder()?,
        Arc::new(place::input_downloader(&client)),
    );
    let browser = Browser::new(config.browser.clone(), Reach::of(client.origin()));
    Ok(Outside {
        clock: Arc::new(clock),
        turns,
        downloader: Arc::new(place::downloader(&client)),
        scribe: Arc::new(TaskScribe::of(client.origin().clone(), config.retention.0)),
        clipboard: Arc::new(SystemClipboard::here()),
        notifier: Arc::new(SystemNotifier::here()),
        api: client,
        opener: Arc::new(browser.clone()),
        comparer: Arc::new(ComparePages::new(place::page_folder()?, browser)),
        frames: Arc::new(Ffmpeg::among(Programs::of_path())),
        inputs: Arc::new(inputs),
        open_store,
    })
}

/// Watches the simulator, with a list that is gone afterwards. Of the settings only look and keys count; with a
/// faulty config file the default ones.
async fn demo(world: &World, global: &Global) -> Result<i32, Failure> {
    global.refuse_for_a_world("demo")?;
    needs_terminal()?;
    let config = place::config(global).unwrap_or_default().settings;
    let started = simulator::start(cli::simulate::settings(world, 0), SystemClock::wall()).await;
    let simulator =
        started.map_err(|error| Failure::plain(format!("The simulator cannot start: {error}.")))?;
    let origin = ApiOrigin::parse(simulator.base_url().as_str())
        .map_err(|error| Failure::plain(format!("The simulator's address: {error}.")))?;
    let key = ApiKey::parse("demo")
        .map_err(|error| Failure::plain(format!("The simulator's key: {error}.")))?;
    let client = KieClient::new(origin, Some(key), Limits::default());
    let clock = DemoClock {
        wall: simulator.clock(),
        system: SystemClock::start(),
    };
    let changes: Vec<_> = simulator
        .watched()
        .iter()
        .filter_map(|seeded| {
            let task = TaskId::parse(&seeded.id).ok()?;
            let label = seeded
                .label
                .as_deref()
                .map(|label| CleanText::line(label, LONGEST_LABEL));
            Some(Change::Add {
                task,
                family: Family::default(),
                label,
                at: seeded.added_at,
            })
        })
        .collect();
    let suggestions = simulator
        .spare_ids()
        .iter()
        .filter_map(|id| TaskId::parse(id).ok())
        .collect();
    let state = Settings {
        name: format!("demo ×{}", world.speed),
        // Tasks hurry in this world, so the questions do too: an ending is seen within seconds.
        pace: Pace::default().faster(),
        suggestions,
        ..state_settings(&config)?
    };
    let open_store: OpenStore = Box::new(move |_| {
        let mut store = SqliteStore::in_memory()?;
        store.apply(&changes)?;
        Ok(OpenedStore {
            store: Box::new(store),
            watch: None,
        })
    });
    // Nothing of a demo is kept; without such a folder there are no pages and no pictures.
    let folder = place::passing_folder()?;
    let client = Arc::new(client);
    let inputs = InputCache::new(
        folder.join("inputs"),
        Arc::new(place::input_downloader(&client)),
    );
    let outside = outside(client, clock, None, &config, open_store)?;
    let browser = Browser::new(config.browser.clone(), Reach::ThisMachine);
    let pages = ComparePages::new(folder.clone(), browser);
    let outside = Outside {
        comparer: Arc::new(pages),
        inputs: Arc::new(inputs),
        ..outside
    };
    let code = show(state, &config, outside).await;
    // What cannot be removed goes with the machine's other temporary files.
    fs::remove_dir_all(&folder).unwrap_or_default();
    code
}

/// Reads the simulated day, and the real time for schedules: waits are real, ages are the world's.
#[derive(Debug)]
struct DemoClock {
    wall: SimulatedClock,
    system: SystemClock,
}

impl Clock for DemoClock {
    fn now(&self) -> Now {
        Now {
            wall: self.wall.now(),
            mono: self.system.now().mono,
        }
    }
}

/// Takes the terminal, runs the loop, gives the terminal back.
async fn show(
    state: Settings,
    config: &config::Settings,
    outside: Outside,
) -> Result<i32, Failure> {
    let themes = themes(config);
    let options = ScreenOptions {
        scheme: if themes.follows_ground() {
            Scheme::Followed
        } else {
            Scheme::Chosen
        },
        mouse: match config.mouse {
            config::Mouse::On => Mouse::On,
            config::Mouse::Off => Mouse::Off,
        },
        dialect: Dialect::of(|name| env::var_os(name)),
        assumed_size: assumed_size(|name| env::var(name).ok()),
    };
    let entered = Screen::enter(options);
    let (mut screen, interruptions) = entered
        .map_err(|error| Failure::plain(format!("The terminal cannot be used: {error}.")))?;
    let state = State::new(state);
    let keyboard = Keyboard::open(screen.questions())
        .map_err(|error| Failure::plain(format!("The terminal cannot be read: {error}.")))?;
    let code = runtime::run(
        &mut screen,
        keyboard.events(),
        interruptions,
        state,
        themes,
        outside,
    )
    .await;
    screen.leave();
    Ok(code)
}

/// Returns what every dashboard is started with.
fn state_settings(config: &config::Settings) -> Result<Settings, Failure> {
    let home = match places::home_folder() {
        Err(error @ BaseFolderError::NotAbsolute { .. }) => {
            return Err(place::base_folder_failed(&error));
        }
        home => home.ok(),
    };
    let save_folder = match &home {
        // Without a home nothing is saved until a folder is typed.
        None if config.saving.folder.is_none() => PathBuf::new(),
        _ => place::save_folder(config)?,
    };
    Ok(Settings {
        keymap: config.keymap.clone(),
        save_folder,
        auto_save: config.saving.is_automatic,
        home,
        variables: path_variables(),
        here: env::current_dir().unwrap_or_default(),
        notices: notices(&config.notifications),
        zone: TimeZone::system(),
        preview: preview(config),
        seed: RandomState::new().hash_one(std::process::id()),
        ..Settings::default()
    })
}

/// Returns what is left of the user's choice here: no pictures where no colour is wanted.
fn preview(config: &config::Settings) -> Preview {
    if is_set("NO_COLOR") || config.colours.usual == Palette::monochrome() {
        Preview::Off
    } else {
        config.preview.through(way())
    }
}

/// Tells what lies between us and the terminal.
fn way() -> Way {
    let between = ["SSH_CONNECTION", "SSH_TTY", "TMUX", "STY"];
    let is_console = env::var("TERM").is_ok_and(|term| term == "linux");
    if between.into_iter().any(is_set) || is_console {
        Way::Indirect
    } else {
        Way::Direct
    }
}

/// Returns how endings are told of: by the title, and as the settings say.
fn notices(config: &config::Notifications) -> NoticeSettings {
    let chosen = [
        (true, NoticeWay::Title),
        (config.bell, NoticeWay::Bell),
        (config.osc, NoticeWay::Terminal),
        (config.desktop, NoticeWay::Desktop),
    ];
    let ways = chosen.into_iter().filter(|(is_chosen, _)| *is_chosen);
    NoticeSettings {
        ways: ways.map(|(_, way)| way).collect(),
        command: config.command.clone(),
    }
}

/// Chooses the themes: no colour or no fine glyphs where they are not wanted or not supported, and
/// a second theme for a light background if the user chose no colours and the terminal has enough.
fn themes(config: &config::Settings) -> Themes {
    let is_ascii = is_ascii(config);
    let glyphs = |theme: Theme| {
        if is_ascii { theme.with_ascii() } else { theme }
    };
    if is_set("NO_COLOR") {
        return glyphs(Theme::monochrome()).into();
    }
    let usual = Themes::from(glyphs(Theme::of(config.colours.usual)));
    let on_light =
        config
            .colours
            .on_light
            .and_then(|palette| match Depth::of(|name| env::var_os(name)) {
                Depth::Sixteen => None,
                Depth::Palette => Some(palette.in_256_colours()),
                Depth::Exact => Some(palette),
            });
    match on_light {
        Some(palette) => usual.on_light(glyphs(Theme::of(palette))),
        None => usual,
    }
}

/// Reports whether only ASCII is drawn.
fn is_ascii(config: &config::Settings) -> bool {
    match config.ascii {
        Ascii::On => true,
        Ascii::Off => false,
        Ascii::Auto => !shows_unicode(|name| env::var_os(name)),
    }
}

/// Makes sure that there is a terminal to draw on.
fn needs_terminal() -> Result<(), Failure> {
    let is_dumb = env::var("TERM").is_ok_and(|term| term == "dumb");
    if io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb {
        return Ok(());
    }
    Err(Failure::new(
        exit::USAGE,
        "The dashboard needs a terminal. Without one: kietop list, kietop --help.",
    ))
}

/// The callback that reports the recovery of a damaged list.
type ReportRecovery = fn(&ListNotice, &Recovery);

/// Returns how the list file is opened, with notice of other instances' changes.
fn open_file(
    file: PathBuf,
    access: Access,
    report: ReportRecovery,
    mut seen: impl FnMut(SqliteStore) -> Box<dyn ListStore> + Send + 'static,
) -> OpenStore {
    Box::new(move |notice| {
        let of_list = notice.clone();
        let store = SqliteStore::open_as(&file, access, SystemClock::wall(), move |recovery| {
            report(&of_list, recovery);
        })?;
        // Without notice the list works all the same; only other instances' changes show later.
        let watch = store::watch(&file, move || notice.changed())
            .map_err(|error| tracing::warn!(%error, "no notice of changes by other instances"))
            .ok();
        Ok(OpenedStore {
            store: seen(store),
            watch: watch.map(|watch| Box::new(watch) as Box<dyn Send>),
        })
    })
}

/// Begins the log. No log is no reason not to watch.
fn start_log() {
    let level = env::var(LOG_LEVEL)
        .ok()
        .and_then(|level| unquoted(&level).parse().ok());
    if let Ok(file) = place::log_file() {
        log::start(&file, level.unwrap_or(tracing::Level::WARN)).unwrap_or_default();
    }
}
