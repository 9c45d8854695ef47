//! What a commit has for this host: the files, and the values that they come to.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{Held, Source, refused};
use crate::git::files::{self, Place};
use crate::git::mirror::{Commit, Object, Tips};
use crate::git::oid::Oid;
use crate::git::remote::Remote;
use crate::git::trees::{self, Kind};
use crate::git::words::plain;
use crate::layer::merged;

/// Most bytes of a tree.
const LARGEST_TREE: u64 = 32 << 20;

impl Source {
    /// The files of this host in a commit, later ones win.
    pub(super) async fn found(
        &self,
        from: Option<(&Remote, &Tips)>,
        commit: &Commit,
        places: &[Place],
    ) -> Result<Vec<(String, Oid)>, Held> {
        let refuse = |reason: String| refused(&commit.oid, reason);
        let mut top = self.tree(from, &commit.tree).await?;
        let mut shown = String::new();
        for name in &self.directory {
            shown.push_str(name);
            let below = trees::find(&top, name, Kind::Directory, &shown).map_err(refuse)?;
            let below = below.ok_or_else(|| refuse(format!("there is no directory {shown}")))?;
            top = self.tree(from, &below).await?;
            shown.push('/');
        }
        let mut directories = BTreeMap::new();
        for name in ["groups", "hosts"] {
            if let Some(oid) = trees::find(&top, name, Kind::Directory, name).map_err(refuse)? {
                directories.insert(name, self.tree(from, &oid).await?);
            }
        }
        let mut found = Vec::new();
        for place in places {
            let entries = match place.directory {
                None => Some(&top),
                Some(directory) => directories.get(directory),
            };
            let Some(entries) = entries else { continue };
            let mut here = Vec::new();
            for name in place.names() {
                let shown = place.shown(&name);
                if let Some(oid) = trees::find(entries, &name, Kind::File, &shown).map_err(refuse)? {
                    here.push((shown, oid));
                }
            }
            if let [(one, _), (other, _), ..] = here.as_slice() {
                return Err(refuse(format!("there are {one} and {other}; keep one of them")));
            }
            found.extend(here);
        }
        Ok(found)
    }

    async fn tree(&self, from: Option<(&Remote, &Tips)>, oid: &Oid) -> Result<Vec<trees::Entry>, Held> {
        match self.mirror.objects(from, std::slice::from_ref(oid), LARGEST_TREE).await?.pop() {
            Some(Object::Here(bytes)) => {
                Ok(trees::entries(&bytes, oid.as_str().len() / 2).context("a tree is damaged")?)
            }
            Some(Object::TooLarge(size)) => Err(anyhow::anyhow!("a directory has {size} bytes of names").into()),
            _ => Err(anyhow::anyhow!("the directory {} is not here", oid.short()).into()),
        }
    }

    /// The values of files, all of them as one.
    pub(super) async fn values(
        &self,
        from: Option<(&Remote, &Tips)>,
        commit: &Oid,
        files: &[(String, Oid)],
    ) -> Result<serde_json::Map<String, serde_json::Value>, Held> {
        let oids: Vec<Oid> = files.iter().map(|(_, oid)| oid.clone()).collect();
        let mut parts = Vec::new();
        for ((path, _), object) in files.iter().zip(self.mirror.objects(from, &oids, files::LARGEST).await?) {
            match object {
                Object::Here(bytes) => {
                    parts.push(files::values(path, &bytes).map_err(|reason| refused(commit, plain(&reason)))?);
                }
                Object::TooLarge(size) => {
                    let most = files::LARGEST;
                    return Err(refused(commit, format!("{path} has {size} bytes; at most {most} are read")));
                }
                Object::Missing => return Err(anyhow::anyhow!("the remote does not give {path}").into()),
            }
        }
        Ok(merged(parts))
    }
}
