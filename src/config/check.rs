//! Which settings there are, what each may be, and what it is without one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Ascii, Faults, Mouse, Notifications, Retention, Saving, Settings,
    reader::{At, Content, Entry, Reader, Section},
    themes::{self, Colours},
};
use crate::{
    adapters::{
        kie::{ApiOrigin, StoredKey},
        surroundings,
    },
    app::keymap::{Context, KeyChange, Keymap},
    domain::{nearest::did_you_mean, picture::Preview, schedule::Pace},
};

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// The longest interval between two questions, in seconds: an ending is to be seen within the hour.
const LONGEST_PACE: u64 = 60 * 60;

/// The longest name of a profile: it names a file.
const LONGEST_NAME: usize = 32;

/// Is a file found without fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Checked {
    /// The account without a profile.
    pub(super) account: Account,
    /// The profiles by their names.
    pub(super) profiles: BTreeMap<String, Account>,
    /// What is the same in all of them.
    pub(super) settings: Settings,
}

/// Is one account: where it is asked, with which key, for which list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Account {
    /// Where the API is.
    pub(super) origin: Option<ApiOrigin>,
    /// The list file.
    pub(super) store: Option<PathBuf>,
    /// Where the key comes from.
    pub(super) key: Option<StoredKey>,
}

/// Checks a file's text; else returns everything that is wrong with it.
pub(super) fn check(text: &str, file: Option<&Path>) -> Result<Checked, Faults> {
    let reader = Reader::new(text);
    let checked = checked(&reader, file);
    reader.finish(file.map(Path::to_owned))?;
    Ok(checked)
}

/// Returns every key that is asked for.
pub(super) fn known_keys() -> Vec<String> {
    let reader = Reader::new("");
    checked(&reader, None);
    reader.known()
}

fn checked(reader: &Reader<'_>, file: Option<&Path>) -> Checked {
    let folder = file.and_then(Path::parent);
    let mut root = reader.root();
    let account = account(&mut root, folder);
    let theme = root.text("theme");
    let on_light = themes::on_light(theme.as_ref().map(|theme| theme.value), folder);
    let palette = theme.and_then(|At { at, value }| match themes::load(value, folder) {
        Ok(palette) => Some(palette),
        Err(faults) => {
            for what in faults {
                root.fault(at, &what);
            }
            None
        }
    });
    let settings = Settings {
        colours: Colours {
            usual: palette.unwrap_or_default(),
            on_light,
        },
        ascii: root
            .choice(
                "ascii",
                &[
                    ("auto", Ascii::Auto),
                    ("on", Ascii::On),
                    ("off", Ascii::Off),
                ],
            )
            .unwrap_or_default(),
        mouse: match root.truth("mouse") {
            Some(false) => Mouse::Off,
            Some(true) | None => Mouse::On,
        },
        browser: command(&mut root, "browser").unwrap_or_default(),
        saving: Saving {
            folder: path(&mut root, "save_folder", folder),
            is_automatic: root.truth("auto_save").unwrap_or_default(),
        },
        retention: root
            .number("retention_days", 1..=365, "days")
            .map(|days| Retention(Duration::from_secs(days * DAY)))
            .unwrap_or_default(),
        preview: root
            .choice(
                "preview",
                &[
                    ("auto", Preview::Auto),
                    ("kitty", Preview::Kitty),
                    ("sixel", Preview::Sixel),
                    ("iterm2", Preview::Iterm2),
                    ("halfblocks", Preview::HalfBlocks),
                    ("off", Preview::Off),
                ],
            )
            .unwrap_or_default(),
        pace: pace(root.section("pace")),
        notifications: notifications(root.section("notifications")),
        keymap: keymap(reader, root.section("keys")),
    };
    // Last: what a profile may not have is known by then to be the file's own.
    let profiles = profiles(reader, root.section("profiles"), folder);
    root.finish();
    Checked {
        account,
        profiles,
        settings,
    }
}

fn account(section: &mut Section<'_>, folder: Option<&Path>) -> Account {
    let origin = section.text("api_url").and_then(|At { at, value }| {
        ApiOrigin::parse(value)
            .map_err(|error| section.fault(at, &error.to_string()))
            .ok()
    });
    let store = path(section, "store", folder);
    let command = command(section, "key_command").map(StoredKey::Command);
    let file = path(section, "key_file", folder).map(StoredKey::File);
    Account {
        origin,
        store,
        key: command.or(file),
    }
}

fn pace(mut section: Section<'_>) -> Pace {
    let default = Pace::default();
    let mut every = |name, default| {
        section
            .number(name, 2..=LONGEST_PACE, "seconds")
            .map_or(default, Duration::from_secs)
    };
    let pace = Pace {
        young: every("young", default.young),
        steady: every("steady", default.steady),
        late: every("late", default.late),
    };
    section.finish();
    pace
}

