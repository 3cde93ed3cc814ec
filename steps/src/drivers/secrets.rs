//! Secrets, read at use: held in memory that is zeroed afterwards, and told to nobody.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use resplit_operations::secret::SecretName;
use secrecy::{
    ExposeSecret, SecretString,
    zeroize::{Zeroize, Zeroizing},
};

use super::bounded;
use crate::{context::Work, failure::Failure};

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;
/// How long a program may take to print one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The secret of a name. What is read is one line; the end of it is no part of the secret.
///
/// # Errors
/// Where it was looked for, and what an operator has to do; never what was found.
pub fn read(name: &SecretName, work: &Work) -> Result<SecretString, Failure> {
    let bytes = match name {
        SecretName::Env(variable) => {
            let Some(value) = std::env::var_os(variable) else {
                return Err(missing(name, "the engine's environment has no such variable").with_help(format!(
                    "set {variable} where the engine is started; one that runs already keeps the environment it has"
                )));
            };
            Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value))
        }
        SecretName::File(path) => file(name, path, 0o077)?,
        SecretName::Credential(credential) => {
            let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
                return Err(missing(name, "systemd has given the engine no credentials").with_help(format!(
                    "run the engine as a service with `LoadCredential={credential}:/PATH`"
                )));
            };
            // A service manager may let a group read what it hands out.
            file(name, &PathBuf::from(directory).join(credential), 0o007)?
        }
        SecretName::Command(argv) => printed(name, argv, work)?,
    };
    one_line(name, bytes)
}

fn missing(name: &SecretName, why: &str) -> Failure {
    Failure::refused(format!("cannot read the secret {name}: {why}"))
}

/// Reads a file that belongs to this process's user or to root, and that none of `mode` may touch.
fn file(name: &SecretName, path: &Path, mode: u32) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let cannot =
        |error: io::Error| missing(name, &error.to_string()).with_help(format!("ls -l {}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_file() {
        return Err(missing(name, "it is not a regular file"));
    }
    if found.uid() != own && found.uid() != 0 {
        return Err(missing(name, &format!("the file belongs to user {}", found.uid()))
            .with_help(format!("chown {own} {}", path.display())));
    }
    if found.mode() & mode != 0 {
        let text = format!("others may read or change the file (mode {:04o})", found.mode() & 0o7777);
        return Err(missing(name, &text).with_help(format!("chmod 600 {}", path.display())));
    }
    whole(file).map_err(cannot)
}

/// Reads to the end without leaving copies behind: what grows is copied, so it does not grow.
fn whole(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST).unwrap_or(0) + 2));
    let _ = from.by_ref().take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a program prints. What it says of an error is not repeated: it may hold a part of the secret.
fn printed(name: &SecretName, argv: &[String], work: &Work) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(missing(name, "it names no program"));
    };
    let (mut reader, writer) = io::pipe().map_err(|error| missing(name, &error.to_string()))?;
    let mut command = Command::new(program);
    let _ = command.args(arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| missing(name, &error.to_string()))?;
    drop(command);
    let limit = usize::try_from(LONGEST).unwrap_or(0);
    let _ = rustix::pipe::fcntl_setpipe_size(&reader, limit);
    let status = bounded::wait(child, PATIENCE, work).map_err(|failure| Failure {
        message: format!("cannot read the secret {name}: {}", failure.message),
        ..failure
    })?;
    if !status.success() {
        return Err(missing(name, &format!("{program} ended with {status}"))
            .with_help(format!("run it as the engine's user: {}", argv.join(" "))));
    }
    // A program of its own that it left behind may hold the pipe open.
    rustix::io::ioctl_fionbio(&reader, true).map_err(|error| missing(name, &error.to_string()))?;
    let mut bytes = Zeroizing::new(vec![0; limit]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match reader.read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(missing(name, &error.to_string())),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn one_line(name: &SecretName, mut bytes: Zeroizing<Vec<u8>>) -> Result<SecretString, Failure> {
    if bytes.last() == Some(&b'\n') {
        let _ = bytes.pop();
        if bytes.last() == Some(&b'\r') {
            let _ = bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(missing(name, "it is empty"));
    }
    if bytes.len() as u64 >= LONGEST {
        return Err(missing(name, &format!("it is longer than {LONGEST} bytes")));
    }
    // It becomes a line of a protocol: another line in it would be another command.
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(missing(name, "it is more than one line"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| missing(name, "it is not UTF-8"))?;
    Ok(SecretString::from(text))
}

/// A text of somebody else's, without the secrets that it may repeat, and without line ends and control characters.
pub(crate) fn cleaned(text: &str, secrets: &[&SecretString]) -> String {
    let mut text = text.trim().to_owned();
    for secret in secrets {
        if text.contains(secret.expose_secret()) {
            let clean = text.replace(secret.expose_secret(), "***");
            text.zeroize();
            text = clean;
        }
    }
    let shown: String = text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
    shown
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn of(text: &str) -> Result<String, Failure> {
        read(&text.parse().unwrap(), &Work::silent()).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_file_is_read_only_if_nobody_else_may() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        let name = format!("file:{}", path.display());
        assert!(of(&name).unwrap_err().message.contains("No such file"));
        fs::write(&path, "hunter2\n").unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let failure = of(&name).unwrap_err();
            assert!(
                failure.message.contains("others may") && !failure.message.contains("hunter2"),
                "{failure}"
            );
            assert!(failure.help.unwrap().starts_with("chmod 600"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(of(&name).unwrap(), "hunter2");
        for (text, said) in
            [("", "empty"), ("\n", "empty"), ("a\nb", "more than one line"), ("\u{0}", "more than one")]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(&path, text).unwrap();
            assert!(of(&name).unwrap_err().message.contains(said), "{text:?}");
        }
        assert!(of(&format!("file:{}", home.path().display())).unwrap_err().message.contains("regular file"));
        if rustix::process::geteuid().is_root() {
            fs::write(&path, "hunter2").unwrap();
            std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
            assert!(of(&name).unwrap_err().message.contains("belongs to user 4711"));
        }
    }

    #[test]
    fn what_a_program_prints_is_read_and_what_it_complains_of_is_not_told() {
        assert_eq!(of(r#"command:["printf","hunter2\\n"]"#).unwrap(), "hunter2");
        let failure =
            of(r#"command:["sh","-c","echo half-a-secret; echo half-a-secret >&2; exit 3"]"#).unwrap_err();
        assert!(failure.message.contains("exit status: 3"), "{failure}");
        assert!(of(r#"command:["/nonexistent"]"#).unwrap_err().message.contains("No such file"));
        assert!(of(r#"command:["true"]"#).unwrap_err().message.contains("empty"));
        assert!(of("env:RESPLIT_NO_SUCH_VARIABLE").unwrap_err().message.contains("no such variable"));
    }

    #[test]
    fn what_others_say_is_told_without_secrets_and_controls() {
        let secret = SecretString::from("hunter2");
        assert_eq!(cleaned("530 hunter2?\r\n\u{1b}[2J no", &[&secret]), "530 ***?   [2J no");
    }
}
