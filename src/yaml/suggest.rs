//! "did you mean": the nearest of the words that would have been right.

/// Longest word that is compared: a longer one is no slip, and the distance costs the product of
/// both lengths.
const WORD_MAX: usize = 64;

/// Words of the cloud's API for what is called otherwise here.
const SYNONYMS: [(&str, &str); 2] = [("pool_id", "proxy_id"), ("ssl", "ssl_option")];

/// The nearest candidate, when it is near enough that a slip of the fingers explains it, or the
/// API's other word.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > WORD_MAX {
        return None;
    }
    let folded = fold(word);
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == word).map(|(_, ours)| *ours);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                if synonym == Some(candidate) {
                    0
                } else {
                    strsim::damerau_levenshtein(&folded, &fold(candidate))
                },
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many slips lie between two words, the second of which is a known one.
pub fn distance(word: &str, known: &str) -> usize {
    let word = &word[..word.floor_char_boundary(WORD_MAX)];
    strsim::damerau_levenshtein(&fold(word), &fold(known))
}

/// `Max-In-Flight`, `maxInFlight` and `max_in_flight` are the same slip.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// `a`, `b` or `c`, each between backticks.
pub fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = ["max_in_flight", "waves", "max_failures", "name"];
        assert_eq!(nearest("maxInFlight", keys), Some("max_in_flight"));
        assert_eq!(nearest("wave", keys), Some("waves"));
        assert_eq!(nearest("nmae", keys), Some("name"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("pool_id", ["instance_id", "proxy_id", "lane"]), Some("proxy_id"));
        assert_eq!(nearest(&"waves".repeat(1_000_000), keys), None);
    }
}
