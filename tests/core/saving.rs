//! Downloads in the core: keys, queue, results, restarts, and expiring links.

use std::{path::PathBuf, time::Duration};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{AppSettings, MESSAGE_TIME, State},
        update::{next_wakeup, update},
    },
    domain::{
        download::{
            DownloadError, DownloadId, DownloadRequest, DownloadRetry, SavedResults,
            TransferProgress,
        },
        link::Links,
        list_change::{AccessMode, ChangeKind, ChangeResult, ListChange},
        poll_result::{Observation, PollError},
        status::{LinkExpiry, Status, Tab},
        store_request::StoreRequest,
        task::{CallbackStatus, TaskState},
        time::Now,
        watched_task::WatchedTask,
    },
};

use crate::support::{
    self, TaskBuilder, answer, id, later, message, now, press, program, task, type_text, watched,
};

const ONE_URL: &[&str] = &["https://ex.com/1.mp4"];
const THREE_URLS: &[&str] = &[
    "https://ex.com/1.mp4",
    "https://ex.com/2.mp4",
    "https://ex.com/3.mp4",
];

fn finished_task(name: &str, urls: &[&str]) -> TaskBuilder {
    task(name)
        .created("14:00")
        .finished("5m09s", CallbackStatus::Delivered, urls)
}

fn set_home(settings: &mut AppSettings) {
    settings.home = Some("/home/me".into());
    settings.working_dir = "/srv".into();
    settings.save_folder = "/home/me/Videos/kietop".into();
}

fn auto_save(settings: &mut AppSettings) {
    set_home(settings);
    settings.auto_save = true;
}

/// Makes every link of the tests expired.
fn expire_links(settings: &mut AppSettings) {
    set_home(settings);
    settings.retention = Duration::from_mins(1);
}

/// Returns a program with one finished task.
fn state_with_result(urls: &[&str]) -> State {
    program()
        .set(set_home)
        .with(finished_task("a", urls))
        .build()
}

fn minute(n: u64) -> Now {
    later(Duration::from_mins(n))
}

fn download_requests(effects: &[Effect]) -> Vec<(DownloadId, DownloadRequest)> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Download {
            id: attempt,
            request,
        } => Some((*attempt, request.clone())),
        _ => None,
    });
    requests.collect()
}

fn stored_changes(effects: &[Effect]) -> Vec<ListChange> {
    let changes = effects.iter().filter_map(|effect| match effect {
        Effect::Store(StoreRequest::Write(changes)) => Some(changes.clone()),
        _ => None,
    });
    changes.flatten().collect()
}

fn stored_kinds(effects: &[Effect]) -> Vec<ChangeKind> {
    let changes = stored_changes(effects).into_iter();
    changes.map(|change| change.kind).collect()
}

fn end_download(
    state: &mut State,
    id: DownloadId,
    result: Result<&str, DownloadError>,
    now: Now,
) -> Vec<Effect> {
    let result = result.map(PathBuf::from);
    update(state, Msg::DownloadEnded { id, result }, now)
}

fn finish_download(
    state: &mut State,
    id: DownloadId,
    result: Result<&str, DownloadError>,
) -> Vec<Effect> {
    end_download(state, id, result, now())
}

fn report_progress(state: &mut State, id: DownloadId, progress: TransferProgress) {
    update(state, Msg::DownloadProgressed { id, progress }, now());
}

fn change_elsewhere(state: &mut State, watched: WatchedTask, now: Now) -> Vec<Effect> {
    update(state, support::changed_elsewhere(watched), now)
}

fn tick(state: &mut State, now: Now) -> Vec<Effect> {
    update(state, Msg::Tick, now)
}

#[track_caller]
fn assert_no_download(effects: &[Effect]) {
    assert_eq!(download_requests(effects), []);
}

#[track_caller]
fn assert_message_contains(state: &State, text: &str) {
    assert!(message(state).contains(text), "{}", message(state));
}

fn status_of(state: &State, name: &str) -> Status {
    state.status_of(watched(state, name), &state.estimate(), now())
}

fn link_expiry(state: &State, name: &str) -> LinkExpiry {
    watched(state, name).link_expiry(state.settings().retention, now())
}

fn success_observation() -> Observation {
    Observation {
        state: TaskState::Succeeded {
            videos: Links::parse(ONE_URL.iter().copied()),
            callback: CallbackStatus::Delivered,
        },
        details: kietop::domain::task::TaskDetails::default(),
        raw: "{}".into(),
    }
}

