//! Themes by name: those that come with kietop, and the user's own beside the config file.

use std::path::{Path, PathBuf};

use super::{
    error::{ConfigError, FilePosition},
    toml_reader::{Located, TomlReader},
};
use crate::{
    domain::suggest::did_you_mean,
    ui::theme::{Role, ThemePalette, parse_style},
};

/// The theme without a file: the terminal's own colours, chosen to read on dark and light grounds.
const AUTO_THEME: &str = "auto";

/// What it becomes on a ground that the terminal says is light.
const LIGHT_THEME: &str = "light";

/// The themes that come with kietop.
const BUILT_IN_THEMES: [(&str, &str); 5] = [
    ("dark", include_str!("../../assets/themes/dark.toml")),
    ("light", include_str!("../../assets/themes/light.toml")),
    (
        "high-contrast",
        include_str!("../../assets/themes/high-contrast.toml"),
    ),
    (
        "colour-blind",
        include_str!("../../assets/themes/colour-blind.toml"),
    ),
    (
        "monochrome",
        include_str!("../../assets/themes/monochrome.toml"),
    ),
];

/// The palette chosen, and for the theme `auto` what to take in its place where the terminal's
/// ground is light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemePalettes {
    /// For every ground, as far as it is known.
    pub base: ThemePalette,
    /// For those that are light; `None` where the palette was chosen by name.
    pub light: Option<ThemePalette>,
}

impl Default for ThemePalettes {
    fn default() -> Self {
        Self {
            base: ThemePalette::ansi(),
            light: light_palette(None, None),
        }
    }
}

/// Returns the names of the themes that come with kietop.
pub fn theme_names() -> impl Iterator<Item = &'static str> + Clone {
    std::iter::once(AUTO_THEME).chain(BUILT_IN_THEMES.iter().map(|(name, _)| *name))
}

/// Returns a theme: the user's file of that name below the config file's folder, else ours; else
/// what is wrong.
pub fn load_theme(name: &str, folder: Option<&Path>) -> Result<ThemePalette, Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    let file = folder
        .filter(|_| is_name)
        .map(|folder| user_theme_path(name, folder));
    if let Some(file) = file {
        match super::read_file(&file, super::FileRequirement::Optional) {
            Ok(Some(text)) => {
                return parse_theme(&text).map_err(|faults| {
                    let said = |fault: ConfigError| {
                        let place = fault
                            .position
                            .map_or_else(String::new, |FilePosition { line, column }| {
                                format!(":{line}:{column}")
                            });
                        format!("{}{place}: {}", file.display(), fault.message)
                    };
                    faults.into_iter().map(said).collect()
                });
            }
            Ok(None) => {}
            Err(faults) => return Err(vec![faults.to_string()]),
        }
    }
    if name == AUTO_THEME {
        return Ok(ThemePalette::ansi());
    }
    let built_in = BUILT_IN_THEMES.iter().find(|(known, _)| *known == name);
    let (_, text) = built_in.ok_or_else(|| {
        let mut hint = did_you_mean(name, theme_names());
        if hint.is_empty() {
            hint = format!(
                "; there are {}",
                theme_names().collect::<Vec<_>>().join(", ")
            );
        }
        vec![format!("there is no theme \"{name}\"{hint}")]
    })?;
    parse_theme(text).map_err(|faults| faults.into_iter().map(|fault| fault.message).collect())
}

/// Returns what to take in a theme's place where the ground is light; only `auto` asks, and only
/// while it is ours.
///
/// `None` for a name: none is chosen.
pub fn light_palette(name: Option<&str>, folder: Option<&Path>) -> Option<ThemePalette> {
    let is_own = folder.is_some_and(|folder| user_theme_path(AUTO_THEME, folder).exists());
    if name.is_some_and(|name| name != AUTO_THEME) || is_own {
        return None;
    }
    // A file of the user's that has faults is not asked for by name here: nobody is told, and
    // nothing changes.
    load_theme(LIGHT_THEME, folder).ok()
}

/// Returns where the user's theme of that name would be.
fn user_theme_path(name: &str, folder: &Path) -> PathBuf {
    folder.join("themes").join(format!("{name}.toml"))
}

/// Reads a theme file; a role it does not name looks as in the theme `auto`.
fn parse_theme(text: &str) -> Result<ThemePalette, Vec<ConfigError>> {
    let reader = TomlReader::new(text);
    let mut root = reader.root();
    let mut palette = ThemePalette::ansi();
    let mut style = |name| {
        let Located { offset: at, value } = root.string(name)?;
        parse_style(value)
            .map_err(|what| root.report(at, &what))
            .ok()
    };
    if let Some(ground) = style("ground") {
        palette = palette.with_background(ground);
    }
    for role in Role::ALL {
        if let Some(style) = style(role.name()) {
            palette = palette.with_style(role, style);
        }
    }
    root.finish();
    reader.finish(None).map_err(|faults| faults.errors)?;
    Ok(palette)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_bundled_theme_parses() {
        for name in theme_names() {
            assert!(
                load_theme(name, None).is_ok(),
                "{name}: {:?}",
                load_theme(name, None)
            );
        }
        assert_eq!(
            load_theme("monochrome", None),
            Ok(ThemePalette::monochrome())
        );
    }

    #[test]
    fn user_themes_precede_bundled_ones() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("themes")).unwrap();
        let file = folder.path().join("themes/dark.toml");
        fs::write(&file, "ok = \"bright-green bold\"\n").unwrap();
        let own = load_theme("dark", Some(folder.path())).unwrap();
        assert_eq!(Ok(own.style(Role::Ok)), parse_style("bright-green bold"));
        assert_eq!(
            own.style(Role::Busy),
            ThemePalette::ansi().style(Role::Busy)
        );

        fs::write(&file, "ok = \"geen\"\nbussy = \"red\"\n").unwrap();
        let faults = load_theme("dark", Some(folder.path()))
            .unwrap_err()
            .join("\n");
        assert!(
            faults.contains("dark.toml:1:6: \"geen\" is no colour"),
            "{faults}"
        );
        assert!(
            faults.contains("dark.toml:2:1: unknown key \"bussy\"; did you mean \"busy\"?"),
            "{faults}"
        );
    }

    #[test]
    fn only_the_auto_theme_follows_the_background() {
        for name in theme_names() {
            let expected = (name == "auto").then(|| load_theme("light", None).unwrap());
            assert_eq!(light_palette(Some(name), None), expected, "{name}");
        }
        assert!(light_palette(None, None).is_some());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("themes")).unwrap();
        let write = |name, text| fs::write(folder.path().join("themes").join(name), text).unwrap();
        write("light.toml", "ok = \"red\"\n");
        let own = light_palette(None, Some(folder.path())).unwrap();
        assert_eq!(Ok(own.style(Role::Ok)), parse_style("red"));

        write("auto.toml", "ok = \"blue\"\n");
        assert_eq!(light_palette(None, Some(folder.path())), None);
    }

    #[test]
    fn theme_names_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.toml"), "ok = \"red\"\n").unwrap();
        let said = load_theme("../x", Some(folder.path())).unwrap_err();
        assert!(
            said[0].starts_with("there is no theme \"../x\""),
            "{said:?}"
        );
        let said = load_theme("drak", None).unwrap_err();
        assert_eq!(said, ["there is no theme \"drak\"; did you mean \"dark\"?"]);
    }
}
