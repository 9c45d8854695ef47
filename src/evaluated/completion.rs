//! The effects of services' values that dynix does not have itself, which a rebuild would: pure.
//!
//! The evaluation with the values also changes what dynix changes by itself: the services' generated files, and the units
//! that name them. These keep dynix's own mechanism, so they are taken out of the change set. So is what a service exempts. If a unit of a service
//! changes in more than that, it takes the rest on, and names the built files as before: dynix puts its own in their
//! place.

use serde_json::{Value, json};

use super::change_set::{ChangeSet, Unit};
use super::stand_in::Unmade;
use crate::host::systemd::users::{bare, is_of_users, of_users};
use crate::plan::Plan;
use crate::render::static_values;
use crate::verify::Values;
use crate::verify::comparison::Sides;
use crate::verify::own::{self, Remaining};

/// Takes out of a change set what dynix changes by itself for the `effective` values of its services.
pub fn subtract_own(changes: &mut ChangeSet, plan: &Plan, effective: &Values) -> Result<(), Unmade> {
    let sides = |value: &super::change_set::Sides<Value>| {
        let both = json!({ "before": value.before, "after": value.after });
        serde_json::from_value::<Sides>(both).ok().filter(|_| !value.fails)
    };
    let services: std::collections::BTreeMap<String, Sides> =
        changes.services.iter().filter_map(|(name, value)| Some((name.clone(), sides(value)?))).collect();
    changes.services.retain(|name, _| services.get(name).is_none_or(|one| !has_values(plan, effective, name, one)));
    for exempt in plan.services.values().flat_map(|service| &service.exempt) {
        match exempt.kind.as_str() {
            "unit" if is_of_users(&exempt.name) => drop(changes.user_units.remove(bare(&exempt.name))),
            "unit" => drop(changes.units.remove(&exempt.name)),
            "etc" => drop(changes.etc.remove(&exempt.name)),
            "package" => drop(changes.packages.remove(&exempt.name)),
            _ => {}
        }
    }
    changes.etc.retain(|name, _| !plan.has_link(name));
    let mut unknown = Vec::new();
    let text = |unit: &Unit| {
        json!({
            "text": unit.text, "enable": unit.enable, "overrideStrategy": unit.override_strategy, "aliases": unit.aliases,
            "wantedBy": unit.wanted_by, "requiredBy": unit.required_by, "upheldBy": unit.upheld_by,
        })
    };
    let mut is_foreign = |name: &str, unit: &mut super::change_set::Sides<Unit>| {
        let (Some(before), Some(after)) = (&unit.before, &mut unit.after) else { return true };
        match own::remaining(plan, effective, &services, name, &text(before), &text(after)) {
            Remaining::Foreign => true,
            Remaining::Nothing => false,
            Remaining::Changes(left) if own::has_values(plan, name) => {
                unknown.push(format!(
                    "{name} has values in its own text, and would also change in {}, which only a rebuild does",
                    left.join("; ")
                ));
                true
            }
            Remaining::Changes(_) => {
                after.text = own::with_built_paths(plan, &services, name, &after.text);
                true
            }
        }
    };
    changes.units.retain(|name, unit| is_foreign(name, unit));
    changes.user_units.retain(|name, unit| is_foreign(&of_users(name), unit));
    if unknown.is_empty() { Ok(()) } else { Err(Unmade::Refused(unknown)) }
}

