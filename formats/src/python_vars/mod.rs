//! `pythonVars`: assignments, as Django reads its settings. nixpkgs prints Python and runs black over it, with lines of
//! 88 columns. black 24.10 to 26.10 give the same output for the values that this module accepts.
//!
//! * dialect `unparse`: nixpkgs uses Python's `ast.unparse`, so black joins into one line what fits.
//! * dialect `repr`: older revisions print a comma after each item, so black puts each item on a line of its own.
//!
//! For code (`mkRaw`), the output of black is known only in part; the rest is an error.

mod code;
mod layout;
mod literal;

use serde_json::{Map, Value};

use super::walk::{self, Part};
use super::{At, Format, RenderError, Settings};
use layout::Layout;

pub(super) static FORMAT: Format = Format {
    name: "pythonVars",
    summary: "Python assignments, formatted by black",
    dialects: &["unparse", "repr"],
    parameters: &[],
    validate: None,
    write,
    misread,
};

/// The attribute that holds the imported modules.
const IMPORTS: &str = "_imports";

fn write(out: &mut Vec<u8>, settings: &Settings, value: &Value) -> Result<(), RenderError> {
    let Value::Object(attrs) = value else {
        return Err(RenderError::here("has to be an attribute set of variables"));
    };
    let start = out.len();
    write_imports(out, attrs.get(IMPORTS).unwrap_or(&Value::Null)).at(IMPORTS)?;
    let mut separator = if out.len() == start { "" } else { "\n" };
    let mut layout = Layout { out, explodes: settings.dialect == "repr" };
    for (name, value) in attrs.iter().filter(|(name, _)| *name != IMPORTS) {
        if !literal::is_name(name) {
            return Err(RenderError::here("is no name of a Python variable")).at(name);
        }
        layout.out.extend_from_slice(std::mem::take(&mut separator).as_bytes());
        layout.write_assignment(name, value).at(name)?;
    }
    if out.len() == start {
        // What black leaves of a file without statements.
        out.push(b'\n');
    }
    Ok(())
}

fn write_imports(out: &mut Vec<u8>, imports: &Value) -> Result<(), RenderError> {
    let imports = match imports {
        Value::Null => return Ok(()),
        Value::Array(imports) => imports,
        _ => return Err(RenderError::here("has to be a list of modules")),
    };
    for (index, import) in imports.iter().enumerate() {
        let module = import.as_str().filter(|module| is_import(module));
        let module = module.ok_or_else(|| RenderError::here("has to be a module, \"a.b\" or \"a.b as c\""));
        out.extend_from_slice(b"import ");
        out.extend_from_slice(module.at_index(index)?.as_bytes());
        out.push(b'\n');
    }
    Ok(())
}

fn is_import(text: &str) -> bool {
    let (module, alias) = text.split_once(" as ").map_or((text, None), |(module, alias)| (module, Some(alias)));
    module.split('.').all(literal::is_name) && alias.is_none_or(literal::is_name)
}

/// `mkRaw`.
fn is_raw(attrs: &Map<String, Value>) -> bool {
    attrs.get("_type").is_some_and(|kind| kind == "raw")
}

/// Python code is no data, and an import runs some.
fn misread(_: &Settings, value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    if let Some(imports) = value.get(IMPORTS)
        && *imports != Value::Null
        && *imports != Value::Array(Vec::new())
    {
        found.extend(Err::<(), _>(RenderError::here(format!("imports code: {imports}"))).at(IMPORTS).err());
    }
    walk::for_each(value, &mut |path, part| {
        if let Part::Value(Value::Object(attrs)) = part
            && is_raw(attrs)
            && !path.0.is_empty()
        {
            let code = attrs.get("value").and_then(Value::as_str).unwrap_or_default();
            found.push(RenderError { path: path.clone(), message: format!("is Python code, not data: {code}") });
        }
    });
    found
}
