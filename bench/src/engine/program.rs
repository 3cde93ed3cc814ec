//! The program as a whole: from its start to its end, as an operator waits for it.

use std::{
    env,
    error::Error,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{median, milliseconds};

const OPERATIONS: usize = 10_000;
const CHECKS: usize = 5;
const PLANS: usize = 15;

const TWO_HOSTS: &str = "
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: \"VG01,vol01\", secondary: { host: backupserver, path: mirrors/0 } }
      - { copy_group: \"VG02,vol01\", secondary: { host: backupserver, path: mirrors/1 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 4, drives: 1, cartridge_size: 64MiB, pools: [documents] }
";

const DOCUMENTS: &str = "
description: The documents, mirrored, split at one moment, and put on tape
protect: { filesystem: documents, volumes: [documents] }
backup_server: backupserver
usual_state: split
quiesce: { mode: online, window: 10s }
tape: { library: vault, pool: documents, keep: 30d }
hooks: { before: [ { argv: [\"true\"] } ], after: [ { argv: [\"true\"] } ] }
schedule: { cron: \"0 2 * * *\", timezone: Europe/Berlin, missed: run-once, overlap: skip }
";

/// Prints how long `check` of many operations takes, and `plan` of one while engines run.
pub(crate) fn run(place: &Path) -> Result<(), Box<dyn Error>> {
    let program = env::current_exe()?.with_file_name("resplit");
    if !program.exists() {
        return Err(format!("{} is not there: cargo build --release", program.display()).into());
    }
    let call = |verb: &str, operation: Option<&str>| {
        let mut command = Command::new(&program);
        let _ = command.arg("--site").arg(place).arg(verb).args(operation);
        let _ =
            command.env_remove("RESPLIT_HOST").env_remove("RESPLIT_SITE").env("RESPLIT_ENGINE_IDLE", "10s");
        timed(&mut command)
    };
    fs::create_dir_all(place.join("operations"))?;
    fs::create_dir_all(place.join("documents"))?;
    fs::write(place.join("documents/file"), "a file")?;
    fs::write(place.join("site.yaml"), TWO_HOSTS)?;
    fs::write(place.join("operations/documents.yaml"), DOCUMENTS)?;
    let _ = call("run", Some("documents"))?;
    let plans = (0..PLANS).map(|_| call("plan", Some("documents"))).collect::<Result<Vec<_>, _>>()?;
    println!("plan of one operation, engines running: {:.1} ms", milliseconds(median(plans)));
    for number in 1..OPERATIONS {
        fs::write(place.join(format!("operations/documents-{number:05}.yaml")), DOCUMENTS)?;
    }
    let checks = (0..CHECKS).map(|_| call("check", None)).collect::<Result<Vec<_>, _>>()?;
    println!("check of {OPERATIONS} operation files: {:.0} ms", milliseconds(median(checks)));
    // The engines have nothing to do, and end by themselves.
    while fs::read_dir(place)?.flatten().any(|entry| entry.path().join("engine.sock").exists()) {
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn timed(command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = began.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
