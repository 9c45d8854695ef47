//! The options of a plan by path, for whoever looks up many: pure.
//!
//! In: the plan. Out: the option that a path is or is below, in the time of a search in a sorted list.

use crate::attr_path::AttrPath;
use crate::plan::{OptionSpec, Plan, Service};

/// One option of the plan.
#[derive(Debug)]
pub struct Place<'p> {
    /// The option's path.
    pub path: AttrPath,
    /// The service's name.
    pub service_name: &'p str,
    /// The service.
    pub service: &'p Service,
    /// The option's full name.
    pub option_name: &'p str,
    /// The option.
    pub option: &'p OptionSpec,
}

/// All options of the plan.
#[derive(Debug)]
pub struct Places<'p>(Vec<Place<'p>>);

impl<'p> Places<'p> {
    /// Those of a plan.
    #[must_use]
    pub fn of(plan: &'p Plan) -> Self {
        let options = plan.services.iter().flat_map(|(service_name, service)| {
            service.options.iter().filter_map(move |(option_name, option)| {
                let path = AttrPath::parse(option_name).ok()?;
                Some(Place { path, service_name, service, option_name, option })
            })
        });
        let mut places: Vec<Place<'p>> = options.collect();
        places.sort_by(|one, other| one.path.cmp(&other.path));
        Self(places)
    }

    /// The option that `path` is or is below: the longest that is one.
    #[must_use]
    pub fn find(&self, path: &AttrPath) -> Option<&Place<'p>> {
        self.position(path).map(|position| &self.0[position])
    }

    /// Where that is in the order of paths.
    #[must_use]
    pub fn position(&self, path: &AttrPath) -> Option<usize> {
        (1..=path.0.len())
            .rev()
            .find_map(|length| self.0.binary_search_by(|place| place.path.names().cmp(&path.0[..length])).ok())
    }

    /// The options at these positions, in their order.
    pub fn at(&self, positions: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &Place<'p>> {
        positions.into_iter().map(|position| &self.0[position])
    }
}
