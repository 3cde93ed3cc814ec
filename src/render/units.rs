//! Sizes, durations and times as people read them: the same value always gives the same text.

use jiff::{Timestamp, tz::TimeZone};

/// The units of a size, each 1024 of the one before.
const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes: `24 B`, `1.2 MiB`, `64 MiB`; one decimal below ten.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut power = 0;
    // Tenths of the unit, rounded half up; wide enough for every u64.
    let mut tenths = (u128::from(bytes) * 10 + 512) / 1024;
    while tenths >= 10_235 && power + 1 < UNITS.len() {
        power += 1;
        let unit = 1_u128 << (10 * (power + 1));
        tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    }
    let unit = UNITS[power];
    if tenths >= 100 {
        format!("{} {unit}", (tenths + 5) / 10)
    } else if tenths.is_multiple_of(10) {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// A length of time in milliseconds: `12 ms`, `1 s`, `2 min 10 s`, `3 h 5 min`, `2 d 4 h`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// How long ago something was, in its largest unit: `9 h`, `3 d`. What is yet to come is `0 s`.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(now.as_second() - then.as_second()).unwrap_or(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The milliseconds between two moments; none if they are in the wrong order.
pub(crate) fn between(began: Timestamp, ended: Timestamp) -> u64 {
    u64::try_from(ended.as_millisecond() - began.as_millisecond()).unwrap_or(0)
}

/// A moment to the minute, in this zone: `2026-11-18 02:00`.
pub(crate) fn minute(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A moment to the second, in this zone: `2026-11-18 02:00:07`.
pub(crate) fn second(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `1 step`, `2 steps`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_and_never_show_1024_of_a_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1_258_291, "1.2 MiB"),
            (10 * 1024, "10 KiB"),
            (10_188, "9.9 KiB"),
            (10_239, "10 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (1023 << 10, "1023 KiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        for (milliseconds, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (59_999, "59 s"),
            (130_000, "2 min 10 s"),
            (120_000, "2 min"),
            (11_100_000, "3 h 5 min"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(duration(milliseconds), text, "{milliseconds}");
        }
    }

    #[test]
    fn ages_show_their_largest_unit_and_are_never_negative() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, text) in [(0, "0 s"), (-5, "0 s"), (61, "1 min"), (32_400, "9 h"), (259_200, "3 d")] {
            assert_eq!(age(Timestamp::from_second(1_000_000 - seconds).unwrap(), now), text);
        }
    }
}
