//! The verifier's side: section 6 of the protocol, in its order and completely.

use crate::encoding::{decode, decode_into};
use crate::{Error, Expectation, JwkSet, Kind, MAX_KID_BYTES, Object, Value};

/// Longest token, in bytes (protocol section 6). Ours have about 900.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Longest header, in bytes of JSON. Ours have about 100, and an id of [`MAX_KID_BYTES`] fits in.
///
/// It is the only JSON that is read before the signature is checked, so that a stranger decides
/// what it costs: 16 KiB of it took a hundred times as long as the signature.
pub const MAX_HEADER_BYTES: usize = 1024;

/// Header members that name or carry a key (RFC 7515 section 4.1). A verifier that followed one
/// would let the token choose who signed it.
const KEY_SOURCES: [&str; 6] = ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"];

/// The claims of a token that `keys` signed and that says all that `expect` wants, at `now` (Unix
/// seconds).
///
/// `payload` is scratch space which the claims borrow from; what is in it before is lost.
///
/// # Errors
/// The [`Error`] of the first check that failed. [`Error::UnknownKey`] comes after all checks of
/// the header and before all that need the key, so that a caller may fetch the issuer's keys once
/// and try again.
pub fn verify<'p>(
    unverified_token: &str,
    keys: &JwkSet,
    expect: &Expectation,
    now: i64,
    payload: &'p mut Vec<u8>,
) -> Result<Object<'p>, Error> {
    // 1. Size, before any work is done that grows with it.
    if unverified_token.len() > MAX_TOKEN_BYTES {
        return Err(Error::Malformed("longer than 16 KiB"));
    }
    // 2. Three segments of canonical base64url.
    let (signed, header, signature) = segments(unverified_token, payload)?;
    // 3. The header.
    if header.len() > MAX_HEADER_BYTES {
        return Err(Error::Malformed("the header is longer than 1 KiB"));
    }
    let header = Object::parse(&header)?;
    let kid = checked_header(&header, expect.kind)?;
    // 4. The key of (issuer, kid), and 5. the signature.
    keys.check(kid, signed.as_bytes(), &signature)?;
    // From here on the issuer wrote what we read, though perhaps not for us and not for now.
    // 6. The claims have one meaning only.
    let claims = Object::parse(payload)?;
    // 7. By whom and for what.
    check_issuer(&claims, keys.issuer())?;
    check_audience(&claims, expect)?;
    // 8. When.
    check_times(&claims, expect, now)?;
    // 9. About whom, and once.
    for claim in ["sub", "jti"] {
        check_text(&claims, claim)?;
    }
    // 10. Bound to whoever is asking.
    for (claim, expected) in &expect.bound {
        if claims.text(claim) != Some(expected) {
            return Err(Error::Claim { claim, problem: "not the expected one" });
        }
    }
    // 11. Nothing that this kind of token must not tell.
    for claim in expect.kind.forbidden() {
        if claims.has(claim) {
            return Err(Error::Claim { claim, problem: "not allowed in this kind of token" });
        }
    }
    Ok(claims)
}

/// The signed text, the header and the signature; the payload goes where the claims will live.
fn segments<'t>(
    token: &'t str,
    payload: &mut Vec<u8>,
) -> Result<(&'t str, Vec<u8>, Vec<u8>), Error> {
    let three = Error::Malformed("not three segments");
    let (signed, signature) = token.rsplit_once('.').ok_or(three.clone())?;
    let (header, claims) = signed.split_once('.').ok_or(three.clone())?;
    if claims.contains('.') || [header, claims, signature].contains(&"") {
        return Err(three);
    }
    let not_canonical = Error::Malformed("a segment is not canonical base64url");
    let header = decode(header).ok_or(not_canonical.clone())?;
    let signature = decode(signature).ok_or(not_canonical.clone())?;
    decode_into(claims, payload).ok_or(not_canonical)?;
    Ok((signed, header, signature))
}

/// The key id of a header that asks for nothing but what we do.
fn checked_header<'h>(header: &'h Object<'_>, expected: Kind) -> Result<&'h str, Error> {
    // One algorithm, whatever the token would like: neither `none` nor HS256 with a public key.
    if header.text("alg") != Some("RS256") {
        return Err(Error::Header("alg is not RS256"));
    }
    let kid = header.text("kid").ok_or(Error::Header("kid is missing or not a string"))?;
    if kid.is_empty() || kid.len() > MAX_KID_BYTES {
        return Err(Error::Header("kid is empty or too long"));
    }
    // RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid. We
    // understand none; `b64` (RFC 7797) would change what is signed.
    if header.has("crit") || header.has("b64") {
        return Err(Error::Header("it has a critical extension"));
    }
    if KEY_SOURCES.iter().any(|name| header.has(name)) {
        return Err(Error::Header("it brings its own key"));
    }
    match header.get("typ") {
        None => Ok(kid),
        Some(typ) if typ.as_text().is_some_and(|typ| is_typ_of(expected, typ)) => Ok(kid),
        Some(_) => Err(Error::Header("typ is of another kind of token")),
    }
}

/// `typ` is a media type whose `application/` may be left out, and media types ignore case
/// (RFC 7515 section 4.1.9).
fn is_typ_of(kind: Kind, typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let typ = match typ.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &typ[PREFIX.len()..],
        _ => typ,
    };
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case(kind.typ())
}