/// Returns a state that has just loaded a list.
fn start_with(
    tasks: Vec<WatchedTask>,
    change: impl FnOnce(&mut AppSettings),
) -> (State, Vec<Effect>) {
    let mut settings = AppSettings::default();
    set_home(&mut settings);
    change(&mut settings);
    let mut state = State::new(settings);
    support::resize(&mut state, (120, 36));
    let effects = update(&mut state, support::list_loaded(tasks), now());
    (state, effects)
}

#[test]
fn the_save_key_saves_and_marks_as_saved() {
    let mut state = state_with_result(ONE_URL);
    let effects = press(&mut state, &["w"]);

    let started = download_requests(&effects);
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].1.folder, PathBuf::from("/home/me/Videos/kietop"));
    let expected = ListChange::new(
        id("a"),
        now().wall,
        ChangeKind::SaveBegun("/home/me/Videos/kietop".into()),
    );
    assert_eq!(stored_changes(&effects), [expected]);
    assert_eq!(message(&state), "Saving \"a\" to ~/Videos/kietop.");
    assert_eq!(status_of(&state, "a"), Status::Ready);

    let effects = finish_download(&mut state, started[0].0, Ok("/home/me/Videos/kietop/a.mp4"));

    assert_eq!(message(&state), "Saved \"a\" to ~/Videos/kietop/a.mp4.");
    assert_eq!(status_of(&state, "a"), Status::Saved);
    assert_eq!(link_expiry(&state, "a"), LinkExpiry::Saved);
    assert!(matches!(
        &stored_kinds(&effects)[..],
        [ChangeKind::Saved { number: 1, .. }]
    ));
    assert!(state.downloads().is_empty());
    press(&mut state, &["w"]);
    assert_eq!(message(&state), "Already saved: ~/Videos/kietop/a.mp4.");
}

#[test]
fn a_finished_save_does_not_hide_the_undo_hint() {
    let tasks = ["a", "b"].map(|name| finished_task(name, ONE_URL));
    let mut state = program().set(set_home).with_all(tasks).build();
    let started = download_requests(&press(&mut state, &["w"]));
    let changes = stored_changes(&press(&mut state, &["j", "d"]));
    let result = Ok(vec![ChangeResult::Removed]);
    update(&mut state, support::written(changes, result), now());
    assert_eq!(message(&state), "Removed \"b\". Press u to undo.");

    finish_download(&mut state, started[0].0, Ok("/home/me/Videos/kietop/a.mp4"));
    assert_eq!(message(&state), "Removed \"b\". Press u to undo.");
    tick(&mut state, later(MESSAGE_TIME));
    assert_eq!(message(&state), "Saved \"a\" to ~/Videos/kietop/a.mp4.");
}

#[test]
fn two_files_download_and_all_must_complete() {
    let mut state = state_with_result(THREE_URLS);
    let started = download_requests(&press(&mut state, &["w"]));
    assert_eq!(started.len(), 2);
    let saving = state.downloads().progress(&id("a")).unwrap();
    assert_eq!((saving.files, saving.waiting), (3, 1));

    let third = download_requests(&finish_download(&mut state, started[1].0, Ok("/v/2.mp4")));
    assert_eq!(third[0].1.number, 3);
    finish_download(&mut state, started[0].0, Ok("/v/1.mp4"));
    assert_eq!(status_of(&state, "a"), Status::Ready);
    finish_download(&mut state, third[0].0, Ok("/v/3.mp4"));
    assert_eq!(status_of(&state, "a"), Status::Saved);
}

#[test]
fn pressing_save_again_shows_progress_then_stops() {
    let mut state = state_with_result(ONE_URL);
    let started = download_requests(&press(&mut state, &["w"]));
    let progress = TransferProgress {
        bytes: 42,
        total: Some(100),
        rate: 10,
    };
    let attempt = started[0].0;
    report_progress(&mut state, attempt, progress);
    assert_no_download(&press(&mut state, &["w"]));
    assert_eq!(message(&state), "\"a\": 42% saved. Press w again to stop.");

    let effects = press(&mut state, &["w"]);
    assert!(effects.contains(&Effect::StopDownload(attempt)));
    let failed = ChangeKind::SaveFailed(DownloadError::Stopped);
    assert_eq!(stored_kinds(&effects), [failed]);
    let stopped = "Stopped; the partial download is kept. Press w to resume.";
    assert_eq!(message(&state), stopped);
    let effects = finish_download(&mut state, attempt, Err(DownloadError::Stopped));
    assert_eq!((stored_kinds(&effects), message(&state)), (vec![], stopped));
    let resumed = download_requests(&press(&mut state, &["w"]));
    assert_eq!(resumed.len(), 1);
}

