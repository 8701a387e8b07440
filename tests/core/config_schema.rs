//! The JSON schema of the config file agrees with the code: names, types, ranges and defaults.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use kietop::{
    app::keymap::{Action, KeyContext},
    config::{Config, Overrides, known_keys, themes},
};
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../assets/config.schema.json")).unwrap()
}

/// A setting; its path includes the section: `pace.young`.
struct Setting {
    path: String,
    schema: Value,
}

impl Setting {
    /// Returns the TOML that sets it to a value. JSON and TOML write these values alike.
    fn set_to(&self, value: &Value) -> String {
        match self.path.rsplit_once('.') {
            None => format!("{} = {value}\n", self.path),
            Some((section, name)) => format!("[{section}]\n{name} = {value}\n"),
        }
    }
}

/// Returns the settings below a section, without `keys` and `profiles`: the user names those.
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

/// Returns values that the schema accepts and values that it rejects.
fn examples(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut valid, mut invalid) = if let Some(values) = schema.get("enum") {
        let values = values.as_array().unwrap().clone();
        (values, vec![json!("another"), json!(true), json!(1)])
    } else if let Some(alternatives) = schema.get("anyOf") {
        let alternatives = alternatives.as_array().unwrap();
        any_of(&alternatives.iter().map(examples).collect::<Vec<_>>())
    } else {
        examples_of_type(schema)
    };
    valid.extend(schema.get("default").cloned());
    invalid.push(json!([[]]));
    (valid, invalid)
}

/// Combines alternatives: values that one of them accepts, and values that all of them reject.
fn any_of(alternatives: &[(Vec<Value>, Vec<Value>)]) -> (Vec<Value>, Vec<Value>) {
    let valid = alternatives
        .iter()
        .flat_map(|(valid, _)| valid.clone())
        .collect();
    let (_, first) = &alternatives[0];
    let invalid = first.iter().filter(|value| {
        alternatives
            .iter()
            .all(|(valid, invalid)| invalid.contains(value) && !valid.contains(value))
    });
    (valid, invalid.cloned().collect())
}

fn examples_of_type(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    match schema["type"].as_str().unwrap() {
        "boolean" => (
            vec![json!(true), json!(false)],
            vec![json!("true"), json!(1), json!([])],
        ),
        "integer" => {
            let [min, max] = ["minimum", "maximum"].map(|name| schema[name].as_i64().unwrap());
            (
                vec![json!(min), json!(max)],
                vec![json!(min - 1), json!(max + 1), json!("5"), json!(true)],
            )
        }
        "string" if schema["pattern"] == "^https?://" => (
            vec![json!("https://example.com"), json!("http://localhost:4010")],
            vec![json!("ftp://example.com"), json!(true), json!(1), json!([])],
        ),
        // The name of a theme file, which does not exist here.
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
        other => panic!("no examples for type {other}"),
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
fn the_schema_names_every_setting_and_no_other() {
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
fn the_schema_and_the_program_accept_the_same_values() {
    for setting in settings("", &schema()) {
        let (valid, invalid) = examples(&setting.schema);
        assert!(!valid.is_empty() && invalid.len() > 1, "{}", setting.path);
        for value in valid {
            let text = setting.set_to(&value);
            assert!(is_valid(&text), "{text}");
        }
        for value in invalid {
            let text = setting.set_to(&value);
            assert!(!is_valid(&text), "{text}");
        }
    }
}

#[test]
fn schema_defaults_match_the_program() {
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
fn the_schema_names_every_theme_action_and_key_context() {
    let schema = schema();
    let words = |value: &Value| -> BTreeSet<String> {
        value
            .as_array()
            .unwrap()
            .iter()
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
    let context_actions = &schema["definitions"]["keys_of_place"]["propertyNames"]["enum"];
    assert_eq!(words(context_actions), actions);
    let contexts: BTreeSet<_> = KeyContext::ALL
        .iter()
        .map(|context| context.name().to_owned())
        .collect();
    assert_eq!(names(&keys["in"]["properties"]), contexts);
}

#[test]
fn profile_settings_match_the_schema() {
    let schema = schema();
    let profile = schema["definitions"]["profile"]["properties"]
        .as_object()
        .unwrap();

    for setting in settings("", &schema) {
        let (valid, _) = examples(&setting.schema);
        let is_accepted = is_valid(&format!("[profiles.a]\n{} = {}\n", setting.path, valid[0]));
        assert_eq!(
            is_accepted,
            profile.contains_key(&setting.path),
            "{}",
            setting.path
        );
    }
    for name in ["kietop", "a b", &"x".repeat(33)] {
        assert!(!is_valid(&format!("[profiles.\"{name}\"]\n")), "{name}");
    }
}
