//! Which settings there are, what each may be, and what it is without one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    AsciiMode, ConfigErrors, MouseSetting, NotificationOptions, Retention, SaveSettings,
    UserSettings,
    themes::{self, ThemePalettes},
    toml_reader::{EntryContent, Located, SectionEntry, TomlReader, TomlSection},
};
use crate::{
    adapters::{
        environment,
        kie::{ApiOrigin, StoredKey},
    },
    app::keymap::{KeyContext, KeyOverride, Keymap},
    domain::{preview::PreviewMode, schedule::PollIntervals, suggest::did_you_mean},
};

/// A day, in seconds.
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The longest interval between two questions, in seconds: an ending is to be seen within the hour.
const MAX_INTERVAL_SECS: u64 = 60 * 60;

/// The longest name of a profile: it names a file.
const MAX_PROFILE_NAME_LEN: usize = 32;

/// A file found without fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CheckedFile {
    /// The account without a profile.
    pub(super) account: AccountConfig,
    /// The profiles by their names.
    pub(super) profiles: BTreeMap<String, AccountConfig>,
    /// What is the same in all of them.
    pub(super) settings: UserSettings,
}

/// One account: where it is asked, with which key, for which list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AccountConfig {
    /// Where the API is.
    pub(super) origin: Option<ApiOrigin>,
    /// The list file.
    pub(super) store: Option<PathBuf>,
    /// Where the key comes from.
    pub(super) key: Option<StoredKey>,
}

/// Checks a file's text; else returns everything that is wrong with it.
pub(super) fn parse_and_check(
    text: &str,
    file: Option<&Path>,
) -> Result<CheckedFile, ConfigErrors> {
    let reader = TomlReader::new(text);
    let checked = read_settings(&reader, file);
    reader.finish(file.map(Path::to_owned))?;
    Ok(checked)
}

