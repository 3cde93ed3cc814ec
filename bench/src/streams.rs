//! Pairs whose sides are reached from engine to engine, against `tar | tar` and `rsync` to its daemon: interleaved, medians
//! of five, durable at the end where the peer is not. The programs and engines are those of operators.

use std::{
    env,
    error::Error,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::pairs;

const RUNS: usize = 5;

const SITE: &str = "
hosts:
  near: { connect: local, state: state }
  far:  { connect: local, state: state-far }
volumes:
  tree:
    driver: directory
    primary: { host: near, path: primary }
    pairs:
      - { copy_group: \"VG01,tree\", secondary: { host: far, path: secondary, reach: stream } }
";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Prints the rows for streams.
pub(crate) fn run(place: &Path) -> Result<()> {
    let program = env::current_exe()?.with_file_name("resplit");
    if !program.exists() {
        return Err(format!("{} is not there: cargo build --release", program.display()).into());
    }
    fs::create_dir_all(place.join("operations"))?;
    fs::write(place.join("site.yaml"), SITE)?;
    let primary = place.join("primary");
    pairs::tree(&primary)?;
    let streams = Streams { program, place };
    // Also the start of both engines, which is not measured.
    streams.pair("create")?;
    println!(
        "{:<58} {:>9} {:>9} {:>7}",
        "streams (medians of five, interleaved)", "resplit", "peer", "ratio"
    );
    let daemon = Daemon::start(place)?;
    let copy = place.join("copy");
    let tar = || {
        fs::create_dir_all(&copy)?;
        let script =
            "tar -C \"$1\" --xattrs --acls -cf - . | tar -C \"$2\" --xattrs --acls -xpf - && sync -f \"$2\"";
        execute(Command::new("sh").args(["-c", script, "sh"]).args([&primary, &copy]))
    };
    let rsync = || {
        fs::create_dir_all(&copy)?;
        daemon.send(&primary)?;
        execute(Command::new("sync").arg("-f").arg(&copy))
    };
    let anew = || {
        streams.pair("delete")?;
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        Ok(())
    };
    streams.compare("full copy: tar | tar, sync -f", &anew, "create", &tar)?;
    streams.compare("full copy: rsync -aHAX to its daemon, sync -f", &anew, "create", &rsync)?;
    let touch = || {
        for file in 0..200 {
            fs::write(primary.join(format!("directory {file}/file 7")), format!("{:?}", Instant::now()))?;
        }
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    };
    streams.pair("create")?;
    rsync()?;
    let delta = || daemon.send(&primary);
    streams.compare("resync, 1 % of files changed: rsync to its daemon", &touch, "resync", &delta)
}

struct Streams<'a> {
    program: PathBuf,
    place: &'a Path,
}

impl Streams<'_> {
    fn pair(&self, verb: &str) -> Result<()> {
        let mut command = Command::new(&self.program);
        let _ = command.arg("--site").arg(self.place).args(["pair", verb, "VG01,tree", "--yes"]);
        let _ =
            command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE").env("RESPLIT_ENGINE_IDLE", "10s");
        execute(&mut command)
    }

    fn compare(
        &self,
        what: &str,
        ready: &dyn Fn() -> Result<()>,
        verb: &str,
        peer: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for round in 0..RUNS {
            ready()?;
            rustix::fs::syncfs(fs::File::open(self.place)?)?;
            let mut our_turn = || -> Result<()> {
                ours.push(timed(&|| self.pair(verb))?);
                Ok(())
            };
            let mut their_turn = || -> Result<()> {
                peers.push(timed(peer)?);
                Ok(())
            };
            if round % 2 == 0 {
                our_turn()?;
                their_turn()?;
            } else {
                their_turn()?;
                our_turn()?;
            }
        }
        pairs::print(what, ours, peers);
        Ok(())
    }
}

/// The daemon of `rsync`, ended with this.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(place: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = place.join("rsyncd.conf");
        let module = format!(
            "uid = 0\ngid = 0\nuse chroot = no\n[copy]\npath = {}\nread only = no\n",
            place.join("copy").display()
        );
        fs::write(&settings, module)?;
        let child = Command::new("rsync")
            .args(["--daemon", "--no-detach", "--address", "127.0.0.1", "--port", &port.to_string()])
            .arg(format!("--config={}", settings.display()))
            .stdin(Stdio::null())
            .spawn()?;
        let daemon = Self { child, port };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(daemon);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the daemon of rsync does not listen".into())
    }

    fn send(&self, primary: &Path) -> Result<()> {
        let mut from = primary.as_os_str().to_owned();
        from.push("/");
        let to = format!("rsync://127.0.0.1:{}/copy/", self.port);
        execute(Command::new("rsync").args(["-aHAX", "--delete"]).arg(from).arg(to))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn execute(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn timed(work: &dyn Fn() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}
