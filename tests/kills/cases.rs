//! What is disturbed: forms of operations, and what is done with them.

use std::{fmt, fs, path::PathBuf};

use crate::{
    mounted::Mounted,
    site::{DOCUMENTS, Site, TWO_PAIRS, copy_tree, small_tree},
};

/// How the operation is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Usual state split, with tape: two pairs, so that a record is evicted by every third backup.
    Split,
    /// Usual state paired, with tape: one pair.
    Paired,
    /// One host, and no tape.
    OneHost,
    /// Two volumes, and commands in every place.
    TwoVolumes,
    /// The first one, as its own steps.
    Explicit,
    /// The first one, whose secondaries are reached by streams only.
    Streams,
    /// A file system that is really held still.
    Frozen,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Backup,
    RestoreDisk,
    RestoreTape,
    FilesDisk,
    FilesTape,
}

/// One of the things that are killed at every point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub form: Form,
    pub act: Act,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:?} {:?}", self.form, self.act))
    }
}

/// All of them; what holds a file system still only where that can be done.
pub(crate) fn all() -> Vec<Case> {
    use {Act::*, Form::*};
    let acts = |form| match form {
        Split | TwoVolumes => vec![Backup, RestoreDisk, RestoreTape, FilesDisk, FilesTape],
        Paired => vec![Backup, RestoreTape, FilesTape],
        OneHost | Streams => vec![Backup, RestoreDisk, FilesDisk],
        Explicit => vec![Backup, RestoreTape],
        Frozen if Mounted::is_possible() => vec![Backup],
        Frozen => Vec::new(),
    };
    [Split, Paired, OneHost, TwoVolumes, Explicit, Streams, Frozen]
        .into_iter()
        .flat_map(|form| acts(form).into_iter().map(move |act| Case { form, act }))
        .collect()
}

const ONE_PAIR: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: mirrors/0 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 2, drives: 1, cartridge_size: 64MiB, pools: [documents] }
"#;

const ONE_HOST: &str = r#"
hosts:
  fileserver: { connect: local, state: state }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: fileserver, path: mirrors/0 } }
"#;

/// A file system, whose primary is a directory of it: what is beside may be touched to see whether it is frozen.
const FROZEN: &str = "
protect: { filesystem: mounted, volumes: [documents] }
backup_server: backupserver
tape: { library: vault, pool: documents, keep: 30d }
quiesce: { mode: freeze, window: 10s }
hooks: { in_window: [ { argv: ['true'] } ] }
";

/// Appends its place to a file, and fails nothing.
fn hook(site: &Site, place: &str) -> String {
    let told = site.path("hooks.txt");
    format!("{place}: [ {{ argv: [sh, -c, 'echo {place} >> {}'] }} ]", told.display())
}

/// A site that is ready for its case.
pub(crate) struct Fixture {
    pub case: Case,
    pub site: Site,
    pub mounted: Option<Mounted>,
}

