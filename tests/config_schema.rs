//! The JSON schema of the config file agrees with the code: the same names, types, ranges,
//! defaults.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use kietop::{
    app::keymap::{Action, KeyContext},
    config::{Config, Overrides, known_keys, themes},
};
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../assets/config.schema.json")).unwrap()
}

/// A setting, with its section: `pace.young`.
struct Setting {
    path: String,
    schema: Value,
}

impl Setting {
    /// Returns the line that sets it, under its section. JSON and TOML write these values alike.
    fn set_to(&self, value: &Value) -> String {
        match self.path.rsplit_once('.') {
            None => format!("{} = {value}\n", self.path),
            Some((section, name)) => format!("[{section}]\n{name} = {value}\n"),
        }
    }
}

/// Returns the settings below a section; `keys` and `profiles` hold names of the user's own.
fn settings(section: &str, schema: &Value) -> Vec<Setting> {
    let mut found = Vec::new();
    for (name, schema) in schema["properties"].as_object().unwrap() {
        let path = format!("{section}{name}");
        if schema["type"] != "object" {
            found.push(Setting {
                path,
                schema: schema.clone(),
            });
        } else if !["keys", "profiles"].contains(&path.as_str()) {
            found.extend(settings(&format!("{path}."), schema));
        }
    }
    found
}

/// Returns values that the schema takes and values that it refuses.
fn examples(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut good, mut bad) = if let Some(words) = schema.get("enum") {
        let words = words.as_array().unwrap().clone();
        (words, vec![json!("another"), json!(true), json!(1)])
    } else if let Some(kinds) = schema.get("anyOf") {
        let kinds = kinds.as_array().unwrap();
        any_of(&kinds.iter().map(examples).collect::<Vec<_>>())
    } else {
        examples_of_type(schema)
    };
    good.extend(schema.get("default").cloned());
    bad.push(json!([[]]));
    (good, bad)
}

/// Returns what one of the kinds takes, and what all of them refuse.
fn any_of(kinds: &[(Vec<Value>, Vec<Value>)]) -> (Vec<Value>, Vec<Value>) {
    let good = kinds.iter().flat_map(|(good, _)| good.clone()).collect();
    let (_, first) = &kinds[0];
    let bad = first.iter().filter(|value| {
        kinds
            .iter()
            .all(|(good, bad)| bad.contains(value) && !good.contains(value))
    });
    (good, bad.cloned().collect())
}

fn examples_of_type(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    match schema["type"].as_str().unwrap() {
        "boolean" => (
            vec![json!(true), json!(false)],
            vec![json!("true"), json!(1), json!([])],
        ),
        "integer" => {
            let [least, most] = ["minimum", "maximum"].map(|name| schema[name].as_i64().unwrap());
            (
                vec![json!(least), json!(most)],
                vec![json!(least - 1), json!(most + 1), json!("5"), json!(true)],
            )
        }
        "string" if schema["pattern"] == "^https?://" => (
            vec![json!("https://example.com"), json!("http://localhost:4010")],
            vec![json!("ftp://example.com"), json!(true), json!(1), json!([])],
        ),
        // The name of a theme file, which is not there.
        "string" if schema.get("pattern").is_some() => {
            (vec![], vec![json!("a b"), json!(true), json!(1), json!([])])
        }
        "string" => (
            vec![json!("/somewhere")],
            vec![json!(""), json!(true), json!(1)],
        ),
        "array" => (
            vec![json!(["sh", "-c", "true"]), json!([])],
            vec![json!([1]), json!(""), json!(true), json!(1)],
        ),
        other => panic!("no examples of {other}"),
    }
}

fn is_valid(text: &str) -> bool {
    Config::parse(
        text,
        Some(Path::new("/etc/kietop/config.toml")),
        &Overrides::default(),
    )
    .is_ok()
}

#[test]
fn it_names_every_setting_and_no_other() {
    let schema = schema();
    let mut named: BTreeSet<_> = settings("", &schema)
        .into_iter()
        .map(|setting| setting.path)
        .collect();
    let sections = ["pace", "notifications", "keys", "keys.in", "profiles"];
    named.extend(sections.map(str::to_owned));

    assert_eq!(named, known_keys().into_iter().collect());
}

#[test]
fn it_takes_and_refuses_what_the_program_does() {
    for setting in settings("", &schema()) {
        let (good, bad) = examples(&setting.schema);
        assert!(!good.is_empty() && bad.len() > 1, "{}", setting.path);
        for value in good {
            let text = setting.set_to(&value);
            assert!(is_valid(&text), "{text}");
        }
        for value in bad {
            let text = setting.set_to(&value);
            assert!(!is_valid(&text), "{text}");
        }
    }
}

#[test]
fn its_defaults_are_the_program_s() {
    let mut text = String::new();
    let mut sections = String::new();
    for setting in settings("", &schema()) {
        let Some(default) = setting.schema.get("default") else {
            continue;
        };
        match setting.path.split_once('.') {
            None => write!(text, "{}", setting.set_to(default)).unwrap(),
            Some(_) => writeln!(sections, "{} = {default}", setting.path).unwrap(),
        }
    }
    let text = text + &sections;

    let config = Config::parse(&text, None, &Overrides::default());
    assert_eq!(config.unwrap(), Config::default(), "{text}");
    assert_eq!(text.lines().count(), 15, "{text}");
}

#[test]
fn it_names_every_theme_action_and_place() {
    let schema = schema();
    let words = |value: &Value| -> BTreeSet<String> {
        let words = value.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let keys = &schema["properties"]["keys"]["properties"];

    let themes: BTreeSet<_> = themes::theme_names().map(str::to_owned).collect();
    let theme = &schema["properties"]["theme"]["anyOf"][0]["enum"];
    assert_eq!(words(theme), themes);
    let actions: BTreeSet<_> = Action::all()
        .map(|action| action.name().to_owned())
        .collect();
    let mut entries = names(keys);
    assert!(entries.remove("in"));
    assert_eq!(entries, actions);
    let of_place = &schema["definitions"]["keys_of_place"]["propertyNames"]["enum"];
    assert_eq!(words(of_place), actions);
    let places: BTreeSet<_> = KeyContext::ALL.map(|place| place.name().to_owned()).into();
    assert_eq!(names(&keys["in"]["properties"]), places);
}

#[test]
fn a_profile_has_the_settings_of_an_account() {
    let schema = schema();
    let profile = schema["definitions"]["profile"]["properties"]
        .as_object()
        .unwrap();

    for setting in settings("", &schema) {
        let (good, _) = examples(&setting.schema);
        let is_taken = is_valid(&format!("[profiles.a]\n{} = {}\n", setting.path, good[0]));
        assert_eq!(
            is_taken,
            profile.contains_key(&setting.path),
            "{}",
            setting.path
        );
    }
    for name in ["kietop", "a b", &"x".repeat(33)] {
        assert!(!is_valid(&format!("[profiles.\"{name}\"]\n")), "{name}");
    }
}
