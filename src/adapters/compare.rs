//! Comparison pages: a task's input beside its result, as an HTML file opened in the browser.
//!
//! The template is `assets/compare.html`. Texts of the server are embedded as escaped JSON, and the
//! page may load only the videos it names.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use url::{Host, Url};

use super::{
    desktop::{Browser, OwnFile},
    http::allowed_hosts::AllowedHosts,
    pruning::remove_oldest,
};
use crate::{
    domain::{
        comparison::{Comparison, VideoSource},
        link::VideoUrl,
        task::TaskId,
    },
    ports::ComparisonViewer,
};

/// The page, with placeholders for its data.
const PAGE_TEMPLATE: &str = include_str!("../../assets/compare.html");

/// The prefix of the pages' file names; other files in the folder are never touched.
const FILE_PREFIX: &str = "before-after-";

/// The number of pages kept: a browser may still show the last ones and reload them.
const MAX_PAGES: usize = 16;

/// Writes pages to a private folder and opens them.
#[derive(Debug, Clone)]
pub struct ComparisonPages {
    folder: PathBuf,
    browser: Browser,
}

impl ComparisonPages {
    /// The folder is created when the first page is written.
    pub const fn new(folder: PathBuf, browser: Browser) -> Self {
        Self { folder, browser }
    }

    /// Writes the page and returns its path.
    pub fn write(&self, comparison: &Comparison) -> io::Result<PathBuf> {
        create_private_folder(&self.folder)?;
        // The browser needs an absolute path.
        let folder = self.folder.canonicalize()?;
        let path = folder.join(file_name(&comparison.task));
        let temporary = path.with_extension("part");
        // The rest of an earlier attempt, or a symbolic link: never write through it.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        create_private_file(&temporary)?
            .write_all(render_page(comparison, self.browser.allowed_hosts())?.as_bytes())?;
        fs::rename(&temporary, &path)?;
        let is_page = |name: &str| name.starts_with(FILE_PREFIX);
        if let Err(error) = remove_oldest(&folder, &path, MAX_PAGES, is_page) {
            // Retried with the next page.
            tracing::debug!(%error, "cannot remove old pages");
        }
        Ok(path)
    }
}

impl ComparisonViewer for ComparisonPages {
    fn show_comparison(&self, comparison: &Comparison) -> Result<(), String> {
        let path = self.write(comparison).map_err(|error| {
            let folder = self.folder.display();
            format!("Cannot write the comparison to {folder}: {error}.")
        })?;
        let page = OwnFile::new(&path).ok_or("The comparison has no absolute path.")?;
        self.browser.open_own_file(&page).map_err(|reason| {
            // The reason first: the message line may cut the end.
            let path = path.display();
            format!("{reason} The comparison is in {path}")
        })
    }
}

/// Returns the file name of a task's page: the alphanumeric start of its id, and a hash that keeps
/// ids apart.
fn file_name(task: &TaskId) -> String {
    let plain: String = task
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    let mut hasher = DefaultHasher::new();
    task.as_str().hash(&mut hasher);
    format!("{FILE_PREFIX}{plain}-{:016x}.html", hasher.finish())
}

/// The data embedded in the page.
#[derive(Serialize)]
struct PageData<'a> {
    title: &'a str,
    prompt: Option<&'a str>,
    inputs: Vec<VideoChoice>,
    results: Vec<VideoChoice>,
}

/// One video: its name in the chooser, and its URLs, best first.
#[derive(Serialize)]
struct VideoChoice {
    name: String,
    urls: Vec<String>,
}

impl VideoChoice {
    fn from_sources(videos: &[VideoSource], hosts: AllowedHosts) -> Vec<Self> {
        let numbered = videos.iter().zip(1..);
        numbered
            .map(|(video, number)| Self {
                name: format!("{number}: {}", video.link.file_name()),
                urls: source_urls(video, hosts).map(String::from).collect(),
            })
            .collect()
    }
}

