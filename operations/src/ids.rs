//! Names. Each is a type of its own, so that a host is never passed where a volume is meant.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name an operation, and so anything named in a file, may have. In ASCII characters.
pub const LONGEST_NAME: usize = 64;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// An operation ID: the stem of the file that declares the operation. At most 64 ASCII characters, unique
    /// without regard to case.
    OperationId
);
name!(
    /// A machine, or a state directory, on which steps run, with a catalog of its own.
    HostId
);
name!(
    /// What shares one primary; the unit of backup and restore.
    VolumeId
);
name!(
    /// A tape library.
    LibraryId
);
name!(
    /// A pool of cartridges.
    PoolId
);
name!(
    /// A step of a plan; unique within it.
    StepId
);
name!(
    /// A pair's name in the field's form, `group,device`.
    CopyGroup
);
name!(
    /// What is printed on a cartridge.
    Barcode
);
name!(
    /// One execution of a plan: the operation ID and the moment it was accepted. Sorts by operation, then time.
    RunId
);

/// A backup ID: ten decimal digits, allocated per host, reserved once, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(transparent)]
pub struct BackupId(#[schemars(with = "String")] pub u64);

impl BackupId {
    /// The largest ID that ten digits hold.
    pub const MAX: u64 = 9_999_999_999;

    /// Reads an ID; leading zeros may be left out.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok().map(Self)).flatten()
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:010}", self.0))
    }
}

impl Serialize for BackupId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' is not a backup ID of ten digits")))
    }
}
