//! What a site says to drivers: how fast they copy, and settings that their files declare.

use super::site::with_targets;
use crate::{
    definitions::Drivers,
    driver::DriverFile,
    pace,
    report::{Problem, shown},
    schema::nearest,
    yaml::View,
};

/// Reports settings that a volume's driver does not know, values that it does not take, and those that it lacks.
pub(super) fn check(volumes: View<'_>, drivers: &Drivers, problems: &mut Vec<Problem>) {
    for (name, volume) in with_targets(volumes) {
        let Some(driver) = volume.get("driver") else { continue };
        let Some(driver_name) = driver.text() else { continue };
        let pairs: Vec<View<'_>> = volume.get("pairs").into_iter().flat_map(View::items).collect();
        let places = std::iter::once(volume).chain(pairs.iter().copied());
        check_pace(volume, driver_name, drivers, problems);
        let Some(file) = drivers.file(driver_name) else {
            if crate::site::PairDriverKind::BUILT_IN.iter().any(|kind| kind.to_string() == driver_name) {
                for place in places {
                    if let Some(settings) = place.entry("settings") {
                        let message = format!("the driver '{driver_name}' has no settings");
                        problems.push(Problem::at(settings.key_span.clone(), message).label("remove them"));
                    }
                }
            }
            continue;
        };
        for place in places {
            one(place, driver_name, file, problems);
        }
        let said = |place: &View<'_>, key: &str| {
            place.get("settings").is_some_and(|settings| settings.entry(key).is_some())
        };
        for (key, _) in file.settings.iter().filter(|(_, setting)| setting.default.is_none()) {
            if !said(&volume, key) && !pairs.iter().all(|pair| said(pair, key)) {
                problems.push(
                    Problem::at(
                        driver.span(),
                        format!("volume '{}' lacks the setting '{key}'", shown(&name)),
                    )
                    .label(format!("the driver '{driver_name}' needs it"))
                    .help(format!("settings: {{ {key}: \"...\" }}, of the volume or of each pair")),
                );
            }
        }
    }
}

/// Reports a pace that no driver takes, or that is said twice.
fn check_pace(volume: View<'_>, driver: &str, drivers: &Drivers, problems: &mut Vec<Problem>) {
    let file = drivers.file(driver).map(|file| &**file);
    if !drivers.names().contains(driver) {
        return;
    }
    for pair in volume.get("pairs").into_iter().flat_map(View::items) {
        let Some(said) = pair.entry("pace") else { continue };
        let value = pair.at(said.value);
        if !pace::is_taken(driver, file) {
            let message = format!("the driver '{driver}' copies at no pace");
            let problem = Problem::at(said.key_span.clone(), message).label("would be without effect");
            problems.push(problem.help("remove it: it copies as fast as it can"));
            continue;
        }
        let again = [pair, volume].into_iter().find_map(|place| place.get("settings")?.entry(pace::SETTING));
        if let Some(again) = again {
            let problem = Problem::at(again.key_span.clone(), "the pace of the pair is said twice");
            problems.push(problem.label("again").related(value.span(), "here").help("keep the key 'pace'"));
        }
        let setting = file.and_then(|file| file.settings.get(pace::SETTING));
        // What is no pace at all is told by the schema.
        if let crate::yaml::Value::Integer(number) = value.value()
            && (1..=15).contains(number)
            && let Some(wanted) = setting.and_then(|setting| setting.refuses(&number.to_string()))
        {
            let message = format!("to the driver '{driver}' the pace cannot be {number}");
            problems.push(Problem::at(value.span(), message).label(format!("expected {wanted}")));
        }
    }
}

fn one(place: View<'_>, driver: &str, file: &DriverFile, problems: &mut Vec<Problem>) {
    let Some(settings) = place.get("settings") else { return };
    for entry in settings.entries() {
        let Some(setting) = file.settings.get(&entry.key) else {
            let near = nearest(&entry.key, file.settings.keys().map(String::as_str));
            let all: Vec<&str> = file.settings.keys().map(String::as_str).collect();
            let help = near.map_or_else(
                || format!("it has {}", all.join(", ")),
                |near| format!("did you mean '{near}'?"),
            );
            let message = format!("the driver '{driver}' has no setting '{}'", shown(&entry.key));
            problems.push(Problem::at(entry.key_span.clone(), message).label("unknown setting").help(help));
            continue;
        };
        let value = settings.at(entry.value);
        let Some(text) = value.text() else { continue };
        if let Some(wanted) = setting.refuses(text) {
            let message = format!("'{}' cannot be '{}'", shown(&entry.key), shown(text));
            problems.push(Problem::at(value.span(), message).label(format!("expected {wanted}")));
        }
    }
}
