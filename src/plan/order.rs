//! The order in which services are acted on, from the `after` of each. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Plan, Services};

/// The services that `service` comes after, directly or through others. Names that are no service count for nothing.
#[must_use]
pub fn predecessors<'p>(plan: &'p Plan, service: &str) -> BTreeSet<&'p str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&'p str> = direct(plan, service).collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(direct(plan, name));
        }
    }
    found
}

fn direct<'p>(plan: &'p Plan, service: &str) -> impl Iterator<Item = &'p str> {
    let after = plan.services.get(service).into_iter().flat_map(|service| &service.after);
    after.filter_map(|name| plan.services.get_key_value(name)).map(|(name, _)| name.as_str())
}

/// The rank of every service: greater than that of each service that it comes after; 0 if it comes after none.
#[must_use]
pub fn ranks(plan: &Plan) -> BTreeMap<&str, usize> {
    fn rank<'p>(plan: &'p Plan, name: &'p str, depth: usize, ranks: &mut BTreeMap<&'p str, usize>) -> usize {
        if let Some(known) = ranks.get(name) {
            return *known;
        }
        // A plan that was checked has no cycle; in any other, the walk ends all the same.
        let below = if depth > plan.services.len() {
            0
        } else {
            direct(plan, name).map(|other| rank(plan, other, depth + 1, ranks) + 1).max().unwrap_or(0)
        };
        ranks.insert(name, below);
        below
    }
    let mut ranks = BTreeMap::new();
    for name in plan.services.keys() {
        rank(plan, name, 0, &mut ranks);
    }
    ranks
}

/// A cycle that `service` is on, from itself back to itself; `None` if it is on none.
#[must_use]
pub fn cycle(services: &Services, service: &str) -> Option<Vec<String>> {
    // Breadth first, so that it is a shortest one.
    let mut paths = vec![vec![service.to_owned()]];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            let last = path.last().and_then(|last| services.get(last));
            for next in last.into_iter().flat_map(|service| &service.after) {
                let further = [&path[..], std::slice::from_ref(next)].concat();
                if next == service {
                    return Some(further);
                }
                if seen.insert(next) {
                    longer.push(further);
                }
            }
        }
        paths = longer;
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A plan of services that come after others.
    pub fn plan(after: &[(&str, &[&str])]) -> Plan {
        let services: serde_json::Map<_, _> = after
            .iter()
            .map(|(name, after)| ((*name).to_owned(), json!({"options": {}, "files": {}, "units": {}, "after": after})))
            .collect();
        serde_json::from_value(json!({"version": 1, "services": services})).unwrap()
    }

    #[test]
    fn the_order_goes_through_services_that_do_not_change() {
        let plan = plan(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[]), ("e", &["elsewhere"])]);
        assert_eq!(predecessors(&plan, "a"), ["b", "c", "d"].into());
        assert_eq!(predecessors(&plan, "e"), BTreeSet::new());
        assert_eq!(ranks(&plan), [("a", 2), ("b", 1), ("c", 1), ("d", 0), ("e", 0)].into());
    }

    #[test]
    fn a_cycle_is_named() {
        let plan = plan(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["d"])]);
        assert_eq!(cycle(&plan.services, "a"), None);
        assert_eq!(cycle(&plan.services, "b"), Some(["b", "c", "b"].map(str::to_owned).to_vec()));
        assert_eq!(cycle(&plan.services, "d"), Some(["d", "d"].map(str::to_owned).to_vec()));
        // The walk over such a plan ends.
        assert_eq!(ranks(&plan).len(), 4);
    }
}