fn notifications(mut section: Section<'_>) -> Notifications {
    let notifications = Notifications {
        bell: section.truth("bell").unwrap_or_default(),
        osc: section.truth("osc").unwrap_or_default(),
        desktop: section.truth("desktop").unwrap_or_default(),
        command: command(&mut section, "command").unwrap_or_default(),
    };
    section.finish();
    notifications
}

fn profiles(
    reader: &Reader<'_>,
    section: Section<'_>,
    folder: Option<&Path>,
) -> BTreeMap<String, Account> {
    let mut profiles = BTreeMap::new();
    for Entry { name, at, content } in section.entries() {
        let Content::Section(mut section) = content else {
            reader.fault(at, &format!("a profile is a section: [profiles.{name}]"));
            continue;
        };
        if let Some(what) = name_fault(name) {
            reader.fault(at, &what);
        }
        let account = account(&mut section, folder);
        section.finish();
        profiles.insert(name.to_owned(), account);
    }
    profiles
}

/// Says what is wrong with a profile's name, which also names its list file.
fn name_fault(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
        return Some(format!(
            "\"{name}\" cannot name a profile: 1 to {LONGEST_NAME} letters, digits, - and _"
        ));
    }
    (name == "kietop").then(|| "\"kietop\" names the list without a profile".to_owned())
}

fn keymap(reader: &Reader<'_>, mut section: Section<'_>) -> Keymap {
    let mut changes = Vec::new();
    for Entry { name, at, content } in section.section("in").entries() {
        let place = Context::parse(name);
        if place.is_none() {
            let hint = did_you_mean(name, Context::ALL.map(Context::name));
            reader.fault(at, &format!("there is no place \"{name}\" for keys{hint}"));
        }
        match content {
            Content::Section(section) => {
                let entries = section.entries().into_iter();
                changes.extend(entries.filter_map(|entry| change(reader, place, entry)));
            }
            Content::Words(_) => {
                reader.fault(
                    at,
                    &format!("keys of one place are a section: [keys.in.{name}]"),
                );
            }
        }
    }
    let entries = section.entries().into_iter();
    changes.extend(entries.filter_map(|entry| change(reader, None, entry)));
    let words: Vec<_> = changes.iter().map(|change| change.change.clone()).collect();
    Keymap::with(&words).unwrap_or_else(|faults| {
        for fault in faults {
            let change = fault.change.and_then(|change| changes.get(change));
            let at = change.map_or(0, |change| {
                let key = fault.key.and_then(|key| change.keys.get(key));
                key.copied().unwrap_or(change.at)
            });
            reader.fault(at, &fault.to_string());
        }
        Keymap::default()
    })
}

/// Is a change of keys with the places where action and keys stand.
struct PlacedChange {
    change: KeyChange,
    at: usize,
    keys: Vec<usize>,
}

fn change(reader: &Reader<'_>, place: Option<Context>, entry: Entry<'_>) -> Option<PlacedChange> {
    let Entry { name, at, content } = entry;
    let Content::Words(words) = content else {
        let what =
            format!("{name} must be a key or a list of keys; [keys.in.PLACE] is for one place");
        reader.fault(at, &what);
        return None;
    };
    let words = words?.value;
    Some(PlacedChange {
        at,
        keys: words.iter().map(|word| word.at).collect(),
        change: KeyChange {
            place,
            action: name.to_owned(),
            keys: words.iter().map(|word| word.value.to_owned()).collect(),
        },
    })
}

/// Reads a command line: a list of words, run without a shell; an empty list is none.
fn command(section: &mut Section<'_>, name: &'static str) -> Option<Vec<String>> {
    let At { at, value: words } = section.words(name)?;
    let word = words.first()?.value.trim();
    if word.is_empty() {
        section.fault(at, &format!("{name} names no program"));
        return None;
    }
    let program = surroundings::program(word)
        .map_err(|error| section.fault(at, &format!("{name}: {error}")))
        .ok()?;
    let is_file = || Path::new(&program).is_absolute() && Path::new(&program).is_file();
    if words.len() == 1 && word.contains(char::is_whitespace) && !is_file() {
        let hint = "must be a list of words, like [\"pass\", \"show\", \"kie\"]; no shell runs it";
        section.fault(at, &format!("{name} {hint}"));
        return None;
    }
    let arguments = words.iter().skip(1).map(|word| word.value.to_owned());
    Some(std::iter::once(program).chain(arguments).collect())
}

/// Parses a path: absolute, with `~` and variables, else relative to the config file's folder.
fn path(section: &mut Section<'_>, name: &'static str, folder: Option<&Path>) -> Option<PathBuf> {
    let At { at, value } = section.text(name)?;
    let path = surroundings::path(value)
        .map_err(|error| section.fault(at, &format!("{name}: {error}")))
        .ok()?;
    match folder {
        _ if path.is_absolute() => Some(path),
        Some(folder) => Some(folder.join(path)),
        None => {
            section.fault(at, &format!("{name} must begin with / or ~/"));
            None
        }
    }
}
