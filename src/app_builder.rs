//! Connects the parts for the dashboard, the demo and `wait`.

mod demo;

use std::{
    env,
    fmt::Display,
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::Arc,
};

use jiff::tz::TimeZone;
use kietop::{
    adapters::{
        clipboard::SystemClipboard,
        command::SearchPath,
        compare::ComparisonPages,
        desktop::{Browser, SystemClock},
        environment::{
            fallback_size, home_folder, is_variable_set, path_variables, supports_unicode,
            terminal_link,
        },
        export::TaskExporter,
        frames::Ffmpeg,
        http::allowed_hosts::AllowedHosts,
        input_cache::InputCache,
        kie::{KieClient, RequestLimits, key::ApiKey, key_source::KeySource},
        limited_client::{LimitedClient, shared_limiter::SharedLimiter},
        log,
        notify::SystemNotifier,
        store::{self, Recovery, SqliteStore},
    },
    app::{
        notifications::NotificationSettings,
        palette::ThemePalette,
        state::{ApiKeyStatus, AppSettings, ListLoading, State},
    },
    cli::{
        self,
        args::{GlobalArgs, SimulatorArgs, WaitArgs},
        failure::CommandFailure,
        services::{self, ApiClient, CommandContext},
        signals::Signals,
        wait::{ListSnapshot, WaitProgress},
    },
    config::{AsciiMode, UserSettings, themes::ThemePalettes},
    domain::{
        api_origin::ApiOrigin, path_text::strip_quotes, preview::PreviewMode,
        schedule::PollIntervals, task::TaskId,
    },
    messages::command_line as messages,
    ports::{Clock, ListStore},
    runtime::{
        self, Themes,
        effects::{OpenStore, OpenedStore, Services, StoreNotifier},
        headless::{self, HeadlessEnd},
        input::InputReader,
        terminal::{ColorDepth, ScreenOptions, TerminalCaps, TerminalScreen},
    },
    simulator,
};

use self::demo::DemoClock;

/// One of error, warn, info, debug, trace.
const LOG_LEVEL_VARIABLE: &str = "KIETOP_LOG";

/// Runs the dashboard with the real API.
pub(crate) async fn run_dashboard(global: &GlobalArgs) -> Result<i32, CommandFailure> {
    require_terminal()?;
    let context = CommandContext::load(global)?;
    start_log();
    let client = Arc::new(context.api_client()?);
    let settings = &context.config.settings;
    let state = AppSettings {
        name: context.config.profile.clone().unwrap_or_default(),
        poll_intervals: settings.poll_intervals,
        retention: settings.retention,
        access: context.access,
        api_key: match context.key_source()? {
            KeySource::None => ApiKeyStatus::Missing,
            KeySource::Given(_) | KeySource::Stored(_) => ApiKeyStatus::Configured,
        },
        secrets: context.known_secrets()?,
        ..app_settings(settings)?
    };
    let report: ReportRecovery =
        |notifier, recovery| notifier.report_recovery(recovery.to_string());
    let store = store_opener(&context, report, |store| Box::new(store));
    let folders = CacheFolders::of_user()?;
    let services = build_services(client, SystemClock::start(), settings, folders, store);
    run_screen(state, settings, services).await
}

/// Waits for tasks to finish, with the core of the dashboard and no screen.
pub(crate) async fn run_wait(args: &WaitArgs, global: &GlobalArgs) -> Result<i32, CommandFailure> {
    let context = CommandContext::load_to_read(global)?;
    let mut progress = WaitProgress::new(args, &context)?;
    start_log();
    let report: ReportRecovery = |_, recovery| services::report_recovery(recovery);
    let store = store_opener(&context, report, progress.filter_store());
    let client = Arc::new(context.api_client()?);
    let settings = &context.config.settings;
    let state = State::new(AppSettings {
        poll_intervals: settings.poll_intervals,
        retention: settings.retention,
        access: context.access,
        // `wait` downloads nothing, and reports by its lines and its exit code only.
        auto_save: false,
        notifications: NotificationSettings::default(),
        ..app_settings(settings)?
    });
    let folders = CacheFolders::of_user()?;
    let services = build_services(client, SystemClock::start(), settings, folders, store);
    let mut signals = Signals::listen();
    let until = async {
        match args.timeout {
            Some(timeout) => tokio::time::timeout(timeout, signals.next()).await.ok(),
            None => Some(signals.next().await),
        }
    };
    let report = |state: &State, now| progress.report_progress(&list_snapshot(state), now);
    match headless::run_headless(state, services, until, report).await {
        HeadlessEnd::Stopped(result) => result,
        HeadlessEnd::Resolved(Some(signal)) => Err(CommandFailure::interrupted(
            signal,
            messages::WAIT_INTERRUPTED,
        )),
        HeadlessEnd::Resolved(None) => Err(progress.timeout_failure()),
    }
}