/// Returns the URLs of a video: its file on disk, then its link, if the host is allowed.
fn source_urls(video: &VideoSource, hosts: AllowedHosts) -> impl Iterator<Item = Url> {
    let file = video
        .file
        .as_ref()
        .filter(|file| file.is_file())
        .and_then(|file| Url::from_file_path(file).ok());
    let link = Some(&video.link).filter(|link| hosts.allows_in_browser(link));
    file.into_iter().chain(link.and_then(VideoUrl::to_url))
}

fn render_page(comparison: &Comparison, hosts: AllowedHosts) -> io::Result<String> {
    let data = PageData {
        title: &comparison.title,
        prompt: comparison.prompt.as_deref(),
        inputs: VideoChoice::from_sources(&comparison.inputs, hosts),
        results: VideoChoice::from_sources(&comparison.results, hosts),
    };
    let data = escape_json(&serde_json::to_string(&data)?);
    let videos = comparison.inputs.iter().chain(&comparison.results);
    let mut media: Vec<_> = videos
        .flat_map(|video| source_urls(video, hosts))
        .map(|url| csp_source(&url))
        .collect();
    media.sort();
    media.dedup();
    let nonce = format!(
        "{:016x}{:016x}",
        RandomState::new().hash_one(0),
        RandomState::new().hash_one(1)
    );
    // The data last: a title may contain a placeholder.
    Ok(PAGE_TEMPLATE
        .replace("@NONCE@", &nonce)
        .replace("@MEDIA@", &media.join(" "))
        .replacen("@DATA@", &data, 1))
}

/// Escapes JSON so that nothing in it can end its element or a line of script.
fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(safe, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Returns the content security policy source that allows this video.
///
/// The link may redirect, so this is as narrow as the syntax of policies allows: any https link,
/// any local file, or the same host over http. The host of a [`VideoUrl`] cannot end the source.
fn csp_source(url: &Url) -> String {
    match (url.scheme(), url.host()) {
        ("http", Some(host @ (Host::Domain(_) | Host::Ipv4(_)))) => format!("http://{host}:*"),
        // A policy cannot contain an IPv6 address.
        (scheme, _) => format!("{scheme}:"),
    }
}

/// Creates a private folder; an existing one must be owned and writable by this user only.
fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let meta = fs::metadata(folder)?;
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || meta.mode() & 0o022 != 0 {
        return Err(io::Error::other("other users can write to it"));
    }
    Ok(())
}

