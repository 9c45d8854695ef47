//! Parses derivations, as Nix writes them to the store (`*.drv`): pure.

use std::collections::BTreeMap;

/// A derivation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derivation {
    /// The path of each output.
    pub outputs: BTreeMap<String, String>,
    /// Whether an output's content is known beforehand: it is fetched.
    pub is_fixed: bool,
    /// The derivations that it needs, each with the names of its outputs.
    pub inputs: BTreeMap<String, Vec<String>>,
    /// The other store paths that it needs.
    pub sources: Vec<String>,
    /// The variables of its builder.
    pub environment: BTreeMap<String, String>,
}

impl Derivation {
    /// Reads one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut reader = Reader(text);
        reader.expect("Derive(")?;
        let outputs = reader
            .list(|reader| reader.tuple(4, |fields| Some((fields[0].clone(), fields[1].clone(), fields[3].clone()))))?;
        reader.expect(",")?;
        let inputs = reader.list(|reader| {
            reader.expect("(")?;
            let path = reader.string()?;
            reader.expect(",")?;
            let names = reader.list(Reader::string)?;
            reader.expect(")")?;
            Some((path, names))
        })?;
        reader.expect(",")?;
        let sources = reader.list(Reader::string)?;
        for _ in 0..2 {
            reader.expect(",")?;
            reader.string()?;
        }
        reader.expect(",")?;
        reader.list(Reader::string)?;
        reader.expect(",")?;
        let environment =
            reader.list(|reader| reader.tuple(2, |fields| Some((fields[0].clone(), fields[1].clone()))))?;
        reader.expect(")")?;
        let is_fixed = outputs.iter().any(|(_, _, hash)| !hash.is_empty());
        Some(Self {
            outputs: outputs.into_iter().map(|(name, path, _)| (name, path)).collect(),
            is_fixed,
            inputs: inputs.into_iter().collect(),
            sources,
            environment: environment.into_iter().collect(),
        })
    }

    /// Whether a builder does no more than put texts and links together: it has a `buildCommand` (nixpkgs, runCommand,
    /// writeText, symlinkJoin, buildEnv, `pkgs.formats`), and no source that it unpacks and compiles.
    #[must_use]
    pub fn is_small(&self) -> bool {
        let has = |name: &str| self.environment.get(name).is_some_and(|value| !value.is_empty());
        // Structured attributes are in one variable.
        let structured = self.environment.get("__json").and_then(|text| serde_json::from_str(text).ok());
        let inside = |name: &str| {
            structured.as_ref().and_then(|value: &serde_json::Value| value.get(name)).is_some_and(|value| *value != "")
        };
        !self.is_fixed
            && (has("buildCommand") || inside("buildCommand"))
            && !(has("src") || has("srcs") || inside("src") || inside("srcs"))
    }
}

/// The name of a path in the store: the part after the digest.
#[must_use]
pub fn name_of(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.get(33..).unwrap_or(file);
    name.strip_suffix(".drv").unwrap_or(name)
}

struct Reader<'t>(&'t str);

impl Reader<'_> {
    fn expect(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        self.expect("\"")?;
        let mut text = String::new();
        loop {
            let at = self.0.find(['"', '\\'])?;
            text.push_str(&self.0[..at]);
            let is_end = self.0[at..].starts_with('"');
            self.0 = &self.0[at + 1..];
            if is_end {
                return Some(text);
            }
            let escaped = self.0.chars().next()?;
            text.push(match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            });
            self.0 = &self.0[escaped.len_utf8()..];
        }
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect("[")?;
        let mut all = Vec::new();
        while self.expect("]").is_none() {
            if !all.is_empty() {
                self.expect(",")?;
            }
            all.push(one(self)?);
        }
        Some(all)
    }

    fn tuple<T>(&mut self, count: usize, make: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        self.expect("(")?;
        let mut fields = Vec::with_capacity(count);
        for number in 0..count {
            if number > 0 {
                self.expect(",")?;
            }
            fields.push(self.string()?);
        }
        self.expect(")")?;
        make(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"Derive([("out","/nix/store/o-x.conf","","")],[("/nix/store/b.drv",["lib","out"]),("/nix/store/s.drv",["out"])],["/nix/store/builder.sh"],"x86_64-linux","/nix/store/bash",["-e","x"],[("buildCommand","cat > \"$out\"\n\\"),("name","x.conf"),("text","a\tb\n")])"#;

    #[test]
    fn a_derivation_is_read() {
        let read = Derivation::read(TEXT).unwrap();
        assert_eq!(read.outputs["out"], "/nix/store/o-x.conf");
        assert_eq!(read.inputs["/nix/store/b.drv"], ["lib", "out"]);
        assert_eq!(read.sources, ["/nix/store/builder.sh"]);
        assert_eq!(read.environment["buildCommand"], "cat > \"$out\"\n\\");
        assert_eq!(read.environment["text"], "a\tb\n");
        assert!(read.is_small());
        for broken in ["", "Derive(", &TEXT[..TEXT.len() - 1], &TEXT.replace("],[", "]")] {
            assert_eq!(Derivation::read(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_unpacked_or_fetched_is_not_small() {
        let of = |pairs: &[(&str, &str)]| Derivation {
            environment: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Derivation::default()
        };
        assert!(!of(&[("src", "/nix/store/x.tar"), ("buildPhase", "make")]).is_small());
        assert!(!of(&[("src", "/nix/store/x.tar"), ("buildCommand", "make")]).is_small());
        assert!(!of(&[("builder", "/bin/sh")]).is_small());
        assert!(of(&[("__json", "{\"buildCommand\":\"x\"}")]).is_small());
        assert!(!Derivation { is_fixed: true, ..of(&[("buildCommand", "curl")]) }.is_small());
        assert_eq!(name_of("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-hello-2.10.drv"), "hello-2.10");
    }
}
