//! Frames out of videos: what ffmpeg is given, what is believed of its answer, and how it ends.
//!
//! In `cargo test` its part is played by scripts. The real one, and what it must refuse:
//!
//! ```text
//! cargo test --locked --test frames -- --ignored
//! ```
//!
//! That takes some seconds, needs `ffmpeg` on the PATH, and fails without it.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kietop::{
    adapters::{frames::Ffmpeg, helper::Programs},
    domain::picture::PictureError,
    ports::{FrameReader as _, Still},
};
use tempfile::TempDir;
use tokio::time;

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/sea-input.mp4");

/// Makes a machine whose ffmpeg is this script.
fn machine(script: &str) -> (TempDir, Ffmpeg) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ffmpeg");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ffmpeg = Ffmpeg::among(Programs::within(folder.path().as_os_str()));
    (folder, ffmpeg)
}

async fn frame(ffmpeg: &Ffmpeg, file: impl AsRef<Path>) -> Result<Still, PictureError> {
    ffmpeg.frame(file.as_ref(), Duration::from_secs(1)).await
}

/// Tells its answer as pixels: the only way out that it has.
const TELLS: &str = r#"
text="$(ulimit -t; ulimit -v; ulimit -f; ulimit -c; pwd; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | tr '\n' ' '; echo; ps -o pgid= -p $$ 2>/dev/null; echo; printf '%s|' "$@")   "
text="$(printf %.900s "$text")"
columns=$((${#text} / 3))
printf 'P6\n%d 1\n255\n' $columns
printf "%.$((columns * 3))s" "$text""#;

#[tokio::test]
async fn ffmpeg_gets_a_file_bounds_and_nothing_else() {
    let (_machine, ffmpeg) = machine(TELLS);
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("-i http:.mp4");
    symlink(DEMO, &link).unwrap();

    let still = frame(&ffmpeg, &link).await.unwrap();

    let told = String::from_utf8(still.pixels().to_vec()).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[..2], ["5", "524288"], "processor seconds, kilobytes");
    assert_eq!(lines[2..5], ["0", "0", "/"], "no file, no core, nowhere");
    assert_eq!(lines[5].trim(), "LC_ALL=C", "no environment");
    let expected = format!(
        "-nostdin|-hide_banner|-loglevel|error|-protocol_whitelist|file|-f|mov|-max_pixels|33177600|-threads|1|\
         -ss|1.000|-i|file:{DEMO}|-map|0:v:0|-an|-sn|-dn|-frames:v|1|-filter_threads|1|-vf|\
         scale=w='min(480,iw)':h='min(480,ih)':force_original_aspect_ratio=decrease|-f|image2pipe|-c:v|ppm|pipe:1|"
    );
    assert_eq!(lines[7..].concat().trim(), expected);
}

#[tokio::test]
async fn only_a_whole_small_pixel_map_of_a_good_end_is_believed() {
    let pixel = r"printf 'P6\n1 1\n255\nabc'";
    for (script, expected) in [
        (pixel.to_owned(), Ok(())),
        (format!("{pixel}; exit 1"), Err(PictureError::Refused)),
        ("true".to_owned(), Err(PictureError::Refused)),
        (
            r"printf 'P6\n1 1\n255\nab'".to_owned(),
            Err(PictureError::Refused),
        ),
        (
            r"printf 'P6\n0 1\n255\n'".to_owned(),
            Err(PictureError::Refused),
        ),
        (
            r"printf 'P6\n60000 60000\n255\nabc'".to_owned(),
            Err(PictureError::Refused),
        ),
        (
            r"printf 'P6\n4096 4096\n65535\nabc'".to_owned(),
            Err(PictureError::Refused),
        ),
        (
            r"printf 'P6\n99999999999999999999 1\n255\nabc'".to_owned(),
            Err(PictureError::Refused),
        ),
        ("exec yes".to_owned(), Err(PictureError::Refused)),
        (
            r"printf '\211PNG\r\n\032\n'".to_owned(),
            Err(PictureError::Refused),
        ),
        ("kill -9 $$".to_owned(), Err(PictureError::Refused)),
    ] {
        let (_machine, ffmpeg) = machine(&script);
        let outcome = frame(&ffmpeg, DEMO).await.map(|_| ());
        assert_eq!(outcome, expected, "{script}");
    }
}

#[tokio::test]
async fn what_is_no_file_of_ours_never_gets_as_far() {
    let (machine, ffmpeg) = machine("printf 'P6\\n1 1\\n255\\nabc'");
    let folder = machine.path();
    let refused = PictureError::Refused;
    for (name, text) in [
        (
            "hls.mp4",
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\nhttp://127.0.0.1:9/a.ts\n",
        ),
        ("concat.mp4", "ffconcat version 1.0\nfile /etc/passwd\n"),
        ("mpd.mp4", "<?xml version=\"1.0\"?><MPD/>"),
        ("short.mp4", "\0\0\0"),
        ("empty.mp4", ""),
    ] {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        assert_eq!(frame(&ffmpeg, &file).await.unwrap_err(), refused, "{name}");
    }
    for file in [
        "/dev/zero",
        "/",
        "/no/such/file",
        "http://127.0.0.1:9/a.mp4",
    ] {
        let error = frame(&ffmpeg, file).await.unwrap_err();
        assert_eq!(error, PictureError::NoFile, "{file}");
    }
}

#[tokio::test]
async fn ffmpeg_is_looked_for_at_whole_paths_only() {
    let (machine, _) = machine("printf 'P6\\n1 1\\n255\\nabc'");
    let whole = machine.path().to_str().unwrap();
    let here = env::current_dir().unwrap();
    let up = "../".repeat(here.components().count());
    let relative = format!("{up}{}", whole.trim_start_matches('/'));
    assert!(Path::new(&relative).join("ffmpeg").is_file());

    for (path, expected) in [
        (relative.clone(), Err(PictureError::NoFfmpeg)),
        (String::new(), Err(PictureError::NoFfmpeg)),
        ("/no/such".to_owned(), Err(PictureError::NoFfmpeg)),
        (format!("{relative}:/no/such:{whole}"), Ok(())),
    ] {
        let ffmpeg = Ffmpeg::among(Programs::within(path.as_ref()));
        assert_eq!(frame(&ffmpeg, DEMO).await.map(|_| ()), expected, "{path:?}");
    }
    fs::set_permissions(
        machine.path().join("ffmpeg"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let ffmpeg = Ffmpeg::among(Programs::within(whole.as_ref()));
    assert_eq!(
        frame(&ffmpeg, DEMO).await.unwrap_err(),
        PictureError::NoFfmpeg
    );
}

/// Returns the processes that have this in their command line.
fn processes(mark: &str) -> Vec<PathBuf> {
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

/// Waits on the machine's own time until as many processes are there, or none.
async fn settled(mark: &str, is_there: bool) {
    for _ in 0..1000 {
        if processes(mark).is_empty() != is_there {
            return;
        }
        // The tests' time stands still while this thread sleeps.
        tokio::task::spawn_blocking(|| std::thread::park_timeout(Duration::from_millis(10)))
            .await
            .unwrap();
    }
    assert_eq!(is_there, !processes(mark).is_empty(), "{mark}");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_given_up_and_dies_with_all_it_started() {
    let mark = format!("31.{}", std::process::id());
    let (_machine, ffmpeg) = machine(&format!("sleep {mark} & sleep {mark}"));

    let outcome = frame(&ffmpeg, DEMO).await;

    assert_eq!(outcome.unwrap_err(), PictureError::TooSlow);
    settled(&mark, false).await;
}

#[tokio::test]
async fn one_whose_answer_nobody_wants_dies() {
    let mark = format!("32.{}", std::process::id());
    let (_machine, ffmpeg) = machine(&format!("sleep {mark} & sleep {mark}"));

    tokio::select! {
        outcome = frame(&ffmpeg, DEMO) => assert!(outcome.is_err(), "it hangs"),
        () = settled(&mark, true) => {}
    }

    settled(&mark, false).await;
}

#[tokio::test]
async fn one_that_hangs_dies_with_a_program_that_is_killed() {
    const INNER: &str = "KIETOP_TEST_HUNG_FFMPEG";
    if let Ok(folder) = env::var(INNER) {
        let ffmpeg = Ffmpeg::among(Programs::within(folder.as_ref()));
        loop {
            frame(&ffmpeg, DEMO).await.unwrap_err();
        }
    }
    let mark = format!("33.{}", std::process::id());
    let (machine, _) = machine(&format!("sleep {mark} & sleep {mark}"));
    let mut program = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "one_that_hangs_dies_with_a_program_that_is_killed",
        ])
        .env(INNER, machine.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    settled(&mark, true).await;

    program.kill().unwrap();
    program.wait().unwrap();

    settled(&mark, false).await;
}

/// Makes a video with the real ffmpeg.
fn made(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-y"]);
    let status = ffmpeg
        .args(arguments)
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
async fn the_real_ffmpeg_reads_videos_and_refuses_everything_else() {
    let ffmpeg = Ffmpeg::among(Programs::of_path());
    let folder = tempfile::tempdir().unwrap();
    let copied = |name: &str, flags: &[&str]| {
        made(
            folder.path(),
            name,
            &[&["-i", DEMO, "-c", "copy"], flags].concat(),
        )
    };
    for file in [
        copied("plain.mp4", &[]),
        copied("-i.mp4", &["-movflags", "+faststart"]),
        copied("pieces %d.mp4", &["-movflags", "frag_keyframe+empty_moov"]),
        copied("concat:a|b.mp4", &[]),
    ] {
        let still = frame(&ffmpeg, &file).await;
        assert_eq!(still.unwrap().size(), (320, 180), "{file:?}");
    }
    let tall = made(
        folder.path(),
        "tall.mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            "color=red:s=1080x1920:d=2:r=5",
            "-pix_fmt",
            "yuv420p",
        ],
    );
    assert_eq!(frame(&ffmpeg, &tall).await.unwrap().size(), (270, 480));
    let short = made(
        folder.path(),
        "short.mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            "color=red:s=64x64:d=0.4:r=5",
            "-pix_fmt",
            "yuv420p",
        ],
    );
    assert_eq!(
        frame(&ffmpeg, &short).await.unwrap_err(),
        PictureError::Refused
    );
    assert!(ffmpeg.frame(&short, Duration::ZERO).await.is_ok());

    let bomb = made(
        folder.path(),
        "bomb.mp4",
        &[
            "-f",
            "lavfi",
            "-i",
            "color=red:s=8000x8000:d=0.2:r=5",
            "-c:v",
            "mpeg4",
        ],
    );
    assert_eq!(
        ffmpeg.frame(&bomb, Duration::ZERO).await.unwrap_err(),
        PictureError::Refused
    );
    // A beginning like a video's, and then a list of what to fetch.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let whole = fs::read(DEMO).unwrap();
    for (name, bytes) in [
        (
            "list.mp4",
            format!("    ftyp\n#EXTM3U\n#EXTINF:1\nhttp://{address}/a.ts\n").into_bytes(),
        ),
        (
            "concat.mp4",
            format!("    ftyp\nffconcat version 1.0\nfile http://{address}/\n").into_bytes(),
        ),
        ("half.mp4", whole.iter().copied().take(900).collect()),
        (
            "noise.mp4",
            [b"    ftyp".as_slice(), &[0x55; 4000]].concat(),
        ),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        assert_eq!(
            frame(&ffmpeg, &file).await.unwrap_err(),
            PictureError::Refused,
            "{name}"
        );
    }
    assert!(listener.accept().is_err(), "nothing was fetched");
    time::timeout(Duration::from_secs(1), settled("pipe:1", false))
        .await
        .unwrap();
}