#[test]
fn a_late_second_press_does_not_stop() {
    let mut state = state_with_result(ONE_URL);
    press(&mut state, &["w", "w"]);
    tick(&mut state, later(Duration::from_mins(1)));

    let key = Msg::Key {
        chord: support::chord("w"),
        is_repeat: false,
    };
    let effects = update(&mut state, key, later(Duration::from_mins(1)));

    let is_stop = |effect: &Effect| matches!(effect, Effect::StopDownload(_));
    assert!(!effects.iter().any(is_stop));
}

#[test]
fn removing_a_task_stops_its_save() {
    let mut state = state_with_result(THREE_URLS);
    let started = download_requests(&press(&mut state, &["w"]));
    let effects = press(&mut state, &["d"]);
    let changes = stored_changes(&effects);

    let result = Ok(vec![ChangeResult::Removed; changes.len()]);
    let effects = update(&mut state, support::written(changes, result), now());

    for (attempt, _) in &started {
        assert!(effects.contains(&Effect::StopDownload(*attempt)));
    }
    assert_no_download(&effects);
    assert_message_contains(
        &state,
        "Its download was stopped; the partial file is kept.",
    );
    finish_download(&mut state, started[0].0, Ok("/v/1.mp4"));
    assert_eq!(state.list().len(), 0, "a late result does not restore it");
}

#[test]
fn a_save_failure_is_shown_and_stored() {
    let mut state = program()
        .set(expire_links)
        .with(finished_task("a", ONE_URL))
        .build();
    let started = download_requests(&press(&mut state, &["w"]));

    let effects = finish_download(&mut state, started[0].0, Err(DownloadError::DiskFull));

    assert_eq!(
        message(&state),
        "\"a\" was not saved: the disk is full. Free some space, then save again to resume."
    );
    let failed = ChangeKind::SaveFailed(DownloadError::DiskFull);
    assert_eq!(stored_kinds(&effects), [failed]);
    let folder = &watched(&state, "a").saved_results.pending_folder;
    assert!(folder.is_some(), "it is offered at the next start");

    let again = download_requests(&press(&mut state, &["w"]));
    finish_download(&mut state, again[0].0, Err(refused_link()));
    assert_message_contains(&state, "link expired (404)");
    assert_eq!(watched(&state, "a").saved_results.pending_folder, None);
    assert_eq!(pending_retry(&state, "a"), None);
}

/// The error when the file host refuses the old and the renewed link.
fn refused_link() -> DownloadError {
    DownloadError::LinkExpired {
        status: 404,
        why: None,
    }
}

fn pending_retry(state: &State, name: &str) -> Option<DownloadRetry> {
    watched(state, name).saved_results.retry
}

#[test]
fn a_refused_fresh_result_is_retried() {
    let mut state = state_with_result(ONE_URL);
    let started = download_requests(&press(&mut state, &["w"]));

    let effects = finish_download(&mut state, started[0].0, Err(refused_link()));

    assert_eq!(
        message(&state),
        "\"a\" was not saved: not ready yet (404). Next try in 5s."
    );
    let not_ready = DownloadError::NotReady {
        status: 404,
        why: None,
    };
    assert_eq!(stored_kinds(&effects), [ChangeKind::SaveFailed(not_ready)]);

    assert_eq!(status_of(&state, "a"), Status::Ready);
    let due = later(Duration::from_secs(5));
    let wakeup = next_wakeup(&state, now()).unwrap();
    assert!(wakeup <= due.mono, "{wakeup:?}");
    let early = tick(&mut state, later(Duration::from_secs(4)));
    assert_no_download(&early);

    let retried = download_requests(&tick(&mut state, due));
    assert_eq!(retried.len(), 1);
    let result = Err(DownloadError::HttpStatus(503));
    let attempt = retried[0].0;
    end_download(&mut state, attempt, result, due);
    let next = pending_retry(&state, "a").unwrap();
    assert_eq!(
        (next.tries, next.at),
        (2, later(Duration::from_secs(15)).wall)
    );

    let retried = download_requests(&tick(&mut state, later(Duration::from_secs(15))));
    finish_download(&mut state, retried[0].0, Ok("/home/me/Videos/kietop/a.mp4"));
    assert_eq!(status_of(&state, "a"), Status::Saved);
    assert_eq!(pending_retry(&state, "a"), None);
}

#[test]
fn a_link_expires_by_repeated_refusals() {
    let mut state = state_with_result(ONE_URL);
    let mut attempt = download_requests(&press(&mut state, &["w"]))[0].0;
    let mut at = now();
    let mut tries = 1;
    loop {
        let result = Err(refused_link());
        end_download(&mut state, attempt, result, at);
        let Some(retry) = pending_retry(&state, "a") else {
            break;
        };
        at = later(now().until(retry.at));
        attempt = download_requests(&tick(&mut state, at))[0].0;
        tries += 1;
    }
    let hours = at.age_of(now().wall).as_secs() / 3600;
    assert_eq!((tries, hours), (21, 6));
    assert_message_contains(&state, "link expired (404)");
    assert_eq!(watched(&state, "a").saved_results.pending_folder, None);
}

