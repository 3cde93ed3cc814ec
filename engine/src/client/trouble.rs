//! Why ssh did not reach an agent: read from how it ended and what it said, each cause with what to do next.

use resplit_steps::failure::Failure;

use super::ssh::Far;

/// How ssh ends when it did not get to run anything.
const OWN: i32 = 255;

/// What the failure is.
pub(super) fn explain(far: &Far, code: Option<i32>, said: &str) -> Failure {
    let host = &far.host;
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
    let quote = if last.is_empty() { String::new() } else { format!(": {last}") };
    let has = |text: &str| said.contains(text);
    if code == Some(OWN) {
        return unreached(far, &quote, has);
    }
    let by_hand = far.by_hand("");
    if said.lines().any(|line| {
        line.starts_with("sudo:")
            || line.contains("sudo: command not found")
            || line.contains("sudo: not found")
    }) {
        let line = said.lines().find(|line| line.contains("sudo:")).unwrap_or(last).trim();
        return Failure::refused(format!("host '{host}' runs nothing as root for this user: {line}")).with_help(format!(
            "allow it there without a password (visudo: `USER ALL=(root) NOPASSWD: {}`), or remove 'sudo' from site.yaml",
            far.program
        ));
    }
    match code {
        Some(127) => Failure::refused(format!("host '{host}' has no program '{}'{quote}", far.program))
            .with_help(format!(
                "install resplit there, or say where it is: `program:` of host '{host}' in site.yaml"
            )),
        Some(126) => {
            Failure::refused(format!("host '{host}' cannot run '{}' as this user{quote}", far.program))
                .with_help(format!("look at its permissions there: {by_hand} ls -l {}", far.program))
        }
        // The command line there does not know the verb.
        Some(2) if has("unrecognized subcommand") || has("unexpected argument") => Failure::refused(format!(
            "host '{host}' has another version of resplit, which is no agent{quote}"
        ))
        .with_help(format!(
            "install this version there; it has: {}",
            far.by_hand(&far.remote(&["--version"]))
        )),
        Some(code) => {
            Failure::refused(format!("no agent started on host '{host}' (exit code {code}){quote}"))
                .with_help(format!("try: {}", far.by_hand(&far.remote(&["--version"]))))
        }
        None => Failure::temporary(format!("ssh to host '{host}' was killed{quote}")),
    }
}

/// ssh did not get there.
fn unreached(far: &Far, quote: &str, has: impl Fn(&str) -> bool) -> Failure {
    let (host, address) = (&far.host, &far.address.host);
    let name = far.address.port.map_or_else(|| address.clone(), |port| format!("[{address}]:{port}"));
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Failure::refused(format!(
            "the host key of '{host}' ({address}) has changed: it is another machine, or somebody is in between"
        ))
        .with_help(format!(
            "find out there why; if that is right, forget the old key (ssh-keygen -R '{name}') and accept the new one once: {}",
            far.by_hand("true")
        ));
    }
    if has("host key is known for") || has("Host key verification failed") {
        return Failure::refused(format!("the host key of '{host}' ({address}) is not known{quote}"))
            .with_help(format!("compare its fingerprint and accept it once: {}", far.by_hand("true")));
    }
    if has("Permission denied") || has("Too many authentication failures") {
        let user =
            far.address.user.as_ref().map_or_else(|| "this user".to_owned(), |user| format!("user '{user}'"));
        return Failure::refused(format!("host '{host}' ({address}) lets {user} not in{quote}")).with_help(
            format!(
                "put a key there that needs no passphrase, or one that an agent holds, and try: {}",
                far.by_hand("true")
            ),
        );
    }
    if has("Bad configuration option") || has("Can't open user config file") || has("terminating, ") {
        return Failure::refused(format!("ssh cannot be called for host '{host}'{quote}"))
            .with_help("correct the configuration of ssh, or `ssh_config:` in site.yaml".to_owned());
    }
    Failure::temporary(format!("host '{host}' ({address}) cannot be reached{quote}"))
        .with_help(format!("see whether it is up, and try: {}", far.by_hand("true")))
}

#[cfg(test)]
mod tests {
    use resplit_operations::site::Host;
    use resplit_steps::failure::FailureClass;

    use super::*;

    #[test]
    fn each_cause_is_told_apart_with_what_to_do_next() {
        let address = "ssh://bk01".parse().unwrap();
        let far =
            Far::new(&"backup".into(), &Host::local("state"), &address, std::path::Path::new("/site"), false);
        for (code, said, class, message, help) in [
            (
                255,
                "ssh: connect to host bk01 port 22: Connection refused",
                FailureClass::Temporary,
                "cannot be reached",
                "is up",
            ),
            (
                255,
                "ssh: Could not resolve hostname bk01: Name or service not known",
                FailureClass::Temporary,
                "resolve",
                "is up",
            ),
            (
                255,
                "No ED25519 host key is known for bk01 and you have requested strict checking.\nHost key verification failed.",
                FailureClass::Refused,
                "is not known",
                "fingerprint",
            ),
            (
                255,
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                FailureClass::Refused,
                "has changed",
                "ssh-keygen -R 'bk01'",
            ),
            (
                255,
                "root@bk01: Permission denied (publickey).",
                FailureClass::Refused,
                "lets this user not in",
                "key",
            ),
            (
                127,
                "bash: line 1: resplit: command not found",
                FailureClass::Refused,
                "no program 'resplit'",
                "install",
            ),
            (
                126,
                "bash: line 1: /opt/resplit: Permission denied",
                FailureClass::Refused,
                "cannot run",
                "ls -l",
            ),
            (
                2,
                "error: unrecognized subcommand 'agent'",
                FailureClass::Refused,
                "another version",
                "--version",
            ),
            (1, "sudo: a password is required", FailureClass::Refused, "runs nothing as root", "NOPASSWD"),
            (
                127,
                "bash: line 1: sudo: command not found",
                FailureClass::Refused,
                "runs nothing as root",
                "NOPASSWD",
            ),
            (
                1,
                "This account is currently not available.",
                FailureClass::Refused,
                "not available",
                "--version",
            ),
        ] {
            let failure = explain(&far, Some(code), said);
            assert_eq!(failure.class, class, "{failure}");
            assert!(failure.message.contains(message), "{failure}");
            assert!(failure.help.as_deref().unwrap_or_default().contains(help), "{failure:?}");
        }
        assert_eq!(explain(&far, None, "").class, FailureClass::Temporary);
    }
}
