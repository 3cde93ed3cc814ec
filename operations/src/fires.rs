//! When a schedule fires next, by the fields that `check` has read.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::{check::cron, operation::Schedule};

/// How far is looked: a 29 February comes at least every eight years.
const DAYS: usize = 366 * 9;

impl Schedule {
    /// The first time after a moment at which it fires, in its own time zone or, without one, in this; `None` if there is
    /// none, or its fields are none.
    pub fn next_after(&self, after: Timestamp, local: &TimeZone) -> Option<Timestamp> {
        let fields = cron::Fields::read(&self.cron).ok()?;
        let zone = match &self.timezone {
            Some(name) => cron::zone(name)?,
            None => local.clone(),
        };
        let mut date = after.to_zoned(zone.clone()).date();
        for _ in 0..DAYS {
            if is_on(&fields, date) {
                let times =
                    fields.hours().flat_map(|hour| fields.minutes().map(move |minute| (hour, minute)));
                for (hour, minute) in times {
                    // A time that the clocks leap over is the moment at which they do.
                    let at = date.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?.timestamp();
                    if at > after {
                        return Some(at);
                    }
                }
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }
}

fn is_on(fields: &cron::Fields, date: Date) -> bool {
    let weekday = u8::try_from(date.weekday().to_sunday_zero_offset()).unwrap_or_default();
    let (day, month) = (date.day().unsigned_abs(), date.month().unsigned_abs());
    fields.is_on(day, month, weekday)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Missed, Overlap};

    fn next(cron: &str, timezone: Option<&str>, after: &str) -> Option<String> {
        let schedule = Schedule {
            cron: cron.to_owned(),
            timezone: timezone.map(str::to_owned),
            missed: Missed::default(),
            overlap: Overlap::default(),
        };
        let after = after.parse().unwrap();
        schedule.next_after(after, &TimeZone::UTC).map(|at| at.to_string())
    }

    #[test]
    fn the_next_time_is_the_first_that_all_fields_match() {
        let friday = "2026-11-20T17:00:00Z";
        for (cron, zone, wanted) in [
            ("0 2 * * *", None, "2026-11-21T02:00:00Z"),
            ("0 2 * * *", Some("Europe/Berlin"), "2026-11-21T01:00:00Z"),
            ("0 17 * * *", None, "2026-11-21T17:00:00Z"),
            ("*/15 17-18 * * *", None, "2026-11-20T17:15:00Z"),
            ("30 1 * * mon", None, "2026-11-23T01:30:00Z"),
            ("30 1 * * 7", None, "2026-11-22T01:30:00Z"),
            // Of both fields of days either is enough.
            ("0 0 1 * sat", None, "2026-11-21T00:00:00Z"),
            ("0 0 29 2 *", None, "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(cron, zone, friday).as_deref(), Some(wanted), "{cron}");
        }
        assert_eq!(next("0 24 * * *", None, friday), None);
        assert_eq!(next("0 2 * * *", Some("Mars/Olympus"), friday), None);
    }

    #[test]
    fn a_time_that_the_clocks_leap_over_is_not_lost() {
        let at = next("30 2 * * *", Some("Europe/Berlin"), "2026-03-28T12:00:00Z");
        assert_eq!(at.as_deref(), Some("2026-03-29T01:30:00Z"));
    }
}
