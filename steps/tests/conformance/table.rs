//! Runs every case on every row, and prints what came of it.

use std::{
    fmt::Write as _,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
    time::Instant,
};

use super::{bed::Maker, beds::Row};

/// A case: its name, and what it does.
pub(crate) type Case = (&'static str, fn(&dyn Maker));

/// Runs all, on two threads, prints the table, and gives what failed.
pub(crate) fn run(rows: &[Row], cases: &[Case]) -> Vec<String> {
    let (waiting, failed) = (Mutex::new(rows.iter().enumerate()), Mutex::new(Vec::new()));
    let lines = Mutex::new(vec![String::new(); rows.len()]);
    thread::scope(|scope| {
        for _ in 0..2 {
            let _ = scope.spawn(|| {
                loop {
                    let Some((number, row)) = waiting.lock().unwrap().next() else { break };
                    lines.lock().unwrap()[number] = one(row, cases, &failed);
                }
            });
        }
    });
    let all = lines.into_inner().unwrap().concat();
    // Past the capture of the test harness: a table is to be seen.
    std::io::stderr().write_all(all.as_bytes()).unwrap();
    failed.into_inner().unwrap()
}

fn one(row: &Row, cases: &[Case], failed: &Mutex<Vec<String>>) -> String {
    let began = Instant::now();
    let maker = match &row.maker {
        Ok(maker) => maker,
        Err(reason) => return format!("{}: skipped: {reason}\n", row.name),
    };
    let mut line = format!("{}:\n", row.name);
    for (name, case) in cases {
        if let Some(reason) = maker.leaves_out(name) {
            writeln!(line, "  {name:<48} not applicable: {reason}").unwrap();
            continue;
        }
        let began = Instant::now();
        let cell = match catch_unwind(AssertUnwindSafe(|| case(&**maker))) {
            Ok(()) => "ok",
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                failed.lock().unwrap().push(format!("{}: {name}: {text}", row.name));
                "FAILED"
            }
        };
        writeln!(line, "  {name:<48} {cell} ({} ms)", began.elapsed().as_millis()).unwrap();
    }
    writeln!(line, "  in all {:.1} s", began.elapsed().as_secs_f64()).unwrap();
    line
}
