//! Business hours: when somebody is there, in a time zone, with holidays. The zones' rules are part of the program, so
//! that this needs no look at the outside; what is asked is whether a given moment is inside.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::civil::{Date, Time as Clock, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Time;

/// Hours of operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// An IANA time zone: `Europe/Berlin`.
    pub zone: String,
    /// For each day of the week when it is open; a day that is not named is closed.
    #[serde(default)]
    pub week: BTreeMap<Day, Vec<Span>>,
    /// Dates on which other hours hold, `2026-12-24`; without spans it is closed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holidays: BTreeMap<String, Vec<Span>>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// From one time of day to another, `09:00` to `17:30`. The end is not part of it; `24:00` is the day's end. An end before
/// the beginning is on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// When it opens.
    pub from: String,
    /// When it closes.
    pub to: String,
}

/// Why hours cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The zone is not known.
    #[error("the time zone `{0}` is not known")]
    Zone(String),
    /// A time of day cannot be read.
    #[error("`{0}` is not a time of day such as 09:00")]
    Clock(String),
    /// A date cannot be read.
    #[error("`{0}` is not a date such as 2026-12-24")]
    Date(String),
    /// The moment is out of the calendar's range.
    #[error("the moment is out of range")]
    Moment,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Hours {
    /// Whether `now` is inside. Time of day is the wall clock's of the zone: when it is set back, the hour that comes twice
    /// is judged the same twice; an hour that is skipped does not come.
    ///
    /// # Errors
    /// The hours make no sense.
    pub fn open(&self, now: Time) -> Result<bool, Unclear> {
        let local = self.local(now)?;
        let minute =
            u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
        let today = self.spans_of(local.date())?;
        if today.iter().any(|(from, to)| *from <= minute && minute < if to > from { *to } else { DAY }) {
            return Ok(true);
        }
        // What opened yesterday and goes on past midnight.
        let Ok(yesterday) = local.date().yesterday() else { return Ok(false) };
        let before = self.spans_of(yesterday)?;
        Ok(before.iter().any(|(from, to)| to <= from && minute < *to))
    }

    /// All that makes no sense in it.
    pub fn faults(&self) -> Vec<Unclear> {
        let zone = zone(&self.zone).err();
        let spans = self.week.values().chain(self.holidays.values()).flatten();
        let clocks = spans.flat_map(|span| [&span.from, &span.to]).filter_map(|text| minutes(text).err());
        let dates = self.holidays.keys().filter_map(|text| date(text).err());
        zone.into_iter().chain(clocks).chain(dates).collect()
    }

    fn local(&self, now: Time) -> Result<Zoned, Unclear> {
        let moment = Timestamp::from_millisecond(now.0).map_err(|_| Unclear::Moment)?;
        Ok(moment.to_zoned(zone(&self.zone)?))
    }

    fn spans_of(&self, day: Date) -> Result<Vec<(u16, u16)>, Unclear> {
        let spans = match self.holidays.get(&day.to_string()) {
            Some(spans) => Some(spans),
            None => self.week.get(&Day::of(day.weekday())),
        };
        let spans = spans.map(Vec::as_slice).unwrap_or_default();
        spans.iter().map(|span| Ok((minutes(&span.from)?, minutes(&span.to)?))).collect()
    }
}

impl Day {
    fn of(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

/// From the database that is compiled in, never from the machine's files: the same inputs give the same entries anywhere.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

fn zone(name: &str) -> Result<TimeZone, Unclear> {
    ZONES.get(name).map_err(|_| Unclear::Zone(name.to_owned()))
}

fn minutes(text: &str) -> Result<u16, Unclear> {
    if text == "24:00" {
        return Ok(DAY);
    }
    let unclear = || Unclear::Clock(text.to_owned());
    let clock: Clock = text.parse().map_err(|_| unclear())?;
    if text.len() != 5 {
        return Err(unclear());
    }
    Ok(u16::try_from(clock.hour()).unwrap_or(0) * 60 + u16::try_from(clock.minute()).unwrap_or(0))
}

fn date(text: &str) -> Result<Date, Unclear> {
    text.parse().map_err(|_| Unclear::Date(text.to_owned()))
}
