//! `kietop open`: opens a task's video in the browser, from the disk if it is saved. Prints the
//! link if no browser can be started.

use std::path::Path;

use super::{
    args::{GlobalArgs, OpenArgs},
    failure::CommandFailure,
    output, paths, resolve,
    services::CommandContext,
};
use crate::{
    adapters::{
        desktop::{Browser, SystemClock},
        http::allowed_hosts::AllowedHosts,
        input_cache,
    },
    domain::{
        link::VideoUrl,
        list_change::{AccessMode, ChangeKind, ListChange},
    },
    messages::command_line as messages,
    ports::VideoOpener as _,
};

/// Opens the first result, or the first input.
pub fn run(args: &OpenArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let context = CommandContext::load(global)?;
    let mut store = context.open_list()?;
    let id = resolve::resolve_id(&mut store, &args.id)?;
    let mut watched = resolve::find_task(&mut store, &id)?;
    resolve::check_saved_files(&mut watched);
    let videos: Vec<&VideoUrl> = if args.origin {
        watched.task.input_videos()
    } else {
        watched.task.state().videos().collect()
    };
    let Some(url) = videos.first() else {
        let kind = if args.origin { "input" } else { "result" };
        return Err(CommandFailure::general(messages::no_video(&id, kind)));
    };
    for other in videos.iter().skip(1) {
        output::report(&messages::another_video(other.as_str()));
    }
    let hosts = AllowedHosts::for_origin(&context.config.origin);
    let browser = Browser::new(context.config.settings.browser, hosts);
    let file = watched.saved_file_for(url).map(Path::to_owned);
    let input_cache = paths::input_folder()?;
    let file = file.or_else(|| input_cache::cached_file_in(&input_cache, url));
    let opened = match &file {
        Some(file) => browser.open_file(file),
        None => browser.open(url),
    };
    if let Err(reason) = opened {
        output::to_stdout(&format!("{}\n", url.as_str()))?;
        return Err(CommandFailure::general(messages::open_failed(&reason)));
    }
    if context.access == AccessMode::ReadOnly {
        return Ok(());
    }
    let address = file.map_or_else(
        || url.as_str().to_owned(),
        |file| file.to_string_lossy().into_owned(),
    );
    let change = ListChange::new(id, SystemClock::wall(), ChangeKind::Opened(address));
    store.apply(&[change])?;
    Ok(())
}