#[test]
fn a_retry_resumes_on_time_after_a_restart() {
    let waiting = |at| task_with_started_save_at("a", at);
    let soon = later(Duration::from_secs(20));
    let (mut state, _) = start_with(vec![waiting(soon)], |_| {});
    assert_no_download(&report_unlocked(&mut state, now()));
    assert_eq!(message(&state), "", "no interrupted save");
    let retried = download_requests(&tick(&mut state, soon));
    assert_eq!(retried[0].1.folder, PathBuf::from("/v"));

    // It became due while kietop was not running.
    let (mut state, _) = start_with(vec![waiting(now())], |_| {});
    assert_eq!(
        download_requests(&report_unlocked(&mut state, now())).len(),
        1
    );

    // The user stops it.
    let mut state = state_with_result(ONE_URL);
    let attempt = download_requests(&press(&mut state, &["w"]))[0].0;
    finish_download(&mut state, attempt, Err(refused_link()));
    press(&mut state, &["w", "w", "w"]);
    assert_eq!(pending_retry(&state, "a"), None);
    let long = later(Duration::from_hours(1));
    assert_no_download(&tick(&mut state, long));
}

#[test]
fn batch_retries_are_spread_out() {
    let batch = ["a", "b", "c"];
    let tasks = batch.map(|name| finished_task(name, ONE_URL));
    let mut state = program().set(set_home).with_all(tasks).build();
    let mut started = download_requests(&press(&mut state, &["*", "w"]));
    while let Some((attempt, _)) = started.pop() {
        let effects = finish_download(&mut state, attempt, Err(refused_link()));
        started.extend(download_requests(&effects));
    }
    for second in 5..8 {
        let at = later(Duration::from_secs(second));
        let retried = download_requests(&tick(&mut state, at));
        assert_eq!(retried.len(), 1, "{second}");
        let (attempt, result) = (retried[0].0, Err(DownloadError::Busy));
        end_download(&mut state, attempt, result, at);
    }

    // A retry of another instance is left to it until it is long overdue.
    let (mut state, _) = start_with(vec![finished_task("a", ONE_URL).build()], |_| {});
    let mut theirs = task_with_started_save_at("a", later(Duration::from_secs(40)));

    change_elsewhere(&mut state, theirs.clone(), now());
    tick(&mut state, minute(1));
    assert_no_download(&report_unlocked(&mut state, minute(1)));
    theirs.saved_results.retry = Some(DownloadRetry {
        tries: 2,
        at: minute(3).wall,
    });
    change_elsewhere(&mut state, theirs, minute(1));
    assert_no_download(&tick(&mut state, minute(2)));
    assert_no_download(&tick(&mut state, minute(3)));
    assert_eq!(download_requests(&tick(&mut state, minute(4))).len(), 1);
}

fn task_with_started_save_at(name: &str, at: Now) -> WatchedTask {
    let mut watched = task_with_started_save(name);
    let (tries, at) = (1, at.wall);
    watched.saved_results.retry = Some(DownloadRetry { tries, at });
    watched
}

#[test]
fn unsavable_tasks_say_why() {
    let table = [
        (
            task("a").running().created("14:31"),
            "Still generating: nothing to save yet.",
        ),
        (
            task("a").failed("500", "x"),
            "The task failed: nothing to save. Press O to open the input.",
        ),
        (
            task("a"),
            "No answer yet: nothing to save. Press r to refresh.",
        ),
    ];
    for (task, expected) in table {
        let mut state = program().set(set_home).with(task).build();
        for key in ["w", "W"] {
            let effects = press(&mut state, &[key]);
            assert_eq!(
                (download_requests(&effects), message(&state)),
                (Vec::new(), expected)
            );
        }
    }
    let read_only = |settings: &mut AppSettings| settings.access = AccessMode::ReadOnly;
    let mut state = program()
        .set(read_only)
        .with(finished_task("a", ONE_URL))
        .build();
    assert_no_download(&press(&mut state, &["w"]));
    assert_eq!(message(&state), "The list is read-only (--read-only).");
}

