//! What becomes durable, as the system's own tracer sees it: one barrier a commit, one commit a step.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::site::told;

const SITE: &str = "
hosts: { here: { connect: local, state: state } }
volumes:
  documents:
    driver: directory
    primary: { host: here, path: documents }
    pairs: [ { copy_group: \"VG01,vol01\", secondary: { host: here, path: mirror } } ]
";

/// Whether processes can be traced here; if not, says so.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match tried {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("skipped: processes cannot be traced: {}", told(&output));
            false
        }
        Err(error) => {
            eprintln!("skipped: strace: {error}");
            false
        }
    }
}

/// How often `fdatasync` and `fsync` are called by command line and engine over a chain of so many steps that do nothing.
fn barriers(steps: usize) -> (usize, usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    for name in ["operations", "documents"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("site.yaml"), SITE).unwrap();
    let mut chain = "steps:\n".to_owned();
    for step in 0..steps {
        let needs = if step == 0 { String::new() } else { format!(", needs: [s{:05}]", step - 1) };
        writeln!(chain, "  s{step:05}: {{ confirm: {{}}, host: here{needs} }}").unwrap();
    }
    fs::write(path("operations/chain.yaml"), chain).unwrap();
    let trace = path("trace");
    // It ends when the engine does, which has nothing more to do then.
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fdatasync,fsync", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_resplit"))
        .arg("--site")
        .arg(directory.path())
        .args(["run", "chain"])
        .env("RESPLIT_ENGINE_IDLE", "1s")
        .env_remove("RESPLIT_HOST")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    (count(&trace, " fdatasync("), count(&trace, " fsync("))
}

fn count(trace: &Path, call: &str) -> usize {
    fs::read_to_string(trace).unwrap().lines().filter(|line| line.contains(call)).count()
}

#[test]
fn a_step_of_a_chain_is_one_barrier() {
    /// Opening the store, accepting, binding and ending the run, giving back leases.
    const BESIDE: usize = 8;
    if !can_trace() {
        return;
    }
    let (few, many) = (50, 250);
    let (data_few, files_few) = barriers(few);
    let (data_many, files_many) = barriers(many);
    println!("fdatasync, fsync: {few} steps {data_few}, {files_few}; {many} steps {data_many}, {files_many}");
    for (steps, barriers) in [(few, data_few), (many, data_many)] {
        assert!(barriers > steps, "{barriers} barriers for {steps} steps: not every step is durable");
        assert!(barriers <= steps + BESIDE, "{barriers} barriers for {steps} steps");
    }
    assert_eq!(data_many - data_few, many - few, "outcome and next intent are one commit");
    assert_eq!(files_many, files_few, "and nothing else is synced for a step");
}
