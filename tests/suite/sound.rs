//! What a rebuild would change besides is found, and nothing else: cases under the real module system
//! (tests/nix/sound). They run where there is a `nix-instantiate` and a nixpkgs, or its lib (`DYNIX_NIXPKGS_LIB`,
//! `DYNIX_NIXPKGS`, `<nixpkgs>`).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use dynix::attr_path::AttrPath;
use dynix::overrides::Overlay;
use dynix::plan::Plan;
use dynix::verify::comparison::Comparison;
use dynix::verify::proof::Proof;
use dynix::verify::{Values, judge};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::real_nix::nix;
use crate::support::skip;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    set: BTreeMap<String, Value>,
    expected: Vec<String>,
    flows: Vec<String>,
    drop_ins: Value,
    file: String,
    comparison: Comparison,
    proof: Proof,
    r#static: BTreeMap<String, Value>,
}

impl Case {
    fn plan(&self) -> Plan {
        let option = |value: &Value| json!({"static": value, "schema": {}});
        let options: BTreeMap<_, _> = self.r#static.iter().map(|(name, value)| (name, option(value))).collect();
        let file = &self.file;
        serde_json::from_value(json!({"version": 1, "services": {"s": {
            "options": options,
            "files": {"s.json": {"format": {"name": "json"}, "value": {"option": "s.settings"}, "static": file,
                                 "attach": {"bind": file}}},
            "dropIns": self.drop_ins,
            "units": {"s.service": {}},
        }}}))
        .unwrap()
    }

    fn values(&self) -> Values {
        let mut overlay = Overlay::default();
        for (path, value) in &self.set {
            overlay.put(&AttrPath::parse(path).unwrap().0, value.clone(), 1);
        }
        let effective = |(name, value): (&String, &Value)| {
            let value = overlay.below(&AttrPath::parse(name).unwrap()).effective(value).unwrap();
            (name.clone(), value)
        };
        Values::from([("s".to_owned(), self.r#static.iter().map(effective).collect())])
    }

    /// What is said to follow the values, without what stands for other parts.
    fn said(&self) -> BTreeSet<String> {
        let plan = self.plan();
        let flows = self.set.keys().map(|path| self.proof.flows(&plan, "s", &AttrPath::parse(path).unwrap()).unwrap());
        flows
            .flatten()
            .filter(|(kind, _)| !matches!(kind.as_str(), "rest" | "warning"))
            .flat_map(|(kind, names)| names.into_iter().map(move |name| format!("{kind} {name}")))
            .collect()
    }
}

fn cases() -> Option<BTreeMap<String, Case>> {
    let program = nix()?;
    let named = ["DYNIX_NIXPKGS_LIB", "DYNIX_NIXPKGS"].iter().find_map(|name| std::env::var(name).ok());
    let lib = named.as_ref().map_or_else(|| "<nixpkgs/lib>".to_owned(), |tree| format!("{tree}/lib"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nix/sound/cases.nix");
    let expression = format!("import {file} {{ lib = import {lib}; }}");
    let output = Command::new(program).args(["--eval", "--strict", "--json", "--expr", &expression]).output().unwrap();
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(named.is_none() && words.contains("was not found in the Nix search path"), "{words}");
        skip("no nixpkgs: neither <nixpkgs> nor DYNIX_NIXPKGS, DYNIX_NIXPKGS_LIB");
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn what_flows_on_is_found_and_its_harmless_twin_is_not() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let judgement = judge(&case.plan(), &case.values(), &case.comparison);
        let found: Vec<String> = judgement.findings.iter().map(|one| format!("{} {}", one.kind, one.name)).collect();
        if found != case.expected {
            wrong.push(format!("{name}: verify found {found:?}, expected {:?}", case.expected));
        }
        let flows: BTreeSet<String> = case.flows.iter().cloned().collect();
        let said = case.said();
        if said != flows {
            wrong.push(format!("{name}: the proof says {said:?}, expected {flows:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.values().any(|case| case.expected.is_empty()) && cases.len() > 20);
}

#[test]
fn what_is_found_is_said_in_words() {
    let Some(cases) = cases() else { return };
    let said = |name: &str| {
        let case = &cases[name];
        let findings = judge(&case.plan(), &case.values(), &case.comparison).findings;
        findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said("firewall-port"), ["a rebuild would also change firewall.service: allowedTCPPorts 2 -> 80"]);
    assert_eq!(said("capability"), ["a rebuild would also change s.service: AmbientCapabilities CAP_X is new"]);
    assert_eq!(said("assertion"), ["a rebuild would fail: too many threads"]);
    assert_eq!(said("shell"), ["a rebuild would also change the user alice: shell /bin/sh1 -> /bin/sh9"]);
    assert_eq!(said("all-that-is-a-default"), ["a rebuild would give s.ports another value: https 443 is gone"]);
    assert_eq!(said("copied"), ["a rebuild would also change other.service: ExecStart=/bin/other 1 -> 9"]);
}
