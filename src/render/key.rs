//! The key of the digests of files that hold secrets.
//!
//! /run/dynix/state.json, which everybody can read, has a digest of each file. From a plain digest one could find a
//! secret that can be guessed; from a digest with a key that only root has one can't.

use camino::Utf8PathBuf;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};

use crate::host::digest::hex;
use crate::host::fs::atomic::{self, Durability};
use crate::host::fs::{self, Context, FileError};
use crate::host::paths::Paths;

/// Random bytes, new after each boot.
#[derive(Clone, Default)]
pub struct Key([u8; 32]);

impl Key {
    fn place(paths: &Paths) -> Utf8PathBuf {
        paths.run().join("key")
    }

    /// Loads the key. If there is none yet, or none that this user may read, it is all zeros.
    pub fn load(paths: &Paths) -> Result<Self, FileError> {
        match fs::read_trusted(&Self::place(paths), 32) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).unwrap_or_default()),
            Err(error) if error.source.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error()) => {
                Ok(Self::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a key if there is none. The caller holds the lock of applying.
    pub fn ensure(paths: &Paths) -> Result<(), FileError> {
        let place = Self::place(paths);
        if fs::read_trusted(&place, 32)?.is_some_and(|bytes| bytes.len() == 32) {
            return Ok(());
        }
        let mut key = [0; 32];
        // So few bytes come whole (getrandom(2)).
        getrandom(&mut key, GetRandomFlags::empty()).at("find random bytes for", &place)?;
        atomic::write(&place, &key, 0o600, Durability::Volatile)
    }

    /// Whether the key is known: a user who may not read it has none.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0 != [0; 32]
    }

    /// The digest of `bytes` under this key.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> String {
        hex(&Sha256::new().chain_update(self.0).chain_update(bytes).finalize())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}
