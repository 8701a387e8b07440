//! A task's input beside its result: one page of our own, written to this disk and opened in the
//! browser.
//!
//! The page is `assets/compare.html`. What the server told stands in it as data that no markup can
//! come out of, and the page may load nothing but the videos it names. It must not know how videos
//! are saved.

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
    download::AllowedHosts,
};
use crate::{
    domain::{
        comparison::{Comparison, VideoSource},
        link::VideoUrl,
        task::TaskId,
    },
    ports::ComparisonViewer,
};

/// The page, with places for what is told.
const PAGE_TEMPLATE: &str = include_str!("../../assets/compare.html");

/// How our pages' names begin; nothing else in the folder is touched.
const FILE_PREFIX: &str = "before-after-";

/// How many pages stay: a browser may still show the last ones, and load them again.
const MAX_PAGES: usize = 16;

/// Writes pages into a folder of the user's own and opens them.
#[derive(Debug, Clone)]
pub struct ComparisonPages {
    folder: PathBuf,
    browser: Browser,
}

impl ComparisonPages {
    /// Returns a writer into that folder, which is made when it is not there.
    pub const fn new(folder: PathBuf, browser: Browser) -> Self {
        Self { folder, browser }
    }

    /// Writes the page and returns where it is. Fails when the folder or the file cannot be
    /// written.
    pub fn write(&self, comparison: &Comparison) -> io::Result<PathBuf> {
        create_private_folder(&self.folder)?;
        // A browser is handed a whole path, wherever it was started.
        let folder = self.folder.canonicalize()?;
        let path = folder.join(file_name(&comparison.task));
        let part = path.with_extension("part");
        // What lies there is the rest of an earlier try, or a link put in our way: neither is
        // written through.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        create_private_file(&part)?
            .write_all(render_page(comparison, self.browser.allowed_hosts())?.as_bytes())?;
        fs::rename(&part, &path)?;
        remove_old_pages(&folder, &path);
        Ok(path)
    }
}

impl ComparisonViewer for ComparisonPages {
    fn show_comparison(&self, comparison: &Comparison) -> Result<(), String> {
        let path = self.write(comparison).map_err(|error| {
            let folder = self.folder.display();
            format!("The page cannot be written into {folder}: {error}.")
        })?;
        let page = OwnFile::new(&path).ok_or("The page has no whole path.")?;
        self.browser.open_own_file(&page).map_err(|reason| {
            // The path first: a message line may be cut at its end.
            let path = path.display();
            format!("{path} cannot be shown: {reason}")
        })
    }
}

/// Returns the name of a task's page: its id as far as it is plain, and a number that keeps ids
/// apart.
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

/// What the page's script is told.
#[derive(Serialize)]
struct PageData<'a> {
    title: &'a str,
    prompt: Option<&'a str>,
    inputs: Vec<VideoChoice>,
    results: Vec<VideoChoice>,
}

/// One video of the page: its name in the chooser, and where it can be had, the best first.
#[derive(Serialize)]
struct VideoChoice {
    name: String,
    ways: Vec<String>,
}

impl VideoChoice {
    fn from_sources(clips: &[VideoSource], reach: AllowedHosts) -> Vec<Self> {
        let numbered = clips.iter().zip(1..);
        numbered
            .map(|(clip, number)| Self {
                name: format!("{number}: {}", clip.link.file_name()),
                ways: source_urls(clip, reach).map(String::from).collect(),
            })
            .collect()
    }
}

/// Returns where a video can be had: on this disk, then at the server, if that is no nearer than
/// `reach`.
fn source_urls(clip: &VideoSource, reach: AllowedHosts) -> impl Iterator<Item = Url> {
    let file = clip
        .file
        .as_ref()
        .filter(|file| file.is_file())
        .and_then(|file| Url::from_file_path(file).ok());
    let link = Some(&clip.link).filter(|link| reach.allows_in_browser(link));
    file.into_iter().chain(link.and_then(VideoUrl::to_url))
}

