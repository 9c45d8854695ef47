//! Finds the option that a path on the command line belongs to.

use strsim::damerau_levenshtein;

use super::Refused;
use crate::attr_path::AttrPath;
use crate::evaluated::{self, SYSTEM};
use crate::plan::options::{self, OptionRef, nearest};
use crate::plan::{Candidate, Plan, allowed};

/// Reads a path as people write it.
pub fn parse(text: &str) -> Result<AttrPath, Refused> {
    AttrPath::parse(text).map_err(|error| Refused(error.to_string()))
}

/// The option that `path` is or is below, or an error that says what to do.
pub fn find<'p>(plan: &'p Plan, path: &AttrPath) -> anyhow::Result<OptionRef<'p>> {
    plan.services.require_options([path])?;
    if let Some(place) = options::find(plan, path) {
        return Ok(place);
    }
    plan.services.require_all()?;
    if allowed::is_evaluated(plan, path) {
        return Err(Refused(format!(
            "{path} is an option of no service, whose built value only an evaluation knows; `dynix status` says what \
             is recorded for it, `dynix diff` what is in effect"
        ))
        .into());
    }
    Err(Refused(format!("no dynamic-enabled service has the option {path}; {}", hint(plan, path))).into())
}

/// The advice for a path that no dynamic-enabled service has.
fn hint(plan: &Plan, path: &AttrPath) -> String {
    let options = || plan.services.values().flat_map(|service| service.options.keys());
    let below: Vec<String> =
        options().filter(|option| AttrPath::parse(option).is_ok_and(|one| one.starts_with(path))).cloned().collect();
    if !below.is_empty() && !path.names().is_empty() {
        return format!("name one of: {}", below.join(", "));
    }
    if let [name] = path.names()
        && plan.services.contains_key(name)
    {
        return format!("{name} is a service; `dynix options {name}` lists what may change of it");
    }
    if let Some((name, candidate)) = plan.candidates().iter().find(|(name, candidate)| is_about(path, name, candidate))
    {
        return not_enabled(name, candidate);
    }
    // Names of another service are of no use to who asks for this one, unless its name is a slip.
    let of_service = |option: &&String| AttrPath::parse(option).is_ok_and(|one| has_near_service(path, &one));
    match (nearest(&cut(path), options().filter(of_service).cloned()).as_slice(), path.names()) {
        ([], _) if plan.services.is_empty() => "no service is dynamic-enabled".to_owned(),
        ([], [first, service, ..]) if first == "services" => format!(
            "{service} is not dynamic-enabled: if it has settings, dynamicism.for.{service}.enable = true makes them \
             dynamic; `dynix services` lists what is"
        ),
        ([], _) => "`dynix services` lists the options that may change".to_owned(),
        (near, _) => format!("the nearest that may change: {}", near.join(", ")),
    }
}

/// Whether the names of the service may mean the same: a typing error changes at most a third of a name.
fn has_near_service(given: &AttrPath, option: &AttrPath) -> bool {
    let [given, option] = [given, option].map(|path| path.names().iter().take(2).cloned().collect::<Vec<_>>());
    let near = |(given, name): (&String, &String)| damerau_levenshtein(given, name) * 3 <= name.chars().count();
    given.len() == 2 && given.iter().zip(&option).all(near)
}

/// Whether `path` is of a service that could be made dynamic.
fn is_about(path: &AttrPath, name: &str, candidate: &Candidate) -> bool {
    let is_option = |option: &String| AttrPath::parse(option).is_ok_and(|one| path.starts_with(&one));
    candidate.options.iter().any(is_option)
        || matches!(path.names(), [first, service, ..] if first == "services" && service == name)
}

/// The message about a service that is not dynamic.
fn not_enabled(name: &str, candidate: &Candidate) -> String {
    match &candidate.problem {
        None => format!(
            "{name} is not dynamic-enabled: dynamicism.for.{name}.enable = true makes {} dynamic at the next \
             nixos-rebuild",
            candidate.options.join(", ")
        ),
        Some(problem) => format!("{name} cannot be dynamic: {problem}"),
    }
}

/// Names below an option are cut before options are compared.
fn cut(path: &AttrPath) -> String {
    AttrPath(path.names().iter().take(3).cloned().collect()).to_string()
}

/// The advice for a name that no service has.
fn among(name: &str, plan: &Plan) -> String {
    const FEW: usize = 8;
    let all: Vec<&str> = plan.services.keys().map(String::as_str).collect();
    let near = nearest(name, plan.services.keys().cloned()).into_iter().next();
    // A typing error changes at most a third of a name.
    let near = near.filter(|near| damerau_levenshtein(name, near) * 3 <= near.chars().count());
    match (near, all.as_slice()) {
        (Some(near), _) => format!("did you mean {near}? `dynix services` lists all"),
        (None, []) => format!("dynamicism.for.{name}.enable = true makes it dynamic"),
        (None, few) if few.len() <= FEW => format!("the services are {}", few.join(", ")),
        (None, _) => "`dynix services` lists all".to_owned(),
    }
}

/// Services given by name, each of which the plan has.
pub fn services(plan: &Plan, names: &[String]) -> anyhow::Result<Option<std::collections::BTreeSet<String>>> {
    for name in names {
        let is_of_no_service = name == SYSTEM && evaluated::is_used(plan);
        if !is_of_no_service && !plan.services.contains_key(name) {
            plan.services.require_all()?;
            let hint = match plan.candidates().get(name) {
                Some(candidate) => not_enabled(name, candidate),
                None => among(name, plan),
            };
            return Err(Refused(format!("no service {name} is dynamic-enabled; {hint}")).into());
        }
    }
    Ok(if names.is_empty() { None } else { Some(names.iter().cloned().collect()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_no_service_is_not_called_unknown() {
        let plan = serde_json::json!({"version": 1, "options": ["environment.etc.*"], "services": {}});
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let said = |path: &str| find(&plan, &parse(path).unwrap()).unwrap_err().to_string();
        assert!(said("environment.etc.motd.text").contains("is an option of no service"));
        assert!(said("networking.hostName").contains("no dynamic-enabled service has"));
    }
}