/// Returns every key that is asked for.
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
    let on_light = themes::light_palette(theme.as_ref().map(|theme| theme.value), folder);
    let palette =
        theme.and_then(
            |Located { offset: at, value }| match themes::load_theme(value, folder) {
                Ok(palette) => Some(palette),
                Err(faults) => {
                    for what in faults {
                        root.report(at, &what);
                    }
                    None
                }
            },
        );
    let settings = UserSettings {
        colours: ThemePalettes {
            base: palette.unwrap_or_default(),
            light: on_light,
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
    // Last: what a profile may not have is known by then to be the file's own.
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
        .and_then(|Located { offset: at, value }| {
            ApiOrigin::parse(value)
                .map_err(|error| section.report(at, &error.to_string()))
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
    let mut every = |name, default| {
        section
            .integer(name, 2..=MAX_INTERVAL_SECS, "seconds")
            .map_or(default, Duration::from_secs)
    };
    let pace = PollIntervals {
        young: every("young", default.young),
        steady: every("steady", default.steady),
        late: every("late", default.late),
    };
    section.finish();
    pace
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
        offset: at,
        content,
    } in section.remaining_entries()
    {
        let EntryContent::Section(mut section) = content else {
            reader.report(at, &format!("a profile is a section: [profiles.{name}]"));
            continue;
        };
        if let Some(what) = profile_name_error(name) {
            reader.report(at, &what);
        }
        let account = read_account(&mut section, folder);
        section.finish();
        profiles.insert(name.to_owned(), account);
    }
    profiles
}

/// Says what is wrong with a profile's name, which also names its list file.
fn profile_name_error(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_PROFILE_NAME_LEN || !name.chars().all(is_plain) {
        return Some(format!(
            "\"{name}\" cannot name a profile: 1 to {MAX_PROFILE_NAME_LEN} letters, digits, - and _"
        ));
    }
    (name == "kietop").then(|| "\"kietop\" names the list without a profile".to_owned())
}

fn read_keymap(reader: &TomlReader<'_>, mut section: TomlSection<'_>) -> Keymap {
    let mut changes = Vec::new();
    for SectionEntry {
        name,
        offset: at,
        content,
    } in section.section("in").remaining_entries()
    {
        let place = KeyContext::parse(name);
        if place.is_none() {
            let hint = did_you_mean(name, KeyContext::ALL.map(KeyContext::name));
            reader.report(at, &format!("there is no place \"{name}\" for keys{hint}"));
        }
        match content {
            EntryContent::Section(section) => {
                let entries = section.remaining_entries().into_iter();
                changes.extend(entries.filter_map(|entry| read_key_override(reader, place, entry)));
            }
            EntryContent::Strings(_) => {
                reader.report(
                    at,
                    &format!("keys of one place are a section: [keys.in.{name}]"),
                );
            }
        }
    }
    let entries = section.remaining_entries().into_iter();
    changes.extend(entries.filter_map(|entry| read_key_override(reader, None, entry)));
    let words: Vec<_> = changes.iter().map(|change| change.change.clone()).collect();
    Keymap::with_overrides(&words).unwrap_or_else(|faults| {
        for fault in faults {
            let change = fault.change.and_then(|change| changes.get(change));
            let at = change.map_or(0, |change| {
                let key = fault.key.and_then(|key| change.key_offsets.get(key));
                key.copied().unwrap_or(change.offset)
            });
            reader.report(at, &fault.to_string());
        }
        Keymap::default()
    })
}

/// A change of keys with the places where action and keys stand.
struct LocatedOverride {
    change: KeyOverride,
    offset: usize,
    key_offsets: Vec<usize>,
}

fn read_key_override(
    reader: &TomlReader<'_>,
    place: Option<KeyContext>,
    entry: SectionEntry<'_>,
) -> Option<LocatedOverride> {
    let SectionEntry {
        name,
        offset: at,
        content,
    } = entry;
    let EntryContent::Strings(words) = content else {
        let what =
            format!("{name} must be a key or a list of keys; [keys.in.PLACE] is for one place");
        reader.report(at, &what);
        return None;
    };
    let words = words?.value;
    Some(LocatedOverride {
        offset: at,
        key_offsets: words.iter().map(|word| word.offset).collect(),
        change: KeyOverride {
            context: place,
            action: name.to_owned(),
            keys: words.iter().map(|word| word.value.to_owned()).collect(),
        },
    })
}

/// Reads a command line: a list of words, run without a shell; an empty list is none.
fn read_command(section: &mut TomlSection<'_>, name: &'static str) -> Option<Vec<String>> {
    let Located {
        offset: at,
        value: words,
    } = section.strings(name)?;
    let word = words.first()?.value.trim();
    if word.is_empty() {
        section.report(at, &format!("{name} names no program"));
        return None;
    }
    let program = environment::expand_program(word)
        .map_err(|error| section.report(at, &format!("{name}: {error}")))
        .ok()?;
    let is_file = || Path::new(&program).is_absolute() && Path::new(&program).is_file();
    if words.len() == 1 && word.contains(char::is_whitespace) && !is_file() {
        let hint = "must be a list of words, like [\"pass\", \"show\", \"kie\"]; no shell runs it";
        section.report(at, &format!("{name} {hint}"));
        return None;
    }
    let arguments = words.iter().skip(1).map(|word| word.value.to_owned());
    Some(std::iter::once(program).chain(arguments).collect())
}

/// Parses a path: absolute, with `~` and variables, else relative to the config file's folder.
fn read_path(
    section: &mut TomlSection<'_>,
    name: &'static str,
    folder: Option<&Path>,
) -> Option<PathBuf> {
    let Located { offset: at, value } = section.string(name)?;
    let path = environment::expand_path(value)
        .map_err(|error| section.report(at, &format!("{name}: {error}")))
        .ok()?;
    match folder {
        _ if path.is_absolute() => Some(path),
        Some(folder) => Some(folder.join(path)),
        None => {
            section.report(at, &format!("{name} must begin with / or ~/"));
            None
        }
    }
}