fn check_issuer(claims: &Object<'_>, expected: &str) -> Result<(), Error> {
    if same_issuer(check_text(claims, "iss")?, expected) {
        return Ok(());
    }
    Err(Error::Claim { claim: "iss", problem: "not the issuer whose keys these are" })
}

/// Equal, but for the case of scheme and host (RFC 3986 section 6.2.2.1). No other two spellings
/// are the same issuer: no default port, no trailing slash, no prefix.
fn same_issuer(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (origin_and_rest(one), origin_and_rest(other)) else {
        return false;
    };
    one.0.eq_ignore_ascii_case(other.0) && one.1 == other.1
}

/// An issuer cut behind its host and port; `None` where that cannot be done safely. What stands
/// before an `@` is no host and keeps its case.
fn origin_and_rest(issuer: &str) -> Option<(&str, &str)> {
    let authority = issuer.find("://")? + 3;
    let end =
        issuer[authority..].find(['/', '?', '#']).map_or(issuer.len(), |length| authority + length);
    let (origin, rest) = issuer.split_at(end);
    (!origin.contains('@')).then_some((origin, rest))
}

fn check_audience(claims: &Object<'_>, expect: &Expectation) -> Result<(), Error> {
    let audience = expect.kind.audience();
    let named = match (claims.get("aud"), expect.kind) {
        (Some(Value::Text(only)), _) if only == audience => None,
        // An access token may also name the resource that it was requested for (RFC 8707).
        (Some(Value::List(both)), Kind::Access) => match both.as_slice() {
            [Value::Text(first), Value::Text(resource)]
                if first == audience && !resource.is_empty() =>
            {
                Some(resource.as_ref())
            }
            _ => return Err(Error::Claim { claim: "aud", problem: "not of the expected shape" }),
        },
        _ => return Err(Error::Claim { claim: "aud", problem: "not of the expected shape" }),
    };
    match expect.resource.as_deref() {
        Some(resource) if named != Some(resource) => {
            Err(Error::Claim { claim: "aud", problem: "made for another resource" })
        }
        _ => Ok(()),
    }
}

fn check_times(claims: &Object<'_>, expect: &Expectation, now: i64) -> Result<(), Error> {
    let (exp, iat) = (seconds(claims, "exp")?, seconds(claims, "iat")?);
    let latest_start = now.saturating_add(expect.leeway);
    if iat > latest_start {
        return Err(Error::Claim { claim: "iat", problem: "in the future" });
    }
    if claims.has("nbf") && seconds(claims, "nbf")? > latest_start {
        return Err(Error::Claim { claim: "nbf", problem: "in the future" });
    }
    // In 128 bits, because both ends are the token's.
    let life = i128::from(exp) - i128::from(iat);
    if life < 1 || life > i128::from(expect.kind.max_life()) {
        return Err(Error::Claim {
            claim: "exp",
            problem: "not within this kind's life after iat",
        });
    }
    // RFC 7519 section 4.1.4: not accepted on or after `exp`.
    if exp <= now.saturating_sub(expect.leeway) {
        return Err(Error::Expired);
    }
    Ok(())
}

fn seconds(claims: &Object<'_>, claim: &'static str) -> Result<i64, Error> {
    match claims.get(claim) {
        Some(Value::Int(seconds)) => Ok(*seconds),
        Some(_) => Err(Error::Claim { claim, problem: "not an integer of at most 64 bits" }),
        None => Err(Error::Claim { claim, problem: "missing" }),
    }
}

fn check_text<'c>(claims: &'c Object<'_>, claim: &'static str) -> Result<&'c str, Error> {
    match claims.text(claim) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Error::Claim { claim, problem: "missing, empty or not a string" }),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_typ_of, same_issuer};
    use crate::Kind;

    #[test]
    fn issuers_may_differ_in_the_case_of_scheme_and_host_only() {
        let issuer = "https://lime.example:8443/api/v1";
        assert!(same_issuer(issuer, issuer));
        assert!(same_issuer("HTTPS://Lime.Example:8443/api/v1", issuer));
        for other in [
            "https://lime.example:8443/API/v1",
            "https://lime.example:8443/api/v1/",
            "https://lime.example:8443/api/v",
            "https://lime.example:8443/api/v11",
            "https://lime.example:8443",
            "https://lime.example/api/v1",
            "http://lime.example:8443/api/v1",
            "https://lime.example.:8443/api/v1",
            "https://a@lime.example:8443/api/v1",
            "lime.example:8443/api/v1",
            "",
        ] {
            assert!(!same_issuer(other, issuer), "{other}");
        }
        assert!(!same_issuer("https://lime.example/", "https://lime.example"));
        assert!(!same_issuer("https://a.b/X", "https://a.b/x"), "a host of three letters");
        assert!(!same_issuer("https://A@lime.example", "https://a@lime.example"));
        assert!(!same_issuer("https://lime.example?A", "https://lime.example?a"));
        assert!(!same_issuer("lime", "LIME"), "an issuer that is no URL has no host");
    }

    #[test]
    fn a_typ_is_a_media_type_of_this_kind_or_just_a_jwt() {
        for typ in ["JWT", "jwt", "lime-passport+jwt", "LIME-Passport+JWT", "application/jwt"] {
            assert!(is_typ_of(Kind::Login, typ), "{typ}");
        }
        assert!(is_typ_of(Kind::Login, "Application/lime-passport+jwt"));
        for typ in ["lime-binding+jwt", "at+jwt", "", "JWE", "application/", "text/jwt", "éééééé"]
        {
            assert!(!is_typ_of(Kind::Login, typ), "{typ}");
        }
    }
}
