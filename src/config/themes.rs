//! Themes by name: those that come with kietop, and the user's own beside the config file.

use std::path::{Path, PathBuf};

use super::{
    fault::{Fault, Place},
    reader::{At, Reader},
};
use crate::{
    domain::nearest::did_you_mean,
    ui::theme::{Palette, Role, parse_style},
};

/// The theme without a file: the terminal's own colours, chosen to read on dark and light grounds.
const AUTO: &str = "auto";

/// What it becomes on a ground that the terminal says is light.
const ON_LIGHT: &str = "light";

/// The themes that come with kietop.
const BUILT_IN: [(&str, &str); 5] = [
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

/// Is the palette chosen, and for the theme `auto` what to take in its place where the terminal's ground is light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colours {
    /// For every ground, as far as it is known.
    pub usual: Palette,
    /// For those that are light; `None` where the palette was chosen by name.
    pub on_light: Option<Palette>,
}

impl Default for Colours {
    fn default() -> Self {
        Self {
            usual: Palette::ansi(),
            on_light: on_light(None, None),
        }
    }
}

/// Returns the names of the themes that come with kietop.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    std::iter::once(AUTO).chain(BUILT_IN.iter().map(|(name, _)| *name))
}

/// Returns a theme: the user's file of that name below the config file's folder, else ours; else what is wrong.
pub fn load(name: &str, folder: Option<&Path>) -> Result<Palette, Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    let file = folder.filter(|_| is_name).map(|folder| own(name, folder));
    if let Some(file) = file {
        match super::read(&file, super::Need::Optional) {
            Ok(Some(text)) => {
                return parse(&text).map_err(|faults| {
                    let said = |fault: Fault| {
                        let place = fault
                            .place
                            .map_or_else(String::new, |Place { line, column }| {
                                format!(":{line}:{column}")
                            });
                        format!("{}{place}: {}", file.display(), fault.what)
                    };
                    faults.into_iter().map(said).collect()
                });
            }
            Ok(None) => {}
            Err(faults) => return Err(vec![faults.to_string()]),
        }
    }
    if name == AUTO {
        return Ok(Palette::ansi());
    }
    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
    let (_, text) = built_in.ok_or_else(|| {
        let mut hint = did_you_mean(name, names());
        if hint.is_empty() {
            hint = format!("; there are {}", names().collect::<Vec<_>>().join(", "));
        }
        vec![format!("there is no theme \"{name}\"{hint}")]
    })?;
    parse(text).map_err(|faults| faults.into_iter().map(|fault| fault.what).collect())
}

/// Returns what to take in a theme's place where the ground is light; only `auto` asks, and only while it is ours.
///
/// `None` for a name: none is chosen.
pub fn on_light(name: Option<&str>, folder: Option<&Path>) -> Option<Palette> {
    let is_own = folder.is_some_and(|folder| own(AUTO, folder).exists());
    if name.is_some_and(|name| name != AUTO) || is_own {
        return None;
    }
    // A file of the user's that has faults is not asked for by name here: nobody is told, and nothing changes.
    load(ON_LIGHT, folder).ok()
}

/// Returns where the user's theme of that name would be.
fn own(name: &str, folder: &Path) -> PathBuf {
    folder.join("themes").join(format!("{name}.toml"))
}

/// Reads a theme file; a role it does not name looks as in the theme `auto`.
fn parse(text: &str) -> Result<Palette, Vec<Fault>> {
    let reader = Reader::new(text);
    let mut root = reader.root();
    let mut palette = Palette::ansi();
    let mut style = |name| {
        let At { at, value } = root.text(name)?;
        parse_style(value)
            .map_err(|what| root.fault(at, &what))
            .ok()
    };
    if let Some(ground) = style("ground") {
        palette = palette.on(ground);
    }
    for role in Role::ALL {
        if let Some(style) = style(role.name()) {
            palette = palette.with(role, style);
        }
    }
    root.finish();
    reader.finish(None).map_err(|faults| faults.faults)?;
    Ok(palette)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_theme_reads_and_the_monochrome_file_is_the_built_in_one() {
        for name in names() {
            assert!(load(name, None).is_ok(), "{name}: {:?}", load(name, None));
        }
        assert_eq!(load("monochrome", None), Ok(Palette::monochrome()));
    }

    #[test]
    fn the_user_s_own_theme_goes_before_ours_and_its_faults_have_places() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("themes")).unwrap();
        let file = folder.path().join("themes/dark.toml");
        fs::write(&file, "ok = \"bright-green bold\"\n").unwrap();
        let own = load("dark", Some(folder.path())).unwrap();
        assert_eq!(Ok(own.style(Role::Ok)), parse_style("bright-green bold"));
        assert_eq!(own.style(Role::Busy), Palette::ansi().style(Role::Busy));

        fs::write(&file, "ok = \"geen\"\nbussy = \"red\"\n").unwrap();
        let faults = load("dark", Some(folder.path())).unwrap_err().join("\n");
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
    fn only_the_theme_that_is_not_chosen_follows_the_ground() {
        for name in names() {
            let expected = (name == "auto").then(|| load("light", None).unwrap());
            assert_eq!(on_light(Some(name), None), expected, "{name}");
        }
        assert!(on_light(None, None).is_some());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("themes")).unwrap();
        let write = |name, text| fs::write(folder.path().join("themes").join(name), text).unwrap();
        write("light.toml", "ok = \"red\"\n");
        let own = on_light(None, Some(folder.path())).unwrap();
        assert_eq!(Ok(own.style(Role::Ok)), parse_style("red"));

        write("auto.toml", "ok = \"blue\"\n");
        assert_eq!(on_light(None, Some(folder.path())), None);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.toml"), "ok = \"red\"\n").unwrap();
        let said = load("../x", Some(folder.path())).unwrap_err();
        assert!(
            said[0].starts_with("there is no theme \"../x\""),
            "{said:?}"
        );
        let said = load("drak", None).unwrap_err();
        assert_eq!(said, ["there is no theme \"drak\"; did you mean \"dark\"?"]);
    }
}
