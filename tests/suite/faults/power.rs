//! What a disk may hold after a power cut: everything that was synced, and of the rest anything.
//!
//! Takes the calls of a run, gives the trees that may be found afterwards. A write that was not synced may be missing,
//! may have left only its first bytes or only its length (zeros, on file systems that write the length first), or lack
//! any of its sectors. A name that was made, moved or removed may be as it was until its directory is synced. Nothing
//! keeps the order in which these happened.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::calls::{Call, Effect};

/// What a disk writes in one piece.
const SECTOR: usize = 512;

type Inode = usize;

#[derive(Clone, Debug)]
enum Step {
    Write {
        inode: Inode,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        inode: Inode,
        length: usize,
    },
    /// Names that change together.
    Names {
        directory: Utf8PathBuf,
        names: Vec<(Utf8PathBuf, Option<Inode>)>,
    },
    SyncFile(Inode),
    SyncDirectory(Utf8PathBuf),
}

/// How a step that was not synced turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    All,
    /// So many of the first bytes.
    Prefix(usize),
    /// The length, and zeros.
    Zeros,
    /// All but this sector.
    AllBut(usize),
}

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Directory,
    File(Vec<u8>),
}

/// The steps of a run.
#[derive(Debug, Default)]
pub struct Disk {
    /// What was there before, all of it on disk.
    initial: BTreeMap<Utf8PathBuf, Inode>,
    nodes: Vec<Node>,
    /// The names as the running system sees them.
    live: BTreeMap<Utf8PathBuf, Inode>,
    steps: Vec<Step>,
}

impl Disk {
    /// With a tree on it.
    pub fn new(tree: BTreeMap<Utf8PathBuf, Node>) -> Self {
        let mut disk = Self::default();
        for (path, node) in tree {
            let inode = disk.node(node);
            disk.initial.insert(path.clone(), inode);
            disk.live.insert(path, inode);
        }
        disk
    }

    fn node(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// How many steps there were so far.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    fn name(&mut self, names: Vec<(Utf8PathBuf, Option<Inode>)>) {
        let directory = names[0].0.parent().unwrap().to_owned();
        for (path, inode) in &names {
            assert_eq!(path.parent().unwrap(), directory, "a move between directories is two steps on disk");
            match inode {
                Some(inode) => self.live.insert(path.clone(), *inode),
                None => self.live.remove(path),
            };
        }
        self.steps.push(Step::Names { directory, names });
    }

    /// Adds what a call did.
    pub fn record(&mut self, call: &Call) {
        let path = &call.path;
        let there = self.live.get(path).copied();
        if call.result < 0 {
            return;
        }
        match &call.effect {
            Effect::Open { creates: true, .. } if there.is_none() => {
                let inode = self.node(Node::File(Vec::new()));
                self.name(vec![(path.clone(), Some(inode))]);
            }
            Effect::Open { truncates: true, .. } => {
                self.steps.push(Step::Truncate { inode: there.unwrap(), length: 0 });
            }
            Effect::Mkdir => {
                let inode = self.node(Node::Directory);
                self.name(vec![(path.clone(), Some(inode))]);
            }
            Effect::Write { offset, bytes } => {
                let offset = usize::try_from(*offset).unwrap();
                self.steps.push(Step::Write { inode: there.unwrap(), offset, bytes: bytes.clone() });
            }
            Effect::Truncate { length } => {
                let length = usize::try_from(*length).unwrap();
                self.steps.push(Step::Truncate { inode: there.unwrap(), length });
            }
            Effect::Sync => match there.map(|inode| (inode, &self.nodes[inode])) {
                Some((inode, Node::File(_))) => self.steps.push(Step::SyncFile(inode)),
                _ => self.steps.push(Step::SyncDirectory(path.clone())),
            },
            Effect::Rename { to, exchange: false } => {
                self.name(vec![(to.clone(), there), (path.clone(), None)]);
            }
            Effect::Unlink | Effect::Rmdir => self.name(vec![(path.clone(), None)]),
            Effect::Open { .. } | Effect::Look | Effect::Attributes => {}
            other => panic!("{} {path}: the model has no {other:?}", call.name),
        }
    }