impl Fixture {
    /// Makes the site and what precedes the case, undisturbed.
    pub(crate) fn new(case: Case) -> Self {
        let (site, mounted, backups) = match case.form {
            Form::Split | Form::Explicit => (Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]), None, 2),
            Form::Streams => {
                let text = TWO_PAIRS.replace("path: mirrors/0 }", "path: mirrors/0, reach: stream }");
                let text = text.replace("path: mirrors/1 }", "path: mirrors/1, reach: stream }");
                (Site::new(&text, &[("documents", DOCUMENTS)]), None, 2)
            }
            Form::Paired => {
                let operation = format!("{DOCUMENTS}usual_state: paired\n");
                (Site::new(ONE_PAIR, &[("documents", &operation)]), None, 1)
            }
            Form::OneHost => {
                let operation = "protect: { filesystem: documents, volumes: [documents] }\n";
                (Site::new(ONE_HOST, &[("documents", operation)]), None, 1)
            }
            Form::TwoVolumes => (two_volumes(), None, 1),
            Form::Frozen => {
                let text = TWO_PAIRS.replace("path: documents }", "path: mounted/documents }");
                let site = Site::new(&text, &[("documents", FROZEN)]);
                let mounted = Mounted::new(&site, "mounted");
                (site, mounted, 0)
            }
        };
        let fixture = Self { case, site, mounted };
        fixture.ready(if case.act == Act::Backup { backups } else { 1 });
        fixture
    }

    fn ready(&self, backups: u32) {
        for (volume, primary) in self.primaries() {
            small_tree(&primary);
            fs::write(primary.join("volume.txt"), volume).unwrap();
        }
        if self.case.form == Form::Explicit {
            let steps = self.site.succeed(&["plan", "documents", "--expand"]);
            fs::write(self.site.path("operations/documents.yaml"), steps).unwrap();
        }
        for count in 0..backups {
            for (_, primary) in self.primaries() {
                fs::write(primary.join(format!("before-{count}.txt")), vec![b'b'; 3000]).unwrap();
            }
            self.site.succeed(&["run", "documents"]);
        }
        for (volume, primary) in self.primaries() {
            copy_tree(&primary, &self.as_it_was(volume));
            fs::write(primary.join("a.txt"), "changed since").unwrap();
            fs::remove_file(primary.join("reports/b.txt")).unwrap();
            fs::write(primary.join("reports/new.txt"), vec![b'n'; 20_000]).unwrap();
        }
        // What the commands said until now belongs to what precedes.
        let _ = fs::remove_file(self.site.path("hooks.txt"));
    }

    /// The volumes and their primaries.
    pub(crate) fn primaries(&self) -> Vec<(&'static str, PathBuf)> {
        match self.case.form {
            Form::Frozen => vec![("documents", self.site.path("mounted/documents"))],
            Form::TwoVolumes => vec!["documents", "pictures"]
                .into_iter()
                .map(|name| (name, self.site.path(&format!("all/{name}"))))
                .collect(),
            _ => vec![("documents", self.site.path("documents"))],
        }
    }

    /// What a volume was when the last backup before the case was made.
    pub(crate) fn as_it_was(&self, volume: &str) -> PathBuf {
        self.site.path(&format!("as-it-was-{volume}"))
    }

    /// The hosts, and their state directories.
    pub(crate) fn hosts(&self) -> &'static [(&'static str, &'static str)] {
        match self.case.form {
            Form::OneHost => &[("fileserver", "state")],
            _ => &[("fileserver", "state"), ("backupserver", "state-backup")],
        }
    }

    /// The paths that a restore of files asks for.
    pub(crate) fn paths(&self) -> Vec<String> {
        let volumes = self.primaries();
        let one = volumes.len() == 1;
        let of =
            |volume: &str| ["a.txt", "reports"].map(|p| if one { p.into() } else { format!("{volume}/{p}") });
        volumes.iter().flat_map(|(volume, _)| of(volume)).collect()
    }

    /// The arguments of the program.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let restore = |from: &str| ["restore", "documents", "--from", from].map(str::to_owned).to_vec();
        let files = |from: &str| {
            let to = self.site.path("out").display().to_string();
            let paths = self.paths().into_iter().flat_map(|path| ["--path".to_owned(), path]);
            restore(from).into_iter().chain(paths).chain(["--to".to_owned(), to]).collect()
        };
        let in_place = |from: &str| restore(from).into_iter().chain(["--yes".to_owned()]).collect();
        match self.case.act {
            Act::Backup => vec!["run".to_owned(), "documents".to_owned()],
            Act::RestoreDisk => in_place("disk"),
            Act::RestoreTape => in_place("tape"),
            Act::FilesDisk => files("disk"),
            Act::FilesTape => files("tape"),
        }
    }
}

fn two_volumes() -> Site {
    let text = ONE_PAIR.replace("path: documents }", "path: all/documents }").replace(
        "libraries:",
        r#"  pictures:
    driver: directory
    primary: { host: fileserver, path: all/pictures }
    pairs:
      - { copy_group: "VG01,vol02", secondary: { host: backupserver, path: mirrors/1 } }
libraries:"#,
    );
    let site = Site::new(&text, &[]);
    let places = ["before", "before_quiesce", "in_window", "after_thaw", "after"];
    let hooks: Vec<_> = places.iter().map(|place| hook(&site, place)).collect();
    let operation = format!(
        "{}hooks:\n  {}\n",
        DOCUMENTS.replace(
            "filesystem: documents, volumes: [documents]",
            "filesystem: all, volumes: [documents, pictures]"
        ),
        hooks.join("\n  ")
    );
    fs::write(site.path("operations/documents.yaml"), operation).unwrap();
    site
}
