//! Who calls. A token is either valid, or the request ends with 401: an invalid one is never taken
//! for an anonymous caller.

use std::collections::HashSet;

use gotong_engine::types::TokenRole;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::clock::system_now_ms;
use crate::config::{Auth, ConfigError, Secret};
use crate::problems::Code;
use crate::request::{Actor, Caller};

/// Longest `sub` and `username`, in characters.
const LONGEST_NAME: usize = 128;

/// The claims Gotong reads (RFC 7519).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    username: String,
    role: TokenRole,
    iss: String,
    aud: serde_json::Value,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
}

/// Checks tokens. One key per algorithm: a token cannot choose which key checks it (RFC 8725, 3.1).
pub struct Tokens {
    hs256: Option<(DecodingKey, Validation)>,
    eddsa: Option<(DecodingKey, Validation)>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    pub fn new(auth: &Auth) -> Result<Self, TokenKeyError> {
        let rules = |algorithm| {
            let mut validation = Validation::new(algorithm);
            validation.leeway = auth.leeway_s;
            validation.set_issuer(&[&auth.issuer]);
            validation.set_audience(&[&auth.audience]);
            validation.validate_nbf = true;
            validation.required_spec_claims = ["exp", "iss", "aud", "sub"]
                .map(str::to_owned)
                .into_iter()
                .collect::<HashSet<_>>();
            validation
        };
        let hs256 = auth.hs256_secret.as_ref().map(|secret| {
            (
                DecodingKey::from_secret(secret.expose().as_bytes()),
                rules(Algorithm::HS256),
            )
        });
        let eddsa = match &auth.eddsa_public_key_pem {
            Some(pem) => Some((
                DecodingKey::from_ed_pem(pem.as_bytes()).map_err(TokenKeyError::PublicKey)?,
                rules(Algorithm::EdDSA),
            )),
            None => None,
        };
        Ok(Self { hs256, eddsa })
    }

    /// The caller behind an `Authorization` header, absent or not.
    pub fn caller(&self, header: Option<&str>) -> Result<Caller, Problem> {
        let Some(header) = header else {
            return Ok(Caller::Anonymous);
        };
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| {
                Problem::new(
                    Code::TokenInvalid,
                    "the Authorization header is not `Bearer TOKEN`",
                )
            })?;
        self.actor(token).map(Caller::Known)
    }

    fn actor(&self, token: &str) -> Result<Actor, Problem> {
        let invalid = || Problem::new(Code::TokenInvalid, "the token is not one this host accepts");
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        // RFC 7515, 4.1.11: what must be understood and is not understood is refused.
        if header.crit.is_some() {
            return Err(invalid());
        }
        let (key, rules) = match header.alg {
            Algorithm::HS256 => self.hs256.as_ref(),
            Algorithm::EdDSA => self.eddsa.as_ref(),
            _ => None,
        }
        .ok_or_else(|| {
            Problem::new(
                Code::TokenAlgorithm,
                "the token is signed with an algorithm this host does not accept",
            )
        })?;
        let claims =
            jsonwebtoken::decode::<Claims>(token, key, rules).map_err(|error| {
                match error.kind() {
                    ErrorKind::ExpiredSignature => {
                        Problem::new(Code::TokenExpired, "the token has expired: get a new one")
                    }
                    _ => invalid(),
                }
            })?;
        let Claims {
            sub,
            username,
            role,
            ..
        } = claims.claims;
        // `system` is the host itself: no token from outside may speak for it.
        if !is_usable(&sub)
            || !is_usable(&username)
            || matches!(role, TokenRole::System | TokenRole::Anonymous)
            || sub == Actor::system().user_id
        {
            return Err(invalid());
        }
        Ok(Actor {
            user_id: sub,
            username,
            role,
        })
    }
}

fn is_usable(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// Why tokens cannot be checked or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    #[error("auth.eddsa_public_key_pem is not an Ed25519 public key in PEM")]
    PublicKey(#[source] jsonwebtoken::errors::Error),
    #[error("the token cannot be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
    #[error(
        "--sub and --username have 1 to {LONGEST_NAME} characters, none of them a control character"
    )]
    Name,
    #[error("`system` is the host itself: no token speaks for it; name somebody else in --sub")]
    System,
    #[error("`{0}` is not a role a token may hold: user, moderator, admin or service")]
    Role(TokenRole),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Signs a token with the shared secret, as `gotong token` prints it.
pub fn sign(
    auth: &Auth,
    secret: &Secret,
    actor: &Actor,
    ttl_s: u64,
) -> Result<String, TokenKeyError> {
    if matches!(actor.role, TokenRole::System | TokenRole::Anonymous) {
        return Err(TokenKeyError::Role(actor.role));
    }
    if !is_usable(&actor.user_id) || !is_usable(&actor.username) {
        return Err(TokenKeyError::Name);
    }
    if actor.user_id == Actor::system().user_id {
        return Err(TokenKeyError::System);
    }
    let now_s = u64::try_from(system_now_ms() / 1_000).unwrap_or_default();
    let claims = Claims {
        sub: actor.user_id.clone(),
        username: actor.username.clone(),
        role: actor.role,
        iss: auth.issuer.clone(),
        aud: serde_json::Value::String(auth.audience.clone()),
        exp: now_s.saturating_add(ttl_s),
        iat: Some(now_s),
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secret.expose().as_bytes()),
    )
    .map_err(TokenKeyError::Signing)
}