#[test]
fn a_typed_folder_is_parsed() {
    let mut state = state_with_result(ONE_URL);
    press(&mut state, &["W", "ctrl-u"]);
    let effects = press(&mut state, &["enter"]);
    assert_eq!(
        (download_requests(&effects), message(&state)),
        (Vec::new(), "Type a folder.")
    );

    type_text(&mut state, "~/x");
    update(&mut state, Msg::Pasted("y/z\n".into()), now());
    let started = download_requests(&press(&mut state, &["enter"]));

    assert_eq!(started[0].1.folder, PathBuf::from("/home/me/xy/z"));
    assert!(state.overlay().is_none());
    press(&mut state, &["W"]);
    assert!(state.overlay().is_some());
    press(&mut state, &["esc"]);
    assert!(state.overlay().is_none());
}

#[test]
fn an_invalid_folder_is_reported_and_editable() {
    let with_variable = |settings: &mut AppSettings| {
        set_home(settings);
        settings.variables = [("OUT".into(), "/mnt/out".into())].into_iter().collect();
    };
    let mut state = program()
        .set(with_variable)
        .with(finished_task("a", ONE_URL))
        .build();
    press(&mut state, &["W"]);
    for (typed, expected) in [
        (
            "$NOPE/x",
            "Invalid folder: the variable NOPE is not set; write $$ for a dollar sign.",
        ),
        (
            "~root/x",
            "Invalid folder: ~ works for your own home only: write ~root in full, or as ./~root.",
        ),
    ] {
        press(&mut state, &["ctrl-u"]);
        type_text(&mut state, typed);
        assert_no_download(&press(&mut state, &["enter"]));
        assert_eq!(message(&state), expected);
        assert!(state.overlay().is_some(), "{typed}");
    }
    press(&mut state, &["ctrl-u"]);
    type_text(&mut state, "$OUT/x");
    let started = download_requests(&press(&mut state, &["enter"]));
    assert_eq!(started[0].1.folder, PathBuf::from("/mnt/out/x"));
}

#[test]
fn without_a_home_the_folder_is_prompted_for() {
    let homeless = |settings: &mut AppSettings| {
        settings.save_folder = PathBuf::new();
        settings.auto_save = true;
    };
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(homeless).with(running()).build();
    assert_no_download(&answer(&mut state, "a", Ok(success_observation())));
    assert_no_download(&press(&mut state, &["w"]));
    assert!(state.overlay().is_some());
    type_text(&mut state, "/mnt/x");
    let started = download_requests(&press(&mut state, &["enter"]));
    assert_eq!(started[0].1.folder, PathBuf::from("/mnt/x"));
}

#[test]
fn results_are_saved_automatically_when_enabled() {
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(auto_save).with(running()).build();
    let effects = answer(&mut state, "a", Ok(success_observation()));
    assert_eq!(download_requests(&effects).len(), 1);

    let mut state = program().set(set_home).with(running()).build();
    assert_no_download(&answer(&mut state, "a", Ok(success_observation())));

    // Another instance got the result.
    let mut state = program().set(auto_save).with(running()).build();
    let effects = change_elsewhere(&mut state, finished_task("a", ONE_URL).build(), now());
    assert_eq!(download_requests(&effects).len(), 1);
}

#[test]
fn results_found_by_commands_are_saved_at_start() {
    // "a" finished since the last run; "old" before it, and was not saved then.
    let all = || {
        let old = task("old")
            .created("09:00")
            .finished("5m", CallbackStatus::Delivered, ONE_URL);
        vec![finished_task("a", ONE_URL).build(), old.build()]
    };
    for (is_wanted, expected) in [(true, vec![id("a")]), (false, Vec::new())] {
        let (mut state, effects) = start_with(all(), |settings| settings.auto_save = is_wanted);
        assert_no_download(&effects);

        let effects = update(&mut state, support::session_seen("13:52:07"), now());

        let started = download_requests(&effects)
            .into_iter()
            .map(|(_, request)| request.task);
        assert_eq!(started.collect::<Vec<_>>(), expected);
    }

    // Its link has expired.
    let (mut state, _) = start_with(all(), |settings| {
        settings.auto_save = true;
        settings.retention = Duration::from_mins(1);
    });
    let effects = update(&mut state, support::session_seen("13:52:07"), now());
    assert_no_download(&effects);
}

#[test]
fn a_download_of_another_instance_is_not_repeated() {
    // It got the result and started saving at once.
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(auto_save).with(running()).build();
    let mut started = finished_task("a", ONE_URL).build();
    started.saved_results.pending_folder = Some("/v".into());
    let effects = change_elsewhere(&mut state, started, now());
    assert_no_download(&effects);

    // It saved a file that is still queued here.
    let mut state = state_with_result(THREE_URLS);
    let started = download_requests(&press(&mut state, &["w"]));
    let mut saved = finished_task("a", THREE_URLS).build();
    saved.saved_results = SavedResults::from_stored([(3, "/v/3.mp4".into())], None, None);
    change_elsewhere(&mut state, saved, now());
    assert_no_download(&finish_download(&mut state, started[0].0, Ok("/v/1.mp4")));
    finish_download(&mut state, started[1].0, Ok("/v/2.mp4"));
    assert!(state.downloads().is_empty());
    assert_eq!(status_of(&state, "a"), Status::Saved);
}

