use super::*;

fn member() -> Member {
    Member {
        kind: EntryType::Regular,
        path: b"v/a".to_vec(),
        link: Vec::new(),
        mode: 0o4755,
        owner: 3_000_000_000,
        group: 7,
        modified: (-2, 500_000_000),
        device: (0, 0),
        attributes: vec![(b"user.a=b%".to_vec(), b"line\nline\0".to_vec())],
        stored: 9 << 33,
        sparse_length: None,
    }
}

fn round_trip(member: &Member) -> Member {
    let bytes = member.encode("", "");
    let (extended, header) = bytes.split_at(bytes.len() - BLOCK);
    let records = if extended.is_empty() {
        Vec::new()
    } else {
        let size = Header::from_byte_slice(&extended[..BLOCK]).size().unwrap();
        extended[BLOCK..][..usize::try_from(size).unwrap()].to_vec()
    };
    Member::decode(Header::from_byte_slice(header), &records).unwrap()
}

#[test]
fn what_headers_cannot_hold_comes_back() {
    assert_eq!(round_trip(&member()), member());
    let long = Member { path: [b"v/".as_slice(), &[b'\n'; 300]].concat(), ..member() };
    assert_eq!(round_trip(&long), long);
    let link = Member { kind: EntryType::Symlink, link: vec![0xff; 400], stored: 0, ..member() };
    assert_eq!(round_trip(&link), link);
    let sparse = Member { sparse_length: Some(1 << 50), path: b"v/\xff/b".to_vec(), ..member() };
    assert_eq!(round_trip(&sparse), sparse);
}

#[test]
fn a_record_says_its_own_length() {
    for length in (0..120).chain(980..1010) {
        let mut records = Vec::new();
        record(&mut records, b"k", &vec![b'x'; length]);
        let digits = records.split(|byte| *byte == b' ').next().unwrap();
        assert_eq!(number(digits).unwrap(), records.len() as u64);
    }
}

#[test]
fn times_before_1970_are_written_as_gnu_tar_does() {
    for (time_of, text) in
        [((-2, 500_000_000), "-1.5"), ((0, 1), "0.000000001"), ((-1, 0), "-1"), ((10, 0), "10")]
    {
        assert_eq!(time(time_of), text);
        assert_eq!(parse_time(text.as_bytes()), Some(time_of));
    }
    for text in ["", "x", "1.x", "--1", "99999999999999999999"] {
        assert_eq!(parse_time(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn broken_records_are_errors() {
    for records in
        [b"x".as_slice(), b"9 a=b\n", b"6 a=bc", b"5 ab\n\n", b"0 a=b\n", b"99999999999999999999 a=b\n"]
    {
        assert!(Records(records).any(|record| record.is_err()), "{records:?}");
    }
}
