//! The conversations that change pairs here: one at a time on a pair. A later one of the same step, or under a later lease,
//! takes the pair over: the connection of the earlier one may be dead without this host knowing it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use resplit_operations::pair::Tag;

use crate::{context::Work, drivers::pairs::Asked, failure::Failure};

/// How long an earlier conversation may take to let go.
const GOING: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<PathBuf, Open>>,
    ended: Condvar,
}

struct Open {
    tag: Tag,
    token: u64,
    close: Arc<dyn Fn() + Send + Sync>,
    work: Work,
}

/// Held until a conversation has ended.
pub(super) struct Held<'a> {
    sessions: &'a Sessions,
    pair: PathBuf,
}

impl Sessions {
    fn map(&self) -> MutexGuard<'_, HashMap<PathBuf, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.map().is_empty()
    }

    /// Begins a conversation that changes the pair of this secondary.
    pub(super) fn begin(
        &self,
        secondary: &Path,
        asked: &Asked<'_>,
        close: &Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Held<'_>, Failure> {
        let mut map = self.map();
        while let Some(earlier) = map.get(secondary) {
            let token = asked.token;
            if earlier.token == token && earlier.tag != asked.tag {
                let holder = &earlier.tag.0;
                return Err(Failure::temporary(format!("{} is in use by {holder}", secondary.display()))
                    .with_help("wait until that has ended, then run again"));
            }
            if earlier.token > token {
                return Err(Failure::refused(format!(
                    "{} is in use under token {}; token {token} is of a lease that is over",
                    secondary.display(),
                    earlier.token
                ))
                .with_help(
                    "nothing was touched; run the operation again, so that it takes a lease of its own",
                ));
            }
            earlier.work.cancel();
            (earlier.close)();
            let (after, waited) = self.ended.wait_timeout(map, GOING).unwrap_or_else(PoisonError::into_inner);
            map = after;
            if waited.timed_out() && map.contains_key(secondary) {
                return Err(Failure::temporary(format!(
                    "{} is still in use by an earlier try, which was told to stop",
                    secondary.display()
                ))
                .with_help("wait until that has ended, then run again"));
            }
        }
        let open = Open {
            tag: asked.tag.clone(),
            token: asked.token,
            close: Arc::clone(close),
            work: asked.work.clone(),
        };
        let _ = map.insert(secondary.to_owned(), open);
        Ok(Held { sessions: self, pair: secondary.to_owned() })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = self.sessions.map().remove(&self.pair);
        self.sessions.ended.notify_all();
    }
}
