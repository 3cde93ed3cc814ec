//! The few patterns that the schemas have, as functions: no engine for regular expressions is needed for them.

use crate::{
    ids::{COPY_GROUP_PATTERN, NAME_PATTERN, NAME_WANTED, is_copy_group, is_name},
    operation::{KEEP_PATTERN, KEEP_WANTED},
    secret::{SECRET_PATTERN, SECRET_WANTED, is_secret_name},
    site::{
        CONNECT_PATTERN, CONNECT_WANTED, is_connect,
        transport::{
            ENDPOINT_PATTERN, ENDPOINT_WANTED, TRANSPORT_PATTERN, TRANSPORT_WANTED, is_endpoint,
            is_transport_url,
        },
    },
    units::{PERIOD_PATTERN, PERIOD_WANTED, Period, SIZE_PATTERN, SIZE_WANTED, Size},
};

/// A pattern of the schema.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the schema has it.
    pub(crate) text: &'static str,
    /// What matches it, in words.
    pub(crate) wanted: &'static str,
    /// Whether a text matches it.
    pub(crate) matches: fn(&str) -> bool,
}

/// What a copy group looks like, in words.
pub(crate) const COPY_GROUP_WANTED: &str = "a copy group, `group,device`, such as \"VG01,vol01\"";

pub(crate) static PATTERNS: [Pattern; 9] = [
    Pattern { text: NAME_PATTERN, wanted: NAME_WANTED, matches: is_name },
    Pattern { text: COPY_GROUP_PATTERN, wanted: COPY_GROUP_WANTED, matches: is_copy_group },
    Pattern { text: PERIOD_PATTERN, wanted: PERIOD_WANTED, matches: is_period },
    Pattern { text: SIZE_PATTERN, wanted: SIZE_WANTED, matches: is_size },
    Pattern { text: KEEP_PATTERN, wanted: KEEP_WANTED, matches: |text| text == "forever" || is_period(text) },
    Pattern { text: CONNECT_PATTERN, wanted: CONNECT_WANTED, matches: is_connect },
    Pattern { text: SECRET_PATTERN, wanted: SECRET_WANTED, matches: is_secret_name },
    Pattern { text: TRANSPORT_PATTERN, wanted: TRANSPORT_WANTED, matches: is_transport_url },
    Pattern { text: ENDPOINT_PATTERN, wanted: ENDPOINT_WANTED, matches: is_endpoint },
];

impl Pattern {
    /// Whether what does not match it may hold a secret, so that it is not repeated.
    pub(crate) fn may_hold_a_secret(&self) -> bool {
        [SECRET_PATTERN, TRANSPORT_PATTERN].contains(&self.text)
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn is_period(text: &str) -> bool {
    digits(text) <= 11 && Period::parse(text).is_some()
}

fn is_size(text: &str) -> bool {
    let most = if text.ends_with("GiB") || text.ends_with("TiB") { 7 } else { 12 };
    digits(text) <= most && Size::parse(text).is_some()
}
