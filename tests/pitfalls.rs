//! Mistakes that pullers of audit APIs make, each made here on purpose by a small puller.
//!
//! Every scenario is played three times, each time with a server of its own: by the puller without its
//! mistake, by jaquard's binary, and by the puller with it. The first two have to be exact, so it is the
//! mistake that loses or repeats events, and the scenario that brings it out.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "pitfalls/puller.rs"]
mod puller;
#[path = "pitfalls/stage.rs"]
mod stage;
mod support;

use std::cell::Cell;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use jaquard::testkit::fake_api::{
    AtlasOptions, Config, EmptyLog, Fault, Faults, RateLimits, RateSet, Refusal,
};

use puller::{Clock, First, From, Full, Memory, Policy, Resumes, Saves, Tokens, Until, Waits};
use stage::{Jaquard, Play, Stage, Stream, Subject, account, digest, empty, minutes};
use support::{Workspace, pause, signal};

/// All of a stream in one window, so that it has pages.
const ONE_WINDOW: &str = "window = { length = \"48h\" }";

fn paged(events: usize) -> Config {
    Config { organization_events: events, ..empty() }
}

/// `minDate` is the time of the last request. Whoever takes an API for a queue does it: what was under
/// way when it was asked last is shown later, with an earlier time, and never asked for.
#[test]
fn asking_from_the_last_request_on_loses_what_comes_late() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[3600.0, 300.0]);
        subject.poll();
        stage.happened(&[240.0, 20.0, 0.5]);
        stage.advance(minutes(10));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { from: From::LastRequest, until: Until::Settled(TimeDelta::zero()), ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 3);
}

/// The window begins with the last event, bound included: whoever knows only the time of what came last
/// gets it again with every poll.
#[test]
fn an_inclusive_bound_without_ids_repeats_the_last_event() {
    let right = Policy { from: From::LastEvent, ..Policy::default() };
    let wrong = Policy { memory: Memory::Nothing, ..right.clone() };
    same_millisecond(&right, wrong, "repeats");
}

/// The window begins a millisecond after the last event: how the repetition is mended by whoever takes
/// two events for never being that close. Another one within that millisecond is lost.
#[test]
fn a_millisecond_after_the_last_event_loses_its_neighbour() {
    let right = Policy { from: From::LastEvent, ..Policy::default() };
    let wrong = Policy { from: From::AfterLastEvent, ..right.clone() };
    same_millisecond(&right, wrong, "loses");
}

fn same_millisecond(right: &Policy, wrong: Policy, effect: &str) {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[120.0]);
        subject.poll();
        stage.happened(&[119.9996]);
        stage.advance(minutes(5));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let outcome = play.contrast(right, wrong);
    if effect == "loses" { outcome.assert_loses_only() } else { outcome.assert_repeats_only() }
}

/// The ids at the bound are replaced by those that were new in a poll: a poll without news forgets them
/// all, and the next one repeats the event at the bound.
#[test]
fn ids_that_are_forgotten_with_a_poll_without_news_let_events_repeat() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[300.0, 240.0]);
        for _ in 0..4 {
            subject.poll();
            stage.advance(minutes(1));
        }
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy { from: From::LastEvent, ..Policy::default() };
    let wrong = Policy { memory: Memory::NewOfLastPoll, ..right.clone() };
    play.contrast(&right, wrong).assert_repeats_only();
}

/// No upper bound: pages are offsets from the newest event, and shift while they are read. Whoever tries
/// it on a quiet organisation never sees it.
#[test]
fn pages_without_an_upper_bound_shift_while_they_are_read() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.api.fail_next("pageNum=2", Fault::Slow, 1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let end = Instant::now() + Duration::from_secs(20);
                // the first page is read, the second one on its way
                while !stage.api.faults_hit().contains_key(&Fault::Slow) && Instant::now() < end {
                    pause(Duration::from_millis(2));
                }
                stage.happened(&[0.0; 7]);
            });
            subject.poll();
        });
    };
    let config =
        Config { faults: Faults { slow_by: Duration::from_millis(300), ..Faults::default() }, ..paged(700) };
    let play = Play { config, stream: Stream::Organization, options: ONE_WINDOW, scenario: &scenario };
    let right = Policy::without_ids();
    let wrong = Policy { until: Until::Open, ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_repeats_only();
    assert_eq!(outcome.repeated.len(), 7);
}

