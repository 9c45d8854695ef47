//! The index of a plan: the place of each service in `plan.json`, so that a command reads only the services that it
//! needs.
//!
//! `generate` writes it beside the plan, as `plan.json.index`. It holds only places and digests: everything about a
//! service comes from `plan.json` itself. An index that does not belong to the plan beside it counts as absent.
//!
//! Little-endian, without padding:
//!
//! | part | each | what |
//! | --- | --- | --- |
//! | header | 56 bytes | magic; the plan's length; how long its beginning is (before the services), and the digest of that; number of keys, of services |
//! | keys | 12 bytes | hash of an option's path or a service's name, sorted; the service's number |
//! | services | 28 bytes | by name: where `"name":{...}` begins, its length, its digest |
//!
//! A digest is the first 16 bytes of SHA-256.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::attr_path::AttrPath;
use crate::host::fs::{self, Directory};
use crate::plan::{Plan, Service};

/// Marks a file of exactly this version of the format.
const MAGIC: &[u8; 16] = b"dynix index 1\n\0\0";
const HEADER: usize = 56;
const KEY: usize = 12;
const ENTRY: usize = 28;

type Digest = [u8; 16];

fn digest(bytes: &[u8]) -> Digest {
    let mut short = Digest::default();
    short.copy_from_slice(&Sha256::digest(bytes)[..16]);
    short
}

/// The path of a plan's index.
#[must_use]
pub fn beside(plan: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{plan}.index"))
}

/// FNV-1a, 64 bits: names of one kind and of the other never give the same bytes.
fn hash<'n>(kind: u8, names: impl Iterator<Item = &'n str>) -> u64 {
    let bytes = names.flat_map(|name| name.bytes().chain([0]));
    [kind]
        .into_iter()
        .chain(bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn of_service(name: &str) -> u64 {
    hash(b's', std::iter::once(name))
}

fn of_option(names: &[String]) -> u64 {
    hash(b'o', names.iter().map(String::as_str))
}

/// The index of a plan's text; `None` for a text that can't have one, which is read whole then.
#[must_use]
pub fn write(text: &str) -> Option<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Outline<'t> {
        #[serde(borrow)]
        services: &'t RawValue,
    }
    let start = |part: &str| (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
    let outline: Outline<'_> = serde_json::from_str(text).ok()?;
    let head = start(outline.services.get())?;
    let services: BTreeMap<String, &RawValue> = serde_json::from_str(outline.services.get()).ok()?;
    let (mut keys, mut entries) = (Vec::new(), Vec::new());
    for (number, (name, raw)) in services.iter().enumerate() {
        let number = u32::try_from(number).ok()?;
        let label = format!("{}:", serde_json::to_string(name).ok()?);
        let end = start(raw.get())? + raw.get().len();
        let begin = start(raw.get())?.checked_sub(label.len())?;
        let whole = text.get(begin..end).filter(|whole| whole.starts_with(&label))?;
        entries.extend(u64::try_from(begin).ok()?.to_le_bytes());
        entries.extend(u32::try_from(whole.len()).ok()?.to_le_bytes());
        entries.extend(digest(whole.as_bytes()));
        let service: Service = serde_json::from_str(raw.get()).ok()?;
        keys.push((of_service(name), number));
        for option in service.options.keys() {
            keys.push((of_option(AttrPath::parse(option).ok()?.names()), number));
        }
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(u64::try_from(text.len()).ok()?.to_le_bytes());
    bytes.extend(u64::try_from(head).ok()?.to_le_bytes());
    bytes.extend(digest(text.get(..head)?.as_bytes()));
    bytes.extend(u32::try_from(keys.len()).ok()?.to_le_bytes());
    bytes.extend(u32::try_from(services.len()).ok()?.to_le_bytes());
    for (hash, number) in keys {
        bytes.extend(hash.to_le_bytes());
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(entries);
    Some(bytes)
}

/// A plan and its index, open.
#[derive(Debug)]
pub struct Index {
    plan: File,
    file: File,
    keys: usize,
    services: usize,
    table: OnceLock<Option<Vec<u8>>>,
}

/// The bytes of a field at `at`, as many as the array has.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(field(bytes, at)?) as usize)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(field(bytes, at)?))
}

fn read(file: &File, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

fn open(path: &Utf8Path) -> Option<File> {
    let (directory, name) = Directory::above(path).ok()??;
    let file = directory.open_file(name, OFlags::RDONLY).ok()??;
    directory.check_file(&file, name).ok()?;
    Some(file)
}

impl Index {
    /// The plan at `path` without its services and candidates, and the index to find services with. `None` if there is
    /// no index, or none that belongs to the plan.
    #[must_use]
    pub fn open(path: &Utf8Path) -> Option<(Plan, Self)> {
        let index = open(&beside(path))?;
        let plan = open(path)?;
        let (of_index, of_plan) = (index.metadata().ok()?, plan.metadata().ok()?);
        // A plan that was written later is another one. In the store, all times are the same.
        let time = |of: &std::fs::Metadata| (of.mtime(), of.mtime_nsec());
        if of_plan.len() > fs::OWN || time(&of_index) < time(&of_plan) {
            return None;
        }
        let header = read(&index, 0, HEADER)?;
        if field::<16>(&header, 0)? != *MAGIC || long(&header, 16)? != of_plan.len() {
            return None;
        }
        let (keys, services) = (number(&header, 48)?, number(&header, 52)?);
        if of_index.len() != (HEADER + keys * KEY + services * ENTRY) as u64 {
            return None;
        }
        let head = long(&header, 24)?;
        if head > of_plan.len() {
            return None;
        }
        let mut head = read(&plan, 0, usize::try_from(head).ok()?)?;
        if digest(&head) != field::<16>(&header, 32)? {
            return None;
        }
        head.extend(b"{}}");
        let head = crate::plan::read(&head).ok()?;
        Some((head, Self { plan, file: index, keys, services, table: OnceLock::new() }))
    }

    /// How many services the plan has.
    #[must_use]
    pub fn services(&self) -> usize {
        self.services
    }

    /// The number of a service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<usize> {
        self.find(of_service(name))
    }

    /// The number of the service with the longest option that `path` is or is below.
    #[must_use]
    pub fn option(&self, path: &AttrPath) -> Option<usize> {
        (1..=path.names().len()).rev().find_map(|length| self.find(of_option(&path.names()[..length])))
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let table = self.table.get_or_init(|| read(&self.file, HEADER as u64, self.keys * KEY)).as_ref()?;
        let (mut low, mut high) = (0, self.keys);
        while low < high {
            let middle = low.midpoint(high);
            match long(table, middle * KEY)?.cmp(&hash) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return number(table, middle * KEY + 8),
            }
        }
        None
    }

    /// Reads a service of the plan; `None` if the bytes there are not those that the index was made of.
    #[must_use]
    pub fn read(&self, number: usize) -> Option<(String, Service)> {
        if number >= self.services {
            return None;
        }
        let entry = read(&self.file, (HEADER + self.keys * KEY + number * ENTRY) as u64, ENTRY)?;
        let (begin, length) = (long(&entry, 0)?, self::number(&entry, 8)?);
        // `{"name":{...}}` is a plan's services with this one alone.
        let mut text = vec![b'{'; 1];
        text.resize(length.checked_add(1)?, 0);
        self.plan.read_exact_at(&mut text[1..], begin).ok()?;
        if digest(&text[1..]) != field::<16>(&entry, 12)? {
            return None;
        }
        text.push(b'}');
        serde_json::from_slice::<BTreeMap<String, Service>>(&text).ok()?.pop_first()
    }
}