/// Returns the page of a comparison.
fn render_page(comparison: &Comparison, reach: AllowedHosts) -> io::Result<String> {
    let told = PageData {
        title: &comparison.title,
        prompt: comparison.prompt.as_deref(),
        inputs: VideoChoice::from_sources(&comparison.inputs, reach),
        results: VideoChoice::from_sources(&comparison.results, reach),
    };
    let told = escape_json(&serde_json::to_string(&told)?);
    let clips = comparison.inputs.iter().chain(&comparison.results);
    let mut media: Vec<_> = clips
        .flat_map(|clip| source_urls(clip, reach))
        .map(|url| csp_source(&url))
        .collect();
    media.sort();
    media.dedup();
    let nonce = format!(
        "{:016x}{:016x}",
        RandomState::new().hash_one(0),
        RandomState::new().hash_one(1)
    );
    // What is told goes in last: a title that spells one of the places stays a title.
    Ok(PAGE_TEMPLATE
        .replace("@NONCE@", &nonce)
        .replace("@MEDIA@", &media.join(" "))
        .replacen("@TOLD@", &told, 1))
}

/// Writes JSON so that nothing in it can end the element it stands in, or a line of script.
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

/// Returns the source in the content security policy that lets the page load this video.
///
/// The link may redirect, so this is as narrow as the policy's language allows: any https link, any
/// file on this disk, or the same host over http. The host of a [`VideoUrl`] cannot end the source.
fn csp_source(url: &Url) -> String {
    match (url.scheme(), url.host()) {
        ("http", Some(host @ (Host::Domain(_) | Host::Ipv4(_)))) => format!("http://{host}:*"),
        // There is no word for an IPv6 address.
        (scheme, _) => format!("{scheme}:"),
    }
}

/// Makes a folder that is its owner's alone; one that is there already must be ours to write, and
/// ours only.
fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let found = fs::metadata(folder)?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write there"));
    }
    Ok(())
}

/// Creates a file that is its owner's alone, and was not there.
fn create_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes the oldest pages. What cannot be removed is left to the next time.
fn remove_old_pages(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut pages: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(FILE_PREFIX))
        .filter(|entry| entry.path() != newest)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    pages.sort();
    let surplus = (pages.len() + 1).saturating_sub(MAX_PAGES);
    for (_, path) in pages.iter().take(surplus) {
        if let Err(error) = fs::remove_file(path) {
            tracing::debug!(%error, "an old page stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(link: &str) -> VideoSource {
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
            inputs: vec![clip(
                "https://in.example/a&quot;b'c&amp.mp4?x=</script>&y=1",
            )],
            results: vec![clip("http://127.0.0.1:8080/r;1,2.mp4")],
        }
    }

    /// Returns what stands between two texts.
    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        let (_, rest) = text.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn page_data_is_escaped() {
        let page = render_page(&comparison(), AllowedHosts::PublicAndLoopback).unwrap();

        let told = between(&page, "type=\"application/json\">", "</script>");
        assert!(!told.contains(['<', '>', '&', '\u{2028}']));
        let read: serde_json::Value = serde_json::from_str(told).unwrap();
        assert_eq!(read["title"], comparison().title);
        assert_eq!(read["prompt"], *comparison().prompt.unwrap());
        let link = comparison().inputs[0].link.as_str().to_owned();
        assert_eq!(read["inputs"][0]["ways"][0], link);
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
            "nothing of a link stands in an attribute"
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
        // The name in the chooser may stay; there is nowhere to load it from.
        assert!(!page.contains("127.0.0.1"), "{page}");
    }

    #[test]
    fn a_saved_file_is_preferred_to_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a #1?.mp4");
        let mut saved = clip("https://[::1]/a.mp4");
        saved.file = Some(file.clone());

        assert_eq!(
            source_urls(&saved, AllowedHosts::PublicAndLoopback).count(),
            1
        );
        fs::write(&file, "video").unwrap();
        let ways: Vec<_> = source_urls(&saved, AllowedHosts::PublicAndLoopback).collect();
        assert!(ways[0].as_str().ends_with("/a%20%231%3F.mp4"));
        assert_eq!(csp_source(&ways[0]), "file:");
        assert_eq!(csp_source(&ways[1]), "https:");
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

        assert!(reason.ends_with("others may write there."), "{reason}");
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
