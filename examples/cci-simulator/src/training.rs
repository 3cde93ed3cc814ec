//! The simulator's own verbs: making pairs, letting time pass, injecting errors.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use resplit_operations::pair::verdict::ArrayStatus;
use serde::de::{DeserializeOwned, value::StrDeserializer};

use crate::{
    Ended,
    array::{Array, Injected, Locked, Pair, Side, Speed},
    codes, commands,
};

/// What this program understands.
pub(crate) fn usage() -> String {
    "cci-simulator: behaves as an array's command line; CCI_SIM names the directory of the array

cci-simulator COMMAND ...            one of the array's commands; or link COMMAND to this program
cci-simulator array add GROUP DEVICE COPY_TYPE PRIMARY SECONDARY [INSTANCE REMOTE_INSTANCE]
                                     a pair of image files; shadow-image, thin-image, true-copy, universal-replicator
cci-simulator array links DIRECTORY  the commands, as scripts for this array
cci-simulator array speed at-once | by-hand | PERCENT_PER_SECOND
cci-simulator array advance GROUP DEVICE [PERCENT]   lets a copy come so far, or end
cci-simulator array status GROUP DEVICE STATUS       somebody else acts
cci-simulator array break GROUP DEVICE               the next copy ends in PSUE
cci-simulator array inject COMMAND ERROR [TIMES] [done]   the command ends with that error (HANG: never), done or not
cci-simulator array edition KEY VALUE                without_hyphen, older, refusal_is_io_error, header_every,
                                                     remote_hangs, old_volchk
cci-simulator array show | codes                     all that is known of the array; the error codes
"
    .to_owned()
}

/// Runs one of them.
pub(crate) fn run(directory: &Path, arguments: &[String]) -> Ended {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match act(directory, &words) {
        Ok(Some(out)) => Ended::said(out),
        Ok(None) => Ended { code: 2, err: usage(), ..Ended::default() },
        Err(error) => Ended { code: 1, err: format!("{error}\n"), ..Ended::default() },
    }
}

fn act(directory: &Path, words: &[&str]) -> io::Result<Option<String>> {
    if let ["links", to] = words {
        return links(directory, Path::new(to)).map(|()| Some(String::new()));
    }
    let mut locked = Locked::open(directory)?;
    let array = &mut locked.array;
    match words {
        ["codes"] => return Ok(Some(codes::listing())),
        ["show"] => return Ok(Some(show(array)?)),
        ["add", group, device, copy_type, primary, secondary, instances @ ..] if instances.len() <= 2 => {
            add(array, [group, device, copy_type], [primary, secondary], instances)?;
        }
        ["speed", speed] => {
            array.speed = match speed.parse() {
                Ok(rate) => Speed::PercentPerSecond(rate),
                Err(_) => of_name(speed)?,
            }
        }
        ["advance", group, device] => find(array, group, device)?.finish()?,
        ["advance", group, device, percent] => {
            find(array, group, device)?.equal = percent.parse().map_err(io::Error::other)?;
        }
        ["status", group, device, status] => {
            let status: ArrayStatus = of_name(status)?;
            find(array, group, device)?.go(status)?;
        }
        ["break", group, device] => find(array, group, device)?.breaks = true,
        ["inject", command, error, rest @ ..] => inject(array, command, error, rest)?,
        ["edition", key, value] => edition(array, key, value)?,
        _ => return Ok(None),
    }
    locked.save()?;
    Ok(Some(String::new()))
}

/// Each command as a script that calls this program for this array, whatever the environment of who calls it.
fn links(array: &Path, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let (own, array) = (quoted(&std::env::current_exe()?), quoted(&std::path::absolute(array)?));
    for name in commands::NAMES {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\nCCI_SIM={array} exec {own} {name} \"$@\"\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn of_name<T: DeserializeOwned>(name: &str) -> io::Result<T> {
    T::deserialize(StrDeserializer::<serde::de::value::Error>::new(name)).map_err(io::Error::other)
}

fn find<'a>(array: &'a mut Array, group: &str, device: &str) -> io::Result<&'a mut Pair> {
    let at = array.position(group, device);
    at.map(|at| &mut array.pairs[at])
        .ok_or_else(|| io::Error::other(format!("there is no pair {group},{device}")))
}

fn add(
    array: &mut Array,
    [group, device, copy_type]: [&str; 3],
    paths: [&str; 2],
    instances: &[&str],
) -> io::Result<()> {
    if array.position(group, device).is_some() {
        return Err(io::Error::other(format!("there is a pair {group},{device} already")));
    }
    let number =
        |at: usize| instances.get(at).map_or(Ok(u32::try_from(at).unwrap_or(0)), |text| text.parse());
    let ldev = u32::try_from(array.pairs.len()).unwrap_or(0) * 2 + 0x400;
    let side = |at: usize, path: &str| -> io::Result<Side> {
        let path: PathBuf = fs::canonicalize(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
        let instance = number(at).map_err(io::Error::other)?;
        Ok(Side { instance, serial: 64568, ldev: ldev + u32::try_from(at).unwrap_or(0), path })
    };
    let (primary, secondary) = (side(0, paths[0])?, side(1, paths[1])?);
    if primary.path.metadata()?.len() != secondary.path.metadata()?.len() {
        return Err(io::Error::other("the two volumes of a pair have to be of one size"));
    }
    let mu = array.pairs.iter().filter(|pair| pair.primary.path == primary.path).count();
    array.pairs.push(Pair {
        group: group.to_owned(),
        device: device.to_owned(),
        copy_type: CopyType::named(copy_type)
            .ok_or_else(|| io::Error::other(format!("an array has no copy type {copy_type}")))?,
        mu: u32::try_from(mu).unwrap_or(0),
        primary,
        secondary,
        status: ArrayStatus::Smpl,
        copying: None,
        equal: 0,
        breaks: false,
        writable: false,
        without_effect: 0,
    });
    Ok(())
}

fn inject(array: &mut Array, command: &str, error: &str, rest: &[&str]) -> io::Result<()> {
    if !commands::NAMES.contains(&command) {
        return Err(io::Error::other(format!("there is no command {command}")));
    }
    if error != "HANG" && codes::named(error).is_none() {
        return Err(io::Error::other(format!("there is no error {error}: see `array codes`")));
    }
    let times = rest.iter().find_map(|word| word.parse().ok()).unwrap_or(1);
    let done = rest.contains(&"done");
    array.injected.push(Injected { command: command.to_owned(), error: error.to_owned(), done, times });
    Ok(())
}

fn edition(array: &mut Array, key: &str, value: &str) -> io::Result<()> {
    let mut all = serde_json::to_value(&array.edition)?;
    let value: serde_json::Value = serde_json::from_str(value)?;
    all[key] = value;
    array.edition = serde_json::from_value(all)?;
    Ok(())
}

fn show(array: &Array) -> io::Result<String> {
    let mut text = String::new();
    let _ = writeln!(text, "{}", serde_json::to_string_pretty(array)?);
    Ok(text)
}
