//! An OpenSSH server of our own, with keys of our own.

use std::{fs, path::Path, process::Command};

use crate::{
    bed::Bed,
    exercise,
    servers::{Server, done, free_port, has},
};

/// The server, and the URL of a directory on it.
fn served(bed: &Bed, directory: &Path) -> (Server, String) {
    for key in ["key", "host-key", "other-key"] {
        done(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(bed.path(key)));
    }
    fs::copy(bed.path("key.pub"), bed.path("authorized")).unwrap();
    // It ends in the middle of what it is told when it is told to.
    let script = format!(
        "if [ -e '{}' ]; then dd bs=1 count=700 status=none | /usr/lib/openssh/sftp-server; else exec /usr/lib/openssh/sftp-server; fi\n",
        bed.path("dies").display()
    );
    fs::write(bed.path("subsystem"), script).unwrap();
    let (port, home) = (free_port(), bed.path(""));
    let home = home.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host-key\nAuthorizedKeysFile {home}/authorized\n\
         StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n\
         Subsystem sftp /bin/sh {home}/subsystem\n"
    );
    fs::write(bed.path("sshd_config"), config).unwrap();
    let _ = fs::create_dir_all("/run/sshd");
    let program = if Path::new("/usr/sbin/sshd").exists() { "/usr/sbin/sshd" } else { "sshd" };
    let mut command = Command::new(program);
    command.args(["-D", "-e", "-f"]).arg(bed.path("sshd_config"));
    let server = Server::start(port, &mut command, &bed.path("sshd.log"));
    let config = format!(
        "Host *\n  IdentityFile {home}/key\n  IdentitiesOnly yes\n  UserKnownHostsFile {home}/known\n  GlobalKnownHostsFile none\n"
    );
    fs::write(bed.path("ssh_config"), config).unwrap();
    known(bed, port, "host-key.pub");
    let user = done(Command::new("id").arg("-un"));
    (server, format!("sftp://{}@127.0.0.1:{port}{}", user.trim(), directory.display()))
}

fn known(bed: &Bed, port: u16, key: &str) {
    let key = fs::read_to_string(bed.path(key)).unwrap();
    fs::write(bed.path("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
}

#[test]
fn records_are_handed_over_by_sftp() {
    if !has("sshd") || !has("sftp") {
        return;
    }
    let Some(bed) = Bed::new() else { return };
    let place = bed.place();
    let (server, url) = served(&bed, &place);
    bed.declare(&format!("{{ url: \"{url}\", ssh_config: {} }}", bed.path("ssh_config").display()));
    exercise::handed_over(&bed, &place);

    let right = fs::read(bed.path("authorized")).unwrap();
    fs::copy(bed.path("other-key.pub"), bed.path("authorized")).unwrap();
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("Permission denied"), "{said}");
    fs::write(bed.path("authorized"), right).unwrap();
    bed.site.succeed(&["resume", "latest"]);

    known(&bed, server.port, "other-key.pub");
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("Host key verification failed"), "{said}");
    known(&bed, server.port, "host-key.pub");
    bed.site.succeed(&["resume", "latest"]);

    fs::write(bed.path("dies"), "").unwrap();
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("transport 'exchange'"), "{said}");
    assert!(Bed::left(&place).iter().all(|name| name.ends_with(".partial")), "{:?}", Bed::left(&place));
    fs::remove_file(bed.path("dies")).unwrap();
    bed.site.succeed(&["resume", "latest"]);

    exercise::meddled(&bed, &place);
    exercise::full(&bed, &place, &["Failure", "No space left"]);
}
