//! Frame extraction with ffmpeg: its arguments and limits, checks of its output, and its
//! termination.
//!
//! Scripts stand in for ffmpeg in `cargo test`. To test the real one, with files that it must
//! reject:
//!
//! ```text
//! cargo test --locked --test ffmpeg -- --ignored
//! ```
//!
//! This takes some seconds and needs `ffmpeg` on the PATH.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kietop::{
    adapters::{command::SearchPath, frames::Ffmpeg},
    domain::preview::PreviewError,
    ports::{FrameReader as _, VideoFrame},
};
use tempfile::TempDir;
use tokio::time;

use crate::support::rerun::{job, rerun_test};

const DEMO_VIDEO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/sea-input.mp4");

/// Returns an ffmpeg that is this shell script, and its folder.
fn fake_ffmpeg(script: &str) -> (TempDir, Ffmpeg) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ffmpeg");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ffmpeg = Ffmpeg::new(SearchPath::parse(folder.path().as_os_str()));
    (folder, ffmpeg)
}

/// Prints an image of one pixel.
const PIXEL_SCRIPT: &str = r"printf 'P6\n1 1\n255\nabc'";

async fn read_frame(ffmpeg: &Ffmpeg, file: impl AsRef<Path>) -> Result<VideoFrame, PreviewError> {
    ffmpeg
        .read_frame(file.as_ref(), Duration::from_secs(1))
        .await
}

