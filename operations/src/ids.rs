//! Names. Each is a type of its own, so that a host is never passed where a volume is meant.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest name an operation, and so anything named in a file, may have. In ASCII characters.
pub const LONGEST_NAME: usize = 64;

/// What a name looks like, in a schema. The words for it: [`NAME_WANTED`].
pub const NAME_PATTERN: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$";

/// What a name looks like, in words.
pub const NAME_WANTED: &str =
    "a name of at most 64 letters, digits, '.', '_' and '-' that does not begin with '.' or '-'";

/// What a copy group looks like, in a schema.
pub const COPY_GROUP_PATTERN: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63},[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$";

/// Whether a text may be a name: it becomes a part of file names and command lines.
pub fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST_NAME).contains(&text.len()) && !text.starts_with(['.', '-']) && text.bytes().all(allowed)
}

/// Whether a text may be a copy group: two names, joined by a comma.
pub fn is_copy_group(text: &str) -> bool {
    text.split_once(',').is_some_and(|(group, device)| is_name(group) && is_name(device))
}

/// The schema of a name. `names` says where what it refers to is declared: `/hosts` and its like in the site,
/// `/steps` in the operation itself.
fn name_schema(pattern: &str, names: Option<&str>, description: &str) -> Schema {
    let mut schema = json_schema!({ "type": "string", "pattern": pattern, "description": description });
    if let Some(names) = names {
        let _ = schema.insert("x-names".to_owned(), names.into());
    }
    schema
}

macro_rules! name {
    ($(#[doc = $doc:literal])* $name:ident) => {
        name!(@type $(#[doc = $doc])* $name);
    };
    ($(#[doc = $doc:literal])* $name:ident, $pattern:expr, $names:expr) => {
        name!(@type $(#[doc = $doc])* $name);

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                name_schema($pattern, $names, concat!($($doc),*).trim())
            }
        }
    };
    (@type $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    HostId, NAME_PATTERN, Some("/hosts")
);
name!(
    /// What shares one primary; the unit of backup and restore.
    VolumeId, NAME_PATTERN, Some("/volumes")
);
name!(
    /// One of several sets of pairs of a volume: `local` is the volume's own.
    TargetId, NAME_PATTERN, None
);
name!(
    /// A tape library.
    LibraryId, NAME_PATTERN, Some("/libraries")
);
name!(
    /// What makes and splits pairs: a driver of resplit's own, or the stem of a file in `drivers/`.
    DriverId
);
name!(
    /// A place over which hosts hand files to one another.
    TransportId, NAME_PATTERN, Some("/transports")
);
name!(
    /// A pool of cartridges.
    PoolId, NAME_PATTERN, None
);
name!(
    /// A step of a plan; unique within it.
    StepId, NAME_PATTERN, Some("/steps")
);
name!(
    /// A pair's name in the field's form, `group,device`.
    CopyGroup, COPY_GROUP_PATTERN, None
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
