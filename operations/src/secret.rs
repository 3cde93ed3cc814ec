//! Secrets, as files name them. A secret itself is never in a file, a plan or a store: who uses it reads it then.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where a secret is, on the host that uses it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretName {
    /// In an environment variable of the engine.
    Env(String),
    /// In a file, absolute, that only its owner may read; without the line end that closes it.
    File(PathBuf),
    /// In a credential that systemd hands to the engine's service (`LoadCredential=`).
    Credential(String),
    /// In what a program prints: its arguments.
    Command(Vec<String>),
}

/// What the name of a secret looks like, in a schema.
pub const SECRET_PATTERN: &str = "^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/.+|credential:[A-Za-z0-9_][A-Za-z0-9._-]{0,63}|command:\\[.+\\])$";
/// What the name of a secret looks like, in words.
pub const SECRET_WANTED: &str = "where the secret is, never the secret: `env:NAME`, `file:/PATH`, `credential:NAME` or `command:[\"PROGRAM\",\"ARGUMENT\"]`";

/// Whether a text names a secret.
pub fn is_secret_name(text: &str) -> bool {
    text.parse::<SecretName>().is_ok()
}

/// Never said with the text: an operator may have written the secret itself.
const NOT_A_NAME: &str = "this does not say where a secret is";

impl FromStr for SecretName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(NOT_A_NAME)?;
        match kind {
            "env" => {
                let first = rest.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
                let all = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                (first && all && rest.len() <= 128).then(|| Self::Env(rest.to_owned()))
            }
            "file" => {
                let is_path = rest.starts_with('/') && rest.len() > 1 && !rest.contains(char::is_control);
                is_path.then(|| Self::File(rest.into()))
            }
            "credential" => crate::ids::is_name(rest).then(|| Self::Credential(rest.to_owned())),
            "command" => {
                let argv: Vec<String> = serde_json::from_str(rest).map_err(|_| NOT_A_NAME)?;
                let runs = argv.first().is_some_and(|program| !program.is_empty());
                (runs && !argv.iter().any(|word| word.contains('\0'))).then_some(Self::Command(argv))
            }
            _ => None,
        }
        .ok_or(NOT_A_NAME)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Command(argv) => {
                let argv = serde_json::to_string(argv).map_err(|_| fmt::Error)?;
                write!(f, "command:{argv}")
            }
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.to_string()
    }
}

impl JsonSchema for SecretName {
    fn schema_name() -> Cow<'static, str> {
        "SecretName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": SECRET_PATTERN, "description": "Where a secret is." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for text in [
            "env:FTP_PASSWORD",
            "file:/etc/resplit/ftp",
            "credential:ftp",
            r#"command:["pass","show","ftp"]"#,
        ] {
            assert_eq!(text.parse::<SecretName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_secret_itself_is_no_name_and_is_not_repeated() {
        for text in [
            "hunter2",
            "env:",
            "env:1X",
            "file:etc/x",
            "credential:../x",
            "command:[]",
            "command:[1]",
            "pass:x",
        ] {
            assert_eq!(text.parse::<SecretName>().unwrap_err(), NOT_A_NAME, "{text}");
        }
    }
}
