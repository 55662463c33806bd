//! What the fuzz targets share: the vectors' keys, and a second opinion on every rule.

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lime_jwt::{Expectation, JwkSet, Kind, SigningKey};
use serde_json::Value as Json;

/// `vectors/jwt.json`
pub static VECTORS: LazyLock<Json> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../vectors/jwt.json")).expect("JSON")
});

/// What the vectors' issuer publishes.
pub static KEYS: LazyLock<JwkSet> = LazyLock::new(|| {
    JwkSet::parse(VECTORS["jwks"].to_string().as_bytes(), ISSUER).expect("a key set")
});

/// The vectors' first key, with its private half.
pub static MAIN: LazyLock<SigningKey> = LazyLock::new(|| {
    let text = include_str!("../../../../vectors/jwt-test-keys.json");
    let keys: Json = serde_json::from_str(text).expect("JSON");
    let der = STANDARD.decode(keys["keys"]["main"].as_str().expect("text")).expect("base64");
    SigningKey::from_pkcs8(&der).expect("a key")
});

/// Every token of the vectors that has a good signature: it is accepted, or refused for a claim.
/// Nobody can make another one without the key.
pub static SIGNED: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let tokens = VECTORS["tokens"].as_array().expect("a list").iter();
    tokens
        .filter(|case| case.get("claims").is_some() || case.get("claim").is_some())
        .map(|case| case["token"].as_str().expect("text"))
        .collect()
});

/// `iss` of the vectors
pub const ISSUER: &str = "https://lime.example/office";

/// The vectors' time, in Unix seconds
pub const NOW: i64 = 1_800_000_000;

/// Seconds of leeway
pub const LEEWAY: i64 = 30;

/// A kind of token, what a verifier expects of it, and the same once more as plain data.
pub struct Case {
    /// Given to the verifier
    pub expect: Expectation,
    /// The only audience, or the first
    pub audience: &'static str,
    /// Most seconds from `iat` to `exp`
    pub life: i128,
    /// A claim and its only value
    pub bound: (&'static str, &'static str),
    /// Claims that must not be there
    pub forbidden: &'static [&'static str],
}

impl Case {
    /// One of the three kinds, chosen by a byte.
    pub fn new(choice: u8) -> Self {
        match choice % 3 {
            0 => Self {
                expect: Expectation::login(None, Some("site-51c2"), LEEWAY).expect("bound"),
                audience: "lime-site-login",
                life: 120,
                bound: ("site_id", "site-51c2"),
                forbidden: &[],
            },
            1 => Self {
                expect: Expectation::binding("site-51c2", None, LEEWAY).expect("bound"),
                audience: "lime-binding",
                life: 60,
                bound: ("site_id", "site-51c2"),
                forbidden: &[],
            },
            _ => Self {
                expect: Expectation::access_token(Some("mcp.example.com"), None, LEEWAY)
                    .expect("bound"),
                audience: "mcp",
                life: 300,
                bound: ("domain", "mcp.example.com"),
                forbidden: &["user_id", "passport_version", "request_id"],
            },
        }
    }

    /// Protocol section 6 on a header that is known to be JSON without repeated names.
    pub fn allows_header(&self, header: &[u8]) -> bool {
        let header: Json = serde_json::from_slice(header).expect("JSON for everybody");
        let refused = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"]
            .iter()
            .any(|name| header.get(name).is_some());
        let typ = header.get("typ").is_none_or(|typ| {
            let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            typ == "jwt" || typ == self.expect.kind().typ()
        });
        header["alg"] == "RS256" && header["kid"] == MAIN.kid() && !refused && typ
    }

    /// Protocol section 6 on claims that are known to be JSON without repeated names.
    pub fn allows_claims(&self, claims: &[u8]) -> bool {
        let claims: Json = serde_json::from_slice(claims).expect("JSON for everybody");
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let (origin, path) = text("iss").split_at_checked(20).unwrap_or_default();
        let issuer = origin.eq_ignore_ascii_case("https://lime.example") && path == "/office";
        let audience = match &claims["aud"] {
            Json::String(only) => only == self.audience,
            Json::Array(both) => {
                let resource = both.get(1).and_then(Json::as_str).unwrap_or_default();
                self.expect.kind() == Kind::Access
                    && both.len() == 2
                    && both[0] == "mcp"
                    && !resource.is_empty()
            }
            _ => false,
        };
        let nbf = claims.get("nbf").is_none_or(|nbf| nbf.as_i64().is_some_and(is_past));
        let times = match (claims["iat"].as_i64(), claims["exp"].as_i64()) {
            (Some(iat), Some(exp)) => {
                let life = i128::from(exp) - i128::from(iat);
                is_past(iat) && nbf && (1..=self.life).contains(&life) && exp > NOW - LEEWAY
            }
            _ => false,
        };
        let (name, value) = self.bound;
        issuer
            && audience
            && times
            && !text("sub").is_empty()
            && !text("jti").is_empty()
            && text(name) == value
            && self.forbidden.iter().all(|name| claims.get(name).is_none())
    }
}

fn is_past(seconds: i64) -> bool {
    seconds <= NOW + LEEWAY
}
