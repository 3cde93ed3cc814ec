//! Durations and sizes as operators write them: `90s`, `10m`, `30d`; `64MiB`.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`. Kept in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(pub u64);

/// A size: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`. Kept in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// Units of a duration, the largest first, in milliseconds.
const PERIODS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Units of a size, the largest first, in bytes.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// What a duration looks like, in a schema. As many digits as fit whatever the unit.
pub const PERIOD_PATTERN: &str = "^[0-9]{1,11}(ms|s|m|h|d)$";
/// What a duration looks like, in words.
pub const PERIOD_WANTED: &str = "a duration such as 90s, 10m, 6h or 30d";
/// What a size looks like, in a schema. As many digits as fit whatever the unit.
pub const SIZE_PATTERN: &str = "^([0-9]{1,12}(B|KiB|MiB)|[0-9]{1,7}(GiB|TiB))$";
/// What a size looks like, in words.
pub const SIZE_WANTED: &str = "a size such as 512KiB, 64MiB or 2GiB";

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn print(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let zero = units[units.len() - 1];
    let (unit, factor) =
        units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)).unwrap_or(&zero);
    f.pad(&format!("{}{unit}", value / factor))
}

impl Period {
    /// Reads `90s` and its like; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text, &PERIODS).map(Self)
    }

    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Size {
    /// Reads `64MiB` and its like; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text, &SIZES).map(Self)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &PERIODS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZES, f)
    }
}

macro_rules! as_text {
    ($type:ident, $name:literal, $pattern:expr, $wanted:expr) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text)
                    .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not {}", $wanted)))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $wanted })
            }
        }
    };
}

as_text!(Period, "Duration", PERIOD_PATTERN, PERIOD_WANTED);
as_text!(Size, "Size", SIZE_PATTERN, SIZE_WANTED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_print_as_they_are_read() {
        for text in ["90s", "10m", "30d", "1ms", "0ms", "1500ms"] {
            assert_eq!(Period::parse(text).map(|p| p.to_string()).as_deref(), Some(text));
        }
        for text in ["64MiB", "1B", "3TiB"] {
            assert_eq!(Size::parse(text).map(|s| s.to_string()).as_deref(), Some(text));
        }
        for text in
            ["", "10", "s", "-1s", "1.5h", "10 m", "99999999999999999999s", "18446744073709551615d", "١s"]
        {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