/// The cursor is saved when a window is begun. Whoever saves it where it is computed loses the rest of a
/// window in which a page fails.
#[test]
fn a_cursor_that_moves_before_all_pages_are_read_loses_the_others() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.api.fail_next("pageNum=2", Fault::InternalError, 1);
        subject.poll();
    };
    let play =
        Play { config: paged(1200), stream: Stream::Organization, options: ONE_WINDOW, scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { saves: Saves::BeforeTheFirstPage, ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    // the newest ones had not settled, and were in the next window
    assert!((650..=700).contains(&outcome.lost.len()), "{}", outcome.lost.len());
}

/// The error of one project is logged, and the time of the round is saved for all. Whoever loops over
/// projects with one cursor, or leaves the error to the log, loses what the one had.
#[test]
fn a_cursor_that_moves_although_a_project_failed_loses_its_events() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        let project = stage.api.projects().remove(1);
        stage.api.restrict(&project, Refusal::Role);
        subject.poll();
        stage.api.allow(&project);
        stage.advance(minutes(5));
        subject.poll();
    };
    let config = Config { projects: 3, project_events: 24, ..empty() };
    let play = Play { config, stream: Stream::Projects, options: "", scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { saves: Saves::EvenAfterAnError, ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    assert!(outcome.lost.len() > 20, "{}", outcome.lost.len());
}

/// Pages are read up to a number that seemed to be plenty: whoever wants to be sure that paging ends
/// drops the rest without a word.
#[test]
fn a_cap_on_pages_drops_the_rest() {
    let scenario = |_: &Stage, subject: &mut dyn Subject| subject.poll();
    let play =
        Play { config: paged(1700), stream: Stream::Organization, options: ONE_WINDOW, scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { most_pages: 2, ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    // the newest ones had not settled, and were in the next window
    assert!((650..=700).contains(&outcome.lost.len()), "{}", outcome.lost.len());
}

/// 75 logins within three seconds, of which an answer holds 40.
fn burst_of_logins(wrong: Policy) -> stage::Outcome {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        let times: Vec<f64> = (0..75_u32).map(|n| 3600.0 + 0.04 * f64::from(n)).collect();
        stage.happened(&times);
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Access, options: "", scenario: &scenario };
    play.contrast(&Policy::without_ids(), wrong)
}

/// The access history has no pages: whoever takes a full answer for all there is loses what is older.
#[test]
fn a_full_answer_of_the_access_history_is_not_all() {
    let outcome = burst_of_logins(Policy { full: Full::Take, ..Policy::without_ids() });
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 35);
}

/// Whoever goes on before the oldest timestamp of a full answer makes pages out of times that only know
/// their second: the others of that second are lost.
#[test]
fn stepping_back_by_timestamps_of_whole_seconds_loses_the_rest_of_a_second() {
    let outcome = burst_of_logins(Policy { full: Full::StepBack, ..Policy::without_ids() });
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 11);
}

/// The cursor is saved, but read back only where reading it has failed: every restart is a first run.
/// With a first run that takes everything, everything comes again; with one that takes the last few
/// minutes, what happened before them is lost.
#[test]
fn a_cursor_that_is_never_restored_makes_every_restart_a_first_run() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[240.0, 120.0]);
        subject.poll();
        stage.happened(&[0.0]);
        stage.advance(minutes(30));
        subject.restart();
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy::default();
    play.contrast(&right, Policy { restores: false, ..right.clone() }).assert_repeats_only();
    let right = Policy { first: First::Interval(TimeDelta::minutes(5)), ..right };
    play.contrast(&right, Policy { restores: false, ..right.clone() }).assert_loses_only();
}

/// The first run takes what happened since one interval ago. Whoever has no option for the beginning
/// starts with a hole: what the organisation did until then, or while the puller was being set up.
#[test]
fn a_first_run_of_one_interval_has_no_past() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[20_000.0, 3600.0, 90.0]);
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { first: First::Interval(TimeDelta::minutes(5)), ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 2);
}

/// 429 is answered with a wait of the client's own choice. It asks again and again while it is told to
/// wait, uses up its tries, and gives up.
#[test]
fn a_wait_of_ones_own_choice_breaks_the_budget() {
    let scenario = |_: &Stage, subject: &mut dyn Subject| subject.poll();
    let limits = RateLimits::default().with(RateSet::OrganizationEvents, 3, 180);
    let play = Play {
        config: Config { limits, ..paged(1800) },
        stream: Stream::Organization,
        options: ONE_WINDOW,
        scenario: &scenario,
    };
    let right = play.puller(Policy::default());
    let jaquard = play.jaquard();
    let wrong = play.puller(Policy { waits: Waits::Fixed(Duration::from_millis(10)), ..Policy::default() });
    assert!(right.lost.is_empty() && right.repeated.is_empty());
    wrong.assert_loses_only();
    assert!(right.violations <= 2 && jaquard.violations <= 2, "{right:?} {jaquard:?}");
    assert!(wrong.violations >= 8, "{}", wrong.violations);
}