    /// The steps among the first `cut` that need not be on disk then.
    fn unsynced(&self, cut: usize) -> BTreeSet<usize> {
        let mut unsynced = BTreeSet::new();
        for (number, step) in self.steps[..cut].iter().enumerate() {
            match step {
                Step::Write { .. } | Step::Truncate { .. } | Step::Names { .. } => drop(unsynced.insert(number)),
                Step::SyncFile(synced) => unsynced.retain(|number| match &self.steps[*number] {
                    Step::Write { inode, .. } | Step::Truncate { inode, .. } => inode != synced,
                    _ => true,
                }),
                Step::SyncDirectory(synced) => unsynced.retain(|number| match &self.steps[*number] {
                    Step::Names { directory, .. } => directory != synced,
                    _ => true,
                }),
            }
        }
        unsynced
    }

    /// A tree that may be found when the power goes after `cut` steps; `choose` says what remains of each step that was
    /// not synced, among what may remain of it.
    pub fn after(&self, cut: usize, mut choose: impl FnMut(&[Remains]) -> Remains) -> BTreeMap<Utf8PathBuf, Node> {
        let unsynced = self.unsynced(cut);
        let mut names = self.initial.clone();
        let mut nodes = self.nodes.clone();
        // What is not there at the start is made by its first write.
        for (inode, node) in nodes.iter_mut().enumerate() {
            if let (Node::File(bytes), false) = (node, self.initial.values().any(|known| *known == inode)) {
                bytes.clear();
            }
        }
        for (number, step) in self.steps[..cut].iter().enumerate() {
            let remains = if unsynced.contains(&number) { choose(&possible(step)) } else { Remains::All };
            if remains == Remains::Nothing {
                continue;
            }
            match step {
                Step::Write { inode, offset, bytes } => {
                    let Node::File(data) = &mut nodes[*inode] else { panic!("a write to a directory") };
                    write(data, *offset, bytes, remains);
                }
                Step::Truncate { inode, length } => {
                    let Node::File(data) = &mut nodes[*inode] else { panic!("a directory has no length") };
                    data.resize(*length, 0);
                }
                Step::Names { names: changed, .. } => {
                    for (path, inode) in changed {
                        match inode {
                            Some(inode) => names.insert(path.clone(), *inode),
                            None => names.remove(path),
                        };
                    }
                }
                Step::SyncFile(_) | Step::SyncDirectory(_) => {}
            }
        }
        let reachable = |path: &Utf8Path| {
            let above = path
                .ancestors()
                .skip(1)
                .filter(|above| self.live.contains_key(*above) || self.initial.contains_key(*above));
            above.into_iter().all(|above| names.contains_key(above))
        };
        let found = names.iter().filter(|(path, _)| reachable(path));
        found.map(|(path, inode)| (path.clone(), nodes[*inode].clone())).collect()
    }
}

fn possible(step: &Step) -> Vec<Remains> {
    let mut possible = vec![Remains::Nothing, Remains::All];
    if let Step::Write { bytes, offset, .. } = step {
        possible.extend([1, bytes.len() / 2, bytes.len() - 1].map(Remains::Prefix));
        possible.push(Remains::Zeros);
        let sectors = offset / SECTOR..=(offset + bytes.len() - 1) / SECTOR;
        possible.extend(sectors.map(Remains::AllBut));
    }
    possible
}

fn write(data: &mut Vec<u8>, offset: usize, bytes: &[u8], remains: Remains) {
    let written = match remains {
        Remains::Prefix(length) => &bytes[..length],
        _ => bytes,
    };
    if data.len() < offset + written.len() {
        data.resize(offset + written.len(), 0);
    }
    for (at, byte) in written.iter().enumerate() {
        let lost = match remains {
            Remains::Zeros => true,
            Remains::AllBut(sector) => (offset + at) / SECTOR == sector,
            _ => false,
        };
        if !lost {
            data[offset + at] = *byte;
        }
    }
}