#[test]
fn ten_thousand_saves_start_in_one_write() {
    let all = (0..10_000).map(|n| finished_task(&format!("t{n}"), ONE_URL));
    let mut state = program().set(set_home).with_all(all).build();

    let effects = press(&mut state, &["*", "w"]);

    let stores = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Store(StoreRequest::Write(_))));
    assert_eq!(
        (stores.count(), stored_changes(&effects).len()),
        (1, 10_000)
    );
    assert_eq!(state.downloads().total_progress().unwrap().files, 10_000);
}

#[test]
fn an_interrupted_save_resumes_or_is_offered() {
    let mut watched = finished_task("a", ONE_URL).build();
    watched.saved_results.pending_folder = Some("/elsewhere".into());

    let (mut state, effects) = start_with(vec![watched.clone()], |_| {});
    assert_no_download(&effects);
    assert_eq!(message(&state), "");
    let requests = watched.download_requests(&PathBuf::from("/elsewhere"));
    assert!(
        effects.contains(&Effect::CheckLocks(requests)),
        "{effects:?}"
    );
    assert_no_download(&report_unlocked(&mut state, now()));
    assert_eq!(
        message(&state),
        "Saving \"a\" was interrupted. Press w to resume."
    );
    let started = download_requests(&press(&mut state, &["w"]));
    assert_eq!(started[0].1.folder, PathBuf::from("/elsewhere"));

    let (mut state, _) = start_with(vec![watched], |settings| settings.auto_save = true);
    let effects = report_unlocked(&mut state, now());
    assert_eq!(download_requests(&effects).len(), 1);
    assert_eq!(message(&state), "Saving \"a\" was interrupted; resuming.");
}

fn report_locks(state: &mut State, found: &[(&str, bool)], now: Now) -> Vec<Effect> {
    let found = found.iter().map(|(task, is_locked)| (id(task), *is_locked));
    update(state, Msg::LocksChecked(found.collect()), now)
}

fn report_unlocked(state: &mut State, now: Now) -> Vec<Effect> {
    report_locks(state, &[("a", false)], now)
}

fn checks_locks(effects: &[Effect]) -> bool {
    let is_check = |effect: &Effect| matches!(effect, Effect::CheckLocks(_));
    effects.iter().any(is_check)
}

fn task_with_started_save(name: &str) -> WatchedTask {
    let mut watched = finished_task(name, ONE_URL).build();
    watched.saved_results.pending_folder = Some("/v".into());
    watched
}

#[test]
fn a_locked_save_is_not_interrupted() {
    let all = vec![
        task_with_started_save("a"),
        task_with_started_save("b"),
        finished_task("c", ONE_URL).build(),
    ];
    let (mut state, _) = start_with(all, |settings| settings.auto_save = true);

    // The other instance downloads two at a time; its other files are queued.
    let effects = report_locks(&mut state, &[("a", true), ("b", false)], now());
    assert_no_download(&effects);
    assert_eq!(message(&state), "");
    assert!(
        ["a", "b"]
            .map(id)
            .iter()
            .all(|task| state.downloads().is_held_by_other(task))
    );
    assert!(!state.downloads().is_held_by_other(&id("c")));

    let next = later(Duration::from_mins(1));
    let effects = tick(&mut state, next);
    assert!(checks_locks(&effects), "{effects:?}");
    let mut done = task_with_started_save("a");
    done.mark_saved(1, "/v/a.mp4".into());
    change_elsewhere(&mut state, done, next);
    let effects = report_locks(&mut state, &[("a", false), ("b", false)], next);

    assert_eq!(download_requests(&effects).len(), 1, "that one was killed");
    assert_eq!(message(&state), "Saving \"b\" was interrupted; resuming.");
}

#[test]
fn a_just_started_external_save_may_be_unlocked() {
    let (mut state, _) = start_with(vec![finished_task("a", ONE_URL).build()], |_| {});
    let just = later(Duration::from_secs(55));
    change_elsewhere(&mut state, task_with_started_save("a"), just);
    assert!(state.downloads().is_held_by_other(&id("a")));

    assert!(checks_locks(&tick(&mut state, minute(1))));
    report_unlocked(&mut state, minute(1));
    assert_eq!(message(&state), "");

    assert!(checks_locks(&tick(&mut state, minute(2))));
    report_unlocked(&mut state, minute(2));
    assert_message_contains(&state, "was interrupted");

    // Shown once.
    tick(&mut state, minute(3));
    report_unlocked(&mut state, minute(3));
    assert_eq!(message(&state), "");
}

