//! `ProFTPD`, with TLS and without.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
    process::Command,
    sync::atomic::Ordering,
};

use crate::{
    bed::Bed,
    cut::Line,
    exercise,
    servers::{Server, done, free_port, has},
};

pub(crate) const PASSWORD: &str = "Correct-Horse-42-Battery";
/// Whom the files belong to.
const NOBODY: u32 = 65_534;

/// A server whose only user finds the place, and the directory of that user.
pub(crate) fn served(bed: &Bed, tls: bool) -> (Server, PathBuf) {
    let home = bed.place().join("exchange");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let hash = done(Command::new("openssl").args(["passwd", "-6", PASSWORD]));
    let users = format!("backup:{}:{NOBODY}:{NOBODY}::{}:/bin/sh\n", hash.trim(), home.display());
    fs::write(bed.path("passwd"), users).unwrap();
    fs::set_permissions(bed.path("passwd"), fs::Permissions::from_mode(0o600)).unwrap();
    let (port, dir) = (free_port(), bed.path(""));
    let dir = dir.display();
    let secure = format!(
        "LoadModule mod_tls.c\nTLSEngine on\nTLSRSACertificateFile {dir}/server.pem\nTLSRSACertificateKeyFile {dir}/server.key\n\
         TLSProtocol TLSv1.2 TLSv1.3\nTLSRequired on\nTLSOptions NoSessionReuseRequired\n"
    );
    let config = format!(
        "ServerName t\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {port}\nSocketBindTight on\nUser nobody\n\
         Group nogroup\nPidFile {dir}/ftp.pid\nScoreboardFile {dir}/ftp.scores\nSystemLog {dir}/ftp.system\nTransferLog none\n\
         WtmpLog off\nUseIPv6 off\nDelayEngine off\nAllowOverwrite on\nRequireValidShell off\nDefaultRoot ~\n\
         AuthUserFile {dir}/passwd\nAuthOrder mod_auth_file.c\nModulePath /usr/lib/proftpd\n{}",
        if tls { secure.as_str() } else { "" }
    );
    fs::write(bed.path("proftpd.conf"), config).unwrap();
    if tls {
        for name in ["ca", "other-ca"] {
            let subject = format!("/CN={name}");
            done(
                Command::new("openssl")
                    .args([
                        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject,
                        "-keyout",
                    ])
                    .arg(bed.path(&format!("{name}.key")))
                    .arg("-out")
                    .arg(bed.path(&format!("{name}.pem"))),
            );
        }
        done(
            Command::new("openssl")
                .args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout"])
                .arg(bed.path("server.key"))
                .arg("-out")
                .arg(bed.path("server.csr")),
        );
        fs::write(bed.path("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
        done(
            Command::new("openssl")
                .args(["x509", "-req", "-days", "30", "-CAcreateserial", "-in"])
                .arg(bed.path("server.csr"))
                .arg("-CA")
                .arg(bed.path("ca.pem"))
                .arg("-CAkey")
                .arg(bed.path("ca.key"))
                .arg("-extfile")
                .arg(bed.path("names"))
                .arg("-out")
                .arg(bed.path("server.pem")),
        );
    }
    let mut command = Command::new("proftpd");
    command.args(["--nodaemon", "--config"]).arg(bed.path("proftpd.conf"));
    (Server::start(port, &mut command, &bed.path("ftp.log")), home)
}

fn wrong_password(bed: &Bed) {
    bed.secret("password", "Wrong-Horse-43");
    let said = exercise::refused(bed, "meddled");
    assert!(said.contains("530") && !said.contains("Wrong-Horse-43"), "{said}");
    bed.secret("password", PASSWORD);
    bed.site.succeed(&["resume", "latest"]);
}

#[test]
fn records_are_handed_over_by_ftp() {
    if !has("proftpd") || !has("openssl") {
        return;
    }
    let Some(bed) = Bed::new() else { return };
    let (server, place) = served(&bed, false);
    let line = Line::to(server.port, b"STOR ");
    bed.secret("password", PASSWORD);
    let password = bed.path("password");
    bed.declare(&format!(
        "{{ url: \"ftp://backup@127.0.0.1:{}\", password: \"file:{}\" }}",
        line.port,
        password.display()
    ));
    exercise::handed_over(&bed, &place);
    wrong_password(&bed);
    line.breaks.store(true, Ordering::SeqCst);
    let said = exercise::refused(&bed, "meddled");
    assert!(said.contains("transport 'exchange'") && line.broken.load(Ordering::SeqCst) > 0, "{said}");
    assert!(Bed::left(&place).iter().all(|name| name.ends_with(".partial")), "{:?}", Bed::left(&place));
    line.breaks.store(false, Ordering::SeqCst);
    bed.site.succeed(&["resume", "latest"]);
    exercise::meddled(&bed, &place);
    exercise::full(&bed, &place, &["pace", "cannot write"]);
}

#[test]
fn records_are_handed_over_by_ftp_over_tls_to_who_is_trusted() {
    if !has("proftpd") || !has("openssl") {
        return;
    }
    let Some(bed) = Bed::new() else { return };
    let (server, place) = served(&bed, true);
    bed.secret("password", PASSWORD);
    let declare = |host: &str, scheme: &str, ca: &str| {
        let (password, ca) = (bed.path("password"), bed.path(ca));
        let ca = if scheme == "ftps" { format!(", ca: {}", ca.display()) } else { String::new() };
        let (port, password) = (server.port, password.display());
        bed.declare(&format!(
            "{{ url: \"{scheme}://backup@{host}:{port}\", password: \"file:{password}\"{ca} }}"
        ));
    };
    declare("localhost", "ftps", "ca.pem");
    exercise::handed_over(&bed, &place);
    wrong_password(&bed);
    exercise::meddled(&bed, &place);
    // Signed by another authority, made out to another name, and in clear where the server wants TLS.
    for (host, scheme, ca, words) in [
        ("localhost", "ftps", "other-ca.pem", "certificate"),
        ("127.0.0.1", "ftps", "ca.pem", "certificate"),
        ("localhost", "ftp", "", "SSL/TLS required"),
    ] {
        declare(host, scheme, ca);
        let said = exercise::refused(&bed, "meddled");
        assert!(said.contains(words), "{host} {scheme} {ca}: {said}");
        assert!(Bed::left(&place).is_empty());
    }
}
