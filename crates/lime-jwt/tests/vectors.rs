//! The public vectors and ours: every token accepted or refused for the reason that stands there.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lime_jwt::{
    Error, Expectation, JwkSet, MAX_JWKS_BYTES, MAX_TOKEN_BYTES, Object, PublicJwk, SigningKey,
    Value, verify,
};
use serde_json::Value as Json;

fn load(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("vectors are JSON")
}

fn text<'j>(value: &'j Json, name: &str) -> &'j str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a string"))
}

fn list<'j>(value: &'j Json, name: &str) -> &'j [Json] {
    value[name].as_array().unwrap_or_else(|| panic!("{name} is a list"))
}

fn texts<'j>(value: &'j Json, name: &str) -> Vec<&'j str> {
    list(value, name).iter().filter_map(Json::as_str).collect()
}

fn base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

fn base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn main_key() -> SigningKey {
    let keys = load("jwt-test-keys.json");
    SigningKey::from_pkcs8(&base64(text(&keys["keys"], "main"))).expect("a key")
}

/// The name of this error in `lime_jwt.errors`, and the claim it names.
fn reason(error: &Error) -> (&'static str, &'static str) {
    match error {
        Error::Malformed(_) => ("MalformedTokenError", ""),
        Error::Header(_) => ("UnsupportedHeaderError", ""),
        Error::UnknownKey { .. } => ("UnknownKeyError", ""),
        Error::Signature => ("InvalidSignatureError", ""),
        Error::Claim { claim, .. } => ("InvalidClaimError", claim),
        Error::Expired => ("ExpiredTokenError", "exp"),
        other => panic!("{other:?} is not about a token"),
    }
}

fn expectation(wanted: &Json) -> Expectation {
    let of = |name: &str| wanted[name].as_str();
    let leeway = wanted["leeway"].as_i64().unwrap_or(30);
    match text(wanted, "kind") {
        "login" => Expectation::login(of("request_id"), of("site_id"), leeway),
        "binding" => Expectation::binding(text(wanted, "site_id"), of("binding_id"), leeway),
        "access" => Expectation::access_token(of("domain"), of("resource"), leeway),
        other => panic!("no kind {other}"),
    }
    .expect("bound")
}

/// What verification makes of a case: the claims as JSON, or the error.
fn run(vectors: &Json, case: &Json) -> Result<Json, Error> {
    let jwks = case.get("jwks").unwrap_or(&vectors["jwks"]).to_string();
    let keys = JwkSet::parse(jwks.as_bytes(), text(vectors, "issuer")).expect("a key set");
    let now = case.get("now").unwrap_or(&vectors["now"]).as_i64().expect("seconds");
    let mut payload = b"what was there before".to_vec();
    let claims =
        verify(text(case, "token"), &keys, &expectation(&case["expect"]), now, &mut payload)?;
    Ok(serde_json::from_slice(&claims.to_json().expect("finite")).expect("JSON"))
}

#[test]
fn every_token_is_accepted_or_refused_for_its_reason() {
    let vectors = load("jwt.json");
    let cases = list(&vectors, "tokens");
    assert!(cases.len() > 300);
    for case in cases {
        let name = text(case, "name");
        match run(&vectors, case) {
            Ok(claims) => assert_eq!(Some(&claims), case.get("claims"), "{name}"),
            Err(error) => {
                let expected = (
                    case["reason"].as_str().unwrap_or("accepted"),
                    case["claim"].as_str().unwrap_or(""),
                );
                assert_eq!(reason(&error), expected, "{name}");
                if let Error::UnknownKey { kid } = error {
                    assert_eq!(kid, text(case, "kid"), "{name}");
                }
            }
        }
    }
}

