//! Transports: places that two hosts can reach, over which one hands files to another.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::host::Address;
use crate::secret::SecretName;

/// A place that two hosts can reach: one puts files there, the other fetches them. Both see it under the same URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transport {
    /// Where it is: `file:///mnt/exchange` (a directory that both hosts mount), `sftp://USER@HOST/DIRECTORY`,
    /// `ftp://USER@HOST/DIRECTORY`, `ftps://...` (TLS by AUTH TLS) or `s3://BUCKET/PREFIX`. It never contains a password.
    pub url: TransportUrl,
    /// Of ftp and ftps: where the password is. `env:NAME`, `file:/PATH`, `credential:NAME` or `command:["PROGRAM","ARGUMENT"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretName>,
    /// Of s3: where the access key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<SecretName>,
    /// Of s3: where the secret key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<SecretName>,
    /// Of s3: the server, if it is not Amazon's: `https://s3.example.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Of s3: the region; `us-east-1` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub region: Option<String>,
    /// Of ftps and s3: a file with the certificates, PEM, of the authorities that are trusted in place of the system's;
    /// absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ca: Option<PathBuf>,
    /// Of sftp: a configuration file for ssh, in place of the user's and the system's; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ssh_config: Option<PathBuf>,
}

/// By what means a transport carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// A directory that both hosts mount.
    File,
    /// OpenSSH's file transfer.
    Sftp,
    /// FTP, in clear.
    Ftp,
    /// FTP over TLS, by AUTH TLS.
    Ftps,
    /// An object store.
    S3,
}

impl Scheme {
    const ALL: [(Self, &'static str); 5] = [
        (Self::File, "file"),
        (Self::Sftp, "sftp"),
        (Self::Ftp, "ftp"),
        (Self::Ftps, "ftps"),
        (Self::S3, "s3"),
    ];

    /// As a URL begins.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(scheme, _)| *scheme == self).map_or("", |(_, word)| word)
    }

    /// The keys beside `url` that mean something.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File => &[],
            Self::Sftp => &["ssh_config"],
            Self::Ftp => &["password"],
            Self::Ftps => &["password", "ca"],
            Self::S3 => &["access_key", "secret_key", "endpoint", "region", "ca"],
        }
    }
}

/// Where a transport is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransportUrl {
    /// By what means.
    pub scheme: Scheme,
    /// As whom.
    pub user: Option<String>,
    /// The machine, an IPv6 address without brackets; of s3 the bucket; of a directory, nothing.
    pub host: String,
    /// The port, if it is not the usual one.
    pub port: Option<u16>,
    /// The directory: absolute for file and sftp, relative to where a login leads for ftp and ftps; of s3 the prefix.
    /// Without a slash at its end.
    pub path: String,
}

/// What a transport's URL looks like, in a schema.
pub const TRANSPORT_PATTERN: &str = "^(file://(/[A-Za-z0-9._~@+=,-]+)+/?|(sftp|ftps?)://([A-Za-z0-9_][A-Za-z0-9._+-]{0,63}@)?([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\\[[0-9A-Fa-f:.]{2,45}\\])(:[0-9]{1,5})?(/[A-Za-z0-9._~@+=,-]+)*/?|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._~@+=,-]+)*/?)$";
/// What a transport's URL looks like, in words.
pub const TRANSPORT_WANTED: &str = "`file:///DIRECTORY`, `sftp://[USER@]HOST[:PORT]/DIRECTORY`, `ftp://...`, `ftps://...` or `s3://BUCKET[/PREFIX]`, \
     without a password";

/// Whether a text is a transport's URL.
pub fn is_transport_url(text: &str) -> bool {
    text.parse::<TransportUrl>().is_ok()
}

/// What is wrong with a URL is never said with the URL: it may hold a password.
const NOT_A_URL: &str = "this is not the URL of a transport";

