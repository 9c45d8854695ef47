//! The options of a plan by path: pure.
//!
//! Takes the plan; gives the option that a path is or is below. For many paths, each lookup is a search in a sorted
//! list.

use strsim::damerau_levenshtein;

use crate::attr_path::AttrPath;
use crate::plan::{OptionSpec, Plan, Service};

/// One option of the plan.
#[derive(Debug)]
pub struct OptionRef<'p> {
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

impl OptionRef<'_> {
    /// The names of `path` below the option: none if it is the option itself, or is not below it.
    #[must_use]
    pub fn below(&self, path: &AttrPath) -> AttrPath {
        path.strip_prefix(&self.path).unwrap_or_default()
    }
}

/// The option that `path` is or is below, the longest one. For a single path.
#[must_use]
pub fn find<'p>(plan: &'p Plan, path: &AttrPath) -> Option<OptionRef<'p>> {
    all(plan).filter(|place| path.starts_with(&place.path)).max_by_key(|place| place.path.names().len())
}

fn all(plan: &Plan) -> impl Iterator<Item = OptionRef<'_>> {
    plan.services.iter().flat_map(|(service_name, service)| {
        service.options.iter().filter_map(move |(option_name, option)| {
            let path = AttrPath::parse(option_name).ok()?;
            Some(OptionRef { path, service_name, service, option_name, option })
        })
    })
}

/// All options of the plan, in the order of their paths.
#[derive(Debug)]
pub struct OptionIndex<'p>(Vec<OptionRef<'p>>);

impl<'p> OptionIndex<'p> {
    /// Those of a plan.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        let mut places: Vec<OptionRef<'p>> = all(plan).collect();
        places.sort_by(|one, other| one.path.cmp(&other.path));
        Self(places)
    }

    /// The option that `path` is or is below: the longest that is one.
    #[must_use]
    pub fn find(&self, path: &AttrPath) -> Option<&OptionRef<'p>> {
        self.position(path).map(|position| &self.0[position])
    }

    /// The place of the option in the order of paths.
    #[must_use]
    pub fn position(&self, path: &AttrPath) -> Option<usize> {
        (1..=path.0.len())
            .rev()
            .find_map(|length| self.0.binary_search_by(|place| place.path.names().cmp(&path.0[..length])).ok())
    }

    /// The options at these positions, in their order.
    pub fn at(&self, positions: impl IntoIterator<Item = usize>) -> impl Iterator<Item = &OptionRef<'p>> {
        positions.into_iter().map(|position| &self.0[position])
    }
}
/// The names that are most like `name`, nearest first.
pub fn nearest(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<(usize, String)> = names.map(|one| (damerau_levenshtein(name, &one), one)).collect();
    names.sort();
    names.into_iter().take(3).map(|(_, name)| name).collect()
}
