//! Themes by name: built in, or in the folder `themes` beside the config file.

use std::path::{Path, PathBuf};

use strum::VariantArray as _;

use super::{
    error::{self, ConfigError, FilePosition},
    file,
    toml_reader::{Located, TomlReader},
};
use crate::app::palette::{Role, ThemePalette, parse_style};

/// The theme without a file: ANSI colours that are readable on dark and on light backgrounds.
pub(super) const AUTO_THEME: &str = "auto";

/// The theme that replaces `auto` on a light background.
const LIGHT_THEME: &str = "light";

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

/// The chosen palette, and for the theme `auto` its replacement on a light background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemePalettes {
    pub base: ThemePalette,
    /// `None` if a theme was chosen by name.
    pub light: Option<ThemePalette>,
}

impl Default for ThemePalettes {
    fn default() -> Self {
        Self {
            base: ThemePalette::ansi(),
            light: load_theme(LIGHT_THEME, None).ok(),
        }
    }
}

/// Loads a theme, and for the built-in `auto` also its light replacement. Reports all errors of a
/// file.
pub fn load_palettes(name: &str, folder: Option<&Path>) -> Result<ThemePalettes, Vec<String>> {
    let base = load_theme(name, folder)?;
    let is_own = folder.is_some_and(|folder| user_theme_path(name, folder).exists());
    // Errors in the user's own light theme are ignored here, because it was not chosen by name.
    let load_light = || load_theme(LIGHT_THEME, folder).ok();
    let is_auto = name == AUTO_THEME && !is_own;
    let light = is_auto.then(load_light).flatten();
    Ok(ThemePalettes { base, light })
}

/// Returns the names of the built-in themes.
pub fn theme_names() -> impl Iterator<Item = &'static str> + Clone {
    std::iter::once(AUTO_THEME).chain(BUILT_IN_THEMES.iter().map(|(name, _)| *name))
}

/// Loads a theme: from the user's file beside the config file, else the built-in one. Reports all
/// errors of a file.
pub fn load_theme(name: &str, folder: Option<&Path>) -> Result<ThemePalette, Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    if let Some(folder) = folder.filter(|_| is_name) {
        let path = user_theme_path(name, folder);
        let text = file::read_optional(&path).map_err(|errors| vec![errors.to_string()])?;
        if let Some(text) = text {
            let message = |error: ConfigError| {
                let position = error
                    .position
                    .map_or_else(String::new, |FilePosition { line, column }| {
                        format!(":{line}:{column}")
                    });
                format!("{}{position}: {}", path.display(), error.message)
            };
            return parse_theme(&text).map_err(|errors| errors.into_iter().map(message).collect());
        }
    }
    if name == AUTO_THEME {
        return Ok(ThemePalette::ansi());
    }
    let built_in = BUILT_IN_THEMES.iter().find(|(known, _)| *known == name);
    let (_, text) = built_in.ok_or_else(|| vec![error::unknown_theme(name, theme_names())])?;
    parse_theme(text).map_err(|errors| errors.into_iter().map(|error| error.message).collect())
}

fn user_theme_path(name: &str, folder: &Path) -> PathBuf {
    folder.join("themes").join(format!("{name}.toml"))
}

/// Parses a theme file. Roles that it does not set look as in the theme `auto`.
fn parse_theme(text: &str) -> Result<ThemePalette, Vec<ConfigError>> {
    let reader = TomlReader::new(text);
    let mut root = reader.root();
    let mut palette = ThemePalette::ansi();
    let mut style = |name| {
        let Located { offset, value } = root.string(name)?;
        parse_style(value)
            .map_err(|message| root.report(offset, &message))
            .ok()
    };
    if let Some(background) = style("ground") {
        palette = palette.with_background(background);
    }
    for role in Role::VARIANTS {
        if let Some(style) = style(role.into()) {
            palette = palette.with_style(*role, style);
        }
    }
    root.finish();
    reader.finish(None).map_err(|errors| errors.errors)?;
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
        let errors = load_theme("dark", Some(folder.path()))
            .unwrap_err()
            .join("\n");
        assert!(
            errors.contains("dark.toml:1:6: \"geen\" is not a colour"),
            "{errors}"
        );
        assert!(
            errors.contains("dark.toml:2:1: unknown key \"bussy\"; did you mean \"busy\"?"),
            "{errors}"
        );
    }

    #[test]
    fn only_the_auto_theme_follows_the_background() {
        let light = |name: &str, folder| load_palettes(name, folder).unwrap().light;
        for name in theme_names() {
            let expected = (name == "auto").then(|| load_theme("light", None).unwrap());
            assert_eq!(light(name, None), expected, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("themes")).unwrap();
        let write = |name, text| fs::write(folder.path().join("themes").join(name), text).unwrap();
        write("light.toml", "ok = \"red\"\n");
        let own = light("auto", Some(folder.path())).unwrap();
        assert_eq!(Ok(own.style(Role::Ok)), parse_style("red"));

        write("auto.toml", "ok = \"blue\"\n");
        assert_eq!(light("auto", Some(folder.path())), None);
    }

    #[test]
    fn theme_names_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.toml"), "ok = \"red\"\n").unwrap();
        let errors = load_theme("../x", Some(folder.path())).unwrap_err();
        assert!(
            errors[0].starts_with("unknown theme \"../x\""),
            "{errors:?}"
        );
        let errors = load_theme("drak", None).unwrap_err();
        assert_eq!(errors, ["unknown theme \"drak\"; did you mean \"dark\"?"]);
    }
}
