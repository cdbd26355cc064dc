//! Which headers of a response are worth telling to whoever looks for a mistake, and safe to tell?

use reqwest::header::HeaderMap;

use crate::endpoint::secret::Scrubber;

/// Told as they came. Everything else (cookies, whatever a proxy adds) stays untold.
const TOLD: [&str; 14] = [
    "cf-ray",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "location",
    "promptkeel-simulated",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "server",
    "transfer-encoding",
    "via",
    "x-should-retry",
];

/// Rate limits, of which there are many and more to come.
const TOLD_FAMILY: &str = "anthropic-ratelimit-";

/// Most headers that are told.
const MOST: usize = 40;

/// Names and values, in the server's order, bounded and without keys.
pub(crate) fn headers(headers: &HeaderMap, scrubber: &Scrubber) -> Vec<(String, String)> {
    let is_told = |name: &str| TOLD.contains(&name) || name.starts_with(TOLD_FAMILY);
    let told = headers.iter().filter(|(name, _)| is_told(name.as_str())).take(MOST);
    told.map(|(name, value)| (scrubber.excerpt(name.as_str(), 80), scrubber.excerpt(&String::from_utf8_lossy(value.as_bytes()), 200)))
        .collect()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_helps_is_told_and_what_could_hold_a_secret_is_not() {
        let mut heard = HeaderMap::new();
        for (name, value) in [
            ("request-id", "req_1 sk-test-0123456789"),
            ("set-cookie", "session=secret"),
            ("x-api-key", "sk-test-0123456789"),
            ("authorization", "Bearer sk-test-0123456789"),
            ("anthropic-ratelimit-requests-remaining", "7"),
        ] {
            heard.append(name, value.parse().unwrap());
        }
        let told = headers(&heard, &Scrubber::new(&[SecretString::from("sk-test-0123456789")]));
        let told: Vec<String> = told.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(told, ["request-id: req_1 [REDACTED]", "anthropic-ratelimit-requests-remaining: 7"]);
    }
}
