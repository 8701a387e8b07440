//! A checksum of stored values: SQLite has none, so it would not notice a flipped bit in a text.

use rusqlite::types::ValueRef;

/// Computes the checksum of values.
///
/// Each step is a bijection on 64 bits, so every change within one word of eight bytes is detected.
/// Other versions verify it, so it cannot be replaced by a common hash.
pub(super) fn checksum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = Checksum(0x6b69_6574_6f70);
    for value in values {
        match value {
            ValueRef::Null => sum.add_word(0),
            ValueRef::Integer(number) => {
                sum.add_word(1);
                sum.add_word(number.cast_unsigned());
            }
            ValueRef::Real(number) => {
                sum.add_word(2);
                sum.add_word(number.to_bits());
            }
            ValueRef::Text(bytes) => sum.add_bytes(3, bytes),
            ValueRef::Blob(bytes) => sum.add_bytes(4, bytes),
        }
    }
    sum.0.cast_signed()
}

struct Checksum(u64);

impl Checksum {
    const fn add_word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn add_bytes(&mut self, kind: u64, bytes: &[u8]) {
        self.add_word(kind | (bytes.len() as u64) << 8);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add_word(u64::from_le_bytes(*word));
        }
        let last = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.add_word(last);
    }
}