/// `Retry-After` comes in seconds or as a date. Whoever reads one form only falls back to a wait of its
/// own for the other.
#[test]
fn both_forms_of_retry_after_are_kept() {
    for fault in [Fault::TooManySeconds, Fault::TooManyDate] {
        let waited = Cell::new(TimeDelta::zero());
        let scenario = |stage: &Stage, subject: &mut dyn Subject| {
            stage.happened(&[3600.0]);
            stage.api.fail_next("events", fault, 1);
            subject.poll();
            let log = stage.api.log();
            let refused = log.iter().position(|logged| logged.status == 429).unwrap();
            waited.set(log[refused + 1].at - log[refused].at);
        };
        let config = Config {
            faults: Faults { retry_after: 2, ..Faults::default() },
            clock: jaquard::testkit::fake_api::Clock::default(),
            ..empty()
        };
        let play = Play { config, stream: Stream::Organization, options: ONE_WINDOW, scenario: &scenario };
        play.jaquard();
        // a date has no fraction of a second
        assert!(waited.get() >= TimeDelta::seconds(1), "{fault:?}: {}", waited.get());
        let wrong = Policy { waits: Waits::Fixed(Duration::from_millis(10)), ..Policy::default() };
        play.puller(wrong);
        assert!(waited.get() < TimeDelta::seconds(1), "{fault:?}: {}", waited.get());
    }
}

/// A nonce that has grown old is answered with 401 and `stale=true`. Whoever takes every 401 to a signed
/// request for a wrong key stops for good.
#[test]
fn a_stale_nonce_is_no_wrong_key() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.api.fail_next("pageNum=2", Fault::StaleNonce, 1);
        subject.poll();
    };
    let play = Play {
        config: Config { auth: digest(), ..paged(700) },
        stream: Stream::Organization,
        options: ONE_WINDOW,
        scenario: &scenario,
    };
    let right = Policy::default();
    let wrong = Policy { knows_stale_nonces: false, ..right.clone() };
    play.contrast(&right, wrong).assert_loses_only();
}

/// A token for each request: the endpoint of tokens has a limit of its own, far below that of the events,
/// and whoever does not keep a token reaches it with the first round over some projects.
#[test]
fn a_token_for_each_request_is_a_storm_of_token_requests() {
    let scenario = |_: &Stage, subject: &mut dyn Subject| subject.poll();
    let play = Play {
        config: Config {
            auth: account(),
            limits: RateLimits::default(),
            projects: 14,
            project_events: 3,
            ..empty()
        },
        stream: Stream::Projects,
        options: ONE_WINDOW,
        scenario: &scenario,
    };
    let right = play.puller(Policy::default());
    let jaquard = play.jaquard();
    let wrong = play.puller(Policy { tokens: Tokens::OneForEachRequest, ..Policy::default() });
    assert!(right.lost.is_empty() && right.token_requests == 1);
    // one for each of its two processes
    assert!(jaquard.token_requests == 2 && jaquard.violations == 0, "{jaquard:?}");
    wrong.assert_loses_only();
    assert!(wrong.token_requests > 15 && wrong.violations > 4, "{wrong:?}");
}

/// A token ends, or is taken back, between two pages. Whoever gets one at the start and never looks back
/// is refused from then on.
#[test]
fn a_token_that_ends_within_a_window_is_renewed() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.api.fail_next("pageNum=2", Fault::RevokeToken, 1);
        subject.poll();
    };
    let play = Play {
        config: Config { auth: account(), ..paged(700) },
        stream: Stream::Organization,
        options: ONE_WINDOW,
        scenario: &scenario,
    };
    let right = Policy::default();
    let wrong = Policy { tokens: Tokens::KeptForEver, ..right.clone() };
    play.contrast(&right, wrong).assert_loses_only();
}

/// Times are read in the one form that the documents show, without a fraction: events whose time cannot
/// be read are passed over.
#[test]
fn a_time_with_a_fraction_is_a_time() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[3_600.0, 3_500.5, 3_400.123_456]);
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy::default();
    let outcome = play.contrast(&right, Policy { time: puller::whole_seconds, ..right.clone() });
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 2);
}

