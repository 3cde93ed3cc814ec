use super::*;

fn command(number: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = attributes
        .iter()
        .flat_map(|(kind, value)| {
            let length = u16::try_from(value.len()).unwrap();
            [&kind.to_le_bytes(), &length.to_le_bytes(), *value].concat()
        })
        .collect();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_le_bytes()[..], &number.to_le_bytes(), &[0; 4], &body].concat()
}

fn stream(commands: &[Vec<u8>]) -> Vec<u8> {
    [&MAGIC[..], &[1, 0, 0, 0], &commands.concat()].concat()
}

fn passed(stream: &[u8]) -> io::Result<Changes> {
    let mut to = Vec::new();
    let changes = relay(&mut &*stream, &mut to, |_| Ok::<_, io::Error>(()))?;
    assert_eq!(to, stream);
    Ok(changes)
}

#[test]
fn what_is_made_written_and_removed_is_counted_once() {
    let name: (u16, &[u8]) = (PATH, b"name");
    let whole = stream(&[
        command(2, &[(PATH, b"image")]),
        command(3, &[(PATH, b"o257-7-0")]),
        command(9, &[(PATH, b"o257-7-0"), (PATH_TO, b"name")]),
        command(15, &[name, (18, &[0; 8]), (DATA, b"content")]),
        command(17, &[name, (SIZE, &7_u64.to_le_bytes())]),
        command(15, &[(PATH, b"old"), (DATA, b"more")]),
        command(22, &[(PATH, b"old"), (SIZE, &300_u64.to_le_bytes())]),
        command(16, &[(PATH, b"cloned"), (CLONE_LENGTH, &4096_u64.to_le_bytes())]),
        command(11, &[(PATH, b"gone")]),
        command(20, &[(PATH, b"")]),
        command(21, &[]),
    ]);
    let wanted = Changes { made: 1, written: 2, removed: 1, bytes: 7 + 4 + 300 + 4096 };
    assert_eq!(passed(&whole).unwrap(), wanted);
}

#[test]
fn a_stream_that_is_cut_short_or_is_none_is_an_error() {
    let whole = stream(&[command(3, &[(PATH, b"name")]), command(21, &[])]);
    for length in 0..whole.len() {
        assert!(passed(&whole[..length]).is_err(), "{length}");
    }
    assert!(passed(&whole).is_ok());
    assert!(passed(&[b"something else".as_slice(), &[0; 40]].concat()).is_err());
    let mut long = stream(&[command(3, &[])]);
    long[17..21].fill(0xff);
    assert!(passed(&long).is_err());
    // An attribute that claims to be longer than its command.
    let mut wrong = stream(&[command(15, &[(PATH, b"name")]), command(21, &[])]);
    wrong[17 + 10 + 2] = 200;
    assert!(passed(&wrong).is_err());
}