/// Returns what `wait` reports of the state.
fn list_snapshot(state: &State) -> ListSnapshot<'_> {
    ListSnapshot {
        loading: match state.loading() {
            ListLoading::Pending => None,
            ListLoading::Failed(error) => Some(Err(error)),
            ListLoading::Done => Some(Ok(())),
        },
        write_error: state.write_queue().error.as_ref(),
        list: state.list(),
        backoff: state.poll_queue().backoff(),
    }
}

/// The folders for files that can be recreated.
struct CacheFolders {
    inputs: PathBuf,
    comparisons: PathBuf,
}

impl CacheFolders {
    fn of_user() -> Result<Self, CommandFailure> {
        Ok(Self {
            inputs: cli::paths::input_folder()?,
            comparisons: cli::paths::comparison_folder()?,
        })
    }
}

/// Builds the real services: API, list, files and browser.
fn build_services(
    client: Arc<ApiClient>,
    clock: impl Clock + 'static,
    settings: &UserSettings,
    folders: CacheFolders,
    open_store: OpenStore,
) -> Services {
    let inputs = Arc::new(services::input_downloader(&client));
    let hosts = AllowedHosts::for_origin(client.client().origin());
    let browser = Browser::new(settings.browser.clone(), hosts);
    let origin = client.client().origin().clone();
    Services {
        clock: Arc::new(clock),
        downloader: Arc::new(services::downloader(&client)),
        exporter: Arc::new(TaskExporter::new(origin, settings.retention)),
        clipboard: Arc::new(SystemClipboard::from_env()),
        notifier: Arc::new(SystemNotifier::from_env()),
        api: client,
        opener: Arc::new(browser.clone()),
        comparison_viewer: Arc::new(ComparisonPages::new(folders.comparisons, browser)),
        frame_reader: Arc::new(Ffmpeg::new(SearchPath::from_env())),
        input_provider: Arc::new(InputCache::new(folders.inputs, inputs)),
        open_store,
    }
}

/// Runs the dashboard with the simulator and a list in memory. Only the look and the keys come from
/// the settings; with an invalid config file the defaults are used.
pub(crate) async fn run_demo(
    args: &SimulatorArgs,
    global: &GlobalArgs,
) -> Result<i32, CommandFailure> {
    global.reject_for_simulator("demo")?;
    require_terminal()?;
    let settings = services::load_config(global).unwrap_or_default().settings;
    let cannot_start =
        |error: &dyn Display| CommandFailure::general(messages::cannot_start_simulator(&error));
    let simulator_settings = cli::simulate::simulator_settings(args, 0);
    let simulator = simulator::start(simulator_settings, SystemClock::wall())
        .await
        .map_err(|error| cannot_start(&error))?;
    let origin = ApiOrigin::parse(simulator.base_url.as_str());
    let origin = origin.map_err(|error| cannot_start(&error))?;
    let key = ApiKey::parse("demo").map_err(|error| cannot_start(&error))?;
    let client = KieClient::new(origin, Some(key), RequestLimits::default());
    let limiter = SharedLimiter::in_memory(SystemClock::since_boot);
    let clock = DemoClock::start(simulator.clock);
    let suggestions = simulator
        .on_demand_ids
        .iter()
        .filter_map(|id| TaskId::parse(id).ok())
        .collect();
    let state = AppSettings {
        name: format!("demo ×{}", args.speed),
        // Simulated tasks are fast; short intervals show the end of each within seconds.
        poll_intervals: PollIntervals::default().shorter(),
        suggestions,
        ..app_settings(&settings)?
    };
    let open_store = demo::store_opener(&simulator);
    // A demo keeps nothing; without this folder it has no comparison pages and no previews.
    let folder = cli::paths::create_temporary_folder()?;
    let client = Arc::new(LimitedClient::new(client, Arc::new(limiter)));
    let folders = CacheFolders {
        inputs: folder.join("inputs"),
        comparisons: folder.clone(),
    };
    let services = build_services(client, clock, &settings, folders, open_store);
    let code = run_screen(state, &settings, services).await;
    // A failure leaves temporary files, which the system removes.
    fs::remove_dir_all(&folder).unwrap_or_default();
    code
}

