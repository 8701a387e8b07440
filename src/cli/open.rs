//! `kietop open`: a task's video in the browser, from the disk where it was saved; without a browser, its link.

use std::path::Path;

use super::{Failure, Global, Open, output, place};
use crate::{
    adapters::{
        desktop::{Browser, SystemClock},
        download::Reach,
        inputs,
    },
    domain::{change::Change, link::VideoUrl},
    ports::{ListStore as _, Opener as _},
};

/// Opens the first result, or the input.
pub fn run(open: &Open, global: &Global) -> Result<(), Failure> {
    let mut store = place::list(global)?;
    let id = place::resolve(&mut store, &open.id)?;
    let mut watched = place::find(&mut store, &id)?;
    place::look(&mut watched);
    let videos: Vec<&VideoUrl> = if open.origin {
        watched.task.originals()
    } else {
        watched.task.state().videos().collect()
    };
    let Some(url) = videos.first() else {
        let what = if open.origin { "input" } else { "result" };
        return Err(Failure::plain(format!(
            "{id} has no {what} video that can be opened; kietop show {id} tells what is known."
        )));
    };
    for other in videos.iter().skip(1) {
        output::talk(&format!("kietop: there is another one: {}", other.as_str()));
    }
    let config = place::config(global)?;
    let browser = Browser::new(config.settings.browser, Reach::of(&config.origin));
    let file = watched.file_of(url).map(Path::to_owned);
    let inputs = place::input_folder()?;
    let file = file.or_else(|| inputs::kept(&inputs, url));
    let opened = match &file {
        Some(file) => browser.open_file(file),
        None => browser.open(url),
    };
    if let Err(reason) = opened {
        output::data(&format!("{}\n", url.as_str()))?;
        return Err(Failure::plain(format!("{reason} The link is above.")));
    }
    if global.read_only {
        return Ok(());
    }
    let change = Change::Opened {
        task: id,
        at: SystemClock::wall(),
        url: file.map_or_else(
            || url.as_str().to_owned(),
            |file| file.to_string_lossy().into_owned(),
        ),
    };
    let noted = store.apply(&[change]);
    noted.map(drop).map_err(|error| place::store_failed(&error))
}
