//! Moments of the log that people name: a record, a time, what is recorded now, what is built, what is in effect.

use std::ops::ControlFlow;
use std::time::SystemTime;

use super::{Refused, System};
use crate::overrides::{Folded, LogError};
use crate::time;
use crate::time::when::when;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is overridden.
    Built,
    /// What the services have.
    Effect,
    /// All that is recorded.
    Now,
    /// Right after a record; 0 is before the first.
    Record(u64),
    /// At a time.
    Time(SystemTime),
}

impl Moment {
    /// Reads a moment.
    pub fn read(text: &str) -> Result<Self, Refused> {
        match text {
            "built" => Ok(Self::Built),
            "effect" => Ok(Self::Effect),
            "now" => Ok(Self::Now),
            number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let id = number.parse().map_err(|_| Refused(format!("{number} is no id of a record")))?;
                Ok(Self::Record(id))
            }
            time => when(time, SystemTime::now())
                .map(Self::Time)
                .map_err(|problem| Refused(format!("{problem}; or the id of a record, `built`, `effect` or `now`"))),
        }
    }

    /// Two moments, as in `3..built`. Left out, the first is what is built, and the second what is recorded now.
    #[must_use]
    pub fn read_range(text: &str) -> Option<Result<(Self, Self), Refused>> {
        let (from, to) = text.split_once("..")?;
        let one = |text: &str, other: Self| if text.is_empty() { Ok(other) } else { Self::read(text) };
        Some(one(from, Self::Built).and_then(|from| Ok((from, one(to, Self::Now)?))))
    }
}

/// What a moment came to.
#[derive(Clone, Debug, Default)]
pub struct Then {
    /// The overrides.
    pub folded: Folded,
    /// The last record.
    pub record: u64,
    /// What the moment is called.
    pub label: String,
}

impl System<'_> {
    /// The overrides at a moment; `None` for what is in effect, which is in no fold.
    pub fn then(&self, moment: Moment) -> anyhow::Result<Option<Then>> {
        let log = self.log();
        let at = |record: u64, label: String| -> anyhow::Result<Option<Then>> {
            Ok(Some(Then { folded: log.fold_at(record)?, record, label }))
        };
        match moment {
            Moment::Built => Ok(Some(Then { label: "built".to_owned(), ..Then::default() })),
            Moment::Effect => Ok(None),
            Moment::Now => {
                let folded = log.fold()?;
                Ok(Some(Then { record: folded.last_id, folded, label: "recorded".to_owned() }))
            }
            Moment::Record(id) => at(id, format!("after record {id}")),
            Moment::Time(time) => {
                let record = self.last_before(time)?;
                at(record, format!("{}, after record {record}", time::text(time)))
            }
        }
    }

    /// The last record that was made until then; 0 if there is none. One without a time is as old as the one before.
    fn last_before(&self, time: SystemTime) -> Result<u64, LogError> {
        let mut last = 0;
        self.log().each(|record, _| {
            let made = record.time.as_deref().and_then(|text| time::read(text).ok());
            if made.is_some_and(|made| made > time) {
                return ControlFlow::Break(());
            }
            last = record.id;
            ControlFlow::Continue(())
        })?;
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let read = |text| Moment::read(text).map_err(|error| error.to_string());
        assert_eq!(read("7"), Ok(Moment::Record(7)));
        assert_eq!(read("built"), Ok(Moment::Built));
        assert!(matches!(read("2h"), Ok(Moment::Time(_))));
        assert!(read("soon").unwrap_err().ends_with("or the id of a record, `built`, `effect` or `now`"));
        let range = |text| Moment::read_range(text).map(|range| range.map_err(|error| error.to_string()));
        assert_eq!(range("3..5"), Some(Ok((Moment::Record(3), Moment::Record(5)))));
        assert_eq!(range("3.."), Some(Ok((Moment::Record(3), Moment::Now))));
        assert_eq!(range(".."), Some(Ok((Moment::Built, Moment::Now))));
        assert_eq!(range("harmonia"), None);
        assert!(range("x..5").unwrap().is_err());
    }
}
