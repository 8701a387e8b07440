//! The config, the list and the clients that the commands work with.

use std::{
    env,
    path::Path,
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
        download::{self, HttpDownloader},
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

fn open_store(file: &Path, access: AccessMode) -> Result<SqliteStore, CommandFailure> {
    let opened = SqliteStore::open_with_access(file, access, SystemClock::wall(), report_recovery);
    Ok(opened?)
}

/// Opens the list for a command that only reads; see [`read_access_mode`].
pub fn open_list_to_read(global: &GlobalArgs) -> Result<SqliteStore, CommandFailure> {
    let file = paths::list_file(&load_config(global)?)?;
    open_store(&file, read_access_mode(&file, global))
}

/// Returns the access mode for a command that only reads. A missing list is reported and not
/// created, unless its file of ids can restore it.
pub fn read_access_mode(file: &Path, global: &GlobalArgs) -> AccessMode {
    // If this fails the file may exist; opening it gives the reason.
    let exists = file.try_exists().unwrap_or(true);
    if exists || (!global.read_only && store::has_id_log(file)) {
        return access_mode(global);
    }
    output::report(&messages::no_list(file));
    AccessMode::ReadOnly
}

/// Opens the list for a command that changes it.
pub fn open_list(global: &GlobalArgs) -> Result<SqliteStore, CommandFailure> {
    open_store(
        &paths::list_file(&load_config(global)?)?,
        access_mode(global),
    )
}

pub const fn access_mode(global: &GlobalArgs) -> AccessMode {
    if global.read_only {
        AccessMode::ReadOnly
    } else {
        AccessMode::Full
    }
}

/// Returns the key, if it is known without running a command: it must never be added as an id.
pub fn known_secrets(config: &Config) -> Result<KnownSecrets, CommandFailure> {
    let key = key_source(config)?.read_without_command();
    Ok(key.map(|key| key.known_spellings()).unwrap_or_default())
}

/// Returns the source of the key: the environment, else the settings.
fn key_source(config: &Config) -> Result<KeySource, CommandFailure> {
    Ok(match (environment_key()?, &config.key) {
        (Some(key), _) => KeySource::Given(key),
        (None, Some(stored)) => KeySource::Stored(stored.clone()),
        (None, None) => KeySource::None,
    })
}

/// The API client of all commands.
pub type ApiClient = LimitedClient<KieClient>;

/// Returns the API client. Its limits are shared by all processes on the list; if no file may be
/// created, only those of this process apply. A stored key is read at the first request.
pub fn api_client(config: &Config, access: AccessMode) -> Result<ApiClient, CommandFailure> {
    // An API on this machine is reached without a proxy.
    if !config.origin.is_loopback() {
        proxy::check_environment().map_err(|error| CommandFailure::usage(format!("{error}.")))?;
    }
    let limiter = match access {
        AccessMode::ReadOnly => SharedLimiter::in_memory(SystemClock::since_boot),
        AccessMode::Full => {
            SharedLimiter::for_list(paths::list_file(config)?, SystemClock::since_boot)
        }
    };
    let key = key_source(config)?;
    let client = KieClient::new(config.origin.clone(), key, RequestLimits::default());
    Ok(LimitedClient::new(client, Arc::new(limiter)))
}

/// Reports whether there is a key, without reading a stored one.
pub fn has_api_key(config: &Config) -> Result<bool, CommandFailure> {
    Ok(!matches!(key_source(config)?, KeySource::None))
}

/// Returns the downloader of results: from public addresses, and from loopback if the API is there.
pub fn downloader(client: &Arc<ApiClient>) -> HttpDownloader {
    HttpDownloader::new(
        AllowedHosts::for_origin(client.client().origin()),
        Arc::clone(client) as _,
        download::DownloadLimits::default(),
    )
}

/// Returns the downloader of inputs for previews, with a lower size limit and fewer attempts.
pub fn input_downloader(client: &Arc<ApiClient>) -> HttpDownloader {
    let limits = download::DownloadLimits {
        max_file_len: input_cache::MAX_INPUT_LEN,
        max_attempts: 2,
        ..download::DownloadLimits::default()
    };
    HttpDownloader::new(
        AllowedHosts::for_origin(client.client().origin()),
        Arc::clone(client) as _,
        limits,
    )
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

/// Fails with `--read-only`.
pub fn require_writable(global: &GlobalArgs) -> Result<(), CommandFailure> {
    if global.read_only {
        return Err(CommandFailure::usage(messages::READ_ONLY));
    }
    Ok(())
}
