//! Driver files: how the pairs of an array are made, split and asked about by the array's own commands.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{DriverId, HostId},
    pair::PairStatus,
    units::Period,
};

mod reading;
mod shipped;
mod template;

pub(crate) use reading::pattern;
pub use reading::{Reading, Unread};
pub use shipped::{SHIPPED, shipped_source};
pub(crate) use template::OWN_NAMES;
pub use template::{Template, Values};

/// The file of a driver. Commands are lists of arguments, each a template that is rendered alone; there is no shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverFile {
    /// What it drives, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What `settings` of a volume or pair may say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Setting>,
    /// Names for templates that several commands share. They may use settings, not each other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Template>,
    /// The environment of every command, whole: nothing is inherited but `PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Template>,
    /// How long one command may take.
    #[serde(default = "minute")]
    pub timeout: Period,
    /// Exit codes after which it is worth trying again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temporary: Vec<u8>,
    /// What has to be up before a command: started if it is not, and stopped afterwards only if it was started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Before>,
    /// How the status of a pair is read.
    pub status: StatusCommand,
    /// What is done to pairs.
    pub verbs: Verbs,
    /// How an image is made readable; without it, it cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageAccess>,
}

const fn minute() -> Period {
    Period::seconds(60)
}

fn zero() -> Vec<u8> {
    vec![0]
}

/// The program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Argv(#[schemars(length(min = 1))] pub Vec<Template>);

/// A setting: what it may be. Without `default` it has to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What it means.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it may be, each with further names that it gives to templates. All choices give the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<String, BTreeMap<String, String>>,
    /// The smallest and the largest, of a whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
}

/// A range of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// The smallest.
    pub from: u32,
    /// The largest.
    pub to: u32,
}

impl Setting {
    /// What is wrong with a value, in words: what is expected instead.
    pub fn refuses(&self, value: &str) -> Option<String> {
        if !self.choices.is_empty() && !self.choices.contains_key(value) {
            let choices: Vec<&str> = self.choices.keys().map(String::as_str).collect();
            return Some(choices.join(" or "));
        }
        let Numbers { from, to } = self.numbers?;
        let fits = value.parse().is_ok_and(|number: u32| (from..=to).contains(&number));
        (!fits || value.starts_with('+')).then(|| format!("a whole number from {from} to {to}"))
    }
}

/// What has to be up before a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Only where settings have one of these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// Says whether it is up.
    pub check: Argv,
    /// Exit codes of `check` that say that it is.
    #[serde(default = "zero")]
    pub up: Vec<u8>,
    /// Exit codes of `check` that say that it is not.
    pub down: Vec<u8>,
    /// Starts it.
    pub start: Argv,
    /// Exit codes of `start` that say that it was started.
    #[serde(default = "zero")]
    pub started: Vec<u8>,
    /// Exit codes of `start` that say that somebody else had started it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was_up: Vec<u8>,
    /// Stops it.
    pub stop: Argv,
}

/// How the status of a pair is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusCommand {
    /// The command.
    pub run: Argv,
    /// Exit codes with which it has answered.
    #[serde(default = "zero")]
    pub success: Vec<u8>,
    /// Patterns that each find one word of the status, in a group named `status`. What one does not find is `-`; the
    /// words are joined with `/`. Without patterns the word is the exit code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// A pattern that finds how many per cent are equal, in a group named `progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// What the words mean. Any other is an error that shows the output.
    #[schemars(extend("minProperties" = 1))]
    pub means: BTreeMap<String, PairStatus>,
    /// Words for which nothing may be done, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refuses: BTreeMap<String, String>,
}

/// What is done to pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verbs {
    /// Makes an SMPL pair. Without it, or where a setting forbids it, that is left to operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Verb>,
    /// Makes the secondary equal to the primary; done when the pair is PAIR.
    pub resync: Verb,
    /// Leaves an image; done when the pair is PSUS.
    pub split: Verb,
    /// Copies the image back; done when the pair is PAIR or PSUS. A pair that is PAIR then is split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Verb>,
    /// Dissolves the pair; done when it is SMPL. Without it, that is left to operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Verb>,
    /// Makes this host forget what it has cached of the secondary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_cache: Option<Verb>,
}

/// One verb: commands, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verb {
    /// Only where settings have one of these values; elsewhere the verb is refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// The commands.
    #[schemars(length(min = 1))]
    pub run: Vec<Argv>,
    /// Exit codes that mean that a command was accepted.
    #[serde(default = "zero")]
    pub success: Vec<u8>,
    /// How it is waited for.
    #[serde(default)]
    pub wait: Wait,
}

/// How the end of a verb is waited for: by reading the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wait {
    /// The pause between two looks at the status.
    pub interval: Period,
    /// How long a verb may take until it has failed.
    pub limit: Period,
    /// How long the status may stay what it was before: then the verb was accepted and had no effect.
    pub effect: Period,
}

impl Default for Wait {
    fn default() -> Self {
        Self { interval: Period::seconds(5), limit: Period::seconds(600), effect: Period::seconds(30) }
    }
}

/// How an image is made readable: a device that is mounted, or a tree that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageAccess {
    /// The device, on the host that reads the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Template>,
    /// Options of mount(8), of a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Template>,
    /// The root of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Template>,
    /// A command that mounts the image at `{{at}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<Argv>,
}

/// How the array of a pair is asked: what its driver's file says, and what the site says of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayPair {
    /// The driver.
    pub driver: DriverId,
    /// Its file.
    pub file: Arc<DriverFile>,
    /// What the site says, the pair's own before the volume's.
    pub settings: BTreeMap<String, String>,
    /// The primary's host.
    pub primary_host: HostId,
    /// The secondary's host.
    pub secondary_host: HostId,
}

impl ArrayPair {
    /// The value of a setting, said or by default.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let said = self.settings.get(name);
        said.or_else(|| self.file.settings.get(name)?.default.as_ref()).map(String::as_str)
    }

    /// Whether settings have values among these; which one has not, otherwise.
    pub fn lacks<'a>(&self, only: &'a BTreeMap<String, Vec<String>>) -> Option<&'a str> {
        let lacking = |(name, values): &(&String, &Vec<String>)| {
            !self.setting(name).is_some_and(|value| values.iter().any(|one| one == value))
        };
        only.iter().find(lacking).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests;
