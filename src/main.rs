//! The program: reads the command line, puts the parts together, runs them, says what failed, and
//! ends.

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
        command::{self, SearchPath},
        compare::ComparisonPages,
        desktop::{Browser, SystemClock},
        download::AllowedHosts,
        environment::{fallback_size, is_variable_set, path_variables, supports_unicode},
        frames::Ffmpeg,
        input_cache::InputCache,
        kie::{ApiKey, ApiOrigin, KieClient, RequestLimits},
        log,
        notify::SystemNotifier,
        resource_check,
        store::{self, Recovery, SqliteStore},
    },
    app::{
        notifications::{NotificationSettings, NotifyChannel},
        state::{AppSettings, State},
    },
    cli::{
        self, Cli, Command, Failure, GlobalArgs, WorldArgs, exit, exporter::TaskExporter, output,
        services, signals::Signals, wait::WaitProgress,
    },
    config::{
        self, AsciiMode, Config,
        paths::{self, BaseFolderError},
    },
    domain::{
        list_change::{AccessMode, ListChange},
        path_text::strip_quotes,
        preview::{PreviewMode, TerminalLink},
        schedule::PollIntervals,
        task::{Family, TaskId},
        text::CleanText,
        time::Now,
        watched_task::MAX_LABEL_LEN,
    },
    ports::{Clock, ListStore, RequestLimiter},
    runtime::{
        self, Themes,
        effects::{OpenStore, OpenedStore, Services, StoreNotifier},
        headless::{self, HeadlessEnd},
        input::InputReader,
        terminal::{
            ColorDepth, ColorScheme, MouseCapture, ScreenOptions, TerminalCaps, TerminalScreen,
            exit_now, harden_process, ignore_file_size_signal, sanitise_panics,
        },
    },
    simulator::{self, SimulatedClock},
    ui::theme::{Theme, ThemePalette},
};
use tokio::runtime::Runtime;

/// How long an idle thread for blocking work is kept: longer than any run.
const THREAD_KEEP_ALIVE: Duration = Duration::from_hours(24 * 365);

/// The variable that says how much is logged: error, warn, info, debug, trace.
const LOG_LEVEL_VARIABLE: &str = "KIETOP_LOG";

fn main() {
    sanitise_panics();
    let cli =
        Cli::try_parse().unwrap_or_else(|answer| exit_now(output::print_parser_message(&answer)));
    // A machine that does not let us switch core dumps off is no reason not to watch.
    harden_process().unwrap_or_default();
    ignore_file_size_signal().unwrap_or_default();
    let outcome = start_runtime().and_then(|runtime| {
        let outcome = runtime.block_on(run_command(cli));
        // A hung name lookup must not delay the exit.
        runtime.shutdown_background();
        outcome
    });
    let code = outcome.unwrap_or_else(|failure| {
        output::to_stderr(&format!("kietop: {failure}"));
        failure.code
    });
    command::kill_all();
    exit_now(services::exit_code(code))
}

/// Starts the runtime with one thread for blocking work, which it keeps.
fn start_runtime() -> Result<Runtime, Failure> {
    let failed =
        |why: &dyn fmt::Display| Failure::plain(format!("The program cannot start: {why}."));
    resource_check::check_descriptors().map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .map_err(|error| failed(&error))?;
    resource_check::start_blocking_thread(&runtime).map_err(|error| failed(&error))?;
    Ok(runtime)
}

async fn run_command(cli: Cli) -> Result<i32, Failure> {
    let Cli { command, global } = cli;
    paths::check_variables().map_err(|error| services::base_folder_failure(&error))?;
    match command {
        None => return run_dashboard(&global).await,
        Some(Command::Demo(world)) => return run_demo(&world, &global).await,
        Some(Command::Add(add)) => cli::add::run(&add, &global)?,
        Some(Command::Remove(remove)) => cli::remove::run(&remove, &global)?,
        Some(Command::List(list)) => cli::list::run(&list, &global).await?,
        Some(Command::Show(show)) => cli::list::show(&show, &global).await?,
        Some(Command::Wait(wait)) => return run_wait(&wait, &global).await,
        Some(Command::Open(open)) => cli::open::run(&open, &global)?,
        Some(Command::Save(save)) => cli::save::run(&save, &global).await?,
        Some(Command::Config(command)) => cli::config::run(command, &global)?,
        Some(Command::Simulate(simulate)) => {
            global.reject_for_simulator("simulate")?;
            cli::simulate::run(&simulate).await?;
        }
        Some(Command::Completions(shell)) => cli::manual::completions(&shell)?,
        Some(Command::Man(man)) => cli::manual::man(&man)?,
    }
    Ok(0)
}

