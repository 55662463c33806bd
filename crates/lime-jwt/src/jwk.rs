//! JSON Web Keys (RFC 7517): what of a published document may be trusted to verify.

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

use crate::encoding::{decode, encode};
use crate::{Error, Object, Value};

/// Most bytes of a key set document: room for [`MAX_KEYS`] keys and as much again of what we ignore.
pub const MAX_JWKS_BYTES: usize = 512 * 1024;

/// Most members of `keys`. Rotating every five seconds would publish half as many.
pub const MAX_KEYS: usize = 256;

/// Longest key id, in bytes. Ours have 43; an id travels in every token and in logs.
pub const MAX_KID_BYTES: usize = 256;

/// NIST SP 800-131A allows no shorter modulus, and RFC 7518 section 3.3 asks for this much.
const MIN_MODULUS_BITS: usize = 2048;

/// A check with 4096 bits costs four times that with 2048, and nobody needs more before 2030
/// (NIST SP 800-57). A document with longer keys would only make verifiers work.
const MAX_MODULUS_BITS: usize = 4096;

/// FIPS 186-5 section A.1.1 allows no smaller exponent; 1 verifies nothing, and 3 has a history
/// of forgeries.
const MIN_EXPONENT: u64 = 65_537;

/// Larger exponents only slow verification; AWS-LC takes up to 33 bits.
const MAX_EXPONENT: u64 = u32::MAX as u64;

/// Members that hold a secret (RFC 7518 sections 6.3.2 and 6.4). A key that was published with one
/// of them is everybody's key.
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public RSA key that may verify passports, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicJwk {
    kid: String,
    n: Vec<u8>,
    e: Vec<u8>,
}

impl PublicJwk {
    /// The key of a member of a key set.
    ///
    /// # Errors
    /// [`Error::Key`] if it is of another kind or for another use, has no id, is too weak or too
    /// large, is not in its canonical form, or gives away its private half.
    pub fn parse(member: &Object<'_>) -> Result<Self, Error> {
        // 1. Of our kind and for our use (RFC 7517 section 4).
        if member.text("kty") != Some("RSA") {
            return Err(Error::Key("kty is not RSA"));
        }
        if member.has("alg") && member.text("alg") != Some("RS256") {
            return Err(Error::Key("alg is not RS256"));
        }
        if member.has("use") && member.text("use") != Some("sig") {
            return Err(Error::Key("use is not sig"));
        }
        if member.get("key_ops").is_some_and(|ops| !lists_verify(ops)) {
            return Err(Error::Key("key_ops does not allow to verify"));
        }
        // 2. Nobody else can sign with it.
        if SECRET_MEMBERS.iter().any(|name| member.has(name)) {
            return Err(Error::Key("a private member is in a public key"));
        }
        // 3. It can be found.
        let kid = member.text("kid").ok_or(Error::Key("kid is missing or not a string"))?;
        if kid.is_empty() || kid.len() > MAX_KID_BYTES {
            return Err(Error::Key("kid is empty or too long"));
        }
        // 4. It is strong enough.
        let n = number(member, "n").ok_or(Error::Key("n is not a canonical Base64urlUInt"))?;
        let e = number(member, "e").ok_or(Error::Key("e is not a canonical Base64urlUInt"))?;
        Self::new(kid.to_owned(), n, e)
    }

    /// A key from its numbers, big-endian and without leading zeros.
    pub(crate) fn new(kid: String, n: Vec<u8>, e: Vec<u8>) -> Result<Self, Error> {
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
            return Err(Error::Key("the modulus has less than 2048 or more than 4096 bits"));
        }
        if n.last().is_none_or(|last| last % 2 == 0) {
            return Err(Error::Key("the modulus is even"));
        }
        let exponent = if e.len() > 8 {
            u64::MAX
        } else {
            e.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&exponent) || exponent % 2 == 0 {
            return Err(Error::Key("the exponent is even, below 65537 or above 32 bits"));
        }
        Ok(Self { kid, n, e })
    }

    /// The key with its RFC 7638 thumbprint as its id.
    pub(crate) fn with_thumbprint(n: Vec<u8>, e: Vec<u8>) -> Result<Self, Error> {
        let mut key = Self::new(String::new(), n, e)?;
        key.kid = key.thumbprint();
        Ok(key)
    }

    /// The id under which tokens name this key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The SHA-256 thumbprint of RFC 7638, as 43 base64url characters. It says nothing about `kid`.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        // RFC 7638 section 3.2: the required members only, in this order, without white space.
        let (n, e) = (encode(&self.n), encode(&self.e));
        encode(digest(&SHA256, format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()))
    }

    /// The members to publish: `kty`, `n`, `e`, `kid`, `alg` and `use`.
    #[must_use]
    pub fn members(&self) -> [(&'static str, String); 6] {
        [
            ("kty", "RSA".into()),
            ("n", encode(&self.n)),
            ("e", encode(&self.e)),
            ("kid", self.kid.clone()),
            ("alg", "RS256".into()),
            ("use", "sig".into()),
        ]
    }
}

/// A key of a set, and what AWS-LC makes of it when a token first names it: most keys of a set
/// stand by for a rotation or are on their way out.
#[derive(Clone)]
struct VerifyingKey {
    public: PublicJwk,
    parsed: OnceLock<Option<ParsedPublicKey>>,
}

impl VerifyingKey {
    /// `None` if AWS-LC will not have it, and then for good.
    fn parsed(&self) -> Option<&ParsedPublicKey> {
        let PublicJwk { n, e, .. } = &self.public;
        let parse = || {
            RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()
        };
        self.parsed.get_or_init(parse).as_ref()
    }
}