/// Creates a new private file; fails if the path exists.
fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(link: &str) -> VideoSource {
        VideoSource {
            link: VideoUrl::parse(link).unwrap(),
            file: None,
        }
    }

    fn comparison() -> Comparison {
        Comparison {
            task: TaskId::parse("../../a\u{430}b").unwrap(),
            title: "</script><script>alert(1)</script>".into(),
            prompt: Some("@NONCE@ <!-- & \u{2028} ' \" \\".into()),
            inputs: vec![video(
                "https://in.example/a&quot;b'c&amp.mp4?x=</script>&y=1",
            )],
            results: vec![video("http://127.0.0.1:8080/r;1,2.mp4")],
        }
    }

    /// Returns the text between two others.
    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        let (_, rest) = text.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn page_data_is_escaped() {
        let page = render_page(&comparison(), AllowedHosts::PublicAndLoopback).unwrap();

        let json = between(&page, "type=\"application/json\">", "</script>");
        assert!(!json.contains(['<', '>', '&', '\u{2028}']));
        let data: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(data["title"], comparison().title);
        assert_eq!(data["prompt"], *comparison().prompt.unwrap());
        let link = comparison().inputs[0].link.as_str().to_owned();
        assert_eq!(data["inputs"][0]["urls"][0], link);
        assert_eq!(page.matches("</script>").count(), 2, "the page's own");
    }

    #[test]
    fn page_csp_allows_only_its_videos() {
        let first = render_page(&comparison(), AllowedHosts::PublicAndLoopback).unwrap();
        let policy = between(&first, "Content-Security-Policy\" content=\"", "\"");
        let nonce = between(policy, "'nonce-", "'");

        assert_eq!(nonce.len(), 32);
        assert!(
            !policy.contains('&'),
            "an attribute contains a part of a link"
        );
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
                 media-src http://127.0.0.1:* https:; \
                 base-uri 'none'; form-action 'none'"
            )
        );
        assert_ne!(
            nonce,
            between(
                &render_page(&comparison(), AllowedHosts::PublicAndLoopback).unwrap(),
                "'nonce-",
                "'"
            )
        );
    }

    // F67
    #[test]
    fn loopback_links_need_a_loopback_api() {
        let page = render_page(&comparison(), AllowedHosts::PublicOnly).unwrap();

        assert!(page.contains("https://in.example/a"));
        // The name in the chooser may stay; there is no URL to load.
        assert!(!page.contains("127.0.0.1"), "{page}");
    }

    #[test]
    fn a_saved_file_is_preferred_to_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a #1?.mp4");
        let mut saved = video("https://[::1]/a.mp4");
        saved.file = Some(file.clone());

        assert_eq!(
            source_urls(&saved, AllowedHosts::PublicAndLoopback).count(),
            1
        );
        fs::write(&file, "video").unwrap();
        let urls: Vec<_> = source_urls(&saved, AllowedHosts::PublicAndLoopback).collect();
        assert!(urls[0].as_str().ends_with("/a%20%231%3F.mp4"));
        assert_eq!(csp_source(&urls[0]), "file:");
        assert_eq!(csp_source(&urls[1]), "https:");
        let own = Url::parse("http://[::1]:8080/a.mp4").unwrap();
        assert_eq!(csp_source(&own), "http:");
    }

    #[test]
    fn pages_are_private_and_pruned() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("kietop");
        let pages = ComparisonPages::new(
            folder.clone(),
            Browser::new(Vec::new(), AllowedHosts::PublicOnly),
        );
        let write = |id: &str| {
            let task = TaskId::parse(id).unwrap();
            let comparison = Comparison {
                task,
                ..comparison()
            };
            pages.write(&comparison).unwrap()
        };
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

        let page = write("../../etc/x");
        assert_eq!(page.parent().unwrap(), folder.canonicalize().unwrap());
        assert_eq!((mode(&folder), mode(&page)), (0o700, 0o600));
        assert_ne!(write("a/b"), write("a-b"), "ids are kept apart");
        assert_eq!(write("a/b"), write("a/b"), "one page a task");

        fs::write(folder.join("notes.txt"), "mine").unwrap();
        for number in 0..40 {
            assert!(write(&format!("task{number}")).is_file());
        }
        let left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), MAX_PAGES + 1, "{left:?}");
        assert!(left.contains(&"notes.txt".into()));
    }

    #[test]
    fn a_folder_writable_by_others_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let pages = ComparisonPages::new(
            home.path().to_owned(),
            Browser::new(Vec::new(), AllowedHosts::PublicOnly),
        );

        let reason = pages.show_comparison(&comparison()).unwrap_err();

        assert!(reason.ends_with("other users can write to it."), "{reason}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn page_symlinks_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let victim = home.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let pages = ComparisonPages::new(
            home.path().to_owned(),
            Browser::new(Vec::new(), AllowedHosts::PublicOnly),
        );
        let page = pages.write(&comparison()).unwrap();
        for name in [page.clone(), page.with_extension("part")] {
            fs::remove_file(&name).unwrap_or_default();
            std::os::unix::fs::symlink(&victim, &name).unwrap();
        }

        let again = pages.write(&comparison()).unwrap();

        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(fs::symlink_metadata(again).unwrap().is_file());
    }
}
