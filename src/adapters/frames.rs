//! Video frames, extracted by an `ffmpeg` that is not trusted.
//!
//! It gets a local file, never a link: a playlist disguised as a video would make it download. It
//! may read files only, and only as MP4. It runs in its own process group, with limits on memory,
//! time and output and an empty environment, and is killed when its result is no longer needed. Its
//! output is decoded as a plain pixel map with separate limits.

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Cursor, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use image::{ImageFormat, ImageReader, Limits};
use tokio::{io::AsyncReadExt as _, process::Child, task, time};

use super::{
    command::{ProcessGroup, SearchPath},
    regular_file::{self, Symlinks},
};
use crate::{
    domain::preview::PreviewError,
    ports::{BoxFuture, FrameReader, VideoFrame},
};

/// The longest run of ffmpeg.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest side of a frame, in pixels.
const MAX_SIDE_LEN: u32 = 480;

/// The maximum output: a frame of that size with three bytes a pixel, and its header.
const MAX_OUTPUT_LEN: u64 = 480 * 480 * 3 + 64;

/// The maximum memory of the decoder.
const MAX_DECODER_BYTES: u64 = 64 * 1024 * 1024;

/// The longest side that the decoder accepts, in pixels.
const MAX_DECODER_SIDE: u32 = 4096;

/// Runs ffmpeg with limits: 5 s of CPU time, 512 MB of memory, no files written, no core dump. A
/// shell sets them, because safe Rust cannot run code between fork and exec; the script is
/// constant.
///
/// Standard input is a pipe that kietop keeps open and never writes to. When kietop exits, for
/// whatever reason, the pipe closes and a watcher kills the process group: a hung ffmpeg uses no
/// CPU time, so the limits would not end it.
const LIMITED_RUN_SCRIPT: &str = concat!(
    "ulimit -t 5 && ulimit -f 0 && ulimit -c 0 || exit 1; ",
    r#"case "$1" in linux) ulimit -v 524288 || exit 1;; esac; shift; "#,
    "exec 3<&0 </dev/null; ",
    "{ read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & watcher=$!; ",
    r#""$0" "$@" 3<&-; status=$?; "#,
    "kill $watcher; wait $watcher; exit $status",
);

/// A frame reader that runs ffmpeg.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    search_path: SearchPath,
}

impl Ffmpeg {
    /// ffmpeg is looked up for each frame, because it may be installed meanwhile.
    pub const fn new(search_path: SearchPath) -> Self {
        Self { search_path }
    }

    async fn extract_frame(&self, file: &Path, at: Duration) -> Result<VideoFrame, PreviewError> {
        let program = self
            .search_path
            .find("ffmpeg")
            .ok_or(PreviewError::NoFfmpeg)?;
        let file = file.to_owned();
        let checked = task::spawn_blocking(move || check_video_file(&file)).await;
        let file = checked.map_err(|_panic| PreviewError::Panicked)??;
        let group = ProcessGroup::spawn(ffmpeg_command(&program, &file, at));
        let mut group = group.map_err(|error| {
            tracing::warn!(%error, "ffmpeg cannot be started");
            PreviewError::Panicked
        })?;
        let output = time::timeout(CALL_TIMEOUT, read_output(&mut group.child)).await;
        let output = output.map_err(|_elapsed| PreviewError::TooSlow)?;
        let bytes = output.map_err(|error| {
            tracing::debug!(%error, "cannot read the output of ffmpeg");
            PreviewError::Panicked
        })?;
        task::spawn_blocking(move || decode_frame(&bytes))
            .await
            .map_err(|_panic| PreviewError::Unreadable)?
    }
}

impl FrameReader for Ffmpeg {
    fn read_frame<'a>(
        &'a self,
        file: &'a Path,
        at: Duration,
    ) -> BoxFuture<'a, Result<VideoFrame, PreviewError>> {
        Box::pin(self.extract_frame(file, at))
    }
}

/// Returns the output of a successful run; empty if it failed or wrote too much.
async fn read_output(child: &mut Child) -> io::Result<Vec<u8>> {
    // The pipe that the watcher reads: open until ffmpeg's result is known. `wait` would close it.
    let _watcher_pipe = child.stdin.take();
    let mut bytes = Vec::new();
    if let Some(out) = &mut child.stdout {
        out.take(MAX_OUTPUT_LEN + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_OUTPUT_LEN {
        return Ok(Vec::new());
    }
    let status = child.wait().await?;
    Ok(if status.success() { bytes } else { Vec::new() })
}

/// Returns the absolute path of a regular file that starts like an MP4.
fn check_video_file(file: &Path) -> Result<PathBuf, PreviewError> {
    let missing = |error| {
        tracing::debug!(%error, "cannot open a video");
        PreviewError::FileMissing
    };
    let path = fs::canonicalize(file).map_err(missing)?;
    let mut options = OpenOptions::new();
    let opened = regular_file::open(&path, options.read(true), Symlinks::Follow);
    let mut header = [0; 8];
    let read = opened.map_err(missing)?.read_exact(&mut header);
    match (read, header) {
        (Ok(()), [_, _, _, _, b'f', b't', b'y', b'p']) => Ok(path),
        _ => Err(PreviewError::Unreadable),
    }
}

/// Returns the limited command that writes one frame of a file as a pixel map.
fn ffmpeg_command(program: &Path, file: &Path, at: Duration) -> Command {
    let mut name = OsString::from("file:");
    name.push(file);
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LIMITED_RUN_SCRIPT])
        .arg(program)
        // Other systems' shells cannot limit the memory.
        .arg(env::consts::OS)
        .args(["-nostdin", "-hide_banner", "-loglevel", "error"])
        .args(["-protocol_whitelist", "file", "-f", "mov"])
        .args(["-max_pixels", "33177600", "-threads", "1"])
        .arg("-ss")
        .arg(format!("{:.3}", at.as_secs_f64()))
        .arg("-i")
        .arg(name)
        .args(["-map", "0:v:0", "-an", "-sn", "-dn", "-frames:v", "1"])
        .args(["-filter_threads", "1", "-vf"])
        .arg(format!(
            "scale=w='min({MAX_SIDE_LEN},iw)':h='min({MAX_SIDE_LEN},ih)':force_original_aspect_ratio=decrease"
        ))
        .args(["-f", "image2pipe", "-c:v", "ppm", "pipe:1"])
        .current_dir("/")
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn decode_frame(bytes: &[u8]) -> Result<VideoFrame, PreviewError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_DECODER_SIDE);
    limits.max_image_height = Some(MAX_DECODER_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Pnm);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| {
        tracing::debug!(%error, "cannot decode a frame");
        PreviewError::Unreadable
    })?;
    let (width, height) = (image.width(), image.height());
    let pixels = image.into_rgb8().into_raw();
    VideoFrame::new(width, height, pixels).ok_or(PreviewError::Unreadable)
}
