//! Times the bare AWS-LC operations that `lime-jwt` stands on, for `benchmarks/jwt.py`.
//!
//! Standard input is a line with a PKCS#8 key in base64, a line with the text to sign, and any
//! number of lines `sign N` or `verify N`. Each of these is answered with the nanoseconds that N
//! operations took.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead as _, Write as _};
use std::time::Instant;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = io::stdin().lock().lines();
    let mut line = || lines.next().transpose();
    let pair = KeyPair::from_pkcs8(&STANDARD.decode(line()?.ok_or("a key is missing")?)?)?;
    let message = line()?.ok_or("a text is missing")?.into_bytes();
    let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())?;
    let random = SystemRandom::new();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature)?;
    while let Some(command) = line()? {
        let (operation, count) = command.split_once(' ').ok_or("not an operation and a number")?;
        let count: u32 = count.parse()?;
        let start = Instant::now();
        match operation {
            "sign" => {
                for _ in 0..count {
                    pair.sign(&RSA_PKCS1_SHA256, &random, &message, black_box(&mut signature))?;
                }
            }
            "verify" => {
                for _ in 0..count {
                    public.verify_sig(black_box(&message), &signature)?;
                }
            }
            other => return Err(format!("there is no operation {other}").into()),
        }
        writeln!(io::stdout(), "{}", start.elapsed().as_nanos())?;
    }
    Ok(())
}
