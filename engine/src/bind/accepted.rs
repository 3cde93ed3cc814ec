//! A plan that was accepted beforehand runs only if it still means what was shown: the same pairs in the same status, the
//! same backups overwritten, the same source, the same cartridge.

use std::collections::{BTreeMap, BTreeSet};

use resplit_operations::{
    bound::{Binding, BoundPair, Eviction, SourceRecord},
    ids::VolumeId,
};
use resplit_steps::failure::Failure;

/// Refuses a binding that is not the one that was accepted, and says what differs. Pure.
pub(super) fn check(accepted: &Binding, now: &Binding) -> Result<(), Failure> {
    let mut differs = Vec::new();
    pairs(&accepted.pairs, &now.pairs, &mut differs);
    let going = |binding: &Binding| -> BTreeSet<String> { binding.evictions.iter().map(eviction).collect() };
    let (before, after) = (going(accepted), going(now));
    differs.extend(after.difference(&before).map(|gone| format!("{gone} would be overwritten, too")));
    differs.extend(before.difference(&after).map(|kept| format!("{kept} would not be overwritten")));
    changed("backup", accepted.source.as_ref().map(source), now.source.as_ref().map(source), &mut differs);
    let barcode = |binding: &Binding| binding.cartridge.as_ref().map(ToString::to_string);
    changed("cartridge", barcode(accepted), barcode(now), &mut differs);
    if differs.is_empty() {
        return Ok(());
    }
    let text = format!("what was accepted is not what would be done now: {}", differs.join("; "));
    Err(Failure::refused(text).with_help("look at it and accept it anew: resplit plan OPERATION --out FILE"))
}

fn pairs(
    accepted: &BTreeMap<VolumeId, BoundPair>,
    now: &BTreeMap<VolumeId, BoundPair>,
    differs: &mut Vec<String>,
) {
    let volumes: BTreeSet<_> = accepted.keys().chain(now.keys()).collect();
    for volume in volumes {
        let said = |pairs: &BTreeMap<VolumeId, BoundPair>| {
            pairs.get(volume).map(|bound| {
                let pair = &bound.pair;
                format!(
                    "{} (generation {}, {}) at {}",
                    pair.copy_group,
                    pair.generation,
                    bound.status,
                    pair.secondary.display()
                )
            })
        };
        changed(&format!("pair of volume '{volume}'"), said(accepted), said(now), differs);
    }
}

fn eviction(eviction: &Eviction) -> String {
    format!("backup {}:{}", eviction.host, eviction.id)
}

fn source(source: &SourceRecord) -> String {
    format!("{}:{} of {}", source.host, source.record.id, source.record.origin.started)
}

fn changed(what: &str, accepted: Option<String>, now: Option<String>, differs: &mut Vec<String>) {
    if accepted != now {
        let word = |said: Option<String>| said.unwrap_or_else(|| "none".to_owned());
        differs.push(format!("the {what} was {}, and is {}", word(accepted), word(now)));
    }
}
