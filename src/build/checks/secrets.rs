//! Checks the marks of secrets: each has to name something that can exist, and nothing made from a secret may be
//! readable by everybody.

use super::{drop_in, service};
use crate::attr_path::AttrPath;
use crate::build::problem::{Place, Problems};
use crate::plan::{Attach, Service};
use crate::render::secrets::may_be_built;

/// Finds what is wrong with the secrets of a service.
pub fn check(place: &Place, spec: &Service, problems: &mut Problems) {
    for (name, option) in &spec.options {
        let option_path = AttrPath::parse(name).unwrap_or_default();
        for (index, mark) in option.secret.iter().enumerate() {
            let place = place.keys(["options", name, "secret"]).element(index);
            if let Some(problem) = service::no_such_name(&option.schema, mark) {
                problems.add(&place, problem);
            }
            let built = mark.within(&option.static_value);
            if !built.is_none_or(may_be_built) {
                problems.add(
                    &place,
                    "it has a built value, which everybody can read in the Nix store; build it as null, \"\" or not at all, \
                     and give the secret with `dynix append --secret-file`",
                );
            }
            let path = option_path.join(mark);
            for unit in drop_in::followers(&path, spec) {
                problems.add(&place, format!("the drop-in of {unit} follows it, and everybody can read drop-ins"));
            }
        }
    }
    for (name, file) in spec.files.iter().filter(|(_, file)| file.holds_secret(spec)) {
        let place = place.keys(["files", name]);
        if matches!(file.attach, Attach::Environment { .. }) || file.format.name == "flags" {
            problems.add(&place, "a secret goes into it, and everybody can see the words of a command line");
        }
        if u32::from_str_radix(&file.mode, 8).is_ok_and(|mode| mode & 0o007 != 0) {
            let problem = format!(
                "a secret goes into it, and with mode {} everybody can read it; say 0400 and the owner",
                file.mode
            );
            problems.add(&place.key("mode"), problem);
        }
    }
}