/// Prints its limits, environment and arguments as pixels, the only output that is read.
const ECHO_ARGS_SCRIPT: &str = r#"
text="$(ulimit -t; ulimit -v; ulimit -f; ulimit -c; pwd; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | tr '\n' ' '; echo; ps -o pgid= -p $$ 2>/dev/null; echo; printf '%s|' "$@")   "
text="$(printf %.900s "$text")"
columns=$((${#text} / 3))
printf 'P6\n%d 1\n255\n' $columns
printf "%.$((columns * 3))s" "$text""#;

#[tokio::test]
async fn ffmpeg_gets_only_a_file_and_bounds() {
    let (_folder, ffmpeg) = fake_ffmpeg(ECHO_ARGS_SCRIPT);
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("-i http:.mp4");
    symlink(DEMO_VIDEO, &link).unwrap();

    let frame = read_frame(&ffmpeg, &link).await.unwrap();

    let output = String::from_utf8(frame.pixels().to_vec()).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..2], ["5", "524288"], "CPU seconds, kilobytes");
    assert_eq!(
        lines[2..5],
        ["0", "0", "/"],
        "no files, no core dump, root folder"
    );
    assert_eq!(
        lines[5].trim(),
        "LC_ALL=C",
        "no other environment variables"
    );
    let expected = format!(
        "-nostdin|-hide_banner|-loglevel|error|-protocol_whitelist|file|-f|mov|-max_pixels|33177600|-threads|1|\
         -ss|1.000|-i|file:{DEMO_VIDEO}|-map|0:v:0|-an|-sn|-dn|-frames:v|1|-filter_threads|1|-vf|\
         scale=w='min(480,iw)':h='min(480,ih)':force_original_aspect_ratio=decrease|-f|image2pipe|-c:v|ppm|pipe:1|"
    );
    assert_eq!(lines[7..].concat().trim(), expected);
}

#[tokio::test]
async fn only_complete_small_images_are_accepted() {
    let (_folder, ffmpeg) = fake_ffmpeg(PIXEL_SCRIPT);
    assert!(read_frame(&ffmpeg, DEMO_VIDEO).await.is_ok());
    for script in [
        &format!("{PIXEL_SCRIPT}; exit 1"),
        "true",
        r"printf 'P6\n1 1\n255\nab'",
        r"printf 'P6\n0 1\n255\n'",
        r"printf 'P6\n60000 60000\n255\nabc'",
        r"printf 'P6\n4096 4096\n65535\nabc'",
        r"printf 'P6\n99999999999999999999 1\n255\nabc'",
        "exec yes",
        r"printf '\211PNG\r\n\032\n'",
        "kill -9 $$",
    ] {
        let (_folder, ffmpeg) = fake_ffmpeg(script);
        let error = read_frame(&ffmpeg, DEMO_VIDEO).await.unwrap_err();
        assert_eq!(error, PreviewError::Unreadable, "{script}");
    }
}

#[tokio::test]
async fn foreign_files_are_never_passed_to_ffmpeg() {
    let (folder, ffmpeg) = fake_ffmpeg(PIXEL_SCRIPT);
    let folder = folder.path();
    for (name, text) in [
        (
            "hls.mp4",
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://127.0.0.1:9/a.ts",
        ),
        ("concat.mp4", "ffconcat version 1.0\nfile /etc/passwd\n"),
        ("mpd.mp4", "<?xml version=\"1.0\"?><MPD/>"),
        ("short.mp4", "\0\0\0"),
        ("empty.mp4", ""),
    ] {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        let error = read_frame(&ffmpeg, &file).await.unwrap_err();
        assert_eq!(error, PreviewError::Unreadable, "{name}");
    }
    for file in [
        "/dev/zero",
        "/",
        "/no/such/file",
        "http://127.0.0.1:9/a.mp4",
    ] {
        let error = read_frame(&ffmpeg, file).await.unwrap_err();
        assert_eq!(error, PreviewError::FileMissing, "{file}");
    }
}

#[tokio::test]
async fn ffmpeg_is_searched_in_absolute_paths_only() {
    let (folder, _) = fake_ffmpeg(PIXEL_SCRIPT);
    let absolute = folder.path().to_str().unwrap();
    let current = env::current_dir().unwrap();
    let to_root = "../".repeat(current.components().count());
    let relative = format!("{to_root}{}", absolute.trim_start_matches('/'));
    assert!(Path::new(&relative).join("ffmpeg").is_file());

    for (path, expected) in [
        (relative.clone(), Err(PreviewError::NoFfmpeg)),
        (String::new(), Err(PreviewError::NoFfmpeg)),
        ("/no/such".to_owned(), Err(PreviewError::NoFfmpeg)),
        (format!("{relative}:/no/such:{absolute}"), Ok(())),
    ] {
        let ffmpeg = Ffmpeg::new(SearchPath::parse(path.as_ref()));
        let result = read_frame(&ffmpeg, DEMO_VIDEO).await.map(|_| ());
        assert_eq!(result, expected, "{path:?}");
    }
    let program = folder.path().join("ffmpeg");
    fs::set_permissions(program, fs::Permissions::from_mode(0o644)).unwrap();
    let ffmpeg = Ffmpeg::new(SearchPath::parse(absolute.as_ref()));
    assert_eq!(
        read_frame(&ffmpeg, DEMO_VIDEO).await.unwrap_err(),
        PreviewError::NoFfmpeg
    );
}

/// Returns the processes with this text in their command line.
fn find_processes(mark: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(mark) {
            found.push(entry.path());
        }
    }
    found
}

