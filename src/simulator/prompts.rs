//! Texts of the simulated tasks: prompts, labels and failure messages.

/// Ordinary prompts, each with a label that its owner might have chosen.
pub(super) const PROMPTS: [(&str, &str); 30] = [
    (
        "Turn the street into a neon city at night, wet asphalt, slow pan left; keep the walking man",
        "campaign-07",
    ),
    (
        "Claymation chase at 24 fps, thumbprints visible in the clay, warm kitchen light",
        "clay test",
    ),
    (
        "Snow globe winter melts into high summer, same camera move, petals instead of flakes",
        "seasons 2",
    ),
    (
        "Oil-paint harbour at dawn, thick impasto, gulls as single brush strokes",
        "harbour hero",
    ),
    (
        "Desert dunes become an ocean floor, caustic light, drifting kelp where the grass was",
        "dunes-b",
    ),
    (
        "Paper-cut forest with layered shadows, the fox runs through three planes of depth",
        "fox title card",
    ),
    (
        "The crowd dissolves into a murmuration of starlings and settles again",
        "crowd v3",
    ),
    (
        "Watercolour alley with a sleeping cat, pigment bleeding at the edges of the frame",
        "alley loop",
    ),
    (
        "Marble statue breathes and turns to liquid chrome, studio reflections stay put",
        "chrome-02",
    ),
    (
        "Blueprint lines draw the bridge before it appears in steel; annotate nothing",
        "bridge reveal",
    ),
    (
        "1970s Super 8 holiday film, light leaks, gate weave, faded magenta",
        "retro cut",
    ),
    (
        "Charcoal sketch on rough paper, smudges follow the dancer's arms",
        "dancer sketch",
    ),
    (
        "Swap the office for a greenhouse, condensation on the glass, keep every gesture",
        "office swap",
    ),
    (
        "Stop-motion felt puppets, visible stitching, shallow focus on the bouncing ball",
        "felt ball",
    ),
    (
        "Low-poly diorama under a desk lamp, tilt-shift, tiny cars keep their speed",
        "diorama",
    ),
    (
        "Rotoscoped ink comic, heavy blacks, halftone dots in the sky only",
        "comic pass 1",
    ),
    (
        "Golden-hour wheat field instead of the car park, dust in the air, same skater",
        "skate wheat",
    ),
    (
        "Stained-glass cathedral light floods the room as the door opens",
        "glass door",
    ),
    (
        "Thermal-camera look, people in orange, machines in violet, no text overlays",
        "thermal",
    ),
    (
        "Art-deco poster in motion, gold leaf edges, geometric sunrise behind the tower",
        "deco tower",
    ),
    (
        "Underwater ballet: hair and fabric float, bubbles rise in time with the beat",
        "ballet uw",
    ),
    (
        "Every lamp becomes a jellyfish, the wax glows and drifts, room stays dark",
        "jelly lamps",
    ),
    (
        "Woven tapestry comes alive, threads pull the horses across the hill",
        "tapestry",
    ),
    (
        "Minimal line art on cream paper, one continuous stroke, no shading",
        "one line",
    ),
    (
        "Rainy Kyoto side street, lanterns, reflections; replace the bus with a rickshaw",
        "kyoto b-roll",
    ),
    (
        "Frozen lake cracks into a mosaic of mirrors, each reflecting another season",
        "mirror lake",
    ),
    (
        "Turn the drone shot into an embroidered map, roads are running stitches",
        "map stitch",
    ),
    (
        "Cardboard spaceship cockpit, kitchen-foil dials, child pilot keeps smiling",
        "cockpit",
    ),
    (
        "Bioluminescent forest at midnight, footprints light up and fade behind the runner",
        "runner night",
    ),
    (
        "Cut-glass morning: the skyline as crystal decanters, tea-coloured sun",
        "skyline tea",
    ),
];

/// Prompts with wide characters and emoji, whose display width differs from their length.
pub(super) const WIDE_PROMPTS: [(&str, &str); 3] = [
    (
        "夜の東京、ネオンの雨。歩く人はそのまま、街だけを水彩画に変えてください 🌧️🗼",
        "東京ナイト",
    ),
    (
        "把海边的日落变成赛博朋克风格,保留太阳的位置 🌅➡️🌆",
        "日落-赛博",
    ),
    (
        "Семейное видео 👨‍👩‍👧‍👦 → палехская миниатюра, золото на чёрном лаке 🐎",
        "Палех",
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