/// The parts of a path, joined by single slashes; `None` where one could mean something else than a name.
fn joined(path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Some(String::new());
    }
    let is_part = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~@+=,-".contains(&b);
        !part.is_empty() && part.bytes().all(plain)
    };
    let rest = path.strip_prefix('/')?;
    rest.split('/').all(is_part).then(|| rest.to_owned())
}

impl FromStr for TransportUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, rest) = text.split_once("://").ok_or(NOT_A_URL)?;
        let (scheme, _) = *Scheme::ALL.iter().find(|(_, known)| *known == word).ok_or(NOT_A_URL)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = joined(path).ok_or(NOT_A_URL)?;
        let url = match scheme {
            Scheme::File if authority.is_empty() && !path.is_empty() => {
                Self { scheme, user: None, host: String::new(), port: None, path: format!("/{path}") }
            }
            Scheme::File => return Err(NOT_A_URL),
            Scheme::S3 => {
                let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
                let ends = !authority.starts_with(['.', '-']) && !authority.ends_with(['.', '-']);
                if !(3..=63).contains(&authority.len()) || !ends || !authority.bytes().all(inner) {
                    return Err(NOT_A_URL);
                }
                Self { scheme, user: None, host: authority.to_owned(), port: None, path }
            }
            Scheme::Sftp | Scheme::Ftp | Scheme::Ftps => {
                let address: Address = format!("ssh://{authority}").parse().map_err(|_| NOT_A_URL)?;
                let path = if scheme == Scheme::Sftp { format!("/{path}") } else { path };
                Self { scheme, user: address.user, host: address.host, port: address.port, path }
            }
        };
        Ok(url)
    }
}

impl fmt::Display for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.word())?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.path.trim_start_matches('/') {
            "" => Ok(()),
            path => write!(f, "/{path}"),
        }
    }
}

impl TryFrom<String> for TransportUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TransportUrl> for String {
    fn from(url: TransportUrl) -> Self {
        url.to_string()
    }
}

impl JsonSchema for TransportUrl {
    fn schema_name() -> Cow<'static, str> {
        "TransportUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": TRANSPORT_PATTERN, "description": "Where a transport is." })
    }
}

/// Where an object store is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoint(pub String);

/// What an endpoint looks like, in a schema.
pub const ENDPOINT_PATTERN: &str = "^https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/?$";
/// What an endpoint looks like, in words.
pub const ENDPOINT_WANTED: &str = "`https://HOST[:PORT]`";

/// Whether a text is an endpoint.
pub fn is_endpoint(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| {
        (1..=5).contains(&port.len())
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    };
    (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        && port.is_none_or(is_port)
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": ENDPOINT_PATTERN, "description": "Where an object store is served." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written_alike() {
        for text in [
            "file:///mnt/exchange",
            "sftp://resplit@dmz01:2222/srv/exchange",
            "sftp://[fe80::1]:22/x",
            "ftp://nas",
            "ftps://backup@nas:2121/a/b",
            "s3://records/host-a",
        ] {
            assert_eq!(text.parse::<TransportUrl>().unwrap().to_string(), text);
        }
        let url: TransportUrl = "ftp://backup@nas/in/box/".parse().unwrap();
        assert_eq!(
            (url.user.as_deref(), url.host.as_str(), url.path.as_str()),
            (Some("backup"), "nas", "in/box")
        );
        assert_eq!("sftp://h/x".parse::<TransportUrl>().unwrap().path, "/x");
    }

    #[test]
    fn what_holds_a_password_or_is_no_place_is_refused_without_being_repeated() {
        for text in [
            "ftp://user:hunter2@nas/x",
            "file://host/x",
            "file:///",
            "mnt/exchange",
            "http://x/y",
            "sftp://h/a b",
            "sftp://h/a//b",
            "sftp://-oProxyCommand=x/y",
            "s3://AB",
            "s3://bucket/x?y",
            "ftp://h:70000/",
        ] {
            let error = text.parse::<TransportUrl>().expect_err(text);
            assert!(!error.contains("hunter2"));
        }
    }
}
