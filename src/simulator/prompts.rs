//! Texts of the simulated tasks: prompts, labels and failure messages.

/// Ordinary prompts: on each line a label that its owner might have chosen, `|`, and the prompt.
pub(super) const PROMPTS: &str = include_str!("../../assets/demo/prompts.txt");

/// Labels and prompts with wide characters and emoji, whose display width differs from their
/// length.
pub(super) const WIDE_PROMPTS: [(&str, &str); 3] = [
    (
        "東京ナイト",
        "夜の東京、ネオンの雨。歩く人はそのまま、街だけを水彩画に変えてください 🌧️🗼",
    ),
    (
        "日落-赛博",
        "把海边的日落变成赛博朋克风格,保留太阳的位置 🌅➡️🌆",
    ),
    (
        "Палех",
        "Семейное видео 👨‍👩‍👧‍👦 → палехская миниатюра, золото на чёрном лаке 🐎",
    ),
];

/// A prompt far longer than a line of a terminal.
pub(super) const LONG_PROMPT: &str = "Begin on the empty square just before sunrise and keep the original camera path exactly, \
     but rebuild the whole scene as a miniature theatre made of folded paper: the fountain is a \
     spiral of blue tissue, the pigeons are origami that unfold when they take off, the clock tower \
     is corrugated card with visible glue seams, and each passer-by is a flat silhouette on a thin \
     wooden stick whose shadow falls the right way for a single warm spotlight at upper left. As the \
     light grows, let the paper take on the colours of old theatre posters, ochre, oxblood and a \
     faded teal; let the edges fray a little wherever the wind of the original footage moved leaves \
     or coats; let the tram arrive as a concertina that opens carriage by carriage and closes again \
     when it leaves. No faces in close-up, no lettering on the shop signs, no confetti. In the last \
     second a hand as large as the sky reaches in, turns one small lantern on, and the whole paper \
     town holds its breath, exactly on the final frame.";

/// A hostile prompt with escape sequences, bells, a line break and right-to-left overrides.
pub(super) const HOSTILE_PROMPT: &str = "Paint it \u{1b}[41;97mRED\u{1b}[0m\u{1b}]0;owned\u{7}\u{1b}[2J and \
     \u{202e}sdrawkcab daer\u{202c}\r\nthen\u{8}\u{0} ring \u{7}the bell\u{9b}31m";

/// Messages of tasks that could not be created (code 422).
pub(super) const CREATE_FAILURES: [&str; 3] = [
    "Input video is 14.2 s long; the limit is 10 s.",
    "The video URL could not be read: expected MP4, MOV or AVI.",
    "Prompt rejected by the content filter. Please use an English description of the change.",
];

/// Messages of tasks whose generation failed (code 500).
pub(super) const GENERATE_FAILURES: [&str; 3] = [
    "Upstream model returned no frames after 3 attempts. Credits were returned.",
    "Generation was stopped: the output was flagged by moderation.",
    "Internal error while decoding the input video (frame 97).",
];

/// Messages of envelopes with code 501.
pub(super) const ENVELOPE_FAILURES: [&str; 2] = [
    "Video generation task failed",
    "Generation Failed - the model could not follow the motion of the input",
];

pub(super) const CALLBACK_URLS: [&str; 3] = [
    "https://hooks.example.com/kie/luma",
    "https://studio.example.org/api/callbacks/video?team=blue",
    "https://example.com/callback",
];