#[test]
fn a_save_locked_by_another_instance_is_shown() {
    let mut state = state_with_result(ONE_URL);
    let started = download_requests(&press(&mut state, &["w"]));

    finish_download(&mut state, started[0].0, Err(DownloadError::Busy));

    assert!(state.downloads().is_held_by_other(&id("a")));
}

#[test]
fn an_own_failed_save_is_not_interrupted() {
    let disk_full = || Err(DownloadError::DiskFull);

    // Returns what the next check of an unlocked file does.
    let check_unlocked = |state: &mut State| {
        assert!(checks_locks(&tick(state, minute(1))));
        let effects = report_unlocked(state, minute(1));
        assert!(
            !message(state).contains("interrupted"),
            "{}",
            message(state)
        );
        effects
    };

    // Finished while no dashboard ran, and saved at this start.
    let mut state = State::new(AppSettings {
        auto_save: true,
        ..AppSettings::default()
    });
    update(&mut state, support::session_seen("13:52:07"), now());
    let all = vec![finished_task("a", ONE_URL).build()];
    let requests = download_requests(&update(&mut state, support::list_loaded(all), now()));
    finish_download(&mut state, requests[0].0, disk_full());
    assert_no_download(&check_unlocked(&mut state));

    // Started by another instance, then by the user here.
    let (mut state, _) = start_with(vec![finished_task("a", ONE_URL).build()], |_| {});
    change_elsewhere(&mut state, task_with_started_save("a"), now());
    let requests = download_requests(&press(&mut state, &["w"]));
    finish_download(&mut state, requests[0].0, disk_full());
    assert!(!state.downloads().is_held_by_other(&id("a")));
    check_unlocked(&mut state);

    // Started in an earlier run, and again before the lock check.
    let (mut state, _) = start_with(vec![task_with_started_save("a")], |_| {});
    let requests = download_requests(&press(&mut state, &["w"]));
    report_unlocked(&mut state, now());
    finish_download(&mut state, requests[0].0, disk_full());
    check_unlocked(&mut state);
}

#[test]
fn a_finished_external_save_is_cleared() {
    let (mut state, _) = start_with(vec![finished_task("a", ONE_URL).build()], |_| {});

    change_elsewhere(&mut state, task_with_started_save("a"), now());
    change_elsewhere(&mut state, finished_task("a", ONE_URL).build(), now());

    tick(&mut state, later(Duration::from_mins(1)));

    assert!(!state.downloads().is_held_by_other(&id("a")));
}

fn task_with_expiring_link(name: &str) -> WatchedTask {
    let created = support::ago("12d19h");
    task(name)
        .created(&created.to_string())
        .ready("5m09s")
        .build()
}

#[test]
fn expiring_links_are_mentioned_once_a_day() {
    let (mut state, effects) = start_with(vec![task_with_expiring_link("a")], |_| {});

    assert_eq!(
        message(&state),
        "The link of \"a\" expires in about 29 hours. Press w to save it."
    );
    let warned = ListChange::new(id("a"), now().wall, ChangeKind::ExpiryWarned);
    assert_eq!(stored_changes(&effects), std::slice::from_ref(&warned));
    for minutes in 1..120 {
        let effects = tick(&mut state, later(Duration::from_mins(minutes)));
        assert_eq!(stored_changes(&effects), [], "after {minutes} minutes");
    }

    // The stored warning is not repeated after a restart.
    let mut known = task_with_expiring_link("a");
    known.saved_results.expiry_warned = Some(now().wall);
    let (state, effects) = start_with(vec![known.clone()], |_| {});
    assert_eq!(
        (message(&state), stored_changes(&effects)),
        ("", Vec::new())
    );
    known.saved_results.expiry_warned = Some(support::ago("24h"));
    let (state, _) = start_with(vec![known], |_| {});
    assert_message_contains(&state, "The link of");

    let (state, _) = start_with(
        vec![task_with_expiring_link("a"), task_with_expiring_link("b")],
        |_| {},
    );
    assert_eq!(
        message(&state),
        "2 links expire within two days. Press 6 to see them."
    );
}

