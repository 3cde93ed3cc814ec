//! The names and tags by which what is ours is known among the volumes of a group.

use std::path::Path;

use resplit_operations::pair::{PairRef, Tag};
use serde::{Serialize, de::DeserializeOwned};

use crate::drivers::book::Book;

/// Whose an image is: the identity of its pair.
const PAIR: &str = "resplit.pair=";
/// On the primary: the image whose merging was asked for.
const MERGING: &str = "resplit.merging=";

/// The group and the name of a logical volume, from its path.
pub(super) fn of_path(path: &Path) -> Option<(String, String)> {
    let mut words = path.strip_prefix("/dev").ok()?.iter().map(|word| word.to_str());
    match (words.next()??, words.next()??, words.next()) {
        // Its hyphens are written twice there.
        ("mapper", name, None) => {
            let marked = name.replace("--", "\0");
            let (group, name) = marked.split_once('-').filter(|(_, name)| !name.contains('-'))?;
            Some((group.replace('\0', "-"), name.replace('\0', "-")))
        }
        (group, name, None) => Some((group.to_owned(), name.to_owned())),
        _ => None,
    }
}

/// The name of the image of a pair. LVM allows letters, digits and `+_.-`: what tells pairs apart is the hash.
pub(super) fn of_image(pair: &PairRef) -> String {
    const MOST: usize = 40;
    let mut hasher = blake3::Hasher::new();
    for part in [pair.volume.as_str(), pair.copy_group.as_str()] {
        let _ = hasher.update(part.as_bytes()).update(&[0]);
    }
    let hash = hasher.finalize().to_hex();
    let group: String = pair.copy_group.as_str().chars().take(MOST).map(plain).collect();
    format!("resplit.{group}.{}", hash.get(..8).unwrap_or_default())
}

fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() { letter } else { '.' }
}

/// The tag that says whose an image is.
pub(super) fn owner<E: Clone + Default + Serialize + DeserializeOwned>(book: &Book<E>) -> String {
    let hex = blake3::Hash::from(book.identity()).to_hex();
    format!("{PAIR}{}", hex.get(..32).unwrap_or_default())
}

/// The tag that says that an image, by its UUID, is merged into the primary that has it.
pub(super) fn merging(uuid: &str) -> String {
    format!("{MERGING}{uuid}")
}

/// All the tags of an image: whose it is; and for people, which pair that is, and who made it under which token.
pub(super) fn tags(owner: &str, pair: &PairRef, tag: &Tag, token: u64) -> Vec<String> {
    // What LVM allows in tags.
    let text = |text: &str| -> String {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+.-/=!:&#".contains(letter);
        text.chars().take(200).map(|letter| if allowed(letter) { letter } else { '.' }).collect()
    };
    vec![
        owner.to_owned(),
        format!("resplit.copy_group={}", text(pair.copy_group.as_str())),
        format!("resplit.generation={}", pair.generation),
        format!("resplit.by={}", text(&tag.0)),
        format!("resplit.token={token}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_known_by_its_path() {
        let of = |path: &str| of_path(Path::new(path)).map(|(group, name)| format!("{group} {name}"));
        assert_eq!(of("/dev/vg0/documents").as_deref(), Some("vg0 documents"));
        assert_eq!(of("/dev/mapper/vg--0-my--documents").as_deref(), Some("vg-0 my-documents"));
        for other in
            ["/dev/null", "/dev/vg0/a/b", "/srv/vg0/a", "/dev/mapper/control", "/dev/mapper/a-b-c", "/dev"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
