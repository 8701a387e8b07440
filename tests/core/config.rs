//! The settings: valid values, the precedence of file, profile and options, and errors with their
//! positions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use assert_cmd::Command;
use kietop::{
    app::{
        keymap::{Action, KeyChord, KeyContext},
        notifications::NotifyChannel,
    },
    config::{AsciiMode, Config, DEFAULT_FILE, Overrides, known_keys},
    domain::{
        api_origin::ApiOrigin, preview::PreviewMode, schedule::PollIntervals, stored_key::StoredKey,
    },
};

fn parse(text: &str) -> Config {
    parse_for(text, &Overrides::default()).unwrap()
}

fn parse_for(text: &str, overrides: &Overrides) -> Result<Config, String> {
    let file = Path::new("/etc/kietop/config.toml");
    Config::parse(text, Some(file), overrides).map_err(|errors| errors.to_string())
}

/// Returns the errors without the file name.
fn parse_errors(text: &str) -> Vec<String> {
    let errors = parse_for(text, &Overrides::default()).unwrap_err();
    errors
        .lines()
        .map(|line| {
            line.trim_start_matches("/etc/kietop/config.toml:")
                .to_owned()
        })
        .collect()
}

fn with_profile(name: &str) -> Overrides {
    Overrides {
        profile: Some(name.into()),
        data_folder: Some("/data/kietop".into()),
        ..Overrides::default()
    }
}

// The default file.

/// The settings without a default: their line in the default file is an example.
const EXAMPLE_SETTINGS: [&str; 6] = [
    "save_folder",
    "key_command",
    "key_file",
    "store",
    "back",
    "api_url",
];

