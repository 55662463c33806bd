//! What a passport must say to be accepted here.

use crate::Error;

/// Most leeway for clocks that differ, in seconds. The protocol uses 30 (section 10), and signing
/// keys outlive their last signature by 600.
pub const MAX_LEEWAY: i64 = 300;

/// The three kinds of token that LIME signs (protocol section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An agent is at a site's door.
    Login,
    /// An agent belongs to an account at a site.
    Binding,
    /// An agent may use an MCP server.
    Access,
}

impl Kind {
    /// The `typ` of this kind's header.
    #[must_use]
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Login => "lime-passport+jwt",
            Self::Binding => "lime-binding+jwt",
            Self::Access => "at+jwt",
        }
    }

    /// The audience, which separates the kinds also where a header has no `typ`.
    pub(crate) const fn audience(self) -> &'static str {
        match self {
            Self::Login => "lime-site-login",
            Self::Binding => "lime-binding",
            Self::Access => "mcp",
        }
    }

    /// Longest `exp - iat`, in seconds.
    pub(crate) const fn max_life(self) -> i64 {
        match self {
            Self::Login => 120,
            Self::Binding => 60,
            Self::Access => 300,
        }
    }

    /// Claims that a token of this kind never has: an MCP server must not learn who owns an agent.
    pub(crate) const fn forbidden(self) -> &'static [&'static str] {
        match self {
            Self::Login | Self::Binding => &[],
            Self::Access => &["user_id", "passport_version", "request_id"],
        }
    }
}

/// What one verification insists on. There is no way to make one that binds a passport to nothing:
/// a passport that was given to site A must not open site B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    pub(crate) kind: Kind,
    pub(crate) leeway: i64,
    /// Claims that must be there with exactly this text.
    pub(crate) bound: Vec<(&'static str, String)>,
    /// The second audience of an access token.
    pub(crate) resource: Option<String>,
}

impl Expectation {
    /// A site login: for this request, or for this site, or both.
    ///
    /// # Errors
    /// [`Error::Unbound`] if neither is given or one is empty; [`Error::Argument`] if `leeway`
    /// (seconds) is not within 0 and [`MAX_LEEWAY`].
    pub fn login(
        request_id: Option<&str>,
        site_id: Option<&str>,
        leeway: i64,
    ) -> Result<Self, Error> {
        Self::new(Kind::Login, &[("request_id", request_id), ("site_id", site_id)], None, leeway)
    }

    /// An agent binding: for this site, and for this binding if one is given.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub fn binding(site_id: &str, binding_id: Option<&str>, leeway: i64) -> Result<Self, Error> {
        let bound = [("site_id", Some(site_id)), ("binding_id", binding_id)];
        Self::new(Kind::Binding, &bound, None, leeway)
    }

    /// An MCP access token: for this domain, or for this resource (RFC 8707), or both.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub fn access_token(
        domain: Option<&str>,
        resource: Option<&str>,
        leeway: i64,
    ) -> Result<Self, Error> {
        Self::new(Kind::Access, &[("domain", domain)], resource, leeway)
    }

    /// The kind of token that is expected.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    fn new(
        kind: Kind,
        bound: &[(&'static str, Option<&str>)],
        resource: Option<&str>,
        leeway: i64,
    ) -> Result<Self, Error> {
        if !(0..=MAX_LEEWAY).contains(&leeway) {
            return Err(Error::Argument("leeway is not within 0 and 300 seconds"));
        }
        let bound: Vec<_> = bound
            .iter()
            .filter_map(|(claim, value)| value.map(|value| (*claim, value.to_owned())))
            .collect();
        // An empty id is what a caller has who lost it; it must not count as one.
        if bound.iter().any(|(_, value)| value.is_empty()) || resource == Some("") {
            return Err(Error::Unbound("an empty value binds a passport to nothing"));
        }
        if bound.is_empty() && resource.is_none() {
            return Err(Error::Unbound("nothing given that binds the passport to this verifier"));
        }
        Ok(Self { kind, leeway, bound, resource: resource.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, MAX_LEEWAY};
    use crate::Error;

    #[test]
    fn an_expectation_that_binds_to_nothing_cannot_be_made() {
        let unbound = |made| matches!(made, Err(Error::Unbound(_)));
        assert!(unbound(Expectation::login(None, None, 30)));
        assert!(unbound(Expectation::login(Some(""), Some("s"), 30)));
        assert!(unbound(Expectation::login(None, Some(""), 30)));
        assert!(unbound(Expectation::binding("", None, 30)));
        assert!(unbound(Expectation::binding("s", Some(""), 30)));
        assert!(unbound(Expectation::access_token(None, None, 30)));
        assert!(unbound(Expectation::access_token(Some("d"), Some(""), 30)));
    }

    #[test]
    fn leeway_has_a_range() {
        let with = |leeway| Expectation::login(Some("r"), None, leeway).is_ok();
        assert!(with(0) && with(MAX_LEEWAY));
        assert!(!with(-1) && !with(MAX_LEEWAY + 1) && !with(i64::MIN));
    }
}