/// Enters the terminal screen, runs the event loop and restores the terminal.
async fn run_screen(
    app_settings: AppSettings,
    settings: &UserSettings,
    services: Services,
) -> Result<i32, CommandFailure> {
    let themes = choose_themes(settings);
    let options = ScreenOptions {
        captures_mouse: settings.mouse,
        follows_color_scheme: themes.depends_on_background(),
        caps: TerminalCaps::from_env(|name| env::var_os(name)),
        assumed_size: fallback_size(|name| env::var(name).ok()),
    };
    let (mut screen, interruptions) = TerminalScreen::enter(options)
        .map_err(|error| CommandFailure::general(messages::cannot_use_terminal(&error)))?;
    let state = State::new(app_settings);
    let input = InputReader::open(screen.query_times())
        .map_err(|error| CommandFailure::general(messages::cannot_read_terminal(&error)))?;
    let code = runtime::run(
        &mut screen,
        input.events(),
        interruptions,
        state,
        themes,
        services,
    )
    .await;
    screen.leave();
    Ok(code)
}

/// Returns the app settings that come from the user's settings and the environment.
fn app_settings(settings: &UserSettings) -> Result<AppSettings, CommandFailure> {
    let home = home_folder().ok();
    let save_folder = match &home {
        // Without a home folder the user must type one to save.
        None if settings.save_folder.is_none() => PathBuf::new(),
        _ => cli::paths::save_folder(settings)?,
    };
    Ok(AppSettings {
        keymap: settings.keymap.clone(),
        save_folder,
        auto_save: settings.auto_save,
        home,
        variables: path_variables(),
        working_dir: env::current_dir().unwrap_or_default(),
        notifications: settings.notifications.clone(),
        time_zone: TimeZone::system(),
        preview_mode: preview_mode(settings),
        seed: RandomState::new().hash_one(std::process::id()),
        ..AppSettings::default()
    })
}

/// Returns how previews are drawn; without colour there are none.
fn preview_mode(settings: &UserSettings) -> PreviewMode {
    if is_variable_set("NO_COLOR") || settings.colours.base == ThemePalette::monochrome() {
        PreviewMode::Off
    } else {
        settings.preview.for_link(terminal_link())
    }
}

/// Chooses the themes: without colour under `NO_COLOR`, and in ASCII if the terminal needs it.
fn choose_themes(settings: &UserSettings) -> Themes {
    let is_ascii = match settings.ascii {
        AsciiMode::On => true,
        AsciiMode::Off => false,
        AsciiMode::Auto => !supports_unicode(|name| env::var_os(name)),
    };
    let depth = ColorDepth::from_env(|name| env::var_os(name));
    let ThemePalettes { base, light } = if is_variable_set("NO_COLOR") {
        ThemePalettes {
            base: ThemePalette::monochrome(),
            light: None,
        }
    } else {
        settings.colours.clone()
    };
    Themes::from_palettes(base, light, depth, is_ascii)
}

/// Fails if there is no terminal to draw on.
fn require_terminal() -> Result<(), CommandFailure> {
    let is_dumb = env::var("TERM").is_ok_and(|term| term == "dumb");
    if io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb {
        return Ok(());
    }
    Err(CommandFailure::usage(messages::NO_TERMINAL))
}

/// A callback for the recovery of a damaged list.
type ReportRecovery = fn(&StoreNotifier, &Recovery);

/// Returns the function that opens the list file and watches it for changes by other processes.
fn store_opener(
    context: &CommandContext,
    report: ReportRecovery,
    mut wrap: impl FnMut(SqliteStore) -> Box<dyn ListStore> + Send + 'static,
) -> OpenStore {
    let (file, access) = (context.list_file.clone(), context.access);
    OpenStore::new(move |notifier| {
        let recovery_notifier = notifier.clone();
        let store =
            SqliteStore::open_with_access(&file, access, SystemClock::wall(), move |recovery| {
                report(&recovery_notifier, recovery);
            })?;
        // Without a watch the list works; changes by other processes just show later.
        let watch = store::watch(&file, move || notifier.notify_changed())
            .map_err(|error| tracing::warn!(%error, "cannot watch the list for changes by other processes"))
            .ok();
        Ok(OpenedStore {
            store: wrap(store),
            watch: watch.map(|watch| Box::new(watch) as Box<dyn Send>),
        })
    })
}

/// Starts the log; a failure is ignored.
fn start_log() {
    let level = env::var(LOG_LEVEL_VARIABLE)
        .ok()
        .and_then(|level| strip_quotes(&level).parse().ok());
    if let Ok(file) = cli::paths::log_file() {
        log::start(&file, level.unwrap_or(tracing::Level::WARN)).unwrap_or_default();
    }
}