/// Watches the real thing.
async fn run_dashboard(global: &GlobalArgs) -> Result<i32, Failure> {
    require_terminal()?;
    let config = services::load_config(global)?;
    let file = services::list_file(&config)?;
    start_log();
    let access = services::access_mode(global);
    let turns = services::shared_limiter(&config, access)?;
    let client = Arc::new(services::api_client(&config, &turns)?);
    let key = services::api_key_status(&config)?;
    let secrets = services::known_secrets(&config)?;
    let Config {
        profile, settings, ..
    } = config;
    let state = AppSettings {
        name: profile.unwrap_or_default(),
        poll_intervals: settings.intervals,
        retention: settings.retention.0,
        access,
        api_key: key,
        secrets,
        ..app_settings(&settings)?
    };
    let told: ReportRecovery = |notice, recovery| notice.report_recovery(recovery.to_string());
    let store = store_opener(file, access, told, |store| Box::new(store));
    let outside = build_services(client, SystemClock::start(), turns, &settings, store)?;
    run_screen(state, &settings, outside).await
}

/// Waits until tasks have ended, with the dashboard's own core and no screen.
async fn run_wait(wait: &cli::WaitArgs, global: &GlobalArgs) -> Result<i32, Failure> {
    let config = services::load_config(global)?;
    let mut waiting = WaitProgress::new(wait, global, config.settings.retention.0)?;
    start_log();
    let file = services::list_file(&config)?;
    let access = services::read_access_mode(&file, global);
    let store = store_opener(
        file,
        access,
        |_, recovery| services::report_recovery(recovery),
        waiting.filter_store(),
    );
    let turns = services::shared_limiter(&config, access)?;
    let client = Arc::new(services::api_client(&config, &turns)?);
    let state = State::new(AppSettings {
        poll_intervals: config.settings.intervals,
        retention: config.settings.retention.0,
        access,
        // A command that waits fetches nothing, and tells by its lines and its exit code.
        auto_save: false,
        notifications: NotificationSettings::default(),
        ..app_settings(&config.settings)?
    });
    let outside = build_services(client, SystemClock::start(), turns, &config.settings, store)?;
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
    match headless::run_headless(state, outside, until, |state, now| {
        waiting.report_progress(state, now)
    })
    .await
    {
        HeadlessEnd::Stopped(outcome) => outcome,
        HeadlessEnd::Resolved(Some(signal)) => Err(cli::wait::interrupted_failure(signal)),
        HeadlessEnd::Resolved(None) => Err(waiting.timeout_failure()),
    }
}

/// Returns the outside as it really is: the API of that client, the list, files and browser.
fn build_services(
    client: Arc<KieClient>,
    clock: impl Clock + 'static,
    turns: Option<Arc<dyn RequestLimiter>>,
    config: &config::UserSettings,
    open_store: OpenStore,
) -> Result<Services, Failure> {
    let inputs = InputCache::new(
        services::input_folder()?,
        Arc::new(services::input_downloader(&client)),
    );
    let browser = Browser::new(
        config.browser.clone(),
        AllowedHosts::for_origin(client.origin()),
    );
    Ok(Services {
        clock: Arc::new(clock),
        limiter: turns,
        downloader: Arc::new(services::downloader(&client)),
        exporter: Arc::new(TaskExporter::new(
            client.origin().clone(),
            config.retention.0,
        )),
        clipboard: Arc::new(SystemClipboard::from_env()),
        notifier: Arc::new(SystemNotifier::from_env()),
        api: client,
        opener: Arc::new(browser.clone()),
        comparison_viewer: Arc::new(ComparisonPages::new(
            services::comparison_folder()?,
            browser,
        )),
        frame_reader: Arc::new(Ffmpeg::new(SearchPath::from_env())),
        input_provider: Arc::new(inputs),
        open_store,
    })
}

