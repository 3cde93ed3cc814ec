//! Hosts, and how each is reached.

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Site, absolute};
use crate::{ids::HostId, units::Period};

/// A machine, or a state directory, on which steps run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `local`: on this machine. `ssh://[USER@]HOST[:PORT]`: on another, reached by the system's ssh.
    pub connect: Connect,
    /// The directory that keeps this host's catalog, journal and socket.
    #[schemars(length(min = 1))]
    pub state: PathBuf,
    /// The site directory on that machine, absolute; the same path as here if not said. What is relative in this file and
    /// lies on that host is relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub site: Option<PathBuf>,
    /// The program on that machine: `resplit`, found in the PATH there, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub program: Option<String>,
    /// Whether the program is run as root there, by `sudo -n`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sudo: bool,
    /// A configuration file for ssh, in place of the user's and the system's; relative to the site directory of whoever
    /// connects, or absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ssh_config: Option<PathBuf>,
    /// How long a run waits for this host when it cannot be reached, before it parks: 5 minutes if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Period>,
    /// The mount point of the file system that moves with this host from machine to machine, absolute: `state` lies in it.
    /// While it is not mounted there is no engine for this host. `resplit site mark HOST` marks it, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub state_on: Option<PathBuf>,
}

/// How long a run waits for a host on another machine, if its file does not say.
const WAIT: Period = Period(5 * 60 * 1000);

impl Host {
    /// A host on this machine.
    pub fn local(state: impl Into<PathBuf>) -> Self {
        Self {
            connect: Connect::Local,
            state: state.into(),
            site: None,
            program: None,
            sudo: false,
            ssh_config: None,
            wait: None,
            state_on: None,
        }
    }

    /// How long a run waits for it before it parks.
    pub fn wait(&self) -> Period {
        self.wait.unwrap_or(WAIT)
    }
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Connect {
    /// On this machine, through the socket in its state directory.
    Local,
    /// On another machine, through the system's ssh.
    Ssh(Address),
}

/// Where ssh connects to. The host may be a name of ssh's own configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As whom; ssh decides if not said.
    pub user: Option<String>,
    /// The machine: its name or address, an IPv6 address without brackets.
    pub host: String,
    /// The port; ssh decides if not said.
    pub port: Option<u16>,
}

/// What `connect` looks like, in a schema.
pub const CONNECT_PATTERN: &str = "^(local|ssh://([A-Za-z0-9_][A-Za-z0-9._+-]{0,63}@)?([A-Za-z0-9_][A-Za-z0-9._-]{0,252}|\\[[0-9A-Fa-f:.]{2,45}\\])(:[0-9]{1,5})?)$";
/// What `connect` looks like, in words.
pub const CONNECT_WANTED: &str = "`local` or `ssh://[USER@]HOST[:PORT]`";

/// Whether a text says how a host is reached.
pub fn is_connect(text: &str) -> bool {
    text == "local" || text.parse::<Address>().is_ok()
}

fn is_word(text: &str, longest: usize, more: &[u8]) -> bool {
    // Never something that ssh would take for an option.
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    first && rest && text.len() <= longest
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("'{text}' is not {CONNECT_WANTED}");
        let rest = text.strip_prefix("ssh://").ok_or_else(wanted)?;
        let (user, rest) = match rest.split_once('@') {
            Some((user, rest)) if is_word(user, 64, b"._+-") => (Some(user.to_owned()), rest),
            Some(_) => return Err(wanted()),
            None => (None, rest),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(wanted)?;
                let digits = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
                if !(2..=45).contains(&host.len()) || !host.bytes().all(digits) {
                    return Err(wanted());
                }
                let port =
                    if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wanted)?) };
                (host, port)
            }
            None => {
                let (host, port) =
                    rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
                if !is_word(host, 253, b"._-") {
                    return Err(wanted());
                }
                (host, port)
            }
        };
        let port = match port {
            None => None,
            Some(port) if (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) => {
                Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wanted)?)
            }
            Some(_) => return Err(wanted()),
        };
        Ok(Self { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for Connect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "local" { Ok(Self::Local) } else { text.parse().map(Self::Ssh) }
    }
}

impl From<Connect> for String {
    fn from(connect: Connect) -> Self {
        match connect {
            Connect::Local => "local".to_owned(),
            Connect::Ssh(address) => address.to_string(),
        }
    }
}

impl JsonSchema for Connect {
    fn schema_name() -> Cow<'static, str> {
        "Connect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": CONNECT_PATTERN, "description": "How a host is reached." })
    }
}

/// Where a host is, as seen from a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<'a> {
    /// On this machine.
    Here,
    /// On another one, which ssh reaches.
    Remote(&'a Address),
    /// On another one that cannot be reached from here: it is `local` there.
    Elsewhere,
}

impl Host {
    /// Where this host, named `host`, is as seen from the machine that is the host `here`, if that is known. `local` means
    /// the machine on which the hosts are that no ssh reaches.
    fn seen_from<'a>(&'a self, host: &HostId, here: Option<(&HostId, &Self)>) -> Reach<'a> {
        match (&self.connect, here) {
            (_, Some((name, _))) if name == host => Reach::Here,
            (Connect::Ssh(address), _) => Reach::Remote(address),
            (Connect::Local, Some((_, here))) if here.connect != Connect::Local => Reach::Elsewhere,
            (Connect::Local, _) => Reach::Here,
        }
    }
}

impl Site {
    /// Where a host is as seen from the machine that is the host `here`, if that is known; `None` if there is no such host.
    pub fn reach(&self, host: &HostId, here: Option<&HostId>) -> Option<Reach<'_>> {
        let here = here.and_then(|here| Some((here, self.hosts.get(here)?)));
        Some(self.hosts.get(host)?.seen_from(host, here))
    }

    /// Which host a machine is, by its name: the host of that name, else the one that ssh reaches under that name. Of a
    /// name with a domain the first part counts as well. `None` if no host, or more than one, is.
    pub fn of_machine(&self, name: &str) -> Option<&HostId> {
        let short = name.split('.').next().unwrap_or(name);
        for wanted in [name, short].into_iter().filter(|name| !name.is_empty()) {
            let is_named = |host: &&HostId| host.as_str().eq_ignore_ascii_case(wanted);
            if let Some(host) = self.hosts.keys().find(is_named) {
                return Some(host);
            }
        }
        let mut reached = self.hosts.iter().filter_map(|(id, host)| match &host.connect {
            Connect::Ssh(address) => {
                let known = [name, short].iter().any(|name| address.host.eq_ignore_ascii_case(name));
                (known && !name.is_empty()).then_some(id)
            }
            Connect::Local => None,
        });
        let first = reached.next();
        first.filter(|_| reached.next().is_none())
    }

    /// The directory to which a host's relative paths are relative, in a site whose directory on this machine is
    /// `directory`.
    pub(super) fn directory_of<'a>(
        &'a self,
        host: &HostId,
        directory: &'a std::path::Path,
    ) -> &'a std::path::Path {
        self.hosts.get(host).and_then(|host| host.site.as_deref()).unwrap_or(directory)
    }

    /// A path of a host, absolute.
    pub fn on(&self, host: &HostId, directory: &std::path::Path, path: &std::path::Path) -> PathBuf {
        absolute(self.directory_of(host, directory), path)
    }
}

#[cfg(test)]
mod tests;
