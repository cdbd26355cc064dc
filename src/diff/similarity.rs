//! How much of two texts is the same, word by word?

use std::time::{Duration, Instant};

use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use unicode_segmentation::UnicodeSegmentation;

/// Up to this many words on both sides the similarity is exact; beyond it the search may take shortcuts and end early.
const EXACT_WORDS: usize = 3_000;

/// After so long the rest counts as different: the result can only come out too low.
const DEADLINE: Duration = Duration::from_secs(2);

/// Share of words (UAX #29, as written) that both texts have in the same order: `2 * common / (words of a + words of b)`, 0 to 1.
///
/// White space and punctuation are no words: counted as tokens they make two unrelated texts half alike.
/// Two texts without any word are alike (1.0) only if they are equal apart from white space.
#[must_use]
pub fn similarity(a: &str, b: &str) -> f64 {
    let left: Vec<&str> = a.unicode_words().collect();
    let right: Vec<&str> = b.unicode_words().collect();
    if left.is_empty() && right.is_empty() {
        return if a.split_whitespace().eq(b.split_whitespace()) { 1.0 } else { 0.0 };
    }
    let algorithm = if left.len().max(right.len()) <= EXACT_WORDS { Algorithm::RawMyers } else { Algorithm::Myers };
    let deadline = Instant::now() + DEADLINE;
    let operations = capture_diff_slices_deadline(algorithm, &left, &right, Some(deadline));
    let common: usize =
        operations.iter().filter(|operation| operation.tag() == DiffTag::Equal).map(|operation| operation.old_range().len()).sum();
    ratio(common, left.len() + right.len())
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
    fn large_unrelated_texts_end_in_bounded_time() {
        let words = |seed: u64| (0..200_000_u64).map(|n| format!("w{} ", (n * seed) % 99_991)).collect::<String>();
        let start = Instant::now();
        let value = similarity(&words(7), &words(13));
        assert!((0.0..=1.0).contains(&value));
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
