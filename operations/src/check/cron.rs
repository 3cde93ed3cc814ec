//! The five fields of crontab(5), and time zones.

use std::{ops::RangeInclusive, sync::LazyLock};

use jiff::tz::TimeZoneDatabase;

use crate::{
    report::{Problem, Span, shown},
    schema::nearest,
};

/// What the fields are.
pub(super) const HELP: &str = "the fields are minute, hour, day of month, month, day of week, such as \"0 2 * * *\" for 02:00 every day";

/// What is wrong with the fields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CronError {
    /// The part of the text.
    pub(super) part: Span,
    pub(super) message: String,
    pub(super) wanted: String,
}

struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    /// Names of the values, from the lowest on.
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
static FIELDS: [Field; 5] = [
    Field { name: "minute", range: 0..=59, names: &[] },
    Field { name: "hour", range: 0..=23, names: &[] },
    Field { name: "day of month", range: 1..=31, names: &[] },
    Field { name: "month", range: 1..=12, names: &MONTHS },
    Field { name: "day of week", range: 0..=7, names: &DAYS },
];

/// Whether a text is five fields that some day match.
pub(super) fn check(text: &str) -> Result<(), CronError> {
    Fields::read(text).map(drop)
}

/// The five fields, each as the values that it stands for.
pub(crate) struct Fields {
    sets: [u64; 5],
    /// Whether the day of the month, and the day of the week, are restricted: if both are, either is enough.
    restricted: (bool, bool),
}

impl Fields {
    pub(crate) fn hours(&self) -> impl Iterator<Item = i8> + Clone + use<> {
        values(self.sets[1], 23)
    }

    pub(crate) fn minutes(&self) -> impl Iterator<Item = i8> + Clone + use<> {
        values(self.sets[0], 59)
    }

    /// Whether a day matches; Sunday is 0.
    pub(crate) fn is_on(&self, day: u8, month: u8, weekday: u8) -> bool {
        let has = |field: usize, value: u8| self.sets[field] & (1 << value) != 0;
        let (on_day, on_weekday) = (has(2, day), has(4, weekday) || (weekday == 0 && has(4, 7)));
        let is_day = match self.restricted {
            (true, true) => on_day || on_weekday,
            _ => on_day && on_weekday,
        };
        has(3, month) && is_day
    }

    /// Reads a text that is five fields which some day match.
    pub(crate) fn read(text: &str) -> Result<Self, CronError> {
        read(text)
    }
}

fn values(set: u64, last: i8) -> impl Iterator<Item = i8> + Clone + use<> {
    (0..=last).filter(move |value| set & (1 << value) != 0)
}

fn read(text: &str) -> Result<Fields, CronError> {
    let parts: Vec<(usize, &str)> = text
        .split_ascii_whitespace()
        .map(|part| (part.as_ptr() as usize - text.as_ptr() as usize, part))
        .collect();
    if parts.len() != FIELDS.len() {
        let s = if parts.len() == 1 { "" } else { "s" };
        return Err(CronError {
            part: 0..text.len(),
            message: format!("cron has {} field{s}, not 5", parts.len()),
            wanted: "expected five fields".to_owned(),
        });
    }
    let mut sets = [0; 5];
    for (((start, part), field), set) in parts.iter().zip(&FIELDS).zip(&mut sets) {
        *set = field.set(part).ok_or_else(|| field.error(*start..start + part.len(), part))?;
    }
    let (days, months) = (sets[2], sets[3]);
    let lengths = [31_u32, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let exists =
        (1..).zip(lengths).any(|(month, last)| months & (1 << month) != 0 && days.trailing_zeros() <= last);
    // With a day of the week as well, either matching is enough.
    if parts[4].1 == "*" && !exists {
        return Err(CronError {
            part: parts[2].0..parts[3].0 + parts[3].1.len(),
            message: "no such month has such a day: this would never run".to_owned(),
            wanted: "expected a day that exists".to_owned(),
        });
    }
    Ok(Fields { sets, restricted: (parts[2].1 != "*", parts[4].1 != "*") })
}

impl Field {
    fn error(&self, part: Span, text: &str) -> CronError {
        let names =
            if self.names.is_empty() { String::new() } else { format!(" or {}", self.names.join(", ")) };
        let wanted =
            format!("expected {} to {}{names}; *, a-b, a,b and */n", self.range.start(), self.range.end());
        CronError { part, message: format!("the {} cannot be '{}'", self.name, shown(text)), wanted }
    }

    /// The values that a field stands for, as bits.
    fn set(&self, text: &str) -> Option<u64> {
        text.split(',').try_fold(0, |set, item| Some(set | self.item(item)?))
    }

    fn item(&self, text: &str) -> Option<u64> {
        let (values, step) = match text.split_once('/') {
            Some((values, step)) => (values, Some(number(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (low, high) = match values.split_once('-') {
            _ if values == "*" => (*self.range.start(), *self.range.end()),
            Some((low, high)) => (self.value(low)?, self.value(high)?),
            // `5/10` is from 5 on, every 10.
            None if step.is_some() => (self.value(values)?, *self.range.end()),
            None => (self.value(values)?, self.value(values)?),
        };
        (low <= high)
            .then(|| (low..=high).step_by(usize::from(step.unwrap_or(1))).fold(0, |set, v| set | 1 << v))
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(index) => u8::try_from(index).ok()? + self.range.start(),
            None => number(text)?,
        };
        self.range.contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The zones, as bundled: what is right must not depend on the machine that checks it.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone by its name.
pub(crate) fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    ZONES.get(name).ok()
}

/// The problem, if a time zone is not known.
pub(super) fn unknown_zone(name: &str, span: Span) -> Option<Problem> {
    if ZONES.get(name).is_ok() {
        return None;
    }
    let zones: Vec<String> = ZONES.available().map(|zone| zone.to_string()).collect();
    let near = nearest(name, zones.iter().map(String::as_str));
    Some(
        Problem::at(span, format!("there is no time zone '{}'", shown(name)))
            .label("expected a name such as Europe/Berlin or UTC")
            .help_if(near.map(|near| format!("did you mean '{near}'?"))),
    )
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn fields_as_in_crontab() {
        for good in [
            "0 2 * * *",
            "*/15 0-6,22 1,15 jan-mar MON",
            "59 23 31 12 7",
            "5/10 * * * *",
            "0 0 31 2 1",
            "0 0 29 2 *",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("0 2 * *", 0..7),
            ("", 0..0),
            ("0 24 * * *", 2..4),
            ("60 2 * * *", 0..2),
            ("0 2 0 * *", 4..5),
            ("0 2 * 13 *", 6..8),
            ("0 2 * * 8", 8..9),
            ("0 2 * * 5-1", 8..11),
            ("*/0 2 * * *", 0..3),
            ("0 2 31 2,4 *", 4..10),
            ("0 2 +1 * *", 4..6),
            ("@daily", 0..6),
        ] {
            assert_eq!(check(bad).map_err(|e| e.part), Err(part), "{bad}");
        }
    }
}