/// The access history writes `GMT` or `EDT`, hours of one digit, and sometimes the wrong day of the week.
/// Whoever reads one form passes over the others, or takes them for 1970 and therefore for old.
#[test]
fn a_time_in_another_zone_is_a_time() {
    let scenario = |_: &Stage, subject: &mut dyn Subject| subject.poll();
    let config = Config { access_records: 150, ..empty() };
    let play = Play { config, stream: Stream::Access, options: "", scenario: &scenario };
    let right = Policy::without_ids();
    let outcome = play.contrast(&right, Policy { time: puller::gmt_only, ..right.clone() });
    outcome.assert_loses_only();
    play.puller(Policy { time: puller::gmt_or_1970, ..right }).assert_loses_only();
}

/// The forms of time that were seen, the readers that cannot read them, and the instant that they are.
#[test]
fn every_observed_form_of_time_is_read_as_the_right_instant() {
    type Reader = fn(&str) -> Option<DateTime<Utc>>;
    let observed: [(&str, &str, &[Reader]); 9] = [
        ("2023-04-26T02:38:56Z", "2023-04-26T02:38:56Z", &[]),
        ("2025-03-11T08:41:03.123Z", "2025-03-11T08:41:03.123Z", &[puller::whole_seconds]),
        ("2025-03-11T08:41:03.123456Z", "2025-03-11T08:41:03.123Z", &[puller::whole_seconds]),
        ("2023-04-26T02:38:56.444+00:00", "2023-04-26T02:38:56.444Z", &[puller::whole_seconds]),
        ("2023-04-26T02:38:56.444+0000", "2023-04-26T02:38:56.444Z", &[puller::rfc3339]),
        ("2019-07-25T19:14:42.484+0000", "2019-07-25T19:14:42.484Z", &[puller::rfc3339]),
        ("2019-07-25T19:14:42.484-0430", "2019-07-25T23:44:42.484Z", &[puller::rfc3339]),
        ("Wed Apr 26 02:38:56 GMT 2023", "2023-04-26T02:38:56Z", &[puller::rfc3339]),
        // it was a Thursday
        ("Sun Jul 25 9:14:42 EDT 2019", "2019-07-25T13:14:42Z", &[puller::rfc3339, puller::gmt_only]),
    ];
    let expected = |text: &str| puller::rfc3339(text).unwrap().timestamp_millis();
    for (form, instant, readers) in observed {
        for reader in readers {
            assert_ne!(reader(form).map(|at| at.timestamp_millis()), Some(expected(instant)), "{form}");
        }
    }
    assert_eq!(puller::gmt_or_1970(observed[8].0), Some(DateTime::default()));

    let program =
        r#"[(try to_epoch_ms catch null), parse_time(["%FT%T.%f%z", "%FT%T%z", "%a %b %d %T %Z %Y"])]"#;
    let input: String = observed.iter().map(|(form, ..)| format!("\"{form}\"\n")).collect();
    let run = Workspace::new().run_with_input(&["jq", "-c", program], input).expect_code(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), observed.len(), "{}", run.stdout);
    for ((form, instant, _), line) in observed.iter().zip(lines) {
        let at = expected(instant);
        // without a format only what begins with the year is read
        let by_itself = if form.starts_with('2') { at.to_string() } else { "null".to_owned() };
        assert_eq!(line, format!("[{by_itself},{at}]"), "{form}");
    }
}

/// The place in a stream is the time of the last event, cut to seconds, or to the milliseconds that a
/// parameter takes. Whoever goes on from it gets the events after the cut again.
#[test]
fn a_time_that_is_cut_fetches_events_again() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[-0.2, -0.700_25, -0.900_5]);
        stage.advance(minutes(2));
        subject.poll();
        stage.happened(&[-1.5]);
        stage.advance(minutes(2));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Atlassian, options: "", scenario: &scenario };
    let right = Policy { memory: Memory::Nothing, ..Policy::default() };
    let wrong = Policy { resumes: Resumes::ByTime(1000), ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_repeats_only();
    assert!(outcome.repeated.len() >= 3);
    play.puller(Policy { resumes: Resumes::ByTime(1), ..right }).assert_repeats_only();
}

fn logs(empty_log: EmptyLog) -> Config {
    let config = empty();
    Config { atlas: AtlasOptions { empty_log, ..config.atlas }, ..config }
}

fn log_policy() -> Policy {
    Policy { until: Until::Settled(TimeDelta::minutes(10)), ..Policy::without_ids() }
}

