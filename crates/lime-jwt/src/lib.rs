//! LIME passports: RS256 tokens, signed and verified with every check in one call.
