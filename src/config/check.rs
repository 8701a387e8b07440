//! The settings of the config file, their allowed values and their defaults.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    error::{self, ConfigErrors},
    settings::{Overrides, UserSettings},
    themes,
    toml_reader::{EntryContent, Located, SectionEntry, TomlReader, TomlSection},
};
use crate::{
    app::{
        keymap::{KeyContext, KeyOverride, Keymap},
        notifications::NotifyChannel,
    },
    domain::{
        api_origin::ApiOrigin,
        path_text::{self, PathError},
        stored_key::StoredKey,
    },
};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The longest poll interval, in seconds, so that a finished task is seen within an hour.
const MAX_INTERVAL_SECS: u64 = 60 * 60;

/// The longest profile name, which is also a file name.
const MAX_PROFILE_NAME_LEN: usize = 32;

/// The content of a file without errors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CheckedFile {
    /// The account without a profile.
    pub(super) account: AccountConfig,
    pub(super) profiles: BTreeMap<String, AccountConfig>,
    /// The settings that are the same in all profiles.
    pub(super) settings: UserSettings,
}

/// The API address, the key and the list file of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AccountConfig {
    pub(super) origin: Option<ApiOrigin>,
    /// The list file.
    pub(super) store: Option<PathBuf>,
    pub(super) key: Option<StoredKey>,
}

/// Parses and checks the text of a file. Reports all its errors.
pub(super) fn parse_and_check(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<CheckedFile, ConfigErrors> {
    let reader = TomlReader::new(text);
    let folder = file.and_then(Path::parent);
    let checked = read_settings(&reader, PathBase { folder, overrides });
    reader.finish(file.map(Path::to_owned))?;
    Ok(checked)
}

/// Returns all keys of the config file as dotted paths, except the user's own names below `keys`
/// and `profiles`.
pub fn known_keys() -> Vec<String> {
    let reader = TomlReader::new("");
    let overrides = &Overrides::default();
    let folder = None;
    read_settings(&reader, PathBase { folder, overrides });
    reader.known_keys()
}

/// Resolves the paths of a config file.
#[derive(Debug, Clone, Copy)]
struct PathBase<'a> {
    /// The folder of the file.
    folder: Option<&'a Path>,
    overrides: &'a Overrides,
}

impl PathBase<'_> {
    /// Expands `~` and variables.
    fn expand(self, text: &str) -> Result<PathBuf, PathError> {
        let Overrides {
            home, variables, ..
        } = self.overrides;
        path_text::expand(text.as_ref(), home.as_deref(), variables)
    }
}

/// Replaces the default of a setting by its value in the file, if there is one.
fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn read_settings(reader: &TomlReader<'_>, base: PathBase<'_>) -> CheckedFile {
    let mut root = reader.root();
    let account = read_account(&mut root, base);
    let mut settings = UserSettings::default();
    let theme = root.string("theme").unwrap_or(Located {
        offset: 0,
        value: themes::AUTO_THEME,
    });
    match themes::load_palettes(theme.value, base.folder) {
        Ok(palettes) => settings.colours = palettes,
        Err(messages) => {
            for message in messages {
                root.report(theme.offset, &message);
            }
        }
    }
    set(&mut settings.ascii, root.one_of("ascii"));
    set(&mut settings.mouse, root.bool("mouse"));
    set(
        &mut settings.browser,
        read_command(&mut root, "browser", base),
    );
    settings.save_folder = read_path(&mut root, "save_folder", base);
    set(&mut settings.auto_save, root.bool("auto_save"));
    let days = root.integer("retention_days", 1..=365, "days");
    let retention = days.map(|days| Duration::from_secs(days * SECONDS_PER_DAY));
    set(&mut settings.retention, retention);
    set(&mut settings.preview, root.one_of("preview"));

    let mut section = root.section("pace");
    let intervals = &mut settings.poll_intervals;
    for (name, interval) in [
        ("young", &mut intervals.young),
        ("steady", &mut intervals.steady),
        ("late", &mut intervals.late),
    ] {
        let seconds = section.integer(name, 2..=MAX_INTERVAL_SECS, "seconds");
        set(interval, seconds.map(Duration::from_secs));
    }
    section.finish();

    let mut section = root.section("notifications");
    let notifications = &mut settings.notifications;
    for (name, channel) in [
        ("bell", NotifyChannel::Bell),
        ("osc", NotifyChannel::Terminal),
        ("desktop", NotifyChannel::Desktop),
    ] {
        if section.bool(name) == Some(true) {
            notifications.channels.push(channel);
        }
    }
    let command = read_command(&mut section, "command", base);
    set(&mut notifications.command, command);
    section.finish();

    settings.keymap = read_keymap(reader, root.section("keys"));
    // Last, because the keys of the root are then known and are reported as misplaced in a profile.
    let profiles = read_profiles(reader, root.section("profiles"), base);
    root.finish();
    CheckedFile {
        account,
        profiles,
        settings,
    }
}

fn read_account(section: &mut TomlSection<'_>, base: PathBase<'_>) -> AccountConfig {
    let origin = section
        .string("api_url")
        .and_then(|Located { offset, value }| {
            ApiOrigin::parse(value)
                .map_err(|error| section.report(offset, &error.to_string()))
                .ok()
        });
    let store = read_path(section, "store", base);
    let command = read_command(section, "key_command", base).map(StoredKey::Command);
    let file = read_path(section, "key_file", base).map(StoredKey::File);
    AccountConfig {
        origin,
        store,
        key: command.or(file),
    }
}

