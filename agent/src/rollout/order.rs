//! The order in which the hosts of a rollout come. Pure.

use sha2::{Digest, Sha256};

/// The place of a host in a rollout: another one for each rollout, so that it is not always the same host that is first.
/// Everybody who knows both names comes to the same place, so a wave is one number, however many hosts are in it.
#[must_use]
pub fn place(rollout: &str, host: &str) -> u64 {
    let digest = Sha256::new().chain_update(rollout).chain_update([0]).chain_update(host).finalize();
    // JSON's integers have 63 bits for everybody.
    digest.iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte)) >> 1
}

/// The last place that there is.
pub const LAST: u64 = u64::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Agents of different versions have to agree on it. `printf "r\\0web1" | sha256sum` begins with this.
    #[test]
    fn places_stay() {
        assert_eq!(place("r", "web1"), 0x4cf1_4971_b3ce_9af9 >> 1);
        assert_ne!(place("r", "web1"), place("s", "web1"));
        assert_ne!(place("ab", "c"), place("a", "bc"));
    }
}
