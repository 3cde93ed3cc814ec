//! A secret is in no file that a run writes, in nothing that it prints, and in no argument of a process.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    bed::Bed,
    ftp::{PASSWORD, served},
    servers::has,
};

/// Files below a directory that hold the secret.
fn holding(directory: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && holds(&fs::read(&path).unwrap()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes())
}

/// The arguments of every process that hold the secret.
fn arguments() -> Vec<String> {
    let lines =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.filter(|line| holds(line)).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[test]
fn a_run_leaves_its_secret_nowhere() {
    if !has("proftpd") || !has("openssl") {
        return;
    }
    let Some(bed) = Bed::new() else { return };
    let (server, _) = served(&bed, false);
    bed.secret("password", PASSWORD);
    let argv = format!("[\"cat\",\"{}\"]", bed.path("password").display());
    for name in ["env:EXCHANGE_PASSWORD", &format!("command:{argv}")] {
        bed.declare(&format!("{{ url: \"ftp://backup@127.0.0.1:{}\", password: '{name}' }}", server.port));
        bed.site.kill_engines();
        let ended = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&ended);
        let watcher = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !watched.load(Ordering::SeqCst) {
                seen.extend(arguments());
            }
            seen
        });
        let mut run = bed.site.command(&["--json", "run", "documents"]);
        // Everything that can be logged is.
        run.env("EXCHANGE_PASSWORD", PASSWORD).env("RESPLIT_LOG", "trace");
        let output = run.output().unwrap();
        ended.store(true, Ordering::SeqCst);
        assert_eq!(watcher.join().unwrap(), Vec::<String>::new());
        assert!(output.status.success(), "{}", crate::site::told(&output));
        assert!(!holds(&output.stdout) && !holds(&output.stderr));
        for arguments in
            [&["plan", "documents"][..], &["plan", "documents", "--expand"], &["show", "latest"], &["logs"]]
        {
            let output = bed.site.output(&[&["--json"], arguments].concat());
            assert!(!holds(&output.stdout) && !holds(&output.stderr), "{arguments:?}");
        }
        assert_eq!(holding(&bed.site.path("")), Vec::<String>::new());
    }
}