/// Returns the default file with the wanted settings uncommented.
fn uncomment(is_wanted: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for line in DEFAULT_FILE.lines() {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        let line = setting.filter(|setting| is_wanted(setting)).unwrap_or(line);
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[test]
fn the_default_file_matches_the_defaults() {
    assert_eq!(parse(DEFAULT_FILE), Config::default());

    let is_default = |setting: &str| {
        let name = setting.split(' ').next().unwrap();
        !setting.starts_with('[') && !EXAMPLE_SETTINGS.contains(&name)
    };
    let text = uncomment(is_default);
    assert_contains(&text, "\nyoung = 10\n");
    assert_eq!(parse(&text), Config::default());
}

#[test]
fn every_example_of_the_default_file_is_valid() {
    let text = uncomment(|_| true).replace("~/", "/home/me/");
    let config = parse_for(&text, &with_profile("studio")).unwrap();
    assert_eq!(config.origin, ApiOrigin::default());
    assert!(matches!(config.key, Some(StoredKey::Command(words)) if words[2] == "kie-studio"));
}

#[test]
fn the_default_file_mentions_every_setting() {
    let text = uncomment(|_| true);
    for key in known_keys() {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let is_section = known_keys()
            .iter()
            .any(|other| other.starts_with(&format!("{key}.")));
        if is_section || ["keys", "keys.in", "profiles"].contains(&key.as_str()) {
            continue;
        }
        let part = match section {
            "" => text.split("\n[").next().unwrap(),
            section => text
                .split(&format!("\n[{section}]\n"))
                .nth(1)
                .unwrap_or_default(),
        };
        let is_mentioned =
            part.contains(&format!("\n{name} = ")) || part.starts_with(&format!("{name} = "));
        assert!(is_mentioned, "{key}");
    }
}

// Valid and invalid settings.

#[test]
fn every_setting_is_applied() {
    let config = parse(
        r#"
        api_url = "http://localhost:4010"
        key_command = ["pass", "show", "kie"]
        store = "lists/a.db"
        theme = "dark"
        ascii = "on"
        mouse = false
        browser = ["firefox", "--new-window", "%s"]
        save_folder = "/videos"
        auto_save = true
        retention_days = 3
        preview = "sixel"
        [pace]
        young = 2
        [notifications]
        bell = true
        command = "notify-me"
        [keys]
        open_result = ["x", "f5"]
        [keys.in.help]
        back = "esc"
        "#,
    );
    let settings = config.settings;
    assert_eq!(config.origin.as_str(), "http://localhost:4010");
    assert_eq!(config.store, Some(PathBuf::from("/etc/kietop/lists/a.db")));
    assert_eq!(settings.ascii, AsciiMode::On);
    assert!(!settings.mouse);
    assert_eq!(settings.browser.len(), 3);
    assert_eq!(settings.save_folder, Some(PathBuf::from("/videos")));
    assert!(settings.auto_save);
    assert_eq!(settings.retention, Duration::from_hours(72));
    assert_eq!(settings.preview, PreviewMode::Sixel);
    assert_eq!(settings.poll_intervals.young, Duration::from_secs(2));
    assert_eq!(
        settings.poll_intervals.steady,
        PollIntervals::default().steady
    );
    assert_eq!(
        settings.notifications.channels,
        [NotifyChannel::Title, NotifyChannel::Bell]
    );
    assert_eq!(settings.notifications.command, ["notify-me"]);
    let keymap = settings.keymap;
    let action = keymap.lookup(KeyChord::char('x'), KeyContext::List);
    assert_eq!(action, Some(Action::OpenResult));
    assert_eq!(keymap.lookup(KeyChord::char('q'), KeyContext::Help), None);
}

#[test]
fn every_config_error_has_a_position() {
    let text = "thme = \"dark\"\ntheme = \"drak\"\nascii = true\nmouse = \"yes\"\nretention_days = 0\n\
                preview = \"sixels\"\nbrowser = \"firefox --new\"\nsave_folder = \"\"\napi_url = \"http://api.kie.ai\"\n\
                [pace]\nyoung = 1\nsteady = 1.5\nlate = -3\nfast = 3\n\
                [notifications]\ncommand = [1]\n\
                [keys]\nopen_reslut = \"x\"\nundo = \"gg\"\n[keys.in.hepl]\nback = \"x\"\n\
                [profiles.\"a b\"]\nkey = \"sk\"\n[profiles.studio]\nkey_comand = \"x\"\ntheme = \"dark\"\n";
    let expected = [
        "1:1: unknown key \"thme\"; did you mean \"theme\"?",
        "2:9: unknown theme \"drak\"; did you mean \"dark\"?",
        "3:9: ascii must be a string in quotes, not true or false.",
        "4:9: mouse must be true or false, not a string.",
        "5:18: retention_days must be 1 to 365 days.",
        "6:11: preview must be \"auto\", \"kitty\", \"sixel\", \"iterm2\", \"halfblocks\" or \"off\", not \"sixels\"; did you mean \"sixel\"?",
        "7:11: browser must be a list of words, such as [\"pass\", \"show\", \"kie\"]; no shell splits it.",
        "8:15: save_folder is empty.",
        "9:11: the API address must begin with https:// (http:// is for localhost, 127.0.0.1 and [::1] only).",
        "11:9: pace.young must be 2 to 3600 seconds.",
        "12:10: pace.steady must be a whole number of seconds, not a decimal number.",
        "13:8: pace.late must be 2 to 3600 seconds.",
        "14:1: unknown key \"fast\" in [pace].",
        "16:12: notifications.command must be a list of strings in quotes, not a whole number.",
        "18:1: unknown action \"open_reslut\"; did you mean \"open_result\"?",
        "19:8: \"gg\" is not a key; write keys like o, G, ctrl-d, alt-x, space, enter, shift-tab, pgup, f1.",
        "20:10: there is no place \"hepl\" for keys; did you mean \"help\"?",
        "22:11: \"a b\" is not a profile name: use 1 to 32 letters, digits, - and _.",
        "23:1: unknown key \"key\" in [profiles.a b]; did you mean \"key_file\"?",
        "25:1: unknown key \"key_comand\" in [profiles.studio]; did you mean \"key_command\"?",
        "26:1: unknown key \"theme\" in [profiles.studio]; it belongs at the top, before the first section.",
    ];
    let errors = parse_errors(text);
    for (error, expected) in errors.iter().zip(expected) {
        assert_eq!(error, expected);
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn toml_errors_are_reported_and_the_rest_is_read() {
    let errors = parse_errors(
        "thme = 1\ntheme = dark\nascii = \"no\"\n[pace\nyoung = 1\n[keys]\nnxt = \"x\"\n",
    );
    let positions: Vec<_> = errors
        .iter()
        .map(|error| error.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        positions,
        ["1:1:", "2:9:", "3:9:", "4:6:", "7:1:"],
        "{errors:#?}"
    );
    let twice = parse_errors("theme = \"dark\"\ntheme = \"light\"\n");
    assert!(twice[0].starts_with("2:1: "), "{twice:?}");
}

#[test]
fn a_key_bound_twice_names_both_actions() {
    assert_eq!(
        parse_errors("[keys]\nnext = \"n\"\nundo = [\"d\"]\n"),
        ["3:1: key \"d\" is bound to undo and remove in \"list\"."]
    );
}

#[test]
fn a_bom_and_crlf_are_accepted() {
    let config = parse("\u{feff}ascii = \"on\"\r\n[pace]\r\nyoung = 5\r\n");
    assert_eq!(config.settings.ascii, AsciiMode::On);
    assert_eq!(config.settings.poll_intervals.young, Duration::from_secs(5));
}

// Precedence.

const PROFILES_CONFIG: &str = r#"
    api_url = "https://one.example"
    key_file = "/keys/one"
    store = "/lists/one.db"
    [profiles.studio]
    api_url = "https://two.example"
    key_file = "/keys/two"
    store = "/lists/two.db"
    [profiles.bare]
    [profiles.keyless]
    api_url = "https://three.example"
"#;

#[test]
fn options_precede_profile_and_file() {
    let file = parse(PROFILES_CONFIG);
    assert_eq!(file.origin.host(), "one.example");
    assert_eq!(file.store, Some("/lists/one.db".into()));

    let studio = parse_for(PROFILES_CONFIG, &with_profile("studio")).unwrap();
    assert_eq!(studio.profile.as_deref(), Some("studio"));
    assert_eq!(studio.origin.host(), "two.example");
    assert_eq!(studio.key, Some(StoredKey::File("/keys/two".into())));
    assert_eq!(studio.store, Some("/lists/two.db".into()));

    let overrides = Overrides {
        store: Some("/else.db".into()),
        api_url: Some("https://two.example/".into()),
        ..with_profile("studio")
    };
    let studio = parse_for(PROFILES_CONFIG, &overrides).unwrap();
    assert_eq!(studio.store, Some("/else.db".into()));
    assert_eq!(studio.key, Some(StoredKey::File("/keys/two".into())));
}

#[test]
fn a_profile_inherits_the_key_for_the_same_origin_only() {
    let bare = parse_for(PROFILES_CONFIG, &with_profile("bare")).unwrap();
    assert_eq!(bare.origin.host(), "one.example");
    assert_eq!(bare.key, Some(StoredKey::File("/keys/one".into())));
    assert_eq!(bare.store, Some("/data/kietop/bare.db".into()));

    let keyless = parse_for(PROFILES_CONFIG, &with_profile("keyless")).unwrap();
    let other_origin = |belongs_to: &str, requested: &str| {
        let origin = |text| ApiOrigin::parse(text).unwrap();
        Some(StoredKey::OtherOrigin {
            belongs_to: origin(belongs_to),
            requested: origin(requested),
        })
    };
    assert_eq!(
        keyless.key,
        other_origin("https://one.example", "https://three.example")
    );
    let overrides = Overrides {
        api_url: Some("https://evil.example".into()),
        ..with_profile("studio")
    };
    let redirected = parse_for(PROFILES_CONFIG, &overrides).unwrap();
    assert_eq!(
        redirected.key,
        other_origin("https://two.example", "https://evil.example")
    );
}

#[test]
fn an_unknown_profile_suggests_the_nearest() {
    let error = |name| parse_for(PROFILES_CONFIG, &with_profile(name)).unwrap_err();
    assert_eq!(
        error("stduio"),
        "unknown profile \"stduio\"; did you mean \"studio\"?"
    );
    assert_eq!(
        error("x"),
        "unknown profile \"x\"; available: bare, keyless, studio."
    );
}

// The command line.

struct ConfigHome(tempfile::TempDir);

impl ConfigHome {
    fn new(config: Option<&str>) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        if let Some(text) = config {
            fs::create_dir_all(home.file().parent().unwrap()).unwrap();
            fs::write(home.file(), text).unwrap();
        }
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".config/kietop/config.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.0.path())
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        output_parts(&self.command(args).output().unwrap())
    }
}

fn output_parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[track_caller]
fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part} in {text}");
}

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

#[test]
fn config_prints_default_path_and_errors() {
    let home = ConfigHome::new(None);
    assert_eq!(
        home.run(&["config", "default"]),
        (0, DEFAULT_FILE.into(), String::new())
    );
    let (code, path, stderr) = home.run(&["config", "path"]);
    assert_eq!((code, path.trim_end()), (0, home.file().to_str().unwrap()));
    assert!(stderr.starts_with("Not found."), "{stderr}");
    assert_eq!(home.run(&["config", "check"]).0, 0);

    let home = ConfigHome::new(Some("thme = 1\n[pace]\nyoung = 0\n"));
    assert_contains(&home.run(&["config", "path"]).2, "The file exists.");
    let (code, out, err) = home.run(&["config", "check"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_contains(&err, "config.toml:1:1: unknown key \"thme\"");
    assert_contains(&err, "config.toml:3:9: pace.young must be");

    let good = ConfigHome::new(Some("ascii = \"on\"\n"));
    let (code, out, _) = good.run(&["config", "check"]);
    assert_eq!(code, 0);
    assert!(out.ends_with("config.toml: OK\n"), "{out}");
}

#[test]
fn a_broken_config_stops_commands_early() {
    let home = ConfigHome::new(Some("thme = 1\n"));
    for args in [vec!["list"], vec!["add", ID], vec!["show", ID]] {
        let (code, out, err) = home.run(&args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert_contains(&err, "unknown key \"thme\"");
    }
    assert!(!home.0.path().join(".local").exists());
    assert_eq!(home.run(&["config", "default"]).0, 0);
}

#[test]
fn an_explicit_config_file_must_exist() {
    let home = ConfigHome::new(None);
    let (code, _, err) = home.run(&["--config", "/nowhere/x.toml", "list"]);
    assert_eq!(code, 2);
    assert_contains(&err, "/nowhere/x.toml: cannot be read");
}

#[test]
fn the_working_directory_is_never_searched() {
    let home = ConfigHome::new(None);
    for name in ["config.toml", "kietop.toml", ".kietop.toml", ".env"] {
        fs::write(home.0.path().join(name), "thme = 1\nKIE_API_KEY=x\n").unwrap();
    }
    let (code, out, err) = home.run(&["list"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        !err.contains("thme") && !err.contains("KIE_API_KEY"),
        "{err}"
    );
}

#[test]
fn relative_base_folders_are_refused_early() {
    let home = ConfigHome::new(None);
    let here = home.0.path().join("here");
    for folder in [".config/kietop", "kietop", "rel/kietop"] {
        fs::create_dir_all(here.join(folder)).unwrap();
        fs::write(here.join(folder).join("config.toml"), "thme = 1\n").unwrap();
    }
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().count();
    for variable in [
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_VIDEOS_DIR",
        "TMPDIR",
    ] {
        for value in [".", "./", "rel", "~/x", "\"/tmp\""] {
            for args in [
                ["list", "--refresh"].as_slice(),
                &["add", ID],
                &["save", ID],
                &["open", ID],
                &["wait", "--timeout", "1s"],
                &["config", "path"],
                &["config", "check"],
                &["demo"],
                &[],
            ] {
                let mut command = home.command(args);
                let command = command.current_dir(&here).env(variable, value);
                let (code, out, err) = output_parts(&command.output().unwrap());
                let case = format!("{variable}={value} {args:?}: {err}");
                assert_eq!((code, out.as_str()), (2, ""), "{case}");
                let expected = format!("{variable} is not an absolute path: \"{value}\"");
                assert!(err.contains(&expected), "{case}");
            }
        }
    }
    assert_eq!((entries(&here), entries(&here.join("rel"))), (3, 1));

    let user_dirs = "XDG_VIDEOS_DIR=\"Videos\"\n";
    fs::create_dir_all(home.0.path().join(".config")).unwrap();
    fs::write(home.0.path().join(".config/user-dirs.dirs"), user_dirs).unwrap();
    let (code, _, err) = home.run(&["save", ID]);
    assert_eq!(code, 2);
    assert_contains(&err, "user-dirs.dirs is not an absolute path: \"Videos\"");
}

#[test]
fn a_program_path_may_contain_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("a browser");
    fs::write(&program, "").unwrap();
    let config = |path: &Path| {
        let text = format!("browser = '{}'", path.display());
        parse_for(&text, &Overrides::default())
    };

    assert_eq!(
        config(&program).unwrap().settings.browser,
        [program.to_str().unwrap()]
    );
    let error = config(&folder.path().join("no browser")).unwrap_err();
    assert_contains(&error, "browser must be a list of words");
}

#[test]
fn an_invalid_proxy_is_reported_before_sending() {
    let home = ConfigHome::new(None);
    assert_eq!(home.run(&["add", ID]).0, 0);
    for (variable, value) in [
        ("HTTPS_PROXY", "\"http://me:canary@127.0.0.1:9\""),
        ("http_proxy", "'http://127.0.0.1:9'"),
        ("ALL_PROXY", "http//127.0.0.1:9"),
        ("all_proxy", "socks5://127.0.0.1:9"),
        ("NO_PROXY", "\"localhost\""),
    ] {
        for args in [
            ["list", "--refresh"].as_slice(),
            &["show", ID, "--refresh"],
            &["wait", "--timeout", "5s"],
            &["save", ID],
        ] {
            let mut command = home.command(args);
            command
                .env(variable, value)
                .env("KIE_API_KEY", "canary-5d1f-0123")
                .env("KIETOP_API_URL", " 'https://kie.invalid'\n");
            let (code, _, err) = output_parts(&command.output().unwrap());
            assert_eq!(code, 2, "{variable}={value} {args:?}: {err}");
            assert!(err.contains(&format!("kietop: {variable} ")), "{err}");
            assert!(!err.contains("canary"), "{err}");
        }
    }
}

#[test]
fn paths_expand_home_and_variables() {
    for (option, variable, setting) in [
        (Some("~/lists/a.db"), None, None),
        (Some("$LISTS/a.db"), None, None),
        (None, Some("~/lists/a.db"), None),
        (None, Some("\"${LISTS}/a.db\"\r\n"), None),
        (None, None, Some("~/lists/a.db")),
        (None, None, Some("$LISTS/a.db")),
    ] {
        let setting = setting.map(|path| format!("store = '{path}'\n"));
        let home = ConfigHome::new(setting.as_deref());
        let option = option.map(|path| format!("--store={path}"));
        let mut command = home.command(&["add", ID]);
        command
            .args(option)
            .env("LISTS", home.0.path().join("lists"));
        if let Some(path) = variable {
            command.env("KIETOP_STORE", path);
        }
        let (code, out, err) = output_parts(&command.output().unwrap());
        assert_eq!((code, out), (0, format!("{ID} added\n")), "{err}");
        assert!(home.0.path().join("lists/a.db").exists(), "{variable:?}");
    }
    let home = ConfigHome::new(None);
    for (args, expected) in [
        (
            ["--store=~root/a.db", "list"].as_slice(),
            "--store (KIETOP_STORE): ~ works for your own home only",
        ),
        (
            &["--store=$NOPE/a.db", "list"],
            "--store (KIETOP_STORE): the variable NOPE is not set",
        ),
        (
            &["--config=~nobody/x", "list"],
            "--config (KIETOP_CONFIG): ~ works for",
        ),
        (
            &["--config=$NOPE", "config", "path"],
            "--config (KIETOP_CONFIG): the variable NOPE is not set",
        ),
        (
            &["save", ID, "--dir=${NOPE}/x"],
            "--dir: the variable NOPE is not set",
        ),
        (
            &["--store=/x/$KIE_API_KEY", "list"],
            "--store (KIETOP_STORE): the variable KIE_API_KEY is not set",
        ),
    ] {
        let mut command = home.command(args);
        let command = command.env("KIE_API_KEY", "canary-5d1f-0123");
        let (code, _, err) = output_parts(&command.output().unwrap());
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(
            err.contains(expected) && !err.contains("canary"),
            "{args:?}: {err}"
        );
    }
    assert!(!home.0.path().join("~root").exists());
    let home = ConfigHome::new(Some(
        "save_folder = \"$NOPE\"\nkey_command = [\"~root/key\"]\n",
    ));
    let (code, _, err) = home.run(&["list"]);
    assert_eq!(code, 2);
    for expected in [
        "1:15: save_folder: the variable NOPE is not set",
        "2:15: key_command: ~ works for your own home only",
    ] {
        assert_contains(&err, expected);
    }
}

#[test]
fn each_profile_has_its_own_list() {
    let home = ConfigHome::new(Some("[profiles.studio]\n"));
    assert_eq!(home.run(&["add", ID]).0, 0);
    let (code, out, err) = home.run(&["--profile", "studio", "list"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(
        err.contains("No list at") && err.contains("studio.db"),
        "{err}"
    );
    let mut command = home.command(&["add", ID]);
    let added = command.env("KIETOP_PROFILE", "studio").output();
    assert_eq!(output_parts(&added.unwrap()).1, format!("{ID} added\n"));
    assert!(home.0.path().join(".local/share/kietop/studio.db").exists());
    assert_eq!(home.run(&["--profile", "x", "list"]).0, 2);
}

#[tokio::test]
async fn a_key_command_reruns_when_its_key_is_refused() {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::header};
    let server = MockServer::start().await;
    let response = |code: u16| {
        ResponseTemplate::new(200).set_body_string(format!("{{\"code\":{code},\"msg\":\"no\"}}"))
    };
    for (key, code) in [("Bearer canary-old", 401), ("Bearer canary-new", 402)] {
        Mock::given(header("Authorization", key))
            .respond_with(response(code))
            .expect(1)
            .mount(&server)
            .await;
    }
    let home = ConfigHome::new(None);
    let key = home.0.path().join("key");
    let config = format!(
        "api_url = \"{}\"\nkey_command = [\"cat\", \"{}\"]\n",
        server.uri(),
        key.display()
    );
    fs::create_dir_all(home.file().parent().unwrap()).unwrap();
    fs::write(home.file(), config).unwrap();
    let overrides = Overrides {
        config: Some(home.file()),
        ..Overrides::default()
    };
    let config = Config::load(&overrides).unwrap();
    let source = kietop::adapters::kie::key_source::KeySource::Stored(config.key.unwrap());
    let limits = kietop::adapters::kie::RequestLimits::default();
    let client = kietop::adapters::kie::KieClient::new(config.origin, source, limits);
    let request = crate::support::poll_request(crate::support::id(ID));
    let poll = async || {
        let mut notes = kietop::domain::response_notes::ResponseNotes::default();
        let result = client.poll(&request, &mut notes).await;
        result.unwrap_err().kind()
    };

    assert_eq!(poll().await, "key_unread", "the file does not exist yet");
    fs::write(&key, "canary-old\nsecond line\n").unwrap();
    assert_eq!(poll().await, "unauthorized");
    fs::write(&key, "canary-new\n").unwrap();
    assert_eq!(poll().await, "out_of_credits");
}

#[test]
fn a_failing_key_command_is_reported_without_output() {
    let home = ConfigHome::new(Some(
        "key_command = [\"sh\", \"-c\", \"echo canary; echo canary >&2; exit 7\"]\n",
    ));
    home.run(&["add", ID]);
    let (code, out, err) = home.run(&["list", "--refresh"]);
    assert_eq!(code, 4);
    assert_contains(
        &err,
        "The API key cannot be read: key_command failed (exit status: 7)",
    );
    assert!(!format!("{out}{err}").contains("canary"), "{out}{err}");
}
