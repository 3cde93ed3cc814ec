//! The cases: each gets pairs of its own.

use super::table::Case;

mod interrupted;
mod kills;
mod life;
mod overwriting;
mod refusals;
mod verdicts;

/// All of them, in the order of a pair's life.
pub(crate) fn all() -> Vec<Case> {
    vec![
        ("asking makes nothing, a resync makes the pair", life::create),
        ("resync: nothing and little changed", life::resync),
        ("split: the image stays, the primary goes on", life::split),
        ("restore, and its difference", life::restore),
        ("resync after a restore", life::after_restore),
        ("the pair's directory deleted", life::deleted),
        ("overwrite, restored", overwriting::written),
        ("overwrite of a pair whose primary is lost", overwriting::lost),
        ("resync killed", kills::resync),
        ("split killed", kills::split),
        ("restore killed", kills::restore),
        ("overwrite killed", kills::overwrite),
        ("cancelled within each verb", interrupted::cancelled),
        ("two verbs at once", interrupted::two_at_once),
        ("a target without room", interrupted::full),
        ("an old token", refusals::old_token),
        ("verbs that do not fit the status", refusals::unfitting),
        ("bad paths", refusals::bad_paths),
        ("the secondary of another pair", refusals::foreign),
        ("each verb, as the table of verdicts says", verdicts::as_the_table_says),
        ("dissolved, and made anew", verdicts::dissolved),
    ]
}
