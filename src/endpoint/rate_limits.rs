//! What do a response's headers say about the server's rate limits (wire reference, 2.2)?

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap};

/// The limits that a server told of, with success and failure alike. What it did not tell, or told in words that mean nothing, is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests per minute.
    pub requests: Standing,
    /// Tokens per minute: the most restrictive limit in force.
    pub tokens: Standing,
    /// Input tokens per minute; what a prompt cache served does not count.
    pub input_tokens: Standing,
    /// Output tokens per minute.
    pub output_tokens: Standing,
}

/// How it stands with one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// So much per minute; never zero.
    pub limit: Option<u64>,
    /// So much of it is left.
    pub remaining: Option<u64>,
    /// Until all of it is back, counted from this response; told only where nothing is left.
    pub reset: Option<Duration>,
}

/// Reads the `anthropic-ratelimit-*` headers. `now` counts where the server does not tell its own time.
pub(crate) fn rate_limits(headers: &HeaderMap, now: DateTime<Utc>) -> RateLimits {
    macro_rules! standing {
        ($what:literal) => {
            standing(
                headers,
                now,
                [
                    concat!("anthropic-ratelimit-", $what, "-limit"),
                    concat!("anthropic-ratelimit-", $what, "-remaining"),
                    concat!("anthropic-ratelimit-", $what, "-reset"),
                ],
            )
        };
    }
    RateLimits {
        requests: standing!("requests"),
        tokens: standing!("tokens"),
        input_tokens: standing!("input-tokens"),
        output_tokens: standing!("output-tokens"),
    }
}

fn standing(headers: &HeaderMap, now: DateTime<Utc>, [limit, remaining, reset]: [&str; 3]) -> Standing {
    let number = |name| text(headers, name)?.parse::<u64>().ok();
    let remaining = number(remaining);
    Standing {
        limit: number(limit).filter(|limit| *limit > 0),
        remaining,
        // A time is costly to read, and of use only where there is something to wait for.
        reset: if remaining == Some(0) { until(headers, reset, now) } else { None },
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// From the server's own clock where it tells it: only the difference counts.
fn until(headers: &HeaderMap, name: &str, now: DateTime<Utc>) -> Option<Duration> {
    let then = DateTime::parse_from_rfc3339(text(headers, name)?).ok()?.with_timezone(&Utc);
    let server = text(headers, DATE.as_str()).and_then(|value| DateTime::parse_from_rfc2822(value).ok());
    let now = server.map_or(now, |server| server.with_timezone(&Utc));
    (then - now).to_std().ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().with_timezone(&Utc)
    }

    #[test]
    fn each_limit_is_read_with_what_is_left_of_it() {
        let told = rate_limits(
            &headers(&[
                ("anthropic-ratelimit-requests-limit", "300"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-11-22T10:00:12Z"),
                ("anthropic-ratelimit-input-tokens-limit", "2000000"),
                ("anthropic-ratelimit-input-tokens-remaining", " 1999000 "),
                ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T10:00:01Z"),
            ]),
            now(),
        );
        assert_eq!(told.requests, Standing { limit: Some(300), remaining: Some(0), reset: Some(Duration::from_secs(12)) });
        assert_eq!(told.input_tokens, Standing { limit: Some(2_000_000), remaining: Some(1_999_000), reset: None });
        assert_eq!((told.tokens, told.output_tokens), (Standing::default(), Standing::default()));
    }

    #[test]
    fn a_reset_is_counted_from_the_servers_own_clock() {
        let told = rate_limits(
            &headers(&[
                ("date", "Sun, 22 Nov 2026 08:00:00 GMT"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-22T08:00:30Z"),
            ]),
            now(),
        );
        assert_eq!(told.tokens.reset, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_means_nothing_is_as_if_it_were_not_there() {
        for (limit, remaining, reset) in
            [("0", "-1", "soon"), ("many", "0.5", "12"), ("", "", ""), ("99999999999999999999999", "\u{a0}", "2026-11-22T09:00:00Z")]
        {
            let told = rate_limits(
                &headers(&[
                    ("anthropic-ratelimit-requests-limit", limit),
                    ("anthropic-ratelimit-requests-remaining", remaining),
                    ("anthropic-ratelimit-requests-reset", reset),
                    // Nothing is left, and it was all back an hour ago.
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", reset),
                ]),
                now(),
            );
            assert_eq!(told, RateLimits { tokens: Standing { remaining: Some(0), ..Standing::default() }, ..RateLimits::default() });
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "[ -~]{0,40}") {
            let told = rate_limits(
                &headers(&[
                    ("anthropic-ratelimit-requests-limit", &value),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", &value),
                    ("date", &value),
                ]),
                now(),
            );
            prop_assert_ne!(told.requests.limit, Some(0));
        }
    }
}
