//! The settings of the config file, their allowed values and their defaults.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    AsciiMode, ConfigErrors, MouseSetting, NotificationOptions, Retention, SaveSettings,
    UserSettings, error,
    themes::{self, ThemePalettes},
    toml_reader::{EntryContent, Located, SectionEntry, TomlReader, TomlSection},
};
use crate::{
    adapters::environment,
    app::keymap::{KeyContext, KeyOverride, Keymap},
    domain::{
        api_origin::ApiOrigin, preview::PreviewMode, schedule::PollIntervals, stored_key::StoredKey,
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
) -> Result<CheckedFile, ConfigErrors> {
    let reader = TomlReader::new(text);
    let checked = read_settings(&reader, file);
    reader.finish(file.map(Path::to_owned))?;
    Ok(checked)
}

/// Returns all keys, as dotted paths.
pub(super) fn known_keys() -> Vec<String> {
    let reader = TomlReader::new("");
    read_settings(&reader, None);
    reader.known_keys()
}

fn read_settings(reader: &TomlReader<'_>, file: Option<&Path>) -> CheckedFile {
    let folder = file.and_then(Path::parent);
    let mut root = reader.root();
    let account = read_account(&mut root, folder);
    let theme = root.string("theme");
    let light = themes::light_palette(theme.as_ref().map(|theme| theme.value), folder);
    let palette =
        theme.and_then(
            |Located { offset, value }| match themes::load_theme(value, folder) {
                Ok(palette) => Some(palette),
                Err(messages) => {
                    for message in messages {
                        root.report(offset, &message);
                    }
                    None
                }
            },
        );
    let settings = UserSettings {
        colours: ThemePalettes {
            base: palette.unwrap_or_default(),
            light,
        },
        ascii: root
            .one_of(
                "ascii",
                &[
                    ("auto", AsciiMode::Auto),
                    ("on", AsciiMode::On),
                    ("off", AsciiMode::Off),
                ],
            )
            .unwrap_or_default(),
        mouse: match root.bool("mouse") {
            Some(false) => MouseSetting::Off,
            Some(true) | None => MouseSetting::On,
        },
        browser: read_command(&mut root, "browser").unwrap_or_default(),
        saving: SaveSettings {
            folder: read_path(&mut root, "save_folder", folder),
            is_automatic: root.bool("auto_save").unwrap_or_default(),
        },
        retention: root
            .integer("retention_days", 1..=365, "days")
            .map(|days| Retention(Duration::from_secs(days * SECONDS_PER_DAY)))
            .unwrap_or_default(),
        preview: root
            .one_of(
                "preview",
                &[
                    ("auto", PreviewMode::Auto),
                    ("kitty", PreviewMode::Kitty),
                    ("sixel", PreviewMode::Sixel),
                    ("iterm2", PreviewMode::Iterm2),
                    ("halfblocks", PreviewMode::HalfBlocks),
                    ("off", PreviewMode::Off),
                ],
            )
            .unwrap_or_default(),
        intervals: read_intervals(root.section("pace")),
        notifications: read_notifications(root.section("notifications")),
        keymap: read_keymap(reader, root.section("keys")),
    };
    // Last, because the keys of the root are then known and are reported as misplaced in a profile.
    let profiles = read_profiles(reader, root.section("profiles"), folder);
    root.finish();
    CheckedFile {
        account,
        profiles,
        settings,
    }
}

fn read_account(section: &mut TomlSection<'_>, folder: Option<&Path>) -> AccountConfig {
    let origin = section
        .string("api_url")
        .and_then(|Located { offset, value }| {
            ApiOrigin::parse(value)
                .map_err(|error| section.report(offset, &error.to_string()))
                .ok()
        });
    let store = read_path(section, "store", folder);
    let command = read_command(section, "key_command").map(StoredKey::Command);
    let file = read_path(section, "key_file", folder).map(StoredKey::File);
    AccountConfig {
        origin,
        store,
        key: command.or(file),
    }
}

fn read_intervals(mut section: TomlSection<'_>) -> PollIntervals {
    let default = PollIntervals::default();
    let mut interval = |name, default| {
        section
            .integer(name, 2..=MAX_INTERVAL_SECS, "seconds")
            .map_or(default, Duration::from_secs)
    };
    let intervals = PollIntervals {
        young: interval("young", default.young),
        steady: interval("steady", default.steady),
        late: interval("late", default.late),
    };
    section.finish();
    intervals
}

fn read_notifications(mut section: TomlSection<'_>) -> NotificationOptions {
    let notifications = NotificationOptions {
        bell: section.bool("bell").unwrap_or_default(),
        osc: section.bool("osc").unwrap_or_default(),
        desktop: section.bool("desktop").unwrap_or_default(),
        command: read_command(&mut section, "command").unwrap_or_default(),
    };
    section.finish();
    notifications
}

fn read_profiles(
    reader: &TomlReader<'_>,
    section: TomlSection<'_>,
    folder: Option<&Path>,
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
        let account = read_account(&mut section, folder);
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
fn read_command(section: &mut TomlSection<'_>, name: &'static str) -> Option<Vec<String>> {
    let Located {
        offset,
        value: words,
    } = section.strings(name)?;
    let word = words.first()?.value.trim();
    if word.is_empty() {
        section.report(offset, &error::no_program(name));
        return None;
    }
    let program = environment::expand_program(word)
        .map_err(|error| section.report(offset, &format!("{name}: {error}")))
        .ok()?;
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
    folder: Option<&Path>,
) -> Option<PathBuf> {
    let Located { offset, value } = section.string(name)?;
    let path = environment::expand_path(value)
        .map_err(|error| section.report(offset, &format!("{name}: {error}")))
        .ok()?;
    match folder {
        _ if path.is_absolute() => Some(path),
        Some(folder) => Some(folder.join(path)),
        None => {
            section.report(offset, &error::relative_path(name));
            None
        }
    }
}
