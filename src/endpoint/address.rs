//! Where is an endpoint? The one normal form of a base URL, which requests and cache keys share.

use reqwest::Url;

use crate::model::request::{Dialect, EndpointIdentity};

/// A base URL in its normal form: `https://api.anthropic.com`, without a final slash, `/v1`, default port, or anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads what a user wrote.
    ///
    /// # Errors
    /// One clause that says what is wrong. It repeats no part of the URL, which might hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text.trim()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it must begin with `https://` or `http://`".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it must not hold a user name or a password, which would end up in reports; keys come from the environment".to_owned()
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it must not hold a query or a fragment".to_owned());
        }
        // The official clients take the address without `/v1`, many compatible servers document it with it. Both mean the same place.
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The normal form, as the cache key and messages write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Where a path of the API is: `messages` leads to `.../v1/messages`.
    #[must_use]
    pub fn api(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/v1/{path}", self.0.path().trim_end_matches('/')));
        url
    }

    /// It is this machine: no proxy may stand between.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url_host) => {
                let host = url_host.to_string();
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host == "localhost"
                    || host.ends_with(".localhost")
                    || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            None => false,
        }
    }

    /// It needs certificates.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// What a cache key says about an endpoint at this address.
#[must_use]
pub fn identity(dialect: Dialect, address: &Address, api_version: &str, beta: &[String]) -> EndpointIdentity {
    let mut beta: Vec<String> = beta.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    beta.sort();
    beta.dedup();
    EndpointIdentity { dialect, identity: address.as_str().to_owned(), api_version: api_version.to_owned(), beta }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_place_has_one_normal_form() {
        for text in [
            "https://api.anthropic.com",
            "https://api.anthropic.com/",
            "https://API.Anthropic.com:443",
            "https://api.anthropic.com/v1",
            "https://api.anthropic.com/v1/",
            "  https://api.anthropic.com//  ",
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.as_str(), "https://api.anthropic.com", "{text}");
            assert_eq!(address.api("messages").as_str(), "https://api.anthropic.com/v1/messages", "{text}");
        }
    }

    #[test]
    fn a_path_in_front_of_the_api_and_a_port_of_its_own_stay() {
        let address = Address::parse("http://gateway:8080/llm/v1").unwrap();
        assert_eq!(address.as_str(), "http://gateway:8080/llm");
        assert_eq!(address.api("messages").as_str(), "http://gateway:8080/llm/v1/messages");
    }

    #[test]
    fn secrets_and_nonsense_are_refused_without_being_repeated() {
        for text in
            ["https://user:hunter2@api.test", "https://hunter2@api.test", "https://api.test?key=hunter2", "ftp://hunter2", "hunter2", ""]
        {
            let reason = Address::parse(text).unwrap_err();
            assert!(!reason.contains("hunter2"), "{text}: {reason}");
        }
    }

    #[test]
    fn loopback_is_known_in_all_its_spellings() {
        for text in ["http://localhost:1", "http://127.0.0.1:1", "http://127.8.9.1", "http://[::1]:1", "http://sim.localhost"] {
            assert!(Address::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example.com", "https://api.anthropic.com"] {
            assert!(!Address::parse(text).unwrap().is_loopback(), "{text}");
        }
    }

    #[test]
    fn the_order_and_repetition_of_beta_names_do_not_change_the_identity() {
        let address = Address::parse("https://api.anthropic.com").unwrap();
        let one = identity(Dialect::Messages, &address, "2026-10-21", &["b".to_owned(), "a".to_owned(), "b ".to_owned()]);
        let other = identity(Dialect::Messages, &address, "2026-10-21", &["a".to_owned(), "b".to_owned()]);
        assert_eq!(one, other);
    }
}
