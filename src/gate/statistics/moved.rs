//! Did the model move, and not the prompt? The baseline's answers of then against answers to the very same requests of today.
//!
//! Where they differ by more than chance, a comparison with the old ones tells nothing of the prompt: the baseline is void. Gao, Liang, Guestrin
//! 2025, *Model Equality Testing*, arXiv 2410.20247.

use fastrand::Rng;

/// So many characters of an answer are compared, from its beginning.
pub const CHARACTERS: usize = 1_000;

/// Ways of dealing the answers anew that are all tried; beyond it so many are drawn.
const MOST_TRIED: u64 = 20_000;
const DRAWS: u32 = 4_999;
const SEED: u64 = 0x6d6f_7665_6421;

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moved {
    /// How far the answers of then and of today are apart, summed over the prompts: the unbiased `MMD²`, 0 on the average where nothing moved.
    pub distance: f64,
    /// How likely as much where nothing moved.
    pub p: f64,
    /// Deals that are as far apart, and deals that were looked at.
    pub deals: (u64, u64),
}

/// Answers to one request: those of then, and those of today.
pub type Answers<'a> = (Vec<&'a str>, Vec<&'a str>);

/// The test: in each prompt the answers are dealt anew to then and today. A prompt with fewer than two answers on a side tells nothing and
/// is left out; `None` where all are.
///
/// The likeness of two texts is the number of their first `characters` places that have the same character (Hamming's kernel); behind the
/// end of a text stands one that is in none. `MMD² = mean k(x,x') + mean k(y,y') - 2 mean k(x,y)`.
#[must_use]
pub fn test(prompts: &[Answers<'_>], characters: usize) -> Option<Moved> {
    let told: Vec<Likeness> =
        prompts.iter().filter(|(then, today)| then.len() > 1 && today.len() > 1).map(|one| Likeness::of(one, characters)).collect();
    if told.is_empty() {
        return None;
    }
    let distance: f64 = told.iter().map(|one| one.distance(&one.first())).sum();
    let is_as_far = |deal: f64| deal >= distance - 1e-9 * distance.abs().max(1.0);
    if let [one] = told.as_slice()
        && let Some(all) = one.deals().filter(|all| *all <= MOST_TRIED)
    {
        let mut far = 0;
        one.each(|then| far += u64::from(is_as_far(one.distance(then))));
        return Some(Moved { distance, p: far as f64 / all as f64, deals: (far, all) });
    }
    let mut random = Rng::with_seed(SEED);
    let far = (0..DRAWS).filter(|_| is_as_far(told.iter().map(|one| one.distance(&one.dealt(&mut random))).sum())).count() as u64;
    let all = u64::from(DRAWS);
    Some(Moved { distance, p: (far + 1) as f64 / (all + 1) as f64, deals: (far, all) })
}

/// How alike any two answers of one prompt are.
struct Likeness {
    of: Vec<Vec<f64>>,
    then: usize,
}

impl Likeness {
    fn of((then, today): &Answers<'_>, characters: usize) -> Self {
        let texts: Vec<Vec<char>> = then.iter().chain(today).map(|text| text.chars().take(characters).collect()).collect();
        let alike = |one: &[char], other: &[char]| {
            let behind = characters.saturating_sub(one.len().max(other.len()));
            (one.iter().zip(other).filter(|(one, other)| one == other).count() + behind) as f64
        };
        let of = texts.iter().map(|one| texts.iter().map(|other| alike(one, other)).collect()).collect();
        Self { of, then: then.len() }
    }

    fn first(&self) -> Vec<bool> {
        (0..self.of.len()).map(|place| place < self.then).collect()
    }

    fn distance(&self, is_then: &[bool]) -> f64 {
        let (mut then, mut today, mut across) = (0.0, 0.0, 0.0);
        for (one, row) in self.of.iter().enumerate() {
            for (other, likeness) in row.iter().enumerate().skip(one + 1) {
                match (is_then[one], is_then[other]) {
                    (true, true) => then += likeness,
                    (false, false) => today += likeness,
                    _ => across += likeness,
                }
            }
        }
        let (n, m) = (self.then as f64, (self.of.len() - self.then) as f64);
        2.0 * then / (n * (n - 1.0)) + 2.0 * today / (m * (m - 1.0)) - 2.0 * across / (n * m)
    }

    /// How many ways there are to deal them.
    fn deals(&self) -> Option<u64> {
        let all = self.of.len() as u64;
        (0..self.then as u64).try_fold(1_u64, |deals, place| Some(deals.checked_mul(all - place)? / (place + 1)))
    }

    fn each(&self, mut told: impl FnMut(&[bool])) {
        let mut chosen: Vec<usize> = (0..self.then).collect();
        let all = self.of.len();
        loop {
            let mut is_then = vec![false; all];
            chosen.iter().for_each(|place| is_then[*place] = true);
            told(&is_then);
            let Some(place) = (0..self.then).rfind(|place| chosen[*place] < all - self.then + place) else { return };
            chosen[place] += 1;
            for next in place + 1..self.then {
                chosen[next] = chosen[next - 1] + 1;
            }
        }
    }

    fn dealt(&self, random: &mut Rng) -> Vec<bool> {
        let mut is_then = self.first();
        random.shuffle(&mut is_then);
        is_then
    }
}
