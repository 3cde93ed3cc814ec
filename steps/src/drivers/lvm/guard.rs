//! What is refused before anything is touched.

use super::{place::Place, report::Volume};
use crate::{drivers::image::guard::held, failure::Failure};

/// Refuses to touch an image that somebody uses.
pub(super) fn unused(image: Option<&Volume>) -> Result<(), Failure> {
    image.map_or(Ok(()), |image| held(&image.device, "its pair cannot go on meanwhile"))
}

/// Refuses a primary that somebody uses.
pub(super) fn free(place: &Place<'_>, why: &str) -> Result<(), Failure> {
    held(&place.primary.device, why)
}
