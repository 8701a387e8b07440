//! A small seeded random number generator with the distributions that the simulator needs.
//!
//! Knows neither tasks nor HTTP nor clocks. The same seed gives the same sequence on every machine.

use std::time::Duration;

/// A random number generator that depends only on its seed (`SplitMix64`, Steele et al. 2014).
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// Creates a generator. Each `stream` of a seed is a separate sequence.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Self(seed ^ stream.wrapping_mul(0xA24B_AED4_963E_E407));
        rng.next_u64();
        rng
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in `[0, 1)`.
    pub(super) fn next_f64(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns a number in `[low, high)`.
    pub(super) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next_f64()
    }

    /// Returns an index into a list of that length; 0 for an empty list.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_u64() % length).unwrap_or_default()
    }

    /// Returns a log-normal number with this median; `sigma` is the deviation of its logarithm.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.next_f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.next_f64()).cos();
        median * (sigma * normal).exp()
    }

    /// Returns an id like those of kie.ai: 32 lower-case hexadecimal digits.
    pub(super) fn task_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.next_u64(), self.next_u64())
    }

    /// Shuffles a list (Fisher-Yates).
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.index(last + 1));
        }
    }
}

/// Converts seconds to whole milliseconds; negative numbers and NaN become 0.
pub(super) fn to_millis(seconds: f64) -> i64 {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|duration| i64::try_from(duration.as_millis()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_sequence_and_streams_differ() {
        let first_id = |seed, stream| Rng::new(seed, stream).task_id();

        assert_eq!(first_id(7, 1), first_id(7, 1));
        assert_ne!(first_id(7, 1), first_id(7, 2));
        assert_ne!(first_id(7, 1), first_id(8, 1));
        assert_eq!(first_id(7, 1).len(), 32);
    }

    #[test]
    fn log_normal_has_its_median() {
        let mut rng = Rng::new(3, 0);
        let mut values: Vec<f64> = (0..2001).map(|_| rng.log_normal(300.0, 0.6)).collect();
        values.sort_by(f64::total_cmp);

        assert!((270.0..330.0).contains(&values[1000]), "{}", values[1000]);
    }
}