/// The keys of one issuer, ready to verify.
///
/// Keys are only ever looked up together with their issuer, so that an issuer cannot forge the
/// passports of another one whom the same process trusts.
#[derive(Clone)]
pub struct JwkSet {
    issuer: String,
    keys: Vec<VerifyingKey>,
}

impl JwkSet {
    /// The usable keys of a document that came from `issuer`.
    ///
    /// As RFC 7517 section 5 wants it, a member that is of an unknown kind or cannot be used is
    /// passed over. An id that two usable members carry is ambiguous, and neither is used.
    ///
    /// # Errors
    /// [`Error::Key`] if the document is no key set, is longer than [`MAX_JWKS_BYTES`] or has more
    /// than [`MAX_KEYS`] members, or if `issuer` is empty. A document without a usable key is none.
    pub fn parse(document: &[u8], issuer: &str) -> Result<Self, Error> {
        if issuer.is_empty() {
            return Err(Error::Key("the issuer of a key set is empty"));
        }
        if document.len() > MAX_JWKS_BYTES {
            return Err(Error::Key("the key set document is too large"));
        }
        let document =
            Object::parse(document).map_err(|_| Error::Key("the key set is not a JSON object"))?;
        let Some(Value::List(members)) = document.get("keys") else {
            return Err(Error::Key("the key set has no list of keys"));
        };
        if members.len() > MAX_KEYS {
            return Err(Error::Key("the key set has too many keys"));
        }
        let usable: Vec<PublicJwk> = members.iter().filter_map(usable).collect();
        let keys = usable
            .iter()
            .filter(|key| usable.iter().filter(|other| other.kid == key.kid).count() == 1)
            .map(|key| VerifyingKey { public: key.clone(), parsed: OnceLock::new() })
            .collect();
        Ok(Self { issuer: issuer.to_owned(), keys })
    }

    /// Whose keys these are, as given.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The ids of the usable keys, in the order of the document.
    #[must_use]
    pub fn kids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(|key| key.public.kid())
    }

    /// Check an RS256 signature over `message` by the key of this id.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] if there is no such key, [`Error::Signature`] if it did not sign this.
    pub fn check(&self, kid: &str, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let key = self
            .keys
            .iter()
            .find(|key| key.public.kid() == kid)
            .and_then(VerifyingKey::parsed)
            .ok_or_else(|| Error::UnknownKey { kid: kid.to_owned() })?;
        key.verify_sig(message, signature).map_err(|_| Error::Signature)
    }
}

/// The document that publishes these keys: `{"keys": […]}`, with public members only.
///
/// # Errors
/// [`Error::Key`] if two keys have the same id: verifiers would have to refuse both.
pub fn encode_jwks<'k>(keys: impl IntoIterator<Item = &'k PublicJwk>) -> Result<Vec<u8>, Error> {
    let keys: Vec<&PublicJwk> = keys.into_iter().collect();
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].iter().any(|other| other.kid == key.kid) {
            return Err(Error::Key("two keys have the same id"));
        }
    }
    let list = keys.iter().map(|key| {
        let members = key.members().map(|(name, text)| (name, Value::Text(text.into())));
        Value::Object(members.into_iter().collect())
    });
    let document: Object<'_> = [("keys", Value::List(list.collect()))].into_iter().collect();
    document.to_json()
}

fn usable(member: &Value<'_>) -> Option<PublicJwk> {
    match member {
        Value::Object(member) => PublicJwk::parse(member).ok(),
        _ => None,
    }
}

fn lists_verify(ops: &Value<'_>) -> bool {
    matches!(ops, Value::List(ops) if ops.iter().any(|op| op.as_text() == Some("verify")))
}

/// A `Base64urlUInt` (RFC 7518 section 2): no leading zero octet, so that a key has one thumbprint.
fn number(member: &Object<'_>, name: &str) -> Option<Vec<u8>> {
    decode(member.text(name)?).filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::{JwkSet, PublicJwk, VerifyingKey, encode_jwks};
    use crate::{Error, KeySize, SigningKey};

    #[test]
    fn a_key_is_parsed_once_and_not_before_a_token_names_it() {
        let keys: Vec<_> =
            (0..2).map(|_| SigningKey::generate(KeySize::Rsa2048).expect("generated")).collect();
        let document = encode_jwks(keys.iter().map(SigningKey::public_jwk)).expect("two ids");
        let set = JwkSet::parse(&document, "https://lime.example").expect("a key set");
        let parsed = |index: usize| set.keys[index].parsed.get().and_then(Option::as_ref);
        assert!(parsed(0).is_none() && parsed(1).is_none());

        let signature = keys[1].signature(b"text").expect("signed");
        assert_eq!(set.check(keys[1].kid(), b"text", &signature), Ok(()));
        let first = parsed(1).expect("parsed by the first check");
        assert_eq!(set.check(keys[1].kid(), b"other", &signature), Err(Error::Signature));
        assert!(std::ptr::eq(first, parsed(1).expect("kept")));
        assert!(parsed(0).is_none());
    }

    #[test]
    fn a_key_that_aws_lc_refuses_is_as_good_as_unknown() {
        // A leading zero, which no parsed document lets through.
        let public = PublicJwk { kid: "k".into(), n: vec![0; 256], e: vec![1, 0, 1] };
        let keys = vec![VerifyingKey { public, parsed: OnceLock::new() }];
        let set = JwkSet { issuer: "https://lime.example".into(), keys };
        for _ in 0..2 {
            let refused = set.check("k", b"text", &[0; 256]);
            assert_eq!(refused, Err(Error::UnknownKey { kid: "k".into() }));
        }
    }
}
