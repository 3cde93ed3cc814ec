//! Site, operation and driver files.

use std::path::PathBuf;

use resplit_operations::{
    compile,
    definitions::{Source, check_everything},
    driver::SHIPPED,
    ids::OperationId,
};

use crate::{mutate, running::execute};

const SITE: &str = include_str!("../../examples/quickstart/site.yaml");
const OPERATION: &str = include_str!("../../examples/quickstart/operations/documents.yaml");
const STEPS: &str = "steps:
  a: { resync: { volume: documents }, host: fileserver, retry: { attempts: 3, pause: 1s } }
  b: { split: { volume: documents }, host: fileserver, needs: [a], timeout: 10m, finally: c }
  c: { command: { argv: [\"a\", 'b'] }, host: backupserver, needs: [b] }
schedule: { cron: \"0 2 * * *\", timezone: Europe/Berlin, missed: run-once, overlap: skip }
";
const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ", ",
    "\n",
    "  ",
    "\t",
    "- ",
    "\"",
    "'",
    "*a",
    "&a ",
    "!!str ",
    "? ",
    "|\n",
    "<<: ",
    "{{x}}",
    "\r",
    "\u{feff}",
    "9999999999999999999s",
    "../..",
    "~",
];

fn source(path: &str, content: Vec<u8>) -> Source {
    Source { path: PathBuf::from("/site").join(path), content: Ok(content) }
}

#[test]
fn definition_files() {
    execute("definition files", |rng| {
        let mut files = [
            SITE.as_bytes().to_vec(),
            OPERATION.as_bytes().to_vec(),
            STEPS.as_bytes().to_vec(),
            SHIPPED[0].1.as_bytes().to_vec(),
        ];
        let damaged = rng.usize(..files.len());
        files[damaged] = mutate::bytes(&files[damaged], &TOKENS, rng);
        let [site, operation, steps, driver] = files;
        let operations =
            vec![source("operations/documents.yaml", operation), source("operations/steps.yaml", steps)];
        let drivers = vec![source("drivers/cci.yaml", driver)];
        let found = check_everything(source("site.yaml", site), drivers, operations);
        for problem in found.report.problems() {
            let (line, column) = found.report.position(problem);
            assert!(line >= 1 && column >= 1 && !problem.message.is_empty());
        }
        assert_eq!(found.report.render(100, false).is_empty(), found.report.is_empty());
        // What is right compiles, or says why not.
        for name in ["documents", "steps"] {
            let id = OperationId::from(name);
            if let Ok((site, operation)) = found.operation(&id) {
                let _ = compile::backup(site, std::path::Path::new("/site"), &id, operation);
            }
        }
    });
}
