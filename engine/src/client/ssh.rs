//! How the system's ssh is called to reach a host's engine.

use std::{ffi::OsString, path::PathBuf, process::Stdio};

use resplit_operations::{
    ids::HostId,
    site::{Address, Host},
};
use tokio::process::Command;

/// Options that are always given. What an operator's configuration says of anything else holds: names, jump hosts, keys,
/// agents, known hosts. Nobody is there to be asked, so nothing is asked; a host key that is not known is refused,
/// whatever a configuration says. A line that carries nothing is given up after 15 seconds.
const OPTIONS: [&str; 7] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "LogLevel=ERROR",
];

/// A host on another machine, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Far {
    /// The host.
    pub host: HostId,
    /// Where ssh connects to.
    pub address: Address,
    /// A configuration file in place of the user's and the system's, absolute.
    pub ssh_config: Option<PathBuf>,
    /// The program there.
    pub program: String,
    /// Whether it is run by `sudo -n`.
    pub sudo: bool,
    /// The site directory there, absolute.
    pub site: PathBuf,
    /// Whether an engine that is started there leaves interrupted runs as they are.
    pub hold: bool,
    /// Whether an engine is started if none listens.
    pub start: bool,
}

impl Far {
    /// A host of a site, reached at an address from a machine on which the site directory is `site`.
    pub fn new(id: &HostId, host: &Host, address: &Address, site: &std::path::Path, hold: bool) -> Self {
        Self {
            host: id.clone(),
            address: address.clone(),
            ssh_config: host.ssh_config.as_ref().map(|file| site.join(file)),
            program: host.program.clone().unwrap_or_else(|| "resplit".to_owned()),
            sudo: host.sudo,
            site: host.site.clone().unwrap_or_else(|| site.to_owned()),
            hold,
            start: true,
        }
    }

    /// The arguments of ssh up to the host.
    fn options(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-T".into(), "-x".into(), "-a".into()];
        if let Some(file) = &self.ssh_config {
            arguments.extend(["-F".into(), file.into()]);
        }
        for option in OPTIONS {
            arguments.extend(["-o".into(), option.into()]);
        }
        if let Some(user) = &self.address.user {
            arguments.extend(["-l".into(), user.into()]);
        }
        if let Some(port) = self.address.port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        arguments.extend(["--".into(), self.address.host.clone().into()]);
        arguments
    }

    /// What the shell there is given to run the program with these arguments.
    pub fn remote(&self, arguments: &[&str]) -> String {
        let sudo: &[&str] = if self.sudo { &["sudo", "-n", "--"] } else { &[] };
        let words = sudo.iter().copied().chain([self.program.as_str()]).chain(arguments.iter().copied());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// What runs the agent there.
    fn agent(&self) -> String {
        let site = self.site.to_string_lossy();
        let mut arguments = vec!["--site", &site, "--host", self.host.as_str(), "agent"];
        if self.hold {
            arguments.push("--hold");
        }
        if !self.start {
            arguments.push("--only-running");
        }
        self.remote(&arguments)
    }

    /// The command that connects to the agent there.
    pub(super) fn command(&self) -> Command {
        self.calling(&self.agent())
    }

    /// The command that runs a command there. It is killed with whoever holds it, and no key on a terminal reaches it.
    pub fn calling(&self, remote: &str) -> Command {
        let mut command = Command::new("ssh");
        let _ = command
            .args(self.options())
            .arg(remote)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Why a command there did not do what it should, given how ssh ended and what it said.
    pub fn explain(&self, code: Option<i32>, said: &str) -> resplit_steps::failure::Failure {
        super::trouble::explain(self, code, said)
    }

    /// A command line that an operator can try: whether ssh gets there at all.
    pub(super) fn by_hand(&self, remote: &str) -> String {
        let config = self.ssh_config.as_ref().map(|file| format!(" -F {}", quoted(&file.to_string_lossy())));
        let port = self.address.port.map(|port| format!(" -p {port}")).unwrap_or_default();
        let user = self.address.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let remote = if remote.is_empty() { String::new() } else { format!(" {remote}") };
        format!("ssh{}{port} {user}{}{remote}", config.unwrap_or_default(), self.address.host)
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:=@%,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far() -> Far {
        let host = Host { sudo: true, ssh_config: Some("ssh/config".into()), ..Host::local("state") };
        let address = "ssh://backup@bk01:2222".parse().unwrap();
        Far::new(&"backupserver".into(), &host, &address, std::path::Path::new("/etc/re split"), false)
    }

    #[test]
    fn what_the_shell_there_gets_is_quoted() {
        let far = far();
        assert_eq!(far.agent(), "sudo -n -- resplit --site '/etc/re split' --host backupserver agent");
        assert_eq!(quoted("it's $(here)"), "'it'\\''s $(here)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn host_keys_are_always_checked_and_nothing_is_asked() {
        let command = far().command();
        let words: Vec<_> =
            command.as_std().get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let text = words.join(" ");
        assert!(text.contains("-F /etc/re split/ssh/config"), "{text}");
        assert!(text.contains("-o StrictHostKeyChecking=yes") && text.contains("-o BatchMode=yes"), "{text}");
        assert!(text.contains("-l backup -p 2222 -- bk01 sudo"), "{text}");
        assert_eq!(far().by_hand("true"), "ssh -F '/etc/re split/ssh/config' -p 2222 backup@bk01 true");
    }
}
