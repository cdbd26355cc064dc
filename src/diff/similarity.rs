//! How much of two texts is the same, word by word?

use std::collections::HashMap;

use similar::{Algorithm, DiffTag, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation;

/// Up to this many words on the longer side the similarity is exact; beyond it the search takes shortcuts.
const EXACT_WORDS: usize = 3_000;

/// Beyond this many words their order is not looked at any more. A bound on the work, never on the time: a verdict must not depend on how
/// busy the machine is.
const ORDERED_WORDS: usize = 10_000;

/// Share of words (UAX #29, as written) that both texts have in the same order: `2 * common / (words of a + words of b)`, 0 to 1.
///
/// White space and punctuation are no words: counted as tokens they make two unrelated texts half alike.
/// Beyond 10,000 words their order is not counted, which can only make the texts more alike.
/// Two texts without any word are alike (1.0) only if they are equal apart from white space.
#[must_use]
pub fn similarity(a: &str, b: &str) -> f64 {
    let left: Vec<&str> = a.unicode_words().collect();
    let right: Vec<&str> = b.unicode_words().collect();
    if left.is_empty() && right.is_empty() {
        return if a.split_whitespace().eq(b.split_whitespace()) { 1.0 } else { 0.0 };
    }
    let longest = left.len().max(right.len());
    let common = if longest > ORDERED_WORDS {
        unordered(&left, &right)
    } else {
        let algorithm = if longest <= EXACT_WORDS { Algorithm::RawMyers } else { Algorithm::Myers };
        let operations = capture_diff_slices(algorithm, &left, &right);
        operations.iter().filter(|operation| operation.tag() == DiffTag::Equal).map(|operation| operation.old_range().len()).sum()
    };
    ratio(common, left.len() + right.len())
}

/// How many words both have, each as often as the side that has it less often.
fn unordered(left: &[&str], right: &[&str]) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in left {
        *counts.entry(word).or_default() += 1;
    }
    let taken = |word: &&&str| match counts.get_mut(**word) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    right.iter().filter(taken).count()
}

fn ratio(common: usize, total: usize) -> f64 {
    2.0 * common as f64 / total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_words_are_fully_similar_whatever_the_white_space() {
        assert!((similarity("The refund  is on\nits way.", "The refund is on its way") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn unrelated_texts_are_not_similar_at_all() {
        assert!(similarity("one two three four", "alpha beta gamma delta") < 1e-12);
    }

    #[test]
    fn one_word_of_four_makes_three_quarters() {
        assert!((similarity("the cat sat down", "the dog sat down") - 0.75).abs() < 1e-12);
    }

    #[test]
    fn very_long_texts_are_compared_by_their_words_alone() {
        let forward: Vec<String> = (0..20_000).map(|number| format!("w{number}")).collect();
        let backward: Vec<String> = forward.iter().rev().cloned().collect();
        let half: Vec<String> = (10_000..30_000).map(|number| format!("w{number}")).collect();
        assert!((similarity(&forward.join(" "), &backward.join(" ")) - 1.0).abs() < 1e-12);
        assert!((similarity(&forward.join(" "), &half.join(" ")) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn order_counts() {
        assert!(similarity("a b c d", "d c b a") < 0.5);
    }

    #[test]
    fn texts_without_words_are_compared_as_they_are() {
        assert!((similarity("", "  ") - 1.0).abs() < 1e-12);
        assert!((similarity("!!! ", "!!!") - 1.0).abs() < 1e-12);
        assert!(similarity("!!!", "???") < 1e-12);
        assert!(similarity("", "word") < 1e-12);
    }

    #[test]
    fn chinese_is_compared_word_by_word_not_as_one_word() {
        let value = similarity("我想退款三月的发票", "我想退款四月的发票");
        assert!(value > 0.7 && value < 1.0, "{value}");
    }

    #[test]
    fn large_unrelated_texts_have_a_similarity_too() {
        let words = |seed: u64, count: u64| (0..count).map(|n| format!("w{} ", (n * seed) % 99_991)).collect::<String>();
        assert!((0.0..=1.0).contains(&similarity(&words(7, 9_999), &words(13, 9_999))));
        assert!((0.0..=1.0).contains(&similarity(&words(7, 200_000), &words(13, 200_000))));
    }
}