/// Watches the simulator, with a list that is gone afterwards. Of the settings only look and keys
/// count; with a faulty config file the default ones.
async fn run_demo(world: &WorldArgs, global: &GlobalArgs) -> Result<i32, Failure> {
    global.reject_for_simulator("demo")?;
    require_terminal()?;
    let config = services::load_config(global).unwrap_or_default().settings;
    let started = simulator::start(
        cli::simulate::simulator_settings(world, 0),
        SystemClock::wall(),
    )
    .await;
    let simulator =
        started.map_err(|error| Failure::plain(format!("The simulator cannot start: {error}.")))?;
    let origin = ApiOrigin::parse(simulator.base_url().as_str())
        .map_err(|error| Failure::plain(format!("The simulator's address: {error}.")))?;
    let key = ApiKey::parse("demo")
        .map_err(|error| Failure::plain(format!("The simulator's key: {error}.")))?;
    let client = KieClient::new(origin, Some(key), RequestLimits::default());
    let clock = DemoClock {
        wall: simulator.clock(),
        system: SystemClock::start(),
    };
    let changes: Vec<_> = simulator
        .initial_tasks()
        .iter()
        .filter_map(|seeded| {
            let task = TaskId::parse(&seeded.id).ok()?;
            let label = seeded
                .label
                .as_deref()
                .map(|label| CleanText::line(label, MAX_LABEL_LEN));
            Some(ListChange::Add {
                task,
                family: Family::default(),
                label,
                at: seeded.added_at,
            })
        })
        .collect();
    let suggestions = simulator
        .on_demand_ids()
        .iter()
        .filter_map(|id| TaskId::parse(id).ok())
        .collect();
    let state = AppSettings {
        name: format!("demo ×{}", world.speed),
        // Tasks hurry in this world, so the questions do too: an ending is seen within seconds.
        poll_intervals: PollIntervals::default().shorter(),
        suggestions,
        ..app_settings(&config)?
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
    let folder = services::create_temporary_folder()?;
    let client = Arc::new(client);
    let inputs = InputCache::new(
        folder.join("inputs"),
        Arc::new(services::input_downloader(&client)),
    );
    let outside = build_services(client, clock, None, &config, open_store)?;
    let browser = Browser::new(config.browser.clone(), AllowedHosts::PublicAndLoopback);
    let pages = ComparisonPages::new(folder.clone(), browser);
    let outside = Services {
        comparison_viewer: Arc::new(pages),
        input_provider: Arc::new(inputs),
        ..outside
    };
    let code = run_screen(state, &config, outside).await;
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
async fn run_screen(
    state: AppSettings,
    config: &config::UserSettings,
    outside: Services,
) -> Result<i32, Failure> {
    let themes = choose_themes(config);
    let options = ScreenOptions {
        color_scheme: if themes.depends_on_background() {
            ColorScheme::Followed
        } else {
            ColorScheme::Fixed
        },
        mouse: match config.mouse {
            config::MouseSetting::On => MouseCapture::On,
            config::MouseSetting::Off => MouseCapture::Off,
        },
        caps: TerminalCaps::from_env(|name| env::var_os(name)),
        assumed_size: fallback_size(|name| env::var(name).ok()),
    };
    let entered = TerminalScreen::enter(options);
    let (mut screen, interruptions) = entered
        .map_err(|error| Failure::plain(format!("The terminal cannot be used: {error}.")))?;
    let state = State::new(state);
    let keyboard = InputReader::open(screen.query_times())
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
fn app_settings(config: &config::UserSettings) -> Result<AppSettings, Failure> {
    let home = match paths::home_folder() {
        Err(error @ BaseFolderError::NotAbsolute { .. }) => {
            return Err(services::base_folder_failure(&error));
        }
        home => home.ok(),
    };
    let save_folder = match &home {
        // Without a home nothing is saved until a folder is typed.
        None if config.saving.folder.is_none() => PathBuf::new(),
        _ => services::save_folder(config)?,
    };
    Ok(AppSettings {
        keymap: config.keymap.clone(),
        save_folder,
        auto_save: config.saving.is_automatic,
        home,
        variables: path_variables(),
        working_dir: env::current_dir().unwrap_or_default(),
        notifications: notification_settings(&config.notifications),
        time_zone: TimeZone::system(),
        preview_mode: preview_mode(config),
        seed: RandomState::new().hash_one(std::process::id()),
        ..AppSettings::default()
    })
}

/// Returns what is left of the user's choice here: no pictures where no colour is wanted.
fn preview_mode(config: &config::UserSettings) -> PreviewMode {
    if is_variable_set("NO_COLOR") || config.colours.base == ThemePalette::monochrome() {
        PreviewMode::Off
    } else {
        config.preview.for_link(terminal_link())
    }
}

/// What lies between us and the terminal.
fn terminal_link() -> TerminalLink {
    let between = ["SSH_CONNECTION", "SSH_TTY", "TMUX", "STY"];
    let is_console = env::var("TERM").is_ok_and(|term| term == "linux");
    if between.into_iter().any(is_variable_set) || is_console {
        TerminalLink::Indirect
    } else {
        TerminalLink::Direct
    }
}

/// Returns how endings are told of: by the title, and as the settings say.
fn notification_settings(config: &config::NotificationOptions) -> NotificationSettings {
    let chosen = [
        (true, NotifyChannel::Title),
        (config.bell, NotifyChannel::Bell),
        (config.osc, NotifyChannel::Terminal),
        (config.desktop, NotifyChannel::Desktop),
    ];
    let ways = chosen.into_iter().filter(|(is_chosen, _)| *is_chosen);
    NotificationSettings {
        channels: ways.map(|(_, way)| way).collect(),
        command: config.command.clone(),
    }
}

/// Chooses the themes: no colour or no fine glyphs where they are not wanted or not supported, and
/// a second theme for a light background if the user chose no colours and the terminal has enough.
fn choose_themes(config: &config::UserSettings) -> Themes {
    let is_ascii = uses_ascii(config);
    let glyphs = |theme: Theme| {
        if is_ascii { theme.with_ascii() } else { theme }
    };
    if is_variable_set("NO_COLOR") {
        return glyphs(Theme::monochrome()).into();
    }
    let usual = Themes::from(glyphs(Theme::from_palette(config.colours.base)));
    let on_light = config.colours.light.and_then(|palette| {
        match ColorDepth::from_env(|name| env::var_os(name)) {
            ColorDepth::Sixteen => None,
            ColorDepth::Indexed256 => Some(palette.to_256_colours()),
            ColorDepth::TrueColor => Some(palette),
        }
    });
    match on_light {
        Some(palette) => usual.with_light_theme(glyphs(Theme::from_palette(palette))),
        None => usual,
    }
}

/// Reports whether only ASCII is drawn.
fn uses_ascii(config: &config::UserSettings) -> bool {
    match config.ascii {
        AsciiMode::On => true,
        AsciiMode::Off => false,
        AsciiMode::Auto => !supports_unicode(|name| env::var_os(name)),
    }
}

/// Makes sure that there is a terminal to draw on.
fn require_terminal() -> Result<(), Failure> {
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
type ReportRecovery = fn(&StoreNotifier, &Recovery);

/// Returns how the list file is opened, with notice of other instances' changes.
fn store_opener(
    file: PathBuf,
    access: AccessMode,
    report: ReportRecovery,
    mut seen: impl FnMut(SqliteStore) -> Box<dyn ListStore> + Send + 'static,
) -> OpenStore {
    Box::new(move |notice| {
        let of_list = notice.clone();
        let store =
            SqliteStore::open_with_access(&file, access, SystemClock::wall(), move |recovery| {
                report(&of_list, recovery);
            })?;
        // Without notice the list works all the same; only other instances' changes show later.
        let watch = store::watch(&file, move || notice.notify_changed())
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
    let level = env::var(LOG_LEVEL_VARIABLE)
        .ok()
        .and_then(|level| strip_quotes(&level).parse().ok());
    if let Ok(file) = services::log_file() {
        log::start(&file, level.unwrap_or(tracing::Level::WARN)).unwrap_or_default();
    }
}
