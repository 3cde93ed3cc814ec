//! Names of users and groups, for archives that go to other machines. Numbers are what counts.

use std::{collections::BTreeMap, fs};

/// Who is called what, by the machine's own files.
pub(super) struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    /// Reads `/etc/passwd` and `/etc/group`; where they are missing nobody has a name.
    pub(super) fn of_this_machine() -> Self {
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// The name of a user, or nothing.
    pub(super) fn user(&self, id: u32) -> &str {
        self.users.get(&id).map_or("", String::as_str)
    }

    /// The name of a group, or nothing.
    pub(super) fn group(&self, id: u32) -> &str {
        self.groups.get(&id).map_or("", String::as_str)
    }
}

fn read(path: &str) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(_), Some(Ok(id))) =
            (fields.next(), fields.next(), fields.next().map(str::parse))
        {
            let _ = names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}