/// Waits in real time until such processes exist, or until none does.
async fn wait_for_processes(mark: &str, expected: bool) {
    for _ in 0..1000 {
        if find_processes(mark).is_empty() != expected {
            return;
        }
        // Paused time does not advance while a blocking task runs.
        tokio::task::spawn_blocking(|| std::thread::park_timeout(Duration::from_millis(10)))
            .await
            .unwrap();
    }
    assert_eq!(!find_processes(mark).is_empty(), expected, "{mark}");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_ffmpeg_is_killed_with_its_children() {
    let mark = format!("31.{}", std::process::id());
    let (_folder, ffmpeg) = fake_ffmpeg(&format!("sleep {mark} & sleep {mark}"));

    let result = read_frame(&ffmpeg, DEMO_VIDEO).await;

    assert_eq!(result.unwrap_err(), PreviewError::TooSlow);
    wait_for_processes(&mark, false).await;
}

#[tokio::test]
async fn an_unneeded_ffmpeg_is_killed() {
    let mark = format!("32.{}", std::process::id());
    let (_folder, ffmpeg) = fake_ffmpeg(&format!("sleep {mark} & sleep {mark}"));

    tokio::select! {
        result = read_frame(&ffmpeg, DEMO_VIDEO) => assert!(result.is_err(), "the frame is read from a hanging ffmpeg"),
        () = wait_for_processes(&mark, true) => {}
    }

    wait_for_processes(&mark, false).await;
}

#[tokio::test]
async fn a_hanging_ffmpeg_dies_with_a_killed_parent() {
    const TEST: &str = "ffmpeg::a_hanging_ffmpeg_dies_with_a_killed_parent";
    if let Some(folder) = job() {
        let ffmpeg = Ffmpeg::new(SearchPath::parse(folder.as_ref()));
        loop {
            read_frame(&ffmpeg, DEMO_VIDEO).await.unwrap_err();
        }
    }
    let mark = format!("33.{}", std::process::id());
    let (folder, _) = fake_ffmpeg(&format!("sleep {mark} & sleep {mark}"));
    let mut program = rerun_test(TEST, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for_processes(&mark, true).await;

    program.kill().unwrap();
    program.wait().unwrap();

    wait_for_processes(&mark, false).await;
}

/// Encodes a video with the real ffmpeg.
fn encode_video(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-y"]);
    let status = ffmpeg
        .args(args)
        .arg(format!("file:{}", file.display()))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "ffmpeg on the PATH"
    );
    file
}

#[tokio::test]
#[ignore = "needs ffmpeg; see the head of this file"]
async fn the_real_ffmpeg_reads_only_videos() {
    let ffmpeg = Ffmpeg::new(SearchPath::from_env());
    let folder = tempfile::tempdir().unwrap();
    let encode = |name: &str, args: &[&str]| encode_video(folder.path(), name, args);
    let copy =
        |name, flags: &[&str]| encode(name, &[&["-i", DEMO_VIDEO, "-c", "copy"], flags].concat());
    let color = |name, source, flags: &[&str]| {
        encode(name, &[&["-f", "lavfi", "-i", source], flags].concat())
    };
    for file in [
        copy("plain.mp4", &[]),
        copy("-i.mp4", &["-movflags", "+faststart"]),
        copy("pieces %d.mp4", &["-movflags", "frag_keyframe+empty_moov"]),
        copy("concat:a|b.mp4", &[]),
    ] {
        let frame = read_frame(&ffmpeg, &file).await;
        assert_eq!(frame.unwrap().size(), (320, 180), "{file:?}");
    }
    let tall = color(
        "tall.mp4",
        "color=red:s=1080x1920:d=2:r=5",
        &["-pix_fmt", "yuv420p"],
    );
    assert_eq!(read_frame(&ffmpeg, &tall).await.unwrap().size(), (270, 480));
    let short = color(
        "short.mp4",
        "color=red:s=64x64:d=0.4:r=5",
        &["-pix_fmt", "yuv420p"],
    );
    assert_eq!(
        read_frame(&ffmpeg, &short).await.unwrap_err(),
        PreviewError::Unreadable
    );
    assert!(ffmpeg.read_frame(&short, Duration::ZERO).await.is_ok());

    let bomb = color(
        "bomb.mp4",
        "color=red:s=8000x8000:d=0.2:r=5",
        &["-c:v", "mpeg4"],
    );
    assert_eq!(
        ffmpeg.read_frame(&bomb, Duration::ZERO).await.unwrap_err(),
        PreviewError::Unreadable
    );
    // Files that begin like a video and continue with a playlist, or are broken.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let video = fs::read(DEMO_VIDEO).unwrap();
    let playlist = format!("    ftyp\n#EXTM3U\n#EXTINF:1\nhttp://{address}/a.ts\n");
    let concat = format!("    ftyp\nffconcat version 1.0\nfile http://{address}/\n");
    let noise = [b"    ftyp".as_slice(), &[0x55; 4000]].concat();
    for (name, bytes) in [
        ("list.mp4", playlist.as_bytes()),
        ("concat.mp4", concat.as_bytes()),
        ("half.mp4", &video[..900]),
        ("noise.mp4", &noise),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let error = read_frame(&ffmpeg, &file).await.unwrap_err();
        assert_eq!(error, PreviewError::Unreadable, "{name}");
    }
    assert!(listener.accept().is_err(), "no connection was opened");
    time::timeout(Duration::from_secs(1), wait_for_processes("pipe:1", false))
        .await
        .unwrap();
}
