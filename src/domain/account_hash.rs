//! Fingerprints of accounts.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A fingerprint of an address and a key, from which neither can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountHash(u64);

impl AccountHash {
    pub fn new(origin: &str, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (origin, key).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Returns the fingerprint used in one limiter file. Each file has its own salt, so that no two
    /// files can be compared.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (salt, self.0).hash(&mut hasher);
        Self(hasher.finish())
    }

    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }
}