fn read_profiles(
    reader: &TomlReader<'_>,
    section: TomlSection<'_>,
    base: PathBase<'_>,
) -> BTreeMap<String, AccountConfig> {
    let mut profiles = BTreeMap::new();
    for SectionEntry {
        name,
        offset,
        content,
    } in section.remaining_entries()
    {
        let EntryContent::Section(mut section) = content else {
            reader.report(offset, &error::profile_not_section(name));
            continue;
        };
        if let Some(message) = profile_name_error(name) {
            reader.report(offset, &message);
        }
        let account = read_account(&mut section, base);
        section.finish();
        profiles.insert(name.to_owned(), account);
    }
    profiles
}

/// Checks a profile name, which is also the name of the list file.
fn profile_name_error(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_PROFILE_NAME_LEN || !name.chars().all(is_plain) {
        return Some(error::invalid_profile_name(name, MAX_PROFILE_NAME_LEN));
    }
    (name == "kietop").then(|| error::reserved_profile_name(name))
}

fn read_keymap(reader: &TomlReader<'_>, mut section: TomlSection<'_>) -> Keymap {
    let mut located = Vec::new();
    for SectionEntry {
        name,
        offset,
        content,
    } in section.section("in").remaining_entries()
    {
        let context = name.parse::<KeyContext>().ok();
        if context.is_none() {
            reader.report(offset, &error::unknown_key_context(name));
        }
        match content {
            EntryContent::Section(section) => {
                let entries = section.remaining_entries().into_iter();
                located
                    .extend(entries.filter_map(|entry| read_key_override(reader, context, entry)));
            }
            EntryContent::Strings(_) => {
                reader.report(offset, &error::key_context_not_section(name));
            }
        }
    }
    let entries = section.remaining_entries().into_iter();
    located.extend(entries.filter_map(|entry| read_key_override(reader, None, entry)));
    let overrides: Vec<_> = located.iter().map(|entry| entry.change.clone()).collect();
    Keymap::with_overrides(&overrides).unwrap_or_else(|errors| {
        for error in errors {
            let entry = error.change.and_then(|index| located.get(index));
            let offset = entry.map_or(0, |entry| {
                let key = error.key.and_then(|key| entry.key_offsets.get(key));
                key.copied().unwrap_or(entry.offset)
            });
            reader.report(offset, &error.to_string());
        }
        Keymap::default()
    })
}

/// A key override with the byte offsets of its action and its keys.
struct LocatedOverride {
    change: KeyOverride,
    offset: usize,
    key_offsets: Vec<usize>,
}

fn read_key_override(
    reader: &TomlReader<'_>,
    context: Option<KeyContext>,
    entry: SectionEntry<'_>,
) -> Option<LocatedOverride> {
    let SectionEntry {
        name,
        offset,
        content,
    } = entry;
    let EntryContent::Strings(keys) = content else {
        reader.report(offset, &error::not_keys(name));
        return None;
    };
    let keys = keys?.value;
    Some(LocatedOverride {
        offset,
        key_offsets: keys.iter().map(|key| key.offset).collect(),
        change: KeyOverride {
            context,
            action: name.to_owned(),
            keys: keys.iter().map(|key| key.value.to_owned()).collect(),
        },
    })
}

/// Parses a command line: a list of words, run without a shell. An empty list means no command.
fn read_command(
    section: &mut TomlSection<'_>,
    name: &'static str,
    base: PathBase<'_>,
) -> Option<Vec<String>> {
    let Located {
        offset,
        value: words,
    } = section.strings(name)?;
    let word = words.first()?.value.trim();
    if word.is_empty() {
        section.report(offset, &error::no_program(name));
        return None;
    }
    // Only a word with a slash is a path.
    let program = if word.contains('/') {
        let path = base.expand(word);
        let path = path.map_err(|error| section.report(offset, &format!("{name}: {error}")));
        path.ok()?.to_string_lossy().into_owned()
    } else {
        word.to_owned()
    };
    let is_file = || Path::new(&program).is_absolute() && Path::new(&program).is_file();
    if words.len() == 1 && word.contains(char::is_whitespace) && !is_file() {
        section.report(offset, &error::not_word_list(name));
        return None;
    }
    let arguments = words.iter().skip(1).map(|word| word.value.to_owned());
    Some(std::iter::once(program).chain(arguments).collect())
}

/// Parses a path with `~` and variables. A relative one is resolved against the config folder.
fn read_path(
    section: &mut TomlSection<'_>,
    name: &'static str,
    base: PathBase<'_>,
) -> Option<PathBuf> {
    let Located { offset, value } = section.string(name)?;
    let path = base.expand(value);
    let path = path.map_err(|error| section.report(offset, &format!("{name}: {error}")));
    let path = path.ok()?;
    match base.folder {
        _ if path.is_absolute() => Some(path),
        Some(folder) => Some(folder.join(path)),
        None => {
            section.report(offset, &error::relative_path(name));
            None
        }
    }
}