/// A log without lines is a compressed file of nothing, or no byte at all. Whoever takes it for a broken
/// download gives up a host that was merely quiet.
#[test]
fn an_empty_file_is_no_failure() {
    for empty_log in [EmptyLog::Gzip, EmptyLog::NoBody] {
        let scenario = |stage: &Stage, subject: &mut dyn Subject| {
            subject.poll();
            stage.happened(&[60.0, 30.0]);
            stage.advance(minutes(30));
            subject.poll();
        };
        let play = Play { config: logs(empty_log), stream: Stream::Log, options: "", scenario: &scenario };
        let wrong = Policy { accepts_empty: false, ..log_policy() };
        play.contrast(&log_policy(), wrong).assert_loses_only();
    }
}

/// Log files lag some minutes behind. Whoever asks up to now gets nothing of these minutes, and does not
/// ask for them again.
#[test]
fn log_files_lag_behind() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[-60.0, -780.0, -840.0]);
        stage.advance(minutes(15));
        subject.poll();
        stage.advance(minutes(30));
        subject.poll();
    };
    let play = Play { config: logs(EmptyLog::Gzip), stream: Stream::Log, options: "", scenario: &scenario };
    let wrong = Policy { until: Until::Settled(TimeDelta::zero()), ..log_policy() };
    play.contrast(&log_policy(), wrong).assert_loses_only();
}

/// The list of hosts is empty for a while, as it is while a cluster is paused or the API has a bad day.
/// Whoever keeps state only for what is listed begins those hosts anew.
#[test]
fn an_empty_list_of_hosts_is_no_reason_to_forget_them() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[7200.0, 3600.0]);
        subject.poll();
        stage.hide_hosts(true);
        stage.advance(minutes(30));
        subject.poll();
        stage.hide_hosts(false);
        stage.happened(&[1200.0]);
        stage.advance(minutes(30));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Access, options: "", scenario: &scenario };
    let right = Policy::without_ids();
    let wrong = Policy { forgets_what_is_gone: true, ..right.clone() };
    play.contrast(&right, wrong).assert_repeats_only();
}

/// The same within one process, which is where state is dropped if it is.
#[test]
fn hosts_that_vanish_from_the_list_of_a_running_process_go_on_where_they_were() {
    let stage = Stage::new(empty(), Stream::Access);
    stage.happened(&[7200.0, 3600.0]);
    let jaquard = Jaquard::new(&stage, "interval = \"50ms\"\ndiscovery_interval = \"100ms\"");
    let mut child = jaquard.workspace.start(&["run", "pipeline.toml"], "log");
    jaquard.workspace.wait_for_lines("out.ndjson", 2);
    stage.hide_hosts(true);
    jaquard.workspace.wait_for_text("log", "the partition is gone");
    stage.advance(minutes(30));
    stage.happened(&[1200.0]);
    stage.hide_hosts(false);
    jaquard.workspace.wait_for_lines("out.ndjson", 3);
    // some more rounds, in which something could come again
    let before = stage.api.requests().total();
    let end = Instant::now() + Duration::from_secs(20);
    while stage.api.requests().total() < before + 6 && Instant::now() < end {
        pause(Duration::from_millis(10));
    }
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    jaquard.outcome().assert_exact("jaquard");
}

/// A key has expired. Whoever takes 401 for an answer without events moves on, and nobody hears of it.
#[test]
fn the_first_401_is_told_and_moves_nothing() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[7200.0, 3600.0]);
        stage.api.restrict("*", Refusal::NotAMember);
        subject.poll();
        stage.api.allow("*");
        stage.advance(minutes(5));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = play.puller(Policy::default());
    let jaquard = play.jaquard();
    let wrong = play.puller(Policy { tells_401: false, ..Policy::default() });
    assert_eq!((right.lost.len(), right.alerts, jaquard.alerts), (0, 1, 1));
    wrong.assert_loses_only();
    assert_eq!(wrong.alerts, 0);
}

/// Windows end by the clock of this machine, which is ahead of the server's: they reach into a future
/// that the server does not know yet, and what happens there is taken for read. (For jaquard the server's
/// clock is far behind in all of these scenarios.)
#[test]
fn a_local_clock_that_is_ahead_loses_what_is_still_to_come() {
    let scenario = |stage: &Stage, subject: &mut dyn Subject| {
        stage.happened(&[3600.0]);
        subject.poll();
        stage.advance(minutes(30));
        stage.happened(&[1200.0, 300.0]);
        stage.advance(minutes(10));
        subject.poll();
    };
    let play = Play { config: empty(), stream: Stream::Organization, options: "", scenario: &scenario };
    let right = Policy::default();
    let wrong = Policy { clock: Clock::Local(TimeDelta::hours(2)), ..right.clone() };
    let outcome = play.contrast(&right, wrong);
    outcome.assert_loses_only();
    assert_eq!(outcome.lost.len(), 2);
}
