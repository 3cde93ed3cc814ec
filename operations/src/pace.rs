//! How fast pairs are copied: one setting for whatever copies them, handed to the drivers that have one.

use std::{borrow::Cow, fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    driver::DriverFile,
    pair::PairRef,
    site::{PairDriverKind, Volume},
    units::Size,
};

/// The setting of a driver file that takes a pace: a driver that declares it has one.
pub(crate) const SETTING: &str = "pace";

/// How fast is copied, from 1, at which the primary's users hardly notice, to 15, which may stop them: the field's copy
/// pace (tracks at a time, `-c` of the pair commands). To a driver file it is the setting `pace`; to `qemu` it is a limit of
/// 32 MiB a second for each, and 15 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8")]
#[schemars(extend("minimum" = 1, "maximum" = 15))]
pub struct Pace(u8);

impl Pace {
    /// The fastest.
    pub const FASTEST: Self = Self(15);

    /// What is copied in a second at most, by a driver that counts bytes; `None` is as fast as it can.
    pub const fn speed(self) -> Option<Size> {
        if self.0 == Self::FASTEST.0 { None } else { Some(Size((self.0 as u64) << 25)) }
    }
}

impl TryFrom<u8> for Pace {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        let fits = (1..=15).contains(&number);
        fits.then_some(Self(number)).ok_or_else(|| format!("{number} is not a pace from 1 to 15"))
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a driver copies at a pace: QEMU does, and whoever says so in a file.
pub(crate) fn is_taken(driver: &str, file: Option<&DriverFile>) -> bool {
    file.map_or(driver == PairDriverKind::Qemu.to_string(), |file| file.settings.contains_key(SETTING))
}

impl Volume {
    /// Whether its driver copies at a pace.
    pub fn has_pace(&self) -> bool {
        let file = self.declared.as_ref().and_then(|declared| declared.file.as_deref());
        is_taken(&self.driver.to_string(), file)
    }
}

impl PairRef {
    /// The pair, copied at this pace if its driver has one; as its site says, if none is given.
    pub fn at_pace(&self, pace: Option<Pace>) -> Cow<'_, Self> {
        let Some(pace) = pace else { return Cow::Borrowed(self) };
        let mut pair = self.clone();
        if let Some(array) = pair.array.as_mut().filter(|array| array.file.settings.contains_key(SETTING)) {
            let _ = Arc::make_mut(array).settings.insert(SETTING.to_owned(), pace.to_string());
        }
        if let Some(disk) = &mut pair.qemu {
            disk.pace = pace.speed();
        }
        Cow::Owned(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_one_to_fifteen_and_the_last_is_no_limit() {
        let read = |text: &str| serde_json::from_str::<Pace>(text).map(|pace| pace.to_string());
        assert_eq!(read("1").ok().as_deref(), Some("1"));
        assert_eq!(read("15").ok().as_deref(), Some("15"));
        assert!(read("0").is_err() && read("16").is_err());
        assert_eq!(Pace::FASTEST.speed(), None);
        assert_eq!(Pace::try_from(2).unwrap().speed(), Some(Size(64 << 20)));
    }
}
