//! Business hours, through clock changes and around midnight.

use super::hours::{Day, Hours, Span};
use crate::Time;

fn span(from: &str, to: &str) -> Vec<Span> {
    vec![Span { from: from.into(), to: to.into() }]
}

fn berlin(day: Day, spans: Vec<Span>) -> Hours {
    Hours { zone: "Europe/Berlin".into(), week: [(day, spans)].into(), holidays: Default::default() }
}

fn at(utc: &str) -> Time {
    Time(utc.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

#[test]
fn hours_are_those_of_the_zone_in_winter_and_in_summer() {
    let hours = berlin(Day::Monday, span("09:00", "17:00"));
    for (utc, open) in [
        ("2026-01-12T07:59:59Z", false),
        ("2026-01-12T08:00:00Z", true),
        ("2026-01-12T16:00:00Z", false),
        ("2026-07-13T07:00:00Z", true),
        ("2026-07-13T06:59:59Z", false),
        ("2026-07-13T15:00:00Z", false),
        ("2026-07-14T08:00:00Z", false),
    ] {
        assert_eq!(hours.open(at(utc)), Ok(open), "{utc}");
    }
}

#[test]
fn the_hour_that_is_skipped_does_not_come_and_the_one_that_comes_twice_is_judged_the_same() {
    // 29 March 2026, 02:00 becomes 03:00; 25 October 2026, 03:00 becomes 02:00.
    let hours = berlin(Day::Sunday, span("02:30", "03:00"));
    for minute in 0..120 {
        let now = at("2026-03-29T00:00:00Z").plus(minute * 60_000);
        assert_eq!(hours.open(now), Ok(false), "minute {minute}");
    }
    for twice in ["2026-10-25T00:45:00Z", "2026-10-25T01:45:00Z"] {
        assert_eq!(hours.open(at(twice)), Ok(true), "{twice}");
    }
    assert_eq!(hours.open(at("2026-10-25T02:45:00Z")), Ok(false));
}

#[test]
fn a_span_may_go_past_midnight_and_to_the_days_end() {
    let night = berlin(Day::Friday, span("22:00", "02:00"));
    assert_eq!(night.open(at("2026-01-16T22:30:00Z")), Ok(true));
    assert_eq!(night.open(at("2026-01-17T00:30:00Z")), Ok(true));
    assert_eq!(night.open(at("2026-01-17T01:00:00Z")), Ok(false));
    assert_eq!(night.open(at("2026-01-16T00:30:00Z")), Ok(false), "not the night before");
    let late = berlin(Day::Friday, span("20:00", "24:00"));
    assert_eq!(late.open(at("2026-01-16T22:59:59Z")), Ok(true));
    assert_eq!(late.open(at("2026-01-16T23:00:00Z")), Ok(false));
}

#[test]
fn a_holiday_has_its_own_hours_or_none() {
    let mut hours = berlin(Day::Thursday, span("09:00", "17:00"));
    hours.holidays.insert("2026-12-24".into(), span("09:00", "12:00"));
    hours.holidays.insert("2026-12-31".into(), Vec::new());
    assert_eq!(hours.open(at("2026-12-24T10:00:00Z")), Ok(true));
    assert_eq!(hours.open(at("2026-12-24T12:00:00Z")), Ok(false));
    assert_eq!(hours.open(at("2026-12-31T10:00:00Z")), Ok(false));
}

#[test]
fn what_makes_no_sense_is_told() {
    let mut hours = berlin(Day::Monday, span("9 o'clock", "25:00"));
    hours.zone = "Mars/Olympus".into();
    hours.holidays.insert("tomorrow".into(), Vec::new());
    assert_eq!(hours.faults().len(), 4, "{:?}", hours.faults());
    assert!(hours.open(Time(0)).is_err());
    assert!(hours.open(Time(i64::MAX)).is_err());
}
