//! Looks for secret values where they must not be.

use std::collections::BTreeSet;
use std::path::Path;

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Shorter words may stand in a text by chance.
const SHORTEST: usize = 16;

/// Secret values.
#[derive(Default)]
pub struct Needles(BTreeSet<String>);

impl Needles {
    /// Adds one secret value as it is: of a token that was signed, its signature.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        let value = if value.starts_with("ey") {
            value.rsplit('.').next().unwrap_or(value)
        } else {
            value
        };
        if value.len() >= SHORTEST {
            self.0.insert(value.to_owned());
            // As a manifest holds it; the last characters depend on what follows.
            let mut encoded = STANDARD.encode(value);
            encoded.truncate(encoded.len() - 4);
            self.0.insert(encoded);
        }
    }

    /// Adds what is secret in a text: the lines of private keys, and words that look drawn by chance.
    pub fn add_text(&mut self, text: &str) {
        let mut private = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("-----BEGIN ") {
                private = line.contains("PRIVATE KEY");
            } else if private || !text.contains("-----BEGIN ") {
                line.split(|c: char| !c.is_ascii_alphanumeric() && !"+/_".contains(c))
                    .filter(|word| private || looks_random(word))
                    .for_each(|word| self.add(word));
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What finds them.
    pub fn finder(&self) -> Result<Finder> {
        ensure!(
            !self.is_empty(),
            "no secret value is known: this would show nothing"
        );
        Ok(Finder {
            automaton: AhoCorasick::new(&self.0)?,
            found: Vec::new(),
            bytes: 0,
        })
    }
}

/// Letters and digits, mixed.
fn looks_random(word: &str) -> bool {
    word.len() >= SHORTEST
        && word.chars().any(|c| c.is_ascii_digit())
        && word.chars().any(|c| c.is_ascii_alphabetic())
}

/// Looks through places and notes where a secret value was found.
pub struct Finder {
    automaton: AhoCorasick,
    found: Vec<String>,
    bytes: u64,
}

impl Finder {
    /// Looks through one place. What is around a find is told without the secret itself.
    pub fn look(&mut self, place: &str, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(find) = self.automaton.find(bytes) {
            let before = &bytes[find.start().saturating_sub(60)..find.start()];
            let before = String::from_utf8_lossy(before).into_owned();
            self.found
                .push(format!("{place}, after `{}`", before.escape_debug()));
        }
    }

    /// Looks through a file.
    pub fn look_file(&mut self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        self.look(&path.display().to_string(), &bytes);
        Ok(())
    }

    /// How much was looked through.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The places in which a secret value was found.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_keys_and_signatures_are_found_and_public_parts_are_not() {
        let mut needles = Needles::default();
        needles
            .add_text("ALTER ROLE acme PASSWORD 'abcdefgh12345678abcdefgh';\nsslmode=verify-full-and-more");
        needles.add_text(
            "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG+/CqGSM49\n-----END PRIVATE KEY-----\n\
             -----BEGIN CERTIFICATE-----\nMIIBpublicpublicpublic12345678\n-----END CERTIFICATE-----",
        );
        needles.add("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl");
        let found = |text: &str| {
            let mut finder = needles.finder().expect("a finder");
            finder.look("here", text.as_bytes());
            !finder.found().is_empty()
        };
        assert!(found("x abcdefgh12345678abcdefgh y"));
        assert!(found(&STANDARD.encode("abcdefgh12345678abcdefgh")));
        assert!(found("MIGHAgEAMBMGByqGSM49AgEG+/CqGSM49"));
        assert!(found("a.b.c2lnbmF0dXJlc2lnbmF0dXJl"));
        assert!(!found("MIIBpublicpublicpublic12345678"));
        assert!(!found("sslmode=verify-full-and-more eyJhbGciOiJFUzI1NiJ9"));
    }
}
