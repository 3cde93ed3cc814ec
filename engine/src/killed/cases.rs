//! What is disturbed: forms of operations, and what is done with them.

use std::fmt;

/// How the operation is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The quickstart's documents: usual state split, with tape; two pairs, so that a record is evicted.
    Split,
    /// Usual state paired, with tape: one pair.
    Paired,
    /// One host, and no tape.
    OneHost,
    /// Two volumes, and commands in every place.
    Commands,
    /// The steps of two volumes as they are written, and branches beside them.
    Branches,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Backup,
    RestoreDisk,
    RestoreTape,
    FilesDisk,
    FilesTape,
}

/// One of the things that are killed at every point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) form: Form,
    pub(super) act: Act,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:?} {:?}", self.form, self.act))
    }
}

/// All of them. An image that is not kept is not restored from disk.
pub(super) fn all() -> Vec<Case> {
    use {Act::*, Form::*};
    let acts: [(Form, &[Act]); 5] = [
        (Split, &[Backup, RestoreDisk, RestoreTape, FilesDisk, FilesTape]),
        (Paired, &[Backup, RestoreTape, FilesTape]),
        (OneHost, &[Backup, RestoreDisk, FilesDisk]),
        (Commands, &[Backup, RestoreDisk, RestoreTape, FilesTape]),
        (Branches, &[Backup, RestoreTape]),
    ];
    let case = |form: Form| move |act: &Act| Case { form, act: *act };
    acts.into_iter().flat_map(|(form, acts)| acts.iter().map(case(form))).collect()
}

impl Form {
    /// The volumes, with the places of their primaries.
    pub(super) const fn volumes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Split | Self::Paired | Self::OneHost => &[("documents", "documents")],
            Self::Commands | Self::Branches => {
                &[("documents", "all/documents"), ("pictures", "all/pictures")]
            }
        }
    }

    /// The hosts, the coordinator first, and their state directories.
    pub(super) const fn hosts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OneHost => &[("fileserver", "state")],
            _ => &[("fileserver", "state"), ("backupserver", "state-backup")],
        }
    }

    /// The secondaries.
    pub(super) const fn mirrors(self) -> &'static [&'static str] {
        match self {
            Self::Paired | Self::OneHost => &["mirrors/0"],
            Self::Split | Self::Commands | Self::Branches => &["mirrors/0", "mirrors/1"],
        }
    }

    /// The site file.
    pub(super) fn site(self) -> String {
        let pair = |group: &str, host: &str, place: u32| {
            format!(
                "      - {{ copy_group: \"{group}\", secondary: {{ host: {host}, path: mirrors/{place} }} }}\n"
            )
        };
        let volume = |name: &str, path: &str, pairs: &str| {
            let primary = format!("{{ host: fileserver, path: {path} }}");
            format!("  {name}:\n    driver: directory\n    primary: {primary}\n    pairs:\n{pairs}")
        };
        let (there, group) = ("backupserver", "VG01,vol01");
        let volumes = match self {
            Self::Split => {
                let pairs = pair(group, there, 0) + &pair("VG02,vol01", there, 1);
                volume("documents", "documents", &pairs)
            }
            Self::Paired => volume("documents", "documents", &pair(group, there, 0)),
            Self::OneHost => volume("documents", "documents", &pair(group, "fileserver", 0)),
            Self::Commands | Self::Branches => {
                volume("documents", "all/documents", &pair(group, there, 0))
                    + &volume("pictures", "all/pictures", &pair("VG01,vol02", there, 1))
            }
        };
        let line = |(host, state): &(&str, &str)| format!("  {host}: {{ connect: local, state: {state} }}\n");
        let hosts = self.hosts().iter().map(line).collect::<Vec<_>>().concat();
        let vault = "libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 2, drives: 1, cartridge_size: 64MiB, pools: [documents] }
";
        let vault = if self == Self::OneHost { "" } else { vault };
        format!("hosts:\n{hosts}volumes:\n{volumes}{vault}")
    }

    /// The declarative operation; the commands that it names append to the file `told`.
    pub(super) fn operation(self, told: &str) -> String {
        let protect = match self {
            Self::Commands | Self::Branches => "{ filesystem: all, volumes: [documents, pictures] }",
            _ => "{ filesystem: documents, volumes: [documents] }",
        };
        let tape = match self {
            Self::OneHost => "",
            _ => "backup_server: backupserver\ntape: { library: vault, pool: documents, keep: 30d }\n",
        };
        let usual = if self == Self::Paired { "usual_state: paired\n" } else { "" };
        let hook = |place: &str| format!("  {place}: [ {{ argv: [sh, -c, 'echo {place} >> {told}'] }} ]\n");
        let hooks = match self {
            Self::Commands => {
                let places = ["before", "before_quiesce", "in_window", "after_thaw", "after"];
                format!("hooks:\n{}", places.map(hook).concat())
            }
            _ => String::new(),
        };
        format!("protect: {protect}\n{tape}{usual}{hooks}")
    }

    /// What the explicit form has beside the steps of the declarative one: two branches that join again.
    pub(super) fn branches(self, told: &str) -> Option<String> {
        let step = |name: &str, needs: &str| {
            format!(
                "  {name}: {{ command: {{ argv: [sh, -c, 'echo {name} >> {told}'] }}, host: fileserver, needs: [{needs}] }}\n"
            )
        };
        (self == Self::Branches)
            .then(|| step("left", "") + &step("right", "") + &step("joined", "left, right"))
    }

    /// The commands that run once, whatever is killed; and those that run again with their window.
    pub(super) const fn commands(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Commands => (&["before", "after_thaw", "after"], &["before_quiesce", "in_window"]),
            Self::Branches => (&["left", "right", "joined"], &[]),
            _ => (&[], &[]),
        }
    }
}
