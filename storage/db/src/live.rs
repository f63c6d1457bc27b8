//! The newest state for readers: the database, and what a writer holds in memory on top of it.
//!
//! Blocks near the tip are in memory before they are in the database. [`LiveDatabase`] gives readers both as one
//! transaction. The rule that keeps it true: a view is published **before** any of its layers is applied, and a view
//! with fewer layers only after those it lacks were committed. So a reader that begins its transaction and then takes
//! the view has each row in at least one of them; that the view may have been made for a newer state than the
//! transaction's is seen by the snapshots' numbers, and the reader begins again.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Database, DbError, RoTxn, View};

/// A reader does not wait longer than this for a view that was announced.
const ANNOUNCED_WAIT_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct LiveDatabase {
    database: Arc<Database>,
    published: Mutex<Published>,
    changed: Condvar,
}

#[derive(Debug)]
struct Published {
    view: Option<View>,
    /// Number of the snapshot that the view lies on.
    base: u64,
    /// Whether a newer view is about to be published, for which readers wait.
    announced: bool,
}

impl LiveDatabase {
    /// The database as it is, until something is published.
    pub fn of(database: Arc<Database>) -> Arc<Self> {
        let published = Published { view: None, base: 0, announced: false };
        Arc::new(Self { database, published: Mutex::new(published), changed: Condvar::new() })
    }

    /// The database without what is in memory.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Begins a read transaction on what is published. Waits a while when something newer was announced.
    ///
    /// # Errors
    /// When the database refuses another reader.
    pub fn begin_ro(&self) -> Result<RoTxn<'_>, DbError> {
        {
            let published = self.lock();
            let wait =
                self.changed.wait_timeout_while(published, ANNOUNCED_WAIT_MAX, |state| state.announced);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
        loop {
            let txn = self.database.begin_ro()?;
            let (view, base) = {
                let published = self.lock();
                (published.view.clone(), published.base)
            };
            match view {
                None => return Ok(txn),
                Some(view) if base <= txn.id() => return Ok(txn.under(&view)),
                Some(_) => {}
            }
        }
    }

    /// From now on readers see `view`, which lies on the snapshot numbered `base`; `None` is the database as it is.
    pub fn publish(&self, view: Option<View>, base: u64) {
        *self.lock() = Published { view, base, announced: false };
        self.changed.notify_all();
    }

    /// Readers that come now wait for the next [`LiveDatabase::publish`].
    pub fn announce(&self) {
        self.lock().announced = true;
    }

    /// What was announced does not come.
    pub fn retract(&self) {
        self.lock().announced = false;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