#[test]
fn saved_results_do_not_expire() {
    let mut saved = task_with_expiring_link("a");
    saved.saved_results = SavedResults::from_stored([(1, "/v/a.mp4".into())], None, None);
    let (mut state, effects) = start_with(vec![saved, task_with_expiring_link("b")], |_| {});

    let check = Effect::CheckFiles(vec![(id("a"), "/v/a.mp4".into())]);
    assert!(effects.contains(&check), "{effects:?}");
    assert_eq!(
        message(&state),
        "The link of \"b\" expires in about 29 hours. Press w to save it."
    );
    press(&mut state, &["6"]);
    assert_eq!(
        (state.tab(), state.shown()),
        (Tab::Expiring, &[id("b")][..])
    );

    // The file was moved: the link's expiry counts again.
    let files = vec![(id("a"), "/v/a.mp4".into(), false)];
    update(&mut state, Msg::FilesChecked(files), now());
    assert!(matches!(link_expiry(&state, "a"), LinkExpiry::Remaining(_)));
    assert_eq!(state.shown().len(), 2);
    let files = vec![(id("a"), "/v/a.mp4".into(), true)];
    update(&mut state, Msg::FilesChecked(files), now());
    assert_eq!(
        (link_expiry(&state, "a"), state.shown().len()),
        (LinkExpiry::Saved, 1)
    );
}

#[test]
fn saved_results_are_opened_from_disk() {
    let mut saved = finished_task("a", ONE_URL).build();
    saved.saved_results = SavedResults::from_stored([(1, "/v/a.mp4".into())], None, None);
    let (mut state, _) = start_with(vec![saved], |_| {});
    let opened = |state: &mut State| match press(state, &["o"]).pop() {
        Some(Effect::Open { task, url, file }) => (task, url, file),
        other => panic!("{other:?}"),
    };

    let (task, url, file) = opened(&mut state);
    assert_eq!(file, Some("/v/a.mp4".into()));
    let result = Ok(file);
    let effects = update(&mut state, Msg::Opened { task, url, result }, now());
    assert_eq!(message(&state), "Opened the saved file (/v/a.mp4).");
    let expected = ListChange::new(id("a"), now().wall, ChangeKind::Opened("/v/a.mp4".into()));
    assert_eq!(stored_changes(&effects), [expected]);

    let files = vec![(id("a"), "/v/a.mp4".into(), false)];
    update(&mut state, Msg::FilesChecked(files), now());
    assert_eq!(opened(&mut state).2, None, "then its link");
}

#[test]
fn external_changes_keep_unwritten_saves() {
    let mut state = state_with_result(ONE_URL);
    let started = download_requests(&press(&mut state, &["w"]));
    finish_download(&mut state, started[0].0, Ok("/v/a.mp4"));

    change_elsewhere(&mut state, finished_task("a", ONE_URL).build(), now());
    assert_eq!(status_of(&state, "a"), Status::Saved);
}

#[test]
fn a_result_without_callback_is_saved_and_reported() {
    let rescued = task("a").created("14:00").rescued("5m09s");
    let mut state = program().set(set_home).with(rescued).build();
    let started = download_requests(&press(&mut state, &["w"]));

    finish_download(&mut state, started[0].0, Ok("/v/a.mp4"));

    assert_eq!(
        message(&state),
        "Saved \"a\" to /v/a.mp4. The video is finished; only its callback failed."
    );
    assert_eq!(link_expiry(&state, "a"), LinkExpiry::Saved);
    assert_eq!(status_of(&state, "a"), Status::CallbackFailed);
}

#[test]
fn late_progress_of_a_finished_save_is_ignored() {
    let mut state = state_with_result(ONE_URL);
    let started = download_requests(&press(&mut state, &["w"]));
    let interrupted = DownloadError::NoAnswer(PollError::ConnectionLost);
    finish_download(&mut state, started[0].0, Err(interrupted.clone()));
    let before = format!("{state:?}");

    let attempt = started[0].0;
    let progress = TransferProgress::default();
    report_progress(&mut state, attempt, progress);
    let effects = finish_download(&mut state, attempt, Err(interrupted));

    assert_eq!((format!("{state:?}"), effects), (before, Vec::new()));
}

#[test]
fn marked_results_are_saved_and_stopped_together() {
    let mut state = program()
        .set(set_home)
        .with(finished_task("a", ONE_URL))
        .with(finished_task("b", ONE_URL))
        .with(task("c").running().created("14:31"))
        .build();
    press(&mut state, &["*"]);

    let started = download_requests(&press(&mut state, &["w"]));
    assert_eq!(started.len(), 2);
    assert_eq!(message(&state), "Saving 2 tasks to ~/Videos/kietop.");

    press(&mut state, &["esc"]);
    press(&mut state, &["g", "w"]);
    assert_eq!(message(&state), "Still generating: nothing to save yet.");
    press(&mut state, &["j", "space", "space", "w", "w"]);
    assert_message_contains(&state, "Stopped");
}
