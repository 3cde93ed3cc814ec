//! The driver files that come with the program. One of the same name in a site's `drivers/` takes its place.

use std::path::Path;

use crate::definitions::Source;

/// Each by its name.
pub const SHIPPED: [(&str, &str); 1] = [("cci", include_str!("cci.yaml"))];

/// A shipped file as if it stood in a site's directory.
pub fn shipped_source(directory: &Path, name: &str) -> Option<Source> {
    let (_, text) = SHIPPED.iter().find(|(one, _)| *one == name)?;
    let path = directory.join("drivers").join(format!("{name}.yaml"));
    Some(Source { path, content: Ok(text.as_bytes().to_vec()) })
}