/// Whether a rebuild would give the options of a service the values that dynix gives them.
fn has_values(plan: &Plan, effective: &Values, name: &str, sides: &Sides) -> bool {
    let (Some(service), Some(after)) = (plan.services.get(name), &sides.after) else { return false };
    let built = static_values(service);
    let wanted = effective.get(name).unwrap_or(&built);
    service.options.keys().all(|option| after.options.get(option) == wanted.get(option).or_else(|| built.get(option)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: &str = "/nix/store/b-s.json";
    const OTHER: &str = "/nix/store/o-s.json";

    fn plan(attach: &Value) -> Plan {
        let bound =
            json!({"format": {"name": "json"}, "value": {"option": "s.settings"}, "static": BUILT, "attach": attach});
        serde_json::from_value(json!({"version": 1, "verify": "complete", "services": {
            "s": {"options": {"s.settings": {"static": {"port": 8080}, "schema": {}}}, "files": {"s.json": bound},
                  "units": {"s.service": {}}, "exempt": [{"kind": "package", "name": "s-admin", "reason": "x"}]},
            "other": {"options": {"other.settings": {"static": {"port": 8080}, "schema": {}}}, "files": {}, "units": {}},
        }}))
        .unwrap()
    }

    fn unit(text: &str) -> Value {
        json!({"enable": true, "text": text})
    }

    /// The change set of a port 80, with such a text of the service's own unit, without what dynix does itself.
    fn changes(after: &str, plan: &Plan) -> Result<ChangeSet, Unmade> {
        let side =
            |port: u64, path: &str| json!({"options": {"s.settings": {"port": port}}, "files": {"s.json": path}});
        let before = format!("[Service]\nExecStart=/x {BUILT}\n");
        let mut changes: ChangeSet = serde_json::from_value(json!({
            "system": "/s",
            "units": {
                "s.service": {"before": unit(&before), "after": unit(after)},
                "firewall.service": {"before": unit("8080"), "after": unit("80")},
            },
            "packages": {"s-admin": {"before": ["/nix/store/a-s-admin"], "after": ["/nix/store/b-s-admin"]}},
            "services": {"s": {"before": side(8080, BUILT), "after": side(80, OTHER)}},
        }))
        .unwrap();
        let effective = Values::from([("s".to_owned(), [("s.settings".to_owned(), json!({"port": 80}))].into())]);
        subtract_own(&mut changes, plan, &effective).map(|()| changes)
    }

    #[test]
    fn what_dynix_does_itself_is_no_change() {
        let left = changes(&format!("[Service]\nExecStart=/x {OTHER}\n"), &plan(&json!({"bind": BUILT}))).unwrap();
        assert_eq!(left.units.keys().collect::<Vec<_>>(), ["firewall.service"]);
        assert!(left.services.is_empty() && left.packages.is_empty());
    }

    #[test]
    fn a_unit_of_the_users_is_as_one_of_the_system() {
        let mut plan = plan(&json!({"bind": BUILT}));
        let mut plan_as_json = serde_json::to_value(&plan).unwrap();
        let exempt = json!([{"kind": "unit", "name": "user/t.service", "reason": "x"}]);
        plan_as_json["services"]["s"]["units"] = json!({"user/s.service": {}});
        plan_as_json["services"]["s"]["exempt"] = exempt;
        plan = serde_json::from_value(plan_as_json).unwrap();
        let side = |path: &str| json!({"options": {"s.settings": {"port": 80}}, "files": {"s.json": path}});
        let text = |path: &str| unit(&format!("[Service]\nExecStart=/x {path}\n"));
        let both = json!({"before": text(BUILT), "after": text(OTHER)});
        let mut set: ChangeSet = serde_json::from_value(json!({
            "system": "/s",
            "units": {"s.service": both},
            "userUnits": {"s.service": both, "t.service": both},
            "services": {"s": {"before": side(BUILT), "after": side(OTHER)}},
        }))
        .unwrap();
        let effective = Values::from([("s".to_owned(), [("s.settings".to_owned(), json!({"port": 80}))].into())]);
        subtract_own(&mut set, &plan, &effective).unwrap();
        // One of the system that has the same name is another one.
        assert_eq!((set.units.len(), set.user_units.len()), (1, 0));
    }

    #[test]
    fn a_link_that_leads_to_a_services_file_is_no_change() {
        let mut set: ChangeSet =
            serde_json::from_value(json!({"system": "/s", "etc": {"s.json": {"fails": true}, "t": {"fails": true}}}))
                .unwrap();
        subtract_own(&mut set, &plan(&json!({"etc": "/etc/s.json"})), &Values::new()).unwrap();
        assert_eq!(set.etc.keys().collect::<Vec<_>>(), ["t"]);
    }

    #[test]
    fn what_else_changes_in_the_services_own_unit_is_taken_on_with_the_built_file() {
        let more = format!("[Service]\nExecStart=/x {OTHER}\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n");
        let left = changes(&more, &plan(&json!({"bind": BUILT}))).unwrap();
        assert_eq!(left.units["s.service"].after.as_ref().unwrap().text, more.replace(OTHER, BUILT));
    }

    #[test]
    fn a_unit_that_holds_values_itself_is_not_replaced() {
        let text = "[Service]\nEnvironment=PORT=80\nUser=x\n";
        let plan = plan(&json!({"variables": {"built": {"PORT": "8080"}}}));
        let refused = changes(text, &plan).unwrap_err().to_string();
        assert!(refused.contains("s.service has values in its own text"), "{refused}");
    }

    #[test]
    fn other_services_values_that_follow_are_an_obstacle() {
        let plan = plan(&json!({"bind": BUILT}));
        let side = |port: u64| json!({"options": {"other.settings": {"port": port}}, "files": {}});
        let mut set: ChangeSet = serde_json::from_value(json!({
            "system": "/s", "services": {"other": {"before": side(8080), "after": side(80)}, "s": {"fails": true}},
        }))
        .unwrap();
        subtract_own(&mut set, &plan, &Values::new()).unwrap();
        assert_eq!(set.services.keys().collect::<Vec<_>>(), ["other", "s"]);
    }
}
