//! The config, the list and the clients that the commands work with.

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    args::GlobalArgs,
    failure::{CommandFailure, exit},
    output, paths,
};
use crate::{
    adapters::{
        desktop::SystemClock,
        download::{DownloadLimits, HttpDownloader},
        environment,
        http::{allowed_hosts::AllowedHosts, proxy},
        input_cache,
        kie::{
            KieClient, RequestLimits,
            key::{ApiKey, KeyError},
            key_source::KeySource,
        },
        limited_client::{LimitedClient, shared_limiter::SharedLimiter},
        store::{self, Recovery, SqliteStore},
    },
    config::{Config, Overrides},
    domain::{id_extract::KnownSecrets, list_change::AccessMode, path_text::strip_quotes},
    messages::command_line as messages,
};

const KEY_VARIABLE: &str = "KIE_API_KEY";

/// The settings of a command, its list file, and whether it may write.
#[derive(Debug)]
pub struct CommandContext {
    pub config: Config,
    pub list_file: PathBuf,
    pub access: AccessMode,
}

impl CommandContext {
    /// Loads the settings of a command that may create the list.
    pub fn load(global: &GlobalArgs) -> Result<Self, CommandFailure> {
        let config = load_config(global)?;
        let list_file = paths::list_file(&config)?;
        let access = if global.read_only {
            AccessMode::ReadOnly
        } else {
            AccessMode::Full
        };
        Ok(Self {
            config,
            list_file,
            access,
        })
    }

    /// Loads the settings of a command that changes the list; fails with `--read-only`.
    pub fn load_to_write(global: &GlobalArgs) -> Result<Self, CommandFailure> {
        if global.read_only {
            return Err(CommandFailure::usage(messages::READ_ONLY));
        }
        Self::load(global)
    }

    /// Loads the settings of a command that only reads. A missing list is reported and not created,
    /// unless its file of ids can restore it.
    pub fn load_to_read(global: &GlobalArgs) -> Result<Self, CommandFailure> {
        let mut context = Self::load(global)?;
        // If this fails the file may exist; opening it gives the reason.
        let exists = context.list_file.try_exists().unwrap_or(true);
        if !exists && (global.read_only || !store::has_id_log(&context.list_file)) {
            output::report(&messages::no_list(&context.list_file));
            context.access = AccessMode::ReadOnly;
        }
        Ok(context)
    }

    pub fn open_list(&self) -> Result<SqliteStore, CommandFailure> {
        let now = SystemClock::wall();
        let opened =
            SqliteStore::open_with_access(&self.list_file, self.access, now, report_recovery);
        Ok(opened?)
    }

    /// Returns the API client. Its limits are shared by all processes on the list; if no file may
    /// be created, only those of this process apply. A stored key is read at the first request.
    pub fn api_client(&self) -> Result<ApiClient, CommandFailure> {
        let origin = &self.config.origin;
        // An API on this machine is reached without a proxy.
        if !origin.is_loopback() {
            proxy::check_environment()
                .map_err(|error| CommandFailure::usage(format!("{error}.")))?;
        }
        let limiter = match self.access {
            AccessMode::ReadOnly => SharedLimiter::in_memory(SystemClock::since_boot),
            AccessMode::Full => {
                SharedLimiter::for_list(self.list_file.clone(), SystemClock::since_boot)
            }
        };
        let key = self.key_source()?;
        let client = KieClient::new(origin.clone(), key, RequestLimits::default());
        Ok(LimitedClient::new(client, Arc::new(limiter)))
    }

    /// Returns the key, if it is known without running a command: it must never be added as an id.
    pub fn known_secrets(&self) -> Result<KnownSecrets, CommandFailure> {
        let key = self.key_source()?.read_without_command();
        Ok(key.map(|key| key.known_spellings()).unwrap_or_default())
    }

    /// Returns the source of the key: the environment, else the settings.
    pub fn key_source(&self) -> Result<KeySource, CommandFailure> {
        Ok(match (environment_key()?, &self.config.key) {
            (Some(key), _) => KeySource::Given(key),
            (None, Some(stored)) => KeySource::Stored(stored.clone()),
            (None, None) => KeySource::None,
        })
    }
}

/// Loads the settings; fails with all errors in them (exit code 2).
pub fn load_config(global: &GlobalArgs) -> Result<Config, CommandFailure> {
    Config::load(&overrides(global)?).map_err(|errors| CommandFailure::usage(errors.report()))
}

/// Returns the settings that options and variables override.
pub fn overrides(global: &GlobalArgs) -> Result<Overrides, CommandFailure> {
    let non_empty = |text: &Option<String>| {
        let text = strip_quotes(text.as_deref().unwrap_or_default());
        (!text.is_empty()).then(|| text.to_owned())
    };
    Ok(Overrides {
        config: paths::expand_option("--config (KIETOP_CONFIG)", global.config.as_deref())?,
        default_config: paths::config_file().ok(),
        profile: non_empty(&global.profile),
        api_url: non_empty(&global.api_url),
        store: paths::expand_option("--store (KIETOP_STORE)", global.store.as_deref())?,
        data_folder: paths::data_folder().ok(),
        home: environment::home_folder().ok(),
        variables: environment::path_variables(),
    })
}

/// Whether a recovery in this run was incomplete.
static HAS_INCOMPLETE_RECOVERY: AtomicBool = AtomicBool::new(false);

/// Reports a recovery on standard error, and records an incomplete one for the exit code.
pub fn report_recovery(recovery: &Recovery) {
    output::report(&recovery.to_string());
    if !recovery.is_complete() {
        HAS_INCOMPLETE_RECOVERY.store(true, Ordering::Relaxed);
    }
}

/// Returns the exit code: [`exit::FAILED`] after an incomplete recovery, else the command's. The
/// code of a signal takes precedence.
pub fn exit_code(command_code: i32) -> i32 {
    if HAS_INCOMPLETE_RECOVERY.load(Ordering::Relaxed) && command_code <= exit::SIGNAL_BASE {
        exit::FAILED
    } else {
        command_code
    }
}

/// The API client of all commands.
pub type ApiClient = LimitedClient<KieClient>;

/// Returns the downloader of results.
pub fn downloader(client: &Arc<ApiClient>) -> HttpDownloader {
    limited_downloader(client, DownloadLimits::default())
}

/// Returns the downloader of inputs for previews, with a lower size limit and fewer attempts.
pub fn input_downloader(client: &Arc<ApiClient>) -> HttpDownloader {
    let limits = DownloadLimits {
        max_file_len: input_cache::MAX_INPUT_LEN,
        max_attempts: 2,
        ..DownloadLimits::default()
    };
    limited_downloader(client, limits)
}

/// Returns a downloader from public addresses, and from loopback if the API is there.
fn limited_downloader(client: &Arc<ApiClient>, limits: DownloadLimits) -> HttpDownloader {
    let hosts = AllowedHosts::for_origin(client.client().origin());
    HttpDownloader::new(hosts, Arc::clone(client) as _, limits)
}

/// Reads the key from the environment; an empty one counts as missing.
fn environment_key() -> Result<Option<ApiKey>, CommandFailure> {
    let Some(text) = env::var_os(KEY_VARIABLE) else {
        return Ok(None);
    };
    let text = text
        .to_str()
        .ok_or_else(|| CommandFailure::usage(messages::not_utf8(KEY_VARIABLE)))?;
    match ApiKey::parse(text) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Empty) => Ok(None),
        Err(error) => Err(CommandFailure::usage(format!("{KEY_VARIABLE}: {error}."))),
    }
}