#[test]
fn proven_claims_borrow_their_text_from_the_payload() {
    let vectors = load("jwt.json");
    let keys = JwkSet::parse(vectors["jwks"].to_string().as_bytes(), text(&vectors, "issuer"))
        .expect("a key set");
    let expect = Expectation::login(None, Some("site-51c2"), 30).expect("bound");
    let mut payload = Vec::new();
    let token = text(&vectors["signing"][0], "token");
    let claims = verify(token, &keys, &expect, 1_800_000_000, &mut payload).expect("good");
    let texts: Vec<_> = claims
        .iter()
        .filter_map(|(_, value)| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(texts.len(), 8);
    assert!(texts.iter().all(|text| matches!(text, Cow::Borrowed(_))));
}

#[test]
fn a_key_set_has_only_its_usable_keys() {
    for case in list(&load("jwt.json"), "key_sets") {
        let name = text(case, "name");
        let document =
            case["text"].as_str().map_or_else(|| case["document"].to_string(), String::from);
        match JwkSet::parse(document.as_bytes(), "https://lime.example") {
            Ok(keys) => assert_eq!(keys.kids().collect::<Vec<_>>(), texts(case, "kids"), "{name}"),
            Err(error) => {
                assert!(matches!(error, Error::Key(_)), "{name}");
                assert_eq!(text(case, "reason"), "InvalidKeyError", "{name}");
            }
        }
    }
}

#[test]
fn a_document_that_is_too_long_or_of_nobody_is_no_key_set() {
    let mut document = br#"{"keys":[]}"#.to_vec();
    document.resize(MAX_JWKS_BYTES, b' ');
    assert!(JwkSet::parse(&document, "https://lime.example").is_ok());
    assert!(matches!(JwkSet::parse(&document, ""), Err(Error::Key(_))));
    document.push(b' ');
    assert!(matches!(JwkSet::parse(&document, "https://lime.example"), Err(Error::Key(_))));
}

#[test]
fn signing_gives_the_bytes_that_others_give() {
    let key = main_key();
    for case in list(&load("jwt.json"), "signing") {
        let token = text(case, "token");
        let payload = base64url(token.split('.').nth(1).expect("three segments"));
        let claims = Object::parse(&payload).expect("claims");
        assert_eq!(key.sign(&claims, text(case, "typ")).as_deref(), Ok(token));
    }
}

#[test]
fn a_typ_that_is_no_media_type_is_not_signed() {
    let key = main_key();
    for typ in ["", "a\"b", "a b", "é", &"x".repeat(128)] {
        assert!(matches!(key.sign(&Object::default(), typ), Err(Error::Argument(_))), "{typ:?}");
    }
}

#[test]
fn a_token_that_no_verifier_would_read_is_not_signed() {
    let long = "x".repeat(MAX_TOKEN_BYTES);
    let claims: Object<'_> = [("x", long.as_str().into())].into_iter().collect();
    assert!(matches!(main_key().sign(&claims, "JWT"), Err(Error::Claims(_))));
}

#[test]
fn an_unusable_key_is_refused_by_itself_too() {
    // Not only when it is looked for in a set: such a key must not be published either.
    for case in list(&load("jwt.json"), "key_sets") {
        let [key] = case["document"]["keys"].as_array().map_or(&[][..], Vec::as_slice) else {
            continue;
        };
        let key = key.to_string();
        let parsed = Object::parse(key.as_bytes()).and_then(|key| PublicJwk::parse(&key));
        assert_eq!(parsed.is_ok(), !texts(case, "kids").is_empty(), "{}", text(case, "name"));
    }
}

#[test]
fn rfc_7515_a_2_is_signed_and_verified_as_printed() {
    let rfc = load("jwt-rfc7515-a2.json");
    let key = SigningKey::from_pkcs8(&base64(text(&rfc, "pkcs8_base64"))).expect("a key");
    let message = text(&rfc, "signing_input").as_bytes();
    let signature = key.signature(message).expect("signed");
    assert_eq!(signature, base64url(text(&rfc, "signature")));

    let mut jwk = rfc["jwk"].clone();
    jwk["kid"] = "a2".into();
    let document = serde_json::json!({ "keys": [jwk] }).to_string();
    let keys = JwkSet::parse(document.as_bytes(), "joe").expect("a key set");
    assert_eq!(keys.check("a2", message, &signature), Ok(()));
    assert_eq!(keys.check("a2", &message[1..], &signature), Err(Error::Signature));
}

#[test]
fn rfc_7517_key_sets_and_the_rfc_7638_thumbprint_are_read() {
    let rfc = load("jwk-rfc7517-rfc7638.json");
    for name in ["public", "private"] {
        let document = rfc[name]["document"].to_string();
        let keys = JwkSet::parse(document.as_bytes(), "rfc").expect("a key set");
        assert_eq!(keys.kids().collect::<Vec<_>>(), texts(&rfc[name], "usable_kids"));
    }
    let jwk = rfc["thumbprint"]["jwk"].to_string();
    let key = PublicJwk::parse(&Object::parse(jwk.as_bytes()).expect("JSON")).expect("a key");
    assert_eq!(key.thumbprint(), text(&rfc["thumbprint"], "sha256"));
    assert_eq!(key.kid(), "2011-04-29");
}

#[test]
fn what_no_verifier_would_trust_is_no_signing_key() {
    let keys = load("jwt-test-keys.json");
    for name in ["bits1024", "exponent3"] {
        let der = base64(text(&keys["keys"], name));
        assert!(matches!(SigningKey::from_pkcs8(&der), Err(Error::Key(_))), "{name}");
    }
    assert!(matches!(SigningKey::from_pkcs8(b"not DER"), Err(Error::Key(_))));
}

#[test]
fn wycheproof_finds_no_signature_that_is_good_or_bad_by_mistake() {
    let wycheproof = load("rsa-wycheproof.json");
    let (mut accepted, mut refused) = (0, 0);
    for group in list(&wycheproof, "groups") {
        let base64url = |name| URL_SAFE_NO_PAD.encode(base64(text(group, name)));
        let jwk = serde_json::json!({
            "kty": "RSA", "kid": "key", "n": base64url("modulus"), "e": base64url("exponent"),
        });
        let document = serde_json::json!({ "keys": [jwk] }).to_string();
        let keys = JwkSet::parse(document.as_bytes(), "wycheproof").expect("a key set");
        for case in list(group, "tests") {
            let name = format!("{} {}: {}", group["file"], case["id"], case["comment"]);
            let [message, signature] =
                ["message", "signature"].map(|name| base64(text(case, name)));
            let different = texts(case, "flags")
                .into_iter()
                .any(|flag| wycheproof["differences"].get(flag).is_some());
            if keys.check("key", &message, &signature).is_ok() {
                assert!(text(case, "result") == "valid" && !different, "{name}");
                accepted += 1;
            } else {
                assert!(text(case, "result") == "invalid" || different, "{name}");
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, refused), (14, 503));
}
