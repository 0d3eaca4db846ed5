//! The names of inputs that an expression mentions by a size only, as `arange(&n)` does.
//!
//! For texts: nothing is computed from a name. A size holds the identity of an input and not the input, which may be
//! gone; so the names of the latest inputs are kept here, a bounded number of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::shape::InputId;

/// How many names are kept.
const KEPT: usize = 4096;

static NAMES: Mutex<Names> = Mutex::new(Names(BTreeMap::new()));

struct Names(BTreeMap<InputId, String>);

impl Names {
    fn insert(&mut self, id: InputId, name: &str) {
        self.0.insert(id, name.to_string());
        if self.0.len() > KEPT {
            self.0.pop_first();
        }
    }
}

/// Keeps the name of an input; the oldest one goes.
pub(crate) fn remember(id: InputId, name: &str) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name);
}

/// The name of an input, or `?` if it was made too long ago.
pub(crate) fn recall(id: InputId) -> String {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.0.get(&id).cloned().unwrap_or_else(|| "?".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_but_not_forever() {
        let mut names = Names(BTreeMap::new());
        let first = InputId::new();
        names.insert(first, "first");
        (1..KEPT).for_each(|_| names.insert(InputId::new(), "later"));
        assert!(names.0.contains_key(&first));
        names.insert(InputId::new(), "last");
        assert!(!names.0.contains_key(&first) && names.0.len() == KEPT);
    }

    #[test]
    fn sizes_name_their_inputs() {
        let n = crate::scalar::<i64>("n");
        let x = crate::matrix::<f64>("x");
        assert_eq!(crate::arange(&n).to_string(), "arange(n)");
        assert_eq!((2.0 / x.len()).to_string(), "2.0 / f64(x.shape(0) * x.shape(1))");
        let error = crate::compile([], crate::arange(&n)).unwrap_err().to_string();
        assert!(error.contains("`arange(n)`") && error.contains("the input \"n\""), "{error}");
    }
}
