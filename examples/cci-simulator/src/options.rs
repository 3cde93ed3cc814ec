//! What the pair commands have in common: their options, and which pairs they mean.

use std::{env, path::Path};

use resplit_operations::pair::verdict::ArrayStatus;

use crate::array::{Array, Pair};

/// A command as it was given.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The instance that is asked.
    pub(crate) instance: u32,
    /// Local copies (`-IM`), not remote ones.
    pub(crate) local_copies: bool,
    group: Option<String>,
    device: Vec<String>,
    /// The whole group of the device.
    whole_group: bool,
    /// Options of this command alone, each with its arguments.
    pub(crate) own: Vec<(String, Vec<String>)>,
}

/// A pair that is meant, and from which side it is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meant {
    pub(crate) at: usize,
    pub(crate) local_is_primary: bool,
}

impl Options {
    /// Reads arguments. `own` are this command's options, each with the fewest and most arguments that it has. Gives the
    /// name of an error.
    pub(crate) fn read(arguments: &[String], own: &[(&str, usize, usize)]) -> Result<Self, &'static str> {
        let number = env::var("HORCMINST").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let local_copies = env::var_os("HORCC_MRCF").is_some();
        let mut options = Self { instance: number, local_copies, ..Self::default() };
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(option) = rest.next() {
            let is_value = |text: &&str| !text.starts_with('-') || text.len() == 1;
            if let Some((name, fewest, most)) = own.iter().find(|(name, ..)| *name == option) {
                let mut values = Vec::new();
                while values.len() < *most
                    && let Some(value) = rest.next_if(is_value)
                {
                    values.push(value.to_owned());
                }
                if values.len() < *fewest {
                    return Err("EX_REQARG");
                }
                options.own.push(((*name).to_owned(), values));
                continue;
            }
            match option {
                "-nomsg" => {}
                "-g" => options.group = Some(rest.next_if(is_value).ok_or("EX_REQARG")?.to_owned()),
                "-d" | "-dg" | "-d[g]" => {
                    options.whole_group = option != "-d";
                    options.device.push(rest.next_if(is_value).ok_or("EX_REQARG")?.to_owned());
                    while options.device.len() < 3
                        && let Some(more) = rest.next_if(is_value)
                    {
                        options.device.push(more.to_owned());
                    }
                }
                "-FHORC" | "-FCA" => options.local_copies = false,
                "-FMRCF" | "-FBC" => options.local_copies = true,
                _ => match option.strip_prefix("-I") {
                    Some(which) => options.choose(which)?,
                    None => return Err("EX_UNWOPT"),
                },
            }
        }
        Ok(options)
    }

    /// `-I[H|M|TC|SI|CA|BC][instance]`.
    fn choose(&mut self, which: &str) -> Result<(), &'static str> {
        let letters = which.trim_end_matches(|c: char| c.is_ascii_digit());
        match letters {
            "" => {}
            "H" | "TC" | "CA" => self.local_copies = false,
            "M" | "SI" | "BC" => self.local_copies = true,
            _ => return Err("EX_UNWOPT"),
        }
        let digits = &which[letters.len()..];
        if !digits.is_empty() {
            self.instance = digits.parse().map_err(|_| "EX_INVARG")?;
        }
        Ok(())
    }

    /// Whether an option of this command was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.own.iter().any(|(one, _)| one == name)
    }

    /// The first argument of an option of this command.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.own.iter().rev().find(|(one, _)| one == name)?.1.first().map(String::as_str)
    }

    /// The pairs that are meant, in the order of the configuration; or the name of an error.
    pub(crate) fn meant(&self, array: &Array) -> Result<Vec<Meant>, &'static str> {
        if !array.running.contains(&self.instance) {
            return Err("EX_ATTHOR");
        }
        let here: Vec<Meant> =
            (0..array.pairs.len()).filter_map(|at| self.side(&array.pairs[at], at)).collect();
        let pair = |meant: &Meant| &array.pairs[meant.at];
        let found: Vec<Meant> = match (&self.group, self.device.as_slice()) {
            (None, []) => return Err("EX_REQARG"),
            (Some(group), []) => here.iter().copied().filter(|meant| pair(meant).group == *group).collect(),
            (Some(group), [device, ..]) => {
                if !here.iter().any(|meant| pair(meant).group == *group) {
                    return Err("EX_ENOGRP");
                }
                let named = |meant: &Meant| pair(meant).group == *group && pair(meant).device == *device;
                here.iter().copied().filter(named).collect()
            }
            (None, device) => {
                // Of several groups with this device, the first in the file.
                let first = here.iter().find(|meant| is_device(pair(meant), **meant, device)).copied();
                match first {
                    Some(first) if self.whole_group => {
                        let group = &pair(&first).group;
                        here.iter().copied().filter(|meant| pair(meant).group == *group).collect()
                    }
                    first => first.into_iter().collect(),
                }
            }
        };
        if found.is_empty() {
            return Err(if self.device.is_empty() { "EX_ENOGRP" } else { "EX_ENODEV" });
        }
        Ok(found)
    }

    fn side(&self, pair: &Pair, at: usize) -> Option<Meant> {
        let local_is_primary = if pair.primary.instance == self.instance {
            true
        } else if pair.secondary.instance == self.instance {
            false
        } else {
            return None;
        };
        Some(Meant { at, local_is_primary })
    }

    /// The pair's status as this command sees it. Asked for the other kind of copies, every volume is a simplex one.
    pub(crate) fn seen(&self, pair: &Pair) -> ArrayStatus {
        if pair.copy_type.is_local() == self.local_copies { pair.status } else { ArrayStatus::Smpl }
    }
}

/// A number as the command line takes it: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
}

/// By name, by the file that is the volume, or by serial and volume number.
fn is_device(pair: &Pair, meant: Meant, device: &[String]) -> bool {
    let local = if meant.local_is_primary { &pair.primary } else { &pair.secondary };
    match device {
        [name] => *name == pair.device || Path::new(name) == local.path,
        [serial, ldev, ..] => number(serial) == Some(local.serial) && number(ldev) == Some(local.ldev),
        [] => false,
    }
}

/// Whether the instance on the other side of a pair is down.
pub(crate) fn lacks_remote(array: &Array, meant: &[Meant]) -> bool {
    meant.iter().any(|meant| {
        let pair = &array.pairs[meant.at];
        let other = if meant.local_is_primary { &pair.secondary } else { &pair.primary };
        !array.running.contains(&other.instance)
    })
}
