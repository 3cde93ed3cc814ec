//! Three machines, as far as resplit can tell: each with a name and a network of its own, an sshd, and a site. They are
//! namespaces that end with this value, or with this process however that ends.

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The machines: where the operator works, where the primary is, where secondaries and tapes are.
pub(crate) const HOSTS: [&str; 3] = ["engine", "source", "backup"];

/// The lines between them, each with a network of its own.
const LINES: [(&str, &str); 3] = [("engine", "source"), ("engine", "backup"), ("source", "backup")];

/// Nothing takes longer, unless it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// One machine.
struct Machine {
    name: &'static str,
    /// Holds its namespaces; ends when its standard input does.
    holder: Child,
    sshd: Option<Child>,
}

/// The machines, and what is on them.
pub(crate) struct Bed {
    home: TempDir,
    machines: Vec<Machine>,
    /// What carries the packets of each line.
    wires: Vec<Child>,
}

/// The site file of all of them. `%HOME%` is replaced, `%BACKUP%` is more about the host `backup`.
const SITE: &str = r#"
hosts:
  engine: { connect: ssh://engine, state: state, site: %HOME%/engine, program: %PROGRAM%, ssh_config: ssh/config }
  source: { connect: ssh://source, state: state, site: %HOME%/source, program: %PROGRAM%, ssh_config: ssh/config }
  backup: { connect: ssh://backup, state: state, site: %HOME%/backup, program: %PROGRAM%, ssh_config: ssh/config%BACKUP% }
volumes:
  documents:
    driver: directory
    primary: { host: source, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backup, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: backup, path: mirrors/1 } }
libraries:
  vault: { driver: virtual, host: backup, path: vault, slots: 4, drives: 2, cartridge_size: 2GiB, pools: [documents] }
"#;

/// The operation of most tests.
pub(crate) const DOCUMENTS: &str = "
protect: { filesystem: documents, volumes: [documents] }
backup_server: backup
tape: { library: vault, pool: documents, keep: 30d }
";

impl Bed {
    /// The machines, unless this one cannot have them: then the test is to end.
    pub(crate) fn new() -> Option<Self> {
        Self::with("", DOCUMENTS)
    }

    /// The same, with more about the host `backup`, and another operation.
    pub(crate) fn with(backup: &str, operation: &str) -> Option<Self> {
        if let Some(reason) = lacking() {
            println!("skipped: {reason}");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let machines = HOSTS.map(|name| Machine { name, holder: hold(name), sshd: None });
        let mut bed = Self { home, machines: machines.into(), wires: Vec::new() };
        bed.wire();
        bed.keys();
        let site = SITE
            .replace("%HOME%", bed.home.path().to_str().unwrap())
            .replace("%PROGRAM%", env!("CARGO_BIN_EXE_resplit"))
            .replace("%BACKUP%", backup);
        for host in HOSTS {
            bed.write(host, "site.yaml", &site);
            bed.write(host, "operations/documents.yaml", operation);
            bed.start_sshd(host);
        }
        for (name, text) in [("a.txt", "one"), ("deep/b.txt", "two"), ("empty.txt", "")] {
            bed.write("source", &format!("documents/{name}"), text);
        }
        Some(bed)
    }

    /// A path in the site directory of a host.
    pub(crate) fn path(&self, host: &str, relative: &str) -> PathBuf {
        self.home.path().join(host).join(relative)
    }

    /// Writes a file into the site directory of a host.
    pub(crate) fn write(&self, host: &str, relative: &str, text: &str) {
        let path = self.path(host, relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a part of the site file of a host.
    pub(crate) fn edit_site(&self, host: &str, from: &str, to: &str) {
        let path = self.path(host, "site.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn machine(&self, host: &str) -> &Machine {
        self.machines.iter().find(|machine| machine.name == host).unwrap()
    }

    /// A command on a machine.
    pub(crate) fn on(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let pid = self.machine(host).holder.id().to_string();
        command.args(["--net", "--uts", "--mount", "--target", &pid, "--", program]).stdin(Stdio::null());
        command
    }

    /// The program on a machine, in its site.
    pub(crate) fn command(&self, host: &str, arguments: &[&str]) -> Command {
        let mut command = self.on(host, env!("CARGO_BIN_EXE_resplit"));
        command.arg("--site").arg(self.path(host, "")).args(arguments);
        command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE").env_remove("SSH_AUTH_SOCK");
        command.env("RESPLIT_ENGINE_IDLE", "20s").env("HOME", self.home.path());
        command
    }

    /// Runs the program where the operator works; it must exit with `code`. What it printed, and what it said.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        let output = self.command("engine", arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}\n{}", told(&output), self.logs());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    /// Runs it where the operator works, which must succeed; what it printed.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        self.run(arguments, 0).0
    }

    /// The same, as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        serde_json::from_str(&self.succeed(&all)).unwrap()
    }

    /// The records of a host as `id/original id medium`, in order.
    #[track_caller]
    pub(crate) fn ledger(&self, host: &str) -> Vec<String> {
        let short = |value: &Value| value.as_str().unwrap().trim_start_matches('0').to_owned();
        let all = self.json(&["catalog", "list"]);
        let of_host = all.as_array().unwrap().iter().filter(|record| record["host"] == host);
        let line = |r: &Value| {
            let medium = r["medium"]["medium"].as_str().unwrap();
            format!("{}/{} {medium}", short(&r["id"]), short(&r["original_id"]))
        };
        of_host.map(line).collect()
    }

    /// The processes on a machine whose command line contains all of these words.
    pub(crate) fn processes(&self, host: &str, words: &[&str]) -> Vec<u32> {
        let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let here = network(&self.machine(host).holder.id().to_string());
        let all = fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().into_string().ok()).filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (network(&pid) == here && words.iter().all(|word| line.contains(word))).then_some(pid)
        });
        pids.filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Cuts the line between two machines, as a pulled cable does: nobody is told.
    pub(crate) fn cut(&self, from: &str, to: &str) {
        kill(self.wire_between(from, to), "STOP");
    }

    /// Mends it.
    pub(crate) fn mend(&self, from: &str, to: &str) {
        kill(self.wire_between(from, to), "CONT");
    }

    /// Ends whatever runs on a machine, and its sshd; what it is, and its lines, stay.
    pub(crate) fn end_all(&mut self, host: &str) {
        self.stop_sshd(host);
        let holder = self.machine(host).holder.id();
        let carries = |pid: u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("socat")
        };
        wait_for("everything there to end", || {
            let all = self.processes(host, &[]).into_iter();
            let left: Vec<u32> = all.filter(|pid| *pid != holder && !carries(*pid)).collect();
            for pid in &left {
                kill(*pid, "KILL");
            }
            left.is_empty()
        });
    }

    fn wire_between(&self, from: &str, to: &str) -> u32 {
        let number = LINES.iter().position(|line| *line == (from, to) || *line == (to, from)).unwrap();
        self.wires[number].id()
    }

    /// Stops the sshd of a machine: it accepts nobody any more. What is connected stays.
    pub(crate) fn stop_sshd(&mut self, host: &str) {
        let machine = self.machines.iter_mut().find(|machine| machine.name == host).unwrap();
        if let Some(mut sshd) = machine.sshd.take() {
            sshd.kill().unwrap();
            let _ = sshd.wait().unwrap();
        }
    }

    /// Starts the sshd of a machine, and waits until it accepts.
    pub(crate) fn start_sshd(&mut self, host: &str) {
        let log = fs::File::create(self.path(host, "sshd.log")).unwrap();
        let mut command = self.on(host, "setpriv");
        let _ = command.args(["--pdeathsig", "KILL", "--", "/usr/sbin/sshd", "-D", "-e", "-f"]);
        let sshd = command.arg(self.path(host, "ssh/sshd_config")).stderr(log).spawn().unwrap();
        let machine = self.machines.iter_mut().find(|machine| machine.name == host).unwrap();
        machine.sshd = Some(sshd);
        wait_for("sshd", || {
            self.on(host, "bash")
                .args(["-c", "exec 3<>/dev/tcp/127.0.0.1/22"])
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        });
    }

    /// Connects the machines: a process carries the packets of each line.
    fn wire(&mut self) {
        for host in HOSTS {
            assert!(self.on(host, "ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        }
        for (number, (a, b)) in LINES.iter().enumerate() {
            let pid = self.machine(b).holder.id();
            let end = |last: u32, to: &str, colon: &str, comma: &str| {
                format!("TUN{colon}10.77.{number}.{last}/30{comma}tun-name=to-{to}{comma}up{comma}iff-no-pi")
            };
            let far = format!("nsenter --net --target {pid} socat {} STDIO", end(2, a, "\\:", "\\,"));
            let mut wire = self.on(a, "setpriv");
            let _ = wire.args(["--pdeathsig", "KILL", "--", "socat", &end(1, b, ":", ",")]);
            let _ = wire.arg(format!("EXEC:\"setpriv --pdeathsig KILL -- {far}\",socktype=2"));
            self.wires.push(wire.stderr(Stdio::null()).spawn().unwrap());
            for (host, other) in [(a, b), (b, a)] {
                wait_for("a line", || {
                    let output = self.on(host, "ip").args(["addr", "show", "up"]).output().unwrap();
                    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
                    shown.contains(&format!("to-{other}:")) && shown.contains(&format!("10.77.{number}."))
                });
            }
        }
    }

    /// Gives each machine a host key, all a key of their user, and a configuration of ssh and sshd.
    fn keys(&self) {
        let user = self.path("", "user");
        keygen(&user);
        let mut known = String::new();
        for host in HOSTS {
            fs::create_dir_all(self.path(host, "ssh")).unwrap();
            let key = self.path(host, "ssh/host");
            keygen(&key);
            let public = fs::read_to_string(key.with_extension("pub")).unwrap();
            let _ = write!(known, "{host} {public}");
        }
        for host in HOSTS {
            let place = |name: &str| self.path(host, &format!("ssh/{name}")).display().to_string();
            fs::copy(&user, place("key")).unwrap();
            fs::copy(user.with_extension("pub"), place("authorized")).unwrap();
            self.write(host, "ssh/known_hosts", &known);
            let mut config = format!(
                "Host *\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n User root\n",
                place("key"),
                place("known_hosts")
            );
            for other in HOSTS {
                let address = address(host, other).unwrap_or_else(|| "127.0.0.1".to_owned());
                let _ = write!(config, "Host {other}\n HostName {address}\n HostKeyAlias {other}\n");
            }
            self.write(host, "ssh/config", &config);
            let sshd = format!(
                "Port 22\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
                 PasswordAuthentication no\nPidFile none\nSetEnv RESPLIT_ENGINE_IDLE=20s PATH={}:/usr/bin:/bin\nLogLevel VERBOSE\n",
                place("host"),
                place("authorized"),
                place("bin")
            );
            self.write(host, "ssh/sshd_config", &sshd);
        }
    }

    /// The ends of the logs of all engines, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let mut all = String::new();
        for host in HOSTS {
            for name in ["state/engine.log", "sshd.log"] {
                let text = fs::read_to_string(self.path(host, name)).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(15).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                let _ = write!(all, "--- {host} {name}\n{}\n", last.join("\n"));
            }
        }
        all
    }

    /// Ends the engines, at once.
    pub(crate) fn kill_engines(&self, host: &str) {
        for pid in self.processes(host, &["engine", "--state"]) {
            kill(pid, "KILL");
        }
        wait_for("engines to end", || self.processes(host, &["engine", "--state"]).is_empty());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for host in HOSTS {
            for pid in
                self.processes(host, &[]).into_iter().filter(|pid| *pid != self.machine(host).holder.id())
            {
                kill(pid, "KILL");
            }
        }
        for wire in &mut self.wires {
            let _ = wire.wait();
        }
        for machine in &mut self.machines {
            drop(machine.holder.stdin.take());
            for child in machine.sshd.iter_mut().chain([&mut machine.holder]) {
                let _ = child.wait();
            }
        }
    }
}

/// The address of a machine as another has it.
pub(crate) fn address(from: &str, to: &str) -> Option<String> {
    let number = LINES.iter().position(|line| *line == (from, to) || *line == (to, from))?;
    let last = if LINES[number].0 == to { 1 } else { 2 };
    Some(format!("10.77.{number}.{last}"))
}

/// Why this machine cannot have others in it.
fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root makes machines out of namespaces");
    }
    let programs = ["sbin/sshd", "bin/ssh", "bin/ssh-keygen", "bin/nsenter", "bin/unshare", "bin/socat"];
    if programs.iter().any(|program| !Path::new("/usr").join(program).exists()) {
        return Some("ssh, sshd, socat or util-linux is not installed");
    }
    let tried =
        Command::new("unshare").args(["--net", "--uts", "--mount", "true"]).stderr(Stdio::null()).status();
    if !Path::new("/dev/net/tun").exists() || !tried.is_ok_and(|status| status.success()) {
        return Some("no network can be made here");
    }
    fs::create_dir_all("/run/sshd").unwrap();
    fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
    None
}

/// A process that holds the namespaces of a machine with this name.
fn hold(name: &str) -> Child {
    let mut holder = Command::new("unshare")
        .args(["--net", "--uts", "--mount", "--propagation", "private"])
        .args(["sh", "-c", "hostname \"$0\"; echo; read _", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    holder
}

/// A new key without a passphrase.
pub(crate) fn keygen(path: &Path) {
    let _ = fs::remove_file(path);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
}

/// Sends a signal.
pub(crate) fn kill(pid: u32, signal: &str) {
    let _ =
        Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the program said.
pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}
