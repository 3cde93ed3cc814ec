//! What befalls lines and machines, and how it passes.

use std::{fmt, fs, process::Stdio, thread::sleep, time::Duration};

use crate::bed::{Bed, address, kill};

/// How long what passes by itself lasts: shorter than anybody takes to give a line up.
const MOMENT: Duration = Duration::from_secs(1);

/// What befalls the line between source and backup, or a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The ssh of the source's engine is killed.
    SshKilled,
    /// The relay on the backup server is killed.
    RelayKilled,
    /// The ssh of the operator's command line is killed.
    OperatorCut,
    /// The link is down for a second.
    LinkBlinks,
    /// The link is down, and ssh has noticed, for as long as the command goes on.
    LinkDown,
    /// The link is down, and nobody is told.
    LinkSilent,
    /// Packets are dropped, in both directions.
    Dropped,
    /// Packets are held back, and arrive once it has passed.
    Held,
    /// The engine of a host is killed.
    Killed(&'static str),
    /// A machine is booted again.
    Rebooted(&'static str),
}

/// All of them that are tried at every step.
pub(crate) fn all() -> Vec<Trouble> {
    use Trouble::{
        Dropped, Held, Killed, LinkBlinks, LinkDown, LinkSilent, OperatorCut, Rebooted, RelayKilled,
        SshKilled,
    };
    let mut all = vec![SshKilled, RelayKilled, OperatorCut, LinkBlinks, LinkDown, LinkSilent, Held];
    all.extend(["source", "backup"].into_iter().flat_map(|host| [Killed(host), Rebooted(host)]));
    if std::path::Path::new("/usr/sbin/iptables").exists() {
        all.push(Dropped);
    } else {
        println!("skipped: packets cannot be dropped without iptables");
    }
    all
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SshKilled => "ssh killed",
            Self::RelayKilled => "relay killed",
            Self::OperatorCut => "operator cut off",
            Self::LinkBlinks => "link down 1 s",
            Self::LinkDown => "link down",
            Self::LinkSilent => "link silently down",
            Self::Dropped => "packets dropped",
            Self::Held => "packets held",
            Self::Killed(host) => return write!(f, "engine of {host} killed"),
            Self::Rebooted(host) => return write!(f, "{host} rebooted"),
        })
    }
}

impl Trouble {
    /// Whether it takes a while until it is noticed: what gives a line up waits 15 s and more.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::LinkSilent | Self::Dropped | Self::Held)
    }

    /// Begins.
    pub(crate) fn begin(self, bed: &mut Bed) {
        match self {
            Self::SshKilled => kill_ssh(bed),
            Self::RelayKilled => kill_all(&bed.processes("backup", &["--host backup agent"])),
            Self::OperatorCut => kill_all(&bed.processes("engine", &["ssh -T"])),
            Self::LinkBlinks => {
                link(bed, false);
                sleep(MOMENT);
                link(bed, true);
            }
            Self::LinkDown => {
                link(bed, false);
                kill_ssh(bed);
            }
            Self::LinkSilent => link(bed, false),
            Self::Dropped => drop_packets(bed, "-A"),
            Self::Held => bed.cut("source", "backup"),
            Self::Killed(host) => kill_all(&bed.processes(host, &["engine", "--state"])),
            Self::Rebooted(host) => reboot(bed, host),
        }
    }

    /// Passes; what passed by itself has.
    pub(crate) fn pass(self, bed: &Bed) {
        match self {
            Self::LinkDown | Self::LinkSilent => link(bed, true),
            Self::Dropped => drop_packets(bed, "-D"),
            Self::Held => bed.mend("source", "backup"),
            _ => {}
        }
    }
}

fn kill_ssh(bed: &Bed) {
    kill_all(&bed.processes("source", &["ssh -T", "--host backup"]));
}

fn kill_all(pids: &[u32]) {
    for pid in pids {
        kill(*pid, "KILL");
    }
}

/// Takes the address off the source's end of its line to the backup server, or puts it back: what arrives is for nobody,
/// and nothing leaves. (The device itself stays up: what carries its packets would end.)
fn link(bed: &Bed, is_up: bool) {
    let verb = if is_up { "add" } else { "del" };
    let address = format!("{}/30", address("backup", "source").unwrap());
    let done = bed.on("source", "ip").args(["addr", verb, &address, "dev", "to-backup"]).status().unwrap();
    assert!(done.success());
}

fn drop_packets(bed: &Bed, verb: &str) {
    for (chain, direction) in [("INPUT", "-i"), ("OUTPUT", "-o")] {
        let mut rule = bed.on("source", "/usr/sbin/iptables");
        let done = rule.args(["-w", verb, chain, direction, "to-backup", "-j", "DROP"]).status().unwrap();
        assert!(done.success());
    }
}

/// Ends all that runs on a machine, and gives it the name of another boot.
fn reboot(bed: &mut Bed, host: &str) {
    bed.end_all(host);
    let name = bed.path(host, "boot_id");
    let boot = format!("0b5e55ed-0000-4000-8000-{:012x}\n", fastrand::u64(..1 << 48));
    fs::write(&name, boot).unwrap();
    let mut mount = bed.on(host, "mount");
    let _ = mount.arg("--bind").arg(&name).arg("/proc/sys/kernel/random/boot_id");
    assert!(mount.stderr(Stdio::null()).status().unwrap().success());
    bed.start_sshd(host);
}
