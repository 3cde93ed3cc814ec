//! Templates and readings, and the file that is shipped.

use std::{path::Path, sync::Arc};

use super::{ArrayPair, Reading, Template, Unread, Values, shipped_source};
use crate::{
    definitions::{Source, check_everything},
    pair::{PairRef, PairStatus},
};

/// A site with one pair of the shipped driver.
fn pair(settings: &str) -> (PairRef, Arc<ArrayPair>) {
    let site = format!(
        "hosts: {{ a: {{ connect: local, state: s }}, b: {{ connect: local, state: t }} }}\nvolumes:\n  v:\n    driver: cci\n    \
         primary: {{ host: a, path: p }}\n    settings: {{ {settings} }}\n    pairs: [{{ copy_group: \"VG01,dev01\", secondary: {{ host: b, path: q }} }}]\n"
    );
    let site = Source { path: "/site/site.yaml".into(), content: Ok(site.into_bytes()) };
    let checked = check_everything(site, Vec::new(), Vec::new());
    assert!(checked.report.is_empty(), "{}", checked.report);
    let pair = checked.site.unwrap().pairs(&"v".into()).remove(0);
    let array = pair.array.clone().unwrap();
    (pair, array)
}

const SETTINGS: &str = "instance: \"0\", remote_instance: \"1\"";

#[test]
fn the_shipped_file_is_right_and_asks_by_role_and_copy_type() {
    let (pair, array) = pair(SETTINGS);
    let ask = |array: &ArrayPair, on_primary| {
        let values = Values::of(&pair, array, on_primary).unwrap();
        array.file.status.run.0.iter().map(|one| one.render(&values).unwrap()).collect::<Vec<_>>().join(" ")
    };
    let rest = "-g VG01 -d dev01 -fcx -CLI";
    assert_eq!(ask(&array, true), format!("/HORCM/usr/bin/pairdisplay -IM0 {rest}"));
    assert_eq!(ask(&array, false), format!("/HORCM/usr/bin/pairdisplay -IM1 {rest}"));
    let (_, remote) = self::pair(&format!("{SETTINGS}, copy_type: true-copy"));
    assert_eq!(ask(&remote, true), format!("/HORCM/usr/bin/pairdisplay -IH0 {rest}"));
    assert_eq!(remote.lacks(&remote.file.verbs.restore.as_ref().unwrap().only), Some("copy_type"));
    assert!(shipped_source(Path::new("/"), "other").is_none());
}

#[test]
fn field_logs_are_read() {
    let (_, array) = pair(SETTINGS);
    let status = &array.file.status;
    let read = |text: &str| status.read(0, text);
    let is = |status, progress| Ok(Reading { status, progress });
    let split = "Group   PairVol L/R   Port# TID  LU-M   Seq# LDEV# P/S Status    %  P-LDEV# M\n\
        SI_CG   SI_CG_01 L   CL5-E-3  0   26 1  413541   6a6 P-VOL PSUS    99     2a6 W\n\
        Group   PairVol L/R   Port# TID  LU-M   Seq# LDEV# P/S Status    %  P-LDEV# M\n\
        SI_CG   SI_CG_01 R   CL5-E-3  0  262 0  413541   2a6 S-VOL SSUS    99     6a6 -\n";
    assert_eq!(read(split), is(PairStatus::Psus, Some(99)));
    assert_eq!(read(&split.replace("SSUS", "COPY")), is(PairStatus::Copy, Some(99)));
    assert_eq!(read(&split.replace("-VOL", "VOL")), is(PairStatus::Psus, Some(99)));
    let journal = "Group           PairVol     L/R Port#   TID  LU Seq#    LDEV# P/S Status Fence    % P-LDEV# M\n\
        CG_MAN02        CG_MAN02_01 L   CL5-E-3  0   26 413541   6a6 S-VOL PAIR ASYNC      0   5a6 -\n\
        CG_MAN02        CG_MAN02_01 R   CL1-A-3  0    2 410673   5a6 P-VOL PAIR ASYNC      1   6a6 -\n";
    assert_eq!(read(journal), is(PairStatus::Pair, Some(1)));
    let taken = journal.replace("S-VOL PAIR", "S-VOL SSWS").replace("P-VOL PAIR", "P-VOL PSUS");
    assert!(matches!(read(&taken), Err(Unread::Refused(why)) if why.contains("-swaps")));
    assert_eq!(read(""), Err(Unread::Unknown("-/-/-".to_owned())));
    let other = journal.replace("P-VOL PAIR", "P-VOL SMPL");
    assert!(matches!(read(&other), Err(Unread::Unknown(_))));
    let two = format!("{split}{}", split.replace("PSUS", "PAIR"));
    assert!(matches!(read(&two), Err(Unread::Ambiguous(..))));
    assert_eq!(status.read(251, split), Err(Unread::Code(251)));
}

#[test]
fn templates_are_strict_and_nothing_is_escaped() {
    let mut values = Values::default();
    values.put("name", "a&b <c> \"d\" 'e' $(f)");
    let render = |text: &str| Template(text.to_owned()).render(&values);
    assert_eq!(render("-g{{name}}"), Ok("-ga&b <c> \"d\" 'e' $(f)".to_owned()));
    for wrong in ["{{other}}", "{{#if other}}x{{/if}}", "{{name", "{{#each name}}x{{/each}}", "{{> name}}"] {
        assert!(render(wrong).is_err(), "{wrong}");
    }
    assert!(render(&"{{#if name}}".repeat(100)).is_err());
}
