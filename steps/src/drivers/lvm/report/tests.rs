//! Reports as LVM 2.03.16 has printed them.

use super::*;

fn row(values: &[(&str, &str)]) -> String {
    let value = |field: &&str| values.iter().find(|(name, _)| name == field).map_or("", |(_, value)| value);
    let fields: Vec<_> =
        FIELDS.split(',').map(|field| format!("\"{field}\":\"{}\"", value(&field))).collect();
    format!("{{{}}}", fields.join(", "))
}

fn report(rows: &[String]) -> Vec<u8> {
    format!("{{\"report\": [{{\"lv\": [{}]}}]}}", rows.join(", ")).into_bytes()
}

#[test]
fn a_full_snapshot_and_a_split_half_are_told() {
    let said = report(&[
        row(&[
            ("lv_name", "s1"),
            ("lv_uuid", "a"),
            ("lv_attr", "swi-I-s---"),
            ("lv_tags", "resplit.pair=1,other"),
            ("origin", "o"),
            ("lv_size", "8388608"),
            ("lv_snapshot_invalid", "snapshot invalid"),
            ("data_percent", "100.00"),
            ("devices", "/dev/loop0(16)"),
            ("lv_dm_path", "/dev/mapper/vg-s1"),
        ]),
        row(&[("lv_name", "o_rimage_1"), ("lv_uuid", "b"), ("lv_attr", "Iri-a-r---"), ("lv_size", "1")]),
        row(&[("lv_name", "[o_rmeta_1]"), ("lv_uuid", "c"), ("lv_attr", "ewi-a-r---"), ("lv_size", "1")]),
    ]);
    let found = parse(&said).unwrap();
    assert!(found[0].is_invalid && !found[0].is_hidden);
    assert_eq!((found[0].size, found[0].full), (8 << 20, Some(100.0)));
    assert_eq!(found[0].tags, ["resplit.pair=1", "other"]);
    assert_eq!(
        (found[0].on.as_slice(), found[0].origin.as_str()),
        (["/dev/loop0".to_owned()].as_slice(), "o")
    );
    assert!(!found[1].is_hidden && found[2].is_hidden);
    assert_eq!(found[2].name, "o_rmeta_1");
}

#[test]
fn a_volume_in_several_pieces_is_one() {
    let piece = |device| row(&[("lv_name", "o"), ("lv_uuid", "a"), ("lv_size", "1"), ("devices", device)]);
    let found = parse(&report(&[piece("/dev/loop0(0)"), piece("/dev/loop1(3)")])).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].on, ["/dev/loop0", "/dev/loop1"]);
}

#[test]
fn what_is_no_report_is_shown() {
    for said in ["", "{}", "{\"report\": [{\"lv\": [{\"lv_name\":\"o\"}]}]}", "  LV  Attr\n"] {
        let failure = parse(said.as_bytes()).unwrap_err();
        assert!(failure.message.contains("not understood"), "{failure}");
        assert!(failure.message.ends_with(said.trim()), "{failure}");
    }
    let wrong = report(&[row(&[("lv_name", "o"), ("lv_size", "8.00m")])]);
    assert!(parse(&wrong).unwrap_err().message.contains("no number"));
}

#[test]
fn a_part_that_was_just_merged_is_not_equal() {
    let is_equal = |said: &str| parse_mirror(said).map(|mirror| mirror.is_equal);
    assert_eq!(is_equal("0 131072 raid raid1 2 AA 131072/131072 idle 0 0 -"), Some(true));
    assert_eq!(is_equal("0 131072 raid raid1 2 Aa 131072/131072 idle 0 0 -"), Some(false));
    assert_eq!(is_equal("0 131072 raid raid1 2 Aa 2048/131072 recover 0 0 -"), Some(false));
    assert_eq!(is_equal("0 131072 raid raid1 2 AD 131072/131072 idle 0 0 -"), Some(false));
    assert_eq!(is_equal("0 131072 linear 7:0 2048"), None);
    assert_eq!(is_equal(""), None);
}
