//! Does a rule with a chance hold this time? At random, but always alike.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Questions remembered per shard before it starts afresh: a bound on memory, far above any test.
const REMEMBERED: usize = 100_000;
const SHARDS: usize = 16;

/// Decides by a hash of seed, rule, model, what is asked, and the how many-th time: neither the order in which different requests arrive nor the
/// number of connections changes it.
#[derive(Debug)]
pub(super) struct Chances {
    seed: u64,
    /// Answers that were drawn before this simulator started. Another process goes on; it does not say the same again.
    earlier: u64,
    shards: Vec<Mutex<HashMap<[u8; 8], u64>>>,
}

impl Chances {
    pub(super) fn new(seed: u64, earlier: u64) -> Self {
        Self { seed, earlier, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Whether it holds, where it does with the probability `chance`.
    pub(super) fn holds(&self, chance: f64, rule: usize, model: &str, prompt: &str) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&self.earlier.to_le_bytes()).update(&(rule as u64).to_le_bytes());
        hasher.update(&(model.len() as u64).to_le_bytes()).update(model.as_bytes()).update(prompt.as_bytes());
        let asked = first_eight(&hasher);
        let mut shard = self.shards[usize::from(asked[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= REMEMBERED {
            shard.clear();
        }
        let time = shard.entry(asked).or_default();
        *time += 1;
        hasher.update(&time.to_le_bytes());
        // 53 bits are what a fraction between 0 and 1 has.
        let drawn = (u64::from_le_bytes(first_eight(&hasher)) >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < chance
    }
}

fn first_eight(hasher: &blake3::Hasher) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(chances: &Chances, chance: f64, prompt: &str, times: usize) -> Vec<bool> {
        (0..times).map(|_| chances.holds(chance, 0, "m", prompt)).collect()
    }

    #[test]
    fn a_rule_holds_as_often_as_its_chance_says() {
        for chance in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let chances = Chances::new(1, 0);
            let mut count = 0;
            for prompt in 0..100 {
                count += held(&chances, chance, &prompt.to_string(), 40).iter().filter(|held| **held).count();
            }
            let (share, error) = (count as f64 / 4_000.0, (chance * (1.0 - chance) / 4_000.0_f64).sqrt());
            assert!((share - chance).abs() <= 3.5 * error, "{chance}: {share}");
        }
    }

    #[test]
    fn it_is_always_alike_whatever_is_asked_between_and_a_later_process_goes_on() {
        let (one, other) = (Chances::new(7, 0), Chances::new(7, 0));
        let alone = held(&one, 0.5, "a", 64);
        let between: Vec<bool> = (0..64)
            .map(|_| {
                other.holds(0.5, 0, "m", "b");
                other.holds(0.5, 0, "m", "a")
            })
            .collect();
        assert_eq!(alone, between);
        for another in [Chances::new(8, 0), Chances::new(7, 64)] {
            assert_ne!(held(&another, 0.5, "a", 64), alone);
        }
        assert_ne!(held(&Chances::new(7, 0), 0.5, "b", 64), alone, "each question has chances of its own");
    }
}
