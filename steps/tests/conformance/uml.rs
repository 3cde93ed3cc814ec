//! Rows that need a device mapper, in machines that have one.

use std::{thread, time::Duration};

use resplit_test_uml::{Job, LVM, run};

/// Runs the rows whose names contain this, and the tests whose names begin so.
fn rows(names: &str, own: &str) -> Result<(), String> {
    let program = std::env::current_exe().unwrap();
    let filter = std::env::var("CONFORMANCE_CASES").unwrap_or_default();
    let job = Job {
        before: LVM,
        argv: &[program.to_str().unwrap(), "every_driver_keeps_the_contract", own, "--nocapture"],
        environment: &[("CONFORMANCE_ROWS", names), ("CONFORMANCE_CASES", &filter)],
        memory: 2048,
        limit: Duration::from_secs(900),
    };
    let ended = match run(&job) {
        Ok(ended) => ended,
        Err(reason) => {
            eprintln!("{names}: skipped: {reason}");
            return Ok(());
        }
    };
    if ended.code == Some(0) && ended.said.contains("  in all ") && !ended.said.contains(": skipped: ") {
        eprint!("{}", table(&ended.said));
        return Ok(());
    }
    Err(format!("{names}: {:?}:\n{}", ended.code, ended.said))
}

/// The rows of the table, out of all that a machine says.
fn table(said: &str) -> String {
    let is_row = |line: &&str| line.starts_with("  ") || line.starts_with("lvm, ");
    let mut rows = said.lines().filter(is_row).collect::<Vec<_>>().join("\n");
    rows.push('\n');
    rows
}

#[test]
fn logical_volumes_keep_the_contract_in_user_mode_linux() {
    let failed: Vec<String> = thread::scope(|scope| {
        // The tests of `own` run in the machine whose rows are soonest done.
        let machines =
            [("lvm, snapshots", "own::none"), ("lvm, thin", "own::"), ("lvm, halves", "own::none")];
        let machines = machines.map(|(names, own)| scope.spawn(move || rows(names, own)));
        machines.into_iter().filter_map(|machine| machine.join().unwrap().err()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
